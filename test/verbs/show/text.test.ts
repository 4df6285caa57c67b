import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SessionMeta } from '../../../src/flow/events.ts';
import { COM, type Command, expectOf } from '../../../src/mysql/command.ts';
import { framePacket } from '../../../src/mysql/packet.ts';
import { NO_REPLY, type Reply } from '../../../src/mysql/reply.ts';
import { SessionText } from '../../../src/verbs/show/text.ts';
import { parseAddress } from '../../../src/wire/address.ts';

const SECOND = 1e9;
const ends = {
  client: parseAddress('10.0.0.1')!,
  clientPort: 40_000,
  server: parseAddress('::1')!,
  serverPort: 3306,
};
const SESSION: SessionMeta = {
  id: 4,
  ...ends,
  at: SECOND,
  connectionId: 0,
  capabilities: 0,
  extendedCapabilities: 0,
};
const KNOWN = { row: undefined, close: 'quit' } as const;

function begin(
  width: number,
  raw = false,
): { text: SessionText; says: (...args: Parameters<typeof command>) => string } {
  const text = new SessionText({ originSec: 0, width, raw });
  const says = (...args: Parameters<typeof command>) => {
    const lines = text.lines({ type: 'command', session: SESSION, command: command(...args) }, KNOWN);
    assert.equal(lines.length, 1);
    return lines[0];
  };
  return { text, says };
}

function command(com: number, body: string | number[], reply?: Partial<Reply>): Command {
  const payload = Buffer.concat([Buffer.from([com]), Buffer.from(body as string)]);
  const at = 1.5 * SECOND;
  const of: Command = { ordinal: 0, at, com, expect: expectOf(com), packet: framePacket(0, payload) };
  return reply === undefined ? of : { ...of, reply: { ...NO_REPLY, at: at + 2.5e6, ...reply } };
}

describe('text of show', () => {
  test('a command, its answer and the latency', () => {
    const { says } = begin(80);
    assert.equal(
      says(COM.query, 'select 1', { kind: 'rows', rows: 1024 }),
      '   0.500s  QUERY         select 1                           → 1,024 rows  2.50ms',
    );
    assert.match(says(COM.query, 'x', { kind: 'err', errno: 1064 }), / → error 1064 {2}2\.50ms$/);
    assert.match(says(COM.query, 'x', { affected: 3 }), / → ok, 3 affected {2}2\.50ms$/);
    assert.match(says(COM.query, 'x'), / x +→ unknown$/);
    assert.equal(says(COM.quit, ''), '   0.500s  QUIT');
  });

  test('what is long is cut, in characters; --raw leaves it whole', () => {
    const long = `select '${'ü'.repeat(500)}'`;
    const line = begin(80).says(COM.query, long, { kind: 'rows', rows: 1 });
    assert.equal(line.length, 80);
    assert.match(line, /select 'ü+… → 1 row {2}2\.50ms$/);
    assert.ok(begin(80, true).says(COM.query, long, {}).includes(`${long} → ok`));
    assert.equal(begin(10).says(COM.query, long).includes("select 'üüüüüüü…"), true, 'on a narrow terminal');
  });

  test('nothing that moves a cursor or turns a text around gets through', () => {
    const line = begin(100).says(COM.query, 'a\nb\tc\x1b[31m\x7f\u0085\u2028\u202ed', {});
    assert.ok(line.includes('a\\nb\\tc\\x1b[31m\\x7f\\x85\\u2028\\u202ed'), line);
  });

  test('a statement is shown by its text as long as it is known', () => {
    const { says } = begin(100);
    const one = [1, 0, 0, 0];
    assert.match(says(COM.stmtExecute, one), / statement 1 +→ unknown$/);
    assert.match(
      says(COM.stmtPrepare, 'select ?', { statementId: 1, params: 1 }),
      /select \? +→ statement 1, 1 parameter {2}/,
    );
    assert.match(says(COM.stmtExecute, one, {}), /statement 1: select \? +→ ok/);
    says(COM.stmtClose, one);
    assert.match(says(COM.stmtExecute, one, { kind: 'err', errno: 1243 }), /statement 1 +→ error 1243/);
    says(COM.stmtPrepare, 'insert 2', {});
    assert.match(says(COM.stmtPrepare, 'never answered'), /never answered +→ unknown$/);
  });

  test("MariaDB's -1 is the statement prepared last, unless something was lost since", () => {
    const { text, says } = begin(100);
    const last = [0xff, 0xff, 0xff, 0xff];
    says(COM.stmtPrepare, 'select 1', { statementId: 1 });
    says(COM.stmtPrepare, 'select 2');
    assert.match(says(COM.stmtExecute, last, {}), /last statement: select 2 +→ ok/);
    text.lines({ type: 'lost', session: SESSION, at: 0, cause: 'gap', commands: 1 }, KNOWN);
    assert.match(says(COM.stmtExecute, last, {}), /last statement +→ ok/);
  });

  test('heads, losses and ends', () => {
    const { text } = begin(100);
    const [first, second] = text.lines({ type: 'session', session: SESSION }, KNOWN);
    assert.equal(first, 'session 4: 10.0.0.1:40000 → [::1]:3306, user unknown');
    assert.match(second, /^1970-01-01 .*, closed by COM_QUIT$/);
    const at = 2 * SECOND;
    const about = { session: SESSION, at, cause: 'gap' } as const;
    assert.deepEqual(text.lines({ type: 'lost', ...about, commands: 2 }, KNOWN), [
      '   1.000s  2 commands lost (gap): octets are missing from the capture',
    ]);
    assert.deepEqual(text.lines({ type: 'lost', ...about, commands: 0 }, KNOWN), [
      '   1.000s  answers lost (gap): octets are missing from the capture',
    ]);
    assert.deepEqual(text.lines({ type: 'skipped', ...about, commands: 1 }, KNOWN), [
      '   1.000s  skipped (gap): octets are missing from the capture; 1 command seen',
    ]);
    assert.deepEqual(text.lines({ type: 'close', session: SESSION, at, how: 'cut' }, KNOWN), [
      '   1.000s  still open where the capture ends; 0 commands, 0 answers, 2 lost',
    ]);
  });
});
