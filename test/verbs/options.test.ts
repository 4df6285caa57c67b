import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatDuration, formatOctets } from '../../src/report/output.ts';
import {
  collectSession,
  nextTime,
  parseDurationMs,
  parsePart,
  parsePartOrNone,
  parsePorts,
  parseSizeOctets,
  parseTime,
} from '../../src/verbs/options.ts';

describe('option values', () => {
  test('durations', () => {
    assert.deepEqual(
      ['250ms', '10s', '5m', '1.5h', '1d'].map(parseDurationMs),
      [250, 10_000, 300_000, 5_400_000, 86_400_000],
    );
    for (const wrong of ['', '10', '10 s', '-1s', '0s', '1w', 's']) {
      assert.throws(() => parseDurationMs(wrong), /500ms, 10s, 5m, 1h/, wrong);
    }
  });

  test('sizes', () => {
    assert.deepEqual(['512', '4Ki', '64Mi', '1.5Gi', '1Ti'].map(parseSizeOctets), [
      512,
      4096,
      2 ** 26,
      1.5 * 2 ** 30,
      2 ** 40,
    ]);
    for (const wrong of ['', '64M', '64mi', '1 Gi', '0', '-1Ki']) {
      assert.throws(() => parseSizeOctets(wrong), /64Mi, 1Gi/, wrong);
    }
  });

  test('parts', () => {
    assert.deepEqual(['10%', '0.5%', '100%'].map(parsePart), [0.1, 0.005, 1]);
    assert.deepEqual(['0%', '95%'].map(parsePartOrNone), [0, 0.95]);
    assert.throws(() => parsePart('0%'), /0% leaves nothing/);
    for (const wrong of ['', '10', '101%', '-1%', '%', 'ten%']) {
      assert.throws(() => parsePart(wrong), /in percent, as in 10%/, wrong);
      assert.throws(() => parsePartOrNone(wrong), /in percent, as in 10%/, wrong);
    }
  });

  test('ports', () => {
    assert.deepEqual(parsePorts('3307'), [3307]);
    assert.deepEqual(parsePorts('3307,3308,3307'), [3307, 3308]);
    for (const wrong of ['', '0', '65536', '3307;3308', '3307,', 'mysql']) {
      assert.throws(() => parsePorts(wrong), /separated by commas/, wrong);
    }
  });

  test('times', () => {
    const at = Date.UTC(2026, 0, 31, 9, 8, 7);
    assert.deepEqual(parseTime('2026-01-31T09:08:07Z'), { epochMs: at });
    assert.deepEqual(parseTime('2026-01-31t10:08:07.250+01:00'), { epochMs: at + 250 });
    assert.deepEqual(parseTime('2026-01-31 09:08:07z'), { epochMs: at });
    assert.deepEqual(parseTime('9:05'), { ofDayMs: 32_700_000, lastsMs: 60_000 });
    assert.deepEqual(parseTime('23:59:59'), { ofDayMs: 86_399_000, lastsMs: 1_000 });
    for (const wrong of [
      '',
      '9',
      '24:00',
      '12:60',
      '2026-02-31T00:00:00Z',
      '2026-01-31',
      '2026-01-31T09:08',
    ]) {
      assert.throws(() => parseTime(wrong), /2026-01-31T09:00:00Z/, wrong);
    }
  });

  test('a time of day is the next one', () => {
    const noon = new Date(2026, 4, 31, 12).getTime();
    assert.equal(nextTime(parseTime('12:00:01'), noon), noon + 1000);
    assert.equal(nextTime(parseTime('12:00'), noon), new Date(2026, 5, 1, 12).getTime());
    assert.equal(nextTime(parseTime('11:00'), noon), new Date(2026, 5, 1, 11).getTime());
    assert.equal(nextTime({ epochMs: 5 }, noon), 5);
  });

  test('sessions add up', () => {
    assert.deepEqual(collectSession('19', collectSession('17,18')), [17, 18, 19]);
    assert.throws(() => collectSession('x'), /mytape ls/);
  });

  test('what people read', () => {
    assert.deepEqual([0, 1023, 1024, 1_572_864, 1024 ** 3 * 1.04].map(formatOctets), [
      '0 B',
      '1023 B',
      '1.0 KiB',
      '1.5 MiB',
      '1.0 GiB',
    ]);
    assert.deepEqual([420, 12_345, 245_000, 7_380_000].map(formatDuration), [
      '0.42s',
      '12.3s',
      '4m05s',
      '2h03m',
    ]);
  });
});
