import type { Share } from './share.ts';

/**
 * The filter, in pcap's syntax, of one share of the connections to `ports` that `filter` takes: both directions of those
 * the half of whose client's port has the share's index for its remainder, so that a thread has whole connections.
 *
 * Fragments and IPv6 with extension headers are nobody's: their ports are not where libpcap looks for them.
 */
export function clientShareFilter(filter: string, ports: readonly number[], { index, of }: Share): string {
  if (of === 1) return filter;
  // Halved first: Linux gives connections ports of one parity, as long as there are any (inet_hash_connect).
  const clientIs = (field: string) => `(${field} >> 1) % ${of} = ${index}`;
  const parts = ports.flatMap((port) => [
    `(tcp dst port ${port} and ip and ${clientIs('tcp[0:2]')})`,
    `(tcp src port ${port} and ip and ${clientIs('tcp[2:2]')})`,
    // libpcap's `tcp[…]` is IPv4's alone.
    `(ip6 proto 6 and ip6[42:2] = ${port} and ${clientIs('ip6[40:2]')})`,
    `(ip6 proto 6 and ip6[40:2] = ${port} and ${clientIs('ip6[42:2]')})`,
  ]);
  // First, because a `vlan` in the filter shifts the offsets of all that comes after it.
  return `(${parts.join(' or ')}) and (${filter})`;
}
