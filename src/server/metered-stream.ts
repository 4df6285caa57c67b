/** A connection to a server that may say anything: what it says is counted, and cut off beyond a bound. */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { ServerTrouble } from './trouble.ts';

export class MeteredStream extends Duplex {
  readonly #socket: Socket;
  readonly #mostOctets: number;
  #octets = 0;

  /** `mostOctets`: so many may come between two calls of `reset`. Takes ownership of `socket`. */
  constructor(socket: Socket, mostOctets: number) {
    super();
    this.#socket = socket;
    this.#mostOctets = mostOctets;
    socket.on('data', (octets) => this.#take(octets));
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  /** The next answer may be as long as the first. */
  reset(): void {
    this.#octets = 0;
  }

  #take(octets: Buffer): void {
    this.#octets += octets.length;
    if (this.#octets > this.#mostOctets)
      this.destroy(new ServerTrouble(`it sent more than ${this.#mostOctets / 1024 ** 2} MiB for an answer`));
    else if (!this.push(octets)) this.#socket.pause();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(octets: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(octets, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
