/** `mytape show` for people: a session as a conversation, a line a command. */
import { counted, formatCount } from '../../counted.ts';
import type { CloseHow, SessionMeta, SkipCause } from '../../flow/events.ts';
import { parseChangeUser } from '../../mysql/change-user.ts';
import { COM, type Command, comName, EXPECT } from '../../mysql/command.ts';
import type { Reply } from '../../mysql/reply.ts';
import { printable } from '../../printable.ts';
import { LAST_PREPARED } from '../../replay/session/recorded-ids.ts';
import { formatDuration, formatLatency, formatTime } from '../../report/output.ts';
import type { CaptureNs } from '../../time.ts';
import { endpointText } from '../../wire/address.ts';
import { type KnownBefore, schemaOf, userOf } from './json.ts';
import type { ShownLine } from './lines.ts';
import { argumentOf, bodyOf, readable, sqlOf, statementOf } from './values.ts';

/** Columns of the time, and of the command's name without COM_. */
const TIME_WIDTH = 9;
const COM_WIDTH = 12;
/** A text has at least so many columns, whatever the terminal's width. */
const LEAST_TEXT = 16;
/** What is kept of a prepared statement's text, to show it where it is executed. */
const KEPT_OCTETS = 1024;

const CLOSED: Readonly<Record<CloseHow, string>> = {
  quit: 'closed by COM_QUIT',
  fin: 'closed by FIN without COM_QUIT',
  rst: 'ended by RST',
  cut: 'still open where the capture ends',
};

const CAUSES: Readonly<Record<SkipCause, string>> = {
  tls: 'encrypted, and its keys are not known (see --keylog)',
  'joined-late': 'the capture began after the connection did',
  gap: 'octets are missing from the capture',
  desync: "the octets don't read as MySQL here",
  'login-failed': 'the login failed',
  'no-room': 'the server was at a limit, or too much of other sessions was unfinished to keep this, too',
  'not-mysql': 'not MySQL',
  replication: 'a replica reads its binary log',
  unheard: 'sent after the server had closed',
  'damaged-block': 'in a block of the archive that cannot be read',
};

export interface TextOptions {
  originSec: number;
  /** Columns that a line may have. */
  width: number;
  /** Values whole, whatever the width. */
  raw: boolean;
}

/** Makes the lines of one session. */
export class SessionText {
  readonly #options: TextOptions;
  /** Beginnings of the texts of its prepared statements, by id. */
  readonly #statements = new Map<number, Uint8Array>();
  /** Of the newest COM_STMT_PREPARE; undefined: there was none, or one may be lost. */
  #lastPrepared: Uint8Array | undefined;
  #commands = 0;
  #answers = 0;
  #lost = 0;

  constructor(options: TextOptions) {
    this.#options = options;
  }

  /** The lines for `line`, without line ends. */
  lines(line: ShownLine, known: KnownBefore): string[] {
    const { session } = line;
    switch (line.type) {
      case 'session':
        return this.#head(session, known);
      case 'command':
        return [this.#command(line.command, session)];
      case 'lost': {
        this.#lost += line.commands;
        this.#lastPrepared = undefined;
        const what = line.commands === 0 ? 'answers' : counted(line.commands, 'command');
        return [`${time(line.at, session)}  ${what} lost (${line.cause}): ${CAUSES[line.cause]}`];
      }
      case 'skipped': {
        const seen = line.commands === 0 ? '' : `; ${counted(line.commands, 'command')} seen`;
        return [`${time(line.at, session)}  skipped (${line.cause}): ${CAUSES[line.cause]}${seen}`];
      }
      case 'close':
        return [`${time(line.at, session)}  ${CLOSED[line.how]}; ${this.#totals()}`];
    }
  }

  #head(session: SessionMeta, { row, close }: KnownBefore): string[] {
    const { id, client, clientPort, server, serverPort, at, refused } = session;
    const user = userOf(session, row);
    const schema = schemaOf(session, row);
    const lasts = row === undefined ? [] : [formatDuration((row.lastAt - row.firstAt) / 1e6), row.coverage];
    return [
      [
        `session ${id}: ${endpointText(client.text, clientPort)} → ${endpointText(server.text, serverPort)}`,
        user === undefined ? 'user unknown' : `user ${printable(user)}`,
        ...(schema === undefined || schema === '' ? [] : [`schema ${printable(schema)}`]),
      ].join(', '),
      [
        formatTime(this.#options.originSec * 1000 + at / 1e6),
        ...lasts,
        ...(refused === undefined ? [] : [`login refused with error ${refused}`]),
        CLOSED[close],
      ].join(', '),
    ];
  }

  #totals(): string {
    const lost = this.#lost === 0 ? '' : `, ${formatCount(this.#lost)} lost`;
    return `${counted(this.#commands, 'command')}, ${counted(this.#answers, 'answer')}${lost}`;
  }

