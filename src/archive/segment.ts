/**
 * One file of an archive: a pcap file packed by a codec. Its first block is the pcap header, every further block holds
 * whole packet records. After every write the file is complete: the end mark stands behind the last block, and the next
 * block is written over it. So stock tools can read a segment that is still being recorded.
 */
import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { syncFolder, writeWhole } from '../files.ts';
import { PCAP_HEADER_OCTETS, readPcapHeader, writePcapHeader } from '../wire/pcap.ts';
import { type BlockAnswer, type Codec, MAX_BLOCK_OCTETS } from './codec.ts';

export function segmentPath(dir: string, number: number, codec: Codec): string {
  return join(dir, `${String(number).padStart(6, '0')}.pcap${codec.extension}`);
}

/** What a segment begins with: the codec's prefix and the pcap header as a block of its own. */
export function segmentHead(codec: Codec, linkType: number): Uint8Array {
  const header = new Uint8Array(PCAP_HEADER_OCTETS);
  writePcapHeader(new DataView(header.buffer), 0, linkType);
  const head = new Uint8Array(codec.prefix.length + codec.bound(PCAP_HEADER_OCTETS));
  head.set(codec.prefix);
  const length = codec.pack(header, PCAP_HEADER_OCTETS, head, codec.prefix.length);
  return head.slice(0, codec.prefix.length + length);
}

/** The link type that the head of the segment in `fd` names; undefined: it is torn. */
export function readLinkType(fd: number, codec: Codec): number | undefined {
  const head = new Uint8Array(codec.prefix.length + codec.bound(PCAP_HEADER_OCTETS));
  const end = readSync(fd, head, 0, head.length, 0);
  const header = new Uint8Array(PCAP_HEADER_OCTETS);
  if (Buffer.compare(head.subarray(0, codec.prefix.length), codec.prefix) !== 0) return undefined;
  if (codec.unpack(head, codec.prefix.length, end, header) !== PCAP_HEADER_OCTETS) return undefined;
  const format = readPcapHeader(header);
  return typeof format === 'object' ? format.linkType : undefined;
}

/** Where a block went, and its checksum. */
export interface StoredBlock {
  offset: number;
  /** Octets that it takes in the file. */
  stored: number;
  checksum: number;
}

/** Writes one segment. Errors of the file system are thrown, and leave the file as it was. */
export class SegmentWriter {
  readonly number: number;
  readonly linkType: number;
  readonly #fd: number;
  readonly #codec: Codec;
  /** Where the end mark stands and the next block goes. */
  #end: number;
  #output: Uint8Array;
  /** Syncs under way, which still use the descriptor. */
  #syncing = 0;
  #closed = false;

  private constructor(number: number, linkType: number, fd: number, codec: Codec, head: Uint8Array) {
    this.number = number;
    this.linkType = linkType;
    this.#fd = fd;
    this.#codec = codec;
    this.#output = new Uint8Array(codec.bound(MAX_BLOCK_OCTETS) + codec.end.length);
    this.#end = head.length;
  }

  /**
   * Makes the file (it must not exist), readable by its owner only: it holds people's data. On return its name and head are
   * on the disk, so that no block is ever in a file of which nobody knows the link type; on an error there is no file.
   */
  static create(dir: string, number: number, codec: Codec, linkType: number): SegmentWriter {
    const path = segmentPath(dir, number, codec);
    const fd = openSync(path, 'wx', 0o600);
    try {
      const head = segmentHead(codec, linkType);
      writeWhole(fd, Buffer.concat([head, codec.end]), 0);
      fdatasyncSync(fd);
      syncFolder(dir);
      return new SegmentWriter(number, linkType, fd, codec, head);
    } catch (error) {
      closeSync(fd);
      rmSync(path, { force: true });
      throw error;
    }
  }

  /** Size of the file. */
  get octets(): number {
    return this.#end + this.#codec.end.length;
  }

