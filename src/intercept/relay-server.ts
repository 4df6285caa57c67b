import type { Socket } from 'node:net';
import { counted } from '../counted.ts';
import type { MonotonicMs } from '../time.ts';
import { answerProtocol } from './answer-protocol.ts';
import type { Attachment } from './attachment.ts';
import { LEASE_MS } from './flows.ts';
import type { Guest } from './lobby.ts';
import { MESSAGE, MessageReader, MessageWriter, RELAY_MAGIC, RELAY_VERSION } from './messages.ts';
import { Outflow } from './outflow.ts';
import type { ReceiverStats, Target } from './ports.ts';
import type { Receiver } from './receiver.ts';
import type { RelayRoom } from './relay-room.ts';
import { RelayTeller } from './relay-teller.ts';
import { FlowFields } from './relayed-flow.ts';
import { type TargetList, targetText } from './target-list.ts';

/** How often it is looked whether the channel is still heard, ms. */
const LISTEN_MS = 1_000;

/** How long a peer has to close its end, once we have closed ours, ms. */
const CLOSE_MS = 1_000;

const NOT_OURS = 'sent what is not the relay protocol';

/** `3 connections left open: 2 reset, 1 not …`: what a replay that said goodbye left, and what of it got a RST. */
function leftOpen(left: number, reset: number): string {
  const what = `${counted(left, 'connection')} left open`;
  const unseen = 'the target was not seen to answer';
  if (reset === left) return `${what}: reset`;
  if (reset === 0) return `${what}: not reset (${unseen})`;
  return `${what}: ${reset} reset, ${left - reset} not (${unseen} on them)`;
}

export type ChannelLog = (event: 'open' | 'refused' | 'closed', detail: string) => void;

export interface ChannelOptions {
  receiver: Receiver;
  /** The targets that its connections may go to. */
  targets: TargetList;
  /** Shared by all channels of an intercept. */
  room: RelayRoom;
  stats: () => ReceiverStats;
  log: ChannelLog;
}

/**
 * Intercept's end of one channel: turns its messages into calls of the receiver, and what the receiver tells into
 * messages. Ends by itself when the socket ends, or nothing is heard: the flows that it left open then wait for the other end to
 * come back, and are reset at once only where it said goodbye, or was refused.
 */
export class RelayChannel extends RelayTeller {
  readonly #socket: Socket;
  readonly #guest: Guest;
  readonly #name: string;
  readonly #options: ChannelOptions;
  readonly #receiver: Receiver;
  readonly #room: RelayRoom;
  readonly #log: ChannelLog;
  readonly #outflow: Outflow;
  readonly #fields = new FlowFields();
  #listening: NodeJS.Timeout | undefined;
  /** undefined until hello came, and when the channel is over. */
  #port: Attachment | undefined;
  #heardAt: MonotonicMs;
  #over = false;
  /** Why we closed the socket ourselves. */
  #trouble = '';

