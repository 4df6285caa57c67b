import { NO_REPLY, type Reply } from '../mysql/reply.ts';
import type { ReplySink } from '../mysql/reply-reader.ts';
import { hashOctets } from '../wire/octet-hash.ts';

/**
 * Octets of a target of which no protocol is known, as they came: a part of an answer, whose beginning and end only the one
 * who asks knows. Its hash joins with those of other parts (`joinHashes`).
 */
export function partOf(octets: Uint8Array, from: number, to: number, at: number): Reply {
  const hash = hashOctets(octets, from, to);
  return { ...NO_REPLY, octets: to - from, hash, hashUnordered: hash, at };
}

const NOTHING = new Uint8Array(0);

/** Reads the target's octets of one connection where no protocol is known: each piece is told at once, as a part of an answer. */
export class RawReader {
  /** Nothing is ever held back. */
  readonly pending = 0;
  readonly heldOctets = 0;
  readonly unread = 0;
  readonly #sink: ReplySink;

  constructor(sink: ReplySink) {
    this.#sink = sink;
  }

  feed(octets: Uint8Array, from: number, to: number, at: number): void {
    this.#sink.reply(partOf(octets, from, to, at));
  }

  /** Nobody knows what a turn is answered by. */
  expect(): void {}

  commandPhase(): void {}

  /** There is no state that another reader would have to begin with. */
  save(): Uint8Array {
    return NOTHING;
  }

  restore(state: Uint8Array): boolean {
    return state.length === 0;
  }
}
