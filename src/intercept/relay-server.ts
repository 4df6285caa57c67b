import type { Socket } from 'node:net';
import { REPLY_KINDS, type Reply } from '../mysql/reply.ts';
import {
  MAX_MESSAGE_OCTETS,
  MESSAGE,
  MessageReader,
  MessageWriter,
  RELAY_MAGIC,
  RELAY_VERSION,
} from './messages.ts';
import type { ReceiverOwner, ReceiverPort, ReceiverStats } from './ports.ts';
import type { Receiver } from './receiver.ts';

/** Octets that may wait for a replayer that reads too slowly before it is cut off. */
const MAX_WAITING_OCTETS = 64 << 20;

/** A channel says hello within this time or is closed, ms. */
const HELLO_MS = 5_000;

/** Flows one channel may have open. */
const MAX_FLOWS = 200_000;

/** Index of a reply's kind on the wire. */
const KIND_NUMBER = new Map(REPLY_KINDS.map((kind, number) => [kind, number]));

export type ChannelLog = (event: 'open' | 'refused' | 'closed', detail: string) => void;

/**
 * Intercept's end of one channel: turns its messages into calls of the receiver, and what the receiver tells into
 * messages. Ends by itself when the socket ends; the flows that it left open are then reset on the target.
 */
export class RelayChannel implements ReceiverOwner {
  readonly #socket: Socket;
  readonly #receiver: Receiver;
  readonly #stats: () => ReceiverStats;
  readonly #log: ChannelLog;
  readonly #out = new MessageWriter();
  readonly #name: string;
  #port: (ReceiverPort & { disconnect(): void; readonly flows: number }) | undefined;
  #over = false;

  constructor(socket: Socket, receiver: Receiver, stats: () => ReceiverStats, log: ChannelLog) {
    this.#socket = socket;
    this.#receiver = receiver;
    this.#stats = stats;
    this.#log = log;
    this.#name = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`;
    const reader = new MessageReader((type, view, octets, at, length) => {
      if (!this.#over) this.#message(type, view, octets, at, length);
    });
    const helloTimer = setTimeout(() => this.#refuse('said no hello in time'), HELLO_MS);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 10_000);
    socket.on('data', (octets: Uint8Array) => {
      if (!reader.feed(octets)) this.#refuse('sent what is not the relay protocol');
      if (this.#port !== undefined) clearTimeout(helloTimer);
      this.turnEnded();
    });
    socket.on('error', () => {
      // 'close' follows and says all.
    });
    socket.on('close', () => {
      clearTimeout(helloTimer);
      this.#end();
    });
  }

  close(): void {
    this.#socket.destroy();
    this.#end();
  }

  #end(): void {
    if (this.#port === undefined) {
      this.#over = true;
      return;
    }
    const left = this.#port.flows;
    this.#port.disconnect();
    this.#port = undefined;
    this.#over = true;
    this.#log('closed', left > 0 ? `${this.#name}, ${left} connections left open were reset` : this.#name);
  }

  #refuse(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#log('refused', `${this.#name} ${why}`);
    const text = Buffer.from(why);
    const at = this.#out.begin(MESSAGE.refused, 0, 0, 8 + text.length);
    this.#out.octets(at + 8, text);
    this.#socket.end(this.#out.take());
    setTimeout(() => this.#socket.destroy(), 1000).unref();
    this.#port?.disconnect();
    this.#port = undefined;
  }

  #message(type: number, view: DataView, _octets: Uint8Array, at: number, _length: number): void {
    const flow = view.getUint32(at + 4);
    if (type === MESSAGE.hello) {
      const version = view.getUint16(at + 12);
      if (view.getUint32(at + 8) !== RELAY_MAGIC) this.#refuse('sent what is not the relay protocol');
      else if (version !== RELAY_VERSION) {
        this.#refuse(
          `speaks relay version ${version}, this intercept speaks ${RELAY_VERSION}: use the same mytape on both`,
        );
      } else if (this.#port === undefined) {
        this.#port = this.#receiver.attach(this);
        const to = this.#out.begin(MESSAGE.welcome, 0, 0, 16);
        this.#out.view.setUint32(to + 8, RELAY_MAGIC);
        this.#out.view.setUint16(to + 12, RELAY_VERSION);
        this.#out.view.setUint16(to + 14, 0);
        this.#log('open', this.#name);
      }
      return;
    }
    const port = this.#port;
    if (port === undefined) {
      this.#refuse('said no hello');
      return;
    }
    switch (type) {
      case MESSAGE.register: {
        if (port.flows >= MAX_FLOWS) {
          this.#refuse(`has more than ${MAX_FLOWS} connections open`);
          return;
        }
        const tuple = {
          target: view.getUint32(at + 8),
          client: view.getUint32(at + 12),
          targetPort: view.getUint16(at + 16),
          clientPort: view.getUint16(at + 18),
        };
        port.register(flow, tuple, view.getUint32(at + 20));
        break;
      }
      case MESSAGE.commandPhase:
        port.commandPhase(flow, view.getUint32(at + 8), view.getUint32(at + 12));
        break;
      case MESSAGE.expect:
        port.expect(flow, view.getUint8(at + 3));
        break;
      case MESSAGE.release:
        port.release(flow, view.getUint8(at + 3) !== 0);
        break;
      case MESSAGE.askStats: {
        const { packets, dropped } = this.#stats();
        const to = this.#out.begin(MESSAGE.stats, 0, 0, 24);
        this.#out.view.setBigUint64(to + 8, BigInt(packets));
        this.#out.view.setBigUint64(to + 16, BigInt(dropped));
        break;
      }
      default:
        this.#refuse(`sent a message of type ${type}, which is not for intercept`);
    }
  }

