/**
 * Compressed packets: `int<3>` length of the payload, `int<1>` sequence id, `int<3>` length of the payload before it was
 * compressed (0: it is not compressed), payload (MySQL manual, "Compression"). The payloads, one behind the other, are the
 * stream of MySQL packets: one of these may span several of those, and the reverse. The sequence ids are a count of their
 * own. zlib's payload is RFC 1950's format, zstd's RFC 8878's.
 */
import { createRequire } from 'node:module';
import { inflateSync } from 'node:zlib';
import { notCompiled } from '../errors.ts';
import { payloadLength } from './packet.ts';
import { Hold, type Room } from './room.ts';

const HEADER_OCTETS = 7;
const SEQUENCE_ID = 3;
const LENGTH_BEFORE = 4;

/** A plain packet up to this size has the same memory as the one before. */
const KEEP_PLAIN_OCTETS = 64 * 1024;

/** Own memory beyond this is given back once its packet was read, and counts in the room until then. */
const KEEP_OCTETS = 4096;

/** zlib makes its output in pieces of up to this: what a header promises is not allocated before it comes. */
const CHUNK_OCTETS = 64 * 1024;
/** The smallest that node:zlib takes. */
const MIN_CHUNK_OCTETS = 64;

export type CompressionMethod = 'zlib' | 'zstd';

/**
 * The `length` octets that [from, to) were before they were compressed, valid until the next call; undefined where it is
 * not that.
 */
type Decompress = (octets: Uint8Array, from: number, to: number, length: number) => Uint8Array | undefined;

const inflate: Decompress = (octets, from, to, length) => {
  // One more than needed: an output that fills its last piece costs another, empty one.
  const chunkSize = Math.max(MIN_CHUNK_OCTETS, Math.min(CHUNK_OCTETS, length + 1));
  try {
    const plain = inflateSync(octets.subarray(from, to), { maxOutputLength: length, chunkSize });
    return plain.length === length ? plain : undefined;
  } catch {
    return undefined;
  }
};

/** zstd-napi's layer over the library's own functions. Its upper layer believes a frame's word about its size. */
interface ZstdBinding {
  DCtx: new () => {
    /** Into all of `output`, answers how many octets it took. Throws where they are no frames, or make more. */
    decompress(output: Uint8Array, input: Uint8Array): number;
  };
}

function makeUnzstd(): Decompress {
  const context = new (loadZstd().DCtx)();
  let kept = new Uint8Array(0);
  return (octets, from, to, length) => {
    const output = length <= kept.length ? kept.subarray(0, length) : new Uint8Array(length);
    if (length > kept.length && length <= KEEP_PLAIN_OCTETS) kept = output;
    try {
      return context.decompress(output, octets.subarray(from, to)) === length ? output : undefined;
    } catch {
      return undefined;
    }
  };
}

/** Loaded when first needed: hardly any session is compressed so. */
function loadZstd(): ZstdBinding {
  try {
    return createRequire(import.meta.url)('zstd-napi/binding');
  } catch (cause) {
    throw notCompiled('zstd-napi', cause);
  }
}

/** All sessions share one: nothing of a packet is left in it, and it has some 160 KiB. */
let unzstd: Decompress | undefined;

/** From one direction's compressed packets, however the stream was cut, to the octets in them. */
export class Decompressor {
  readonly #decompress: Decompress;
  readonly #plain: (octets: Uint8Array, from: number, to: number) => void;
  /** It is broken for want of room. */
  noRoom = false;
  readonly #hold: Hold | undefined;
  #broken = false;
  #own = new Uint8Array(0);
  /** Octets of an unfinished packet in `#own`. */
  #held = 0;

  /**
   * `plain` is told of each packet's payload, decompressed, at [from, to): valid during the call, never empty. It may call
   * `reset`, but not `feed`. `room`: what unfinished packets of all who share it may take. Throws 'no-library' where zstd is
   * wanted and its package cannot be loaded.
   */
  constructor(
    method: CompressionMethod,
    plain: (octets: Uint8Array, from: number, to: number) => void,
    room?: Room,
  ) {
    this.#hold = room === undefined ? undefined : new Hold(room);
    this.#decompress = method === 'zlib' ? inflate : (unzstd ??= makeUnzstd());
    this.#plain = plain;
  }

