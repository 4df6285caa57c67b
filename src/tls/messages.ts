/** Handshake messages out of the records that carry them (RFC 8446 4): 1 octet of type, 3 of length, the body. */
export const MESSAGE = { clientHello: 1, serverHello: 2, finished: 20, keyUpdate: 24 } as const;

const HEADER_OCTETS = 4;

/** A hello with everything that clients put into it, post-quantum key shares too, has a few KiB. */
const MAX_HELLO_OCTETS = 64 * 1024;

const NOTHING = new Uint8Array(0);

/** Told of each message once it is whole. `body` is a hello's, valid during the call, and empty for the other types. */
export type MessageSink = (type: number, body: Uint8Array, length: number) => void;

/** One direction's messages. Only the hellos are kept; of all others no more than where they end. */
export class HandshakeMessages {
  readonly #sink: MessageSink;
  #header = 0;
  #headerOctets = 0;
  /** Octets of the body that are still to come. */
  #left = 0;
  #length = 0;
  #type = 0;
  #body: Uint8Array = NOTHING;

  constructor(sink: MessageSink) {
    this.#sink = sink;
  }

  get heldOctets(): number {
    return this.#body.length;
  }

  /** Takes a record's content, [from, to). False: a hello that cannot be one. */
  take(octets: Uint8Array, from: number, to: number): boolean {
    for (let p = from; p < to; ) {
      if (this.#headerOctets < HEADER_OCTETS) {
        this.#header = ((this.#header << 8) | octets[p++]) >>> 0;
        if (++this.#headerOctets < HEADER_OCTETS) continue;
        if (!this.#begin()) return false;
      } else {
        const step = Math.min(this.#left, to - p);
        if (this.#body.length > 0) this.#body.set(octets.subarray(p, p + step), this.#length - this.#left);
        this.#left -= step;
        p += step;
      }
      if (this.#left === 0) this.#end();
    }
    return true;
  }

  /** Octets were missed: what comes next begins a message, or is taken as if it did. */
  reset(): void {
    this.#header = 0;
    this.#headerOctets = 0;
    this.#left = 0;
    this.#body = NOTHING;
  }

  #begin(): boolean {
    this.#type = this.#header >>> 24;
    this.#length = this.#left = this.#header & 0xffffff;
    if (this.#type !== MESSAGE.clientHello && this.#type !== MESSAGE.serverHello) return true;
    if (this.#length > MAX_HELLO_OCTETS) return false;
    this.#body = new Uint8Array(this.#length);
    return true;
  }

  #end(): void {
    const body = this.#body;
    this.reset();
    this.#sink(this.#type, body, this.#length);
  }
}
