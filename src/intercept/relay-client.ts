import type { Socket } from 'node:net';
import { MytapeError } from '../errors.ts';
import { REPLY_KINDS, type Reply } from '../mysql/reply.ts';
import { MESSAGE, MessageReader, MessageWriter, RELAY_MAGIC, RELAY_VERSION } from './messages.ts';
import type { ReceiverOwner, ReceiverPort, ReceiverStats, Tuple } from './ports.ts';

/** How long the other end may take to answer hello, ms. */
const WELCOME_MS = 5_000;

/** Replay's end of one channel. */
export class RelayClient implements ReceiverPort {
  readonly #socket: Socket;
  readonly #owner: ReceiverOwner;
  readonly #out = new MessageWriter();
  readonly #onGone: (why: string) => void;
  /** Those who asked for stats and wait, in the order in which they asked. */
  #asking: { resolve: (stats: ReceiverStats) => void; reject: (error: Error) => void }[] = [];
  #gone = false;

  private constructor(socket: Socket, owner: ReceiverOwner, onGone: (why: string) => void) {
    this.#socket = socket;
    this.#owner = owner;
    this.#onGone = onGone;
  }

  /**
   * Greets the intercept at the other end of `socket` (connected, TLS done). Rejects where that is none, or refuses.
   * `onGone` is called once if the channel is lost later.
   */
  static greet(
    socket: Socket,
    name: string,
    owner: ReceiverOwner,
    onGone: (why: string) => void,
  ): Promise<RelayClient> {
    return new Promise((resolve, reject) => {
      let welcomed = false;
      const client = new RelayClient(socket, owner, onGone);
      const fail = (why: string) => {
        clearTimeout(timer);
        socket.destroy();
        reject(new MytapeError('relay', `intercept at ${name} ${why}`));
      };
      const timer = setTimeout(
        () => fail('does not answer hello: is it `mytape intercept`, with the same --key-file?'),
        WELCOME_MS,
      );
      const reader = new MessageReader((type, view, octets, at, length) => {
        if (welcomed) client.#message(type, view, octets, at, length);
        else if (type === MESSAGE.welcome && view.getUint32(at + 8) === RELAY_MAGIC) {
          welcomed = true;
          clearTimeout(timer);
          resolve(client);
        } else if (type === MESSAGE.refused) {
          fail(`refused us: it says we ${Buffer.from(octets.subarray(at + 8, at + length)).toString()}`);
        } else fail('does not speak the relay protocol');
      });
      socket.setNoDelay(true);
      socket.setKeepAlive(true, 10_000);
      socket.on('data', (octets: Uint8Array) => {
        const greeted = welcomed;
        if (!reader.feed(octets)) {
          if (welcomed) client.#lost('sent what is not the relay protocol');
          else fail('does not speak the relay protocol');
          return;
        }
        if (greeted) owner.turnEnded();
      });
      let trouble = 'closed the channel';
      socket.on('error', (error) => {
        trouble = `is not to be reached any more: ${error.message}`;
      });
      socket.on('close', () => {
        if (welcomed) client.#lost(trouble);
        else
          fail(
            trouble === 'closed the channel'
              ? 'closed the channel: does it have the same --key-file?'
              : trouble,
          );
      });
      const at = client.#out.begin(MESSAGE.hello, 0, 0, 16);
      client.#out.view.setUint32(at + 8, RELAY_MAGIC);
      client.#out.view.setUint16(at + 12, RELAY_VERSION);
      client.#out.view.setUint16(at + 14, 0);
      client.flush();
    });
  }

  register(id: number, tuple: Tuple, iss: number): void {
    const at = this.#out.begin(MESSAGE.register, 0, id, 24);
    const { view } = this.#out;
    view.setUint32(at + 8, tuple.target);
    view.setUint32(at + 12, tuple.client);
    view.setUint16(at + 16, tuple.targetPort);
    view.setUint16(at + 18, tuple.clientPort);
    view.setUint32(at + 20, iss);
  }

