import type { CaptureNs } from '../time.ts';
import { CLIENT, EXTENDED, has } from './capabilities.ts';
import { EXPECT } from './command.ts';
import {
  ERRNO_PROGRESS,
  errorMessage,
  HEADER_OCTETS,
  lenenc,
  lenencSize,
  MARK,
  MAX_PAYLOAD,
  type OctetReader,
  type OctetWriter,
  SQLSTATE_OCTETS,
  STATUS,
} from './packet.ts';
import { REPLY_KINDS, type Reply, type ReplyKind } from './reply.ts';
import { RowHash, thenRow } from './row-hash.ts';

/** Octets of a packet's beginning that hold all that we read of it, an ERR aside: the longest is an OK with two 9-octet numbers. */
export const ANSWER_HEAD_OCTETS = 32;

/** Octets of an error's message: a server has no longer ones. */
export const MAX_MESSAGE_OCTETS = 512;

/** The longest ERR whose message is read; it is needed whole. */
export const MAX_ERR_OCTETS = 3 + SQLSTATE_OCTETS + MAX_MESSAGE_OCTETS;

/** An EOF packet has 5 octets of payload; the manual tells it from a row by fewer than 9. */
const EOF_OCTETS = 5;
const EOF_BELOW = 9;

/** Before the protocol of 4.1 it is nothing but its mark. */
const OLD_EOF_OCTETS = 1;

/** An OK has at least: mark, two numbers, status, warnings; before the protocol of 4.1 no more than the numbers. */
const OK_OCTETS = 7;
const OLD_OK_OCTETS = 3;

/** A PREPARE's OK has this many, and one more where metadata is optional. */
const PREPARE_OK_OCTETS = 12;

/** The most columns that a server can describe: their count has two octets in a PREPARE's OK. */
const MAX_COLUMNS = 0xffff;

/** What packet the answer goes on with. */
const STAGE = {
  /** The answer is whole. */
  done: 0,
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
  /** The same, once the server has asked for more. */
  authenticationData: 10,
  /** What came is no answer. */
  broken: 11,
} as const;

const FIRST_STAGE: Record<number, number> = {
  [EXPECT.result]: STAGE.first,
  [EXPECT.prepare]: STAGE.prepareOk,
  [EXPECT.text]: STAGE.text,
  [EXPECT.fieldList]: STAGE.fieldDefinition,
  [EXPECT.fetch]: STAGE.row,
  [EXPECT.auth]: STAGE.authentication,
};

/**
 * One answer, packet by packet: the protocol's own steps, from its first packet to the one that ends it. `begin` starts
 * the next one in the same object.
 */
export class Answer {
  /** undefined, of these two: not known, and learnt from the first answer that shows it. */
  #deprecateEof: boolean | undefined = false;
  /** Whether a column count is followed by an octet that says if definitions come. */
  #flagged: boolean | undefined = false;
  #optionalMetadata = false;
  /** Whether packets of an answer have consecutive ids: compressed, their ids are whatever the frames had. */
  #numbered = true;
  /** The protocol of before 4.1; undefined: not known, and learnt from the first EOF. */
  #old: boolean | undefined = false;
  #stage: number = STAGE.done;
  #definitionsLeft = 0;
  /** Columns of the statement being prepared, whose definitions come after those of its parameters. */
  #columnsToPrepare = 0;
  #preparing = false;
  /** Sequence id of the next packet, or -1 where any will do. */
  #sequence = -1;
  readonly #rowHash = new RowHash();

  #kind: ReplyKind = 'ok';
  #errno = 0;
  #message: string | undefined;
  #affected = 0;
  #columns = 0;
  #rows = 0;
  #octets = 0;
  #hash = 0;
  #hashUnordered = 0;
  #statementId = 0;
  #params = 0;
  #status = 0;
  #insertId = 0;

  /** Whether no packet is missing (or none was ever expected). */
  get done(): boolean {
    return this.#stage === STAGE.done;
  }

  /** Whether it has begun and is not whole. */
  get midway(): boolean {
    return this.#stage !== STAGE.done && this.#octets > 0;
  }

  /** Whether what came is no answer. */
  get broken(): boolean {
    return this.#stage === STAGE.broken;
  }

