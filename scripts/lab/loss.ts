import { MytapeError } from '../../src/errors.ts';
import type { Lab } from './lab.ts';
import type { Host } from './network.ts';

const TABLE = 'mytape-loss';

/** Packets that these rules have dropped so far, and the end of them. */
export interface Loss {
  dropped(): Promise<number>;
  stop(): Promise<void>;
}

async function nft(lab: Lab, host: Host, text: string): Promise<string> {
  const result = await lab.run(host, 'nft', [text]);
  if (result.code !== 0) throw new MytapeError('system-call', `lab: nft ${text}: ${result.stderr}`);
  return result.stdout;
}

/**
 * From now on a host loses this part (in percent) of the TCP packets to and from port `port`, each direction by itself.
 * On target: our captures stand before its `input` hook and behind its `output` hook, so both directions are lost for real.
 */
export async function losePackets(lab: Lab, host: Host, percent: number, port: number): Promise<Loss> {
  const drop = (side: string) =>
    `tcp ${side} ${port} numgen random mod 1000 < ${Math.round(percent * 10)} counter drop`;
  await nft(
    lab,
    host,
    `add table inet ${TABLE};
     add chain inet ${TABLE} input { type filter hook input priority 0; };
     add chain inet ${TABLE} output { type filter hook output priority 0; };
     add rule inet ${TABLE} input ${drop('dport')};
     add rule inet ${TABLE} output ${drop('sport')}`,
  );
  return {
    async dropped() {
      const rules = await nft(lab, host, `list table inet ${TABLE}`);
      return [...rules.matchAll(/counter packets (\d+)/g)].reduce((sum, match) => sum + Number(match[1]), 0);
    },
    async stop() {
      await nft(lab, host, `delete table inet ${TABLE}`);
    },
  };
}