  commandPhase(id: number, capabilities: number, extendedCapabilities: number): void {
    const at = this.#out.begin(MESSAGE.commandPhase, 0, id, 16);
    this.#out.view.setUint32(at + 8, capabilities);
    this.#out.view.setUint32(at + 12, extendedCapabilities);
  }

  expect(id: number, shape: number): void {
    this.#out.begin(MESSAGE.expect, shape, id, 8);
  }

  release(id: number, aborted: boolean): void {
    this.#out.begin(MESSAGE.release, aborted ? 1 : 0, id, 8);
  }

  flush(): void {
    if (!this.#out.empty && !this.#gone) this.#socket.write(this.#out.take());
  }

  /** What the intercept's capture has seen so far. */
  stats(): Promise<ReceiverStats> {
    if (this.#gone) return Promise.reject(channelGone());
    return new Promise((resolve, reject) => {
      this.#asking.push({ resolve, reject });
      this.#out.begin(MESSAGE.askStats, 0, 0, 8);
      this.flush();
    });
  }

  close(): Promise<void> {
    this.flush();
    this.#gone = true;
    return new Promise((resolve) => {
      if (this.#socket.destroyed) resolve();
      else {
        const timer = setTimeout(() => this.#socket.destroy(), 1000);
        this.#socket.once('close', () => {
          clearTimeout(timer);
          resolve();
        });
        this.#socket.end();
      }
    });
  }

  #lost(why: string): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#socket.destroy();
    for (const { reject } of this.#asking) reject(channelGone());
    this.#asking = [];
    this.#onGone(why);
  }

  #message(type: number, view: DataView, octets: Uint8Array, at: number, length: number): void {
    const id = view.getUint32(at + 4);
    const owner = this.#owner;
    if (type === MESSAGE.reset) owner.reset(id, octets[at + 3] !== 0);
    else if (type === MESSAGE.registered) owner.registered(id);
    else if (type === MESSAGE.expecting) owner.expecting(id);
    else if (type === MESSAGE.stale) owner.stale(id);
    else if (type === MESSAGE.desync) owner.desync(id);
    else if (type === MESSAGE.stats) {
      const stats = {
        packets: Number(view.getBigUint64(at + 8)),
        dropped: Number(view.getBigUint64(at + 16)),
      };
      this.#asking.shift()?.resolve(stats);
    } else if (type === MESSAGE.refused) {
      this.#lost(`cut us off: it says we ${Buffer.from(octets.subarray(at + 8, at + length)).toString()}`);
    } else {
      const ack = view.getUint32(at + 8);
      const rcvNxt = view.getUint32(at + 12);
      const window = view.getUint16(at + 16);
      if (type === MESSAGE.reply) this.#reply(id, ack, window, rcvNxt, view, at);
      else if (type === MESSAGE.acked) owner.acked(id, ack, window, rcvNxt);
      else if (type === MESSAGE.packet) {
        owner.packet(id, ack, window, rcvNxt, octets.subarray(at + 18, at + length));
      } else if (type === MESSAGE.fin) owner.fin(id, ack, window, rcvNxt);
      else if (type === MESSAGE.established) {
        const mss = view.getUint16(at + 18);
        owner.established(id, ack, window, rcvNxt, mss === 0 ? -1 : mss, view.getInt8(at + 3));
      } else this.#lost(`sent a message of type ${type}, which is not for replay`);
    }
  }

  #reply(id: number, ack: number, window: number, rcvNxt: number, view: DataView, at: number): void {
    const reply: Reply = {
      kind: REPLY_KINDS[view.getUint8(at + 3)] ?? 'none',
      errno: view.getUint16(at + 18),
      hash: view.getUint32(at + 20),
      hashUnordered: view.getUint32(at + 24),
      statementId: view.getUint32(at + 28),
      params: view.getUint16(at + 32),
      columns: view.getUint16(at + 34),
      affected: view.getFloat64(at + 36),
      rows: view.getFloat64(at + 44),
      octets: view.getFloat64(at + 52),
      at: 0,
    };
    this.#owner.reply(id, ack, window, rcvNxt, reply, view.getUint32(at + 60) / 1000);
  }
}

function channelGone(): MytapeError {
  return new MytapeError('relay', 'the channel to intercept is gone');
}
