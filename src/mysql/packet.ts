/**
 * MySQL packets: `int<3>` payload length, `int<1>` sequence id, payload. A payload of 0xffffff octets goes on in the next
 * packet (MySQL manual, "MySQL Packets"). All numbers are little-endian.
 */

export const HEADER_OCTETS = 4;

/** Payload length that says: more of the same payload follows in the next packet. */
export const MAX_PAYLOAD = 0xffffff;

/** First octet of a payload, where it tells what the packet is. */
export const MARK = { ok: 0x00, authMoreData: 0x01, infile: 0xfb, eof: 0xfe, err: 0xff } as const;

/** Server status flags (MySQL manual, SERVER_STATUS_flags_enum): how an answer goes on, and what the session holds open. */
export const STATUS = {
  inTransaction: 0x0001,
  moreResults: 0x0008,
  cursorExists: 0x0040,
  lastRowSent: 0x0080,
} as const;

/** Error code of MariaDB's progress reports: an ERR packet by its form only. */
export const ERRNO_PROGRESS = 0xffff;

/** A copy of [from, to). (`slice` makes none where the octets are a Buffer's.) */
export function copyOf(octets: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(octets.subarray(from, to));
}

export function payloadLength(octets: Uint8Array, at: number): number {
  return octets[at] | (octets[at + 1] << 8) | (octets[at + 2] << 16);
}

/** Octets that the `int<lenenc>` beginning with `first` takes; 0 where `first` begins none (NULL and ERR). */
export function lenencSize(first: number): number {
  if (first < 0xfb) return 1;
  if (first === 0xfc) return 3;
  if (first === 0xfd) return 4;
  return first === 0xfe ? 9 : 0;
}

/** The `int<lenenc>` at `at`, all of which must be there. Exact up to 2^53. */
export function lenenc(octets: Uint8Array, at: number): number {
  const first = octets[at];
  if (first < 0xfb) return first;
  if (first === 0xfc) return octets[at + 1] | (octets[at + 2] << 8);
  if (first === 0xfd) return octets[at + 1] | (octets[at + 2] << 8) | (octets[at + 3] << 16);
  let value = 0;
  for (let i = 8; i > 0; i--) value = value * 256 + octets[at + i];
  return value;
}

/** `payload` in one packet; for payloads of the login, which never come near 16 MiB. */
export function framePacket(sequenceId: number, payload: Uint8Array): Uint8Array {
  const packet = new Uint8Array(HEADER_OCTETS + payload.length);
  packet[0] = payload.length;
  packet[1] = payload.length >> 8;
  packet[2] = payload.length >> 16;
  packet[3] = sequenceId;
  packet.set(payload, HEADER_OCTETS);
  return packet;
}

/** What an ERR packet says. */
export interface ServerError {
  errno: number;
  message: string;
}

/** Reads the ERR packet (header included) at [from, to). The SQL state is optional: none comes before the login. */
export function parseError(octets: Uint8Array, from: number, to: number): ServerError {
  const reader = new OctetReader(octets, from + HEADER_OCTETS + 1, to);
  const errno = reader.uint(2);
  return { errno, message: errorMessage(octets, reader.at, to) };
}

/** `#` and five characters, in front of an error's message. */
const SQLSTATE_MARK = 0x23;
export const SQLSTATE_OCTETS = 6;

/** What an ERR packet says behind its errno, at [from, to), without the SQL state. */
export function errorMessage(octets: Uint8Array, from: number, to: number): string {
  const hasState = octets[from] === SQLSTATE_MARK && to - from >= SQLSTATE_OCTETS;
  return text(octets.subarray(hasState ? from + SQLSTATE_OCTETS : from, to));
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** UTF-8, as far as it is that. */
function text(octets: Uint8Array): string {
  return decoder.decode(octets);
}

/**
 * Reads fields one after another. Reading past the end answers zeros and sets `short`: read freely, check once at the
 * end.
 */
export class OctetReader {
  short = false;
  at: number;
  readonly #octets: Uint8Array;
  readonly #end: number;

  constructor(octets: Uint8Array, from: number, to: number) {
    this.#octets = octets;
    this.at = from;
    this.#end = to;
  }

  get left(): number {
    return this.#end - this.at;
  }

  skip(count: number): void {
    if (count > this.left) {
      this.short = true;
      count = this.left;
    }
    this.at += count;
  }

  /** `int<size>`, unsigned; size up to 6. */
  uint(size: number): number {
    const start = this.at;
    this.skip(size);
    let value = 0;
    for (let i = this.at - 1; i >= start; i--) value = value * 256 + this.#octets[i];
    return value;
  }

  lenenc(): number {
    const size = this.left > 0 ? lenencSize(this.#octets[this.at]) : 0;
    if (size === 0 || size > this.left) {
      this.short = true;
      return 0;
    }
    this.at += size;
    return lenenc(this.#octets, this.at - size);
  }

  /** A copy of the next `count` octets. */
  take(count: number): Uint8Array {
    const start = this.at;
    this.skip(count);
    return copyOf(this.#octets, start, this.at);
  }

  rest(): Uint8Array {
    return this.take(this.left);
  }

  /** `string<NUL>`, without its NUL; where none comes, everything that is left. */
  untilNul(): Uint8Array {
    let end = this.at;
    while (end < this.#end && this.#octets[end] !== 0) end++;
    const found = copyOf(this.#octets, this.at, end);
    this.at = end < this.#end ? end + 1 : end;
    return found;
  }

  text(): string {
    return text(this.untilNul());
  }
}

/** Writes fields one after another into memory that grows. */
export class OctetWriter {
  #octets = new Uint8Array(256);
  #length = 0;

  uint(value: number, size: number): this {
    this.#reserve(size);
    for (let i = 0; i < size; i++) {
      this.#octets[this.#length++] = value % 256;
      value = Math.floor(value / 256);
    }
    return this;
  }

  lenenc(value: number): this {
    if (value < 0xfb) return this.uint(value, 1);
    if (value < 0x1_0000) return this.uint(0xfc, 1).uint(value, 2);
    if (value < 0x100_0000) return this.uint(0xfd, 1).uint(value, 3);
    return this.uint(0xfe, 1).uint(value, 8);
  }

  octets(octets: Uint8Array): this {
    this.#reserve(octets.length);
    this.#octets.set(octets, this.#length);
    this.#length += octets.length;
    return this;
  }

  /** `string<NUL>`. */
  text(value: string): this {
    return this.octets(encoder.encode(value)).uint(0, 1);
  }

  zeros(count: number): this {
    return this.octets(new Uint8Array(count));
  }

  /** A copy of what was written. */
  all(): Uint8Array {
    return this.#octets.slice(0, this.#length);
  }

  /** What was written, as one packet. */
  packet(sequenceId: number): Uint8Array {
    return framePacket(sequenceId, this.#octets.subarray(0, this.#length));
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#octets.length) return;
    const larger = new Uint8Array(Math.max(this.#octets.length * 2, this.#length + count));
    larger.set(this.#octets);
    this.#octets = larger;
  }
}
