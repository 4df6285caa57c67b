/**
 * The pcap file format, version 2.4 (draft-ietf-opsawg-pcap): a header of 24 octets, then records: 16 octets and the
 * packet. Written always little-endian with the nanosecond magic; read in both byte orders and both resolutions, and with
 * records of 24 octets.
 */
import type { CaptureNs } from '../time.ts';
import { captureNs, makeBlock, type PacketBlock } from './packets.ts';

export const PCAP_HEADER_OCTETS = 24;
export const PCAP_RECORD_OCTETS = 16;

/** What our headers name as the snapshot length, and libpcap's own limit (MAXIMUM_SNAPLEN): no record is larger. */
export const PCAP_SNAPLEN = 262_144;

const MAGIC_MICRO = 0xa1b2c3d4;
const MAGIC_NANO = 0xa1b23c4d;
/** Of Kuznetzov's patched libpcap, as old Linux distributions had it: records tell interface and protocol, too. */
const MAGIC_MODIFIED = 0xa1b2cd34;
const MODIFIED_RECORD_OCTETS = 24;
const VERSION_MAJOR = 2;
const VERSION_MINOR = 4;

/** File header, octet offsets. */
const MAGIC = 0;
const MAJOR = 4;
const MINOR = 6;
const SNAPLEN = 16;
const LINKTYPE_FIELD = 20;

/** Packet record, octet offsets. */
const SEC = 0;
const FRACTION = 4;
const CAPTURED = 8;
const WIRE = 12;

/** More than any packet takes that no snapshot length allows for: an IP packet's utmost, and room for what is in front of it. */
const MOST_PACKET_OCTETS = 65_535 + 256;

/** The low 26 bits of the field are the link type, as libpcap has it; above them stand the FCS's length and flags. */
const LINKTYPE_MASK = 0x03ffffff;

/** How a pcap file's numbers are to be read. */
export interface PcapFormat {
  littleEndian: boolean;
  /** Nanoseconds that one unit of a record's fraction stands for: 1 or 1000. */
  unitNs: number;
  linkType: number;
  /** Octets in front of each packet. */
  recordOctets: number;
  /** The header's snapshot length. */
  snapLength: number;
  /** Whether lengths that contradict each other are damage. In a segment of ours they are what the packet's source said. */
  checksLengths: boolean;
}

/** How the records of an archive's segments are to be read. */
export function segmentFormat(linkType: number): PcapFormat {
  return {
    littleEndian: true,
    unitNs: 1,
    linkType,
    recordOctets: PCAP_RECORD_OCTETS,
    snapLength: PCAP_SNAPLEN,
    checksLengths: false,
  };
}

export type PcapPrecision = 'us' | 'ns';

/** Writes a file header, little-endian, at `at`. */
export function writePcapHeader(
  view: DataView,
  at: number,
  linkType: number,
  precision: PcapPrecision = 'ns',
): void {
  view.setUint32(at + MAGIC, precision === 'ns' ? MAGIC_NANO : MAGIC_MICRO, true);
  view.setUint16(at + MAJOR, VERSION_MAJOR, true);
  view.setUint16(at + MINOR, VERSION_MINOR, true);
  view.setUint32(at + 8, 0, true);
  view.setUint32(at + 12, 0, true);
  view.setUint32(at + SNAPLEN, PCAP_SNAPLEN, true);
  view.setUint32(at + LINKTYPE_FIELD, linkType, true);
}

/** Writes the header of a packet's record, little-endian, at `at`. `fraction` is in the file's own unit. */
export function writePcapRecord(
  view: DataView,
  at: number,
  sec: number,
  fraction: number,
  captured: number,
  wire: number,
): void {
  view.setUint32(at + SEC, sec, true);
  view.setUint32(at + FRACTION, fraction, true);
  view.setUint32(at + CAPTURED, captured, true);
  view.setUint32(at + WIRE, wire, true);
}

/** The whole second (since the times' origin) that `at` lies in. */
export function wholeSecond(at: CaptureNs): number {
  const second = Math.floor(at / 1e9);
  // The quotient can be rounded up to the next whole number.
  return second * 1e9 > at ? second - 1 : second;
}

