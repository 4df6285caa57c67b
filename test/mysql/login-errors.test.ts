import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type LoginErrorKind,
  loginErrorKind,
  refusesPassword,
  sameRefusal,
  saysNoRoom,
  saysUnavailable,
} from '../../src/mysql/login-errors.ts';

/** The manuals' errors of logins, each once. */
const SORTED: Record<LoginErrorKind, number[]> = {
  password: [1045, 1698, 1873, 3955, 4150],
  account: [1251, 1275, 1524, 4055, 6126, 6127],
  locked: [3118, 4151],
  expired: [1862],
  host: [1042, 1129, 1130],
  limits: [1040, 1041, 1135, 1203, 1226, 4081, 4082],
  unavailable: [1053, 1927, 3032, 3168, 3169, 6400],
  tls: [3159],
  schema: [1044, 1049, 3879],
};

test('each error of a login has one kind', () => {
  for (const [kind, errnos] of Object.entries(SORTED)) {
    for (const errno of errnos) {
      assert.equal(loginErrorKind(errno), kind, `${errno}`);
      assert.equal(refusesPassword(errno), kind === 'password');
      assert.equal(saysNoRoom(errno), kind === 'limits');
      assert.equal(saysUnavailable(errno), kind === 'unavailable');
    }
  }
  // A statement's errors; and 0, where the reason is ours.
  for (const errno of [0, 1064, 1820, 1213]) assert.equal(loginErrorKind(errno), undefined);
  assert.equal(refusesPassword(undefined), false);
});

test('a wrong password and a locked account are the same by whichever error; all else by its own only', () => {
  assert.ok(sameRefusal(1045, 3955));
  assert.ok(sameRefusal(4150, 1698));
  assert.ok(sameRefusal(3118, 4151));
  assert.ok(sameRefusal(1049, 1049));
  assert.ok(!sameRefusal(1045, 3118));
  assert.ok(!sameRefusal(1044, 1049));
  assert.ok(!sameRefusal(1129, 1130));
  assert.ok(!sameRefusal(0, 1045));
});
