/** What people are told of a clock that was set while it stamped packets. */
import { formatCount } from '../counted.ts';
import type { ClockStep } from '../flow/clock.ts';
import { formatTime, sayLine } from './output.ts';

/** So many steps have a line of their own. */
const MOST_LINES = 5;

/** A JSON report lists so many. */
const MOST_LISTED = 100;

export const CLOCK_STEP_CHOICES = ['hold', 'follow'] as const;

export type OnClockStep = (typeof CLOCK_STEP_CHOICES)[number];

/** What becomes of steps, as it is told. `mirror` has no choice. */
export type StepFate = OnClockStep | 'mirror';

const FATES: Record<StepFate, string> = {
  hold: 'the step is taken out (mytape replay --on-clock-step follow keeps it)',
  follow: 'the step is kept (--on-clock-step hold takes it out)',
  mirror: 'the step is taken out',
};

/** A step as JSON has it. */
export interface ClockStepJson {
  /** The first packet after it: its number within the archive, from 0. */
  packet: number;
  /** How far the clock was set ahead; negative: back. */
  seconds: number;
  /** The stamps before and after it. */
  before: string;
  after: string;
}

/** `a jump of 3,600 s back at packet 5,120 (20:14:03 to 19:14:03)`. */
export function describeStep({ packet, beforeAt, at, jumpNs }: ClockStep, originSec: number): string {
  const seconds = Math.round(Math.abs(jumpNs) / 1e8) / 10;
  const [before, after] = [beforeAt, at].map((stamp) =>
    formatTime(originSec * 1000 + stamp / 1e6).slice(0, 19),
  );
  const isOneDay = before.slice(0, 10) === after.slice(0, 10);
  const times = isOneDay ? `${before.slice(11)} to ${after.slice(11)}` : `${before} to ${after}`;
  const way = jumpNs > 0 ? 'ahead' : 'back';
  return `a jump of ${formatCount(seconds)} s ${way} at packet ${formatCount(packet)} (${times})`;
}

/** Names steps on stderr as they are found: each once, and no more of them than people read. */
export class ClockStepTeller {
  readonly #originSec: number;
  readonly #fate: StepFate;
  readonly #say: (line: string) => void;
  #told = 0;

  constructor(originSec: number, fate: StepFate, say: (line: string) => void = sayLine) {
    this.#originSec = originSec;
    this.#fate = fate;
    this.#say = say;
  }

  /** One step more. */
  add(step: ClockStep): void {
    if (this.#told++ < MOST_LINES) this.#describe(step);
    else if (this.#told === MOST_LINES + 1)
      this.#say('the clock is set again and again: further jumps are not named');
  }

  /** `first`: the first of all steps so far. */
  tell(first: readonly ClockStep[]): void {
    for (const step of first.slice(this.#told, MOST_LINES)) {
      this.#describe(step);
      this.#told++;
    }
  }

  /** No more are to come than these, `all` together. */
  end(first: readonly ClockStep[], all = first.length): void {
    this.tell(first);
    const more = all - this.#told;
    if (more > 0) this.#say(`and ${formatCount(more)} more such jumps`);
  }

  #describe(step: ClockStep): void {
    this.#say(`${describeStep(step, this.#originSec)}: ${FATES[this.#fate]}`);
  }
}

export function stepsAsJson(steps: readonly ClockStep[], originSec: number): ClockStepJson[] {
  const text = (stamp: number) => new Date(originSec * 1000 + stamp / 1e6).toISOString();
  return steps.slice(0, MOST_LISTED).map(({ packet, beforeAt, at, jumpNs }) => ({
    packet,
    seconds: Math.round(jumpNs / 1e6) / 1e3,
    before: text(beforeAt),
    after: text(at),
  }));
}
