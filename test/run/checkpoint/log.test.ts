import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { type Accounts, emptyAccounts } from '../../../src/report/accounts.ts';
import {
  HEADER_OCTETS,
  type LogFound,
  type LogId,
  readLog,
  SessionLog,
} from '../../../src/run/checkpoint/log.ts';
import { LoggedSessions } from '../../../src/run/checkpoint/logged-sessions.ts';
import { temporaryFolder } from '../../archive/support.ts';

const COPIES = 3;
const ID: LogId = { run: '00112233445566778899aabbccddeeff', share: 1, pass: 0 };
const ONE: Accounts = { ...emptyAccounts(), sessions: 1, commands: 7, lost: { reset: 2 } };

/** What a share does, in an order that can be. */
type Step = { does: 'begin' | 'open'; session: number; copy: number } | { does: 'close'; session: number };

const steps = fc
  .array(fc.record({ session: fc.nat(40), copy: fc.nat(COPIES - 1), kind: fc.nat(2) }), { maxLength: 30 })
  .map((wishes) => {
    const done = new Set<string>();
    const once = (what: string) => !done.has(what) && done.add(what) !== undefined;
    return wishes.flatMap(({ session, copy, kind }): Step[] => {
      if (done.has(`close ${session}`)) return [];
      if (kind === 2) return once(`close ${session}`) ? [{ does: 'close', session }] : [];
      if (kind === 0) return once(`begin ${session}/${copy}`) ? [{ does: 'begin', session, copy }] : [];
      const mayOpen = done.has(`begin ${session}/${copy}`) && once(`open ${session}/${copy}`);
      return mayOpen ? [{ does: 'open', session, copy }] : [];
    });
  });

/** Writes it, and returns where each step's record ends. */
function write(path: string, all: readonly Step[]): number[] {
  const log = SessionLog.create(path, ID, '.');
  const ends = all.map((step) => {
    if (step.does === 'close') log.closed(step.session, ONE);
    else if (step.does === 'begin') log.begun(step.session, step.copy);
    else log.opened(step.session, step.copy);
    return log.octets;
  });
  log.syncNow();
  log.close();
  return ends;
}

function read(path: string, id = ID): LogFound & { sessions: LoggedSessions } {
  const sessions = new LoggedSessions(COPIES);
  return { ...readLog(path, id, sessions), sessions };
}

/** Exactly `all` are in `sessions`. */
function assertHas(sessions: LoggedSessions, all: readonly Step[]): void {
  const has = (does: Step['does'], session: number, copy?: number) =>
    all.some(
      (step) =>
        step.does === does && step.session === session && (step.does === 'close' || step.copy === copy),
    );
  for (let session = 0; session <= 40; session++) {
    assert.equal(sessions.isCounted(session), has('close', session));
    for (let copy = 0; copy < COPIES; copy++) {
      assert.equal(sessions.lostBy(session, copy), has('begin', session, copy) ? 'interrupted' : undefined);
      assert.equal(sessions.wasOpened(session, copy), has('open', session, copy));
    }
  }
  assert.equal(sessions.accounts.commands, 7 * all.filter(({ does }) => does === 'close').length);
}

