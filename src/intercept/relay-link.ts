import type { Socket } from 'node:net';
import { MytapeError } from '../errors.ts';
import type { AnswerProtocol } from './answer-protocol.ts';
import { LEASE_MS } from './flows.ts';
import {
  MESSAGE,
  MessageReader,
  MessageWriter,
  type OnMessage,
  RELAY_MAGIC,
  RELAY_VERSION,
} from './messages.ts';
import { type RelayAddress, relayText } from './relay-address.ts';
import { connectRelay } from './relay-socket.ts';

/** How long the other end may take to answer hello, ms. */
const WELCOME_MS = 5_000;

/** How often the other end is asked for a sign of life, ms. */
const PING_MS = 1_000;

/** Octets that may wait for an intercept that does not read before the link is given up. */
const MAX_WAITING_OCTETS = 64 << 20;

export interface LinkHandler {
  /** Every message but those of the greeting and of the link's own. */
  message: OnMessage;
  /** All that came in one go was told. */
  turnEnded(): void;
  /** Once, unless we closed it. `final`: the other end will have none of us. */
  lost(why: string, final: boolean): void;
  readonly protocol: AnswerProtocol;
  /** Writes who we are and what we want, in the first message after hello. */
  introduce(writer: MessageWriter): void;
}

/** The intercept does not want us: to try again is of no use. */
export class RelayRefused extends MytapeError {}

/** One connection to an intercept, from hello to its end. */
export class RelayLink {
  readonly #name: string;
  readonly #handler: LinkHandler;
  readonly #reader: MessageReader;
  #socket!: Socket;
  #state: 'greeting' | 'open' | 'over' = 'greeting';
  /** Ends the greeting, well or with an error. */
  #greeted: (error?: Error) => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #heardAt = 0;
  #trouble: string | undefined;
  /** Whether its owner has it: else what ends it is for `open` to throw. */
  #isHandedOver = false;
  #failure: MytapeError | undefined;

  private constructor(name: string, handler: LinkHandler) {
    this.#name = name;
    this.#handler = handler;
    this.#reader = new MessageReader((type, view, octets, at, length) => {
      if (this.#state === 'open') this.#message(type, view, octets, at, length);
      else if (this.#state === 'greeting') this.#answer(type, view, octets, at, length);
    });
  }

  /** Connects and greets. Rejects where nobody is there, or nobody who wants us: RelayRefused where that is his last word. */
  static async open(
    address: RelayAddress,
    key: Buffer | undefined,
    handler: LinkHandler,
  ): Promise<RelayLink> {
    const link = new RelayLink(relayText(address), handler);
    link.#socket = await connectRelay(address, key, (octets, count) => link.#take(octets, count));
    await link.#greet();
    // It may have been let go in the same breath.
    if (link.#failure !== undefined) throw link.#failure;
    link.#isHandedOver = true;
    return link;
  }

  write(octets: Uint8Array): void {
    if (this.#state === 'over') return;
    this.#socket.write(octets);
    if (this.#socket.writableLength > MAX_WAITING_OCTETS) this.#fail('does not read what we send', false);
  }

  /** What came cannot be: nothing more is read, and the link is lost. */
  strange(why: string): void {
    this.#fail(why, false);
  }

  /** Ends it in order, behind all that was written. */
  close(): Promise<void> {
    const socket = this.#socket;
    this.#state = 'over';
    clearInterval(this.#timer);
    return new Promise((resolve) => {
      if (socket.destroyed) {
        resolve();
        return;
      }
      const timer = setTimeout(() => socket.destroy(), 1000);
      socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      socket.end();
    });
  }

  #greet(): Promise<void> {
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 10_000);
    socket.on('error', (error) => {
      this.#trouble = `is not to be reached any more: ${error.message}`;
    });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#fail('does not answer hello: is it `mytape intercept`, with the same --key-file?', false);
      }, WELCOME_MS);
      this.#greeted = (error) => {
        clearTimeout(timer);
        if (error === undefined) resolve();
        else reject(error);
      };
      socket.on('close', () => {
        const hint = this.#state === 'greeting' ? ': does it have the same --key-file?' : '';
        this.#fail(this.#trouble ?? `closed the channel${hint}`, false);
      });
      const out = new MessageWriter(128);
      const at = out.begin(MESSAGE.hello, this.#handler.protocol.number, 0, 16);
      out.view.setUint32(at + 8, RELAY_MAGIC);
      out.view.setUint16(at + 12, RELAY_VERSION);
      out.view.setUint16(at + 14, 0);
      this.#handler.introduce(out);
      out.begin(MESSAGE.ping, 0, 0, 8);
      socket.write(out.take());
    });
  }

  #take(octets: Uint8Array, count: number): void {
    this.#heardAt = performance.now();
    if (this.#reader.feed(octets, count)) {
      if (this.#state === 'open') this.#handler.turnEnded();
    } else if (this.#state === 'open') this.#fail('sent what is not the relay protocol', false);
    else this.#fail('does not speak the relay protocol', true);
  }

  #answer(type: number, view: DataView, octets: Uint8Array, at: number, length: number): void {
    if (type === MESSAGE.welcome && view.getUint32(at + 8) === RELAY_MAGIC) {
      this.#state = 'open';
      this.#timer = setInterval(() => this.#ping(), PING_MS);
      this.#greeted();
    } else if (type === MESSAGE.refused) {
      this.#fail(`refused us: ${wordsIn(octets, at, length)}`, true);
    } else this.#fail('does not speak the relay protocol', true);
  }

  #message(type: number, view: DataView, octets: Uint8Array, at: number, length: number): void {
    if (type === MESSAGE.refused) {
      this.#fail(`cut us off: ${wordsIn(octets, at, length)}`, true);
    } else if (type !== MESSAGE.pong) this.#handler.message(type, view, octets, at, length);
  }

  #ping(): void {
    if (performance.now() - this.#heardAt >= LEASE_MS) {
      this.#fail(`was not heard for ${LEASE_MS / 1000} s`, false);
      return;
    }
    const out = new MessageWriter(16);
    out.begin(MESSAGE.ping, 0, 0, 8);
    this.write(out.take());
  }

  #fail(why: string, final: boolean): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    clearInterval(this.#timer);
    this.#socket.destroy();
    if (this.#isHandedOver) {
      this.#handler.lost(why, final);
      return;
    }
    const words = `intercept at ${this.#name} ${why}`;
    this.#failure = final ? new RelayRefused('relay', words) : new MytapeError('relay', words);
    this.#greeted(this.#failure);
  }
}

function wordsIn(octets: Uint8Array, at: number, length: number): string {
  return Buffer.from(octets.subarray(at + 8, at + length)).toString();
}
