import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

/** Of net.ipv4.conf.*.rp_filter: a packet must arrive where the route to its source leads (RFC 3704 2.2). */
const STRICT = 1;

/** Interface flags of netdevice(7). */
const IFF_LOOPBACK = 0x8;
const IFF_POINTOPOINT = 0x10;
const IFF_NOARP = 0x80;

/**
 * What holds for IPv4 packets that arrive on `iface`: 0 no check, 1 strict, 2 loose. The kernel takes the larger of the
 * interface's own setting and that of `all`. IPv6 has no such check in the kernel. `proc`: where /proc is.
 */
export function rpFilterOf(iface: string, proc = '/proc'): number {
  return Math.max(...['all', iface].map((name) => read(`${proc}/sys/net/ipv4/conf/${name}/rp_filter`)));
}

/** The line that has `iface` take packets whose source is routed elsewhere. 2 and not 0: it wins over `all`. */
export function loosen(iface: string): string {
  // A dot in an interface's name is written as a slash: sysctl(8).
  return `sysctl -w net.ipv4.conf.${iface.replaceAll('.', '/')}.rp_filter=2`;
}

/**
 * Where we capture on an interface that leads nowhere (a dummy, or a veth without ARP), the route for the clients ends there, and
 * their packets arrive elsewhere: what strict filtering then drops, in words. undefined: nothing.
 */
export function rpFilterWarning(capturing: readonly string[]): string | undefined {
  const ends = capturing.filter(leadsNowhere);
  if (ends.length === 0) return undefined;
  const strict = Object.entries(networkInterfaces())
    .filter(([name, addresses]) => {
      const own = addresses?.some(({ family, internal }) => family === 'IPv4' && !internal);
      return own && !ends.includes(name) && rpFilterOf(name) === STRICT;
    })
    .map(([name]) => name);
  if (strict.length === 0) return undefined;
  return (
    `packets of the replay that arrive on ${strict.join(', ')} are dropped: the route for the clients leads to ${ends.join(', ')}, and ` +
    `rp_filter is strict (run: ${strict.map(loosen).join(' && ')})`
  );
}

function leadsNowhere(iface: string): boolean {
  const flags = read(`/sys/class/net/${iface}/flags`);
  return (flags & IFF_NOARP) !== 0 && (flags & (IFF_LOOPBACK | IFF_POINTOPOINT)) === 0;
}

/** A number in a file; 0 where there is none. */
function read(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return 0;
  }
}
