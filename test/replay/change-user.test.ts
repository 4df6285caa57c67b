import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { type ChangeUser, parseChangeUser, writeChangeUser } from '../../src/mysql/change-user.ts';
import { COM } from '../../src/mysql/command.ts';
import { nativePassword } from '../../src/mysql/native-password.ts';
import type { FakeConnection, FakeTarget } from '../transport/fake.ts';
import { dies, sent } from './support/killed.ts';
import { Tape, type TapeSession } from './support/tape.ts';
import { replay } from './support/world.ts';

const PASSWORDS = { app: 'secret', other: 'hidden', open: '' };
const TARGET: FakeTarget = { users: PASSWORDS };
const PLUGIN = 'mysql_native_password';

/** What follows the command octet: a change to `user` as a client of other passwords said it. */
function to(user: string, parts: Partial<ChangeUser> = {}): Uint8Array[] {
  const change = { user, authResponse: new Uint8Array(20).fill(7), schema: '', charset: 33, ...parts };
  const capabilities = CLIENT.secureConnection | CLIENT.pluginAuth;
  return [writeChangeUser({ authPlugin: PLUGIN, ...change }, capabilities).subarray(5)];
}

/** The changes that a connection was asked for. */
function changes({ received, capabilities }: FakeConnection): ChangeUser[] {
  return received
    .filter(({ com }) => com === COM.changeUser)
    .map(({ packet }) => parseChangeUser(packet, 0, packet.length, capabilities) as ChangeUser);
}

const passwords = PASSWORDS;
const NO_PASSWORD = { authResponse: new Uint8Array(0) };
const LATER = { answered: 'later' } as const;

describe('a change of user', () => {
  for (const asks of [false, true]) {
    test(`to a user of the target, by the password there${asks ? ', for which it asks again' : ''}`, async () => {
      const tape = new Tape();
      const session = tape
        .session()
        .query(1)
        .command(2, COM.changeUser, to('other', { schema: 'shop' }));
      session.query(5).command(6, COM.changeUser, to('open', { authResponse: new Uint8Array(0) }));
      session.query(7).command(8, COM.changeUser, to('app')).query(9).quit(10);
      const asTheUser: string[] = [];
      const target: FakeTarget = {
        ...TARGET,
        asksAgain: () => asks,
        reacts: ({ com }, { user }) => {
          if (com === COM.query) asTheUser.push(user as string);
          return undefined;
        },
      };
      const run = await replay(tape, { copies: 3, passwords, target });
      for (const copy of [0, 1, 2]) assert.deepEqual(run.book.story(0, copy), Array(8).fill('answered'));
      assert.deepEqual(
        asTheUser.sort(),
        ['app', 'open', 'other', 'app'].flatMap((one) => [one, one, one]).sort(),
      );
      const [change] = changes(run.transport.connections[0]);
      assert.deepEqual([change.user, change.schema, change.charset], ['other', 'shop', 33]);
      assert.equal(run.transport.connections.length, 3);
      assert.equal(run.summary.verdict, 'valid');
    });
  }

  test('begins with the nonce that the target gave last', async () => {
    const tape = new Tape();
    tape.session().command(1, COM.changeUser, to('other')).command(3, COM.changeUser, to('app')).quit(9);
    const target: FakeTarget = { ...TARGET, asksAgain: (nth) => nth === 0 };
    const run = await replay(tape, { passwords, target });
    assert.deepEqual(run.book.story(), Array(3).fill('answered'));
  });

  test('forgets what the connection had', async () => {
    const tape = new Tape();
    const session = tape.session(0, { schema: 'shop', capabilities: CLIENT.connectWithDb });
    session
      .query(1, 'SET @a = 1')
      .query(2, 'CREATE TEMPORARY TABLE t (i INT)')
      .prepare(3, 7)
      .query(4, 'BEGIN');
    session.command(5, COM.changeUser, to('other'));
    session
      .execute(6, 7, { reply: { kind: 'err', errno: 1243 } })
      .prepare(7, 7)
      .execute(8, 7);
    session.query(200, 'DIE').execute(300, 7).quit(400);
    const reacts = dies(({ sql }) => (sql === 'BEGIN' ? { reply: { status: 1 } } : undefined));
    const run = await replay(tape, { passwords, target: { ...TARGET, reacts } });
    const [first, second] = run.transport.connections;
    assert.deepEqual(sent(first).slice(5), ['stmtExecute 0', 'prepare SELECT ?', 'stmtExecute 1001', 'DIE']);
    assert.deepEqual(sent(second), ['prepare SELECT ?', 'stmtExecute 1002', 'quit']);
    assert.deepEqual(run.book.reconnections[0].lost, []);
    assert.deepEqual(run.book.story().slice(-3), ['lost reset', 'answered', 'answered']);
    // No schema was named: none is chosen now.
    assert.deepEqual([second.hello?.user, second.hello?.schema], ['other', undefined]);
  });

  for (const withSchema of [false, true]) {
    test(`is who logs in again, with the schema, where the login had ${withSchema ? 'another' : 'none'}`, async () => {
      const tape = new Tape();
      const before = withSchema ? { schema: 'old', capabilities: CLIENT.connectWithDb } : {};
      const session = tape.session(0, before).command(1, COM.changeUser, to('other', { schema: 'new' }));
      session.query(200, 'DIE').query(300, 'AFTER').quit(400);
      const run = await replay(tape, { copies: 2, passwords, target: { ...TARGET, reacts: dies() } });
      for (const again of run.transport.connections.slice(2)) {
        assert.deepEqual(
          [again.hello?.user, again.hello?.schema, again.hello?.charset],
          ['other', 'new', 33],
        );
        assert.deepEqual(sent(again), ['AFTER', 'quit']);
      }
      assert.deepEqual(run.book.endsOf(), [undefined, undefined]);
    });
  }

  test("is whose schema a statement is prepared in again, not the login's", async () => {
    const tape = new Tape();
    const session = tape.session(0, { schema: 'old', capabilities: CLIENT.connectWithDb });
    session.command(1, COM.changeUser, to('other', { schema: 'new' })).prepare(2, 7);
    session.command(3, COM.initDb, ['third']).query(200, 'DIE').execute(300, 7).quit(400);
    const run = await replay(tape, { passwords, target: { ...TARGET, reacts: dies() } });
    assert.deepEqual(sent(run.transport.connections[1]), [
      'use third',
      'use new',
      'prepare SELECT ?',
      'use third',
      'stmtExecute 1001',
      'quit',
    ]);
  });

  test('that was under way when the connection ended is what the recording says of it', async () => {
    for (const [reply, user] of [
      [{}, 'other'],
      [{ kind: 'err', errno: 1045 }, 'app'],
    ] as const) {
      const tape = new Tape();
      const session = tape.session().query(1, 'SET @a = 1');
      session.command(200, COM.changeUser, to('other'), { reply }).query(400, 'AFTER').quit(500);
      const run = await replay(tape, {
        passwords,
        target: { ...TARGET, reacts: ({ com }) => (com === COM.changeUser ? 'reset' : undefined) },
      });
      const [, again] = run.transport.connections;
      assert.equal(again.user, user);
      assert.deepEqual(sent(again), [...(user === 'app' ? ['SET @a = 1'] : []), 'AFTER', 'quit']);
      assert.deepEqual(run.book.story(), ['answered', 'lost reset', 'answered', 'answered']);
    }
  });
});

