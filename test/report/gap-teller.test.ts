import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GapTeller, gapLines, gapsAsJson } from '../../src/report/gap-teller.ts';

const ORIGIN_SEC = 1_700_000_000;

describe('gaps', () => {
  test('are named as they come, the first few; all are counted', () => {
    const said: string[] = [];
    const heard: unknown[] = [];
    const teller = new GapTeller('eth0', ORIGIN_SEC, (line) => said.push(line));
    teller.onGap = (gap) => heard.push(gap);
    for (let n = 0; n < 20; n++) {
      teller.take({ fromAt: n * 10e9, toAt: undefined }, false);
      teller.take({ fromAt: n * 10e9, toAt: n * 10e9 + 2e9 }, true);
    }
    assert.match(said[0], /^eth0 is down: waiting until it is up again/);
    assert.match(said[1], /^eth0 is up again: a gap of 2\.00s \(\d\d:\d\d:\d\d to \d\d:\d\d:\d\d\)$/);
    assert.equal(said.length, 11);
    assert.match(said[10], /again and again/);
    assert.deepEqual(teller.totals, { gaps: 20, gapMs: 40_000 });
    assert.equal(heard.length, 40);
  });

  test('one that lasts to the end of the capture is not said to be over', () => {
    const said: string[] = [];
    const teller = new GapTeller('eth0', ORIGIN_SEC, (line) => said.push(line));
    teller.take({ fromAt: 0, toAt: undefined }, false);
    teller.take({ fromAt: 0, toAt: 3e9 }, false);
    assert.match(said[1], /^eth0 was down until the capture ended: a gap of 3\.00s/);
  });

  test('of an archive have a line each, as far as people read them', () => {
    const gaps = Array.from({ length: 7 }, (_, n) => ({ fromAt: n * 10e9, toAt: n * 10e9 + 1e9 }));
    const lines = gapLines('a.tape', gaps, ORIGIN_SEC);
    assert.equal(lines.length, 6);
    assert.match(lines[0], /^a\.tape has a gap of 1\.00s .*its interface was down/);
    assert.equal(lines[5], 'a.tape has 2 more gaps');
    assert.match(
      gapLines('a.tape', [{ fromAt: 0, toAt: undefined }], ORIGIN_SEC)[0],
      /a gap of unknown length/,
    );
  });

  test('as JSON have their times', () => {
    assert.deepEqual(gapsAsJson([{ fromAt: 1e9, toAt: undefined }], ORIGIN_SEC), [
      { from: '2023-11-14T22:13:21.000Z', to: null },
    ]);
  });
});
