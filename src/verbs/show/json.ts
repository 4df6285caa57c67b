/** `mytape show --json`: an object a line. docs/mysql.md lists the fields. */
import type { SessionRow } from '../../archive/reader.ts';
import type { CloseHow, SessionMeta } from '../../flow/events.ts';
import { COM, type Command, comName, EXPECT } from '../../mysql/command.ts';
import { payloadOf } from '../../mysql/framing.ts';
import { endpointText } from '../../wire/address.ts';
import type { ShownLine } from './lines.ts';
import { readable, sqlOf, statementOf } from './values.ts';

/** Of a longer text the beginning: what JSON.stringify makes of more may be longer than any string can be. */
const MOST_SQL_OCTETS = 64 * 1024 * 1024;

/** What the index and the end of a session say of it, which its first line needs. */
export interface KnownBefore {
  row: SessionRow | undefined;
  close: CloseHow;
}

/** The object for `line`; undefined: it has none. */
export function toJson(line: ShownLine, { row, close }: KnownBefore): object | undefined {
  const { id } = line.session;
  switch (line.type) {
    case 'session':
      return sessionObject(line.session, row, close);
    case 'command':
      return commandObject(id, line.command);
    case 'lost':
      return { type: 'lost', session: id, cause: line.cause, commands: line.commands };
    case 'skipped': {
      // What is encrypted can't be counted.
      const commands = line.cause === 'tls' ? null : line.commands;
      return { type: 'skipped', session: id, cause: line.cause, commands };
    }
    case 'close':
      return undefined;
  }
}

function sessionObject(meta: SessionMeta, row: SessionRow | undefined, close: CloseHow): object {
  return {
    type: 'session',
    session: meta.id,
    client: endpointText(meta.client.text, meta.clientPort),
    server: endpointText(meta.server.text, meta.serverPort),
    user: userOf(meta, row) ?? null,
    schema: schemaOf(meta, row) ?? null,
    coverage: row?.coverage ?? null,
    close,
    ...(meta.refused === undefined ? {} : { refused: meta.refused }),
  };
}

/** Where the login is not told (no session came of it) the index may have seen its first packet. */
export function userOf(meta: SessionMeta, row: SessionRow | undefined): string | undefined {
  return meta.login?.user ?? row?.user ?? undefined;
}

export function schemaOf(meta: SessionMeta, row: SessionRow | undefined): string | undefined {
  return meta.login === undefined ? (row?.schema ?? undefined) : meta.login.schema;
}

function commandObject(session: number, command: Command): object {
  const sql = sqlOf(command);
  return {
    type: 'command',
    session,
    ordinal: command.ordinal,
    at_ns: command.at,
    com: comName(command.com),
    sql: sql === undefined ? null : readable(sql.subarray(0, MOST_SQL_OCTETS)),
    statement: statementOf(command) ?? null,
    octets: payloadOf(command.packet).length,
    reply: replyObject(command),
  };
}

const NO_ANSWER = { kind: 'none', errno: 0, affected: 0, columns: 0, rows: 0, latency_ms: null };

function replyObject({ com, at, expect, reply }: Command): object | null {
  if (reply === undefined) return expect === EXPECT.none ? NO_ANSWER : null;
  const { kind, errno, affected, columns, rows, statementId } = reply;
  const latency_ms = (reply.at - at) / 1e6;
  return {
    ...{ kind, errno, affected, columns, rows, latency_ms },
    ...(com === COM.stmtPrepare && kind === 'ok' ? { statement: statementId } : {}),
  };
}
