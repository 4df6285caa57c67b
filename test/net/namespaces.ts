import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { koffi } from '../../src/net/libc.ts';

/** Why these tests can't run here, or false. */
export const skip =
  process.platform !== 'linux'
    ? 'needs Linux'
    : process.getuid?.() !== 0
      ? 'needs root, for network namespaces'
      : false;

/** The two hosts of every test here: a veth pair between two network namespaces. */
export const HERE = { address: '10.111.0.1', address6: 'fd00:111::1', iface: 'here' };
export const THERE = { address: '10.111.0.2', address6: 'fd00:111::2', iface: 'there' };
/** Ranges that `here` reaches via `there`, and that nobody has. */
export const FOREIGN = '10.112.0.0/16';
export const FOREIGN6 = 'fd00:112::/32';

const CLONE_NEWNET = 0x4000_0000;

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Namespaces of test processes that were killed before they could remove them. */
function removeLeftovers(): void {
  for (const [name, pid] of ip('netns', 'list').matchAll(/^mytape-net-(\d+)-\w+/gm)) {
    if (!existsSync(`/proc/${pid}`)) ip('netns', 'del', name);
  }
}

export type Side = 'here' | 'there';

/**
 * A veth pair, each end in a namespace of its own. A socket belongs to the namespace that its thread was in when it was
 * opened: so one process opens some on either side.
 */
export class Pair {
  #prefix = `mytape-net-${process.pid}`;
  #home = openSync('/proc/self/ns/net', 'r');
  #setns = koffi().load(null).func('int setns(int fd, int kind)');

  constructor() {
    removeLeftovers();
    for (const side of ['here', 'there'] as const) {
      ip('netns', 'add', this.name(side));
      ip('-n', this.name(side), 'link', 'set', 'lo', 'up');
    }
    this.addLink();
  }

  /** The namespace of one side. */
  name(side: Side): string {
    return `${this.#prefix}-${side}`;
  }

  addLink(): void {
    const [here, there] = [this.name('here'), this.name('there')];
    ip('-n', here, 'link', 'add', HERE.iface, 'type', 'veth', 'peer', 'name', THERE.iface, 'netns', there);
    for (const [side, own] of [
      ['here', HERE],
      ['there', THERE],
    ] as const) {
      this.ip(side, 'link', 'set', own.iface, 'up');
      this.ip(side, 'addr', 'add', `${own.address}/24`, 'dev', own.iface);
      this.ip(side, 'addr', 'add', `${own.address6}/64`, 'dev', own.iface, 'nodad');
    }
    this.ip('here', 'route', 'add', FOREIGN, 'via', THERE.address);
    this.ip('here', '-6', 'route', 'add', FOREIGN6, 'via', THERE.address6);
    // Packets whose sender can't be resolved would wait for ARP, and come out of order.
    for (const [side, own, other] of [
      ['here', HERE, THERE],
      ['there', THERE, HERE],
    ] as const) {
      const mac = this.#mac(side === 'here' ? 'there' : 'here');
      for (const address of [other.address, other.address6]) {
        this.ip(side, 'neigh', 'replace', address, 'lladdr', mac, 'dev', own.iface);
      }
    }
  }

  #mac(side: Side): string {
    const iface = side === 'here' ? HERE.iface : THERE.iface;
    return /link\/ether (\S+)/.exec(this.ip(side, 'link', 'show', iface))![1];
  }

  /** ip(8) on one side. */
  ip(side: Side, ...args: string[]): string {
    return ip('-n', this.name(side), ...args);
  }

  /** Runs `open` with this thread inside one side's namespace. Nothing else may open sockets meanwhile. */
  async on<T>(side: Side, open: () => T | Promise<T>): Promise<T> {
    const fd = openSync(`/run/netns/${this.name(side)}`, 'r');
    if (this.#setns(fd, CLONE_NEWNET) !== 0) throw new Error(`setns ${side}`);
    closeSync(fd);
    try {
      return await open();
    } finally {
      this.#setns(this.#home, CLONE_NEWNET);
    }
  }

  close(): void {
    for (const side of ['here', 'there'] as const) ip('netns', 'del', this.name(side));
    closeSync(this.#home);
  }
}
