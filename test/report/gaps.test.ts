/** What a run says of times without a capture, and of a flood; also of flood.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SummaryObserver } from '../../src/report/counter.ts';
import { floodLine, floodReasons } from '../../src/report/flood.ts';
import { gapReasons, totalsOf } from '../../src/report/gaps.ts';
import { summarize } from '../../src/report/summary.ts';
import { FACTS } from './facts.ts';

describe('what a capture lacks', () => {
  test('gaps are counted, one that lasted to the end without its length', () => {
    const gaps = [
      { fromAt: 1e9, toAt: 3.1e9 },
      { fromAt: 5e9, toAt: undefined },
    ];
    assert.deepEqual(totalsOf(gaps), { gaps: 2, gapMs: 2100 });
    assert.deepEqual(gapReasons({ gaps: 0, gapMs: 0 }, false), []);
    assert.match(
      gapReasons({ gaps: 1, gapMs: 2100 }, false)[0],
      /^the recording has a gap of 2\.1 s: its interface/,
    );
    assert.match(gapReasons({ gaps: 2, gapMs: 2100 }, true)[0], /^the capture had 2 gaps, 2\.1 s in all/);
  });

  test('a run of a recording with a gap, or with a flood that said something, is not valid', () => {
    const { tally } = new SummaryObserver(1, false);
    const gaps = { gaps: 1, gapMs: 2100 };
    const summary = summarize(tally, { ...FACTS, gaps, flood: { flooded: 30, floodedData: 2 } });
    assert.deepEqual(summary.captured.gaps, { count: 1, seconds: 2.1 });
    assert.deepEqual(summary.captured.flood, { packets: 30, with_data: 2 });
    assert.equal(summary.verdict, 'invalid');
    assert.ok(summary.reasons.some((reason) => reason.startsWith('the recording has a gap of 2.1 s')));
    assert.ok(summary.reasons.some((reason) => reason.startsWith('2 packets with data')));
    const without = summarize(tally, { ...FACTS, gaps: totalsOf([]), flood: { flooded: 0, floodedData: 0 } });
    assert.deepEqual([without.captured.gaps, without.captured.flood], [undefined, undefined]);
  });

  test('a flood of SYNs is named, and harms no run', () => {
    assert.equal(floodLine({ flooded: 0, floodedData: 0 }), undefined);
    assert.match(
      floodLine({ flooded: 1200, floodedData: 0 })!,
      /^1,200 packets are of connections beyond .*none of them has data$/,
    );
    assert.match(floodLine({ flooded: 1200, floodedData: 7 })!, /7 of them have data$/);
    assert.deepEqual(floodReasons({ flooded: 1200, floodedData: 0 }), []);
  });
});
