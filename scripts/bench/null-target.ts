import { fileURLToPath } from 'node:url';
import { Background } from '../lab/background.ts';
import type { Lab } from '../lab/lab.ts';
import { cpuMs } from './cpu.ts';

/** Beside the target's mariadbd, which has PORT. */
export const NULL_PORT = 3308;

const SCRIPT = fileURLToPath(new URL('null-responder.js', import.meta.url));
const TABLE = 'netdev mytape_bench';

/** At the device's own hook: a packet socket has seen the frame by then, and the kernel's TCP never does. */
function rules(ifaces: readonly string[]): string {
  return [
    `add table ${TABLE}`,
    ...ifaces.flatMap((iface) => [
      `add chain ${TABLE} ${iface} { type filter hook ingress device ${iface} priority 0; }`,
      `add rule ${TABLE} ${iface} tcp dport ${NULL_PORT} drop`,
    ]),
  ].join('\n');
}

/** Interfaces of host target, and who the answers to the clients go to. */
export interface NullWay {
  in: readonly string[];
  out: string;
  gateway: string;
}

/** What the null responder counted, as it says at its end. */
export interface NullCounts {
  connections: number;
  commands: number;
  packets: number;
  dropped: number;
  sent: number;
  givenUp: number;
}

/** A null responder on host target, port NULL_PORT; answers to the clients' range go as mariadbd's do unless told otherwise. */
export class NullTarget {
  readonly #lab: Lab;
  readonly #background: Background;

  private constructor(lab: Lab, background: Background) {
    this.#lab = lab;
    this.#background = background;
  }

  static async start(lab: Lab, way?: NullWay): Promise<NullTarget> {
    const {
      in: ifaces,
      out,
      gateway,
    } = way ?? { in: ['eth0'], out: 'eth0', gateway: lab.addresses.assistant };
    const made = await lab.run('target', 'nft', [rules(ifaces)]);
    if (made.code !== 0) throw new Error(`nft on target: ${made.stderr}`);
    const args = [
      ...ifaces.flatMap((iface) => ['--iface', iface]),
      '--out',
      out,
      '--port',
      String(NULL_PORT),
      '--gateway',
      gateway,
    ];
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
