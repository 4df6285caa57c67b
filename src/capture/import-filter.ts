import type { CaptureNs } from '../time.ts';
import { FragmentStore } from '../wire/fragments.ts';
import { makeBlock, type PacketBlock } from '../wire/packets.ts';
import { CTL, PARSE, Segment } from '../wire/segment.ts';
import { Census } from './import-census.ts';

/** Keeps what a recording of these ports would have, TCP from and to them, and puts fragments together. */
export class ImportFilter {
  readonly wanted: ReadonlySet<number>;
  readonly census = new Census();
  /** Packets that were put together, and the fragments that they came in. */
  joined = 0;
  joinedFragments = 0;
  /** Kept packets that the capture cut within their data, and the most octets that one of them has. */
  cut = 0;
  cutTo = 0;
  readonly #keep: (block: PacketBlock) => void;
  readonly #segment = new Segment();
  readonly #fragments = new FragmentStore();
  readonly #whole = makeBlock(new Uint8Array(0), 1, -1);

  /** `keep` is told what to keep, in order; a block is valid during the call. */
  constructor(ports: readonly number[], keep: (block: PacketBlock) => void) {
    this.wanted = new Set(ports);
    this.#keep = keep;
  }

  /** Takes the packets of a block, whose columns it changes. */
  take(block: PacketBlock): void {
    const { linkType, octets, view, offset, length, wireLength, at, count } = block;
    const segment = this.#segment;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const answer = segment.parse(octets, view, offset[i], length[i], linkType);
      if (answer === PARSE.fragment) {
        const whole = this.#join(linkType, offset[i], at[i]);
        if (whole === undefined) continue;
        // What was kept so far was before it.
        this.#flush(block, kept);
        kept = 0;
        this.#keep(whole);
        continue;
      }
      if (!this.#isWanted(answer, 1)) continue;
      this.#count(length[i]);
      offset[kept] = offset[i];
      length[kept] = length[i];
      wireLength[kept] = wireLength[i];
      at[kept] = at[i];
      kept++;
    }
    this.#flush(block, kept);
  }

  /** There are no more packets. */
  finish(): void {
    this.#fragments.finish();
    const { incomplete, conflicting, repeated } = this.#fragments.counts;
    this.census.add('fragments-incomplete', incomplete);
    this.census.add('fragments-conflicting', conflicting);
    this.census.add('fragments-repeated', repeated);
  }

  #flush(block: PacketBlock, kept: number): void {
    block.count = kept;
    if (kept > 0) this.#keep(block);
  }

  /** Whether to keep what was parsed last; what not, is counted as `packets` of the capture. */
  #isWanted(answer: number, packets: number): boolean {
    const segment = this.#segment;
    if (answer !== PARSE.ok) {
      this.census.unread(answer, segment.headers, packets);
      return false;
    }
    const { srcPort, dstPort, flags, layers } = segment;
    if (this.wanted.has(srcPort) || this.wanted.has(dstPort)) return true;
    const accepts = (flags & (CTL.syn | CTL.ack)) === (CTL.syn | CTL.ack);
    this.census.otherPort(srcPort, dstPort, accepts, layers, packets);
    return false;
  }

  #count(captured: number): void {
    const { layers, dataLength, wireDataLength } = this.#segment;
    this.census.kept(layers);
    if (dataLength >= wireDataLength) return;
    this.cut++;
    if (captured > this.cutTo) this.cutTo = captured;
  }

  /**
   * Takes the fragment that was parsed last. Returns the packet, as a block, where that made it whole and it is wanted. A
   * packet that was put together may be a fragment itself, where each end of a tunnel cut it.
   */
  #join(linkType: number, offset: number, at: CaptureNs): PacketBlock | undefined {
    const segment = this.#segment;
    const block = this.#whole;
    let packets = 1;
    for (let from = offset; ; from = 0) {
      const whole = this.#fragments.add(segment.headers, from, at, linkType, packets);
      if (whole === undefined) return undefined;
      packets = whole.packets;
      const { octets, wireLength } = whole;
      block.linkType = linkType;
      block.octets = octets;
      block.view = new DataView(octets.buffer, octets.byteOffset, octets.length);
      block.count = 1;
      block.offset[0] = 0;
      block.length[0] = octets.length;
      block.wireLength[0] = wireLength;
      block.at[0] = at;
      const answer = segment.parse(octets, block.view, 0, octets.length, linkType);
      if (answer === PARSE.fragment) continue;
      if (!this.#isWanted(answer, packets)) return undefined;
      this.#count(octets.length);
      this.joined++;
      this.joinedFragments += packets;
      return block;
    }
  }
}
