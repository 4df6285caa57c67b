import type { Socket } from 'node:net';
import type { Reply } from '../mysql/reply.ts';
import type { PeerOptions, Progress } from '../tcp/progress.ts';
import { TimestampClock } from '../tcp/timestamps.ts';
import type { MonotonicMs } from '../time.ts';
import type { Attachment } from './attachment.ts';
import {
  MAX_MESSAGE_OCTETS,
  MESSAGE,
  MessageReader,
  MessageWriter,
  RELAY_MAGIC,
  RELAY_VERSION,
} from './messages.ts';
import { PeerClock } from './peer-clock.ts';
import type { ReceiverOwner, ReceiverStats } from './ports.ts';
import { LEASE_MS, type Receiver } from './receiver.ts';
import { FlowFields } from './relayed-flow.ts';
import { beginState } from './relayed-progress.ts';
import { writeReply } from './relayed-reply.ts';

/** Octets that may wait for a replayer that reads too slowly before it is cut off. */
const MAX_WAITING_OCTETS = 64 << 20;

/** A channel says hello within this time or is closed, ms. */
const HELLO_MS = 5_000;

/** How often it is looked whether the channel is still heard, ms. */
const LISTEN_MS = 1_000;

/** Flows one channel may have open, and all of them together. */
export interface FlowLimits {
  channel: number;
  all: number;
}

const FLOW_LIMITS: FlowLimits = { channel: 200_000, all: 500_000 };

export type ChannelLog = (event: 'open' | 'refused' | 'closed', detail: string) => void;

/**
 * Intercept's end of one channel: turns its messages into calls of the receiver, and what the receiver tells into
 * messages. Ends by itself when the socket ends, or nothing is heard: the flows that it left open then wait for the other end to
 * come back, and are reset at once only where it said goodbye, or was refused.
 */
