import type { Socket } from 'node:net';
import type { RelayRoom } from './relay-room.ts';

/** ACKs that may wait for what they presuppose to have left: batches of them, one a turn. */
const MOST_UNDELIVERED = 65_536;

/**
 * What goes out on a channel, and what waits until it has left. A peer that reads too slowly is cut off: the socket is destroyed,
 * and `cutOff` called with the reason, a sentence whose subject is the peer.
 */
export class Outflow {
  readonly #socket: Socket;
  readonly #room: RelayRoom;
  readonly #cutOff: (why: string) => void;
  /** Octets that wait for the other end to read, as the room has them. */
  #waitingOctets = 0;
  /** Writes so far, and how many of them the kernel has taken. */
  #writes = 0;
  #writesTaken = 0;
  /** What waits for a write to have been taken. */
  #undelivered: { write: number; then: () => void }[] = [];
  #isOver = false;

  readonly #written = (error?: Error | null): void => {
    if (error || this.#isOver) return;
    this.#writesTaken++;
    this.#count();
    while (this.#undelivered.length > 0 && this.#undelivered[0].write <= this.#writesTaken) {
      this.#undelivered.shift()?.then();
    }
  };

  constructor(socket: Socket, room: RelayRoom, cutOff: (why: string) => void) {
    this.#socket = socket;
    this.#room = room;
    this.#cutOff = cutOff;
  }

  /** Takes ownership of `octets`. */
  write(octets: Uint8Array): void {
    if (this.#isOver || this.#socket.destroyed) return;
    this.#writes++;
    this.#socket.write(octets, this.#written);
    this.#count();
    const { limits, waitingOctets, channels } = this.#room;
    if (this.#waitingOctets > limits.channelWaitingOctets) this.#cut('');
    // A peer with less than its share of what waits for all is not cut off.
    else if (waitingOctets > limits.waitingOctets && this.#waitingOctets * channels >= waitingOctets)
      this.#cut(`, of ${waitingOctets} for all replays together`);
  }

  /** Calls `then` when what was written has left: never, where it cannot leave any more. */
  delivered(then: () => void): void {
    if (this.#isOver || this.#socket.destroyed) return;
    if (this.#writesTaken === this.#writes) then();
    else if (this.#undelivered.length < MOST_UNDELIVERED)
      this.#undelivered.push({ write: this.#writes, then });
    else this.#cut(`, and ${MOST_UNDELIVERED} batches of ACKs for them`);
  }

  /** Gives back what it takes up: nothing more goes out. */
  end(): void {
    this.#isOver = true;
    this.#undelivered = [];
    this.#room.waitingOctets -= this.#waitingOctets;
    this.#waitingOctets = 0;
  }

  #cut(more: string): void {
    this.#cutOff(`reads too slowly: ${this.#waitingOctets} octets were waiting${more}`);
    this.#socket.destroy();
  }

  #count(): void {
    const waiting = this.#socket.writableLength;
    this.#room.waitingOctets += waiting - this.#waitingOctets;
    this.#waitingOctets = waiting;
  }
}
