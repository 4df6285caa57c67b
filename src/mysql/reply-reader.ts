import type { CaptureNs } from '../time.ts';
import { ANSWER_HEAD_OCTETS, Answer, MAX_ERR_OCTETS } from './answer.ts';
import { PacketAssembler } from './assembler.ts';
import { EXPECT } from './command.ts';
import {
  copyOf,
  HEADER_OCTETS,
  MARK,
  MAX_PAYLOAD,
  OctetReader,
  OctetWriter,
  payloadLength,
} from './packet.ts';
import type { Reply } from './reply.ts';
import { givePart, type ReplyPart, takePart } from './reply-part.ts';

/** Longest packet of a login that is believed. */
const LOGIN_PACKET_OCTETS = 1024 * 1024;
const LOGIN_OK = 0x00;

/** Octets that came ahead of their command and are kept for it, and the pieces that they may come in. */
const MAX_HELD_OCTETS = 1024 * 1024;
const MAX_HELD_PIECES = 4096;

export interface ReplySink {
  /**
   * Before the command phase: one whole packet, header included, at [from, to); valid during the call. In the command phase
   * the same for what asks the client for more than its command: the packets of an authentication (COM_CHANGE_USER), whole,
   * and a LOCAL INFILE's request, of which no more than its beginning (ANSWER_HEAD_OCTETS of payload) is promised.
   */
  packet(octets: Uint8Array, from: number, to: number): void;
  /** The answer to the oldest command that expects one. May call `expect`. */
  reply(reply: Reply): void;
  /** What came is no answer to what was expected. Told once; everything is ignored until `resync`. */
  desync(): void;
}

const NOTHING = new Uint8Array(0);

