import type { CaptureNs } from '../time.ts';
import { PacketAssembler } from './assembler.ts';
import { CLIENT, EXTENDED, has } from './capabilities.ts';
import { EXPECT } from './command.ts';
import {
  ERRNO_PROGRESS,
  HEADER_OCTETS,
  lenenc,
  lenencSize,
  MARK,
  MAX_PAYLOAD,
  payloadLength,
  STATUS,
} from './packet.ts';
import type { Reply, ReplyKind } from './reply.ts';
import { RowHash, thenRow } from './row-hash.ts';

/** Longest packet of a login that is believed. */
const LOGIN_PACKET_OCTETS = 1024 * 1024;

/** Octets that came ahead of their command and are kept for it. */
const MAX_HELD_OCTETS = 1024 * 1024;

/** Octets of a packet's beginning that hold all that we read of it: the longest is an OK with two 9-octet numbers. */
const HEAD_OCTETS = 32;

/** An EOF packet has 5 octets of payload; the manual tells it from a row by fewer than 9. */
const EOF_OCTETS = 5;
const EOF_BELOW = 9;

/** An OK has at least: mark, two numbers, status, warnings. */
const OK_OCTETS = 7;

/** A PREPARE's OK has this many, and one more where metadata is optional. */
const PREPARE_OK_OCTETS = 12;

/** The most columns that a server can describe: their count has two octets in a PREPARE's OK. */
const MAX_COLUMNS = 0xffff;

/** What packet the answer goes on with. */
const STAGE = {
  /** No answer is expected. */
  idle: 0,
  /** OK, ERR, LOCAL INFILE request or column count. */
  first: 1,
  columnDefinition: 2,
  /** The EOF behind definitions, which CLIENT_DEPRECATE_EOF does away with. */
  definitionsEof: 3,
  row: 4,
  /** OK or ERR that ends LOCAL INFILE, once the client's file went the other way. */
  infileEnd: 5,
  prepareOk: 6,
  text: 7,
  fieldDefinition: 8,
  authentication: 9,
} as const;

