import assert from 'node:assert/strict';
import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FollowedKeys, KEYS_MS } from '../../src/capture/followed-keys.ts';
import { ManualClock } from '../../src/time.ts';
import { temporaryFolder } from '../archive/support.ts';

const random = (n: number) => String(n).padStart(64, '0');
const line = (n: number) => `CLIENT_RANDOM ${random(n)} ${'ab'.repeat(48)}\n`;

function follow(t: TestContext, content: string) {
  const path = join(temporaryFolder(t), 'keys');
  writeFileSync(path, content);
  const clock = new ManualClock();
  let missing = 0;
  const keys = new FollowedKeys({ path, now: () => clock.now(), onMissing: () => missing++ });
  t.after(() => keys.close());
  /** Some time later. */
  const knows = (n: number) => {
    clock.advance(10);
    return keys.of(random(n)) !== undefined;
  };
  return { path, clock, keys, knows, missing: () => missing };
}

test('lines are read as the file grows, whole ones only', (t) => {
  const { path, knows } = follow(t, line(1));
  assert.ok(knows(1));
  assert.ok(!knows(2));
  const [begin, end] = [line(2).slice(0, 80), line(2).slice(80)];
  appendFileSync(path, begin);
  assert.ok(!knows(2));
  appendFileSync(path, end + line(3));
  assert.ok(knows(2) && knows(3));
});

test('of a log that was there before, the end is read', (t) => {
  const { knows } = follow(t, line(1) + `# ${'x'.repeat(2 << 20)}\n` + line(2));
  assert.ok(!knows(1));
  assert.ok(knows(2));
});

test('a file that is cut off, or replaced by another of its name, is read from its beginning', (t) => {
  const { path, knows } = follow(t, line(1) + line(2));
  assert.ok(knows(1));
  writeFileSync(path, line(3));
  assert.ok(knows(3));
  writeFileSync(`${path}.new`, line(4));
  renameSync(`${path}.new`, path);
  assert.ok(knows(4));
  appendFileSync(path, line(5));
  assert.ok(knows(5));
});

test('keys may come for a bounded time', (t) => {
  const { clock, keys, missing } = follow(t, '');
  assert.ok(!keys.awaited);
  assert.ok(keys.mayCome(random(1)) && keys.awaited);
  clock.advance(KEYS_MS - 1);
  assert.ok(keys.mayCome(random(1)) && keys.mayCome(random(2)));
  clock.advance(1);
  assert.deepEqual([missing(), keys.mayCome(random(1)), missing()], [0, false, 1]);
  assert.ok(keys.mayCome(random(2)));
  keys.settled(random(1));
  keys.settled(random(2));
  assert.ok(!keys.awaited);
});

test('a file that is not there, or none that can be followed, is refused with what to do', (t) => {
  const folder = temporaryFolder(t);
  const open = (path: string) => () => new FollowedKeys({ path, now: () => 0, onMissing: () => {} });
  assert.throws(open(join(folder, 'none')), /cannot read the key log .*none: .*touch .*none\)$/);
  assert.throws(open('/dev/null'), /\/dev\/null: it is not a regular file/);
});
