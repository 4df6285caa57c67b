/** Packets lost on the way, in both directions: TCP mends it, and nothing of the recording is missing. */
import assert from 'node:assert/strict';
import { losePackets } from '../../scripts/lab/loss.ts';
import type { ReplayPath } from '../../scripts/lab/tape.ts';
import { labTests, type TestBed, type WorkloadKind } from './support/path.ts';

async function replayThroughLoss(
  bed: TestBed,
  percent: number,
  kind: WorkloadKind,
  path: ReplayPath,
): Promise<void> {
  const recorded = await bed.recorded(kind);
  const loss = await losePackets(bed.lab, percent);
  try {
    const { packets } = await bed.replayExactly(recorded, { path, speed: '2' });
    assert.ok((await loss.dropped()) > 0, 'the bridge lost packets');
    assert.ok(packets.retransmitted > 0, 'and some of them were ours, sent again');
  } finally {
    await loss.stop();
  }
}

labTests('loss', (it) => {
  it('1 % lost both ways, by intercept: short connections', (bed) =>
    replayThroughLoss(bed, 1, 'short', 'intercept'));
  it('1 % lost both ways, by intercept: text', (bed) => replayThroughLoss(bed, 1, 'text', 'intercept'));
  it('1 % lost both ways, --local: prepared', (bed) => replayThroughLoss(bed, 1, 'prepared', 'local'));
  it('1 % lost both ways, --local: sessions', (bed) => replayThroughLoss(bed, 1, 'sessions', 'local'));
  it('5 % lost both ways, --local: short connections', (bed) => replayThroughLoss(bed, 5, 'short', 'local'));
  it('5 % lost both ways, by intercept: reads', (bed) => replayThroughLoss(bed, 5, 'reads', 'intercept'));
});
