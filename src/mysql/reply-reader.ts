import type { CaptureNs } from '../time.ts';
import { ANSWER_HEAD_OCTETS, Answer } from './answer.ts';
import { PacketAssembler } from './assembler.ts';
import { EXPECT } from './command.ts';
import { copyOf, HEADER_OCTETS, MAX_PAYLOAD, payloadLength } from './packet.ts';
import type { Reply } from './reply.ts';

/** Longest packet of a login that is believed. */
const LOGIN_PACKET_OCTETS = 1024 * 1024;
const LOGIN_OK = 0x00;

/** Octets that came ahead of their command and are kept for it, and the pieces that they may come in. */
const MAX_HELD_OCTETS = 1024 * 1024;
const MAX_HELD_PIECES = 4096;

export interface ReplySink {
  /** Before the command phase: one whole packet, header included, at [from, to); valid during the call. */
  packet(octets: Uint8Array, from: number, to: number): void;
  /** The answer to the oldest command that expects one. May call `expect`. */
  reply(reply: Reply): void;
  /** What came is no answer to what was expected. Told once; everything is ignored until `resync`. */
  desync(): void;
}

/** Octets that came before anyone had expected an answer. */
interface Held {
  octets: Uint8Array;
  from: number;
  at: CaptureNs;
}

/**
 * Reads the server's octets of one connection: packets during the login, then whole answers. Rows pass through and are
 * never gathered, so that an answer of any size costs the same memory.
 *
 * In the command phase the commands are told by `expect`; octets that come ahead of their command are held for it, because
 * whoever feeds may learn of commands and answers by different roads.
 */
export class ReplyReader {
  readonly #sink: ReplySink;
  #login: PacketAssembler | undefined = new PacketAssembler(LOGIN_PACKET_OCTETS);
  /** The shape of answers that nobody announced; undefined: they are held until somebody does. */
  #unannounced: number | undefined;
  /** The login's OK was told: what comes next answers a command, and waits until `commandPhase` was called. */
  #loginOver = false;
  readonly #answer = new Answer();
  #broken = false;
  #feeding = false;

  /** Shapes expected after the one at work. */
  readonly #shapes: number[] = [];
  #held: Held[] = [];
  #heldOctets = 0;

  /** A packet that comes in parts. Its wire packet: the header as far as it came … */
  readonly #headerOctets = new Uint8Array(HEADER_OCTETS);
  #headerLength = 0;
  /** … then, `#inPacket`, the octets of payload still to come. */
  #inPacket = false;
  #payloadLeft = 0;
  /** It is full, so the same payload goes on in another … */
  #full = false;
  /** … which is the one that comes now. */
  #continues = false;
  /** The whole payload: length of its first part, whether it is a row, and its beginning. */
  #length = 0;
  #isRow = false;
  readonly #head = new Uint8Array(ANSWER_HEAD_OCTETS);
  #headLength = 0;
  #at: CaptureNs = 0;

  constructor(sink: ReplySink) {
    this.#sink = sink;
  }

