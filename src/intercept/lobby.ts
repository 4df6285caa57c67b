import type { Socket } from 'node:net';

/** From being accepted to a whole hello, the TLS handshake included, a connection has this long, ms. */
const HELLO_MS = 5_000;

/** Connections that may be between the two at once; one more, and the oldest is closed. */
const MOST_GUESTS = 64;

/** A connection that was accepted and has not said hello yet. */
export interface Guest {
  /** Who it is, for the log: `10.128.6.82:41234`, or `local 3` by a Unix socket. */
  readonly name: string;
  /** It said hello: it may stay. */
  greeted(): void;
  /** Called when its time is over, or another needs its place: must end the connection. */
  onLate: (why: string) => void;
}

/**
 * Where connections wait until they have said hello. Each has one deadline, which no octet extends, and their number is bounded.
 */
export class Lobby {
  /** Oldest first. */
  readonly #guests = new Map<Guest, NodeJS.Timeout>();
  readonly #helloMs: number;
  readonly #most: number;

  constructor(helloMs = HELLO_MS, most = MOST_GUESTS) {
    this.#helloMs = helloMs;
    this.#most = most;
  }

  /** Connections that have not said hello. */
  get size(): number {
    return this.#guests.size;
  }

  /** Lets a connection in that was accepted just now. `onLate` ends it, until it is replaced. */
  admit(socket: Socket, name: string, onLate: (why: string) => void): Guest {
    if (this.#guests.size >= this.#most) {
      const [oldest] = this.#guests.keys();
      this.#end(oldest, `said no hello before ${this.#most} others came`);
    }
    const guest: Guest = { name, onLate, greeted: () => this.#forget(guest) };
    const timer = setTimeout(() => this.#end(guest, 'said no hello in time'), this.#helloMs);
    this.#guests.set(guest, timer);
    socket.once('close', () => this.#forget(guest));
    return guest;
  }

  /** Ends those that wait: intercept stops, and they would keep its process alive until their deadlines. */
  close(): void {
    for (const guest of [...this.#guests.keys()]) this.#end(guest, 'said no hello before intercept stopped');
  }

  #end(guest: Guest, why: string): void {
    this.#forget(guest);
    guest.onLate(why);
  }

  #forget(guest: Guest): void {
    clearTimeout(this.#guests.get(guest));
    this.#guests.delete(guest);
  }
}
