import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ShownGreeting, whyOther, whySame } from '../../../src/run/interlock/evidence.ts';
import type { TargetFacts } from '../../../src/server/facts.ts';

const HOUR = 3600_000;
const VERSION = '8.4.2';
/** Recorded from hour 100 to hour 101, by a server that gave a number a second since hour 0. */
const SHOWN: ShownGreeting[] = [100, 101].map((hour) => ({
  version: VERSION,
  connectionId: hour * 3600,
  atMs: hour * HOUR,
}));

function target(connectionId: number, startedMs: number | undefined, version = VERSION): TargetFacts {
  const identity = { hostname: 'db', port: 3306, serverId: 1, startedMs, version };
  return { identity, connectionId, seenAs: undefined, live: [], open: [], noEntry: undefined };
}

describe('a target cannot be the recorded server', () => {
  test('whose numbers are behind the recorded ones, though it ran all the time', () => {
    assert.match(
      whyOther(target(500, 2 * HOUR), SHOWN) ?? '',
      /at connection 500, before the recorded 360000/,
    );
    assert.equal(
      whyOther(target(500, 200 * HOUR), SHOWN),
      undefined,
      'it was started since: numbers begin anew',
    );
    assert.equal(whyOther(target(500, 100.9 * HOUR), SHOWN), undefined, 'within what clocks differ by');
    assert.equal(whyOther(target(400_000, 2 * HOUR), SHOWN), undefined, 'it went on');
    const wrapping = SHOWN.map((one) => ({ ...one, connectionId: 2 ** 32 - 5 }));
    assert.equal(whyOther(target(500, 2 * HOUR), wrapping), undefined, 'numbers have 32 bits');
  });

  test('that has another version, though it ran all the time', () => {
    assert.match(whyOther(target(400_000, 2 * HOUR, '8.0.39'), SHOWN) ?? '', /is 8\.0\.39, not 8\.4\.2/);
    assert.equal(
      whyOther(target(400_000, 200 * HOUR, '8.0.39'), SHOWN),
      undefined,
      'it may have been upgraded',
    );
    const mariadb = SHOWN.map((one) => ({ ...one, version: '5.5.5-10.11.6-MariaDB' }));
    assert.equal(whyOther(target(400_000, 2 * HOUR, '10.11.6-MariaDB'), mariadb), undefined);
  });

  test('but nothing is known without greetings, or of a target that does not say when it was started', () => {
    assert.equal(whyOther(target(500, 2 * HOUR), []), undefined);
    assert.equal(whyOther(target(500, undefined), SHOWN), undefined);
  });
});

describe('a target seems to be the recorded server', () => {
  const now = 110 * HOUR;
  const same = (connectionId: number, startedMs = 0, version = VERSION, shown = SHOWN) =>
    whySame(target(connectionId, startedMs, version), shown, now);

  test('whose numbers go on from the recorded ones at their rate', () => {
    assert.match(same(110 * 3600) ?? '', /connection 396000, which goes on from the recorded 363600/);
  });

  test('not at another rate, after another start, of another version, or by numbers that any server has', () => {
    assert.equal(same(110 * 3600 * 20), undefined);
    assert.equal(same(101 * 3600 + 3), undefined, 'nearly no one connected since');
    assert.equal(same(110 * 3600, 100.5 * HOUR), undefined);
    assert.equal(same(110 * 3600, 0, '8.0.39'), undefined);
    const young = SHOWN.map((one, i) => ({ ...one, connectionId: 10 + i }));
    assert.equal(same(12, 0, VERSION, young), undefined);
    assert.equal(same(110 * 3600, 0, VERSION, []), undefined);
  });
});
