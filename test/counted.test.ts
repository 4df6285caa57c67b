import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counted, firstFew, shortened } from '../src/counted.ts';

test('one thing is one, and no, two or many things are several', () => {
  assert.deepEqual(
    [0, 1, 2, 12_345].map((value) => counted(value, 'session')),
    ['0 sessions', '1 session', '2 sessions', '12,345 sessions'],
  );
  assert.equal(counted(2, 'copy', 'copies'), '2 copies');
});

test('of many names the first three stand there, and how many more there are', () => {
  assert.deepEqual([['app'], ['app', 'bob', 'chg'], ['app', 'bob', 'chg', 'dan', 'eve']].map(firstFew), [
    'app',
    'app, bob, chg',
    'app, bob, chg and 2 more',
  ]);
});

test('a long text is cut, and shows that it was', () => {
  assert.deepEqual([shortened('SELECT 1', 8), shortened('SELECT 12', 8)], ['SELECT 1', 'SELECT 1…']);
});