  #command(command: Command, session: SessionMeta): string {
    const { raw, width } = this.#options;
    const head = `${time(command.at, session)}  ${comName(command.com).slice('COM_'.length).padEnd(COM_WIDTH)}  `;
    const reply = this.#reply(command);
    const room = raw ? Number.POSITIVE_INFINITY : Math.max(LEAST_TEXT, width - head.length - reply.length);
    const text = this.#subject(command, session.capabilities, room);
    return `${head}${raw ? text : text.padEnd(room)}${reply}`.trimEnd();
  }

  #reply(command: Command): string {
    this.#commands++;
    const { com, reply, at, expect } = command;
    if (com === COM.stmtClose) this.#statements.delete(statementOf(command) ?? -1);
    if (com === COM.stmtPrepare) this.#prepared(command);
    if (reply === undefined) return expect === EXPECT.none ? '' : ' → unknown';
    this.#answers++;
    return ` → ${answer(com, reply)}  ${formatLatency((reply.at - at) / 1e6)}`;
  }

  #prepared(command: Command): void {
    const text = sqlOf(command) as Uint8Array;
    // A copy: the command's own octets are let go.
    this.#lastPrepared = new Uint8Array(text.subarray(0, this.#options.raw ? text.length : KEPT_OCTETS));
    const { reply } = command;
    if (reply?.kind === 'ok') this.#statements.set(reply.statementId, this.#lastPrepared);
  }

  /** What the command is about, in at most `room` columns. */
  #subject(command: Command, capabilities: number, room: number): string {
    const sql = sqlOf(command);
    if (sql !== undefined) return cut(sql, room);
    const { com, packet } = command;
    if (com === COM.changeUser) {
      const change = parseChangeUser(packet, 0, packet.length, capabilities);
      if (change === undefined) return '';
      return cut(Buffer.from(`user ${change.user}${change.schema && `, schema ${change.schema}`}`), room);
    }
    const number = argumentOf(command);
    if (number !== undefined) return String(number);
    const body = this.#options.raw ? binary(bodyOf(command)) : '';
    const statement = statementOf(command);
    if (statement === undefined) return body;
    const isLast = statement === LAST_PREPARED;
    const text = isLast ? this.#lastPrepared : this.#statements.get(statement);
    const named = `${isLast ? 'last statement' : `statement ${statement}`}${text === undefined ? '' : ': '}`;
    const shown = text === undefined ? '' : cut(text, room - named.length);
    return `${named}${shown}${body && ` ${body}`}`;
  }
}

function answer(com: number, { kind, errno, affected, rows, statementId, params }: Reply): string {
  switch (kind) {
    case 'err':
      return `error ${errno}`;
    case 'rows':
      return counted(rows, 'row');
    case 'ok':
      if (com === COM.stmtPrepare) return `statement ${statementId}, ${counted(params, 'parameter')}`;
      return affected === 0 ? 'ok' : `ok, ${formatCount(affected)} affected`;
    case 'infile':
      return `ok, ${formatCount(affected)} from a file`;
    default:
      return kind;
  }
}

/** Since the session's first packet. */
function time(at: CaptureNs, session: SessionMeta): string {
  return `${((at - session.at) / 1e9).toFixed(3)}s`.padStart(TIME_WIDTH);
}

/** `octets` as text in at most `room` columns, with … where some are left out. */
function cut(octets: Uint8Array, room: number): string {
  // A character takes up to 4 octets; what is longer is cut anyway.
  const some = octets.length > 4 * room + 4 ? octets.subarray(0, 4 * room + 4) : octets;
  const characters = [...printable(readable(some))];
  return characters.length <= room ? characters.join('') : `${characters.slice(0, room - 1).join('')}…`;
}

/** Binary values: what is not printable ASCII as `\xNN`. */
function binary(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length)
    .toString('latin1')
    .replace(/[^\x20-\x7e]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
