import { copyOf, HEADER_OCTETS, MAX_PAYLOAD, payloadLength } from './packet.ts';

/** Own memory beyond this is given back once its packet was read. */
const KEEP_OCTETS = 64 * 1024;

/** Packets up to this size share a slab, since allocating each of them costs more than copying it. */
const SLAB_PACKET_OCTETS = 4096;
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
  /** The packet is longer than the limit: nothing is read any more until `reset`. */
  tooLong = false;
  readonly #limit: number;
  #own = new Uint8Array(0);
  /** Octets of an unfinished packet in `#own`. */
  #held = 0;
  /** Where its last header begins there … */
  #headerAt = 0;
  /** … what length that says, or -1 while the header is not whole … */
  #length = -1;
  /** … and how many octets must be there for the next step. */
  #need = HEADER_OCTETS;

  /** `limit`: octets of the longest packet that is believed. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get heldOctets(): number {
    return this.#held;
  }

  /** Octets that the unfinished packet lacks; -1 where that is not known: no packet is at work, or its length is not whole. */
  get lacking(): number {
    return this.#held === 0 || this.#length < 0 || this.#length === MAX_PAYLOAD
      ? -1
      : this.#need - this.#held;
  }

  /** The octets of the unfinished packet: another assembler that takes them stands where this one does. Valid until `take`. */
  get unfinished(): Uint8Array {
    return this.#own.subarray(0, this.#held);
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
    if (this.#own.length > KEEP_OCTETS) this.#own = new Uint8Array(0);
  }

  #begin(): void {
    this.#held = 0;
    this.#headerAt = 0;
    this.#length = -1;
    this.#need = HEADER_OCTETS;
  }

  #takeSlowly(octets: Uint8Array, from: number, to: number): number {
    this.whole = false;
    if (this.tooLong) return to;
    if (this.#held === 0 && this.#own.length > KEEP_OCTETS) this.#own = new Uint8Array(0);
    let at = from;
    for (;;) {
      const count = Math.min(this.#need - this.#held, to - at);
      this.#append(octets, at, count);
      at += count;
      if (this.#held < this.#need) return at;
      if (this.#length < 0) {
        this.#length = payloadLength(this.#own, this.#headerAt);
        this.#need += this.#length;
        if (this.#need > this.#limit) {
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
        this.octets = this.#own;
        this.start = 0;
        this.end = this.#held;
        this.#begin();
        return at;
      }
    }
  }

  #append(octets: Uint8Array, from: number, count: number): void {
    const length = this.#held + count;
    // Grows with what comes, not with what a header promises: a bad header must not cost 16 MiB.
    if (length > this.#own.length) {
      const larger = new Uint8Array(Math.max(256, length, Math.min(this.#own.length * 2, this.#limit)));
      larger.set(this.#own.subarray(0, this.#held));
      this.#own = larger;
    }
    this.#own.set(octets.subarray(from, from + count), this.#held);
    this.#held = length;
  }
}
