import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { growthOf, MemoryWatch, type Sample } from '../../scripts/soak/memory-watch.ts';

const MIB = 1_048_576;

/** Every 5 s for `minutes`; `octets` by minute. */
function samples(minutes: number, octets: (minute: number) => number): Sample[] {
  return Array.from({ length: minutes * 12 + 1 }, (_, i) => ({ ms: i * 5_000, octets: octets(i / 12) }));
}

describe('growth of memory', () => {
  it('the first two minutes are not looked at', () => {
    const growth = growthOf(samples(10, (minute) => 80 * MIB + Math.min(2, minute) * 50 * MIB));
    assert.deepEqual(growth, { flat: true, octetsAMinute: 0, ms: 8 * 60_000 });
  });

  it("a collector's sawtooth is flat", () => {
    const { flat, octetsAMinute } = growthOf(samples(10, (minute) => (100 + ((minute * 12) % 7)) * MIB));
    assert.equal(flat, true, `${octetsAMinute} octets a minute`);
  });

  it('a little more than 1 MiB a minute is growth, a little less is noise, whatever the sawtooth', () => {
    const growing = (mib: number) =>
      samples(10, (minute) => (100 + mib * minute + ((minute * 12) % 5)) * MIB);
    const more = growthOf(growing(1.2));
    assert.equal(more.flat, false);
    assert.ok(Math.abs(more.octetsAMinute / MIB - 1.2) < 0.1, `${more.octetsAMinute}`);
    assert.equal(growthOf(growing(0.8)).flat, true);
  });

  it('a bump that passes is flat, at the end as well', () => {
    const bump = (minute: number) => (minute > 8.5 ? 40 : 0);
    assert.equal(growthOf(samples(10, (minute) => (100 + bump(minute)) * MIB)).flat, true);
  });

  it('shrinking is flat', () => {
    assert.equal(growthOf(samples(10, (minute) => (200 - 5 * minute) * MIB)).flat, true);
  });

  it('less than two minutes after the first two say nothing', () => {
    assert.equal(growthOf(samples(3, () => MIB)).flat, undefined);
    assert.equal(growthOf([]).flat, undefined);
    assert.equal(growthOf(samples(4, () => MIB)).flat, true);
  });

  it('a process is looked at from the first moment; one that is no more ends the watch', () => {
    const own = new MemoryWatch(process.pid);
    own.stop();
    assert.equal(own.samples.length, 1);
    assert.ok(own.now > 10 * MIB, `${own.now}`);
    // No process has the number 0 in /proc; an interval left behind would keep this file from ending.
    const none = new MemoryWatch(0);
    none.stop();
    assert.deepEqual([none.samples, none.now], [[], 0]);
  });
});
