import { readFileSync } from 'node:fs';

/** Of capabilities(7): send packets with addresses of our choice, and see those of others. */
const CAP_NET_RAW = 13n;

/** Whether this process has CAP_NET_RAW in force (CapEff of proc(5)). `proc`: where /proc is. */
export function hasNetRaw(proc = '/proc'): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(read(`${proc}/self/status`))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> CAP_NET_RAW) & 1n) === 1n;
}

/**
 * The setting, as sysctl(8) calls it, that has this host forward packets which arrive on `iface`; undefined where it does not
 * forward them. IPv4's ip_forward sets that of every interface, and each can have one of its own; IPv6 has one for all.
 */
export function forwardingSetting(family: 4 | 6, iface: string, proc = '/proc'): string | undefined {
  const settings =
    family === 4 ? ['ipv4/ip_forward', `ipv4/conf/${iface}/forwarding`] : ['ipv6/conf/all/forwarding'];
  const path = settings.find((setting) => read(`${proc}/sys/net/${setting}`).trim() === '1');
  // sysctl(8) reads slashes as well, which an interface's dots need.
  return path?.includes('.') ? `net/${path}` : path && `net.${path.replaceAll('/', '.')}`;
}

/** Empty where there is none: another system, or a kernel without IPv6. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
