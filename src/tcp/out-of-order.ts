import { seqAdd, seqDiff, seqLe, seqLt, seqMax } from '../wire/sequence.ts';

/** What a piece costs besides its octets: a sender of tiny ones must not make us hold more than the window says. */
const PIECE_OCTETS = 64;

/** Blocks of an ACK: RFC 2018 (3) has room for three beside timestamps. */
const MAX_BLOCKS = 3;

/** A part of the stream that came before its turn. FIN counts as one more octet at its end. */
interface Piece {
  left: number;
  right: number;
  octets: Uint8Array;
  fin: boolean;
}

/**
 * Parts of the stream that came before their turn, and the SACK blocks that tell of them (RFC 2018), and of what came twice
 * (RFC 2883). Made with the first such segment and dropped when nothing of it is left.
 */
export class OutOfOrder {
  /** In order of sequence, none of them overlapping. */
  readonly #pieces: Piece[] = [];
  #held = 0;
  /** A number within each of the blocks that changed last, newest first. */
  readonly #newest: number[] = [];
  /** [left, right) came twice and has not been told yet; right = -1: nothing. */
  #twiceLeft = 0;
  #twiceRight = -1;

  get empty(): boolean {
    return this.#pieces.length === 0 && this.#twiceRight < 0;
  }

  /** What the pieces take up, octets. */
  get held(): number {
    return this.#held;
  }

  /** Whether the stream has a hole. */
  get hole(): boolean {
    return this.#pieces.length > 0;
  }

  /** Octets [left, right) came that were here or handed on before: RFC 2883 (4). */
  cameTwice(left: number, right: number): void {
    this.#twiceLeft = left;
    this.#twiceRight = right;
  }

  /**
   * Keeps copies of what is new in a segment: `length` octets at `from` whose first is number `seq`, and FIN. No more than
   * `limit` octets in all are held.
   */
  hold(octets: Uint8Array, from: number, length: number, seq: number, fin: boolean, limit: number): void {
    const pieces = this.#pieces;
    const end = seqAdd(seq, length + (fin ? 1 : 0));
    let at = seq;
    let i = pieces.length;
    while (i > 0 && seqLt(seq, pieces[i - 1].right)) i--;
    while (seqLt(at, end)) {
      const next = pieces[i];
      if (next !== undefined && seqLe(next.left, at)) {
        if (seqLt(at, next.right)) this.cameTwice(at, seqLt(next.right, end) ? next.right : end);
        at = seqMax(at, next.right);
        i++;
        continue;
      }
      const right = next !== undefined && seqLt(next.left, end) ? next.left : end;
      const withFin = fin && right === end;
      const first = from + seqDiff(at, seq);
      const count = seqDiff(right, at) - (withFin ? 1 : 0);
      if (this.#held + count + PIECE_OCTETS > limit) return;
      // Not slice(): of a Buffer that is a view, and the block's memory is the next block's soon.
      const copy = new Uint8Array(octets.subarray(first, first + count));
      pieces.splice(i, 0, { left: at, right, octets: copy, fin: withFin });
      this.#held += count + PIECE_OCTETS;
      at = right;
      i++;
    }
    this.#touch(seq);
  }

  /** The piece whose turn has come with `rcvNxt`, or undefined. It is let go. */
  take(rcvNxt: number): Piece | undefined {
    const first = this.#pieces[0];
    if (first === undefined || seqLt(rcvNxt, first.left)) return undefined;
    this.#pieces.shift();
    this.#held -= first.octets.length + PIECE_OCTETS;
    return first;
  }

  /** Fills in the blocks of the next ACK and answers how many: block i is [target[2 * i], target[2 * i + 1]). Tells of each repetition once. */
  blocks(target: Uint32Array): number {
    let count = 0;
    if (this.#twiceRight >= 0) {
      target[0] = this.#twiceLeft;
      target[1] = this.#twiceRight;
      this.#twiceRight = -1;
      count = 1;
    }
    // (RFC 2018 4) the block of the newest segment first, then those that were told of before it.
    for (let i = 0; i < this.#newest.length && count < MAX_BLOCKS; i++) {
      if (this.#block(this.#newest[i], target, count)) count++;
      else this.#newest.splice(i--, 1);
    }
    return count;
  }

  /** Puts the block that has `seq` in it at place `at` of `target`, unless nothing holds it by now. */
  #block(seq: number, target: Uint32Array, at: number): boolean {
    const pieces = this.#pieces;
    const i = pieces.findIndex(({ left, right }) => seqLe(left, seq) && seqLt(seq, right));
    if (i < 0) return false;
    let first = i;
    let last = i;
    while (first > 0 && pieces[first - 1].right === pieces[first].left) first--;
    while (last + 1 < pieces.length && pieces[last + 1].left === pieces[last].right) last++;
    target[2 * at] = pieces[first].left;
    target[2 * at + 1] = pieces[last].right;
    return true;
  }

  /** The block with `seq` in it is the newest. */
  #touch(seq: number): void {
    const newest = this.#newest;
    const block = new Uint32Array(2);
    if (!this.#block(seq, block, 0)) return;
    const others = newest.filter((each) => seqLt(each, block[0]) || seqLe(block[1], each));
    newest.splice(0, newest.length, seq, ...others.slice(0, MAX_BLOCKS));
  }
}
