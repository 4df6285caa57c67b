/**
 * How a segment's blocks are packed: a prefix, blocks, an end. The one codec of this version is LZ4.
 *
 * The frame is LZ4's own (lz4_Frame_format.md, 1.6.x) with independent, checksummed blocks; the frame layer is ours over
 * the block codec of npm lz4, whose own frame layer cannot seek, says nothing on truncation and loops on skippable frames.
 */
import { createRequire } from 'node:module';
import { notCompiled } from '../errors.ts';
import { xxh32 } from './xxh32.ts';

/** What a frame declares as the largest block. One captured packet can be larger than 64 KiB (GRO): decision 0001. */
export const MAX_BLOCK_OCTETS = 256 * 1024;

/** What stands at an offset where a block may begin. */
export type BlockAnswer = 'block' | 'end' | 'truncated' | 'corrupt';

/**
 * Octets <-> packed blocks. A codec has buffers of its own: one instance serves one segment at a time, and nothing that
 * it handed out outlives the next call.
 */
export interface Codec {
  readonly name: string;
  /** Behind `.pcap` in a segment's name. */
  readonly extension: string;
  /** What a segment begins with. */
  readonly prefix: Uint8Array;
  /** What a segment ends with, behind its last block. */
  readonly end: Uint8Array;
  /** Room that one packed block of `octets` can take at most. */
  bound(octets: number): number;
  /**
   * Packs octets [0, length) of `input` into `output` at `at` (with room for `bound(length)`), answers how many octets
   * it took there. `input` is at most MAX_BLOCK_OCTETS.
   */
  pack(input: Uint8Array, length: number, output: Uint8Array, at: number): number;
  /**
   * How many octets the packed block takes that begins at `at` of `octets`; negative: none does, see `answer`. Tells
   * from the block's first `peekOctets` alone.
   */
  packedLength(octets: Uint8Array, at: number, end: number): number;
  readonly peekOctets: number;
  /** Unpacks the block at [at, end) into `output` from 0; answers how many octets that made; negative: see `answer`. */
  unpack(octets: Uint8Array, at: number, end: number, output: Uint8Array): number;
  /** The checksum that the packed block of `length` octets at `at` carries, unsigned. */
  checksum(octets: Uint8Array, at: number, length: number): number;
  /** Why the last `packedLength` or `unpack` answered what it did. */
  readonly answer: BlockAnswer;
}

/** The block codec of npm lz4 (liblz4 1.9.2 inside). It checks no index against its buffer: we must. */
interface Lz4Blocks {
  /** Into output[start, end); 0 where it does not fit. */
  encodeBlock(input: Uint8Array, output: Uint8Array, start: number, end: number): number;
  /** Negative where the input is no LZ4 block or makes more than `output` holds. */
  decodeBlock(input: Uint8Array, output: Uint8Array): number;
}

/** Loaded when first needed, so that whoever only reads the help needs no native code. */
function loadLz4(): Lz4Blocks {
  try {
    return createRequire(import.meta.url)('lz4');
  } catch (cause) {
    throw notCompiled('lz4', cause);
  }
}

const FRAME_MAGIC = 0x184d2204;
/** FLG: version 01, blocks independent, blocks checksummed; no content size, content checksum or dictionary. */
const FLG = 0x70;
/** BD: blocks of up to 256 KiB. */
const BD = 0x50;
/** In a block's size: the block is stored as it is. */
const STORED = 0x80000000;
const SIZE_OCTETS = 4;
const CHECKSUM_OCTETS = 4;

class Lz4Codec implements Codec {
  readonly name = 'lz4';
  readonly extension = '.lz4';
  readonly prefix = frameHeader();
  readonly end: Uint8Array = new Uint8Array(SIZE_OCTETS);
  readonly peekOctets = SIZE_OCTETS;
  answer: BlockAnswer = 'block';
  readonly #lz4 = loadLz4();

  bound(octets: number): number {
    // encodeBlock may not make more than its input, or the input is stored instead.
    return SIZE_OCTETS + octets + CHECKSUM_OCTETS;
  }

  pack(input: Uint8Array, length: number, output: Uint8Array, at: number): number {
    const data = at + SIZE_OCTETS;
    let size =
      length > 0 ? this.#lz4.encodeBlock(input.subarray(0, length), output, data, data + length - 1) : 0;
    const view = viewOf(output);
    if (size > 0) {
      view.setUint32(at, size, true);
    } else {
      size = length;
      output.set(input.subarray(0, length), data);
      view.setUint32(at, size + STORED, true);
    }
    view.setUint32(data + size, xxh32(view, data, data + size), true);
    return SIZE_OCTETS + size + CHECKSUM_OCTETS;
  }

  packedLength(octets: Uint8Array, at: number, end: number): number {
    if (at + SIZE_OCTETS > end) return this.#no('truncated');
    const field = viewOf(octets).getUint32(at, true);
    if (field === 0) return this.#no('end');
    const size = field & ~STORED;
    if (size === 0 || size > MAX_BLOCK_OCTETS) return this.#no('corrupt');
    this.answer = 'block';
    return SIZE_OCTETS + size + CHECKSUM_OCTETS;
  }

  unpack(octets: Uint8Array, at: number, end: number, output: Uint8Array): number {
    const length = this.packedLength(octets, at, end);
    if (length < 0) return -1;
    if (at + length > end) return this.#no('truncated');
    const view = viewOf(octets);
    const data = at + SIZE_OCTETS;
    const dataEnd = at + length - CHECKSUM_OCTETS;
    if (xxh32(view, data, dataEnd) !== view.getUint32(dataEnd, true)) return this.#no('corrupt');
    const input = octets.subarray(data, dataEnd);
    if (view.getUint32(at, true) >= STORED) {
      if (input.length > output.length) return this.#no('corrupt');
      output.set(input);
      return input.length;
    }
    const made = this.#lz4.decodeBlock(input, output);
    return made < 0 ? this.#no('corrupt') : made;
  }

  checksum(octets: Uint8Array, at: number, length: number): number {
    return viewOf(octets).getUint32(at + length - CHECKSUM_OCTETS, true);
  }

  #no(answer: BlockAnswer): number {
    this.answer = answer;
    return -1;
  }
}

function frameHeader(): Uint8Array {
  const octets = new Uint8Array(7);
  const view = viewOf(octets);
  view.setUint32(0, FRAME_MAGIC, true);
  octets[4] = FLG;
  octets[5] = BD;
  // The header's checksum: the second octet of the hash of FLG and BD.
  octets[6] = (xxh32(view, 4, 6) >>> 8) & 0xff;
  return octets;
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}

/** The codec that an archive's index calls so, or undefined. */
export function makeCodec(name: string): Codec | undefined {
  return name === DEFAULT_CODEC ? new Lz4Codec() : undefined;
}

export const DEFAULT_CODEC = 'lz4';