/** How far a connection is, in what `save` writes. */
const PHASE = { login: 0, loginOver: 1, command: 2 } as const;

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
  /** Packets of an authentication in the command phase. */
  #authentication: PacketAssembler | undefined;
  #broken = false;
  #feeding = false;

  /** Shapes expected after the one at work, if any were. */
  #shapes: number[] | undefined;
  #held: Held[] | undefined;
  #heldOctets = 0;

  /** undefined: at the beginning of a packet. */
  #part: ReplyPart | undefined;
  #at: CaptureNs = 0;
  /** Octets of the piece being read, and of those held behind it, that lie beyond what was read of it. */
  #pieceLeft = 0;
  #behindPiece = 0;

  constructor(sink: ReplySink) {
    this.#sink = sink;
  }

  /** Whether it is in the midst of a packet. */
  get inPacket(): boolean {
    return this.#part !== undefined;
  }

  /** Answers expected and not told yet. */
  get pending(): number {
    return (this.#answer.done ? 0 : 1) + (this.#shapes?.length ?? 0);
  }

  /** Whether what the client sends now is no command, but what the server asked for: a file, an authentication. */
  get wantsData(): boolean {
    return this.#answer.wantsData;
  }

  /** Whether that is a file's content. */
  get wantsFile(): boolean {
    return this.#answer.wantsFile;
  }

  /** Octets kept until they make sense: of an unfinished packet of the login, or ahead of their command. */
  get heldOctets(): number {
    const assembler = this.#login ?? this.#authentication;
    return (assembler?.heldOctets ?? 0) + this.#heldOctets;
  }

  /** During `packet` and `reply`: octets that were fed and lie beyond what is told. */
  get unread(): number {
    return this.#pieceLeft + this.#behindPiece;
  }

  /** Whether octets were read or held of a packet or answer that was not told yet: `save` has something to write. */
  get midway(): boolean {
    return this.#part !== undefined || this.heldOctets > 0 || this.#answer.midway;
  }

  /**
   * Where the reader stands, all but the capabilities, in as many octets as it takes (docs/relay-protocol.md, "The reader's
   * state"): some 60, and what is held.
   */
  save(): Uint8Array {
    const writer = new OctetWriter();
    if (this.#login !== undefined && !this.#loginOver) {
      const { unfinished } = this.#login;
      writer.uint(PHASE.login, 1).lenenc(unfinished.length).octets(unfinished);
    } else if (this.#login !== undefined) {
      writer.uint(PHASE.loginOver, 1);
    } else {
      const shapes = this.#shapes ?? [];
      writer.uint(PHASE.command, 1);
      this.#answer.save(writer);
      writer.uint(shapes.length, 1).octets(Uint8Array.from(shapes));
      writer.uint(this.#part === undefined ? 0 : 1, 1);
      this.#part?.save(writer);
      const unfinished = this.#authentication?.unfinished ?? NOTHING;
      writer.lenenc(unfinished.length).octets(unfinished);
    }
    writer.lenenc(this.#heldOctets);
    for (const { octets, from } of this.#held ?? []) writer.octets(octets.subarray(from));
    return writer.all();
  }

  /**
   * Makes a new reader, that nobody has fed, stand where the one of `save` stood; `commandPhase` is to be called after it.
   * Answers false where `state` is none.
   */
  restore(state: Uint8Array, at: CaptureNs): boolean {
    const reader = new OctetReader(state, 0, state.length);
    const phase = reader.uint(1);
    if (phase === PHASE.login) {
      const octets = reader.take(reader.lenenc());
      this.#login?.take(octets, 0, octets.length);
    } else if (phase === PHASE.loginOver) {
      this.#loginOver = true;
    } else {
      this.#login = undefined;
      this.#answer.restore(reader);
      const shapes = reader.take(reader.uint(1));
      if (shapes.length > 0) this.#shapes = [...shapes];
      if (reader.uint(1) !== 0) {
        this.#part = takePart();
        this.#part.restore(reader);
      }
      const unfinished = reader.take(reader.lenenc());
      if (unfinished.length > 0) {
        this.#authentication = new PacketAssembler(LOGIN_PACKET_OCTETS);
        this.#authentication.take(unfinished, 0, unfinished.length);
      }
    }
    const held = reader.take(reader.lenenc());
    if (held.length > 0) this.#hold(held, 0, held.length, at);
    return phase <= PHASE.command && !reader.short && reader.left === 0;
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

  /** The same where the login was not seen, and the capabilities are to be learnt from the answers. */
  joinedLate(): void {
    this.#login = undefined;
    this.#answer.guess();
  }

  /** Answers are those of the protocol of before 4.1. */
  oldProtocol(): void {
    this.#answer.oldProtocol();
  }

  /** The client goes on: an answer that may be whole is, since the client knew it. */
  concede(): void {
    if (!this.#answer.maybeDone || this.#part !== undefined) return;
    this.#answer.drop();
    this.#finish();
  }

  /** A command was sent whose answer has this shape (EXPECT). One without an answer leaves no trace. */
  expect(shape: number): void {
    if (shape === EXPECT.none || this.#broken) return;
    this.concede();
    if (!this.#answer.done) {
      this.#shapes ??= [];
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
    this.#behindPiece = 0;
    const read = this.#read(octets, from, to);
    this.#feeding = false;
    if (read < to && !this.#broken) this.#hold(octets, read, to, at);
  }

  /** Forgets everything expected and held: what comes next begins an answer. */
  resync(): void {
    this.#broken = false;
    this.#login?.reset();
    this.#authentication = undefined;
    this.#shapes = undefined;
    this.#held = undefined;
    this.#heldOctets = 0;
    this.#answer.drop();
    if (this.#part !== undefined) givePart(this.#part);
    this.#part = undefined;
  }

  #hold(octets: Uint8Array, from: number, to: number, at: CaptureNs): void {
    this.#heldOctets += to - from;
    this.#held ??= [];
    if (this.#heldOctets > MAX_HELD_OCTETS || this.#held.length === MAX_HELD_PIECES) {
      this.#desync();
      return;
    }
    this.#held.push({ octets: copyOf(octets, from, to), from: 0, at });
  }

  #readHeld(): void {
    this.#feeding = true;
    while (this.#held !== undefined && (!this.#answer.done || this.#unannounced !== undefined)) {
      const first = this.#held[0];
      this.#at = first.at;
      this.#behindPiece = this.#heldOctets - (first.octets.length - first.from);
      const read = this.#read(first.octets, first.from, first.octets.length);
      if (this.#broken) break;
      this.#heldOctets -= read - first.from;
      first.from = read;
      if (read === first.octets.length) this.#held.shift();
      if (this.#held.length === 0) this.#held = undefined;
    }
    this.#feeding = false;
  }

  #desync(): void {
    if (this.#broken) return;
    this.resync();
    this.#broken = true;
    this.#sink.desync();
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
      if (answer.authenticates) {
        at = this.#readAuthentication(octets, at, to);
        if (this.#broken) return to;
        continue;
      }
      const length =
        this.#part === undefined && to - at > HEADER_OCTETS ? payloadLength(octets, at) : MAX_PAYLOAD;
      const end = at + HEADER_OCTETS + length;
      if (end <= to && length < MAX_PAYLOAD) {
        answer.header(length, octets[at + 3], false);
        if (!answer.broken) answer.payload(octets, at + HEADER_OCTETS, end);
        this.#pieceLeft = to - end;
        if (answer.wantsFile && octets[at + HEADER_OCTETS] === MARK.infile)
          this.#sink.packet(octets, at, end);
        at = end;
      } else {
        at = this.#readPart(octets, at, to);
      }
      this.#pieceLeft = to - at;
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
      this.#pieceLeft = to - read;
      this.#sink.packet(login.octets, login.start, login.end);
    } else if (login.tooLong) this.#desync();
    return read;
  }

  /** Reads a packet of an authentication in the command phase. */
  #readAuthentication(octets: Uint8Array, from: number, to: number): number {
    const answer = this.#answer;
    const packet = (this.#authentication ??= new PacketAssembler(LOGIN_PACKET_OCTETS));
    const read = packet.take(octets, from, to);
    if (packet.whole) {
      const { start, end } = packet;
      answer.header(end - start - HEADER_OCTETS, packet.octets[start + 3], false);
      if (!answer.broken) answer.payload(packet.octets, start + HEADER_OCTETS, end);
      this.#pieceLeft = to - read;
      if (answer.done) {
        this.#authentication = undefined;
        this.#finish();
      } else if (!answer.broken) this.#sink.packet(packet.octets, start, end);
    }
    if (answer.broken || packet.tooLong) this.#desync();
    return read;
  }

  /** Reads on in a packet whose octets come in parts, or whose payload takes several packets. */
  #readPart(octets: Uint8Array, from: number, to: number): number {
    const answer = this.#answer;
    const part = (this.#part ??= takePart());
    let at = from;
    if (!part.inPacket) {
      while (part.headerLength < HEADER_OCTETS && at < to) part.header[part.headerLength++] = octets[at++];
      if (part.headerLength < HEADER_OCTETS) return at;
      part.headerLength = 0;
      const length = payloadLength(part.header, 0);
      answer.header(length, part.header[3], part.continues);
      if (answer.broken) return to;
      part.inPacket = true;
      part.payloadLeft = length;
      part.full = length === MAX_PAYLOAD;
      if (!part.continues) {
        part.length = length;
        part.headLength = 0;
      }
    }
    const end = Math.min(to, at + part.payloadLeft);
    if (end > at) this.#payloadPart(part, octets, at, end);
    if (part.payloadLeft > 0) return end;
    part.inPacket = false;
    part.continues = part.full;
    if (part.full) return end;
    if (part.isRow) answer.endRow();
    else answer.control(part.head, 0, part.length);
    if (answer.wantsFile && part.head[0] === MARK.infile) this.#tellRequest(part, to - end);
    this.#part = undefined;
    givePart(part);
    return end;
  }

  #payloadPart(part: ReplyPart, octets: Uint8Array, from: number, to: number): void {
    const answer = this.#answer;
    part.payloadLeft -= to - from;
    if (part.headLength === 0) {
      part.isRow = answer.startsRow(octets[from], part.length);
      if (part.isRow) answer.beginRow();
    }
    if (part.isRow) answer.rowPart(octets, from, to);
    const { head } = part;
    if (part.headLength === 0) head[part.headLength++] = octets[from++];
    const headOctets = head[0] === MARK.err ? MAX_ERR_OCTETS : ANSWER_HEAD_OCTETS;
    for (let i = from; i < to && part.headLength < headOctets; i++) head[part.headLength++] = octets[i];
  }

  /** A request for a file that came in parts: its beginning, as a packet. */
  #tellRequest({ header, head, headLength }: ReplyPart, pieceLeft: number): void {
    const packet = new Uint8Array(HEADER_OCTETS + headLength);
    packet.set(header);
    packet.set(head.subarray(0, headLength), HEADER_OCTETS);
    this.#pieceLeft = pieceLeft;
    this.#sink.packet(packet, 0, packet.length);
  }

  #finish(): void {
    const reply = this.#answer.reply(this.#at);
    const next = this.#shapes?.shift();
    if (next !== undefined) this.#answer.begin(next);
    this.#sink.reply(reply);
  }
}
