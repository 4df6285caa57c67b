import type { CaptureNs } from '../time.ts';
import type { ClockStep } from './clock.ts';

/** Plain data, so that it can be sent to other threads. */
export interface FollowedData {
  /** Mended times at which the followed time jumps, stands still or goes on again, ascending … */
  from: Float64Array;
  /** … the followed time there … */
  time: Float64Array;
  /** … and 0 where it stands still from there on, 1 where it moves. */
  moves: Uint8Array;
}

/**
 * The time of a clock that was set while it stamped packets, as a replay can follow it: `--on-clock-step follow`. A step ahead is
 * waited for. After a step back nothing is due before what was due already: time stands still until the clock has made up
 * for the step, and all that was recorded meanwhile is due at once, in its order.
 */
export class FollowedClock {
  readonly data: FollowedData;

  private constructor(data: FollowedData) {
    this.data = data;
  }

  static from(data: FollowedData): FollowedClock {
    return new FollowedClock(data);
  }

  /** `steps` in their order. */
  static of(steps: readonly ClockStep[]): FollowedClock {
    const from: number[] = [];
    const time: number[] = [];
    const moves: number[] = [];
    const mark = (at: CaptureNs, followed: CaptureNs, move: number) => {
      from.push(at);
      time.push(followed);
      moves.push(move);
    };
    /** How far the followed time is ahead of the clock: what the clock has to make up for. */
    let debt = 0;
    let last: CaptureNs = 0;
    let offset = 0;
    const makeUp = (until: CaptureNs) => {
      if (debt === 0) return;
      if (until - last >= debt) {
        mark(last + debt, last + debt - offset, 1);
        debt = 0;
      } else debt -= Math.max(0, until - last);
    };
    for (const step of steps) {
      const before = Math.max(last, step.beforeAt + offset);
      makeUp(before);
      const latest = before - offset + debt;
      mark(before, latest, 0);
      // Behind all that was stamped before it, which is not to wait for it.
      const at = Math.max(before + 1, step.at + step.offset);
      offset = step.offset;
      const shown = at - offset;
      debt = Math.max(0, latest - shown);
      last = at;
      mark(at, shown + debt, debt > 0 ? 0 : 1);
    }
    makeUp(Number.POSITIVE_INFINITY);
    return new FollowedClock({
      from: Float64Array.from(from),
      time: Float64Array.from(time),
      moves: Uint8Array.from(moves),
    });
  }

  /** The followed time of a mended one. */
  at(mended: CaptureNs): CaptureNs {
    const { from, time, moves } = this.data;
    let low = 0;
    let high = from.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (from[middle] <= mended) low = middle + 1;
      else high = middle;
    }
    const i = low - 1;
    if (i < 0) return mended;
    return moves[i] === 0 ? time[i] : time[i] + mended - from[i];
  }
}
