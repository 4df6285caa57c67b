import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { MytapeError } from '../errors.ts';
import type { Address } from '../wire/address.ts';

/** Segments of one TCP service that arrive for a range of our own ports. */
export interface GuardedPorts {
  target: Address;
  targetPort: number;
  /** Both included. */
  first: number;
  last: number;
  /** Ports among them that are somebody else's. */
  taken: ReadonlySet<number>;
}

/** Tables of ours are called so, with the process id of their owner behind it. */
const PREFIX = 'mytape_';

/** Deletes the table when its stdin ends: when we close it, or die in whatever way. Ctrl-C on the terminal is not for it. */
const WATCHER = 'trap "" HUP INT TERM; read -r x; exec nft delete table inet "$0"';

/**
 * Keeps this host's kernel from hearing a target's segments, and so from answering RST on connections that it does not know:
 * an nft rule (nft(8)) in a table of our own. A packet socket sees packets before that rule drops them.
 *
 * The table goes with `close`, or within moments of the end of this process, kill -9 included: a child waits for that. If
 * both are killed, the next guard on this host removes what they left.
 */
export class Guard {
  readonly #table: string;
  readonly #watcher: ChildProcess;

  private constructor(table: string, watcher: ChildProcess) {
    this.#table = table;
    this.#watcher = watcher;
  }

  /**
   * Throws 'no-library' where there is no nft, 'no-privilege' where we may not use it, and 'refused' where another process' guard
   * is for the same service: both would use the same ports.
   */
  static async raise(...services: readonly GuardedPorts[]): Promise<Guard> {
    clearLeftovers(services);
    const table = PREFIX + process.pid;
    const watcher = spawn('sh', ['-c', WATCHER, table], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    await once(watcher, 'spawn');
    // It waits for our end, and must not put it off.
    watcher.unref();
    const stdin = watcher.stdin as Socket;
    stdin.unref();
    // Somebody killed it: `close` sees that.
    stdin.on('error', () => {});
    const guard = new Guard(table, watcher);
    try {
      nft(['-f', '-'], tableOf(table, services));
      return guard;
    } catch (error) {
      await guard.close();
      throw error;
    }
  }

  /** Resolves when the table is gone. Rejects where somebody killed the watcher, and we may not remove the table ourselves by now. */
  async close(): Promise<void> {
    const watcher = this.#watcher;
    if (watcher.exitCode === null && watcher.signalCode === null) {
      const gone = once(watcher, 'exit');
      watcher.ref();
      watcher.stdin?.end();
      await gone;
    }
    if (watcher.exitCode === 0) return;
    try {
      remove(this.#table);
    } catch (cause) {
      throw new MytapeError(
        'no-privilege',
        `the nft table ${this.#table} is left, because the process that would have removed it was killed (run as root: nft delete table inet ${this.#table})`,
        { cause },
      );
    }
  }
}

function matchOf({ target, targetPort }: GuardedPorts): string {
  return `${target.family === 4 ? 'ip' : 'ip6'} saddr ${target.text} tcp sport ${targetPort} `;
}

function ruleOf(ports: GuardedPorts): string {
  const { first, last } = ports;
  const taken = [...ports.taken].filter((port) => port >= first && port <= last);
  const but = taken.length === 0 ? '' : `tcp dport != { ${taken.join(', ')} } `;
  return `    ${matchOf(ports)}tcp dport ${first}-${last} ${but}drop`;
}

function tableOf(name: string, services: readonly GuardedPorts[]): string {
  // In the input hook and no earlier: what is forwarded to others stays as it is.
  return `table inet ${name} {
  chain input {
    type filter hook input priority filter; policy accept;
${services.map(ruleOf).join('\n')}
  }
}
`;
}

/** Removes tables whose owner is dead; refuses where a living one has the same ports in use. */
function clearLeftovers(services: readonly GuardedPorts[]): void {
  for (const [, table, owner] of nft(['list', 'tables']).matchAll(/^table inet (mytape_(\d+))$/gm)) {
    if (Number(owner) === process.pid || !existsSync(`/proc/${owner}`)) {
      remove(table);
      continue;
    }
    const rules = nft(['list', 'table', 'inet', table]);
    const same = services.find((ports) => rules.includes(matchOf(ports)));
    if (same !== undefined) {
      throw new MytapeError(
        'refused',
        `process ${owner} replays from this host's own address to ${same.target.text}:${same.targetPort} already, by the same ports: ` +
          `wait for it, or use --clients CIDR (if it is no replay: nft delete table inet ${table})`,
      );
    }
  }
}

/** Somebody else, its watcher say, may be removing it at this moment. */
function remove(table: string): void {
  try {
    nft(['delete', 'table', 'inet', table]);
  } catch (error) {
    if (nft(['list', 'tables']).includes(`table inet ${table}\n`)) throw error;
  }
}

/** Runs nft to its end; what it printed. */
function nft(args: readonly string[], input = ''): string {
  const { error, status, stdout, stderr } = spawnSync('nft', args, { input, encoding: 'utf8' });
  if (error !== undefined) {
    throw new MytapeError(
      'no-library',
      "speaking from this host's own address needs nft, to keep the kernel from resetting our connections, and there is none on the PATH " +
        `(it is in /usr/sbin; Debian: apt install nftables): ${error.message}`,
      { cause: error },
    );
  }
  if (status === 0) return stdout;
  if (/not permitted|must be root/i.test(stderr)) {
    throw new MytapeError(
      'no-privilege',
      "cannot keep this host's kernel from resetting our connections: nft needs CAP_NET_ADMIN (try: as root)",
    );
  }
  throw new MytapeError('system-call', `nft ${args.join(' ')}: ${stderr.trim().split('\n')[0]}`);
}
