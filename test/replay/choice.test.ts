/** What a run's own choice of commands and names does to a replay: each copy's commands as the target got them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { COM } from '../../src/mysql/command.ts';
import { SchemaPerCopy } from '../../src/replay/accounts/schema-per-copy.ts';
import { CommandKinds } from '../../src/replay/choice/command-kinds.ts';
import { RewriteRules } from '../../src/replay/choice/rules.ts';
import { Selection, type SelectionChoices } from '../../src/replay/choice/selection.ts';
import type { EngineOptions } from '../../src/replay/engine/options.ts';
import { dies } from './support/killed.ts';
import { Tape } from './support/tape.ts';
import { type Run, replay } from './support/world.ts';

/** Text, or the command's number, of what each connection got. */
function heard({ transport }: Run): (string | number)[][] {
  return transport.connections.map(({ received }) => received.map(({ com, sql }) => sql || com));
}

function choosing(choices: SelectionChoices): Partial<EngineOptions> {
  return { selection: new Selection(choices, new CommandKinds()) };
}

function shop(): Tape {
  const tape = new Tape();
  tape
    .session(0)
    .query(1, 'SET NAMES utf8mb4')
    .query(2, 'SELECT * FROM item')
    .query(3, 'UPDATE item SET n = 1')
    .command(4, COM.stmtPrepare, ['DELETE FROM item WHERE id = ?'], { reply: { statementId: 9, params: 1 } })
    .execute(5, 9)
    .closeStatement(6, 9)
    .query(7, 'SELECT 1 FOR UPDATE')
    .quit(8);
  return tape;
}

describe('commands that a run leaves out', () => {
  test('--read-only: writes are skipped by that name, a prepared one as a whole', async () => {
    const run = await replay(shop(), { copies: 2, engine: choosing({ readOnly: true }) });
    const reads = ['SET NAMES utf8mb4', 'SELECT * FROM item', COM.quit];
    assert.deepEqual(heard(run), [reads, reads]);
    assert.deepEqual(run.summary.commands.skipped, { 'read-only': 10 });
  });

  test('--writes first: the first copy writes, the others skip that by name', async () => {
    const run = await replay(shop(), { copies: 3, engine: choosing({ writes: 'first' }) });
    const [first, ...others] = heard(run).sort((a, b) => b.length - a.length);
    assert.equal(first.length, 8);
    for (const other of others)
      assert.deepEqual(other, ['SET NAMES utf8mb4', 'SELECT * FROM item', COM.quit]);
    assert.deepEqual(run.summary.commands.skipped, { writes: 10 });
    assert.equal(run.summary.commands.answered, 14);
  });

  test('--writes first, in threads: the same', async () => {
    const run = await replay(shop(), { copies: 3, shares: 2, engine: choosing({ writes: 'first' }) });
    assert.deepEqual(
      heard(run)
        .map(({ length }) => length)
        .sort(),
      [3, 3, 8],
    );
  });

  test('--writes none, and lists of statements', async () => {
    const none = await replay(shop(), { engine: choosing({ writes: 'none' }) });
    assert.deepEqual(none.summary.commands.skipped, { writes: 5 });
    const listed = await replay(shop(), {
      engine: choosing({ includeSql: ['^(select|delete)'], excludeSql: ['for update'] }),
    });
    assert.deepEqual(heard(listed)[0], [
      'SET NAMES utf8mb4',
      'SELECT * FROM item',
      'DELETE FROM item WHERE id = ?',
      COM.stmtExecute,
      COM.stmtClose,
      COM.quit,
    ]);
    assert.deepEqual(listed.summary.commands.skipped, { filtered: 2 });
  });

  test('a statement that was left out before the window is not prepared for it', async () => {
    const tape = new Tape();
    tape
      .session(0)
      .command(1, COM.stmtPrepare, ['DELETE FROM item'], { reply: { statementId: 3 } })
      .command(2, COM.stmtPrepare, ['SELECT 7'], { reply: { statementId: 4 } })
      .execute(20, 3)
      .execute(21, 4)
      .quit(30);
    const run = await replay(tape, {
      engine: { ...choosing({ readOnly: true }), window: { from: 10e6 } },
    });
    assert.deepEqual(heard(run)[0], ['SELECT 7', COM.stmtExecute, COM.quit]);
    assert.deepEqual(run.summary.commands.skipped, { 'out-of-window': 2, 'read-only': 1 });
  });
});

describe('statements that are changed', () => {
  test('by rules, before anything else looks at them', async () => {
    const rules = RewriteRules.parse('s/\\bitem\\b/thing/g\ns/^update/SELECT 2 -- $&/i\n', 'rules');
    const run = await replay(shop(), { engine: { ...choosing({ readOnly: true }), rules } });
    assert.deepEqual(heard(run)[0], [
      'SET NAMES utf8mb4',
      'SELECT * FROM thing',
      'SELECT 2 -- UPDATE thing SET n = 1',
      COM.quit,
    ]);
  });

  test('each copy has schemas of its own: in its login, its statements, and when it connects anew', async () => {
    const tape = new Tape();
    tape
      .session(0, { schema: 'shop', capabilities: CLIENT.connectWithDb })
      .query(1, 'SELECT * FROM shop.item')
      .command(2, COM.initDb, ['stock'])
      .query(3, 'SELECT a.n FROM a')
      .query(10, 'DIE')
      .quit(5_000);
    const engine = { schemaPerCopy: new SchemaPerCopy('{schema}_{copy}') };
    const run = await replay(tape, { copies: 2, engine });
    assert.deepEqual(run.transport.connections.map(({ hello }) => hello?.schema).sort(), [
      'shop_1',
      'shop_2',
    ]);
    const texts = heard(run).map(([first]) => first);
    assert.deepEqual(texts.sort(), ['SELECT * FROM `shop_1`.item', 'SELECT * FROM `shop_2`.item']);
    for (const { received, hello } of run.transport.connections) {
      const copy = hello?.schema?.slice(-1);
      assert.equal(Buffer.from(received[1].packet.subarray(5)).toString(), `stock_${copy}`);
      assert.equal(received[2].sql, 'SELECT a.n FROM a');
    }
    const again = await replay(tape, {
      engine,
      target: { users: { app: 'secret' }, reacts: dies() },
    });
    const { received } = again.transport.connections[1];
    assert.equal(Buffer.from(received[0].packet.subarray(5)).toString(), 'stock_1');
  });

  test('schemas of copies, from a moment of the recording on', async () => {
    const tape = new Tape();
    tape.session(0).command(2, COM.initDb, ['stock']).query(20, 'SELECT 1').quit(30);
    const engine = { schemaPerCopy: new SchemaPerCopy('{copy}_{schema}'), window: { from: 10e6 } };
    const run = await replay(tape, { copies: 2, engine });
    const chosen = run.transport.connections.map(({ received }) =>
      Buffer.from(received[0].packet.subarray(5)).toString(),
    );
    assert.deepEqual(chosen.sort(), ['1_stock', '2_stock']);
  });
});