  /** Answers expected and not told yet. */
  get pending(): number {
    return (this.#answer.done ? 0 : 1) + this.#shapes.length;
  }

  /** Whether what the client sends now is no command, but what the server asked for: a file, an authentication. */
  get wantsData(): boolean {
    return this.#answer.wantsData;
  }

  /** Octets kept until they make sense: of an unfinished packet of the login, or ahead of their command. */
  get heldOctets(): number {
    return (this.#login?.heldOctets ?? 0) + this.#heldOctets;
  }

  /**
   * The login is done: from the next packet on, answers are read by the capabilities in force. Octets that come between
   * the login's OK and this call are held. With `unannounced`, an answer that no `expect` announced has that shape;
   * without it, it is held.
   */
  commandPhase(capabilities: number, extendedCapabilities: number, unannounced?: number): void {
    this.#login = undefined;
    this.#answer.capabilities(capabilities, extendedCapabilities);
    this.#unannounced = unannounced;
    if (unannounced !== undefined && this.#heldOctets > 0 && !this.#feeding) this.#readHeld();
  }

  /** A command was sent whose answer has this shape (EXPECT). One without an answer leaves no trace. */
  expect(shape: number): void {
    if (shape === EXPECT.none || this.#broken) return;
    if (!this.#answer.done) {
      this.#shapes.push(shape);
      return;
    }
    this.#answer.begin(shape);
    if (this.#heldOctets > 0 && !this.#feeding) this.#readHeld();
  }

  /** The stream's next octets, [from, to). `at` becomes that of the answers which they complete. */
  feed(octets: Uint8Array, from: number, to: number, at: CaptureNs): void {
    if (this.#broken || from >= to) return;
    if (this.#heldOctets > 0) {
      this.#hold(octets, from, to, at);
      return;
    }
    this.#feeding = true;
    this.#at = at;
    const read = this.#read(octets, from, to);
    this.#feeding = false;
    if (read < to && !this.#broken) this.#hold(octets, read, to, at);
  }

  /** Forgets everything expected and held: what comes next begins an answer. */
  resync(): void {
    this.#broken = false;
    this.#login?.reset();
    this.#shapes.length = 0;
    this.#held = [];
    this.#heldOctets = 0;
    this.#answer.drop();
    this.#headerLength = 0;
    this.#inPacket = false;
    this.#continues = false;
  }

  #hold(octets: Uint8Array, from: number, to: number, at: CaptureNs): void {
    this.#heldOctets += to - from;
    if (this.#heldOctets > MAX_HELD_OCTETS || this.#held.length === MAX_HELD_PIECES) {
      this.#desync();
      return;
    }
    this.#held.push({ octets: copyOf(octets, from, to), from: 0, at });
  }

  #readHeld(): void {
    this.#feeding = true;
    while (this.#held.length > 0 && (!this.#answer.done || this.#unannounced !== undefined)) {
      const first = this.#held[0];
      this.#at = first.at;
      const read = this.#read(first.octets, first.from, first.octets.length);
      if (this.#broken) break;
      this.#heldOctets -= read - first.from;
      first.from = read;
      if (read === first.octets.length) this.#held.shift();
    }
    this.#feeding = false;
  }

  #desync(): void {
    if (this.#broken) return;
    this.resync();
    this.#broken = true;
    this.#sink.desync();
  }

  get #atBoundary(): boolean {
    return !this.#inPacket && this.#headerLength === 0 && !this.#continues;
  }

  /** Reads [from, to) as far as it is expected, and answers where that ends. */
  #read(octets: Uint8Array, from: number, to: number): number {
    const answer = this.#answer;
    let at = from;
    while (at < to) {
      if (this.#login !== undefined) {
        if (this.#loginOver) return at;
        at = this.#readLogin(this.#login, octets, at, to);
        if (this.#broken) return to;
        continue;
      }
      if (answer.done) {
        if (this.#unannounced === undefined) return at;
        answer.begin(this.#unannounced);
      }
      const length = this.#atBoundary && to - at > HEADER_OCTETS ? payloadLength(octets, at) : MAX_PAYLOAD;
      const end = at + HEADER_OCTETS + length;
      if (end <= to && length < MAX_PAYLOAD) {
        answer.header(length, octets[at + 3], false);
        if (!answer.broken) answer.payload(octets, at + HEADER_OCTETS, end);
        at = end;
      } else {
        at = this.#readPart(octets, at, to);
      }
      if (answer.done) this.#finish();
      else if (answer.broken) this.#desync();
      if (this.#broken) return to;
    }
    return to;
  }

  #readLogin(login: PacketAssembler, octets: Uint8Array, from: number, to: number): number {
    const read = login.take(octets, from, to);
    if (login.whole) {
      // Of all that a server says during a login only the OK begins so, and it ends it.
      this.#loginOver = login.octets[login.start + HEADER_OCTETS] === LOGIN_OK;
      this.#sink.packet(login.octets, login.start, login.end);
    } else if (login.tooLong) this.#desync();
    return read;
  }

  /** Reads on in a packet whose octets come in parts, or whose payload takes several packets. */
  #readPart(octets: Uint8Array, from: number, to: number): number {
    const answer = this.#answer;
    const header = this.#headerOctets;
    let at = from;
    if (!this.#inPacket) {
      while (this.#headerLength < HEADER_OCTETS && at < to) header[this.#headerLength++] = octets[at++];
      if (this.#headerLength < HEADER_OCTETS) return at;
      this.#headerLength = 0;
      const length = payloadLength(header, 0);
      answer.header(length, header[3], this.#continues);
      if (answer.broken) return to;
      this.#inPacket = true;
      this.#payloadLeft = length;
      this.#full = length === MAX_PAYLOAD;
      if (!this.#continues) {
        this.#length = length;
        this.#headLength = 0;
      }
    }
    const end = Math.min(to, at + this.#payloadLeft);
    if (end > at) this.#payloadPart(octets, at, end);
    if (this.#payloadLeft > 0) return end;
    this.#inPacket = false;
    this.#continues = this.#full;
    if (this.#full) return end;
    if (this.#isRow) answer.endRow();
    else answer.control(this.#head, 0, this.#length);
    return end;
  }

  #payloadPart(octets: Uint8Array, from: number, to: number): void {
    const answer = this.#answer;
    this.#payloadLeft -= to - from;
    if (this.#headLength === 0) {
      this.#isRow = answer.startsRow(octets[from], this.#length);
      if (this.#isRow) answer.beginRow();
    }
    if (this.#isRow) answer.rowPart(octets, from, to);
    const head = this.#head;
    for (let i = from; i < to && this.#headLength < ANSWER_HEAD_OCTETS; i++)
      head[this.#headLength++] = octets[i];
  }

  #finish(): void {
    const reply = this.#answer.reply(this.#at);
    const next = this.#shapes.shift();
    if (next !== undefined) this.#answer.begin(next);
    this.#sink.reply(reply);
  }
}
