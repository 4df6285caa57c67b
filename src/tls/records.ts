/** TLS's record layer (RFC 5246 6.2.1, RFC 8446 5.1): 1 octet of type, 2 of version, 2 of length, the fragment. */

export const RECORD_HEADER_OCTETS = 5;

/** Content types. */
export const CONTENT = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const;

/** TLS 1.2 lets ciphertext have 2,048 octets more than 2^14, TLS 1.3 only 256. */
export const MAX_RECORD_OCTETS = RECORD_HEADER_OCTETS + 2 ** 14 + 2048;

const FIRST_TYPE = 20;
const LAST_TYPE = 24;

/** A stream's pieces -> records. One that lies whole in one piece is not copied. */
export class RecordAssembler {
  /** The record is whole: [start, end) of `octets`, header included; valid until the next `take`. */
  whole = false;
  /** What stands there is no record's header. */
  malformed = false;
  octets: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  readonly #header = new Uint8Array(RECORD_HEADER_OCTETS);
  /** The record so far, once its header is known: room for all of it. */
  #partial: Uint8Array | undefined;
  #have = 0;

  /** Octets of a record that is not whole yet. */
  get heldOctets(): number {
    return this.#have;
  }

  /** Takes the next octets of [from, to), no more than up to a record's end; answers how far it came. */
  take(octets: Uint8Array, from: number, to: number): number {
    this.whole = false;
    let p = from;
    if (this.#have === 0 && to - p >= RECORD_HEADER_OCTETS) {
      const end = p + recordOctets(octets, p);
      if (end <= to && isHeader(octets, p)) return this.#tell(octets, p, end);
    }
    if (this.#partial === undefined) {
      while (this.#have < RECORD_HEADER_OCTETS && p < to) this.#header[this.#have++] = octets[p++];
      if (this.#have < RECORD_HEADER_OCTETS) return p;
      this.malformed = !isHeader(this.#header, 0);
      if (this.malformed) return to;
      this.#partial = new Uint8Array(recordOctets(this.#header, 0));
      this.#partial.set(this.#header);
    }
    const partial = this.#partial;
    const step = Math.min(partial.length - this.#have, to - p);
    partial.set(octets.subarray(p, p + step), this.#have);
    this.#have += step;
    if (this.#have === partial.length) {
      this.reset();
      this.#tell(partial, 0, partial.length);
    }
    return p + step;
  }

  /** Forgets the record that is not whole yet. */
  reset(): void {
    this.#have = 0;
    this.#partial = undefined;
  }

  #tell(octets: Uint8Array, start: number, end: number): number {
    this.whole = true;
    this.octets = octets;
    this.start = start;
    this.end = end;
    return end;
  }
}

function isHeader(octets: Uint8Array, at: number): boolean {
  const type = octets[at];
  return (
    type >= FIRST_TYPE &&
    type <= LAST_TYPE &&
    octets[at + 1] === 3 &&
    octets[at + 2] <= 4 &&
    recordOctets(octets, at) <= MAX_RECORD_OCTETS
  );
}

function recordOctets(octets: Uint8Array, at: number): number {
  return RECORD_HEADER_OCTETS + ((octets[at + 3] << 8) | octets[at + 4]);
}

/**
 * Where in [from, to) the first octets stand that may be an encrypted record's header, or -1. In ciphertext the like
 * comes once in 16 million octets.
 */
export function findRecord(octets: Uint8Array, from: number, to: number): number {
  for (let p = from; p + RECORD_HEADER_OCTETS <= to; p++) {
    if (octets[p + 1] !== 3 || octets[p + 2] !== 3) continue;
    if (octets[p] !== CONTENT.changeCipherSpec && isHeader(octets, p)) return p;
  }
  return -1;
}
