import { makeBlock, type PacketBlock } from '../wire/packets.ts';
import { PCAP_RECORD_OCTETS, PCAP_SNAPLEN, wholeSecond, writePcapRecord } from '../wire/pcap.ts';
import { MAX_BLOCK_OCTETS } from './codec.ts';

/** A block is packed when the next packet would take it past this. LZ4 packs small blocks better: decision 0001. */
const FILL_OCTETS = 64 * 1024;

/** Packets that a block of FILL_OCTETS holds at most: records without any octets. */
const MAX_PACKETS = FILL_OCTETS / PCAP_RECORD_OCTETS;

/** A packet with more is cut to this, so that its record fits into one block. No interface gives more than 64 KiB. */
const MAX_PACKET_OCTETS = Math.min(PCAP_SNAPLEN, MAX_BLOCK_OCTETS - PCAP_RECORD_OCTETS);

/** Below this, copying word by word beats TypedArray.set, whose view of the source costs more than the copy. */
const WORDWISE_OCTETS = 128;

/** The block of an archive that is being filled: whole pcap records, and the columns over them. */
export class OpenBlock {
  readonly block: PacketBlock;
  /** Its records take octets [0, filled) of the block. */
  filled = 0;
  readonly #originSec: number;
  /** The second that packets are in now, as the time of its start: saves a division a packet. */
  #secondAt = 0;
  #second: number;

  /** `originSec`: see PacketSource. */
  constructor(linkType: number, originSec: number) {
    this.block = makeBlock(new Uint8Array(MAX_BLOCK_OCTETS), MAX_PACKETS, linkType);
    this.#originSec = originSec;
    this.#second = originSec;
  }

  /** It is empty again; its octets stay as they are until packets are added. */
  clear(): void {
    this.filled = 0;
    this.block.count = 0;
  }

  /** Copies packets of `source`, from number `first` on, as long as there is room. Returns the number of the first that has none. */
  add(source: PacketBlock, first: number): number {
    const { octets, view, count, offset, length, wireLength, at } = source;
    const { block } = this;
    const { octets: out, view: outView } = block;
    for (let i = first; i < count; i++) {
      const captured = Math.min(length[i], MAX_PACKET_OCTETS);
      if (this.filled + PCAP_RECORD_OCTETS + captured > FILL_OCTETS && block.count > 0) return i;
      const time = at[i];
      const ns = time - this.#secondAt;
      if (ns < 0 || ns >= 1e9) this.#enterSecond(time);
      writePcapRecord(outView, this.filled, this.#second, time - this.#secondAt, captured, wireLength[i]);
      const from = offset[i];
      const to = this.filled + PCAP_RECORD_OCTETS;
      if (captured < WORDWISE_OCTETS) {
        let done = 0;
        for (; done + 4 <= captured; done += 4) outView.setUint32(to + done, view.getUint32(from + done));
        for (; done < captured; done++) out[to + done] = octets[from + done];
      } else {
        out.set(octets.subarray(from, from + captured), to);
      }
      const column = block.count++;
      block.offset[column] = to;
      block.length[column] = captured;
      block.wireLength[column] = wireLength[i];
      block.at[column] = time;
      this.filled = to + captured;
    }
    return count;
  }

  #enterSecond(time: number): void {
    const second = wholeSecond(time);
    this.#second = this.#originSec + second;
    this.#secondAt = second * 1e9;
  }
}
