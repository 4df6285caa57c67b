import { copyOf, HEADER_OCTETS, MAX_PAYLOAD, payloadLength } from './packet.ts';
import { Hold, type Room } from './room.ts';

/** Packets up to this size share a slab, since allocating each of them costs more than copying it. */
const SLAB_PACKET_OCTETS = 4096;

/** Own memory beyond this is given back once its packet was read, and counts in the room until then. */
const KEEP_OCTETS = SLAB_PACKET_OCTETS;
const SLAB_OCTETS = 64 * 1024;

/** Up to here a loop copies faster than `set`, which needs a view made first. */
const LOOP_COPY_OCTETS = 128;

let slab = new Uint8Array(SLAB_OCTETS);
let slabUsed = 0;

/** A copy that its owner may keep. */
function own(octets: Uint8Array, from: number, to: number): Uint8Array {
  const length = to - from;
  if (length > SLAB_PACKET_OCTETS) return copyOf(octets, from, to);
  if (slabUsed + length > SLAB_OCTETS) {
    slab = new Uint8Array(SLAB_OCTETS);
    slabUsed = 0;
  }
  const start = slabUsed;
  slabUsed += length;
  if (length > LOOP_COPY_OCTETS) slab.set(octets.subarray(from, to), start);
  else for (let i = 0; i < length; i++) slab[start + i] = octets[from + i];
  return slab.subarray(start, slabUsed);
}

/**
 * Cuts one direction of a MySQL stream into packets, however the stream itself was cut. What continues in further packets
 * (a payload of 16 MiB less one or more) is one packet here, inner headers included.
 *
 *     for (let p = from; p < to; ) {
 *       p = assembler.take(octets, p, to);
 *       if (assembler.whole) … assembler.octets, .start, .end
 *     }
 */
export class PacketAssembler {
  /** Whether the last `take` completed a packet; it then is [start, end) of `octets`, valid until the next `take`. */
  whole = false;
  octets: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  /** The packet is longer than the limit, or than there is room for: nothing is read any more until `reset`. */
  tooLong = false;
  /** The latter. */
  noRoom = false;
  readonly #limit: number;
  readonly #hold: Hold | undefined;
  #own = new Uint8Array(0);
  /** What came before `#own` of a packet that is longer than 16 MiB, in pieces: one growing piece would be copied again and again. */
  #before: Uint8Array[] = [];
  #beforeOctets = 0;
  /** Octets of an unfinished packet in `#own`. */
  #held = 0;
  /** Where its last header begins there … */
  #headerAt = 0;
  /** … what length that says, or -1 while the header is not whole … */
  #length = -1;
  /** … and how many octets must be there for the next step. */
  #need = HEADER_OCTETS;

  /** `limit`: octets of the longest packet that is believed. `room`: what unfinished packets of all who share it may take. */
  constructor(limit: number, room?: Room) {
    this.#limit = limit;
    this.#hold = room === undefined ? undefined : new Hold(room);
  }

  get heldOctets(): number {
    return this.#beforeOctets + this.#held;
  }

  /** Octets that the unfinished packet lacks; -1 where that is not known: no packet is at work, or its length is not whole. */
  get lacking(): number {
    return this.#held === 0 || this.#length < 0 || this.#length === MAX_PAYLOAD
      ? -1
      : this.#need - this.#held;
  }

  /**
   * The octets of the unfinished packet, or the first 16 MiB of them: another assembler that takes them (all) stands where this
   * one does. Valid until `take`.
   */
  get unfinished(): Uint8Array {
    return this.#before.at(0) ?? this.#own.subarray(0, this.#held);
  }

  /** Takes at most one packet from [from, to) and answers where it stopped reading. */
  take(octets: Uint8Array, from: number, to: number): number {
    if (this.#held === 0 && to - from >= HEADER_OCTETS) {
      const length = payloadLength(octets, from);
      const end = from + HEADER_OCTETS + length;
      if (end <= to && length < MAX_PAYLOAD) {
        this.whole = true;
        this.octets = octets;
        this.start = from;
        this.end = end;
        return end;
      }
    }
    return this.#takeSlowly(octets, from, to);
  }