  /** Whether the server has asked for octets that are no command (a LOCAL INFILE's, an authentication's) and got no end. */
  get wantsData(): boolean {
    return this.#stage === STAGE.infileEnd || this.#stage === STAGE.authenticationData;
  }

  /** Whether it wants a file's content (else, where `wantsData`, an authentication's). */
  get wantsFile(): boolean {
    return this.#stage === STAGE.infileEnd;
  }

  /** Whether its packets must be at hand whole: those of an authentication, which are told. */
  get authenticates(): boolean {
    return this.#stage === STAGE.authentication || this.#stage === STAGE.authenticationData;
  }

  /** Whether it may be whole: what ends it would follow only if CLIENT_DEPRECATE_EOF, of which nothing is known, is not in force. */
  get maybeDone(): boolean {
    return (
      this.#stage === STAGE.definitionsEof &&
      this.#deprecateEof === undefined &&
      this.#preparing &&
      this.#columnsToPrepare === 0
    );
  }

  /** By these capabilities answers are read. */
  capabilities(capabilities: number, extendedCapabilities: number): void {
    this.#deprecateEof = has(capabilities, CLIENT.deprecateEof);
    this.#optionalMetadata = has(capabilities, CLIENT.optionalResultsetMetadata);
    this.#flagged = this.#optionalMetadata || has(extendedCapabilities, EXTENDED.cacheMetadata);
    this.#numbered = (capabilities & (CLIENT.compress | CLIENT.zstdCompression)) === 0;
  }

  /** The capabilities in force are not known: what they change is learnt from the answers. */
  guess(): void {
    this.#deprecateEof = undefined;
    this.#flagged = undefined;
    this.#old = undefined;
  }

  /** Answers are those of the protocol of before 4.1 (no CLIENT_PROTOCOL_41). */
  oldProtocol(): void {
    this.#old = true;
  }

  /** An answer of this shape (EXPECT) is next. */
  begin(shape: number): void {
    this.#stage = FIRST_STAGE[shape] ?? STAGE.first;
    this.#sequence = -1;
    this.#preparing = false;
    this.#kind = shape === EXPECT.fetch ? 'rows' : 'ok';
    this.#errno = 0;
    this.#message = undefined;
    this.#affected = 0;
    this.#columns = 0;
    this.#rows = 0;
    this.#octets = 0;
    this.#hash = 0;
    this.#hashUnordered = 0;
    this.#statementId = 0;
    this.#params = 0;
    this.#status = 0;
    this.#insertId = 0;
  }

  /** Drops the answer at work: none is expected. */
  drop(): void {
    this.#stage = STAGE.done;
  }

  /** What the answer amounts to, now that it is `done`. */
  reply(at: CaptureNs): Reply {
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
      status: this.#status,
      insertId: this.#insertId,
      at,
    };
    if (this.#message !== undefined) reply.message = this.#message;
    return reply;
  }