describe('a change of user that production refused', () => {
  const denied = { reply: { kind: 'err', errno: 1045 } } as const;
  const cases: [string, Partial<ChangeUser>, boolean | undefined, boolean][] = [
    ['with a password', {}, undefined, true],
    ['with a password that was asked for', { authResponse: new Uint8Array(0) }, true, true],
    ['without', { authResponse: new Uint8Array(0) }, undefined, false],
  ];
  for (const [name, parts, withPassword, isGiven] of cases) {
    test(`${name}: so does the target`, async () => {
      const tape = new Tape();
      const session = tape.session().query(1, 'SET @a = 1');
      session.command(2, COM.changeUser, to('other', parts), { ...denied, withPassword });
      session.query(200, 'DIE').query(300, 'AFTER').quit(400);
      const run = await replay(tape, { copies: 2, passwords, target: { ...TARGET, reacts: dies() } });
      assert.deepEqual(run.book.story(), ['answered', 'answered', 'lost reset', 'answered', 'answered']);
      const [first, , again] = run.transport.connections;
      const [{ authResponse }] = changes(first);
      assert.equal(authResponse.length > 0, isGiven);
      const right = nativePassword(
        PASSWORDS.other,
        Uint8Array.from({ length: 20 }, (_, i) => 33 + i),
      );
      assert.notDeepEqual(Buffer.from(authResponse), Buffer.from(right));
      assert.equal(again.user, 'app');
      assert.deepEqual(sent(again), ['SET @a = 1', 'AFTER', 'quit']);
    });
  }

  for (const errno of [1698, 1873, 3955, 4150]) {
    test(`by ${errno}: a wrong password, which the target refuses by its own error, is no difference`, async () => {
      const tape = new Tape();
      const session = tape.session().query(1);
      session
        .command(2, COM.changeUser, to('stranger'), { reply: { kind: 'err', errno } })
        .query(3)
        .quit(4);
      const run = await replay(tape, { passwords, target: TARGET });
      assert.deepEqual(run.book.story(), Array(4).fill('answered'));
      assert.equal(run.summary.divergence.error, 0);
      assert.deepEqual([run.summary.errors, run.summary.reasons], [{}, []]);
    });
  }

  test('is waited for, where the recording tells late that it did', async () => {
    const tape = new Tape();
    tape
      .session()
      .command(1, COM.changeUser, to('other'), { ...denied, ...LATER })
      .query(300)
      .quit(400);
    const run = await replay(tape, {
      batch: 1,
      passwords,
      target: TARGET,
      made: ([event]) =>
        event.type === 'reply' ? new Promise((resolve) => setTimeout(resolve, 50)) : undefined,
    });
    assert.deepEqual(run.book.story(), Array(3).fill('answered'));
    assert.equal(run.transport.connections[0].user, 'app');
  });

  test('one that the target alone refuses differs', async () => {
    const tape = new Tape();
    tape.session().command(1, COM.changeUser, to('other')).query(2).quit(3);
    const run = await replay(tape, { passwords, target: { users: { app: 'secret', other: 'changed' } } });
    assert.deepEqual(run.book.story(), ['answered error', 'answered', 'answered']);
    assert.equal(run.transport.connections[0].user, 'app');
  });
});

