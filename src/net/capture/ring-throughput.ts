import { captureNs, makeBlock, type PacketBlock } from '../../wire/packets.ts';
import type { InterfaceCopies } from './interface-copies.ts';
import { makeRing, placeOf, type RingReader, STATUS_USER } from './packet-socket.ts';

/**
 * TPACKET_V3: the kernel packs packets into large blocks and hands over whole ones, when full or `RETIRE_MS` old.
 * Cheap (a tenth of a microsecond a packet) and patient (survives our pauses), at the price of that delay.
 *
 * Where the reader is slower than the packets come for longer than that, the ring's blocks are copied into ordinary memory
 * once a quarter of the ring is full, so that the kernel always has room: it takes the reader one turn, not the CPU that working
 * through the packets takes.
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
/** What may be copied out of the ring and wait, as a multiple of the ring's size. */
const BACKLOG_RINGS = 4;
/** Least room that a packet takes in a block: its header, a sockaddr_ll, room for link-layer and network header. */
const MIN_PACKET_OCTETS = 96;
const MOST_PACKETS = Math.ceil(BLOCK_OCTETS / MIN_PACKET_OCTETS);

/** struct tpacket_block_desc, in 32-bit words. */
const BLOCK_STATUS = 2;
const BLOCK_PACKETS = 3;
const BLOCK_FIRST = 4;
const BLOCK_LENGTH = 5;
/** struct tpacket3_hdr, in 32-bit words; TP_MAC in 16-bit ones. */
const TP_NEXT = 0;
const TP_SEC = 1;
const TP_NSEC = 2;
const TP_SNAPLEN = 3;
const TP_LEN = 4;
const TP_MAC = 12;
/** Its sockaddr_ll, octets behind its beginning. */
const TP_SLL = 48;

/** Where ring blocks lie, and the packets of one of them. */
interface Place {
  words: Uint32Array;
  halves: Uint16Array;
  block: PacketBlock;
}

export class ThroughputRing implements RingReader {
  /** The ring itself. */
  #ring: Place;
  #signed: Int32Array;
  #blockWords: number;
  #blocks: number;
  /** Ring blocks that were copied, oldest first, and where the oldest is put to be read; undefined until one is. */
  #backlog: Uint8Array[] = [];
  #backlogOctets = 0;
  #copy: Place | undefined;
  #originSec: number;
  #copies: InterfaceCopies | undefined;
  /** The ring block to look at next. */
  #next = 0;
  /** The status word of the ring block that is lent out, or -1. */
  #lent = -1;

  /** Makes the ring on a packet socket that is not yet bound to a protocol. `copies`: packets that it knows are left out. */
  constructor(
    fd: number,
    bufferOctets: number,
    linkType: number,
    originSec: number,
    copies: InterfaceCopies | undefined,
  ) {
    this.#blocks = Math.max(2, Math.floor(bufferOctets / BLOCK_OCTETS));
    this.#blockWords = BLOCK_OCTETS / 4;
    this.#originSec = originSec;
    this.#copies = copies;
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
    this.#signed = signed;
    this.#ring = { words, halves, block: makeBlock(octets, MOST_PACKETS, linkType) };
  }

  take(): PacketBlock | undefined {
    this.#giveBack();
    if (this.#backlog.length > 0 || this.#isReady(this.#blocks >> 2)) this.#copyOut();
    const oldest = this.#backlog.shift();
    if (oldest !== undefined) return this.#readCopy(oldest);
    for (;;) {
      const base = this.#lend();
      if (base === undefined) return undefined;
      // Older kernels retire empty blocks, too.
      if (this.#ring.words[base + BLOCK_PACKETS] > 0) return this.#read(this.#ring, base);
      this.#giveBack();
    }
  }

  hasReady(): boolean {
    return this.#backlog.length > 0 || this.#isReady(0);
  }

  /** Whether the ring block that comes after `ahead` others is ours to read. */
  #isReady(ahead: number): boolean {
    const block = (this.#next + ahead) % this.#blocks;
    return (Atomics.load(this.#signed, block * this.#blockWords + BLOCK_STATUS) & STATUS_USER) !== 0;
  }

  /** Lends the next ring block. Returns the word it begins at; undefined: none is ready. */
  #lend(): number | undefined {
    if (!this.#isReady(0)) return undefined;
    const base = this.#next * this.#blockWords;
    this.#lent = base + BLOCK_STATUS;
    this.#next = this.#next + 1 === this.#blocks ? 0 : this.#next + 1;
    return base;
  }

  /** Moves what is ready to the backlog, as far as that may grow. */
  #copyOut(): void {
    const { words, block } = this.#ring;
    const most = BACKLOG_RINGS * this.#blocks * BLOCK_OCTETS;
    while (this.#backlogOctets < most) {
      const base = this.#lend();
      if (base === undefined) return;
      if (words[base + BLOCK_PACKETS] > 0) {
        const length = words[base + BLOCK_LENGTH];
        this.#backlog.push(block.octets.slice(base * 4, base * 4 + length));
        this.#backlogOctets += length;
      }
      this.#giveBack();
    }
  }

  #readCopy(octets: Uint8Array): PacketBlock {
    this.#backlogOctets -= octets.length;
    if (this.#copy === undefined) {
      const room = new Uint8Array(new ArrayBuffer(BLOCK_OCTETS));
      const [words, halves] = [new Uint32Array(room.buffer), new Uint16Array(room.buffer)];
      this.#copy = { words, halves, block: makeBlock(room, MOST_PACKETS, this.#ring.block.linkType) };
    }
    this.#copy.block.octets.set(octets);
    return this.#read(this.#copy, 0);
  }

  #giveBack(): void {
    if (this.#lent < 0) return;
    Atomics.store(this.#signed, this.#lent, 0);
    this.#lent = -1;
  }

  /** All packets of the ring block at word `base`, in one pass. */
  #read({ words, halves, block }: Place, base: number): PacketBlock {
    const { offset, length, wireLength, at } = block;
    const originSec = this.#originSec;
    const copies = this.#copies;
    let octet = base * 4 + words[base + BLOCK_FIRST];
    let i = 0;
    for (let left = words[base + BLOCK_PACKETS]; left > 0; left--) {
      const word = octet >>> 2;
      offset[i] = octet + halves[(octet >>> 1) + TP_MAC];
      length[i] = words[word + TP_SNAPLEN];
      wireLength[i] = words[word + TP_LEN];
      at[i] = captureNs(words[word + TP_SEC], words[word + TP_NSEC], originSec);
      const isCopy = copies?.isCopy(
        block.view,
        offset[i],
        length[i],
        placeOf(block.view, octet + TP_SLL),
        at[i],
      );
      if (isCopy !== true) i++;
      octet += words[word + TP_NEXT];
    }
    block.count = i;
    return block;
  }
}