  /** Writes all but the capabilities, for `restore` in another Answer (docs/relay-protocol.md, "The reader's state"). */
  save(writer: OctetWriter): void {
    writer
      .uint(this.#stage, 1)
      .uint(this.#preparing ? 1 : 0, 1)
      .uint(this.#sequence + 1, 2)
      .uint(this.#definitionsLeft, 2)
      .uint(this.#columnsToPrepare, 2)
      .uint(REPLY_KINDS.indexOf(this.#kind), 1)
      .uint(this.#errno, 2)
      .lenenc(this.#affected)
      .uint(this.#columns, 2)
      .lenenc(this.#rows)
      .lenenc(this.#octets)
      .uint(this.#hash, 4)
      .uint(this.#hashUnordered, 4)
      .uint(this.#statementId, 4)
      .uint(this.#params, 2)
      .uint(this.#status, 2)
      .lenenc(this.#insertId);
    this.#rowHash.save(writer);
  }

  restore(reader: OctetReader): void {
    this.#stage = Math.min(reader.uint(1), STAGE.broken);
    this.#preparing = reader.uint(1) !== 0;
    this.#sequence = reader.uint(2) - 1;
    this.#definitionsLeft = reader.uint(2);
    this.#columnsToPrepare = reader.uint(2);
    this.#kind = REPLY_KINDS[reader.uint(1)] ?? 'ok';
    this.#errno = reader.uint(2);
    this.#affected = reader.lenenc();
    this.#columns = reader.uint(2);
    this.#rows = reader.lenenc();
    this.#octets = reader.lenenc();
    this.#hash = reader.uint(4);
    this.#hashUnordered = reader.uint(4);
    this.#statementId = reader.uint(4);
    this.#params = reader.uint(2);
    this.#status = reader.uint(2);
    this.#insertId = reader.lenenc();
    this.#rowHash.restore(reader);
  }

  /** The header of a packet. `continues`: its payload carries on that of the packet before it, and may be empty. */
  header(length: number, sequenceId: number, continues: boolean): void {
    const fits = this.#sequence < 0 || sequenceId === this.#sequence || !this.#numbered;
    if (!fits || (length === 0 && !continues)) this.#stage = STAGE.broken;
    this.#sequence = (sequenceId + 1) & 255;
    this.#octets += HEADER_OCTETS + length;
  }

  /** A payload that is at hand in one piece: [from, to). */
  payload(octets: Uint8Array, from: number, to: number): void {
    if (this.startsRow(octets[from], to - from)) {
      this.#rowHash.begin();
      this.#rowHash.update(octets, from, to);
      this.endRow();
    } else {
      this.control(octets, from, to - from);
    }
  }

  /**
   * Whether a payload of this length (of its first packet) that begins so is a row: then it goes through `beginRow`,
   * `rowPart` and `endRow`, however it is cut; any other is gathered for `control`.
   */
  startsRow(first: number, length: number): boolean {
    if (this.#stage === STAGE.definitionsEof && this.#deprecateEof === undefined)
      this.#learnEof(first, length);
    if (this.#stage !== STAGE.row) return false;
    if (first < MARK.eof) return true;
    // Only a row of 16 MiB can begin like an EOF.
    return (
      first === MARK.eof && (this.#deprecateEof === false ? length >= EOF_BELOW : length === MAX_PAYLOAD)
    );
  }

  beginRow(): void {
    this.#rowHash.begin();
  }

  rowPart(octets: Uint8Array, from: number, to: number): void {
    this.#rowHash.update(octets, from, to);
  }

  endRow(): void {
    const hash = this.#rowHash.end();
    this.#rows++;
    this.#hash = thenRow(this.#hash, hash);
    this.#hashUnordered = (this.#hashUnordered + hash) >>> 0;
  }

  /** A payload that is no row: of its `length` octets, at least the first ANSWER_HEAD_OCTETS stand at `from`, of an ERR MAX_ERR_OCTETS. */
  control(octets: Uint8Array, from: number, length: number): void {
    if (this.#stage === STAGE.columnDefinition) this.#definition();
    else if (octets[from] === MARK.err) this.#err(octets, from, length);
    else this.#step(octets, from, length, octets[from]);
  }

  /** What stands behind definitions shows whether CLIENT_DEPRECATE_EOF is in force. */
  #learnEof(first: number, length: number): void {
    this.#old ??= first === MARK.eof && length === OLD_EOF_OCTETS;
    this.#deprecateEof = !this.#old && (first !== MARK.eof || length !== EOF_OCTETS);
    if (this.#deprecateEof) this.#afterDefinitions();
  }

  #step(octets: Uint8Array, from: number, length: number, mark: number): void {
    switch (this.#stage) {
      case STAGE.first:
        if (mark === MARK.ok) this.#ok(octets, from, length, true);
        else if (mark === MARK.eof) this.#eof(octets, from, length);
        else if (mark === MARK.infile) this.#infile();
        else this.#columnCount(octets, from, length);
        break;
      case STAGE.definitionsEof:
        if (mark !== MARK.eof || length >= EOF_BELOW) this.#stage = STAGE.broken;
        // The shorter one of the old protocol has no status.
        else if (this.#preparing || length < EOF_OCTETS || (octets[from + 3] & STATUS.cursorExists) === 0)
          this.#afterDefinitions();
        // The rows wait behind a cursor, for COM_STMT_FETCH.
        else this.#eof(octets, from, length);
        break;
      case STAGE.row:
        this.#eof(octets, from, length);
        break;
      case STAGE.infileEnd:
        if (mark === MARK.ok) this.#ok(octets, from, length, true);
        else this.#stage = STAGE.broken;
        break;
      case STAGE.prepareOk:
        this.#prepareOk(octets, from, length);
        break;
      case STAGE.text:
        this.#kind = 'text';
        this.#stage = STAGE.done;
        break;
      case STAGE.fieldDefinition:
        if (mark === MARK.eof) this.#stage = STAGE.done;
        else {
          this.#kind = 'rows';
          this.#columns++;
        }
        break;
      case STAGE.authentication:
      case STAGE.authenticationData:
        if (mark === MARK.ok) {
          this.#ok(octets, from, length, true);
          break;
        }
        this.#stage = STAGE.authenticationData;
        // The client answers in between, so sequence ids leave gaps.
        this.#sequence = -1;
        break;
    }
  }

  #err(octets: Uint8Array, from: number, length: number): void {
    if (length < 3) {
      this.#stage = STAGE.broken;
      return;
    }
    const errno = octets[from + 1] | (octets[from + 2] << 8);
    if (errno === ERRNO_PROGRESS) return;
    this.#kind = 'err';
    this.#errno = errno;
    if (length <= MAX_ERR_OCTETS) this.#message = errorMessage(octets, from + 3, from + length) || undefined;
    this.#status = 0;
    this.#stage = STAGE.done;
  }

  /** An OK, or what CLIENT_DEPRECATE_EOF puts in an EOF's place; only the former tells of rows affected. */
  #ok(octets: Uint8Array, from: number, length: number, counts: boolean): void {
    const affectedSize = lenencSize(octets[from + 1]);
    const insertIdAt = from + 1 + affectedSize;
    const insertIdSize = lenencSize(octets[insertIdAt]);
    const statusAt = insertIdAt + insertIdSize;
    const end = from + length;
    const least = this.#old ? OLD_OK_OCTETS : OK_OCTETS;
    const statusOctets = this.#old && statusAt + 2 > end ? 0 : 2;
    if (length < least || affectedSize === 0 || insertIdSize === 0 || statusAt + statusOctets > end) {
      this.#stage = STAGE.broken;
      return;
    }
    if (counts) {
      this.#affected += lenenc(octets, from + 1);
      this.#insertId = lenenc(octets, insertIdAt) || this.#insertId;
    }
    this.#endResult(statusOctets === 0 ? 0 : octets[statusAt] | (octets[statusAt + 1] << 8));
  }

  #eof(octets: Uint8Array, from: number, length: number): void {
    if (length === EOF_OCTETS) this.#endResult(octets[from + 3] | (octets[from + 4] << 8));
    // No row is as short and begins so.
    else if (length === OLD_EOF_OCTETS) this.#endResult(0);
    else if (this.#deprecateEof !== false) this.#ok(octets, from, length, false);
    else this.#stage = STAGE.broken;
  }

  #endResult(status: number): void {
    this.#status = status;
    if ((status & STATUS.moreResults) !== 0) this.#stage = STAGE.first;
    else this.#stage = STAGE.done;
  }

  #infile(): void {
    this.#kind = 'infile';
    this.#stage = STAGE.infileEnd;
    this.#sequence = -1;
  }

  #columnCount(octets: Uint8Array, from: number, length: number): void {
    const size = lenencSize(octets[from]);
    this.#flagged ??= length === size + 1;
    const flagged = this.#flagged;
    if (length !== (flagged ? size + 1 : size)) {
      this.#stage = STAGE.broken;
      return;
    }
    const count = lenenc(octets, from);
    if (count > MAX_COLUMNS) {
      this.#stage = STAGE.broken;
      return;
    }
    this.#kind = 'rows';
    if (this.#columns === 0) this.#columns = count;
    this.#definitions(flagged && octets[from + size] === 0 ? 0 : count);
  }

  #prepareOk(octets: Uint8Array, from: number, length: number): void {
    if (octets[from] !== MARK.ok || length < PREPARE_OK_OCTETS) {
      this.#stage = STAGE.broken;
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
      this.#stage = STAGE.done;
    }
  }
}
