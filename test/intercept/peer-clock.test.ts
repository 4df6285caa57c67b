import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PeerClock } from '../../src/intercept/peer-clock.ts';
import { TIMESTAMP_TICK_MS, TimestampClock } from '../../src/tcp/timestamps.ts';

/** The other host's monotonic clock is ahead of ours by so much. */
const AHEAD_MS = 123_456_789.25;
const theirs = new TimestampClock(1.7e12);

/** Its word, said `transitMs` before `now` on our clock. */
const word = (now: number, transitMs: number) => 1.7e12 + AHEAD_MS + now - transitMs;

test('a clock told by words that are under way for 0.2 to 30 ms never differs by more than a tick', () => {
  const clock = new PeerClock();
  for (let second = 0; second < 60; second++) {
    const now = second * 1000;
    const transitMs = second % 3 === 0 ? 0.2 : 30 - (second % 7);
    const ours = clock.heard(word(now, transitMs), now);
    for (let at = now; at < now + 1000; at += 3.7) {
      const behind = theirs.at(AHEAD_MS + at) - ours.at(at);
      assert.ok(behind === 0 || behind === 1, `${behind} ticks of ${TIMESTAMP_TICK_MS} ms`);
    }
  }
});

test('a clock that was set back is followed within eight words', () => {
  const clock = new PeerClock();
  for (let i = 0; i < 8; i++) clock.heard(word(i * 1000, 0), i * 1000);
  let last = clock.heard(word(8000, 500), 8000);
  assert.ok(last.at(8000) === theirs.at(AHEAD_MS + 8000), 'not yet: it could have been under way for long');
  for (let i = 9; i < 16; i++) last = clock.heard(word(i * 1000, 500), i * 1000);
  assert.equal(theirs.at(AHEAD_MS + 15_000) - last.at(15_000), 50);
});