export class RelayChannel implements ReceiverOwner {
  readonly #socket: Socket;
  readonly #receiver: Receiver;
  readonly #stats: () => ReceiverStats;
  readonly #log: ChannelLog;
  readonly #limits: FlowLimits;
  readonly #out = new MessageWriter();
  readonly #name: string;
  readonly #fields = new FlowFields();
  readonly #clock = new PeerClock();
  readonly #listening: NodeJS.Timeout;
  #port: Attachment | undefined;
  #heardAt: MonotonicMs;
  #over = false;
  /** Writes so far, and how many of them the kernel has taken. */
  #writes = 0;
  #writesTaken = 0;
  /** What waits for a write to have been taken. */
  #undelivered: { write: number; then: () => void }[] = [];
  readonly #written = (error?: Error | null): void => {
    if (error) return;
    this.#writesTaken++;
    while (this.#undelivered.length > 0 && this.#undelivered[0].write <= this.#writesTaken) {
      this.#undelivered.shift()?.then();
    }
  };
  /** Why we closed the socket ourselves. */
  #trouble = '';

  constructor(
    socket: Socket,
    receiver: Receiver,
    stats: () => ReceiverStats,
    log: ChannelLog,
    limits = FLOW_LIMITS,
  ) {
    this.#socket = socket;
    this.#receiver = receiver;
    this.#stats = stats;
    this.#log = log;
    this.#limits = limits;
    this.#name = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`;
    this.#heardAt = performance.now();
    const reader = new MessageReader((type, view, octets, at, length) => {
      if (!this.#over) this.#message(type, view, octets, at, length);
    });
    this.#listening = setInterval(() => this.#listen(), LISTEN_MS);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 10_000);
    socket.on('data', (octets: Uint8Array) => {
      this.#heardAt = performance.now();
      if (!reader.feed(octets)) this.#refuse('sent what is not the relay protocol');
      this.turnEnded();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // 'close' follows, and says it.
      this.#trouble = error.code ?? error.message;
    });
    socket.on('close', () => this.#end());
  }

  /** Closes the channel from this end; its flows wait for another intercept to take them up. */
  close(): void {
    this.#socket.destroy();
    this.#end();
  }

  #listen(): void {
    const silentMs = performance.now() - this.#heardAt;
    if (this.#port === undefined) {
      if (silentMs >= HELLO_MS) this.#refuse('said no hello in time');
    } else if (silentMs >= LEASE_MS) {
      this.#trouble = `nothing was heard of it for ${LEASE_MS / 1000} s`;
      this.#socket.destroy();
    }
  }

  #end(): void {
    clearInterval(this.#listening);
    this.#over = true;
    const port = this.#port;
    if (port === undefined) return;
    const left = port.flows;
    port.abandon();
    this.#port = undefined;
    const why = this.#trouble === '' ? '' : ` (${this.#trouble})`;
    const lease = `${LEASE_MS / 1000} s`;
    const flows = left > 0 ? `, ${left} connections wait for it to come back within ${lease}` : '';
    this.#log('closed', `${this.#name} without a goodbye${why}${flows}`);
  }

  /** `bye`: what is left open is reset on the target. */
  #bye(port: Attachment): void {
    const left = port.flows;
    port.disconnect();
    this.#port = undefined;
    this.#over = true;
    this.#log('closed', left > 0 ? `${this.#name}, ${left} connections left open were reset` : this.#name);
    this.#socket.end();
  }

  #refuse(why: string): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#listening);
    this.#log('refused', `${this.#name} ${why}`);
    const text = Buffer.from(why);
    const at = this.#out.begin(MESSAGE.refused, 0, 0, 8 + text.length);
    this.#out.octets(at + 8, text);
    this.#socket.end(this.#out.take());
    setTimeout(() => this.#socket.destroy(), 1000).unref();
    this.#port?.disconnect();
    this.#port = undefined;
  }

  #message(type: number, view: DataView, octets: Uint8Array, at: number, length: number): void {
    if (type === MESSAGE.hello) {
      this.#hello(view, at);
      return;
    }
    const port = this.#port;
    if (port === undefined) {
      this.#refuse('said no hello');
      return;
    }
    const id = view.getUint32(at + 4);
    switch (type) {
      case MESSAGE.register:
      case MESSAGE.resume: {
        const tuple = this.#fields.tuple(view, octets, at);
        if (tuple === undefined) this.#refuse('sent what is not the relay protocol');
        else if (!this.#isFull(port)) {
          if (type === MESSAGE.register) port.register(id, tuple, this.#fields.iss(view, at));
          else port.resume(id, tuple, this.#fields.resumption(view, octets, at, length));
        }
        break;
      }
      case MESSAGE.commandPhase:
        port.commandPhase(id, view.getUint32(at + 8), view.getUint32(at + 12));
        break;
      case MESSAGE.expect:
        port.expect(id, octets[at + 3]);
        break;
      case MESSAGE.correct:
        port.correct(id, {
          una: view.getUint32(at + 8),
          max: view.getUint32(at + 12),
          tsRecent: view.getUint32(at + 16),
          window: view.getUint32(at + 20) & 0xffff,
        });
        break;
      case MESSAGE.release:
        port.release(id, octets[at + 3] !== 0);
        break;
      case MESSAGE.ping:
        port.timestamps = this.#clock.heard(view.getFloat64(at + 8), this.#receiver.clock.now());
        this.#out.begin(MESSAGE.pong, 0, 0, 8);
        break;
      case MESSAGE.bye:
        this.#bye(port);
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

  #hello(view: DataView, at: number): void {
    const version = view.getUint16(at + 12);
    if (view.getUint32(at + 8) !== RELAY_MAGIC) this.#refuse('sent what is not the relay protocol');
    else if (version !== RELAY_VERSION) {
      this.#refuse(
        `speaks relay version ${version}, this intercept speaks ${RELAY_VERSION}: use the same mytape on both`,
      );
    } else if (this.#port === undefined) {
      // Its pings, the first of which is right behind, say what its clock is.
      const timestamps = new TimestampClock(0);
      this.#port = this.#receiver.attach(this, {
        timestamps,
        delivered: (then) => this.#delivered(then),
        raw: view.getUint8(at + 3) !== 0,
      });
      const to = this.#out.begin(MESSAGE.welcome, 0, 0, 16);
      this.#out.view.setUint32(to + 8, RELAY_MAGIC);
      this.#out.view.setUint16(to + 12, RELAY_VERSION);
      this.#out.view.setUint16(to + 14, 0);
      this.#log('open', this.#name);
    }
  }

  #isFull(port: Attachment): boolean {
    const { channel, all } = this.#limits;
    if (port.flows >= channel) this.#refuse(`has more than ${channel} connections open`);
    else if (this.#receiver.flows >= all) {
      this.#refuse(
        `wants one more connection than this intercept has room for: ${all}, of all replays together`,
      );
    } else return false;
    return true;
  }

  // What the receiver tells.

  registered(id: number): void {
    this.#out.begin(MESSAGE.registered, 0, id, 8);
  }

  expecting(id: number): void {
    this.#out.begin(MESSAGE.expecting, 0, id, 8);
  }

  established(id: number, progress: Progress, peer: PeerOptions): void {
    const at = beginState(this.#out, MESSAGE.established, 0, id, progress, 4);
    const { view } = this.#out;
    view.setUint16(at, Math.max(0, peer.mss));
    view.setInt8(at + 2, peer.shift);
    view.setUint8(at + 3, (peer.sackPermitted ? 1 : 0) | (peer.timestamps ? 2 : 0));
  }

  acked(id: number, progress: Progress): void {
    beginState(this.#out, MESSAGE.acked, 0, id, progress, 0);
  }

  packet(id: number, progress: Progress, octets: Uint8Array): void {
    this.#octets(MESSAGE.packet, id, progress, octets);
  }

  reply(id: number, progress: Progress, reply: Reply, ageMs: number): void {
    writeReply(this.#out, id, progress, reply, ageMs);
  }

  checkpoint(id: number, progress: Progress, state: Uint8Array): void {
    this.#octets(MESSAGE.checkpoint, id, progress, state);
  }

  fin(id: number, progress: Progress): void {
    beginState(this.#out, MESSAGE.fin, 0, id, progress, 0);
  }

  reset(id: number, refused: boolean): void {
    this.#out.begin(MESSAGE.reset, refused ? 1 : 0, id, 8);
  }

  stale(id: number): void {
    this.#out.begin(MESSAGE.stale, 0, id, 8);
  }

  tooLong(id: number, mtu: number): void {
    const at = this.#out.begin(MESSAGE.tooLong, 0, id, 12);
    this.#out.view.setUint32(at + 8, mtu);
  }

  desync(id: number): void {
    this.#out.begin(MESSAGE.desync, 0, id, 8);
  }

  unresumable(id: number): void {
    this.#out.begin(MESSAGE.unresumable, 0, id, 8);
  }

  turnEnded(): void {
    if (this.#out.empty || this.#over) return;
    this.#writes++;
    this.#socket.write(this.#out.take(), this.#written);
    if (this.#socket.writableLength > MAX_WAITING_OCTETS) {
      this.#log(
        'refused',
        `${this.#name} reads too slowly: ${this.#socket.writableLength} octets were waiting`,
      );
      this.#socket.destroy();
    }
  }

  /** Calls `then` when what was written has left: never, where it cannot leave any more. */
  #delivered(then: () => void): void {
    if (this.#writesTaken === this.#writes) then();
    else this.#undelivered.push({ write: this.#writes, then });
  }

  #octets(type: number, id: number, progress: Progress, octets: Uint8Array): void {
    // Longer than any state before the octets leaves room for.
    if (octets.length > MAX_MESSAGE_OCTETS - 64) {
      this.desync(id);
      return;
    }
    const at = beginState(this.#out, type, 0, id, progress, octets.length);
    this.#out.octets(at, octets);
  }
}
