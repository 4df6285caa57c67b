/**
 * The pcapng file format (draft-ietf-opsawg-pcapng): blocks of a type, a length, a body and the length again, in sections
 * that each have a byte order and interfaces of their own. Read in both byte orders.
 */
import { captureNs, makeBlock, type PacketBlock } from './packets.ts';
import { PCAP_SNAPLEN } from './pcap.ts';
import {
  type LeftOut,
  LeftOutCounts,
  type PcapngInterface,
  PcapngTime,
  readInterface,
} from './pcapng-interface.ts';
import {
  BLOCK,
  BLOCK_TRAILER_OCTETS,
  BYTE_ORDER_MAGIC,
  CAPTURED,
  INTERFACE,
  INTERFACE_END,
  limitOf,
  MAGIC,
  MAJOR,
  MAX_INTERFACES,
  MAX_PASSED_OCTETS,
  MAX_SECRETS_OCTETS,
  MIN_BLOCK_OCTETS,
  PACKET_DATA,
  SECRETS_BLOCK_OCTETS,
  SECRETS_DATA,
  SECRETS_LENGTH,
  SECRETS_TYPE,
  SECTION_OCTETS,
  SIMPLE_DATA,
  SIMPLE_WIRE,
  TIME_HIGH,
  TIME_LOW,
  TLS_KEY_LOG,
  VERSION_MAJOR,
  WIRE,
} from './pcapng-layout.ts';

/** In 2106 all pcap formats end. */
const MAX_SEC = 0xffffffff;

/** As pcap.ts has it: pieces of 64 KiB of ordinary traffic come in one block. */
const PARSER_CAPACITY = 1024;

/** Whether octets begin as a pcapng file does; it takes 4. */
export function isPcapng(octets: Uint8Array): boolean {
  return (
    octets.length >= 4 && octets[0] === 0x0a && octets[1] === 0x0d && octets[2] === 0x0d && octets[3] === 0x0a
  );
}

/**
 * A pcapng stream in pieces of any size -> blocks of packets, each of one link type; used as a PcapParser is. A packet that
 * can't be read is left out and counted (`leftOut`), a block of an unknown type is passed over. Where blocks no longer
 * follow one another the stream ends, and `state` says how it stands: `header`, no section has begun yet; `malformed`,
 * nothing more will come.
 */
export class PcapngParser {
  state: 'header' | 'blocks' | 'malformed' = 'header';
  /** Of the first packet, or, until there is one, of the first interface. -1: not known yet. */
  linkType = -1;
  /** Whole seconds that the blocks' times count from: those of the first packet, unless given. -1: no packet yet. */
  originSec: number;
  /** Whether a section has begun: the octets are those of a pcapng file, whatever follows. */
  hasSection = false;
  /** Key logs of the decryption secrets so far, as text … */
  readonly secrets: string[] = [];
  /** … and octets of those behind the first 64 MiB, which are left out. */
  secretsLeftOut = 0;
  #secretsOctets = 0;
  readonly block: PacketBlock = makeBlock(new Uint8Array(0), PARSER_CAPACITY, -1);
  #octets: Uint8Array = new Uint8Array(0);
  #view = viewOf(this.#octets);
  #next = 0;
  #end = 0;
  /** Memory of ours that pieces are joined in. */
  #joined: Uint8Array = new Uint8Array(0);
  /** Octets of a block that is passed over and has not come yet. */
  #skip = 0;
  #littleEndian = true;
  #interfaces: PcapngInterface[] = [];
  #sawPacket = false;
  /** Whether a packet told its time. */
  #isDated = false;
  /** Whether `originSec` stays as it is: it was given, or packets went out with times from there. */
  #isOriginFixed: boolean;
  /** The packet at hand has another link type than those in `block`: it is for the next. */
  #isForNext = false;
  readonly #leftOut = new LeftOutCounts();
  readonly #time = new PcapngTime();

  constructor(originSec = -1) {
    this.originSec = originSec;
    this.#isOriginFixed = originSec >= 0;
    // For simple packets of which nothing better is known.
    if (originSec >= 0) this.#time.sec = originSec;
  }

  /** Octets that wait for the rest of their block, or are still to be passed over. More than 0 at the end: truncated. */
  get pendingOctets(): number {
    return this.#end - this.#next + this.#skip;
  }

  /** Packets that could not be read so far, by interface and cause. */
  get leftOut(): readonly LeftOut[] {
    return this.#leftOut.all;
  }

