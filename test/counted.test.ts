import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counted } from '../src/counted.ts';

test('one thing is one, and no, two or many things are several', () => {
  assert.deepEqual(
    [0, 1, 2, 12_345].map((value) => counted(value, 'session')),
    ['0 sessions', '1 session', '2 sessions', '12,345 sessions'],
  );
  assert.equal(counted(2, 'copy', 'copies'), '2 copies');
});
