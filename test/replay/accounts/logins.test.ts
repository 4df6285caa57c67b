import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CLIENT } from '../../../src/mysql/capabilities.ts';
import { dies, sent } from '../support/killed.ts';
import { Tape } from '../support/tape.ts';
import { replay } from '../support/world.ts';

const PASSWORDS = { app: 'secret', other: 'hidden', open: '' };
const target = { users: PASSWORDS };

/** A session each of these users. */
function sessionsOf(...users: [user: string, password: boolean][]): Tape {
  const tape = new Tape();
  for (const [i, [user, password]] of users.entries())
    tape
      .session(i * 10, { user, password })
      .query(i * 10 + 1)
      .quit(i * 10 + 2);
  return tape;
}

const users = ({ transport }: Awaited<ReturnType<typeof replay>>) =>
  transport.connections.map(({ user }) => user);

describe('who a session is on the target', () => {
  test('the recorded user, by the password of the target', async () => {
    const tape = sessionsOf(['app', true], ['other', true], ['open', true], ['open', false]);
    const run = await replay(tape, { passwords: PASSWORDS, target });
    assert.deepEqual(users(run), ['app', 'other', 'open', 'open']);
  });

  test('a user without password, whose password is known, has one there', async () => {
    const run = await replay(sessionsOf(['app', false]), { passwords: PASSWORDS, target });
    assert.deepEqual(users(run), ['app']);
  });

  test('one who gave a password behind a switch of plugins needs one', async () => {
    const tape = sessionsOf(['stranger', false], ['joe', true]);
    tape.sessions[0].meta.login!.withPassword = true;
    tape.sessions[1].meta.login!.withPassword = false;
    const run = await replay(tape, { passwords: PASSWORDS, target: { users: { joe: '' } } });
    assert.deepEqual(run.book.skippedSessions, [{ session: 0, cause: 'unknown-user' }]);
    assert.deepEqual(users(run), ['joe']);
  });

  test('the other name of --remap-user, by its password', async () => {
    const remapUser = new Map([
      ['app', 'other'],
      ['stranger', 'open'],
    ]);
    const tape = sessionsOf(['app', true], ['stranger', false], ['other', true]);
    const run = await replay(tape, { passwords: PASSWORDS, target, logins: { remapUser } });
    assert.deepEqual(users(run), ['other', 'open', 'other']);
    assert.deepEqual(run.book.story(), ['answered', 'answered']);
  });

  test('nobody, where the other name has no password that is known', async () => {
    const remapUser = new Map([['app', 'nobody']]);
    const run = await replay(sessionsOf(['app', true]), {
      passwords: PASSWORDS,
      target,
      logins: { remapUser },
    });
    assert.deepEqual(run.summary.sessions.skipped, { 'unknown-user': 1 });
  });

  test('the one user of --as, for all', async () => {
    const as = { user: 'other', password: 'hidden' };
    const remapUser = new Map([['app', 'open']]);
    const tape = sessionsOf(['app', true], ['stranger', true], ['open', false]);
    const run = await replay(tape, { passwords: {}, target, logins: { as, remapUser }, copies: 2 });
    assert.deepEqual(users(run), Array(6).fill('other'));
    assert.equal(run.summary.verdict, 'valid');
  });

  test('is the same on the next connection, with what the recorded client said beside', async () => {
    const tape = new Tape();
    const capabilities = CLIENT.connectWithDb | CLIENT.foundRows;
    tape.session(0, { schema: 'shop', capabilities }).query(1, 'DIE').query(300).quit(400);
    const remapUser = new Map([['app', 'other']]);
    const run = await replay(tape, {
      passwords: PASSWORDS,
      target: { ...target, reacts: dies() },
      logins: { remapUser },
    });
    const [first, second] = run.transport.connections.map(({ hello }) => hello);
    assert.deepEqual(
      [first?.user, first?.schema, first?.charset, first?.maxPacket],
      ['other', 'shop', 8, 1 << 24],
    );
    assert.equal((first?.capabilities ?? 0) & capabilities, capabilities);
    assert.deepEqual(second, first);
    assert.deepEqual(sent(run.transport.connections[1]), ['SELECT 1', 'quit']);
  });
});
