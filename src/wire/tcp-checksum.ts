import { foldChecksum, sumWords } from './checksum.ts';
import type { Segment } from './segment.ts';

const PROTOCOL_TCP = 6;
const CHECKSUM = 16;

/** `unknown`: it was not filled in yet where the packet was captured, or the capture cut the packet. */
export type ChecksumVerdict = 'right' | 'wrong' | 'unknown';

/** Whether the TCP checksum (RFC 9293 3.1, RFC 8200 8.1) of a segment fits its octets and addresses. */
export function tcpChecksumOf(segment: Segment): ChecksumVerdict {
  const { octets, view, tcpOffset, dataOffset, dataLength, wireDataLength, srcOffset, family } = segment;
  const field = view.getUint16(tcpOffset + CHECKSUM);
  if (field === 0 || dataLength < wireDataLength) return 'unknown';
  const end = dataOffset + wireDataLength;
  // The addresses stand one behind the other.
  const addresses = sumWords(octets, srcOffset, srcOffset + (family === 4 ? 8 : 32));
  const pseudo = addresses + PROTOCOL_TCP + (end - tcpOffset);
  if (foldChecksum(sumWords(octets, tcpOffset, end, pseudo)) === 0) return 'right';
  // A sender whose network card is to do the sum leaves that of the pseudo-header there, not complemented.
  return field === (~foldChecksum(pseudo) & 0xffff) ? 'unknown' : 'wrong';
}
