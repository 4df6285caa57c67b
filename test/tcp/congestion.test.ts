import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CongestionWindow } from '../../src/tcp/congestion.ts';
import { nextPlateau } from '../../src/tcp/path.ts';

function opened(segment: number, synsLost = 0): CongestionWindow {
  const window = new CongestionWindow();
  window.open(segment, synsLost);
  return window;
}

describe('congestion window', () => {
  test('RFC 6928 (2): ten segments, or 14,600 octets, or two segments; one after two SYNs were lost', () => {
    assert.deepEqual(
      [opened(536), opened(1448), opened(4000), opened(8948), opened(1448, 1), opened(1448, 2)].map(
        ({ cwnd }) => cwnd,
      ),
      [5360, 14_480, 14_600, 17_896, 14_480, 1448],
    );
  });

  test('RFC 5681 (3.1): doubles in a round trip, then grows by a segment in one', () => {
    const window = opened(1000);
    for (let i = 0; i < 5; i++) window.acknowledged(2000, window.cwnd, 1000, false);
    assert.equal(window.cwnd, 20_000);
    window.lost(20_000, 1000);
    assert.deepEqual([window.cwnd, window.ssthresh], [10_000, 10_000]);
    for (let i = 0; i < 5; i++) window.acknowledged(2000, window.cwnd, 1000, false);
    assert.ok(window.cwnd > 10_900 && window.cwnd <= 11_000, `${window.cwnd}`);
  });

  test('RFC 5681 (3.1): one segment after a time-out, and half of the flight to double up to, once', () => {
    const window = opened(1000);
    window.timedOut(9001, 1000, false);
    assert.deepEqual([window.cwnd, window.ssthresh], [1000, 4500]);
    window.timedOut(1000, 1000, true);
    assert.deepEqual([window.cwnd, window.ssthresh], [1000, 4500]);
    // RFC 3465 (2.3): no more than a segment for an ACK, however many octets it is for.
    window.acknowledged(5000, 1000, 1000, true);
    assert.equal(window.cwnd, 2000);
    window.timedOut(1500, 1000, false);
    assert.equal(window.ssthresh, 2000);
  });

  test('RFC 7661 (4.3): a window that is not used does not grow', () => {
    const window = opened(1000);
    window.acknowledged(1000, 4999, 1000, false);
    assert.equal(window.cwnd, 10_000);
    window.acknowledged(1000, 5000, 1000, false);
    assert.equal(window.cwnd, 11_000);
  });

  test('RFC 6582 (3.2, step 3): no burst when fast recovery ends with little under way', () => {
    const window = opened(1000);
    window.lost(9000, 1000);
    window.recovered(0, 1000);
    assert.equal(window.cwnd, 2000);
  });

  test('is a whole number of octets, always', () => {
    const window = opened(1447);
    window.lost(20_001, 1447);
    for (let i = 1; i < 500; i++) window.acknowledged(i, window.cwnd, 1447, false);
    assert.ok(Number.isInteger(window.cwnd) && Number.isInteger(window.ssthresh));
  });
});

test('RFC 4821 (7.7): the next plateau is a twentieth smaller at least, and at the end there is none', () => {
  const seen = [8960];
  for (let mss = nextPlateau(8960); mss !== seen.at(-1); mss = nextPlateau(mss)) seen.push(mss);
  assert.deepEqual(seen, [8960, 1440, 1340, 1220, 516]);
  assert.equal(nextPlateau(1460), 1340);
  assert.equal(nextPlateau(1400), 1220);
  assert.equal(nextPlateau(300), 300);
});