  /** The packet last taken whole, as memory that the caller may keep: copied once in all. */
  owned(): Uint8Array {
    if (this.octets !== this.#own || this.end <= SLAB_PACKET_OCTETS)
      return own(this.octets, this.start, this.end);
    this.#own = new Uint8Array(0);
    return this.octets.subarray(0, this.end);
  }

  /** Forgets an unfinished packet: what comes next begins one. */
  reset(): void {
    this.#begin();
    this.tooLong = false;
    this.noRoom = false;
    if (this.#own.length > KEEP_OCTETS) this.#own = new Uint8Array(0);
  }

  /** Gives all back: nothing is read any more. */
  close(): void {
    this.reset();
    this.#hold?.close();
    this.tooLong = true;
  }

  #begin(): void {
    this.#held = 0;
    this.#headerAt = 0;
    this.#length = -1;
    this.#need = HEADER_OCTETS;
    this.#hold?.free();
    if (this.#beforeOctets === 0) return;
    this.#before = [];
    this.#beforeOctets = 0;
  }

  #takeSlowly(octets: Uint8Array, from: number, to: number): number {
    this.whole = false;
    if (this.tooLong) return to;
    if (this.#held === 0 && this.#own.length > KEEP_OCTETS) this.#own = new Uint8Array(0);
    let at = from;
    for (;;) {
      const count = Math.min(this.#need - this.#held, to - at);
      if (!this.#append(octets, at, count)) {
        this.reset();
        this.tooLong = true;
        this.noRoom = true;
        return to;
      }
      at += count;
      if (this.#held < this.#need) return at;
      if (this.#length < 0) {
        this.#length = payloadLength(this.#own, this.#headerAt);
        this.#need += this.#length;
        if (this.#beforeOctets + this.#need > this.#limit) {
          this.reset();
          this.tooLong = true;
          return to;
        }
      } else if (this.#length === MAX_PAYLOAD) {
        this.#headerAt = this.#held;
        this.#length = -1;
        this.#need += HEADER_OCTETS;
      } else {
        this.whole = true;
        this.start = 0;
        this.end = this.heldOctets;
        if (this.#beforeOctets > 0) this.#join();
        this.octets = this.#own;
        this.#begin();
        return at;
      }
    }
  }

  /** False where there is no room for so many. */
  #append(octets: Uint8Array, from: number, count: number): boolean {
    if (this.#held + count > this.#own.length && !this.#grow(count)) return false;
    this.#own.set(octets.subarray(from, from + count), this.#held);
    this.#held += count;
    return true;
  }

  /** Makes room for so many more; false where there is none. */
  #grow(count: number): boolean {
    // A packet of the greatest length is behind us, and the next one's header begins.
    if (this.#headerAt > 0) {
      this.#before.push(this.#own.subarray(0, this.#headerAt));
      this.#beforeOctets += this.#headerAt;
      this.#own = this.#own.slice(this.#headerAt, this.#held);
      this.#held -= this.#headerAt;
      this.#need -= this.#headerAt;
      this.#headerAt = 0;
    }
    const length = this.#held + count;
    // Grows with what came, not with what a header promises: a bad header must not cost 16 MiB.
    const came = Math.max(this.#own.length * 2, this.#beforeOctets);
    const size = Math.max(256, length, Math.min(came, Math.max(this.#need, KEEP_OCTETS)));
    const counted = this.#beforeOctets + (size > KEEP_OCTETS ? size : 0);
    if (counted > 0 && this.#hold?.set(counted) === false) return false;
    const larger = new Uint8Array(size);
    larger.set(this.#own.subarray(0, this.#held));
    this.#own = larger;
    return true;
  }

  /** Makes one of the pieces, in `#own`. */
  #join(): void {
    const whole = new Uint8Array(this.end);
    let at = 0;
    for (const piece of this.#before) {
      whole.set(piece, at);
      at += piece.length;
    }
    whole.set(this.#own.subarray(0, this.#held), at);
    this.#own = whole;
  }
}