  get heldOctets(): number {
    return this.#held;
  }

  /** Takes the stream's next octets. False: what came is no compressed packet, and nothing is read any more until `reset`. */
  feed(octets: Uint8Array, from: number, to: number): boolean {
    for (let at = from; at < to && !this.#broken; ) {
      const whole = this.#held === 0 ? packetEnd(octets, at, to) : -1;
      if (whole >= 0) {
        this.#packet(octets, at, whole);
        at = whole;
      } else {
        at = this.#gather(octets, at, to);
      }
    }
    return !this.#broken;
  }

  /** Octets were missed: what comes next begins a compressed packet. */
  reset(): void {
    this.#broken = false;
    this.noRoom = false;
    this.#held = 0;
    this.#hold?.free();
    if (this.#own.length > KEEP_OCTETS) this.#own = new Uint8Array(0);
  }

  /** Gives all back: nothing is read any more. */
  close(): void {
    this.#break();
    this.#hold?.close();
  }

  /** Reads the whole packet at [from, to). */
  #packet(octets: Uint8Array, from: number, to: number): void {
    const payload = from + HEADER_OCTETS;
    const lengthBefore = payloadLength(octets, from + LENGTH_BEFORE);
    // Nobody sends nothing: where it seems so, these are other octets.
    if (payload === to) this.#break();
    else if (lengthBefore === 0) this.#plain(octets, payload, to);
    else {
      const plain = this.#decompress(octets, payload, to, lengthBefore);
      if (plain === undefined) this.#break();
      else this.#plain(plain, 0, lengthBefore);
    }
  }

  #break(): void {
    this.reset();
    this.#broken = true;
  }

  /** Adds to the unfinished packet, reads it once it is whole, and answers where it stopped taking. */
  #gather(octets: Uint8Array, from: number, to: number): number {
    if (this.#held < HEADER_OCTETS) {
      const at = this.#append(octets, from, Math.min(to, from + HEADER_OCTETS - this.#held));
      if (this.#held < HEADER_OCTETS) return at;
      // All of the packet may be its header.
      return this.#gather(octets, at, to);
    }
    const end = HEADER_OCTETS + payloadLength(this.#own, 0);
    const at = this.#append(octets, from, Math.min(to, from + end - this.#held));
    if (this.#held < end) return at;
    // As between two packets: `plain` may reset, and what is too large to keep goes.
    const packet = this.#own;
    this.reset();
    this.#packet(packet, 0, end);
    return at;
  }

  /** Answers `to`. */
  #append(octets: Uint8Array, from: number, to: number): number {
    const length = this.#held + to - from;
    // Grows with what comes, not with what a header promises: a bad header must not cost 16 MiB.
    if (length > this.#own.length) {
      const size = Math.max(256, length, this.#own.length * 2);
      if (size > KEEP_OCTETS && this.#hold?.set(size) === false) {
        this.#break();
        this.noRoom = true;
        return to;
      }
      const larger = new Uint8Array(size);
      larger.set(this.#own.subarray(0, this.#held));
      this.#own = larger;
    }
    this.#own.set(octets.subarray(from, to), this.#held);
    this.#held = length;
    return to;
  }
}

/**
 * Whether whole compressed packets fill [from, to) exactly, by their headers alone: where to begin again after a gap. The
 * first has this sequence id, each further one the next, or the first's again (a command sent before the last one's answer
 * came, or its answer).
 */
export function isCompressed(octets: Uint8Array, from: number, to: number, sequenceId: number): boolean {
  let next = sequenceId;
  let at = from;
  while (at < to) {
    const end = packetEnd(octets, at, to);
    if (end <= at + HEADER_OCTETS) return false;
    const id = octets[at + SEQUENCE_ID];
    if (id !== next && id !== sequenceId) return false;
    next = (id + 1) & 0xff;
    at = end;
  }
  return at > from;
}

/** Where the packet at `at` ends, or -1 if that is beyond `to`. */
function packetEnd(octets: Uint8Array, at: number, to: number): number {
  if (to - at < HEADER_OCTETS) return -1;
  const end = at + HEADER_OCTETS + payloadLength(octets, at);
  return end <= to ? end : -1;
}
