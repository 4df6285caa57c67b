import { seqDiff, seqLe, seqLt, seqMax } from '../wire/sequence.ts';

/** RFC 6675 (2): pieces of the stream, or segments' worth of octets, above a hole that make it a loss. */
export const DUP_THRESH = 3;

/** What the peer's SACK blocks say it has beyond SND.UNA: RFC 6675 (3, 4). Ranges in order, apart from each other. */
export class Scoreboard {
  #lefts: number[] = [];
  #rights: number[] = [];
  /** Octets in all ranges. */
  octets = 0;

  /** One past the highest octet that was SACKed, or `una` where none was. */
  highest(una: number): number {
    const { length } = this.#rights;
    return length === 0 ? una : this.#rights[length - 1];
  }

  clear(): void {
    this.#lefts.length = 0;
    this.#rights.length = 0;
    this.octets = 0;
  }

  /** Update() for one block [left, right). Returns whether it told of octets that were not known. */
  add(left: number, right: number): boolean {
    const lefts = this.#lefts;
    const rights = this.#rights;
    let first = 0;
    while (first < lefts.length && seqLt(rights[first], left)) first++;
    let last = first;
    let known = 0;
    // Ranges that overlap or touch the block become one with it.
    while (last < lefts.length && seqLe(lefts[last], right)) {
      known += seqDiff(rights[last], lefts[last]);
      if (seqLt(lefts[last], left)) left = lefts[last];
      right = seqMax(right, rights[last]);
      last++;
    }
    lefts.splice(first, last - first, left);
    rights.splice(first, last - first, right);
    const fresh = seqDiff(right, left) - known;
    this.octets += fresh;
    return fresh > 0;
  }

  /** Update() for a cumulative ACK. */
  acknowledged(una: number): void {
    const lefts = this.#lefts;
    const rights = this.#rights;
    let gone = 0;
    while (gone < lefts.length && seqLe(rights[gone], una)) {
      this.octets -= seqDiff(rights[gone], lefts[gone]);
      gone++;
    }
    if (gone > 0) {
      lefts.splice(0, gone);
      rights.splice(0, gone);
    }
    if (lefts.length > 0 && seqLt(lefts[0], una)) {
      this.octets -= seqDiff(una, lefts[0]);
      lefts[0] = una;
    }
  }

  covers(seq: number): boolean {
    return this.skip(seq) !== seq;
  }

  /** The next octet from `seq` on that was not SACKed. */
  skip(seq: number): number {
    for (let i = 0; i < this.#lefts.length && seqLe(this.#lefts[i], seq); i++) {
      if (seqLt(seq, this.#rights[i])) return this.#rights[i];
    }
    return seq;
  }

  /** Where what was not SACKed ends that begins at `seq`: at a range, or at `limit`. */
  holeEnd(seq: number, limit: number): number {
    for (const left of this.#lefts) if (seqLe(seq, left)) return seqLt(left, limit) ? left : limit;
    return limit;
  }

  /** IsLost(): whatever was not SACKed below the number that this answers is lost; `una`: nothing is. */
  lostBelow(una: number, segment: number): number {
    const { length } = this.#lefts;
    let above = 0;
    for (let i = length - 1; i >= 0; i--) {
      above += seqDiff(this.#rights[i], this.#lefts[i]);
      if (length - i >= DUP_THRESH || above > (DUP_THRESH - 1) * segment) return this.#lefts[i];
    }
    return una;
  }

  /** SetPipe(): octets that are taken to be in the network, where all below `highRxt` that is not SACKed was sent again. */
  pipe(una: number, max: number, highRxt: number, lostBelow: number): number {
    let octets = 0;
    let at = una;
    for (let i = 0; i <= this.#lefts.length; i++) {
      const end = i < this.#lefts.length ? this.#lefts[i] : max;
      const alive = seqMax(at, lostBelow);
      if (seqLt(alive, end)) octets += seqDiff(end, alive);
      const again = seqLt(end, highRxt) ? end : highRxt;
      if (seqLt(at, again)) octets += seqDiff(again, at);
      at = this.#rights[i];
    }
    return octets;
  }

  /** SACKed octets below `seq`. */
  below(seq: number): number {
    let octets = 0;
    for (let i = 0; i < this.#lefts.length && seqLt(this.#lefts[i], seq); i++) {
      const right = this.#rights[i];
      octets += seqDiff(seqLt(right, seq) ? right : seq, this.#lefts[i]);
    }
    return octets;
  }
}
