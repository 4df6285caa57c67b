import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encrypted } from '../../src/mysql/auth/rsa.ts';
import { noEntryOf, type TurnedAway } from '../../src/server/no-entry.ts';
import { plainTrouble, ServerTrouble } from '../../src/server/trouble.ts';

const turned = (error: Error, user = 'app', hasPassword = true): TurnedAway => ({ user, hasPassword, error });

const denied = (user: string) =>
  Object.assign(new Error(`Access denied for user '${user}'@'10.0.0.2' (using password: NO)`), {
    errno: 1045,
    sqlState: '28000',
  });

function connecting(code: string): Error {
  const error = new Error(`connect ${code} 192.0.2.1:3307 - Local (:::0)`);
  return plainTrouble(Object.assign(error, { code, errno: -101, syscall: 'connect' }));
}

test('where no one can connect it is the address or the server, and no run would do better', () => {
  for (const [code, why] of [
    ['ECONNREFUSED', /^cannot be connected to: nothing listens there: ECONNREFUSED$/],
    ['ENETUNREACH', /^cannot be connected to: this host has no route to it: ENETUNREACH$/],
    ['EHOSTUNREACH', /no way to it: EHOSTUNREACH$/],
    ['EADDRNOTAVAIL', /^cannot be connected to: .*: EADDRNOTAVAIL$/],
  ] as const) {
    const { says, advice, canRun } = noEntryOf([turned(connecting(code))]);
    assert.match(says, why);
    assert.doesNotMatch(says, /Local/);
    assert.match(advice, /mend/);
    assert.equal(canRun, false);
  }
});

test('a name with several addresses has its code, though Node gives it no message', () => {
  const error = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' });
  assert.match(plainTrouble(error).message, /^nothing listens there: ECONNREFUSED \(start the server/);
});

test('users without a password need --users, those with one a better one', () => {
  const without = noEntryOf([turned(denied('app'), 'app', false), turned(denied('chg'), 'chg', false)]);
  assert.match(without.says, /^lets no one log in: app, chg: Access denied for user 'app'/);
  assert.match(without.advice, /^give the passwords by --users FILE/);
  assert.equal(without.canRun, true);
  assert.match(noEntryOf([turned(denied('app'))]).advice, /^correct the names and passwords/);
  assert.match(noEntryOf([]).advice, /--users FILE, or one by --as/);
});

test('a server that wants RSA: the reason is short, and the advice is whole', () => {
  const answer = encrypted({ password: 'x', scramble: new Uint8Array(20), secure: false }, 1);
  assert.equal(answer.type, 'refused');
  const { why, advice } = answer as { why: string; advice?: string };
  const users = ['app', 'chg'].map((user) => {
    const what = `the server wants caching_sha2_password for ${user}: ${why}`;
    return turned(new ServerTrouble(what, { advice }), user);
  });
  const found = noEntryOf(users);
  assert.match(
    found.says,
    /^lets no one log in: app, chg: the server wants caching_sha2_password for app: .*whose that is$/,
  );
  assert.match(found.advice, /--target-tls; .*--server-public-key FILE; .*--get-server-public-key$/);
});

test("the server's own text is cut, and shown to be", () => {
  const long = Object.assign(new Error('x'.repeat(5_000)), { errno: 1130, sqlState: 'HY000' });
  const { says, advice } = noEntryOf([turned(long)]);
  assert.match(says, /x{200}…$/);
  assert.ok(says.length < 300);
  assert.match(advice, /from this host/);
});

test('what is no MySQL server is not taken for one that turns its users away', () => {
  const { says, canRun } = noEntryOf([turned(plainTrouble(new RangeError('index out of range')))]);
  assert.match(says, /is no MySQL server/);
  assert.equal(canRun, false);
});
