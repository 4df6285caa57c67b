import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SummaryObserver } from '../../src/report/counter.ts';
import { summarize } from '../../src/report/summary.ts';
import { mergeTallies } from '../../src/report/tally.ts';
import { Tape } from '../replay/support/tape.ts';
import { makeReply } from '../transport/fake.ts';
import { FACTS } from './facts.ts';

const { meta, commands } = new Tape().session().query(0, 'SELECT 1', { replyMs: 4 }).quit(2);

/** One share of a run: so many commands answered, each that late and after so long. */
function share(observer: SummaryObserver, answered: number, lateMs: number, latencyMs: number): void {
  observer.scheduled(meta, 0);
  observer.opened();
  for (let i = 0; i < answered; i++) {
    observer.captured();
    const times = { paced: 0, due: i, sent: i + lateMs, oursMs: 3 * i, answered: i + lateMs + latencyMs };
    observer.answered(
      { session: meta, copy: 0, command: commands[0], text: commands[0], reply: makeReply(), ...times },
      i % 2 ? 'none' : 'rows',
    );
  }
  observer.captured();
  observer.waited(meta, 0, latencyMs);
  observer.turnedAway(meta, 0, 1040 + answered);
  observer.held(lateMs);
  observer.released();
  observer.lost(meta, 0, commands[0], 'reset', true);
  observer.sessionLost(meta, 0, 'reset', `after ${answered}`);
  observer.sessionSkipped(meta, 'unknown-user', 1);
}

describe('tallies of several shares', () => {
  test('merged, they are what one observer of all would have counted', () => {
    const whole = new SummaryObserver(1, true);
    const parts = [new SummaryObserver(1, true), new SummaryObserver(1, true), new SummaryObserver(1, true)];
    parts.forEach((part, i) => {
      for (const observer of [part, whole]) share(observer, 10 * (i + 1), i, 5 * i);
    });
    const merged = mergeTallies(parts.map((part) => structuredClone(part.tally)));
    assert.deepEqual(summarize(merged, FACTS), summarize(whole.tally, FACTS));
    assert.equal(summarize(merged, FACTS).latency_ms.replayed.max > 9, true);
  });

  test('one of them is itself', () => {
    const observer = new SummaryObserver(1, true);
    share(observer, 3, 1, 1);
    assert.deepEqual(mergeTallies([observer.tally]), observer.tally);
  });
});
