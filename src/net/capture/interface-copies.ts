import type { CaptureNs } from '../../time.ts';

/** How long after a packet another interface may show it again: it waits in queues, no longer. */
const WITHIN_NS = 100e6;

/** Packets that are remembered, the newest of each slot. */
const SLOTS = 1 << 16;

/** What of a packet is compared, octets from its IP header on: that and TCP's with its options. */
const COMPARED_OCTETS = 80;

const IPV6_OCTETS = 40;
const TCP = 6;
/** TCP's checksum and urgent pointer: the checksum is a card's to fill in, so it changes on the way. */
const TCP_CHECKSUM = 16;

/**
 * Tells a packet that several interfaces show one after the other (a bridge and its ports, a bond and its parts, a VLAN and its device, both ends
 * of a veth pair, loopback's two directions) from a retransmission, which comes the same way as the first. Two packets are one where
 * all agrees that no hop changes: TTL, traffic class and checksums may differ.
 */
export class InterfaceCopies {
  /** How many were copies. */
  count = 0;
  readonly #one = new Int32Array(SLOTS);
  readonly #other = new Int32Array(SLOTS);
  readonly #place = new Int32Array(SLOTS);
  readonly #at = new Float64Array(SLOTS).fill(Number.NEGATIVE_INFINITY);

  /** Whether the packet whose IP header is at `from` was shown elsewhere already. `place` says by which interface, and which way. */
  isCopy(view: DataView, from: number, length: number, place: number, at: CaptureNs): boolean {
    const octets = Math.min(length, COMPARED_OCTETS) & ~3;
    const first = octets < 20 ? 0 : view.getUint32(from);
    const version = first >>> 28;
    if (version !== 4 && version !== 6) return false;
    const isV4 = version === 4;
    const protocol = view.getUint8(from + (isV4 ? 9 : 6));
    const tcp = protocol === TCP ? (isV4 ? ((first >>> 24) & 15) * 4 : IPV6_OCTETS) : COMPARED_OCTETS;
    // Without the traffic class; then, below, without TTL and header checksum, or hop limit.
    let one = first & (isV4 ? 0xff00ffff : 0xf00fffff);
    let other = length;
    for (let i = 4; i < octets; i += 4) {
      let word = view.getUint32(from + i);
      if (i === tcp + TCP_CHECKSUM) word &= 0xffff;
      else if (isV4 ? i === 8 : i === 4) word &= isV4 ? 0x00ff0000 : 0xffffff00;
      one = Math.imul(one ^ word, 0x9e3779b1);
      other = Math.imul((other << 7) ^ (other >>> 25) ^ word, 0x85ebca6b);
    }
    const slot = (one ^ (one >>> 15)) & (SLOTS - 1);
    const isKnown = this.#one[slot] === one && this.#other[slot] === other;
    if (isKnown && this.#place[slot] !== place && at - this.#at[slot] < WITHIN_NS) {
      this.count++;
      return true;
    }
    this.#one[slot] = one;
    this.#other[slot] = other;
    this.#place[slot] = place;
    this.#at[slot] = at;
    return false;
  }
}