/** Reads the file header at the start of `octets`. */
export function readPcapHeader(octets: Uint8Array): PcapFormat | 'truncated' | 'malformed' {
  if (octets.length < PCAP_HEADER_OCTETS) return 'truncated';
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  const littleEndian = isMagic(view.getUint32(MAGIC, true));
  const magic = view.getUint32(MAGIC, littleEndian);
  if (!isMagic(magic) || view.getUint16(MAJOR, littleEndian) !== VERSION_MAJOR) return 'malformed';
  return {
    littleEndian,
    unitNs: magic === MAGIC_NANO ? 1 : 1000,
    linkType: view.getUint32(LINKTYPE_FIELD, littleEndian) & LINKTYPE_MASK,
    recordOctets: magic === MAGIC_MODIFIED ? MODIFIED_RECORD_OCTETS : PCAP_RECORD_OCTETS,
    snapLength: view.getUint32(SNAPLEN, littleEndian),
    checksLengths: true,
  };
}

function isMagic(value: number): boolean {
  return value === MAGIC_NANO || value === MAGIC_MICRO || value === MAGIC_MODIFIED;
}

/**
 * Reads the records in [from, to) of `block.octets` into the block's columns, behind the `count` that it has, until the
 * octets or the columns' room end, or the header of another file stands there. Answers where the first record begins that
 * was not taken (`to`, if all were), or -1 where what stands there cannot be a record. Times count from `originSec`.
 */
export function readPcapRecords(
  block: PacketBlock,
  from: number,
  to: number,
  format: PcapFormat,
  originSec: number,
): number {
  const { view, offset, length, wireLength, at } = block;
  const { littleEndian, unitNs, recordOctets, checksLengths } = format;
  let { count } = block;
  let next = from;
  while (count < offset.length && next + PCAP_RECORD_OCTETS <= to) {
    const captured = view.getUint32(next + CAPTURED, littleEndian);
    const wire = view.getUint32(next + WIRE, littleEndian);
    if (captured === 0 && isFileHeader(view, next)) break;
    if (captured > PCAP_SNAPLEN || (checksLengths && isContradiction(captured, wire))) {
      block.count = count;
      return -1;
    }
    const data = next + recordOctets;
    if (data + captured > to) break;
    offset[count] = data;
    length[count] = captured;
    wireLength[count] = wire;
    const fractionNs = view.getUint32(next + FRACTION, littleEndian) * unitNs;
    at[count] = captureNs(view.getUint32(next + SEC, littleEndian), fractionNs, originSec);
    count++;
    next = data + captured;
  }
  block.count = count;
  return next;
}

/**
 * Whether no packet has these lengths: more of it was captured than there was, or it is nothing at all, as where a disk lost
 * a block or a file was made longer before it was written. Programs that don't know the length on the wire leave it 0.
 */
function isContradiction(captured: number, wire: number): boolean {
  return wire === 0 ? captured === 0 : captured > wire;
}

/** Whether the 16 octets of a record's header at `at` are the front of a file's: magic, version 2.4, two fields of 0. */
function isFileHeader(view: DataView, at: number): boolean {
  for (const littleEndian of [true, false]) {
    if (!isMagic(view.getUint32(at + MAGIC, littleEndian))) continue;
    const version = view.getUint16(at + MAJOR, littleEndian) === VERSION_MAJOR;
    return (
      version && view.getUint16(at + MINOR, littleEndian) === VERSION_MINOR && view.getUint32(at + WIRE) === 0
    );
  }
  return false;
}

/** Columns of a parser's block: enough that pieces of 64 KiB of ordinary traffic come in one block. */
const PARSER_CAPACITY = 1024;

/**
 * A pcap stream in pieces of any size -> blocks of packets.
 *
 *     parser.push(octets);
 *     while (parser.pull(block)) … ;            // block's contents are valid until the next pull or push
 *
 * Files one behind another (`cat`) are read as one, each with its own link type and byte order. Bad input ends the
 * stream: `state` says how it stands.
 */
