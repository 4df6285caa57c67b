import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNoRoom, loginLostBy, wasOfTheMoment } from '../../../src/replay/session/connection-loss.ts';

test('want of room is what others have to go first for: limits by the hour are none of it', () => {
  const limit = (what: string) => `User 'app' has exceeded the '${what}' resource (current value: 5)`;
  const cases: [number, string, boolean][] = [
    [1040, 'Too many connections', true],
    [1203, 'User app already has more than max_user_connections active connections', true],
    [1226, limit('max_user_connections'), true],
    [1226, limit('max_connections_per_hour'), false],
    [1226, limit('max_queries_per_hour'), false],
    [1129, 'Host is blocked', false],
    [1045, 'Access denied', false],
  ];
  for (const [errno, message, wanted] of cases) assert.equal(isNoRoom(errno, message), wanted, message);
});

test('a host that is blocked has a name of its own', () => {
  assert.equal(loginLostBy(1129), 'host-blocked');
  assert.equal(loginLostBy(1226), 'auth');
});

test('what is of the moment: no room, going away, offline; nothing else', () => {
  for (const errno of [1040, 1041, 1135, 1203, 1226, 4081, 1053, 1927, 3169, 3032, 6400])
    assert.equal(wasOfTheMoment(errno), true, `${errno}`);
  for (const errno of [undefined, 0, 1045, 3955, 3118, 3159, 1130, 1064])
    assert.equal(wasOfTheMoment(errno), false, `${errno}`);
});