  constructor(socket: Socket, guest: Guest, options: ChannelOptions) {
    super(new MessageWriter());
    this.#socket = socket;
    this.#guest = guest;
    this.#name = guest.name;
    this.#options = options;
    this.#receiver = options.receiver;
    this.#room = options.room;
    this.#log = options.log;
    this.#heardAt = performance.now();
    this.#outflow = new Outflow(socket, options.room, (why) => this.#log('refused', `${this.#name} ${why}`));
    const reader = new MessageReader((type, view, octets, at, length) => {
      if (!this.#over) this.#message(type, view, octets, at, length);
    });
    guest.onLate = (why) => this.#refuse(why);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 10_000);
    socket.on('data', (octets: Uint8Array) => {
      if (this.#over) return;
      this.#heardAt = performance.now();
      if (!reader.feed(octets)) this.#refuse(NOT_OURS);
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
    if (performance.now() - this.#heardAt < LEASE_MS) return;
    this.#trouble = `nothing was heard of it for ${LEASE_MS / 1000} s`;
    this.#socket.destroy();
  }

  #end(): void {
    this.#over = true;
    const port = this.#detach();
    if (port === undefined) return;
    const left = port.flows;
    port.abandon();
    const why = this.#trouble === '' ? '' : ` (${this.#trouble})`;
    const lease = `${LEASE_MS / 1000} s`;
    const flows =
      left > 0
        ? `, ${counted(left, 'connection waits', 'connections wait')} for it to come back within ${lease}`
        : '';
    this.#log('closed', `${this.#name} without a goodbye${why}${flows}`);
  }

  /** `bye`: what is left open is reset on the target. */
  #bye(port: Attachment): void {
    const left = port.flows;
    this.#detach();
    const reset = port.disconnect();
    this.#over = true;
    this.#log('closed', left > 0 ? `${this.#name}, ${leftOpen(left, reset)}` : this.#name);
    this.#socket.end();
    this.#closeSoon();
  }

  #refuse(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#guest.greeted();
    this.#log('refused', `${this.#name} ${why}`);
    const text = Buffer.from(why);
    const at = this.out.begin(MESSAGE.refused, 0, 0, 8 + text.length);
    this.out.octets(at + 8, text);
    this.#socket.end(this.out.take());
    this.#closeSoon();
    this.#detach()?.disconnect();
  }

  /** The other end need not close, or read, ever. */
  #closeSoon(): void {
    setTimeout(() => this.#socket.destroy(), CLOSE_MS).unref();
  }

  /** Gives back what the channel takes up. Returns the attachment that is still to be ended. */
  #detach(): Attachment | undefined {
    clearInterval(this.#listening);
    this.#outflow.end();
    const port = this.#port;
    if (port !== undefined) this.#room.channels--;
    this.#port = undefined;
    return port;
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
      case MESSAGE.aim:
        this.#aim(port, view, octets, at);
        break;
      case MESSAGE.register:
      case MESSAGE.resume: {
        const tuple = this.#fields.tuple(view, octets, at);
        if (tuple === undefined) this.#refuse(NOT_OURS);
        else if (this.#isWelcome(port, { address: tuple.target, port: tuple.targetPort })) {
          const breach =
            type === MESSAGE.register
              ? port.register(id, tuple, this.#fields.iss(view, at))
              : port.resume(id, tuple, this.#fields.resumption(view, octets, at, length));
          if (breach !== undefined) this.#refuse(breach);
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
        this.out.begin(MESSAGE.pong, 0, 0, 8);
        break;
      case MESSAGE.bye:
        this.#bye(port);
        break;
      case MESSAGE.askStats: {
        const { packets, dropped } = this.#options.stats();
        const to = this.out.begin(MESSAGE.stats, 0, 0, 24);
        this.out.view.setBigUint64(to + 8, BigInt(packets));
        this.out.view.setBigUint64(to + 16, BigInt(dropped));
        break;
      }
      default:
        this.#refuse(`sent a message of type ${type}, which is not for intercept`);
    }
  }

  #hello(view: DataView, at: number): void {
    const version = view.getUint16(at + 12);
    if (view.getUint32(at + 8) !== RELAY_MAGIC || this.#port !== undefined) this.#refuse(NOT_OURS);
    else if (version !== RELAY_VERSION) {
      this.#refuse(
        `speaks relay version ${version}, this intercept speaks ${RELAY_VERSION}: use the same mytape on both`,
      );
    } else if (this.#room.channels >= this.#room.limits.channels) {
      this.#refuse(
        `wants more than the ${counted(this.#room.limits.channels, 'channel')} that this intercept allows`,
      );
    } else {
      this.#guest.greeted();
      this.#room.channels++;
      this.#listening = setInterval(() => this.#listen(), LISTEN_MS);
      this.#port = this.#receiver.attach(this, {
        delivered: (then) => this.#outflow.delivered(then),
        protocol: answerProtocol(view.getUint8(at + 3)),
      });
      const to = this.out.begin(MESSAGE.welcome, 0, 0, 16);
      this.out.view.setUint32(to + 8, RELAY_MAGIC);
      this.out.view.setUint16(to + 12, RELAY_VERSION);
      this.out.view.setUint16(to + 14, 0);
      this.#log('open', this.#name);
    }
  }

  #aim(port: Attachment, view: DataView, octets: Uint8Array, at: number): void {
    const aim = this.#fields.aim(view, octets, at);
    if (aim === undefined || port.replay !== undefined) this.#refuse(NOT_OURS);
    else if (this.#isTarget(aim.target)) port.replay = aim.replay;
  }

  /** Whether there is room for one more connection, to `target`. Refuses the channel where there is not. */
  #isWelcome(port: Attachment, target: Target): boolean {
    const { channelFlows, flows } = this.#room.limits;
    if (port.replay === undefined) this.#refuse('did not say which target it is for');
    else if (port.flows >= channelFlows)
      this.#refuse(`has more than ${counted(channelFlows, 'connection')} open`);
    else if (this.#receiver.flows.open >= flows) {
      this.#refuse(
        `wants more than the ${counted(flows, 'connection')} that this intercept allows, of all replays together`,
      );
    } else return this.#isTarget(target);
    return false;
  }

  #isTarget({ address, port }: Target): boolean {
    const { targets } = this.#options;
    if (targets.has(address, port)) return true;
    const target = targetText(address, port);
    this.#refuse(
      `wants connections to ${target}, which is no target of this intercept (${targets.text}): start it with --target ${target}, or mend -x`,
    );
    return false;
  }

  turnEnded(): void {
    if (!this.out.empty && !this.#over) this.#outflow.write(this.out.take());
  }
}