describe('whom it changes to', () => {
  const tape = () => {
    const made = new Tape();
    made.session().query(1).command(2, COM.changeUser, to('stranger')).query(3).prepare(4, 7).quit(5);
    return made;
  };

  test('nobody whose password is not known: the rest is skipped but COM_QUIT', async () => {
    const run = await replay(tape(), { copies: 2, passwords, target: TARGET });
    assert.deepEqual(run.summary.commands.skipped, { 'unknown-user': 6 });
    assert.deepEqual(run.transport.connections.map(sent), Array(2).fill(['SELECT 1', 'quit']));
    assert.deepEqual(run.book.endsOf(), [undefined, undefined]);
  });

  test('nobody either, where only the answer to a question shows that there is a password', async () => {
    const made = new Tape();
    const session = made.session().command(1, COM.changeUser, to('stranger', NO_PASSWORD), LATER);
    session.query(5).quit(9);
    const run = await replay(made, {
      batch: 1,
      passwords,
      target: TARGET,
      made: ([event]) => {
        if (event.type === 'reply' && event.command.com === COM.changeUser) event.command.withPassword = true;
      },
    });
    const skipped = 'skipped unknown-user';
    assert.deepEqual(run.book.story(), [skipped, skipped, 'answered']);
  });

  test('one without password needs none', async () => {
    const made = new Tape();
    const rest = to('joe', { authResponse: new Uint8Array(0) });
    made.session().command(1, COM.changeUser, rest).query(2).quit(3);
    const run = await replay(made, { passwords, target: { users: { ...PASSWORDS, joe: '' } } });
    assert.deepEqual(run.book.story(), Array(3).fill('answered'));
    assert.equal(run.transport.connections[0].user, 'joe');
  });

  test('the user of --remap-user', async () => {
    const remapUser = new Map([['stranger', 'other']]);
    const run = await replay(tape(), { passwords, target: TARGET, logins: { remapUser } });
    assert.deepEqual(run.book.story(), Array(5).fill('answered'));
    assert.equal(run.transport.connections[0].user, 'other');
  });

  test('the user of --as, whoever it was', async () => {
    const as = { user: 'other', password: 'hidden' };
    const run = await replay(tape(), { passwords: {}, target: TARGET, logins: { as } });
    assert.deepEqual(run.book.story(), Array(5).fill('answered'));
    assert.deepEqual(
      changes(run.transport.connections[0]).map(({ user }) => user),
      ['other'],
    );
  });

  test('nobody where the packet is malformed', async () => {
    const made = new Tape();
    made.session().command(1, COM.changeUser, ['app', 0, 200, 1]).query(2).quit(3);
    const run = await replay(made, { passwords, target: TARGET });
    assert.deepEqual(run.book.story(), ['skipped unknown-user', 'skipped unknown-user', 'answered']);
  });
});

test('each query runs as its user, in whatever order sessions change, prepare and lose connections', async () => {
  const step = fc.constantFrom('query', 'set', 'prepare', 'die', 'app', 'other', 'open');
  const script = fc.array(step, { maxLength: 8 });
  const sessions = fc.array(script, { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(sessions, fc.boolean(), async (scripts, asks) => {
      const tape = new Tape();
      for (const steps of scripts) acted(tape.session(), steps);
      const wrong: string[] = [];
      const reacts: FakeTarget['reacts'] = ({ sql }, { user }) => {
        if (sql.startsWith('AS ') && sql !== `AS ${user}`) wrong.push(`${sql}: ${user}`);
        return sql === 'DIE' ? 'reset' : undefined;
      };
      const run = await replay(tape, {
        copies: 2,
        passwords,
        target: { ...TARGET, asksAgain: () => asks, reacts },
      });
      assert.deepEqual(wrong, []);
      assert.deepEqual(run.summary.divergence.error, 0);
    }),
    { numRuns: 40 },
  );
});

function acted(session: TapeSession, steps: string[]): void {
  let user = 'app';
  let atMs = 0;
  for (const step of steps) {
    atMs += 150;
    if (step === 'query') session.query(atMs, `AS ${user}`);
    else if (step === 'set') session.query(atMs, 'SET @a = 1');
    else if (step === 'prepare') session.prepare(atMs, 7).execute(atMs + 1, 7);
    else if (step === 'die') session.query(atMs, 'DIE');
    else {
      user = step;
      session.command(atMs, COM.changeUser, to(user));
    }
  }
  session.query(atMs + 150, `AS ${user}`).quit(atMs + 200);
}
