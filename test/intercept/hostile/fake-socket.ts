import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';

/** A socket that carries nothing by itself: what is written is kept, and taken at once unless the peer does not read. */
export class FakeSocket extends EventEmitter {
  readonly remoteAddress = '192.0.2.1';
  readonly remotePort = 1;
  destroyed = false;
  /** What was written and read by the peer, oldest first. */
  written: Uint8Array[] = [];
  writableLength = 0;
  /** Whether the peer reads. */
  reads = true;
  #waiting: { octets: Uint8Array; taken: ((error?: Error | null) => void) | undefined }[] = [];

  /** As what takes one. */
  get socket(): Socket {
    return this as unknown as Socket;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  write(octets: Uint8Array, taken?: (error?: Error | null) => void): boolean {
    this.#waiting.push({ octets, taken });
    this.writableLength += octets.length;
    return true;
  }

  end(octets?: Uint8Array): this {
    if (octets !== undefined) this.write(octets);
    return this;
  }

  destroy(): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.emit('close');
    return this;
  }

  /** The peer reads what waits, if it reads. */
  pass(): void {
    while (this.reads && !this.destroyed) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.writableLength -= next.octets.length;
      this.written.push(next.octets);
      next.taken?.();
    }
  }
}
