import { NO_REPLY, type Reply } from '../mysql/reply.ts';
import type { CaptureNs } from '../time.ts';
import { hashOctets, joinHashes } from '../wire/octet-hash.ts';
import type { RecordedRequest } from './events.ts';

/** What the client says after so long a silence is a turn of its own, whether the one before it was answered or not. */
const MAX_PAUSE_NS = 200e6;

/** An upload is cut into turns of this size. */
const MAX_TURN_OCTETS = 1 << 20;

/** A recorded answer. */
export interface RawReply extends Reply {
  /** The longest silence before it and in it. */
  pauseMs: number;
}

/** `packet` is all that the client said in its turn: nothing where the server spoke first. */
export interface Turn extends RecordedRequest {
  /** The client's FIN is right behind it, and the server may wait for that: its answer comes through a connection half closed. */
  isLast: boolean;
  reply?: RawReply;
}

export interface RawSink {
  command(turn: Turn): void;
  /** `turn.reply` is there: the client speaks again, or nobody does. */
  reply(turn: Turn): void;
}

/**
 * Cuts the two streams of a connection of which no protocol is known into turns: what the client says up to the server's next
 * octets, and what the server says up to the client's next. Octets are copied.
 */
export class RawDialogue {
  readonly #sink: RawSink;
  /** When the connection stood. */
  readonly #openedAt: CaptureNs;
  #ordinal = 0;
  /** Of the turn that was not told yet. */
  #pieces: Uint8Array[] = [];
  #octets = 0;
  #lastAt: CaptureNs;
  /** The turn told last, until its answer was told. */
  #turn: Turn | undefined;
  /** Of its answer. */
  #answerOctets = 0;
  #answerHash = 0;
  #answerAt: CaptureNs = 0;
  #pauseNs = 0;
  /** When the client's FIN came, where the server might answer that; else -1. */
  #finAt = -1;

  constructor(sink: RawSink, openedAt: CaptureNs) {
    this.#sink = sink;
    this.#openedAt = openedAt;
    this.#lastAt = openedAt;
  }

  /** Whether a turn has begun that was not told yet. */
  get underWay(): boolean {
    return this.#octets > 0;
  }

  /** The client's next octets, [from, to). */
  fromClient(octets: Uint8Array, from: number, to: number, at: CaptureNs): void {
    this.#endAnswer();
    if (this.#octets + (to - from) > MAX_TURN_OCTETS) this.#tell(false);
    this.settle(at);
    // Not `slice`: a Buffer's makes no copy.
    this.#pieces.push(new Uint8Array(octets.subarray(from, to)));
    this.#octets += to - from;
    this.#lastAt = at;
  }

  /** The server's next octets, [from, to). */
  fromServer(octets: Uint8Array, from: number, to: number, at: CaptureNs): void {
    if (this.underWay) this.#tell(false);
    else if (this.#finAt >= 0) this.#tellEmpty(true, this.#finAt);
    else if (this.#turn === undefined) this.#tellEmpty(false, this.#openedAt);
    this.#finAt = -1;
    const before = this.#answerOctets === 0 ? (this.#turn as Turn).at : this.#answerAt;
    this.#pauseNs = Math.max(this.#pauseNs, at - before);
    this.#answerHash = joinHashes(this.#answerHash, hashOctets(octets, from, to), to - from);
    this.#answerOctets += to - from;
    this.#answerAt = at;
  }

  /** The client's FIN. */
  clientEnded(at: CaptureNs): void {
    this.settle(at);
    if (this.underWay) this.#tell(true);
    else if (this.#answerOctets === 0) this.#finAt = at;
  }

  /** It is `at` now: tells a turn that nothing is going to be added to. */
  settle(at: CaptureNs): void {
    if (this.underWay && at - this.#lastAt > MAX_PAUSE_NS) this.#tell(false);
  }

  /** Nothing more comes. */
  finish(): void {
    if (this.underWay) this.#tell(false);
    this.#endAnswer();
  }

  #tell(isLast: boolean): void {
    const packet = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#octets = 0;
    this.#push(isLast, packet, this.#lastAt);
  }

  #tellEmpty(isLast: boolean, at: CaptureNs): void {
    this.#push(isLast, new Uint8Array(0), at);
  }

  #push(isLast: boolean, packet: Uint8Array, at: CaptureNs): void {
    this.#turn = { ordinal: this.#ordinal++, at, packet, isLast };
    this.#sink.command(this.#turn);
  }

  #endAnswer(): void {
    const turn = this.#turn;
    if (turn === undefined || this.#answerOctets === 0) return;
    const hash = this.#answerHash;
    turn.reply = {
      ...NO_REPLY,
      octets: this.#answerOctets,
      hash,
      hashUnordered: hash,
      at: this.#answerAt,
      pauseMs: this.#pauseNs / 1e6,
    };
    this.#answerOctets = 0;
    this.#answerHash = 0;
    this.#pauseNs = 0;
    this.#sink.reply(turn);
  }
}
