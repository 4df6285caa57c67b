import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { emptyAccounts } from '../../src/report/checkpoint.ts';
import { LoggedSessions, SessionLog } from '../../src/verbs/checkpoint-log.ts';
import { temporaryFolder } from '../archive/support.ts';

const COPIES = 3;
const ONE = { ...emptyAccounts(), sessions: 1, commands: 7, lost: { reset: 2 } };

test('what was written is read, whatever was cut off behind it', (t) => {
  const path = join(temporaryFolder(t), 'log');
  const step = fc.record({ session: fc.nat(300), copy: fc.nat(COPIES - 1), closes: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.nat(60), (steps, cut) => {
      const log = new SessionLog(path);
      const ends: number[] = [];
      for (const { session, copy, closes } of steps) {
        if (closes) log.closed(session, ONE);
        else log.begun(session, copy);
        ends.push(log.octets);
      }
      log.close();
      const octets = readFileSync(path);
      assert.equal(octets.length, log.octets);
      const left = Math.max(0, octets.length - cut);
      writeFileSync(path, octets.subarray(0, left));
      const whole = steps.filter((_, i) => ends[i] <= left);
      const read = LoggedSessions.read(path, COPIES, 0);
      assert.equal(read.accounts.commands, 7 * whole.filter(({ closes }) => closes).length);
      for (const { session, copy } of steps) {
        const has = (closes: boolean) =>
          whole.some(
            (one) => one.session === session && one.closes === closes && (closes || one.copy === copy),
          );
        assert.equal(read.isCounted(session), has(true));
        assert.equal(read.wasBegun(session, copy), has(false));
      }
    }),
  );
});

test('only what was closed behind the checkpoint adds to its accounts', (t) => {
  const path = join(temporaryFolder(t), 'log');
  const log = new SessionLog(path);
  log.begun(1, 0);
  log.closed(1, ONE);
  const counted = log.octets;
  log.begun(900, 2);
  log.closed(900, ONE);
  log.begun(5, 1);
  log.close();
  const read = LoggedSessions.read(path, COPIES, counted);
  assert.deepEqual(read.accounts, ONE);
  assert.deepEqual(
    [1, 900, 5].map((id) => read.isCounted(id)),
    [true, true, false],
  );

  // As a run that goes on writes it.
  const next = new SessionLog(path);
  const octets = read.writeTo(next);
  next.close();
  const again = LoggedSessions.read(path, COPIES, octets);
  assert.deepEqual(again.accounts, emptyAccounts());
  assert.deepEqual(
    [1, 900, 5].map((id) => again.isCounted(id)),
    [true, true, false],
  );
  assert.ok(again.wasBegun(5, 1) && !again.wasBegun(5, 0));
});

test('a copy begins once, however often it connects', () => {
  const sessions = new LoggedSessions(COPIES);
  assert.ok(sessions.begin(4_000_000, 2));
  assert.ok(!sessions.begin(4_000_000, 2));
  assert.ok(sessions.begin(4_000_000, 1));
});
