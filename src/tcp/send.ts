import type { MonotonicMs } from '../time.ts';
import { CTL } from '../wire/segment.ts';
import { seqAdd, seqDiff, seqLt } from '../wire/sequence.ts';
import { CHALLENGE_MS } from './challenge.ts';
import { CongestionWindow } from './congestion.ts';
import { MIN_MSS, nextPlateau } from './path.ts';
import type { PeerOptions, Progress } from './progress.ts';
import { LossRecovery } from './recovery.ts';
import { RoundTrip } from './round-trip.ts';
import { type SegmentOut, SendSpace } from './send-space.ts';

export type { SegmentOut, SendState } from './send-space.ts';

/** SYNs sent before giving up: after 1 + 2 + 4 + 8 + 16 s, as Linux with tcp_syn_retries = 4. RFC 9293 (3.8.3). */
const MAX_SYNS = 5;

/** Times that data may be sent again before giving up: more than RFC 9293's 100 s (3.8.3, R2) from any RTO. */
const MAX_RETRANSMISSIONS = 10;

/** Time-outs of a full segment after which the path is taken to swallow such (RFC 4821 7.7), and again after as many more. */
const BLACK_HOLE_TIMEOUTS = 2;

/** RFC 9293 (3.7.1): what to assume of a peer that sends no MSS option. */
const DEFAULT_MSS = 536;

/** Loss probe, RFC 8985 (7.2): least wait, which the timers' 8 ms set, and how long a peer may keep an ACK. */
const MIN_PROBE_MS = 10;
const MAX_ACK_DELAY_MS = 40;

/** RFC 9293 (3.8.4): an idle peer is asked after two hours; then, as Linux does, every 75 s, and given up after 9 silences. */
const KEEPALIVE_MS = 7_200_000;
const KEEPALIVE_AGAIN_MS = 75_000;
const MAX_KEEPALIVES = 9;

export const NEVER: MonotonicMs = Number.POSITIVE_INFINITY;

/** What #deadline is about: keepalive, if anything; the retransmission or persist timer; the loss probe's. */
type Timer = 'idle' | 'retransmission' | 'probe';

/**
 * The send half of one TCP connection that we opened (docs/packet-transport.md): SND.UNA, SND.NXT, SND.WND, ISS,
 * retransmission and congestion window. The receive half lives elsewhere, perhaps on another host; what it learns comes
 * in by `established` and `acked`. Pure: no I/O, no clock; `pollAt` says when `dispatch` has something to do again.
 */
export class SendHalf extends SendSpace {
  /** Whether the peer takes window scaling: our own scaled windows hold only then. */
  windowScaled = false;
  /** Whether a peer that says nothing for two hours is asked whether it still lives. To be set first of all. RFC 9293 (3.8.4): off by default. */
  keepAlive = false;
  /** What SEG.WND counts in, octets: RFC 7323 (2.2). */
  #windowUnit = 1;
  #sackPermitted = false;
  /** Max(SND.WND), RFC 9293 (3.8.6.2.1). */
  #maxWnd = 0;

  readonly #congestion = new CongestionWindow();
  readonly #rto = new RoundTrip();
  /** undefined while all goes well. */
  #loss: LossRecovery | undefined;
  #timer: Timer = 'idle';
  #deadline: MonotonicMs = 0;
  /** Times that the timer expired since the peer last said something new. */
  #tries = 0;
  /** When new data last went. */
  #sentAt: MonotonicMs = 0;
  #challengedAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  #challengeDue = false;
  #extraSyns = 0;
  #extraSynDue = false;

  /** When `dispatch` is due; NEVER where only the peer or the user can move things. */
  get pollAt(): MonotonicMs {
    return this.#deadline;
  }

  /** Sends RST and nothing more. The segment has SEG.SEQ = SND.NXT, which every peer accepts (RFC 5961 3.2). */
  abort(out: SegmentOut): void {
    if (this.over) return;
    if (this.state !== 'syn-sent') out.segment(this, this.max, CTL.rst | CTL.ack, 0, false);
    this.#give('aborted');
  }

