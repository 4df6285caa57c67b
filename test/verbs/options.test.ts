import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { collectSession, parseDurationMs, parsePorts, parseSizeOctets } from '../../src/verbs/options.ts';
import { formatDuration, formatOctets } from '../../src/verbs/output.ts';

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

  test('ports', () => {
    assert.deepEqual(parsePorts('3307'), [3307]);
    assert.deepEqual(parsePorts('3307,3308,3307'), [3307, 3308]);
    for (const wrong of ['', '0', '65536', '3307;3308', '3307,', 'mysql']) {
      assert.throws(() => parsePorts(wrong), /separated by commas/, wrong);
    }
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
