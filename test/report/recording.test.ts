import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SummaryObserver } from '../../src/report/counter.ts';
import { type RecordingFacts, recordingReasons } from '../../src/report/recording.ts';
import { summarize } from '../../src/report/summary.ts';

const WHOLE: RecordingFacts = {
  dropped: 0,
  gaps: { gaps: 0, gapMs: 0 },
  flood: { flooded: 9, floodedData: 0 },
};

describe('why a run of a recording is not a run of all that was said', () => {
  test('nothing, where the recording lacks nothing', () => {
    assert.deepEqual(recordingReasons(WHOLE, false), []);
    assert.deepEqual(recordingReasons({ dropped: 0 }, true), []);
  });

  test('each thing that it lacks has a sentence of its own', () => {
    const facts: RecordingFacts = {
      dropped: 1,
      droppedByDisk: 2,
      lostByDamage: 3,
      gaps: { gaps: 1, gapMs: 2000 },
      flood: { flooded: 9, floodedData: 4 },
      partial: 'the import of peak.pcap was interrupted after 3 MiB',
      notRepaired: 'its folder cannot be written to',
    };
    const beginnings = [
      /^the recording lost 1 packet while/,
      /^the recording lost 2 packets while/,
      /^the archive lost 3 packets or more .*mytape verify names them/,
      /^the recording has a gap of 2\.0 s/,
      /^4 packets with data/,
      /^the recording is partial: the import of peak\.pcap was interrupted after 3 MiB$/,
      /^the recorder did not close the archive, and it is not repaired \(its folder cannot be written to\)/,
    ];
    const reasons = recordingReasons(facts, false);
    assert.equal(reasons.length, beginnings.length);
    for (const [i, reason] of reasons.entries()) assert.match(reason, beginnings[i]);
  });

  test('each alone makes the run invalid', () => {
    const { tally } = new SummaryObserver(1, false);
    const run = {
      packets: 10,
      copies: 1,
      speed: 1,
      elapsedMs: 1000,
      transport: { packetsOut: 0, packetsIn: 0, retransmitted: 0, captureDropped: 0 },
      interrupted: false,
    };
    const replayed = { ...tally, scheduledSessions: 1, completed: 1 };
    const verdictOf = (facts: RecordingFacts) => summarize(replayed, { ...run, ...facts }).verdict;
    assert.equal(verdictOf(WHOLE), 'valid');
    const lacks: Partial<RecordingFacts>[] = [
      { droppedByDisk: 1 },
      { lostByDamage: 1 },
      { gaps: { gaps: 1, gapMs: 0 } },
      { flood: { flooded: 1, floodedData: 1 } },
      { partial: 'peak.pcap is damaged' },
      { notRepaired: 'it is not ours' },
    ];
    for (const lack of lacks) assert.equal(verdictOf({ ...WHOLE, ...lack }), 'invalid', JSON.stringify(lack));
  });
});
