import { captureNs, makeBlock, type PacketBlock } from '../../wire/packets.ts';
import { addressOf, libc, MSG_DONTWAIT, setOption, setReceiveBuffer } from '../libc.ts';
import type { InterfaceCopies } from './interface-copies.ts';
import { makeRing, placeOf, type RingReader, SOL_PACKET, STATUS_USER } from './packet-socket.ts';

/**
 * TPACKET_V2: a slot a packet, ours the moment the kernel has filled it. Costs ten times as much a packet as V3 and
 * waits for nothing.
 *
 * A slot is small, and offload (GRO, TSO) makes packets of 64 KiB and more. So PACKET_COPY_THRESH is on: of a packet
 * larger than the slot the kernel puts a whole copy in the socket's receive queue, in the ring's order, and marks the
 * slot with TP_STATUS_COPY (packet(7)). Where that queue is full it does not, and the packet comes cut.
 */

const TPACKET_V2 = 1;
const PACKET_COPY_THRESH = 7;
const STATUS_COPY = 2;
/** An Ethernet frame of MTU 1500 and its header (66 octets) fit. */
const SLOT_OCTETS = 2048;
/** Slots lie in rows of this many octets, without a gap. */
const ROW_OCTETS = 1 << 18;
/** Room for whole copies in the socket's queue. */
const QUEUE_OCTETS = 32 << 20;
/** Most packets handed over at once: slots are given back only when the next block is pulled. */
const MAX_PACKETS = 512;
/** Where whole copies are received; larger than any packet (BIG TCP: 512 KiB). */
const WHOLE_OCTETS = 2 << 20;

/** struct tpacket2_hdr, in 32-bit words; TP_MAC in 16-bit ones. */
const TP_STATUS = 0;
const TP_LEN = 1;
const TP_SNAPLEN = 2;
const TP_SEC = 4;
const TP_NSEC = 5;
const TP_MAC = 6;
/** Its sockaddr_ll, octets behind its beginning. */
const TP_SLL = 32;

export class LatencyRing implements RingReader {
  #fd: number;
  #words: Uint32Array;
  #signed: Int32Array;
  #halves: Uint16Array;
  #block: PacketBlock;
  /** Packets that were larger than a slot. */
  #whole: PacketBlock;
  #wholeAddress: number;
  #slots: number;
  #originSec: number;
  #copies: InterfaceCopies | undefined;
  /** The memory of the slots. */
  #view: DataView;
  /** The slot to look at next, and how many before it are lent out. */
  #next = 0;
  #lent = 0;

  /** Makes the ring on a packet socket that is not yet bound to a protocol. `copies`: packets that it knows are left out. */
  constructor(
    fd: number,
    bufferOctets: number,
    linkType: number,
    originSec: number,
    copies: InterfaceCopies | undefined,
  ) {
    const rows = Math.max(1, Math.floor(bufferOctets / ROW_OCTETS));
    this.#fd = fd;
    this.#slots = (rows * ROW_OCTETS) / SLOT_OCTETS;
    this.#originSec = originSec;
    this.#copies = copies;
    setOption(fd, SOL_PACKET, PACKET_COPY_THRESH, 1, 'PACKET_COPY_THRESH');
    setReceiveBuffer(fd, QUEUE_OCTETS);
    // struct tpacket_req: block size, blocks, frame size, frames.
    const request = Uint32Array.of(ROW_OCTETS, rows, SLOT_OCTETS, this.#slots);
    const { octets, halves, words, signed } = makeRing(fd, TPACKET_V2, request);
    this.#words = words;
    this.#signed = signed;
    this.#halves = halves;
    this.#block = makeBlock(octets, MAX_PACKETS, linkType);
    this.#view = this.#block.view;
    const whole = new Uint8Array(new ArrayBuffer(WHOLE_OCTETS));
    this.#whole = makeBlock(whole, MAX_PACKETS, linkType);
    this.#wholeAddress = addressOf(whole);
  }

  take(): PacketBlock | undefined {
    this.#giveBack();
    const first = Atomics.load(this.#signed, this.#slotWord(this.#next) + TP_STATUS);
    if ((first & STATUS_USER) === 0) return undefined;
    return first & STATUS_COPY ? this.#takeWhole() : this.#takeSlots();
  }

  hasReady(count: number): boolean {
    const slot = (this.#next + count - 1) % this.#slots;
    return (Atomics.load(this.#signed, this.#slotWord(slot) + TP_STATUS) & STATUS_USER) !== 0;
  }

  #slotWord(slot: number): number {
    return slot * (SLOT_OCTETS / 4);
  }

  #giveBack(): void {
    let slot = this.#next - this.#lent;
    if (slot < 0) slot += this.#slots;
    for (; this.#lent > 0; this.#lent--) {
      Atomics.store(this.#signed, this.#slotWord(slot) + TP_STATUS, 0);
      slot = slot + 1 === this.#slots ? 0 : slot + 1;
    }
  }

  /** Packets in place, up to one that has a whole copy. */
  #takeSlots(): PacketBlock {
    const words = this.#words;
    const block = this.#block;
    const most = Math.min(MAX_PACKETS, this.#slots >> 1);
    let count = 0;
    let lent = 0;
    for (; lent < most; lent++) {
      const word = this.#slotWord(this.#next);
      const status = Atomics.load(this.#signed, word + TP_STATUS);
      if ((status & (STATUS_USER | STATUS_COPY)) !== STATUS_USER) break;
      const octet = word * 4;
      block.offset[count] = octet + this.#halves[(octet >>> 1) + TP_MAC];
      block.length[count] = words[word + TP_SNAPLEN];
      block.wireLength[count] = words[word + TP_LEN];
      block.at[count] = captureNs(words[word + TP_SEC], words[word + TP_NSEC], this.#originSec);
      if (!this.#isCopy(block, count, word)) count++;
      this.#next = this.#next + 1 === this.#slots ? 0 : this.#next + 1;
    }
    this.#lent = lent;
    block.count = count;
    return block;
  }

  /** Packets that have whole copies, as many as come one after the other and find room. */
  #takeWhole(): PacketBlock {
    const words = this.#words;
    const block = this.#whole;
    let count = 0;
    let end = 0;
    while (count < MAX_PACKETS) {
      const word = this.#slotWord(this.#next);
      const status = Atomics.load(this.#signed, word + TP_STATUS);
      if ((status & (STATUS_USER | STATUS_COPY)) !== (STATUS_USER | STATUS_COPY)) break;
      const wire = words[word + TP_LEN];
      if (count > 0 && end + wire > WHOLE_OCTETS) break;
      const got = libc().recv(this.#fd, this.#wholeAddress + end, WHOLE_OCTETS - end, MSG_DONTWAIT);
      block.offset[count] = end;
      block.length[count] = Math.max(0, got);
      block.wireLength[count] = wire;
      block.at[count] = captureNs(words[word + TP_SEC], words[word + TP_NSEC], this.#originSec);
      if (!this.#isCopy(block, count, word)) {
        end += block.length[count];
        count++;
      }
      this.#next = this.#next + 1 === this.#slots ? 0 : this.#next + 1;
      this.#lent++;
    }
    block.count = count;
    return block;
  }

  /** Whether packet `i`, whose slot begins at `word`, was handed over already, as another interface showed it. */
  #isCopy({ view, offset, length, at }: PacketBlock, i: number, word: number): boolean {
    const copies = this.#copies;
    if (copies === undefined) return false;
    return copies.isCopy(view, offset[i], length[i], placeOf(this.#view, 4 * word + TP_SLL), at[i]);
  }
}
