/** Reports times in which an interface was down, so that nothing could be captured. */
import { counted } from '../counted.ts';
import type { CaptureGap } from '../wire/packets.ts';
import type { GapTotals } from './gaps.ts';
import { formatDuration, formatTime } from './output.ts';

/** So many gaps have a line of their own. */
const MOST_LINES = 5;

/** A JSON report lists so many. */
const MOST_LISTED = 100;

/** A gap as JSON has it. */
export interface GapJson {
  from: string;
  /** null: it lasted to the end. */
  to: string | null;
}

/** Names gaps on stderr while they happen, and counts them. */
export class GapTeller {
  readonly totals: GapTotals = { gaps: 0, gapMs: 0 };
  /** The first of them. */
  readonly first: CaptureGap[] = [];
  /** Also called. */
  onGap: ((gap: CaptureGap) => void) | undefined;
  readonly #iface: string;
  readonly #originSec: number;
  readonly #say: (line: string) => void;

  constructor(iface: string, originSec: number, say: (line: string) => void) {
    this.#iface = iface;
    this.#originSec = originSec;
    this.#say = say;
  }

  /** One that begins, or, with its end, the same when it is over. `isUp`: the interface is up again; else the capture ends. */
  take(gap: CaptureGap, isUp: boolean): void {
    this.onGap?.(gap);
    const { totals } = this;
    if (gap.toAt === undefined) {
      totals.gaps++;
      if (totals.gaps <= MOST_LINES)
        this.#say(
          `${this.#iface} is down: waiting until it is up again; packets of that time will be missing`,
        );
      else if (totals.gaps === MOST_LINES + 1)
        this.#say(`${this.#iface} goes down again and again: further gaps are counted, and not named`);
      return;
    }
    totals.gapMs += (gap.toAt - gap.fromAt) / 1e6;
    if (this.first.length < MOST_LISTED) this.first.push(gap);
    if (totals.gaps > MOST_LINES) return;
    const what = isUp ? 'is up again' : 'was down until the capture ended';
    this.#say(`${this.#iface} ${what}: a gap of ${describeGap(gap, this.#originSec)}`);
  }
}

/** `2.1 s (20:14:03 to 20:14:05)`. */
function describeGap({ fromAt, toAt }: CaptureGap, originSec: number): string {
  const clock = (at: number) => formatTime(originSec * 1000 + at / 1e6).slice(11, 19);
  if (toAt === undefined) return `unknown length (from ${clock(fromAt)} on)`;
  return `${formatDuration((toAt - fromAt) / 1e6)} (${clock(fromAt)} to ${clock(toAt)})`;
}

/** A sentence for each gap of an archive. */
export function gapLines(dir: string, gaps: readonly CaptureGap[], originSec: number): string[] {
  const lines = gaps
    .slice(0, MOST_LINES)
    .map(
      (gap) =>
        `${dir} has a gap of ${describeGap(gap, originSec)}: its interface was down, and packets of that time are missing`,
    );
  const more = gaps.length - lines.length;
  return more > 0 ? [...lines, `${dir} has ${counted(more, 'more gap')}`] : lines;
}

export function gapsAsJson(gaps: readonly CaptureGap[], originSec: number): GapJson[] {
  const text = (at: number) => new Date(originSec * 1000 + at / 1e6).toISOString();
  return gaps
    .slice(0, MOST_LISTED)
    .map(({ fromAt, toAt }) => ({ from: text(fromAt), to: toAt === undefined ? null : text(toAt) }));
}