  /** Takes the stream's next octets; they must stay as they are until pulled. */
  push(octets: Uint8Array): void {
    const pending = this.#end - this.#next;
    if (pending === 0) {
      this.#use(octets, octets.length);
      return;
    }
    const needed = pending + octets.length;
    const rest = this.#octets.subarray(this.#next, this.#end);
    // Twice as large each time, so that a long block is not copied once for each of its pieces.
    if (needed > this.#joined.length) this.#joined = new Uint8Array(2 * needed);
    this.#joined.set(rest);
    this.#joined.set(octets, pending);
    this.#use(this.#joined, needed);
  }

  /** Fills `block` with the next whole packets; false when there is none until more is pushed. */
  pull(): boolean {
    const { block } = this;
    block.octets = this.#octets;
    block.view = this.#view;
    block.count = 0;
    while (block.count < PARSER_CAPACITY && this.#takeBlock());
    if (block.count > 0) this.#isOriginFixed = true;
    return block.count > 0;
  }

  #use(octets: Uint8Array, end: number): void {
    this.#octets = octets;
    this.#view = viewOf(octets);
    this.#next = 0;
    this.#end = end;
  }

  /** Takes one block; false where none can be taken. */
  #takeBlock(): boolean {
    if (this.#skip > 0) {
      const step = Math.min(this.#skip, this.#end - this.#next);
      this.#skip -= step;
      this.#next += step;
      if (this.#skip > 0) return false;
    }
    if (this.state === 'malformed') return false;
    const view = this.#view;
    const at = this.#next;
    const there = this.#end - at;
    if (there < MIN_BLOCK_OCTETS) return false;
    // This type reads the same in both byte orders, because the block's own octets must tell which it is.
    let type = view.getUint32(at, true);
    if (type === BLOCK.sectionHeader) {
      this.#littleEndian = view.getUint32(at + MAGIC, true) === BYTE_ORDER_MAGIC;
      if (view.getUint32(at + MAGIC, this.#littleEndian) !== BYTE_ORDER_MAGIC) return this.#malformed();
    } else if (this.state === 'header') {
      return this.#malformed();
    } else {
      type = view.getUint32(at, this.#littleEndian);
    }
    const length = view.getUint32(at + 4, this.#littleEndian);
    if (length < MIN_BLOCK_OCTETS || length % 4 !== 0) return this.#malformed();
    const limit = limitOf(type);
    if (length > Math.max(limit, MAX_PASSED_OCTETS)) return this.#malformed();
    if (length > limit) return this.#passOver(type, at, length);
    if (length > there) return false;
    const end = at + length - BLOCK_TRAILER_OCTETS;
    if (view.getUint32(end, this.#littleEndian) !== length || !this.#body(type, at, end)) {
      return this.#malformed();
    }
    if (this.#isForNext) {
      this.#isForNext = false;
      return false;
    }
    this.#next = at + length;
    return true;
  }

  #malformed(): false {
    this.state = 'malformed';
    return false;
  }

  /** Passes over a block that is not read, or too long to be. */
  #passOver(type: number, at: number, length: number): boolean {
    if (type === BLOCK.enhancedPacket || type === BLOCK.packet) {
      if (at + INTERFACE_END > this.#end) return false;
      const number = this.#interfaceOf(at, type === BLOCK.packet);
      this.#leftOut.count(number, this.#interfaces[number], 'length');
    } else if (limitOf(type) > 0 && type !== BLOCK.simplePacket) return this.#malformed();
    this.#skip = length;
    return true;
  }

  /** Reads the block at `at`, whose body ends at `end`; false: malformed. */
  #body(type: number, at: number, end: number): boolean {
    switch (type) {
      case BLOCK.sectionHeader:
        return this.#section(at, end);
      case BLOCK.interfaceDescription:
        return this.#interface(at, end);
      case BLOCK.decryptionSecrets:
        return this.#decryptionSecrets(at, end);
      case BLOCK.simplePacket:
        return this.#simplePacket(at, end);
      default:
        return this.#packet(at, end, type === BLOCK.packet);
    }
  }

  #section(at: number, end: number): boolean {
    if (end + BLOCK_TRAILER_OCTETS - at < SECTION_OCTETS) return false;
    if (this.#view.getUint16(at + MAJOR, this.#littleEndian) !== VERSION_MAJOR) return false;
    this.state = 'blocks';
    this.hasSection = true;
    this.#interfaces = [];
    return true;
  }

  #interface(at: number, end: number): boolean {
    if (this.#interfaces.length >= MAX_INTERFACES) return false;
    const described = readInterface(this.#view, at, end, this.#littleEndian);
    // One that can't be read has its number all the same.
    this.#interfaces.push(described);
    if (this.linkType < 0) this.linkType = described.linkType;
    return true;
  }

  #interfaceOf(at: number, obsolete: boolean): number {
    const little = this.#littleEndian;
    return obsolete
      ? this.#view.getUint16(at + INTERFACE, little)
      : this.#view.getUint32(at + INTERFACE, little);
  }

  #decryptionSecrets(at: number, end: number): boolean {
    if (at + SECRETS_DATA > end) return false;
    const length = this.#view.getUint32(at + SECRETS_LENGTH, this.#littleEndian);
    const from = at + SECRETS_DATA;
    if (from + length > end) return false;
    if (this.#view.getUint32(at + SECRETS_TYPE, this.#littleEndian) !== TLS_KEY_LOG) return true;
    const counted = length + SECRETS_BLOCK_OCTETS;
    if (this.#secretsOctets + counted > MAX_SECRETS_OCTETS) {
      this.secretsLeftOut += length;
      return true;
    }
    this.#secretsOctets += counted;
    this.secrets.push(Buffer.from(this.#octets.subarray(from, from + length)).toString('latin1'));
    return true;
  }

  #packet(at: number, end: number, obsolete: boolean): boolean {
    if (at + PACKET_DATA > end) return false;
    const view = this.#view;
    const little = this.#littleEndian;
    const number = this.#interfaceOf(at, obsolete);
    const from = this.#interfaces[number];
    if (from === undefined || from.unreadable !== undefined) {
      this.#leftOut.count(number, from, from?.unreadable ?? 'undescribed');
      return true;
    }
    this.#time.read(view.getUint32(at + TIME_HIGH, little), view.getUint32(at + TIME_LOW, little), from);
    if (!this.#isDated) this.#date();
    const captured = view.getUint32(at + CAPTURED, little);
    this.#add(number, from, at + PACKET_DATA, captured, view.getUint32(at + WIRE, little), end);
    return true;
  }

  /** The first time that is told is that of the simple packets in front of it, too. */
  #date(): void {
    const { sec, nsec } = this.#time;
    if (sec < 0 || sec > MAX_SEC) return;
    this.#isDated = true;
    const { at, count } = this.block;
    if (count === 0) return;
    if (!this.#isOriginFixed) this.originSec = sec;
    at.fill(captureNs(sec, nsec, this.originSec), 0, count);
  }

  /** A packet of the first interface. It has no time, so it gets that of the packet before it, or else after it. */
  #simplePacket(at: number, end: number): boolean {
    const from = this.#interfaces[0];
    if (at + SIMPLE_DATA > end) return false;
    if (from === undefined || from.unreadable !== undefined) {
      this.#leftOut.count(0, from, from?.unreadable ?? 'undescribed');
      return true;
    }
    const wire = this.#view.getUint32(at + SIMPLE_WIRE, this.#littleEndian);
    const captured = Math.min(wire, from.snapLength, end - at - SIMPLE_DATA);
    this.#add(0, from, at + SIMPLE_DATA, captured, wire, end);
    return true;
  }

  #add(
    number: number,
    from: PcapngInterface,
    data: number,
    captured: number,
    wire: number,
    end: number,
  ): void {
    const { sec, nsec } = this.#time;
    const isWhole = captured <= PCAP_SNAPLEN && data + captured <= end;
    if (!isWhole || sec < 0 || sec > MAX_SEC) {
      this.#leftOut.count(number, from, isWhole ? 'time' : 'length');
      return;
    }
    const { block } = this;
    if (block.count > 0 && from.linkType !== block.linkType) {
      this.#isForNext = true;
      return;
    }
    block.linkType = from.linkType;
    if (!this.#sawPacket) {
      this.#sawPacket = true;
      this.linkType = from.linkType;
      if (this.originSec < 0) this.originSec = sec;
    }
    const i = block.count++;
    block.offset[i] = data;
    block.length[i] = captured;
    // Never less than is there: a pcap file that is written from it would be one that is damaged.
    block.wireLength[i] = Math.max(wire, captured);
    block.at[i] = captureNs(sec, nsec, this.originSec);
  }
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}
