import { MytapeError } from '../../src/errors.ts';
import type { Lab } from './lab.ts';
import { PORT } from './server.ts';

const TABLE = 'mytape-loss';

export interface Loss {
  /** Packets lost so far. */
  dropped(): Promise<number>;
  stop(): Promise<void>;
}

async function nft(lab: Lab, text: string): Promise<string> {
  const result = await lab.run('switch', 'nft', [text]);
  if (result.code !== 0) throw new MytapeError('system-call', `lab: nft ${text}: ${result.stderr}`);
  return result.stdout;
}

/**
 * From now on this part (in percent) of the TCP segments to target's MySQL, and of those from it, is lost on the bridge: as on a
 * real wire, neither end's kernel knows. (A drop in a host's own output hook would be told to its TCP as local congestion.)
 */
export async function losePackets(lab: Lab, percent: number): Promise<Loss> {
  const target = lab.addresses.target;
  const drop = `numgen random mod 1000 < ${Math.round(percent * 10)} counter drop`;
  await nft(
    lab,
    `add table bridge ${TABLE};
     add chain bridge ${TABLE} forward { type filter hook forward priority 0; };
     add rule bridge ${TABLE} forward ip daddr ${target} tcp dport ${PORT} ${drop};
     add rule bridge ${TABLE} forward ip saddr ${target} tcp sport ${PORT} ${drop}`,
  );
  return {
    async dropped() {
      const rules = await nft(lab, `list table bridge ${TABLE}`);
      return [...rules.matchAll(/counter packets (\d+)/g)].reduce((sum, match) => sum + Number(match[1]), 0);
    },
    async stop() {
      await nft(lab, `delete table bridge ${TABLE}`);
    },
  };
}
