import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Comparison } from '../../scripts/lab/compare.ts';
import { checksOf, type Soaked } from '../../scripts/soak/checks.ts';
import type { Sample } from '../../scripts/soak/memory-watch.ts';
import type { Summary } from '../../src/report/summary.ts';

const SELECTS: Comparison = {
  counter: 'Com_select',
  online: 10,
  expected: 500,
  target: 500,
  equal: true,
};

function memory(octetsAMinute: number): Sample[] {
  return Array.from({ length: 61 }, (_, i) => ({ ms: i * 5_000, octets: 1e8 + (octetsAMinute * i) / 12 }));
}

/** All is well, but for `what`. */
function soaked(what: {
  dropped?: number;
  completed?: number;
  commands?: Partial<Summary['commands']>;
  sessions?: Partial<Summary['sessions']>;
  rest?: Partial<Soaked>;
}): Soaked {
  const { dropped = 0, completed = 500, commands, sessions, rest } = what;
  const summary = {
    copies: 50,
    captured: { packets: 100, dropped, sessions: 10, commands: 30 },
    commands: { answered: 1500, lost: {}, skipped: {}, ...commands },
    sessions: { completed, lost: 0, skipped: {}, ...sessions },
  } as unknown as Summary;
  return { summary, comparison: [SELECTS], left: [], memory: { mirror: memory(0) }, ...rest };
}

/** Of each check whether it holds. */
function held(what: Parameters<typeof soaked>[0]): (boolean | undefined)[] {
  return checksOf(soaked(what)).map(({ holds }) => holds);
}

describe('checks of a soak', () => {
  it('hold where every command arrived and nothing is left', () => {
    assert.deepEqual(held({}), [true, true, true, true]);
  });

  it('a counter that is not equal is named, with what was expected', () => {
    const short: Comparison = { ...SELECTS, target: 499, equal: false };
    const [first] = checksOf(
      soaked({ rest: { comparison: [{ ...SELECTS, counter: 'Com_update' }, short] } }),
    );
    assert.equal(first.holds, false);
    assert.equal(first.detail, 'Com_select 499 of 500');
  });

  it('nothing at all is no success', () => {
    assert.equal(held({ completed: 0 })[0], false);
  });

  it('packets dropped, commands lost, sessions shed: each is a loss', () => {
    assert.equal(held({ dropped: 1 })[1], false);
    assert.equal(held({ commands: { lost: { 'no-reply': 1 } } })[1], false);
    assert.equal(held({ commands: { skipped: { shed: 3 } } })[1], false);
    assert.equal(held({ sessions: { lost: 1 } })[1], false);
    const [, shed] = checksOf(soaked({ sessions: { skipped: { shed: 50 } } }));
    assert.deepEqual([shed.holds, shed.detail], [false, '50 sessions skipped: shed']);
  });

  it('a connection that is left is named', () => {
    const row = {
      Id: 7,
      User: 'app',
      Host: '10.0.0.9:1234',
      db: null,
      Command: 'Sleep',
      Time: 9,
      Info: null,
    };
    const [, , left] = checksOf(soaked({ rest: { left: [row] } }));
    assert.deepEqual([left.holds, left.detail], [false, '7 of 10.0.0.9:1234: Sleep']);
  });

  it('memory: one check for each process, undecided where the soak was short', () => {
    const both = { mirror: memory(3e6), intercept: memory(0).slice(0, 20) };
    const checks = checksOf(soaked({ rest: { memory: both } })).slice(3);
    assert.deepEqual(
      checks.map(({ holds }) => holds),
      [false, undefined],
    );
    assert.match(checks[0].detail, /3\.00 MB a minute over 3\.0 minutes/);
    assert.match(checks[1].what, /memory of intercept/);
  });
});
