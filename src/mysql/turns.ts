/**
 * Whose turn it is in a conversation, and what that shows of the answers: without reading any, and so also where octets are
 * missing. A client's *turn* is all that it says until the server speaks.
 */
export class Turns {
  /** The client has been seen to speak again before it was answered: that it speaks says nothing about earlier answers. */
  pipelines = false;
  /** It has been seen to go on before the answers to its turn were complete: when it has nothing under way never shows. */
  overlaps = false;
  /** Commands of this turn that have an answer. */
  answered = 0;
  /** Whether octets of this turn are missing. */
  #hole = false;
  /** Whether everything that the client had said before this turn was answered, and it knew that. */
  #quiet = true;
  #serverSpoke = false;
  /** Whether the server, when it spoke last, had acknowledged everything that the client had said. */
  #heardAll = true;

  /** Whether the client begins a turn when it speaks now. */
  get begins(): boolean {
    return this.#serverSpoke;
  }

  /** Whether the turn at work can have one answer at most. */
  get isShort(): boolean {
    return this.answered <= 1;
  }

  /**
   * The client's turn begins. `caughtUp`: it had acknowledged everything of the server's; false where octets of it are missing,
   * since nobody knows what these acknowledged. `answered`: nothing that it said before is known to wait for its answer.
   */
  client(caughtUp: boolean, answered: boolean): void {
    this.#serverSpoke = false;
    this.#quiet = caughtUp && this.#heardAll && answered;
    this.answered = 0;
    this.#hole = false;
  }

  /** Whether octets of this turn are missing. */
  get hasHole(): boolean {
    return this.#hole;
  }

  /** Octets of this turn are missing. */
  clientGap(): void {
    this.#hole = true;
  }

  /** A command of this turn, one that has an answer. */
  command(): void {
    this.answered++;
    if (this.answered > 1) this.pipelines = true;
  }

  /**
   * The server speaks, or octets of it are missing. `caughtUp`: it had acknowledged everything that the client had said.
   * Returns whether these are its first octets since the client's turn.
   */
  server(caughtUp: boolean): boolean {
    const isFirst = !this.#serverSpoke;
    this.#serverSpoke = true;
    this.#heardAll = caughtUp;
    return isFirst;
  }

  /** Whether what the server says now can only answer the commands of this turn. */
  get isClean(): boolean {
    return this.#quiet && this.answered > 0 && !this.#hole && !this.overlaps;
  }
}
