import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RetransmissionTimeout } from '../../src/tcp/rto.ts';

describe('retransmission timeout (RFC 6298)', () => {
  test('(2.1) a second before the first measurement', () =>
    assert.equal(new RetransmissionTimeout().ms, 1000));

  test('(2.2, 2.3) follows the measurements', () => {
    const rto = new RetransmissionTimeout();
    rto.measured(400);
    assert.deepEqual([rto.srtt, rto.rttvar, rto.ms], [400, 200, 1200]);
    rto.measured(800);
    assert.deepEqual([rto.srtt, rto.rttvar, rto.ms], [450, 250, 1450]);
  });

  test('never less than 200 ms, as Linux', () => {
    const rto = new RetransmissionTimeout();
    for (let i = 0; i < 20; i++) rto.measured(0.1);
    assert.equal(rto.ms, 200);
  });

  test('(5.5) doubles with each expiry, up to 120 s, and falls back with new data', () => {
    const rto = new RetransmissionTimeout();
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      waits.push(rto.ms);
      rto.backOff();
    }
    assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 120_000, 120_000]);
    rto.restore();
    assert.equal(rto.ms, 1000);
  });

  test('(5.7) three seconds where the SYN measured nothing', () => {
    const rto = new RetransmissionTimeout();
    rto.backOff();
    rto.unmeasured();
    assert.equal(rto.ms, 3000);
    rto.measured(100);
    assert.equal(rto.ms, 300);
  });
});
