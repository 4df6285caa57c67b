/**
 * The relay's messages to the octet (docs/relay-protocol.md). All numbers are unsigned and big-endian unless said:
 *
 *     0  u16  length of the message, this header included
 *     2  u8   type
 *     3  u8   a small argument, or 0
 *     4  u32  flow, or 0
 *     8  …    what the type says
 */
export const RELAY_VERSION = 6;
export const RELAY_MAGIC = 0x4d545045; // "MTPE"

export const HEADER_OCTETS = 8;

/** Longest message: an octet string that needs more is sent in several. */
export const MAX_MESSAGE_OCTETS = 0xffff;

export const MESSAGE = {
  // replay -> intercept
  hello: 1,
  register: 2,
  commandPhase: 3,
  expect: 4,
  release: 5,
  askStats: 6,
  resume: 7,
  ping: 8,
  bye: 9,
  aim: 10,
  correct: 11,
  // intercept -> replay
  welcome: 65,
  refused: 66,
  established: 67,
  acked: 68,
  packet: 69,
  reply: 70,
  fin: 71,
  reset: 72,
  stale: 73,
  desync: 74,
  stats: 75,
  registered: 76,
  expecting: 77,
  checkpoint: 78,
  tooLong: 79,
  unresumable: 80,
  pong: 81,
  taken: 82,
} as const;

/** Length of each type, and the shortest of those that are `VARIABLE`: anything else is garbage. */
export const LEAST_OCTETS: Readonly<Record<number, number>> = {
  [MESSAGE.hello]: 16,
  [MESSAGE.register]: 48,
  [MESSAGE.commandPhase]: 16,
  [MESSAGE.expect]: 8,
  [MESSAGE.release]: 8,
  [MESSAGE.askStats]: 8,
  [MESSAGE.resume]: 80,
  [MESSAGE.ping]: 8,
  [MESSAGE.bye]: 8,
  [MESSAGE.aim]: 44,
  [MESSAGE.correct]: 24,
  [MESSAGE.welcome]: 16,
  [MESSAGE.refused]: 8,
  [MESSAGE.established]: 22,
  [MESSAGE.acked]: 18,
  [MESSAGE.packet]: 18,
  [MESSAGE.reply]: 21,
  [MESSAGE.fin]: 18,
  [MESSAGE.reset]: 8,
  [MESSAGE.stale]: 8,
  [MESSAGE.desync]: 8,
  [MESSAGE.stats]: 24,
  [MESSAGE.registered]: 8,
  [MESSAGE.expecting]: 8,
  [MESSAGE.checkpoint]: 18,
  [MESSAGE.tooLong]: 12,
  [MESSAGE.unresumable]: 8,
  [MESSAGE.pong]: 8,
  [MESSAGE.taken]: 8,
};

/** Types that are as long as what they carry. */
export const VARIABLE: ReadonlySet<number> = new Set([
  MESSAGE.resume,
  MESSAGE.refused,
  MESSAGE.established,
  MESSAGE.acked,
  MESSAGE.packet,
  MESSAGE.reply,
  MESSAGE.fin,
  MESSAGE.checkpoint,
]);

/** Collects messages into one buffer, to be written in one go at the end of a turn. */
export class MessageWriter {
  view: DataView;
  #buffer: Uint8Array;
  #used = 0;

  constructor(capacity = 16 * 1024) {
    this.#buffer = new Uint8Array(capacity);
    this.view = new DataView(this.#buffer.buffer);
  }

  get empty(): boolean {
    return this.#used === 0;
  }

  /** Octets of the messages so far: where the next one begins. */
  get used(): number {
    return this.#used;
  }

  /** Begins a message of `length` octets and answers where it stands in `view`; the caller fills in the rest. */
  begin(type: number, argument: number, flow: number, length: number): number {
    const at = this.#used;
    if (at + length > this.#buffer.length) this.#grow(at + length);
    this.#used = at + length;
    const { view } = this;
    view.setUint16(at, length);
    view.setUint8(at + 2, type);
    view.setUint8(at + 3, argument);
    view.setUint32(at + 4, flow);
    return at;
  }

  /** Ends the message that begins at `at`, and was begun longer, at `end`. */
  end(at: number, end: number): void {
    this.#used = end;
    this.view.setUint16(at, end - at);
  }

  octets(at: number, octets: Uint8Array): void {
    this.#buffer.set(octets, at);
  }

  /** What was collected, as an own copy; the writer begins anew. */
  take(): Uint8Array {
    const octets = this.#buffer.slice(0, this.#used);
    this.#used = 0;
    return octets;
  }

  /** Forgets what was collected. */
  clear(): void {
    this.#used = 0;
  }

  #grow(least: number): void {
    const buffer = new Uint8Array(Math.max(least, this.#buffer.length * 2));
    buffer.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = buffer;
    this.view = new DataView(buffer.buffer);
  }
}

const NOTHING = new Uint8Array(0);

/** Called for each whole message; `view` and `octets` are over the same memory, valid during the call. */
export type OnMessage = (
  type: number,
  view: DataView,
  octets: Uint8Array,
  at: number,
  length: number,
) => void;

/** Cuts a stream of octets into messages. */
export class MessageReader {
  #rest: Uint8Array = NOTHING;
  readonly #onMessage: OnMessage;
  /** The memory of the last feed and its view: whoever reads a socket feeds the same again and again. */
  #fed: Uint8Array = NOTHING;
  #view: DataView = new DataView(NOTHING.buffer);

  constructor(onMessage: OnMessage) {
    this.#onMessage = onMessage;
  }

  /**
   * Takes the first `count` octets, of which it keeps nothing but a copy. Returns false where they are no messages of this
   * protocol: nothing after them can be read.
   */
  feed(octets: Uint8Array, count = octets.length): boolean {
    const before = this.#rest.length;
    if (before > 0) {
      const joined = new Uint8Array(before + count);
      joined.set(this.#rest);
      joined.set(octets.subarray(0, count), before);
      octets = joined;
      count = joined.length;
    }
    if (octets !== this.#fed) {
      this.#fed = octets;
      this.#view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
    }
    const view = this.#view;
    let at = 0;
    while (at + HEADER_OCTETS <= count) {
      const length = view.getUint16(at);
      const type = octets[at + 2];
      const least = LEAST_OCTETS[type];
      // Too long is garbage as well: a TLS ClientHello passes for a long `hello`, an SSH banner for a long `reset`.
      if (least === undefined || length < least || (length > least && !VARIABLE.has(type))) return false;
      if (at + length > count) break;
      this.#onMessage(type, view, octets, at, length);
      at += length;
    }
    this.#rest = at === count ? NOTHING : new Uint8Array(octets.subarray(at, count));
    return true;
  }
}
