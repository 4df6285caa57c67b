import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Observer, Outcome } from '../../src/replay/outcome.ts';
import {
  type Accounts,
  addAccounts,
  emptyAccounts,
  packAccounts,
  unpackAccounts,
} from '../../src/report/accounts.ts';
import { ClosedSessions } from '../../src/report/closed-sessions.ts';
import { SummaryObserver } from '../../src/report/counter.ts';
import { Tape } from '../replay/support/tape.ts';

const COPIES = 2;

/** Tells both alike. `sum`: what was said of the sessions in `closed`. */
function watched(): {
  told: Required<Observer>;
  all: SummaryObserver;
  sum: Accounts;
  closed: number[];
} {
  const closed: number[] = [];
  const sum = emptyAccounts();
  const all = new SummaryObserver(COPIES, true);
  const apart = new ClosedSessions(COPIES, (id, accounts) => {
    closed.push(id);
    addAccounts(sum, unpackAccounts(packAccounts(accounts)) as Accounts);
  });
  const told = new Proxy({} as Required<Observer>, {
    get:
      (_, name: keyof Observer) =>
      (...args: never[]) => {
        for (const observer of [all, apart] as Observer[]) {
          (observer[name] as ((...args: never[]) => void) | undefined)?.call(observer, ...args);
        }
      },
  });
  return { told, all, sum, closed };
}

test('a session counts when its end was read and all its copies are over', () => {
  const { told, sum, all, closed } = watched();
  const tape = new Tape();
  const { meta, commands } = tape.session(0).query(1).query(2).quit(3);
  const other = tape.session(0).query(1);
  for (const copy of [0, 1]) told.scheduled(meta, copy);
  told.scheduled(other.meta, 0);
  told.opened(meta, 0, 1);
  told.opened(other.meta, 0, 1);
  told.reconnected(meta, 0, new Set(['schema'] as const), 3);
  told.pinRefused(meta, 0);
  for (const command of commands) told.captured(meta, command);
  told.captured(other.meta, other.commands[0]);
  told.covered({ ...meta, coverage: 'gaps' });
  told.covered({ ...other.meta, coverage: 'whole' });
  const outcome = { session: meta, copy: 0, command: commands[0], reply: {} } as Outcome;
  told.answered({ ...outcome, due: 0, paced: 0, sent: 0, answered: 1 }, 'data');
  told.lost(meta, 1, commands[0], 'reset', true);
  for (const copy of [0, 1]) told.lost(meta, copy, commands[1], 'timeout', false);
  told.skipped(meta, commands[2], 'pooled', COPIES);
  told.completed(meta, 0);
  told.sessionLost(meta, 1, 'timeout');
  assert.deepEqual(sum, emptyAccounts());
  told.ended(meta);
  assert.deepEqual(closed, [meta.id]);
  assert.deepEqual(sum, {
    ...emptyAccounts(),
    sessions: 1,
    commands: 3,
    coverage: { gaps: 1 },
    scheduledSessions: 2,
    opened: 1,
    completed: 1,
    reconnected: 1,
    rebuildCommands: 3,
    stateLost: { schema: 1, 'pinned-time': 1 },
    lostSessions: { timeout: 1 },
    answered: 1,
    sentAndLost: 1,
    lost: { reset: 1, timeout: 2 },
    skipped: { pooled: 2 },
    divergence: { ...emptyAccounts().divergence, data: 1 },
  });
  // The other way round; then all is closed.
  told.ended(other.meta);
  told.skipped(other.meta, other.commands[0], 'out-of-time', 1);
  told.unscheduled(other.meta, 0, 'out-of-time');
  assert.deepEqual(closed, [meta.id, other.meta.id]);
  const { sessions, commands: count, skippedSessions, skipped } = all.tally;
  assert.deepEqual(
    [sum.sessions, sum.commands, sum.skippedSessions, sum.skipped],
    [sessions, count, skippedSessions, skipped],
  );
});

test('sessions that no copy runs of are left to who reads them again', () => {
  const { told, sum } = watched();
  const { meta, commands } = new Tape().session(0).query(1);
  told.sessionSkipped(meta, 'filtered', 0);
  told.captured(meta, commands[0]);
  told.skipped(meta, commands[0], 'filtered', COPIES);
  told.unreadable(meta, 'gap', 3);
  told.ended(meta);
  assert.deepEqual(sum, emptyAccounts());
});

test('accounts survive their packing', () => {
  const count = fc.nat(1_000_000);
  const causes = fc.dictionary(
    fc.constantFrom('reset', 'timeout', 'tls', 'pooled'),
    fc.integer({ min: 1, max: 99 }),
  );
  const kinds = {
    error: count,
    rows: count,
    data: count,
    none: count,
    unknown: count,
    'not-comparable': count,
  };
  const accounts = fc.record({
    sessions: count,
    commands: count,
    scheduledSessions: count,
    opened: count,
    completed: count,
    refused: count,
    adopted: count,
    openAtFrom: count,
    reconnected: count,
    rebuildCommands: count,
    answered: count,
    sentAndLost: count,
    coverage: causes,
    refusedForRoom: causes,
    stateLost: causes,
    lostSessions: causes,
    skippedSessions: causes,
    lost: causes,
    skipped: causes,
    divergence: fc.record(kinds),
    unrecorded: causes,
  });
  fc.assert(
    fc.property(accounts, (one) => {
      assert.deepEqual(unpackAccounts(packAccounts(one)), JSON.parse(JSON.stringify(one)));
    }),
  );
});

test('what is no accounts is not taken for any', () => {
  const whole = JSON.parse(packAccounts(emptyAccounts())) as unknown[];
  const wrong: unknown[] = [-1, 1.5, 2 ** 60, 'NaN', null, {}, []];
  for (const [at, found] of whole.entries()) {
    for (const value of [...wrong, { reset: -1 }, { reset: '1' }]) {
      if (typeof found === 'object' && JSON.stringify(value) === '{}') continue;
      const text = JSON.stringify(whole.with(at, value));
      assert.equal(unpackAccounts(text), undefined, text);
    }
  }
  for (const text of [
    '',
    'null',
    '{}',
    '[]',
    '[1',
    JSON.stringify([...whole, 0]),
    JSON.stringify(whole.slice(1)),
  ])
    assert.equal(unpackAccounts(text), undefined, text);
});
