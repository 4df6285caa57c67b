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
  readonly #copies: { open: number; queue: { session: SessionReplay; most: number }[] }[];
  #recordedOpen = 0;

  constructor(copies: number) {
    this.#copies = Array.from({ length: copies }, () => ({ open: 0, queue: [] }));
  }

  /** A recorded session began; its copies are to be admitted with the number that this answers. */
  began(): number {
    return ++this.#recordedOpen;
  }

  /** A recorded session ended. */
  ended(): void {
    this.#recordedOpen--;
  }

  /** Opens `session` now or later, in order. */
  admit(session: SessionReplay, most: number): void {
    const copy = this.#copies[session.copy];
    copy.queue.push({ session, most });
    this.#openNext(session.copy);
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