export class PcapParser {
  /** `header`: the file header is not whole yet. `malformed`: nothing more will come. */
  state: 'header' | 'records' | 'malformed' = 'header';
  /** Known once the file header was read: that of the file at hand. */
  format: PcapFormat | undefined;
  /** Whole seconds that the blocks' times count from: those of the first packet, unless given. -1: no packet yet. */
  originSec: number;
  readonly block: PacketBlock = makeBlock(new Uint8Array(0), PARSER_CAPACITY, -1);
  #octets: Uint8Array = new Uint8Array(0);
  #next = 0;
  /** The record at hand is the file's first. */
  #isFirstRecord = false;

  constructor(originSec = -1) {
    this.originSec = originSec;
  }

  /** Octets that wait for the rest of their record (or header). More than 0 at the end: the file is truncated. */
  get pendingOctets(): number {
    return this.#octets.length - this.#next;
  }

  /**
   * Whether the record that waits for its rest cannot be one, now that nothing more comes: its length is above the file's
   * snapshot length, and above what any packet takes. Before the end it may be one: some programs name too small a length.
   */
  get endsInDamage(): boolean {
    if (this.state !== 'records' || this.pendingOctets < PCAP_RECORD_OCTETS) return false;
    const { littleEndian, snapLength } = this.format!;
    const captured = viewOf(this.#octets).getUint32(this.#next + CAPTURED, littleEndian);
    return captured > Math.max(snapLength, MOST_PACKET_OCTETS);
  }

  /** Takes the stream's next octets; they must stay as they are until pulled. */
  push(octets: Uint8Array): void {
    if (this.pendingOctets === 0) {
      this.#octets = octets;
    } else {
      const joined = new Uint8Array(this.pendingOctets + octets.length);
      joined.set(this.#octets.subarray(this.#next));
      joined.set(octets, this.pendingOctets);
      this.#octets = joined;
    }
    this.#next = 0;
  }

  /** Fills `block` with the next whole packets; false when there is none until more is pushed. */
  pull(): boolean {
    const { block } = this;
    block.octets = this.#octets;
    block.view = viewOf(this.#octets);
    block.count = 0;
    do {
      if (this.#isAtHeader()) this.state = 'header';
      if (this.state === 'header') this.#readHeader();
    } while (this.#isAtHeader());
    if (this.state !== 'records') return false;
    if (this.originSec < 0) {
      if (this.pendingOctets < PCAP_RECORD_OCTETS) return false;
      this.originSec = block.view.getUint32(this.#next + SEC, this.format!.littleEndian);
    }
    if (this.#isFirstRecord && this.pendingOctets >= PCAP_RECORD_OCTETS) this.#meetFirstRecord();
    const next = readPcapRecords(block, this.#next, this.#octets.length, this.format!, this.originSec);
    if (next < 0) this.state = 'malformed';
    else this.#next = next;
    return block.count > 0 || (next >= 0 && this.#isAtHeader() && this.pull());
  }

  /** Behind the records of one file stands the header of another. */
  #isAtHeader(): boolean {
    const isRecord = this.state === 'records' && this.pendingOctets >= PCAP_RECORD_OCTETS;
    return isRecord && isFileHeader(this.block.view, this.#next);
  }

  /** Where the first record has more than there was, the program that wrote the file counts otherwise, and does so throughout. */
  #meetFirstRecord(): void {
    this.#isFirstRecord = false;
    const { littleEndian } = this.format!;
    const wire = this.block.view.getUint32(this.#next + WIRE, littleEndian);
    const captured = this.block.view.getUint32(this.#next + CAPTURED, littleEndian);
    if (wire > 0 && isContradiction(captured, wire)) this.format!.checksLengths = false;
  }

  #readHeader(): void {
    const format = readPcapHeader(this.#octets.subarray(this.#next));
    if (format === 'truncated') return;
    if (format === 'malformed') {
      this.state = 'malformed';
      return;
    }
    this.format = format;
    this.#isFirstRecord = true;
    this.block.linkType = format.linkType;
    this.state = 'records';
    this.#next += PCAP_HEADER_OCTETS;
  }
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}
