import { seqAdd, seqDiff, seqLe, seqLt } from '../wire/sequence.ts';
import type { Progress } from './progress.ts';
import { DUP_THRESH, Scoreboard } from './scoreboard.ts';

/**
 * `watching` for a loss; `fast` recovery, where ACKs told of it (RFC 6675 5, RFC 6582 3.2); `rewound`: everything from
 * SND.UNA on is sent again, after the timer expired or the path turned out narrower.
 */
export type RecoveryPhase = 'watching' | 'fast' | 'rewound';

/** What an ACK calls for: fast recovery begins, or ends; or a loss probe has mended a loss, which congestion control must hear of. */
export type LossVerdict = 'nothing' | 'begin' | 'end' | 'mended';

/**
 * What one connection knows of its losses. Made with the first sign of one and dropped when all is well again, so that an
 * ordinary connection has none. Without SACK each duplicate ACK counts as a segment that left the network.
 */
export class LossRecovery {
  phase: RecoveryPhase = 'watching';
  readonly board = new Scoreboard();
  /** RecoveryPoint (RFC 6675 2), `recover` (RFC 6582 3): SND.MAX when recovery began. */
  point: number;
  /** Octets under way when the first duplicate ACK came: what limited transmit adds does not count (RFC 5681 3.2). */
  flight = 0;
  /** HighRxt: one past what fast recovery has sent again. */
  highRxt: number;
  /** The first segment of fast recovery, and without SACK of each partial ACK, goes whatever the window says. */
  owed = false;
  /** TLP.end_seq (RFC 8985 7.3), or -1 where no loss probe is on its way … */
  probeEnd = -1;
  /** … and whether the probe was sent before: TLP.is_retrans. */
  probeAgain = false;
  readonly #sack: boolean;
  #duplicates = 0;
  /** Octets that duplicate ACKs say have left the network, without SACK: by how much RFC 5681 inflates cwnd. */
  #left = 0;
  /** What is lost by the clock, not by the number of blocks above it. */
  #lostByTime: number;
  /** The newest ACK's D-SACK block ends here (RFC 2883 4), or -1. */
  #repeatedEnd = -1;

  constructor(una: number, sack: boolean) {
    this.#sack = sack;
    this.point = seqAdd(una, -1);
    this.highRxt = una;
    this.#lostByTime = una;
  }

  /** Whether this may be dropped: nothing of it matters to what comes. */
  isOver(una: number): boolean {
    return (
      this.phase === 'watching' &&
      this.board.octets === 0 &&
      this.#duplicates === 0 &&
      this.probeEnd < 0 &&
      this.#isPast(una)
    );
  }

