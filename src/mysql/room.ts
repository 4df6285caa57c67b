/** What may be held of commands and files that are not whole yet: a header promises up to 1 GiB, and nobody has to keep the promise. */

/** What several holders may hold together, octets. */
export interface Room {
  octets: number;
  readonly limit: number;
}

const NONE: Room = { octets: 0, limit: 0 };

/** One holder's part of a room. */
export class Hold {
  #room: Room;
  #octets = 0;

  constructor(room: Room) {
    this.#room = room;
  }

  /** From now on it holds `octets` in all. False where there is no room for so many: then it holds what it held. */
  set(octets: number): boolean {
    const more = octets - this.#octets;
    if (more > 0 && this.#room.octets + more > this.#room.limit) return false;
    this.#room.octets += more;
    this.#octets = octets;
    return true;
  }

  free(): void {
    if (this.#octets > 0) this.set(0);
  }

  /** Frees what it holds; it has no room from now on. */
  close(): void {
    this.free();
    this.#room = NONE;
  }
}