  // What the receiver tells.

  registered(id: number): void {
    this.#out.begin(MESSAGE.registered, 0, id, 8);
  }

  expecting(id: number): void {
    this.#out.begin(MESSAGE.expecting, 0, id, 8);
  }

  established(id: number, ack: number, window: number, rcvNxt: number, mss: number, shift: number): void {
    const at = this.#state(MESSAGE.established, shift & 0xff, id, ack, window, rcvNxt, 24);
    this.#out.view.setUint16(at + 18, mss < 0 ? 0 : mss);
    this.#out.view.setUint32(at + 20, 0);
  }

  acked(id: number, ack: number, window: number, rcvNxt: number): void {
    this.#state(MESSAGE.acked, 0, id, ack, window, rcvNxt, 18);
  }

  packet(id: number, ack: number, window: number, rcvNxt: number, octets: Uint8Array): void {
    if (18 + octets.length > MAX_MESSAGE_OCTETS) {
      this.desync(id);
      return;
    }
    const at = this.#state(MESSAGE.packet, 0, id, ack, window, rcvNxt, 18 + octets.length);
    this.#out.octets(at + 18, octets);
  }

  reply(id: number, ack: number, window: number, rcvNxt: number, reply: Reply, ageMs: number): void {
    const at = this.#state(MESSAGE.reply, KIND_NUMBER.get(reply.kind) as number, id, ack, window, rcvNxt, 64);
    const { view } = this.#out;
    view.setUint16(at + 18, reply.errno);
    view.setUint32(at + 20, reply.hash);
    view.setUint32(at + 24, reply.hashUnordered);
    view.setUint32(at + 28, reply.statementId);
    view.setUint16(at + 32, reply.params);
    view.setUint16(at + 34, reply.columns);
    view.setFloat64(at + 36, reply.affected);
    view.setFloat64(at + 44, reply.rows);
    view.setFloat64(at + 52, reply.octets);
    view.setUint32(at + 60, ageMs * 1000);
  }

  fin(id: number, ack: number, window: number, rcvNxt: number): void {
    this.#state(MESSAGE.fin, 0, id, ack, window, rcvNxt, 18);
  }

  reset(id: number, refused: boolean): void {
    this.#out.begin(MESSAGE.reset, refused ? 1 : 0, id, 8);
  }

  stale(id: number): void {
    this.#out.begin(MESSAGE.stale, 0, id, 8);
  }

  desync(id: number): void {
    this.#out.begin(MESSAGE.desync, 0, id, 8);
  }

  turnEnded(): void {
    if (this.#out.empty || this.#over) return;
    this.#socket.write(this.#out.take());
    if (this.#socket.writableLength > MAX_WAITING_OCTETS) {
      this.#log(
        'refused',
        `${this.#name} reads too slowly: ${this.#socket.writableLength} octets were waiting`,
      );
      this.#socket.destroy();
    }
  }

  #state(
    type: number,
    argument: number,
    id: number,
    ack: number,
    window: number,
    rcvNxt: number,
    length: number,
  ): number {
    const at = this.#out.begin(type, argument, id, length);
    const { view } = this.#out;
    view.setUint32(at + 8, ack);
    view.setUint32(at + 12, rcvNxt);
    view.setUint16(at + 16, window);
    return at;
  }
}