  /** Packs octets [0, length) of `input`, whole records, as the next block. */
  append(input: Uint8Array, length: number): StoredBlock {
    const codec = this.#codec;
    const output = this.#output;
    const stored = codec.pack(input, length, output, 0);
    output.set(codec.end, stored);
    const offset = this.#end;
    try {
      writeWhole(this.#fd, output.subarray(0, stored + codec.end.length), offset);
    } catch (error) {
      this.#restoreEnd();
      throw error;
    }
    this.#end += stored;
    return { offset, stored, checksum: codec.checksum(output, 0, stored) };
  }

  /** Calls back once everything appended so far is on the disk. */
  sync(done: (error: Error | null) => void): void {
    this.#syncing++;
    fdatasync(this.#fd, (error) => {
      this.#syncing--;
      if (this.#closed && this.#syncing === 0) {
        try {
          closeSync(this.#fd);
        } catch (failed) {
          error ??= failed as NodeJS.ErrnoException;
        }
      }
      done(error);
    });
  }

  /** Waits until everything appended is on the disk. */
  syncNow(): void {
    fdatasyncSync(this.#fd);
  }

  close(): void {
    this.#closed = true;
    // A descriptor that the thread pool still syncs must not be closed (and given to another file) under it.
    if (this.#syncing === 0) closeSync(this.#fd);
  }

  /** After a write that failed half way: the end mark again, where there was one, so that it needs no new room. */
  #restoreEnd(): void {
    try {
      writeWhole(this.#fd, this.#codec.end, this.#end);
      ftruncateSync(this.#fd, this.octets);
    } catch {
      // The block is lost either way and its caller says so; what is torn now is cut when the archive is opened.
    }
  }
}

/** What a scan hands over of each block. */
export interface ScannedBlock extends StoredBlock {
  /** Its unpacked octets: [0, length) of `octets`. */
  octets: Uint8Array;
  length: number;
}

export interface ScanEnd {
  /** Whether the head is as it should be. */
  headWhole: boolean;
  /** Where the segment's last whole block ends. */
  end: number;
  /** What stands there. `end`: an end mark, as it should be. */
  answer: BlockAnswer;
  /** Size of the file. */
  octets: number;
}

/** What a scan reads at once: several blocks, so that small ones don't cost a system call each. */
const WINDOW_OCTETS = 1024 * 1024;

/**
 * Reads the segment in `fd` from its front, checks every block and yields those that are whole, each valid until the next is
 * asked for: with false for one whose octets turn out to be no packets, which counts as corrupt. Ends at the first block
 * that is not whole, unless it is known where the block after it begins: from `nextKnown` (the index knows that of blocks that were on
 * the disk once), or because a whole block begins where its size field says. Then it yields the offset of what is damaged, and goes on
 * behind it. `codec` serves no other segment
 * meanwhile.
 */
export function* scanSegment(
  fd: number,
  codec: Codec,
  linkType: number,
  nextKnown: (offset: number, fileOctets: number) => number | undefined,
): Generator<ScannedBlock | number, ScanEnd, boolean> {
  const fileOctets = fstatSync(fd).size;
  const head = segmentHead(codec, linkType);
  const window = new Uint8Array(WINDOW_OCTETS);
  const octets = new Uint8Array(MAX_BLOCK_OCTETS);
  let windowStart = 0;
  let windowOctets = readSync(fd, window, 0, WINDOW_OCTETS, 0);
  const headWhole = Buffer.compare(window.subarray(0, Math.min(windowOctets, head.length)), head) === 0;
  let offset = head.length;
  while (true) {
    let at = offset - windowStart;
    if (at + codec.bound(MAX_BLOCK_OCTETS) > windowOctets && windowOctets > 0) {
      windowStart = offset;
      windowOctets = readSync(fd, window, 0, WINDOW_OCTETS, offset);
      at = 0;
    }
    const stored = codec.packedLength(window, at, windowOctets);
    const length = stored < 0 ? -1 : codec.unpack(window, at, Math.min(windowOctets, at + stored), octets);
    if (length >= 0) {
      const checksum = codec.checksum(window, at, stored);
      if (yield { offset, stored, checksum, octets, length }) {
        offset += stored;
        continue;
      }
    }
    const answer = length >= 0 ? 'corrupt' : codec.answer;
    const next =
      nextKnown(offset, fileOctets) ?? (stored < 0 ? undefined : blockAt(fd, codec, offset + stored, octets));
    if (next === undefined) return { headWhole, end: offset, answer, octets: fileOctets };
    yield offset;
    offset = next;
  }
}

/** `offset` if a whole block begins there; unpacks it into `output`. */
function blockAt(fd: number, codec: Codec, offset: number, output: Uint8Array): number | undefined {
  const window = new Uint8Array(codec.bound(MAX_BLOCK_OCTETS));
  const end = readSync(fd, window, 0, window.length, offset);
  return codec.unpack(window, 0, end, output) < 0 ? undefined : offset;
}

/** Cuts the segment in `fd` behind its last whole block and marks the end. Writes the head anew where it is torn. */
export function mendSegment(fd: number, codec: Codec, linkType: number, scanned: ScanEnd): void {
  if (!scanned.headWhole) writeWhole(fd, segmentHead(codec, linkType), 0);
  ftruncateSync(fd, scanned.end);
  writeWhole(fd, codec.end, scanned.end);
  fdatasyncSync(fd);
}
