/** Packets lost, late or doubled on the way: TCP mends it, and nothing of the recording is missing. */
import assert from 'node:assert/strict';
import { type Direction, type Impairment, losePackets, shufflePackets } from '../../../scripts/lab/impair.ts';
import type { ReplayPath } from '../../../scripts/lab/tape.ts';
import { labTests, type TestBed, type WorkloadKind } from '../support/path.ts';

async function replayThrough(
  bed: TestBed,
  impair: () => Promise<Impairment>,
  kind: WorkloadKind,
  path: ReplayPath,
  copies = 1,
): Promise<number> {
  const recorded = await bed.recorded(kind);
  const impairment = await impair();
  try {
    const { packets } = await bed.replayExactly(recorded, { path, speed: '2', copies });
    assert.ok((await impairment.met()) > 0, 'the bridge did something to packets');
    return packets.retransmitted;
  } finally {
    await impairment.stop();
  }
}

const WORDS: Record<Direction, string> = {
  'to-target': 'on the way to the target',
  'from-target': 'on the way from the target',
  both: 'both ways',
};

/** Each kind of traffic and each path has its turn. */
const LOSSES: [percent: number, direction: Direction, kind: WorkloadKind, path: ReplayPath][] = [
  [0.1, 'to-target', 'prepared', 'intercept'],
  [0.1, 'from-target', 'text', 'local'],
  [0.1, 'both', 'prepared', 'local'],
  [1, 'to-target', 'text', 'local'],
  [1, 'from-target', 'short', 'intercept'],
  [1, 'both', 'text', 'intercept'],
  [1, 'both', 'short', 'intercept'],
  [1, 'both', 'sessions', 'local'],
  [5, 'to-target', 'reads', 'intercept'],
  [5, 'from-target', 'sessions', 'local'],
  [5, 'both', 'short', 'local'],
  [5, 'both', 'text', 'intercept'],
];

labTests('loss', (it) => {
  for (const [percent, direction, kind, path] of LOSSES) {
    it(`${percent} % lost ${WORDS[direction]}, by ${path}: ${kind}`, async (bed) => {
      const impair = () => losePackets(bed.lab, percent, direction);
      // Of a thousand packets one is lost: five copies are some thousands.
      const again = await replayThrough(bed, impair, kind, path, percent < 1 ? 5 : 1);
      if (percent >= 1 && direction !== 'from-target') assert.ok(again > 0, 'some of ours were sent again');
    });
  }

  for (const path of ['intercept', 'local'] as const) {
    it(`10 % late and 5 % twice, both ways, by ${path}: text`, async (bed) => {
      await replayThrough(bed, () => shufflePackets(bed.lab, 10, 5), 'text', path);
    });
  }
});
