import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { replayedOf, replayedText, tooLittle } from '../../src/report/replayed.ts';

/** A run of `copies`: 10 sessions, 100 commands recorded. */
function run(part: {
  answered: number;
  skipped?: Record<string, number>;
  skippedSessions?: Record<string, number>;
  lost?: Record<string, number>;
  copies?: number;
  endedEarly?: boolean;
}) {
  const { copies = 1, endedEarly = false, skipped = {}, skippedSessions = {}, lost = {} } = part;
  const tally = { sessions: 10, commands: 100, answered: part.answered, skipped, skippedSessions, lost };
  const found = replayedOf(tally, copies, endedEarly);
  return { ...found, text: replayedText(found.replayed), reason: tooLittle(found, tally, 0.9) };
}

describe('how much of a recording was replayed', () => {
  test('all of it', () => {
    const { part, text, reason } = run({ answered: 200, copies: 2 });
    assert.deepEqual(
      [part, text, reason],
      [1, 'replayed 100 % of the recording (200 of 200 commands)', undefined],
    );
  });

  test('what nobody chose to leave out is missing, by cause', () => {
    const { text, reason } = run({
      answered: 12,
      skipped: { 'joined-late': 80, 'unknown-user': 8 },
      skippedSessions: { 'joined-late': 8, 'unknown-user': 1 },
    });
    assert.equal(text, 'replayed 12 % of the recording (12 of 100 commands)');
    assert.equal(
      reason,
      'only 12 % was replayed, and --min-replayed is 90% (88 commands left out: joined-late 80, unknown-user 8; remove the causes, or accept less with a lower --min-replayed)',
    );
  });

  test('the least part is named as it was said', () => {
    const tally = {
      sessions: 1,
      commands: 1000,
      answered: 999,
      skipped: { gap: 1 },
      skippedSessions: {},
      lost: {},
    };
    const found = replayedOf(tally, 1, false);
    assert.match(
      tooLittle(found, tally, 0.9995)!,
      /^only 99\.9 % was replayed, and --min-replayed is 99\.95% /,
    );
    assert.match(tooLittle(found, tally, 1)!, /--min-replayed is 100% /);
  });

  test("the user's own choice is not held against the run", () => {
    const skipped = {
      filtered: 20,
      'read-only': 20,
      writes: 10,
      pooled: 5,
      'out-of-window': 5,
      'out-of-time': 5,
      'other-server': 5,
    };
    const { text, reason } = run({ answered: 30, skipped });
    assert.equal(text, 'replayed 100 % of what was chosen (30 of 30 commands)');
    assert.equal(reason, undefined);
    assert.match(
      run({ answered: 20, skipped: { ...skipped, gap: 10 } }).reason!,
      /^only 66\.6 % was replayed/,
    );
  });

  test('nor is what the recorded server did not carry out', () => {
    const { part } = run({ answered: 90, skipped: { unheard: 4, 'not-mysql': 6 } });
    assert.equal(part, 1);
  });

  test('sessions whose commands nobody can count are as average ones', () => {
    const { text, part } = run({ answered: 100, skippedSessions: { tls: 5 } });
    assert.equal(part, 0.5);
    assert.equal(
      text,
      "replayed 50 % of the recording (100 of 100 commands; 5 sessions under TLS can't be read)",
    );
    // Port scans and health checks are no sessions with commands; those of another server were not chosen.
    assert.equal(
      run({ answered: 100, skippedSessions: { tls: 1, 'not-mysql': 3, 'other-server': 2 } }).part,
      0.8,
    );
  });

  test('it is never rounded up, and the limit is met by what equals it', () => {
    assert.equal(run({ answered: 9999, copies: 100, lost: { reset: 1 } }).replayed.percent, 99.9);
    assert.equal(run({ answered: 29, lost: { reset: 71 } }).replayed.percent, 29);
    assert.equal(run({ answered: 90, lost: { reset: 10 } }).reason, undefined);
    assert.match(run({ answered: 89, lost: { reset: 11 } }).reason!, /11 commands left out: reset 11/);
  });

  test('of a run that ended early nobody knows what it did not read', () => {
    assert.match(run({ answered: 100, endedEarly: true }).text, /^replayed 100 % of what was read/);
  });
});
