import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Reply } from '../../src/mysql/reply.ts';
import { exampleOf, unrecordedReasons, withoutValues } from '../../src/report/unrecorded.ts';
import { Tape } from '../replay/support/tape.ts';
import { replay } from '../replay/support/world.ts';
import { makeReply } from '../transport/fake.ts';

const NO_TABLE: Partial<Reply> = { kind: 'err', errno: 1146, message: "Table 'shop.orders' doesn't exist" };

describe('errors that were not recorded', () => {
  test('are in the summary and its reasons: number, text, count, and the statement without its literals', async () => {
    const tape = new Tape();
    const session = tape.session();
    for (let i = 0; i < 3; i++) session.query(i, `SELECT * FROM orders WHERE card = '4111-${i}'`);
    session.query(3, 'SELECT 1', { reply: { kind: 'err', errno: 1205 } });
    session.query(4, 'INSERT INTO t VALUES (1)', { reply: { kind: 'err', errno: 1062 } }).quit(5);
    const errors = new Map<string, Partial<Reply>>([
      ['SELECT *', NO_TABLE],
      ['SELECT 1', { kind: 'err', errno: 1213, message: 'Deadlock found' }],
      // As recorded: nothing to report.
      ['INSERT I', { kind: 'err', errno: 1062, message: "Duplicate entry '1' for key 'PRIMARY'" }],
    ]);
    const run = await replay(tape, {
      target: {
        users: { app: 'secret' },
        reacts: ({ sql }) => {
          const reply = errors.get(sql.slice(0, 8));
          return reply && { reply };
        },
      },
    });
    const { verdict, reasons, errors: counted, divergence } = run.summary;
    assert.equal(verdict, 'valid');
    assert.equal(divergence.error, 4);
    const digest = counted['1146'].digest!;
    assert.match(digest, /^[0-9a-f]{32}$/);
    assert.deepEqual(counted, {
      '1146': {
        count: 3,
        text: NO_TABLE.message,
        digest,
        digest_text: 'SELECT * FROM `orders` WHERE `card` = ?',
      },
      '1213': { ...counted['1213'], count: 1, text: 'Deadlock found', digest_text: 'SELECT ?' },
    });
    assert.deepEqual(reasons, [
      "3 commands failed with error 1146, which was not recorded: Table 'shop.orders' doesn't exist (the first: SELECT * FROM `orders` WHERE `card` = ?)",
      '1 command failed with error 1213, which was not recorded: Deadlock found (the first: SELECT ?)',
    ]);
    assert.doesNotMatch(JSON.stringify(run.summary), /4111/);
  });

  test('values that a message quotes are left out', () => {
    const cases: [number, string, string][] = [
      [1062, "Duplicate entry 'a@b.example' for key 'email'", "Duplicate entry '…' for key 'email'"],
      [1062, "Duplicate entry 'x' for key 'y' for key 'email'", "Duplicate entry '…' for key 'email'"],
      [
        1366,
        "Incorrect integer value: 'it's' for column 'n' at row 1",
        "Incorrect integer value: '…' for column 'n' at row 1",
      ],
      [1064, "You have an error near 'name = 'bob'' at line 1", "You have an error near '…' at line 1"],
      [1292, "Truncated incorrect DOUBLE value: '4111", "Truncated incorrect DOUBLE value: '…'"],
      [1644, 'customer bob has no credit', ''],
      [1054, "Unknown column 'n' in 'WHERE'", "Unknown column 'n' in 'WHERE'"],
      [3140, 'Invalid JSON text: "{bob}"', 'Invalid JSON text: "…"'],
    ];
    for (const [errno, message, shown] of cases) assert.equal(withoutValues(errno, message), shown);
  });

  test('of a command without statement its name; of many numbers the most frequent', () => {
    const [ping] = new Tape().session().command(0, 14).commands;
    const outcome = { command: ping, text: ping, reply: makeReply({ kind: 'err', errno: 1053 }) };
    assert.deepEqual(exampleOf(outcome as unknown as Parameters<typeof exampleOf>[0]), {
      text: '',
      digest: '',
      digest_text: 'COM_PING',
    });
    const errors = Object.fromEntries(
      Array.from({ length: 8 }, (_, i) => [String(2000 + i), { count: i + 1 }]),
    );
    const reasons = unrecordedReasons(errors);
    assert.equal(reasons.length, 6);
    assert.equal(reasons[0], '8 commands failed with error 2007, which was not recorded');
    assert.equal(reasons[5], '6 commands failed with other errors that were not recorded: 2002, 2001, 2000');
  });
});
