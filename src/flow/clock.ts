/**
 * Clocks that were set while they stamped packets: where a capture's stamps jump, and times that go on as if they had not
 * (docs/decisions/0028-clock-steps.md says why so). Pure: an archive's index, a repair and a live run find the same steps
 * in the same packets.
 */
import type { CaptureNs } from '../time.ts';

const SECOND_NS = 1e9;
const DAY_NS = 86_400 * SECOND_NS;

/** A stamp further behind the newest one than this is a step back. Packets of a card's several queues are out of order by far less. */
const BACK_NS = SECOND_NS;

/** A stamp further ahead of the newest one than this is a step forward. Less may be a time in which nothing was sent. */
const FORWARD_NS = DAY_NS;

/** The first stamp is held against the origin, and may be this far from it: half of what a CaptureNs holds exactly. */
const FAR_NS = 52 * DAY_NS;

/**
 * A clock that goes ahead by as much as it had gone back was put right. So much time at most goes by meanwhile: pauses of
 * less than ten minutes are common, and one of them is not to be as long as an earlier step by chance.
 */
const PUT_RIGHT_GAP_NS = 2 * SECOND_NS;
const LONG_NS = 600 * SECOND_NS;
const LONG_PUT_RIGHT_GAP_NS = 120 * SECOND_NS;
/** And no larger share of the jump: a pause of two seconds is no step of one that was put right. */
const PUT_RIGHT_SHARE = 0.2;

/**
 * A first packet that is alone for so long was stamped wrongly, where those after it follow one another within ALONE_NEXT_NS:
 * what TCP sends is answered, so no packet is the only one of its hour, unless a capture began with an answer.
 */
const ALONE_NS = 3600 * SECOND_NS;
const ALONE_NEXT_NS = 60 * SECOND_NS;

/** Clocks are mostly set by a multiple of one of these. What a jump is more than that by is the time that went by, if it is no more than so much. */
const UNITS: readonly { unitNs: number; mostRestNs: number }[] = [
  { unitNs: 3600 * SECOND_NS, mostRestNs: 60 * SECOND_NS },
  { unitNs: 900 * SECOND_NS, mostRestNs: 2 * SECOND_NS },
  { unitNs: SECOND_NS, mostRestNs: 0.1 * SECOND_NS },
];
/** Where nothing can be told, next to none: what came before a step stays before it. More than stamps years off are exact to. */
const LEAST_REST_NS = 1_000;

/** Stretches of one clock that are remembered, because the clock may come back to theirs. */
const MOST_KNOWN = 16;

/** Where the clock was set. Plain data. */
export interface ClockStep {
  /** Number of the first packet stamped after it. */
  packet: number;
  /** The newest stamp before it (of packet 0: the origin), and the stamp of `packet`, both as captured. */
  beforeAt: CaptureNs;
  at: CaptureNs;
  /** How far the clock was set ahead, ns; negative: back. */
  jumpNs: number;
  /** What is added to each stamp from `packet` on, ns: with it times go on as if the clock had not been set. */
  offset: number;
}

/**
 * Takes the steps of a clock out of packets' times. A step costs no time: the packet after it comes as long after the packet
 * before it as can be told, else right behind it. Mended times run back by no more than BACK_NS.
 *
 * A stretch of stamps that are ahead, and then are not, is found whole only within one call of `mend`, where it is less than
 * a day ahead.
 */
export class ClockMender {
  /** What is added to the newest stamp. */
  offset = 0;
  /** The newest mended time. */
  #newest: CaptureNs = 0;
  #begun = false;
  #known: number[] = [0];
  #steps: ClockStep[] = [];
  /** Columns of the current call in which times jump ahead by what may be a pause, and the newest time before each. */
  #jumps: number[] = [];
  #before: CaptureNs[] = [];

  /** Mends `count` times in place: stamps of the packets from number `first` on. */
  mend(at: Float64Array, count: number, first: number): void {
    if (count === 0) return;
    if (!this.#begun) this.#begin(at, count, first);
    let { offset } = this;
    let newest = this.#newest;
    for (let i = 0; i < count; i++) {
      let time = at[i] + offset;
      const ahead = time - newest;
      if (ahead > BACK_NS || ahead < -BACK_NS) {
        this.#newest = newest;
        this.#leap(at, i, first);
        offset = this.offset;
        newest = this.#newest;
        time = at[i] + offset;
      }
      at[i] = time;
      if (time > newest) newest = time;
    }
    this.#newest = newest;
    this.#forgetJumps();
  }

  /** Steps found since the last call, in order. */
  take(): ClockStep[] {
    const steps = this.#steps;
    this.#steps = [];
    return steps;
  }

  /** The mended time of a moment that the clock itself shows, now: never before a packet that was mended. */
  now(stamp: CaptureNs): CaptureNs {
    return this.#begun ? Math.max(stamp + this.offset, this.#newest) : stamp;
  }

  #begin(at: Float64Array, count: number, packet: number): void {
    this.#begun = true;
    const stamp = at[0];
    const next = count > 1 ? at[1] : 0;
    if (isFirstAlone(at, count)) {
      // The others' clock is taken for the right one.
      this.#newest = next;
      this.#step(stamp, packet, -restOf(next - stamp));
      return;
    }
    if (!isFar(stamp)) {
      this.#newest = stamp;
      return;
    }
    // Not long before the next, where that is right.
    const until = isFar(next) ? 0 : next;
    const ofSecond = stamp - Math.floor(stamp / SECOND_NS) * SECOND_NS;
    const isClose = ofSecond <= until && until - ofSecond <= UNITS[2].mostRestNs;
    this.#step(stamp, packet, isClose ? ofSecond : until);
  }