  /** The peer reset the connection, or it is otherwise known to be gone. */
  dead(): void {
    this.#give('aborted');
  }

  /**
   * A SYN met an old connection of the same tuple, which was reset just now: try again at once. RFC 9293 (3.5.2). Whoever knows the
   * tuple can forge what leads here: such SYNs are few, and none of those that time-outs send.
   */
  synAgain(now: MonotonicMs): void {
    if (this.state !== 'syn-sent' || this.#extraSyns === MAX_SYNS) return;
    if (now - this.#challengedAt < CHALLENGE_MS) return;
    this.#challengedAt = now;
    this.#extraSyns++;
    this.#extraSynDue = true;
    this.#deadline = Math.min(now, this.#deadline);
  }

  /** SYN-ACK: its options, and in `progress` its ACK and window, which is never scaled there. */
  established(peer: PeerOptions, progress: Progress, now: MonotonicMs): void {
    if (this.state !== 'syn-sent') return;
    this.state = 'open';
    this.una = seqAdd(this.iss, 1);
    this.nxt = this.una;
    this.max = this.una;
    this.mss = Math.min(this.mss, peer.mss < 0 ? DEFAULT_MSS : Math.max(peer.mss, MIN_MSS));
    this.timestamps = peer.timestamps;
    this.#sackPermitted = peer.sackPermitted;
    this.windowScaled = peer.shift >= 0;
    this.#windowUnit = 1 << Math.max(0, peer.shift);
    this.wnd = progress.window;
    this.#maxWnd = this.wnd;
    this.#congestion.open(this.segmentOctets, this.#rto.backOffs);
    if (this.#rto.backOffs === 0) this.#rto.acknowledged(this.una, false, now);
    else this.#rto.unmeasured();
    this.#tries = 0;
    this.#rest(now);
  }

  /**
   * The path takes no more than this (ICMP, EMSGSIZE): what goes out from now on is cut to it. What is under way and too
   * long goes again with the next `dispatch`, and is no sign of congestion: RFC 1191 (6.4).
   */
  limitMss(mss: number): void {
    const before = this.mss;
    this.mss = Math.min(before, Math.max(MIN_MSS, mss));
    if (this.mss < before && !this.over && this.outstanding > this.segmentOctets) this.#rewind(false);
  }

  /**
   * What an acceptable segment said. RFC 9293 (3.10.7.4), fifth step. Returns false where it acknowledges what was never sent: it
   * was not acceptable, and nothing of it is taken.
   */
  acked(progress: Progress, now: MonotonicMs): boolean {
    const { ack } = progress;
    if (this.state === 'syn-sent' || seqLt(ack, this.una)) return true;
    if (seqLt(this.max, ack)) {
      // It is owed an ACK, but not every time: RFC 5961 (5, 7).
      if (now - this.#challengedAt >= CHALLENGE_MS) {
        this.#challengedAt = now;
        this.#challengeDue = true;
      }
      return false;
    }
    const before = this.wnd;
    this.wnd = progress.window * this.#windowUnit;
    if (this.wnd > this.#maxWnd) this.#maxWnd = this.wnd;
    const newly = seqDiff(ack, this.una);
    if (newly > 0) this.#advance(newly, ack, now);
    if (this.#loss !== undefined || progress.sackCount > 0 || newly === 0) {
      this.#judge(progress, newly, before, now);
    }
    // RFC 6298 (5.2, 5.3). An ACK of nothing new leaves the timer be.
    if (this.una === this.max) this.#rest(now);
    else if (newly > 0) this.#arm(now);
    return true;
  }

  /** Sends what may go now: new data, a FIN, or what is to be sent again. */
  dispatch(now: MonotonicMs, out: SegmentOut): void {
    if (this.over || this.state === 'fin-acked') return;
    if (this.state === 'syn-sent') {
      this.#sendSyn(now, out);
      return;
    }
    if (now >= this.#deadline) this.#expired(now, out);
    if (this.over) return;
    if (this.#loss !== undefined) this.#recover(this.#loss, now, out);
    this.#sendData(now, out);
    if (this.#challengeDue) {
      this.#challengeDue = false;
      out.segment(this, this.max, CTL.ack, 0, false);
    }
  }

  #give(state: 'failed' | 'aborted'): void {
    this.state = state;
    this.#deadline = NEVER;
    this.queue.clear();
    this.#loss = undefined;
  }

  #sendSyn(now: MonotonicMs, out: SegmentOut): void {
    if (now < this.#deadline) return;
    const isExtra = this.#extraSynDue;
    this.#extraSynDue = false;
    if (this.#tries === MAX_SYNS && !isExtra) {
      this.#give('failed');
      return;
    }
    const again = this.#tries > 0;
    if (again) {
      this.retransmitted++;
      this.#rto.again();
    }
    // One that follows a challenge ACK did not expire: its round trip is its own, and it waits no longer than the last.
    if (again && now >= this.#sentAt + this.#rto.ms) this.#rto.backOff();
    out.segment(this, this.iss, CTL.syn, 0, again);
    if (!isExtra) this.#tries++;
    this.nxt = seqAdd(this.iss, 1);
    this.max = this.nxt;
    this.#sentAt = now;
    this.#rto.sent(this.nxt, now);
    this.#deadline = now + this.#rto.ms;
  }

  /** SND.UNA moves. */
  #advance(newly: number, ack: number, now: MonotonicMs): void {
    const loss = this.#loss;
    const flight = seqDiff(this.nxt, this.una);
    this.una = ack;
    if (seqLt(this.nxt, ack)) this.nxt = ack;
    this.queue.acknowledged(ack);
    this.#rto.acknowledged(ack, this.timestamps, now);
    this.#tries = 0;
    if (loss?.phase !== 'fast') {
      this.#congestion.acknowledged(newly, flight, this.segmentOctets, loss?.phase === 'rewound');
    }
    if (this.state === 'fin-sent' && ack === seqAdd(this.end, 1)) this.state = 'fin-acked';
  }

  /** What an ACK tells of losses; the path of all ACKs that are not simply good news. `before` is the last SND.WND. */
  #judge(progress: Progress, newly: number, before: number, now: MonotonicMs): void {
    if (newly === 0) {
      // The peer lives, whatever it was that we asked it.
      if (this.wnd === 0 || this.#timer === 'idle') this.#tries = 0;
      if (before === 0 && this.wnd > 0) this.#reopened(now);
    }
    const segment = this.segmentOctets;
    // RFC 5681 (2); what answers a window probe is none.
    const isDuplicate =
      newly === 0 && progress.pure && this.outstanding > 0 && this.wnd > 0 && this.wnd === before;
    if (this.#loss === undefined) {
      if (this.#sackPermitted ? progress.sackCount === 0 : !isDuplicate) return;
      this.#loss = new LossRecovery(this.una, this.#sackPermitted);
    }
    const loss = this.#loss;
    switch (loss.learn(progress, newly, isDuplicate, this.una, this.max, segment)) {
      case 'begin':
        this.#beginRecovery(loss);
        break;
      case 'end':
        loss.end();
        if (!this.#sackPermitted) this.#congestion.recovered(this.outstanding, segment);
        break;
      case 'mended':
        this.#congestion.lost(this.outstanding, segment);
        break;
    }
    if (loss.isOver(this.una)) this.#loss = undefined;
  }

  /** A closed window opens: what the peer had no room for goes again at once, and is no sign of congestion. */
  #reopened(now: MonotonicMs): void {
    this.#rto.restore();
    this.#deadline = now + this.#rto.ms;
    if (this.una !== this.max) this.#rewind(false);
  }

  #beginRecovery(loss: LossRecovery): void {
    this.#congestion.lost(loss.flight || this.outstanding, this.segmentOctets);
    loss.begin(this.una, this.max);
    this.#rto.again();
  }

  #rewind(distrust: boolean): void {
    this.#loss ??= new LossRecovery(this.una, this.#sackPermitted);
    this.#loss.rewind(this.una, this.max, distrust);
    this.nxt = this.una;
    this.#rto.again();
  }

  /** Nothing is outstanding. */
  #rest(now: MonotonicMs): void {
    this.#timer = 'idle';
    this.#deadline = this.keepAlive ? now + KEEPALIVE_MS : NEVER;
  }

  /** Something is: RFC 6298 (5.1, 5.3), or, first, the loss probe's time: TLP_calc_PTO(), RFC 8985 (7.2). */
  #arm(now: MonotonicMs): void {
    const loss = this.#loss;
    const { srtt } = this.#rto;
    let wait = this.#rto.ms;
    this.#timer = 'retransmission';
    if (
      this.#sackPermitted &&
      srtt > 0 &&
      this.#tries === 0 &&
      (loss === undefined || (loss.phase === 'watching' && loss.probeEnd < 0))
    ) {
      // Less than two full segments need not be acknowledged at once: RFC 9293 (3.8.6.3).
      const delayed = this.outstanding < 2 * this.segmentOctets;
      const probe = Math.max(MIN_PROBE_MS, 2 * srtt) + (delayed ? MAX_ACK_DELAY_MS : 0);
      if (probe < wait) {
        wait = probe;
        this.#timer = 'probe';
      }
    }
    this.#deadline = now + wait;
  }

  #expired(now: MonotonicMs, out: SegmentOut): void {
    if (this.wnd === 0 && seqLt(this.una, this.end)) this.#probeWindow(now, out);
    else if (this.una === this.max && seqLt(this.una, this.end)) this.#fillWindow(now, out);
    else if (this.una === this.max) this.#askAlive(now, out);
    else if (this.#timer === 'probe') this.#probeLoss(now, out);
    else this.#timedOut(now);
  }

  /** RFC 6298 (5.4 to 5.6), RFC 5681 (3.1). */
  #timedOut(now: MonotonicMs): void {
    if (this.#tries === MAX_RETRANSMISSIONS) {
      this.#give('failed');
      return;
    }
    this.#tries++;
    this.#rto.backOff();
    const flight = this.outstanding;
    if (this.#tries % BLACK_HOLE_TIMEOUTS === 0 && flight >= this.segmentOctets) {
      this.mss = nextPlateau(this.mss);
    }
    this.#congestion.timedOut(flight, this.segmentOctets, this.#tries > 1);
    this.#rewind(this.#tries > 1);
    this.#deadline = now + this.#rto.ms;
  }

  /** A closed window: RFC 9293 (3.8.6.1). Given up only where the peer does not even answer. */
  #probeWindow(now: MonotonicMs, out: SegmentOut): void {
    if (this.#tries === MAX_RETRANSMISSIONS) {
      this.#give('failed');
      return;
    }
    this.#tries++;
    this.emitProbe(out);
    this.#rto.again();
    this.#rto.backOff();
    this.#timer = 'retransmission';
    this.#deadline = now + this.#rto.ms;
  }

