import { fileURLToPath } from 'node:url';
import { Background } from '../lab/background.ts';
import type { Lab } from '../lab/lab.ts';
import { cpuMs } from './cpu.ts';

/** Beside the target's mariadbd, which has PORT. */
export const NULL_PORT = 3308;

const SCRIPT = fileURLToPath(new URL('null-responder.js', import.meta.url));
const TABLE = 'netdev mytape_bench';

/** At the device's own hook: a packet socket has seen the frame by then, and the kernel's TCP never does. */
const RULES = `
add table ${TABLE}
add chain ${TABLE} in { type filter hook ingress device eth0 priority 0; }
add rule ${TABLE} in tcp dport ${NULL_PORT} drop
`;

/** What the null responder counted, as it says at its end. */
export interface NullCounts {
  connections: number;
  commands: number;
  packets: number;
  dropped: number;
  sent: number;
  givenUp: number;
}

/** A null responder on host target, port NULL_PORT, that the clients' range reaches as it does mariadbd. */
export class NullTarget {
  readonly #lab: Lab;
  readonly #background: Background;

  private constructor(lab: Lab, background: Background) {
    this.#lab = lab;
    this.#background = background;
  }

  static async start(lab: Lab): Promise<NullTarget> {
    const rules = await lab.run('target', 'nft', [RULES]);
    if (rules.code !== 0) throw new Error(`nft on target: ${rules.stderr}`);
    const args = ['--iface', 'eth0', '--port', String(NULL_PORT), '--gateway', lab.addresses.assistant];
    const command = [process.execPath, SCRIPT, ...args];
    return new NullTarget(lab, await Background.start(lab, 'target', command, /null responder on/));
  }

  /** CPU time that it has used so far, ms. */
  get cpuMs(): number {
    return cpuMs(this.#background.pid);
  }

  async stop(): Promise<NullCounts> {
    const { code, stdout, stderr } = await this.#background.stop();
    await this.#lab.run('target', 'nft', ['delete', 'table', ...TABLE.split(' ')]);
    if (code !== 0) throw new Error(`null responder: exit code ${code}\n${stderr}`);
    return JSON.parse(stdout) as NullCounts;
  }
}