const FIRST_STAGE: Record<number, number> = {
  [EXPECT.result]: STAGE.first,
  [EXPECT.prepare]: STAGE.prepareOk,
  [EXPECT.text]: STAGE.text,
  [EXPECT.fieldList]: STAGE.fieldDefinition,
  [EXPECT.fetch]: STAGE.row,
  [EXPECT.auth]: STAGE.authentication,
};

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
  #deprecateEof = false;
  #cacheMetadata = false;
  #optionalMetadata = false;
  #broken = false;
  #feeding = false;

  /** Shapes expected after the one at work. */
  readonly #shapes: number[] = [];
  #held: Held[] = [];
  #heldOctets = 0;

  /** STAGE of the next packet. */
  #stage: number = STAGE.idle;
  #definitionsLeft = 0;
  /** Columns of the statement being prepared, whose definitions come after those of its parameters. */
  #columnsToPrepare = 0;
  #preparing = false;

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
  readonly #head = new Uint8Array(HEAD_OCTETS);
  #headLength = 0;
  /** Sequence id of the next packet, or -1 where any will do. */
  #sequence = -1;
  readonly #rowHash = new RowHash();

  #at: CaptureNs = 0;
  #kind: ReplyKind = 'ok';
  #errno = 0;
  #affected = 0;
  #columns = 0;
  #rows = 0;
  #octets = 0;
  #hash = 0;
  #hashUnordered = 0;
  #statementId = 0;
  #params = 0;

  constructor(sink: ReplySink) {
    this.#sink = sink;
  }

  /** Answers expected and not told yet. */
  get pending(): number {
    return (this.#stage === STAGE.idle ? 0 : 1) + this.#shapes.length;
  }

  /** Whether the server has asked for a file (LOCAL INFILE) and not said yet that it has it. */
  get wantsFile(): boolean {
    return this.#stage === STAGE.infileEnd;
  }

  /** Octets kept until they make sense: of an unfinished packet of the login, or ahead of their command. */
  get heldOctets(): number {
    return this.#login ? this.#login.heldOctets : this.#heldOctets;
  }

  /**
   * The login is done: from the next packet on, answers are read by the capabilities in force. To be called from within
   * `packet` when the octets of the first answer may be in the same `feed`.
   */
  commandPhase(capabilities: number, extendedCapabilities: number): void {
    this.#login = undefined;
    this.#deprecateEof = has(capabilities, CLIENT.deprecateEof);
    this.#optionalMetadata = has(capabilities, CLIENT.optionalResultsetMetadata);
    this.#cacheMetadata = has(extendedCapabilities, EXTENDED.cacheMetadata);
  }

  /** A command was sent whose answer has this shape (EXPECT). One without an answer leaves no trace. */
  expect(shape: number): void {
    if (shape === EXPECT.none || this.#broken) return;
    if (this.#stage !== STAGE.idle) {
      this.#shapes.push(shape);
      return;
    }
    this.#begin(shape);
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
    this.#stage = STAGE.idle;
    this.#headerLength = 0;
    this.#inPacket = false;
    this.#continues = false;
  }

  #begin(shape: number): void {
    this.#stage = FIRST_STAGE[shape] ?? STAGE.first;
    this.#sequence = -1;
    this.#preparing = false;
    this.#kind = shape === EXPECT.fetch ? 'rows' : 'ok';
    this.#errno = 0;
    this.#affected = 0;
    this.#columns = 0;
    this.#rows = 0;
    this.#octets = 0;
    this.#hash = 0;
    this.#hashUnordered = 0;
    this.#statementId = 0;
    this.#params = 0;
  }

  #hold(octets: Uint8Array, from: number, to: number, at: CaptureNs): void {
    this.#heldOctets += to - from;
    if (this.#heldOctets > MAX_HELD_OCTETS) {
      this.#desync();
      return;
    }
    this.#held.push({ octets: octets.slice(from, to), from: 0, at });
  }

  #readHeld(): void {
    this.#feeding = true;
    while (this.#held.length > 0 && this.#stage !== STAGE.idle) {
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
    let at = from;
    while (at < to) {
      if (this.#login !== undefined) {
        at = this.#readLogin(this.#login, octets, at, to);
      } else if (this.#stage === STAGE.idle) {
        return at;
      } else if (this.#atBoundary && to - at > HEADER_OCTETS) {
        const length = payloadLength(octets, at);
        const end = at + HEADER_OCTETS + length;
        if (end > to || length === MAX_PAYLOAD) at = this.#readPart(octets, at, to);
        else if (this.#header(length, octets[at + 3])) {
          this.#packet(octets, at + HEADER_OCTETS, end);
          at = end;
        }
      } else {
        at = this.#readPart(octets, at, to);
      }
      if (this.#broken) return to;
    }
    return to;
  }

  #readLogin(login: PacketAssembler, octets: Uint8Array, from: number, to: number): number {
    const read = login.take(octets, from, to);
    if (login.whole) this.#sink.packet(login.octets, login.start, login.end);
    else if (login.tooLong) this.#desync();
    return read;
  }

  /** A packet's header: false where it cannot be the next one. */
  #header(length: number, sequenceId: number): boolean {
    const fits = this.#sequence < 0 || sequenceId === this.#sequence;
    if (!fits || (length === 0 && !this.#continues)) {
      this.#desync();
      return false;
    }
    this.#sequence = (sequenceId + 1) & 255;
    this.#octets += HEADER_OCTETS + length;
    return true;
  }

  /** A packet of which all is at hand: its payload is [from, to). */
  #packet(octets: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (this.#stage === STAGE.columnDefinition) {
      this.#definition();
    } else if (this.#stage === STAGE.row && this.#startsRow(octets[from], length)) {
      this.#rowHash.begin();
      this.#rowHash.update(octets, from, to);
      this.#row();
    } else {
      this.#control(octets, from, length);
    }
  }

  /** Reads on in a packet whose octets come in parts, or whose payload takes several packets. */
  #readPart(octets: Uint8Array, from: number, to: number): number {
    let at = from;
    if (!this.#inPacket) {
      while (this.#headerLength < HEADER_OCTETS && at < to)
        this.#headerOctets[this.#headerLength++] = octets[at++];
      if (this.#headerLength < HEADER_OCTETS) return at;
      this.#headerLength = 0;
      const length = payloadLength(this.#headerOctets, 0);
      if (!this.#header(length, this.#headerOctets[3])) return to;
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
    if (this.#isRow) this.#row();
    else if (this.#stage === STAGE.columnDefinition) this.#definition();
    else this.#control(this.#head, 0, this.#length);
    return end;
  }

  #payloadPart(octets: Uint8Array, from: number, to: number): void {
    this.#payloadLeft -= to - from;
    if (this.#headLength === 0) {
      this.#isRow = this.#stage === STAGE.row && this.#startsRow(octets[from], this.#length);
      if (this.#isRow) this.#rowHash.begin();
    }
    if (this.#isRow) this.#rowHash.update(octets, from, to);
    for (let i = from; i < to && this.#headLength < HEAD_OCTETS; i++)
      this.#head[this.#headLength++] = octets[i];
  }

  /** Whether, where rows come, a packet that begins so is one. Only a row of 16 MiB begins like an EOF. */
  #startsRow(first: number, length: number): boolean {
    if (first < MARK.eof) return true;
    return first === MARK.eof && (this.#deprecateEof ? length === MAX_PAYLOAD : length >= EOF_BELOW);
  }

  #row(): void {
    const hash = this.#rowHash.end();
    this.#rows++;
    this.#hash = thenRow(this.#hash, hash);
    this.#hashUnordered = (this.#hashUnordered + hash) >>> 0;
  }

  /** Any packet but rows and definitions: of its `length` octets, at least the first HEAD_OCTETS stand at `from`. */
  #control(octets: Uint8Array, from: number, length: number): void {
    const mark = octets[from];
    if (mark === MARK.err && this.#stage !== STAGE.idle) {
      this.#err(octets, from, length);
      return;
    }
    switch (this.#stage) {
      case STAGE.first:
        if (mark === MARK.ok) this.#ok(octets, from, length, true);
        else if (mark === MARK.eof) this.#eof(octets, from, length);
        else if (mark === MARK.infile) this.#infile();
        else this.#columnCount(octets, from, length);
        break;
      case STAGE.definitionsEof:
        if (mark !== MARK.eof || length >= EOF_BELOW) this.#desync();
        else if (this.#preparing || (octets[from + 3] & STATUS.cursorExists) === 0) this.#afterDefinitions();
        // The rows wait behind a cursor, for COM_STMT_FETCH.
        else this.#eof(octets, from, length);
        break;
      case STAGE.row:
        this.#eof(octets, from, length);
        break;
      case STAGE.infileEnd:
        if (mark === MARK.ok) this.#ok(octets, from, length, true);
        else this.#desync();
        break;
      case STAGE.prepareOk:
        this.#prepareOk(octets, from, length);
        break;
      case STAGE.text:
        this.#kind = 'text';
        this.#finish();
        break;
      case STAGE.fieldDefinition:
        if (mark === MARK.eof) this.#finish();
        else {
          this.#kind = 'rows';
          this.#columns++;
        }
        break;
      case STAGE.authentication:
        // The client answers in between, so sequence ids leave gaps.
        this.#sequence = -1;
        if (mark === MARK.ok) this.#ok(octets, from, length, true);
        break;
    }
  }

  #err(octets: Uint8Array, from: number, length: number): void {
    if (length < 3) {
      this.#desync();
      return;
    }
    const errno = octets[from + 1] | (octets[from + 2] << 8);
    if (errno === ERRNO_PROGRESS) return;
    this.#kind = 'err';
    this.#errno = errno;
    this.#finish();
  }

  /** An OK, or what CLIENT_DEPRECATE_EOF puts in an EOF's place; only the former tells of rows affected. */
  #ok(octets: Uint8Array, from: number, length: number, counts: boolean): void {
    const affectedSize = lenencSize(octets[from + 1]);
    const insertIdAt = from + 1 + affectedSize;
    const insertIdSize = lenencSize(octets[insertIdAt]);
    const statusAt = insertIdAt + insertIdSize;
    if (length < OK_OCTETS || affectedSize === 0 || insertIdSize === 0 || statusAt + 2 > from + length) {
      this.#desync();
      return;
    }
    if (counts) this.#affected += lenenc(octets, from + 1);
    this.#endResult(octets[statusAt]);
  }

  #eof(octets: Uint8Array, from: number, length: number): void {
    if (length === EOF_OCTETS) this.#endResult(octets[from + 3]);
    else if (this.#deprecateEof) this.#ok(octets, from, length, false);
    else this.#desync();
  }

  #endResult(status: number): void {
    if ((status & STATUS.moreResults) !== 0) this.#stage = STAGE.first;
    else this.#finish();
  }

  #infile(): void {
    this.#kind = 'infile';
    this.#stage = STAGE.infileEnd;
    this.#sequence = -1;
  }

  #columnCount(octets: Uint8Array, from: number, length: number): void {
    const size = lenencSize(octets[from]);
    const flagged = this.#cacheMetadata || this.#optionalMetadata;
    if (length !== (flagged ? size + 1 : size)) {
      this.#desync();
      return;
    }
    const count = lenenc(octets, from);
    if (count > MAX_COLUMNS) {
      this.#desync();
      return;
    }
    this.#kind = 'rows';
    if (this.#columns === 0) this.#columns = count;
    this.#definitions(flagged && octets[from + size] === 0 ? 0 : count);
  }

  #prepareOk(octets: Uint8Array, from: number, length: number): void {
    if (octets[from] !== MARK.ok || length < PREPARE_OK_OCTETS) {
      this.#desync();
      return;
    }
    this.#statementId =
      (octets[from + 1] | (octets[from + 2] << 8) | (octets[from + 3] << 16) | (octets[from + 4] << 24)) >>>
      0;
    this.#columns = octets[from + 5] | (octets[from + 6] << 8);
    this.#params = octets[from + 7] | (octets[from + 8] << 8);
    this.#preparing = true;
    const withoutDefinitions =
      this.#optionalMetadata && length > PREPARE_OK_OCTETS && octets[from + 12] === 0;
    this.#columnsToPrepare = withoutDefinitions ? 0 : this.#columns;
    if (this.#params === 0 || withoutDefinitions) this.#afterDefinitions();
    else this.#definitions(this.#params);
  }

  /** `count` definitions follow, and what ends them. */
  #definitions(count: number): void {
    this.#definitionsLeft = count;
    if (count > 0) this.#stage = STAGE.columnDefinition;
    else this.#endDefinitions();
  }

  #definition(): void {
    if (--this.#definitionsLeft === 0) this.#endDefinitions();
  }

  #endDefinitions(): void {
    if (this.#deprecateEof) this.#afterDefinitions();
    else this.#stage = STAGE.definitionsEof;
  }

  #afterDefinitions(): void {
    if (!this.#preparing) {
      this.#stage = STAGE.row;
    } else if (this.#columnsToPrepare > 0) {
      const count = this.#columnsToPrepare;
      this.#columnsToPrepare = 0;
      this.#definitions(count);
    } else {
      this.#finish();
    }
  }

  #finish(): void {
    const reply: Reply = {
      kind: this.#kind,
      errno: this.#errno,
      affected: this.#affected,
      columns: this.#columns,
      rows: this.#rows,
      octets: this.#octets,
      hash: this.#hash,
      hashUnordered: this.#hashUnordered,
      statementId: this.#statementId,
      params: this.#params,
      at: this.#at,
    };
    const next = this.#shapes.shift();
    if (next === undefined) this.#stage = STAGE.idle;
    else this.#begin(next);
    this.#sink.reply(reply);
  }
}
