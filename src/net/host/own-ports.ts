import { readFileSync } from 'node:fs';
import { MytapeError } from '../../errors.ts';

/** Ports of this host that its kernel gives to nobody of itself, and those among them that somebody has all the same. */
export interface OwnPorts {
  /** Both included. */
  first: number;
  last: number;
  taken: ReadonlySet<number>;
}

/** Below are services. */
const FIRST_PORT = 10_000;
const LAST_PORT = 65_535;

/** Fewer are no range to replay from. */
const LEAST_PORTS = 1_000;

/**
 * Looks for the widest range of ports outside of net.ipv4.ip_local_port_range (ip(7)), from which the kernel picks those of
 * connections; IPv6's are picked from it, too. Throws 'system-call' where there is none, with what to do. `proc`: where /proc is.
 */
export function ownPorts(proc = '/proc'): OwnPorts {
  const text = readFileSync(`${proc}/sys/net/ipv4/ip_local_port_range`, 'utf8').trim();
  const [low, high] = text.split(/\s+/).map(Number);
  const below = { first: FIRST_PORT, last: low - 1 };
  const above = { first: Math.max(FIRST_PORT, high + 1), last: LAST_PORT };
  const range = above.last - above.first > below.last - below.first ? above : below;
  if (range.last - range.first + 1 < LEAST_PORTS) {
    throw new MytapeError(
      'system-call',
      `this host's kernel uses ports ${low} to ${high} for its own connections, and leaves none from ${FIRST_PORT} up to speak from ` +
        '(run: sysctl -w net.ipv4.ip_local_port_range="32768 60999")',
    );
  }
  return { ...range, taken: localPorts(proc) };
}

/** Local ports of all TCP sockets, in whatever state. */
function localPorts(proc: string): Set<number> {
  const ports = new Set<number>();
  for (const table of ['tcp', 'tcp6']) {
    let text: string;
    try {
      text = readFileSync(`${proc}/net/${table}`, 'utf8');
    } catch {
      // A kernel without IPv6.
      continue;
    }
    for (const [, port] of text.matchAll(/^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) /gm)) {
      ports.add(Number.parseInt(port, 16));
    }
  }
  return ports;
}