  /** The stamp in column `i`, which is not mended yet, is far from those before it. */
  #leap(at: Float64Array, i: number, first: number): void {
    const stamp = at[i];
    const ahead = stamp + this.offset - this.#newest;
    if (ahead > FORWARD_NS || (ahead > 0 && this.#isPutRight(stamp, ahead))) this.#step(stamp, first + i);
    else if (ahead > 0) {
      this.#jumps.push(i);
      this.#before.push(this.#newest);
    } else {
      this.#takeBack(at, i, first);
      if (stamp + this.offset - this.#newest < -BACK_NS) this.#step(stamp, first + i);
    }
  }

  /** Whether a jump ahead undoes one back: with an earlier offset next to no time went by. */
  #isPutRight(stamp: CaptureNs, ahead: number): boolean {
    const offset = this.#returned(stamp);
    if (offset === undefined) return false;
    const gap = stamp + offset - this.#newest;
    return Math.abs(gap) <= mostGapOf(ahead - gap);
  }

  /** The earlier offset with which the stamp would be no step, and closest to what came before it. */
  #returned(stamp: CaptureNs): number | undefined {
    let returned: number | undefined;
    for (const offset of this.#known) {
      const gap = stamp + offset - this.#newest;
      if (offset === this.offset || gap < -BACK_NS || gap > FORWARD_NS) continue;
      if (returned === undefined || offset < returned) returned = offset;
    }
    return returned;
  }

  /** `restNs`: the time that went by, where that is known. */
  #step(stamp: CaptureNs, packet: number, restNs?: number): void {
    const was = this.offset;
    const ahead = stamp + was - this.#newest;
    const offset = this.#returned(stamp) ?? was - (ahead - (restNs ?? restOf(ahead)));
    this.offset = offset;
    this.#known = [offset, ...this.#known.filter((known) => known !== offset)].slice(0, MOST_KNOWN);
    this.#steps.push({ packet, beforeAt: this.#newest - was, at: stamp, jumpNs: was - offset, offset });
    this.#forgetJumps();
  }

  /** Where the stamp in column `i` goes on from before a jump ahead, what is between was stamped wrongly: mends that, too. */
  #takeBack(at: Float64Array, i: number, first: number): void {
    const stamp = at[i];
    const { offset } = this;
    let jump = this.#jumps.length - 1;
    while (jump >= 0 && stamp + offset < this.#before[jump] - BACK_NS) jump--;
    if (jump < 0) return;
    const from = this.#jumps[jump];
    const before = this.#before[jump];
    const ahead = at[from] - before;
    const jumpNs = ahead - restOf(ahead);
    const beforeAt = this.#newest - offset;
    this.#steps.push({
      packet: first + from,
      beforeAt: before - offset,
      at: at[from] - offset,
      jumpNs,
      offset: offset - jumpNs,
    });
    this.#steps.push({ packet: first + i, beforeAt, at: stamp, jumpNs: -jumpNs, offset });
    this.#newest = before;
    for (let k = from; k < i; k++) {
      at[k] -= jumpNs;
      if (at[k] > this.#newest) this.#newest = at[k];
    }
    this.#forgetJumps();
  }

  #forgetJumps(): void {
    if (this.#jumps.length === 0) return;
    this.#jumps = [];
    this.#before = [];
  }
}

/** Whether a first stamp is so far from the origin that times cannot be counted from there. */
function isFar(stamp: CaptureNs): boolean {
  return stamp < -BACK_NS || stamp > FAR_NS;
}

/** The most time that may have gone by while a clock was put right by `jumpNs`. */
function mostGapOf(jumpNs: number): number {
  return Math.min(PUT_RIGHT_SHARE * jumpNs, jumpNs < LONG_NS ? PUT_RIGHT_GAP_NS : LONG_PUT_RIGHT_GAP_NS);
}

/** Whether the first of `count` stamps is hours, but no days, before the others. */
function isFirstAlone(at: Float64Array, count: number): boolean {
  if (count < 3 || isFar(at[0])) return false;
  const ahead = at[1] - at[0];
  return ahead >= ALONE_NS && ahead <= FORWARD_NS && Math.abs(at[2] - at[1]) <= ALONE_NEXT_NS;
}

/** How much of a jump is time that went by, ns, as far as can be told. */
function restOf(ahead: number): number {
  for (const { unitNs, mostRestNs } of UNITS) {
    const restNs = ahead - Math.floor(ahead / unitNs) * unitNs;
    // A clock that is set ahead for good, or a stamp that is damaged, keeps to no zone.
    const isOfZone = ahead < 0 || unitNs === SECOND_NS;
    if (isOfZone && restNs <= mostRestNs) return Math.max(restNs, LEAST_REST_NS);
  }
  return LEAST_REST_NS;
}

/**
 * The second that times are best counted from, by the first stamps of a capture, in seconds since 1970: that of the first
 * packet, unless most of the others are so far from it that their times could not be held exactly. -1: there are none.
 */
export function originOf(seconds: readonly number[]): number {
  if (seconds.length === 0) return -1;
  const middle = [...seconds].sort((a, b) => a - b)[seconds.length >> 1];
  return seconds.find((second) => Math.abs(second - middle) * SECOND_NS <= FAR_NS) as number;
}
