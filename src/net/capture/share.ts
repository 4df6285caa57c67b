/** One of several rings, in threads or processes of their own, that split the packets of an interface between them. */
export interface Share {
  /** Which one this is, from 0. It takes the TCP segments to ports whose remainder by `of` is this. */
  index: number;
  of: number;
}

/**
 * The filter of one share of what `filter` takes, in pcap's syntax. All other packets fall to share 0: fragments, IPv6 with
 * extension headers, whatever is not TCP.
 *
 * A filter on each ring, not PACKET_FANOUT (packet(7)): that one numbers the members of its group as they join, and again
 * when one leaves, so that the others would take packets of flows that they do not have. The price is that the kernel runs
 * all the filters on each packet.
 */
export function shareFilter(filter: string | undefined, share: Share): string {
  const { index, of } = share;
  // libpcap's `tcp[…]` is IPv4's alone, and of the first fragment.
  const ports = ['tcp[2:2]', 'ip6[42:2]'].map(
    (port) => `${port} % ${of} ${index === 0 ? '!=' : '='} ${index}`,
  );
  const tcp = `(${ports[0]}) or (ip6 proto 6 and ${ports[1]})`;
  const own = index === 0 ? `not (${tcp})` : `(${tcp})`;
  // First, because a `vlan` in the filter shifts the offsets of all that comes after it.
  return filter ? `${own} and (${filter})` : own;
}
