import { seqAdd, seqDiff } from '../wire/sequence.ts';

/** Pieces let go before the list is cut. */
const CUT_AT = 64;

/** The octets that were written and not yet acknowledged, by reference. One piece, as a command is, costs no list. */
export class SendQueue {
  /** Sequence number of the first octet of #head. */
  #seq: number;
  #head: Uint8Array | undefined;
  /** What stands behind it; #first of them were let go already. */
  #rest: Uint8Array[] | undefined;
  #first = 0;

  constructor(seq: number) {
    this.#seq = seq;
  }

  push(octets: Uint8Array): void {
    if (this.#head === undefined) this.#head = octets;
    else (this.#rest ??= []).push(octets);
  }

  /** Lets go of pieces that were acknowledged whole. */
  acknowledged(una: number): void {
    while (this.#head !== undefined) {
      const { length } = this.#head;
      if (seqDiff(una, this.#seq) < length) return;
      this.#seq = seqAdd(this.#seq, length);
      this.#head = this.#shift();
    }
  }

  /** Copies octets from `seq` on into `target` at `at`. They must be here. */
  copy(seq: number, length: number, target: Uint8Array, at: number): void {
    let piece = this.#head!;
    let offset = seqDiff(seq, this.#seq);
    for (let next = this.#first; ; next++) {
      if (offset < piece.length) {
        const take = Math.min(length, piece.length - offset);
        if (offset === 0 && take === piece.length) target.set(piece, at);
        else target.set(piece.subarray(offset, offset + take), at);
        at += take;
        length -= take;
        offset += take;
      }
      if (length === 0) return;
      offset -= piece.length;
      piece = this.#rest![next];
    }
  }

  clear(): void {
    this.#head = undefined;
    this.#rest = undefined;
    this.#first = 0;
  }

  #shift(): Uint8Array | undefined {
    const rest = this.#rest;
    if (rest === undefined) return undefined;
    const octets = rest[this.#first++];
    if (this.#first === rest.length) {
      this.#rest = undefined;
      this.#first = 0;
    } else if (this.#first >= CUT_AT) {
      rest.splice(0, this.#first);
      this.#first = 0;
    }
    return octets;
  }
}
