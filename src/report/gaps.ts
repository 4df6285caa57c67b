/** Times in which nothing could be captured, as a run accounts for them. */
import type { CaptureGap } from '../wire/packets.ts';

export interface GapTotals {
  gaps: number;
  /** All of them together, as far as they are over. */
  gapMs: number;
}

export function totalsOf(gaps: readonly CaptureGap[]): GapTotals {
  const gapMs = gaps.reduce((sum, { fromAt, toAt = fromAt }) => sum + (toAt - fromAt) / 1e6, 0);
  return { gaps: gaps.length, gapMs };
}

/** Why a run is not what was there to replay: a sentence; none where there was no gap. */
export function gapReasons({ gaps, gapMs }: GapTotals, live: boolean): string[] {
  if (gaps === 0) return [];
  const length = `${(gapMs / 1000).toFixed(1)} s`;
  const which = gaps === 1 ? `a gap of ${length}` : `${gaps} gaps, ${length} in all`;
  return live
    ? [`the capture had ${which}: its interface was down, and packets of that time are not on the target`]
    : [`the recording has ${which}: its interface was down, and packets of that time are missing`];
}
