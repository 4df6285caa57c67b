/** A whole packet out of its fragments: headers of the first, with lengths and checksums that are right again. */
import { foldChecksum, sumWords } from './checksum.ts';
import { LENGTH } from './headers.ts';

export interface Fragment {
  /** Its place in the whole, octets. */
  offset: number;
  /** Octets that it has on the wire. */
  wireLength: number;
  /** Those of them that were captured; owned. */
  octets: Uint8Array;
  hash: number;
  /** Packets of the capture that it stands for: several, where it was put together itself. */
  packets: number;
}

/** The first fragment's headers; owned. */
export interface FirstFragment {
  /** The captured packet from its link-layer header to its fragment's octets. */
  octets: Uint8Array;
  /** Within `octets`: the IP header, and the IPv6 fragment header. */
  ip: number;
  fragmentHeader: number;
  family: number;
  nextHeaderAt: number;
  /** Length fields from the outermost on, the last being the IP header's own: place, and kind (LENGTH). */
  lengthAt: number[];
  lengthKind: number[];
  llcEnd: number;
}

const MAX_LENGTH = 65_535;
const MAX_8023_LENGTH = 1500;
const IPV6_OCTETS = 40;
const FRAGMENT_HEADER_OCTETS = 8;

/**
 * Joins `fragments`, which make `total` octets without a gap. Where one was cut by the capture, what is behind it is left
 * out: the packet is then cut itself. Undefined: no IP header can say how long it would be.
 */
export function joinFragments(
  first: FirstFragment,
  fragments: readonly Fragment[],
  total: number,
): { octets: Uint8Array; wireLength: number } | undefined {
  const { family } = first;
  const headers = family === 4 ? first.octets.slice() : withoutFragmentHeader(first);
  const ownLength = headers.length - first.ip + total - (family === 4 ? 0 : IPV6_OCTETS);
  if (ownLength > MAX_LENGTH) return undefined;
  const view = new DataView(headers.buffer);
  if (family === 4) view.setUint16(first.ip + 6, view.getUint16(first.ip + 6) & 0xc000);
  const own = first.lengthAt.length - 1;
  view.setUint16(first.lengthAt[own], ownLength);
  if (family === 4) mendChecksum(headers, view, first.ip);
  const firstOctets = fragments.find(({ offset }) => offset === 0)!.wireLength;
  const before = first.octets.length + firstOctets;
  // From the inside out: a header that goes moves only what is behind it.
  let mended = headers;
  for (let i = own - 1; i >= 0; i--) mended = mendLength(mended, first, i, mended.length + total - before);
  const wireLength = mended.length + total;
  const octets = new Uint8Array(wireLength);
  octets.set(mended);
  let captured = 0;
  for (const fragment of [...fragments].sort((a, b) => a.offset - b.offset)) {
    octets.set(fragment.octets, mended.length + fragment.offset);
    captured = fragment.offset + fragment.octets.length;
    if (fragment.octets.length < fragment.wireLength) break;
  }
  return { octets: octets.subarray(0, mended.length + captured), wireLength };
}

/** IPv6's fragment header goes, and the header before it names what comes next. */
function withoutFragmentHeader(first: FirstFragment): Uint8Array {
  const { octets, fragmentHeader, nextHeaderAt } = first;
  const headers = octets.slice(0, octets.length - FRAGMENT_HEADER_OCTETS);
  headers[nextHeaderAt] = octets[fragmentHeader];
  return headers;
}

/**
 * Makes length field `i`, which encloses the packet, larger by `more`. A length that does not fit becomes 0, which is what
 * senders with offload write. Returns the headers, which may be others.
 */
function mendLength(headers: Uint8Array, first: FirstFragment, i: number, more: number): Uint8Array {
  const at = first.lengthAt[i];
  const kind = first.lengthKind[i];
  const view = new DataView(headers.buffer, headers.byteOffset, headers.length);
  const before = view.getUint16(at);
  if (before === 0) return headers;
  const after = before + more;
  if (kind === LENGTH.ieee8023 && after > MAX_8023_LENGTH) {
    if (first.lengthKind.lastIndexOf(kind) === i) return withoutLlc(headers, first, at);
    view.setUint16(at, 0);
    return headers;
  }
  view.setUint16(at, after > MAX_LENGTH ? 0 : after);
  if (kind === LENGTH.ipv4) mendChecksum(headers, view, at - 2);
  // Of UDP's checksum 0 says that there is none (RFC 768; RFC 6935 for tunnels over IPv6).
  else if (kind === LENGTH.udp) view.setUint16(at + 2, 0);
  return headers;
}

/** An 802.3 frame as long as this has no length field: it becomes one with an EtherType. */
function withoutLlc(headers: Uint8Array, first: FirstFragment, at: number): Uint8Array {
  const isSnap = (headers[at + 2] & 0xfe) === 0xaa;
  const isIpv6 = headers[first.llcEnd] >> 4 === 6;
  const type = isSnap ? headers.subarray(first.llcEnd - 2, first.llcEnd) : isIpv6 ? [0x86, 0xdd] : [8, 0];
  return Uint8Array.from([...headers.subarray(0, at), ...type, ...headers.subarray(first.llcEnd)]);
}

function mendChecksum(headers: Uint8Array, view: DataView, ip: number): void {
  const end = ip + ((headers[ip] & 15) << 2);
  view.setUint16(ip + 10, 0);
  view.setUint16(ip + 10, foldChecksum(sumWords(headers, ip, end)));
}
