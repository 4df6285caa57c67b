/**
 * The pcapng file format (draft-ietf-opsawg-pcapng): blocks of a type, a length, a body and the length again, in sections
 * that each have a byte order and interfaces of their own. Read in both byte orders.
 */
import { captureNs, makeBlock, type PacketBlock } from './packets.ts';
import { PCAP_SNAPLEN } from './pcap.ts';
import { type PcapngInterface, PcapngTime, readInterface } from './pcapng-interface.ts';

const BLOCK = {
  sectionHeader: 0x0a0d0d0a,
  interfaceDescription: 1,
  packet: 2,
  simplePacket: 3,
  enhancedPacket: 6,
  decryptionSecrets: 10,
} as const;

const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const VERSION_MAJOR = 1;

/** Type and length before a block's body, and the length again behind it. */
const BLOCK_HEADER_OCTETS = 8;
const BLOCK_TRAILER_OCTETS = 4;
const MIN_BLOCK_OCTETS = BLOCK_HEADER_OCTETS + BLOCK_TRAILER_OCTETS;

/** Section header, offsets in the block: magic, version; its least length. */
const MAGIC = 8;
const MAJOR = 12;
const SECTION_OCTETS = 28;

/** Enhanced packet and packet block: interface (packet block: in 2 octets), time, lengths, data. */
const INTERFACE = 8;
const TIME_HIGH = 12;
const TIME_LOW = 16;
const CAPTURED = 20;
const WIRE = 24;
const PACKET_DATA = 28;

/** Simple packet: length on the wire, data. */
const SIMPLE_WIRE = 8;
const SIMPLE_DATA = 12;

/** Decryption secrets: type, length, data. */
const SECRETS_TYPE = 8;
const SECRETS_LENGTH = 12;
const SECRETS_DATA = 16;
/** `TLSK`: the data is an NSS key log. */
const TLS_KEY_LOG = 0x544c534b;

/** No block that is read (the others are passed over) is longer: a packet and its options, or a key log. */
const MAX_BLOCK_OCTETS = 2 * PCAP_SNAPLEN;
const MAX_SECRETS_BLOCK_OCTETS = 64 * 1024 * 1024;

/** A file with more interfaces is hostile. */
const MAX_INTERFACES = 65_536;

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
 * A pcapng stream in pieces of any size -> blocks of packets; used as a PcapParser is. Bad input ends the stream, and
 * `state` says how it stands:
 *
 * - `header`: no section has begun yet.
 * - `malformed`: nothing more will come.
 * - `mixed-links`: the next packet is of an interface with another link type than those before it; nothing more will come.
 */
export class PcapngParser {
  state: 'header' | 'blocks' | 'malformed' | 'mixed-links' = 'header';
  /** Of the first packet's interface, or, until there is a packet, of the first interface. -1: not known yet. */
  linkType = -1;
  /** Whole seconds that the blocks' times count from: those of the first packet, unless given. -1: no packet yet. */
  originSec: number;
  /** Key logs of the decryption secrets so far, as text. */
  readonly secrets: string[] = [];
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
  readonly #time = new PcapngTime();

  constructor(originSec = -1) {
    this.originSec = originSec;
  }

  /** Octets that wait for the rest of their block, or are still to be passed over. More than 0 at the end: truncated. */
  get pendingOctets(): number {
    return this.#end - this.#next + this.#skip;
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
    if (this.state === 'malformed' || this.state === 'mixed-links') return false;
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
    if (limit === 0) {
      this.#skip = length;
      return true;
    }
    if (length > limit) return this.#malformed();
    if (length > there) return false;
    const end = at + length - BLOCK_TRAILER_OCTETS;
    if (view.getUint32(end, this.#littleEndian) !== length || !this.#body(type, at, end)) {
      return this.#malformed();
    }
    this.#next = at + length;
    return true;
  }

  #malformed(): false {
    if (this.state !== 'mixed-links') this.state = 'malformed';
    return false;
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
    this.#interfaces = [];
    return true;
  }

  #interface(at: number, end: number): boolean {
    const described = readInterface(this.#view, at, end, this.#littleEndian);
    if (described === undefined || this.#interfaces.length >= MAX_INTERFACES) return false;
    this.#interfaces.push(described);
    if (this.linkType < 0) this.linkType = described.linkType;
    return true;
  }

  #decryptionSecrets(at: number, end: number): boolean {
    if (at + SECRETS_DATA > end) return false;
    const length = this.#view.getUint32(at + SECRETS_LENGTH, this.#littleEndian);
    const from = at + SECRETS_DATA;
    if (from + length > end) return false;
    if (this.#view.getUint32(at + SECRETS_TYPE, this.#littleEndian) === TLS_KEY_LOG) {
      this.secrets.push(Buffer.from(this.#octets.subarray(from, from + length)).toString('latin1'));
    }
    return true;
  }

  #packet(at: number, end: number, obsolete: boolean): boolean {
    if (at + PACKET_DATA > end) return false;
    const view = this.#view;
    const little = this.#littleEndian;
    const number = obsolete ? view.getUint16(at + INTERFACE, little) : view.getUint32(at + INTERFACE, little);
    const from = this.#interfaces[number];
    if (from === undefined) return false;
    this.#time.read(view.getUint32(at + TIME_HIGH, little), view.getUint32(at + TIME_LOW, little), from);
    const captured = view.getUint32(at + CAPTURED, little);
    return this.#add(from, at + PACKET_DATA, captured, view.getUint32(at + WIRE, little), end);
  }

  /** A packet of the first interface. It has no time, so it gets that of the packet before it. */
  #simplePacket(at: number, end: number): boolean {
    const from = this.#interfaces[0];
    if (from === undefined || at + SIMPLE_DATA > end) return false;
    const wire = this.#view.getUint32(at + SIMPLE_WIRE, this.#littleEndian);
    return this.#add(from, at + SIMPLE_DATA, Math.min(wire, from.snapLength), wire, end);
  }

  #add(from: PcapngInterface, data: number, captured: number, wire: number, end: number): boolean {
    const { sec, nsec } = this.#time;
    if (captured > PCAP_SNAPLEN || data + captured > end || sec < 0 || sec > MAX_SEC) return false;
    if (!this.#sawPacket) {
      this.#sawPacket = true;
      this.linkType = from.linkType;
      this.block.linkType = from.linkType;
      if (this.originSec < 0) this.originSec = sec;
    } else if (from.linkType !== this.linkType) {
      this.state = 'mixed-links';
      return false;
    }
    const { block } = this;
    const i = block.count++;
    block.offset[i] = data;
    block.length[i] = captured;
    block.wireLength[i] = wire;
    block.at[i] = captureNs(sec, nsec, this.originSec);
    return true;
  }
}

/** How long a block of this type may be; 0: it is passed over. */
function limitOf(type: number): number {
  switch (type) {
    case BLOCK.enhancedPacket:
    case BLOCK.packet:
    case BLOCK.simplePacket:
    case BLOCK.sectionHeader:
    case BLOCK.interfaceDescription:
      return MAX_BLOCK_OCTETS;
    case BLOCK.decryptionSecrets:
      return MAX_SECRETS_BLOCK_OCTETS;
    default:
      return 0;
  }
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}