  /** A window that stays small is used as it is: the override time-out of RFC 9293 (3.8.6.2.1). */
  #fillWindow(now: MonotonicMs, out: SegmentOut): void {
    const length = Math.min(seqDiff(this.end, this.nxt), this.segmentOctets, this.wnd);
    this.#timer = 'idle';
    this.#sent(this.emitNext(length, out), now);
  }

  /** Keepalive: an octet that was acknowledged already, and none of data. RFC 9293 (3.8.4). */
  #askAlive(now: MonotonicMs, out: SegmentOut): void {
    if (this.#tries === MAX_KEEPALIVES) {
      this.#give('failed');
      return;
    }
    this.#tries++;
    out.segment(this, seqAdd(this.una, -1), CTL.ack, 0, true);
    this.#deadline = now + KEEPALIVE_AGAIN_MS;
  }

  /** TLP_send_probe(), RFC 8985 (7.3). */
  #probeLoss(now: MonotonicMs, out: SegmentOut): void {
    const segment = this.segmentOctets;
    this.#loss ??= new LossRecovery(this.una, true);
    const loss = this.#loss;
    this.#timer = 'retransmission';
    this.#deadline = now + this.#rto.ms;
    if (loss.board.octets > 0) {
      // Later segments came and these did not, two round trips long: RFC 8985's reordering timer (6.3), with that as its window.
      loss.lostByTime(this.una);
      this.#beginRecovery(loss);
      return;
    }
    const left = Math.min(seqDiff(this.end, this.nxt), this.wnd - seqDiff(this.nxt, this.una));
    loss.probeAgain = left <= 0;
    if (left > 0) {
      const length = Math.min(left, segment);
      this.#sent(this.emitNext(length, out), now);
    } else {
      const last = Math.min(this.outstanding, segment);
      this.emitAgain(seqAdd(this.max, -last), this.max, out);
    }
    loss.probeEnd = this.max;
    this.#rto.again();
  }

  /** Fast recovery: what was lost goes again as far as the window lets it, RFC 6675 (5, C). */
  #recover(loss: LossRecovery, now: MonotonicMs, out: SegmentOut): void {
    const segment = this.segmentOctets;
    while (this.wnd > 0) {
      const seq = loss.next(this.una, segment, this.nxt === this.max && !this.#hasNew);
      if (seq < 0) return;
      const room = this.#congestion.cwnd - loss.pipe(this.una, this.nxt, this.max, segment);
      if (!loss.owed && room < segment) return;
      loss.owed = false;
      loss.highRxt = this.emitAgain(seq, loss.board.holeEnd(seq, this.max), out);
      if (this.#timer !== 'retransmission') this.#arm(now);
    }
  }

  /** Whether there is something to send that never went. */
  get #hasNew(): boolean {
    return seqLt(this.max, this.end);
  }

  #sendData(now: MonotonicMs, out: SegmentOut): void {
    const segment = this.segmentOctets;
    const loss = this.#loss;
    const congestion = this.#congestion;
    if (this.una === this.max && now - this.#sentAt > this.#rto.ms) congestion.idle(segment);
    const pipe =
      loss === undefined ? seqDiff(this.nxt, this.una) : loss.pipe(this.una, this.nxt, this.max, segment);
    let room = congestion.cwnd - pipe;
    for (;;) {
      if (loss !== undefined) this.nxt = loss.board.skip(this.nxt);
      let left = Math.min(seqDiff(this.end, this.nxt), segment);
      if (loss !== undefined)
        left = Math.min(left, seqDiff(loss.board.holeEnd(this.nxt, this.end), this.nxt));
      if (left <= 0) break;
      const length = Math.min(left, this.wnd - seqDiff(this.nxt, this.una), room);
      if (length <= 0) break;
      // Silly window avoidance, RFC 9293 (3.8.6.2.1): a segment is shorter than need be only for half the peer's buffer, or
      // when the timer expired.
      if (length < left && length < this.#maxWnd / 2) break;
      this.#sent(this.emitNext(length, out), now);
      room -= length;
    }
    if (this.finQueued && this.nxt === this.end) {
      this.#sent(this.emitNext(0, out), now);
    } else if (this.una === this.max && this.#timer === 'idle' && seqLt(this.nxt, this.end)) {
      // The window is closed, or too small.
      this.#tries = 0;
      this.#timer = 'retransmission';
      this.#deadline = now + this.#rto.ms;
    }
  }

  /** Accounts for a segment at what was SND.NXT: the timer, and a round trip to measure where it went for the first time. */
  #sent(isNew: boolean, now: MonotonicMs): void {
    if (this.#timer === 'idle') this.#tries = 0;
    if (isNew) {
      this.#sentAt = now;
      if (this.#tries === 0) this.#rto.sent(this.nxt, now);
    }
    if (this.#timer !== 'retransmission') this.#arm(now);
  }
}
