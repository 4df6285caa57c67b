import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COM } from '../../src/mysql/command.ts';
import { nativePassword } from '../../src/mysql/native-password.ts';
import type { FakeTarget } from '../transport/fake.ts';
import { USERS } from './support/killed.ts';
import { Tape } from './support/tape.ts';
import { replay, START_MS } from './support/world.ts';

const DENIED = 1045;
const UNKNOWN_SCHEMA = 1049;
const TOO_MANY_CONNECTIONS = 1040;

/** A recording of a login that failed by `errno`, and of a session that went well, so that the target is known to be there. */
function refused(errno: number, options: { user?: string; password?: boolean } = {}): Tape {
  const tape = new Tape();
  tape.session(0).query(1).quit(3_000);
  tape.session(100, { ...options, refused: errno }).close(101, 'fin');
  return tape;
}

describe('a login that production refused', () => {
  test('for its password: another than the right one is given, and refused', async () => {
    const run = await replay(refused(DENIED), { copies: 2 });
    const hellos = run.transport.connections.slice(2).map(({ hello }) => hello);
    const scramble = Uint8Array.from({ length: 20 }, (_, i) => 33 + i);
    for (const hello of hellos) {
      assert.equal(hello?.user, 'app');
      assert.equal(hello?.authResponse.length, 20);
      assert.notDeepEqual(Buffer.from(hello.authResponse), Buffer.from(nativePassword('secret', scramble)));
    }
    assert.deepEqual(run.book.endsOf(1), [undefined, undefined]);
    const { refused: counted, completed, opened, lost } = run.summary.sessions;
    assert.deepEqual({ counted, completed, opened, lost }, { counted: 2, completed: 4, opened: 2, lost: 0 });
    assert.equal(run.summary.verdict, 'valid');
    assert.ok(hellos.length === 2, 'it was tried once each');
  });

  // 1698: by a plugin without passwords; 1873: at COM_CHANGE_USER; 3955 and 4150: too many wrong ones before.
  for (const errno of [1698, 1873, 3955, 4150]) {
    test(`by ${errno}: a wrong password as well, and the target may refuse it by another of these errors`, async () => {
      const run = await replay(refused(errno, { user: 'stranger' }), { copies: 2 });
      assert.deepEqual(run.book.endsOf(1), [undefined, undefined]);
      assert.deepEqual([run.summary.sessions.refused, run.summary.sessions.skipped], [2, {}]);
      assert.equal(run.summary.verdict, 'valid');
      const target: FakeTarget = {
        users: USERS,
        refuses: (user) => (user === 'stranger' ? errno : undefined),
      };
      const other = await replay(refused(DENIED, { user: 'stranger' }), { target });
      assert.deepEqual(other.book.endsOf(1), [undefined]);
      assert.equal(other.summary.sessions.refused, 1);
    });
  }

  test("of a locked account, by MySQL's error or MariaDB's: the password is the right one, and either will do", async () => {
    const target: FakeTarget = { users: USERS, refuses: (user) => (user === 'joe' ? 4151 : undefined) };
    const tape = refused(3118, { user: 'joe' });
    const run = await replay(tape, { passwords: { app: 'secret', joe: 'x' }, target });
    assert.equal(run.summary.sessions.refused, 1);
    const unknown = await replay(refused(3118, { user: 'stranger' }));
    assert.deepEqual(unknown.summary.sessions.skipped, { 'unknown-user': 1 });
  });

  test('while it was offline: it connects, and is closed at once', async () => {
    for (const errno of [3032, 6400]) {
      const run = await replay(refused(errno));
      assert.deepEqual(run.book.endsOf(1), [undefined]);
      assert.equal(run.summary.sessions.refused, 1);
    }
  });

  test('though none was given: none is given again', async () => {
    const run = await replay(refused(DENIED, { password: false }));
    assert.equal(run.transport.connections[1].hello?.authResponse.length, 0);
    assert.equal(run.summary.sessions.refused, 1);
  });

  test('of a user that nobody knows: no password need be known', async () => {
    const run = await replay(refused(DENIED, { user: 'stranger' }));
    assert.equal(run.transport.connections[1].hello?.user, 'stranger');
    assert.equal(run.summary.sessions.refused, 1);
    assert.deepEqual(run.summary.sessions.skipped, {});
  });

  test('under the name that it has on the target', async () => {
    const remapUser = new Map([['stranger', 'other']]);
    const remapped = await replay(refused(DENIED, { user: 'stranger' }), { logins: { remapUser } });
    assert.equal(remapped.transport.connections[1].hello?.user, 'other');
    const as = { user: 'app', password: 'secret' };
    const same = await replay(refused(DENIED, { user: 'stranger' }), { logins: { as } });
    assert.equal(same.transport.connections[1].hello?.user, 'app');
    assert.deepEqual(
      [remapped, same].map(({ summary }) => summary.sessions.refused),
      [1, 1],
    );
  });

  test('for another reason: the password is the right one', async () => {
    let logins = 0;
    const refuses: FakeTarget['refuses'] = () => (logins++ === 0 ? undefined : UNKNOWN_SCHEMA);
    const scramble = Uint8Array.from({ length: 20 }, (_, i) => 33 + i);
    const run = await replay(refused(UNKNOWN_SCHEMA), { target: { users: USERS, refuses } });
    const { authResponse } = run.transport.connections[1].hello ?? {};
    assert.deepEqual(Buffer.from(authResponse ?? []), Buffer.from(nativePassword('secret', scramble)));
    assert.equal(run.summary.sessions.refused, 1);
    assert.equal(run.summary.verdict, 'valid');
  });

  test('for another reason, of a user whose password is not known, is skipped', async () => {
    const run = await replay(refused(UNKNOWN_SCHEMA, { user: 'stranger' }));
    assert.deepEqual(run.summary.sessions.skipped, { 'unknown-user': 1 });
    assert.equal(run.transport.connections.length, 1);
  });

  test('and that the target lets in is lost as login-diverged', async () => {
    const run = await replay(refused(UNKNOWN_SCHEMA), { copies: 2 });
    assert.deepEqual(run.book.endsOf(1), ['login-diverged', 'login-diverged']);
    const { opened, refused: counted, lost_by } = run.summary.sessions;
    assert.deepEqual(
      { opened, counted, lost_by },
      { opened: 2, counted: 0, lost_by: { 'login-diverged': 2 } },
    );
    assert.match(run.summary.reasons.join(), /let in app, whom production had refused by error 1049/);
    assert.deepEqual(
      run.transport.connections.slice(2).map(({ clientEnd, received }) => [clientEnd, received.length]),
      [
        ['fin', 0],
        ['fin', 0],
      ],
    );
  });

  for (const [recorded, errno] of [
    [UNKNOWN_SCHEMA, DENIED],
    [DENIED, UNKNOWN_SCHEMA],
  ]) {
    test(`by ${recorded}, and that the target refuses by ${errno}, is lost as login-diverged`, async () => {
      const target: FakeTarget = {
        users: USERS,
        refuses: (user) => (user === 'joe' ? errno : undefined),
      };
      const tape = refused(recorded, { user: 'joe' });
      const run = await replay(tape, { passwords: { app: 'secret', joe: 'x' }, target });
      assert.deepEqual(run.book.endsOf(1), ['login-diverged']);
      assert.equal(run.summary.sessions.refused, 0);
      assert.equal(run.transport.connections.length, 2);
    });
  }

  test('is tried again where the target has no room at the moment, or is away', async () => {
    for (const meets of [TOO_MANY_CONNECTIONS, 1053, 'refused', 'reset', 'fin'] as const) {
      const isBusy: FakeTarget['meets'] = ({ openedAt }) =>
        openedAt - START_MS >= 50 && openedAt - START_MS < 1_000 ? meets : 'greets';
      const run = await replay(refused(DENIED), { target: { users: USERS, meets: isBusy } });
      assert.deepEqual(run.book.endsOf(1), [undefined], `${meets}`);
      // Where there is no room, a moment passes before it is tried again.
      assert.ok(run.transport.connections.length > (meets === TOO_MANY_CONNECTIONS ? 2 : 3), `${meets}`);
      assert.equal(run.summary.sessions.refused, 1);
    }
  });

  test('by want of room is refused by the same again', async () => {
    const target: FakeTarget = {
      users: USERS,
      meets: ({ id }) => (id === 1 ? TOO_MANY_CONNECTIONS : 'greets'),
    };
    const run = await replay(refused(TOO_MANY_CONNECTIONS), { target });
    assert.deepEqual(run.book.endsOf(1), [undefined]);
    assert.equal(run.summary.sessions.refused, 1);
  });

  for (const errno of [TOO_MANY_CONNECTIONS, 1041, 1135, 1203, 1226]) {
    test(`for want of room, by ${errno}: it connects, and is closed at once, whatever the target says`, async () => {
      for (const says of [undefined, DENIED, UNKNOWN_SCHEMA, TOO_MANY_CONNECTIONS, 1203, 1053]) {
        const target: FakeTarget = {
          users: USERS,
          refuses: (user) => (user === 'joe' ? says : undefined),
        };
        const tape = refused(errno, { user: 'joe' });
        const run = await replay(tape, { passwords: { app: 'secret', joe: 'x' }, target, copies: 2 });
        assert.deepEqual(run.book.endsOf(1), [undefined, undefined], `${says}`);
        const { opened, completed, lost, refused: counted, refused_for_room } = run.summary.sessions;
        assert.deepEqual(
          { opened, completed, lost, counted, refused_for_room },
          { opened: 2, completed: 4, lost: 0, counted: 2, refused_for_room: { [errno]: 2 } },
        );
        assert.equal(run.summary.verdict, 'valid', run.summary.reasons.join());
        const { connections } = run.transport;
        assert.equal(connections.length, 4, 'each was tried once');
        for (const { hello, clientEnd, received } of connections.slice(2)) {
          assert.equal(hello?.user, 'joe');
          assert.deepEqual([clientEnd, received.length], ['fin', 0]);
        }
        assert.deepEqual(run.summary.admission.turned_away, {}, 'nor does it say anything of the target');
      }
    });
  }

  test('for want of room, onto a target that refuses it in the place of a greeting', async () => {
    const target: FakeTarget = {
      users: USERS,
      meets: ({ id }) => (id === 1 ? 1203 : 'greets'),
    };
    const run = await replay(refused(TOO_MANY_CONNECTIONS), { target });
    assert.deepEqual(run.book.endsOf(1), [undefined]);
    assert.equal(run.summary.verdict, 'valid');
  });

  test('because production was shutting down is no divergence either, and is none for want of room', async () => {
    const run = await replay(refused(1053));
    const { refused: counted, refused_for_room } = run.summary.sessions;
    assert.deepEqual({ counted, refused_for_room }, { counted: 1, refused_for_room: {} });
    assert.equal(run.summary.verdict, 'valid');
  });

  test('for want of room, onto a target that blocks our host, is lost all the same', async () => {
    const target: FakeTarget = {
      users: USERS,
      refuses: (user) => (user === 'joe' ? 1129 : undefined),
    };
    const tape = refused(TOO_MANY_CONNECTIONS, { user: 'joe' });
    const run = await replay(tape, { passwords: { app: 'secret', joe: 'x' }, target });
    assert.deepEqual(run.book.endsOf(1), ['host-blocked']);
  });

  test('for want of room, with a pool: on a connection of its own', async () => {
    const run = await replay(refused(TOO_MANY_CONNECTIONS), { engine: { pool: 2 } });
    assert.deepEqual(run.summary.sessions.refused_for_room, { [TOO_MANY_CONNECTIONS]: 1 });
    assert.equal(run.summary.verdict, 'valid');
  });

  test('gives its place to the next at full speed', async () => {
    const tape = new Tape();
    for (let i = 0; i < 40; i++) {
      tape.session(10 * i, { refused: DENIED }).close(10 * i + 1, 'fin');
      tape
        .session(10 * i + 5)
        .query(10 * i + 6)
        .quit(10 * i + 7);
    }
    const run = await replay(tape, { speed: Number.POSITIVE_INFINITY });
    assert.deepEqual([run.summary.sessions.refused, run.summary.sessions.completed], [40, 80]);
    assert.ok((run.transport.mostOpen.get(0) ?? 99) <= 3, `${run.transport.mostOpen.get(0)}`);
  });

  test('whatever command follows it in the capture has a fate', async () => {
    const tape = new Tape();
    tape.session(0, { refused: DENIED }).command(1, COM.ping).close(2, 'fin');
    const run = await replay(tape, { copies: 2 });
    assert.deepEqual(run.summary.commands.lost, { reset: 2 });
  });
});