  /**
   * Takes in an ACK of `newly` octets up to `una`. `duplicate`: it is one by RFC 5681 (2), which counts without SACK; with it what
   * tells of octets that were not known to have come does (RFC 6675 2).
   */
  learn(
    progress: Progress,
    newly: number,
    duplicate: boolean,
    una: number,
    max: number,
    segment: number,
  ): LossVerdict {
    const fresh = this.#sack && this.#takeBlocks(progress, una, max);
    if (newly > 0) this.#acknowledged(newly, una, segment);
    if (this.#sack ? fresh : duplicate) {
      if (this.#duplicates++ === 0) this.flight = seqDiff(max, una);
      if (!this.#sack) this.#left += segment;
    }
    if (this.phase === 'fast') return seqLe(this.point, una) ? 'end' : 'nothing';
    if (this.phase === 'watching') {
      // The probe came, and what was sent before it, two round trips ago and more, did not.
      if (this.probeEnd >= 0 && this.board.covers(seqAdd(this.probeEnd, -1))) {
        this.lostByTime(una);
        return 'begin';
      }
      if (this.#isLoss(una, segment)) return 'begin';
    }
    return this.probeEnd >= 0 && this.#isMended(una, newly === 0 && progress.pure && progress.sackCount === 0)
      ? 'mended'
      : 'nothing';
  }

  /** Fast recovery begins. */
  begin(una: number, max: number): void {
    this.phase = 'fast';
    this.point = max;
    this.highRxt = una;
    this.owed = true;
    this.probeEnd = -1;
  }

  /** Fast recovery is over: all that was outstanding when it began was acknowledged. */
  end(): void {
    this.phase = 'watching';
    this.owed = false;
    this.#forget();
  }

  /** Everything goes again from `una` on but what was SACKed; `distrust`: that too (RFC 2018 8). */
  rewind(una: number, max: number, distrust: boolean): void {
    this.phase = 'rewound';
    this.point = max;
    this.owed = false;
    this.probeEnd = -1;
    this.#forget();
    this.#lostByTime = una;
    // A peer that SACKed the octet it waits for has thrown it away since.
    if (distrust || this.board.covers(una)) this.board.clear();
  }

  /** Whatever is missing below what was SACKed is lost, by the clock. */
  lostByTime(una: number): void {
    const highest = this.board.highest(una);
    if (seqLt(this.#lostByTime, highest)) this.#lostByTime = highest;
  }

  /** Octets under way. */
  pipe(una: number, nxt: number, max: number, segment: number): number {
    // (RFC 5681 3.1) After a time-out nothing counts as under way but what went since.
    if (this.phase === 'rewound') return seqDiff(nxt, una) - this.board.below(nxt);
    if (!this.#sack) return Math.max(0, seqDiff(max, una) - this.#left);
    const again = this.phase === 'fast' ? this.highRxt : una;
    return this.board.pipe(una, max, again, this.#lostBelow(una, segment));
  }

  /**
   * NextSeg() (RFC 6675 4), for what was sent before: where the next octet to send again stands, or -1. `anything`: no new
   * data can go, so that a hole which may yet close (rule 3) is better than silence.
   */
  next(una: number, segment: number, anything: boolean): number {
    if (this.phase !== 'fast') return -1;
    if (this.owed) return una;
    if (!this.#sack) return -1;
    const below = anything ? this.board.highest(una) : this.#lostBelow(una, segment);
    const seq = this.board.skip(this.highRxt);
    return seqLt(seq, below) ? seq : -1;
  }

  /** Returns whether the SACK blocks of an ACK told of octets that were not known to have come. */
  #takeBlocks({ sack, sackCount }: Progress, una: number, max: number): boolean {
    let fresh = false;
    this.#repeatedEnd = -1;
    for (let i = 0; i < sackCount; i++) {
      const left = sack[2 * i];
      const right = sack[2 * i + 1];
      if (i === 0 && (seqLe(right, una) || (sackCount > 1 && isWithin(sack)))) this.#repeatedEnd = right;
      else if (seqLe(una, left) && seqLt(left, right) && seqLe(right, max))
        fresh = this.board.add(left, right) || fresh;
    }
    return fresh;
  }

  #acknowledged(newly: number, una: number, segment: number): void {
    this.board.acknowledged(una);
    if (seqLt(this.#lostByTime, una)) this.#lostByTime = una;
    if (seqLt(this.highRxt, una)) this.highRxt = una;
    if (this.phase !== 'fast') this.#forget();
    else if (seqLt(una, this.point) && !this.#sack) {
      // A partial ACK: RFC 6582 (3.2, step 3): the next hole, and cwnd deflated by what came.
      this.#left = Math.max(0, this.#left - newly + (newly >= segment ? segment : 0));
      this.owed = true;
    }
    if (this.phase === 'rewound' && this.#isPast(una)) this.phase = 'watching';
  }

  /**
   * Whether an ACK is past the recovery. Without SACK it must be of more: what was sent again without need brings duplicate
   * ACKs of its end, which are not to begin another (RFC 6582 3.2, step 1).
   */
  #isPast(una: number): boolean {
    return this.#sack ? seqLe(this.point, una) : seqLt(this.point, una);
  }

  /** Whether ACKs say that the segment at `una` was lost: RFC 6675 (5, 1 and 2), RFC 6582 (3.2, step 1). */
  #isLoss(una: number, segment: number): boolean {
    if (this.#sack) return this.#duplicates >= DUP_THRESH || this.board.lostBelow(una, segment) !== una;
    return this.#duplicates >= DUP_THRESH && this.#isPast(una);
  }

  /** TLP_process_ack() (RFC 8985 7.4.2): whether the probe mended a loss that nobody else has told of. */
  #isMended(una: number, duplicate: boolean): boolean {
    if (seqLt(una, this.probeEnd)) return false;
    const repeated = this.#repeatedEnd === this.probeEnd;
    // Not clear yet whether the first sending came as well: then a duplicate ACK of just that will say so.
    if (una === this.probeEnd && this.probeAgain && !repeated && !duplicate) return false;
    const mended = this.probeAgain && !repeated && una !== this.probeEnd;
    this.probeEnd = -1;
    return mended;
  }

  #lostBelow(una: number, segment: number): number {
    const lost = this.board.lostBelow(una, segment);
    return seqLt(lost, this.#lostByTime) ? this.#lostByTime : lost;
  }

  #forget(): void {
    this.#duplicates = 0;
    this.#left = 0;
  }
}

/** Whether the first block lies within the second: a D-SACK of what is above the ACK (RFC 2883 4.1). */
function isWithin(sack: Uint32Array): boolean {
  return seqLe(sack[2], sack[0]) && seqLe(sack[1], sack[3]);
}