describe('the log of a share', () => {
  test('is read as it was written, and goes on where it ended', (t) => {
    const path = join(temporaryFolder(t), 'log');
    fc.assert(
      fc.property(steps, fc.nat(30), (all, cut) => {
        const first = all.slice(0, cut);
        write(path, first);
        const before = read(path);
        assert.deepEqual([before.octets, before.damage], [before.size, undefined]);
        assertHas(before.sessions, first);
        const log = SessionLog.resume(path, ID, '.', { octets: before.octets, horizon: undefined });
        for (const step of all.slice(cut)) {
          if (step.does === 'close') log.closed(step.session, ONE);
          else if (step.does === 'begin') log.begun(step.session, step.copy);
          else log.opened(step.session, step.copy);
        }
        log.syncNow();
        log.close();
        assertHas(read(path).sessions, all);
      }),
      { numRuns: 60 },
    );
  });

  test('cut off anywhere it has all records that are whole, and names the rest no damage', (t) => {
    const path = join(temporaryFolder(t), 'log');
    fc.assert(
      fc.property(steps, fc.nat(300), (all, cut) => {
        const ends = write(path, all);
        const left = Math.max(HEADER_OCTETS, statSync(path).size - cut);
        truncateSync(path, left);
        const { octets, damage, sessions } = read(path);
        assert.equal(damage, undefined);
        assert.equal(octets, [HEADER_OCTETS, ...ends].filter((end) => end <= left).at(-1));
        assertHas(
          sessions,
          all.filter((_, i) => ends[i] <= left),
        );
      }),
      { numRuns: 60 },
    );
  });

  test('with a bit changed it has what comes before that record, and names its place', (t) => {
    const path = join(temporaryFolder(t), 'log');
    fc.assert(
      fc.property(steps, fc.double({ min: 0, max: 0.999, noNaN: true }), fc.nat(7), (all, where, bit) => {
        const ends = write(path, all);
        const octets = readFileSync(path);
        const at = Math.floor(where * octets.length);
        octets[at] ^= 1 << bit;
        writeFileSync(path, octets);
        const found = read(path);
        const whole = all.filter((_, i) => ends[i] <= at);
        assert.equal(
          found.octets,
          at < HEADER_OCTETS ? 0 : [HEADER_OCTETS, ...ends].filter((end) => end <= at).at(-1),
        );
        assert.ok(found.damage !== undefined);
        assertHas(found.sessions, at < HEADER_OCTETS ? [] : whole);
      }),
      { numRuns: 200 },
    );
  });

  const BEGIN: Step = { does: 'begin', session: 5, copy: 1 };

  test('of another run, share or pass is none of this one', (t) => {
    const path = join(temporaryFolder(t), 'log');
    write(path, [BEGIN]);
    const run = 'f'.repeat(32);
    for (const other of [
      { ...ID, run },
      { ...ID, share: 2 },
      { ...ID, pass: 3 },
    ])
      assert.deepEqual(
        [read(path, other).octets, read(path, other).damage],
        [0, 'this is not the header of this log'],
      );
  });

  test('has no record that can not be: twice, of a copy that is none, out of order', (t) => {
    const path = join(temporaryFolder(t), 'log');
    const cases: [(log: SessionLog) => void, RegExp][] = [
      [(log) => log.begun(5, 1), /copy 1 of session 5 began twice/],
      [(log) => log.begun(6, COPIES), /session 6 began copy 3, and the run has 3/],
      [(log) => log.opened(6, 0), /copy 0 of session 6 was opened and had not begun/],
      [(log) => log.closed(7, ONE), /session 7 was closed twice/],
      [(log) => log.begun(7, 0), /session 7 began when it was closed/],
    ];
    for (const [act, message] of cases) {
      const log = SessionLog.create(path, ID, '.');
      log.begun(5, 1);
      log.closed(7, ONE);
      const { octets } = log;
      act(log);
      log.syncNow();
      log.close();
      const found = read(path);
      assert.equal(found.octets, octets);
      assert.match(found.damage ?? '', message);
    }
    // A whole record that stood elsewhere.
    write(path, [BEGIN, { ...BEGIN, copy: 2 }]);
    const octets = readFileSync(path);
    octets.copy(octets, HEADER_OCTETS + 16, HEADER_OCTETS, HEADER_OCTETS + 16);
    writeFileSync(path, octets);
    assert.match(read(path).damage ?? '', /the sum of a record is wrong/);
  });

  test('says up to where nobody knows what was begun, and what is cut off stays cut off', (t) => {
    const path = join(temporaryFolder(t), 'log');
    const ends = write(path, [BEGIN, { does: 'begin', session: 6, copy: 0 }, { does: 'close', session: 8 }]);
    const log = SessionLog.resume(path, ID, '.', { octets: ends[0], horizon: 9 });
    log.begun(10, 0);
    log.syncNow();
    log.close();
    const { sessions, damage } = read(path);
    assert.equal(damage, undefined);
    assert.deepEqual(
      [5, 6, 8, 9, 10].map((session) => [0, 1].map((copy) => sessions.lostBy(session, copy))),
      [
        ['unknown-after-crash', 'interrupted'],
        ['unknown-after-crash', 'unknown-after-crash'],
        ['unknown-after-crash', 'unknown-after-crash'],
        ['unknown-after-crash', 'unknown-after-crash'],
        ['interrupted', undefined],
      ],
    );
    assert.ok(!sessions.isCounted(8));
  });

  test('of many gigabytes, with a hole, is read no further than it is whole', (t) => {
    const path = join(temporaryFolder(t), 'log');
    const [end] = write(path, [BEGIN]);
    truncateSync(path, 2 ** 40);
    const { octets, size, damage } = read(path);
    assert.deepEqual([octets, size, damage], [end, 2 ** 40, 'the sum of a record is wrong']);
  });

  test('is no folder', (t) => {
    const path = temporaryFolder(t);
    assert.throws(() => read(path), /it is a folder, not a regular file/);
    const log = join(path, 'log');
    closeSync(openSync(log, 'w'));
    assert.deepEqual([read(log).octets, read(log).damage], [0, 'the header is cut off']);
  });
});

test('numbers far apart take little memory', () => {
  const sessions = new LoggedSessions(COPIES);
  const before = process.memoryUsage().arrayBuffers;
  for (const session of [0, 0x7fff_ffff, 0xffff_fff0]) assert.ok(sessions.begin(session, 2));
  for (const session of [0, 0x7fff_ffff, 0xffff_fff0]) assert.ok(!sessions.begin(session, 2));
  assert.ok(sessions.begin(4_000_000, 1));
  assert.ok(process.memoryUsage().arrayBuffers - before < 1 << 20);
});
