import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { parseChangeUser, writeChangeUser } from '../../src/mysql/change-user.ts';
import { COM } from '../../src/mysql/command.ts';
import { textOf } from '../../src/mysql/query-attributes.ts';
import { SchemaRemap } from '../../src/replay/accounts/remap.ts';
import type { FakeConnection, FakeTarget } from '../transport/fake.ts';
import { dies, sent, USERS } from './support/killed.ts';
import { Tape, type TapeSession } from './support/tape.ts';
import { replay } from './support/world.ts';

/** Two of them swap their names, so that a name that is replaced twice shows. */
const remapSchema = new SchemaRemap(
  new Map([
    ['left', 'right'],
    ['right', 'left'],
    ['café', 'thé'],
  ]),
);
const REMAPPED = { logins: { remapSchema }, engine: { remapSchema }, copies: 2 };
const WITH_SCHEMA = { schema: 'left', capabilities: CLIENT.connectWithDb };

/** Replays what `act` does and answers what the first connection of each copy was sent: the same, whatever the copy. */
async function replayed(act: (session: TapeSession) => void, options = {}): Promise<FakeConnection> {
  const tape = new Tape();
  const session = tape.session(0, options);
  act(session);
  session.quit(900);
  const run = await replay(tape, REMAPPED);
  const [one, other] = run.transport.connections;
  assert.deepEqual(packets(one), packets(other));
  assert.deepEqual(run.summary.divergence, { ...run.summary.divergence, error: 0 });
  return one;
}

/** All but executions, whose ids differ. */
function packets({ received }: FakeConnection): Buffer[] {
  return received.filter(({ com }) => com !== COM.stmtExecute).map(({ packet }) => Buffer.from(packet));
}

test('the schema of a login', async () => {
  for (const [schema, other] of [
    ['left', 'right'],
    ['café', 'thé'],
    ['shop', 'shop'],
  ]) {
    const { hello } = await replayed(() => {}, { ...WITH_SCHEMA, schema });
    assert.equal(hello?.schema, other);
  }
});

test('COM_INIT_DB, COM_CREATE_DB and COM_DROP_DB', async () => {
  const { received } = await replayed((session) => {
    session
      .command(1, COM.initDb, ['left'])
      .command(2, COM.createDb, ['right'])
      .command(3, COM.dropDb, ['café']);
    session.command(4, COM.initDb, ['shop']);
  });
  const names = received
    .slice(0, 4)
    .map(({ packet }) => [packet[4], Buffer.from(packet.subarray(5)).toString()]);
  assert.deepEqual(names, [
    [COM.initDb, 'right'],
    [COM.createDb, 'left'],
    [COM.dropDb, 'thé'],
    [COM.initDb, 'shop'],
  ]);
  assert.ok(received.every(({ packet }) => packet[0] === packet.length - 4));
});

test('COM_QUERY and COM_STMT_PREPARE', async () => {
  const connection = await replayed((session) => {
    session.query(1, 'SELECT left.t.a FROM left.t, right.t').query(2, "SELECT 'left.t'");
    session
      .command(3, COM.stmtPrepare, ['SELECT ? FROM `left`.t'], { reply: { statementId: 7 } })
      .execute(4, 7);
  });
  assert.deepEqual(sent(connection).slice(0, 4), [
    'SELECT `right`.t.a FROM `right`.t, `left`.t',
    "SELECT 'left.t'",
    'prepare SELECT ? FROM `right`.t',
    'stmtExecute 1000',
  ]);
});

test('COM_QUERY behind its attributes', async () => {
  const attribute = [1, 1, 0, 1, 0xfd, 0, 4, 'left', 4, 'left'];
  const { received } = await replayed(
    (session) => session.command(1, COM.query, [...attribute, 'SELECT * FROM left.t']),
    { capabilities: CLIENT.queryAttributes },
  );
  const [{ packet }] = received;
  assert.equal(Buffer.from(textOf(packet)).toString(), 'SELECT * FROM `right`.t');
  assert.match(Buffer.from(packet.subarray(5, 21)).toString(), /left.left$/s);
});

test('COM_CHANGE_USER, and the connection after it', async () => {
  const capabilities = CLIENT.secureConnection | CLIENT.pluginAuth;
  const change = { user: 'app', authResponse: new Uint8Array(20).fill(1), schema: 'left', charset: 8 };
  const packet = writeChangeUser({ ...change, authPlugin: 'mysql_native_password' }, capabilities).subarray(
    5,
  );
  const tape = new Tape();
  tape.session(0, WITH_SCHEMA).command(1, COM.changeUser, [packet]).query(200, 'DIE').query(300).quit(400);
  const run = await replay(tape, { ...REMAPPED, target: { users: USERS, reacts: dies() } });
  for (const { received, capabilities } of run.transport.connections.slice(0, 2)) {
    const [{ packet }] = received;
    assert.equal(parseChangeUser(packet, 0, packet.length, capabilities)?.schema, 'right');
  }
  for (const { hello } of run.transport.connections.slice(2)) assert.equal(hello?.schema, 'right');
});

describe('what is set up again has the names of the target', () => {
  const again = async (act: (session: TapeSession) => void, options = {}, reacts?: FakeTarget['reacts']) => {
    const tape = new Tape();
    const session = tape.session(0, options);
    act(session);
    session.query(200, 'DIE').query(300, 'AFTER').quit(400);
    const run = await replay(tape, { ...REMAPPED, target: { users: USERS, reacts: reacts ?? dies() } });
    const [, , one, other] = run.transport.connections;
    assert.deepEqual(sent(one), sent(other));
    return { hello: one.hello, steps: sent(one).slice(0, -2) };
  };

  test('by COM_INIT_DB', async () => {
    const { steps } = await again((session) => session.command(1, COM.initDb, ['left']));
    assert.deepEqual(steps, ['use right']);
  });

  test('by USE', async () => {
    const { steps } = await again((session) => session.query(1, 'USE left').query(2, 'USE café'));
    assert.deepEqual(steps, ['use thé']);
  });

  test('by the login, and where a statement was prepared', async () => {
    const { hello, steps } = await again((session) => {
      session.command(1, COM.stmtPrepare, ['SELECT ? FROM right.t'], { reply: { statementId: 7 } });
      session.command(2, COM.initDb, ['right']).query(3, 'SET @a = (SELECT 1 FROM left.t)');
    }, WITH_SCHEMA);
    assert.equal(hello?.schema, 'right');
    assert.deepEqual(steps, [
      'use left',
      'SET @a = (SELECT 1 FROM `right`.t)',
      'use right',
      'prepare SELECT ? FROM `left`.t',
      'use left',
    ]);
  });

  test('by a login in letters beyond ASCII', async () => {
    const { steps } = await again((session) => session.prepare(1, 7).command(2, COM.initDb, ['shop']), {
      ...WITH_SCHEMA,
      schema: 'café',
    });
    assert.deepEqual(steps, ['use shop', 'use thé', 'prepare SELECT ?', 'use shop']);
  });
});
