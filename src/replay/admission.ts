import type { SessionReplay } from './session.ts';

/**
 * Who may connect, where nothing else paces it (`--speed max`): a session opens when no more connections of its copy are
 * open than were open in the recording when it began. So 10,000 short sessions, one after the other in the recording,
 * stay one after the other, and the target never sees more connections at once than N times what production saw.
 *
 * It cannot wait for ever: were there more open, then one of them ended before this one began, its end has been read,
 * and it is on its way there.
 */
export class Admission {
  readonly #copies: {
    /** Sessions open now. */
    open: number;
    /** Sessions that were open in the recording, as far as it was read. */
    recordedOpen: number;
    queue: { session: SessionReplay; most: number }[];
  }[];

  constructor(copies: number) {
    this.#copies = Array.from({ length: copies }, () => ({ open: 0, recordedOpen: 0, queue: [] }));
  }

  /** A recorded session began: opens `session`, its copy, now or later, in order. */
  admit(session: SessionReplay): void {
    const copy = this.#copies[session.copy];
    copy.queue.push({ session, most: ++copy.recordedOpen });
    this.#openNext(session.copy);
  }

  /** A recorded session of which this copy was admitted ended. */
  ended(copy: number): void {
    this.#copies[copy].recordedOpen--;
  }

  /** An admitted session is over. */
  left(session: SessionReplay): void {
    this.#copies[session.copy].open--;
    this.#openNext(session.copy);
  }

  #openNext(index: number): void {
    const copy = this.#copies[index];
    while (copy.queue.length > 0 && copy.open < copy.queue[0].most) {
      const { session } = copy.queue.shift() as (typeof copy.queue)[number];
      // Stopped while it waited: it is over already.
      if (session.state !== 'waiting') continue;
      copy.open++;
      session.open();
    }
  }
}
