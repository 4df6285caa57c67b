import { captureNs, makeBlock, type PacketBlock } from '../wire/packets.ts';
import { makeRing, type RingReader, STATUS_USER } from './packet-socket.ts';

/**
 * TPACKET_V3: the kernel packs packets into large blocks and hands over whole ones, when full or `RETIRE_MS` old.
 * Cheap (a tenth of a microsecond a packet) and patient (survives our pauses), at the price of that delay.
 */

const TPACKET_V3 = 2;
/** How long the kernel keeps a block that is not full. */
export const RETIRE_MS = 20;
/**
 * Any packet fits. Small all the same, because a quiet block is handed over when it is old, however empty: a ring of 64
 * MiB then is 256 blocks, and lets its reader stall for five seconds; with blocks of 1 MiB it was 0.6 s.
 */
const BLOCK_OCTETS = 1 << 18;
/** Of no meaning in V3 beyond having to divide a block. */
const FRAME_OCTETS = 2048;
/** Least room that a packet takes in a block: its header, a sockaddr_ll, room for link-layer and network header. */
const MIN_PACKET_OCTETS = 96;

/** struct tpacket_block_desc, in 32-bit words. */
const BLOCK_STATUS = 2;
const BLOCK_PACKETS = 3;
const BLOCK_FIRST = 4;
/** struct tpacket3_hdr, in 32-bit words; TP_MAC in 16-bit ones. */
const TP_NEXT = 0;
const TP_SEC = 1;
const TP_NSEC = 2;
const TP_SNAPLEN = 3;
const TP_LEN = 4;
const TP_MAC = 12;

export class ThroughputRing implements RingReader {
  #words: Uint32Array;
  #signed: Int32Array;
  #halves: Uint16Array;
  #block: PacketBlock;
  #blockWords: number;
  #blocks: number;
  #originSec: number;
  /** The ring block to look at next. */
  #next = 0;
  /** The status word of the ring block that is lent out, or -1. */
  #lent = -1;

  /** Makes the ring on a packet socket that is not yet bound to a protocol. */
  constructor(fd: number, bufferOctets: number, linkType: number, originSec: number) {
    this.#blocks = Math.max(2, Math.floor(bufferOctets / BLOCK_OCTETS));
    this.#blockWords = BLOCK_OCTETS / 4;
    this.#originSec = originSec;
    // struct tpacket_req3: block size, blocks, frame size, frames, retire time, private octets, features.
    const request = Uint32Array.of(
      BLOCK_OCTETS,
      this.#blocks,
      FRAME_OCTETS,
      (this.#blocks * BLOCK_OCTETS) / FRAME_OCTETS,
      RETIRE_MS,
      0,
      0,
    );
    const { octets, halves, words, signed } = makeRing(fd, TPACKET_V3, request);
    this.#words = words;
    this.#signed = signed;
    this.#halves = halves;
    this.#block = makeBlock(octets, Math.ceil(BLOCK_OCTETS / MIN_PACKET_OCTETS), linkType);
  }

  take(): PacketBlock | undefined {
    this.#giveBack();
    for (;;) {
      const base = this.#next * this.#blockWords;
      const status = base + BLOCK_STATUS;
      if ((Atomics.load(this.#signed, status) & STATUS_USER) === 0) return undefined;
      this.#lent = status;
      this.#next = this.#next + 1 === this.#blocks ? 0 : this.#next + 1;
      // Older kernels retire empty blocks, too.
      if (this.#words[base + BLOCK_PACKETS] > 0) return this.#read(base);
      this.#giveBack();
    }
  }

  hasReady(): boolean {
    return (Atomics.load(this.#signed, this.#next * this.#blockWords + BLOCK_STATUS) & STATUS_USER) !== 0;
  }

  #giveBack(): void {
    if (this.#lent < 0) return;
    Atomics.store(this.#signed, this.#lent, 0);
    this.#lent = -1;
  }

  /** All packets of the ring block at word `base`, in one pass. */
  #read(base: number): PacketBlock {
    const words = this.#words;
    const halves = this.#halves;
    const block = this.#block;
    const { offset, length, wireLength, at } = block;
    const originSec = this.#originSec;
    const count = words[base + BLOCK_PACKETS];
    let octet = base * 4 + words[base + BLOCK_FIRST];
    for (let i = 0; i < count; i++) {
      const word = octet >>> 2;
      offset[i] = octet + halves[(octet >>> 1) + TP_MAC];
      length[i] = words[word + TP_SNAPLEN];
      wireLength[i] = words[word + TP_LEN];
      at[i] = captureNs(words[word + TP_SEC], words[word + TP_NSEC], originSec);
      octet += words[word + TP_NEXT];
    }
    block.count = count;
    return block;
  }
}
