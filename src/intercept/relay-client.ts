import { randomBytes } from 'node:crypto';
import { MytapeError } from '../errors.ts';
import type { Correction } from '../tcp/peer-progress.ts';
import type { Tuple } from '../wire/tuple.ts';
import { type AnswerProtocol, MYSQL_ANSWERS } from './answer-protocol.ts';
import { MESSAGE, MessageWriter } from './messages.ts';
import type { ReceiverOwner, ReceiverPort, ReceiverStats, Resumption, Target } from './ports.ts';
import type { RelayAddress } from './relay-address.ts';
import { type LinkHandler, RelayLink, RelayRefused } from './relay-link.ts';
import { REPLAY_OCTETS, shiftOf, writeAim, writeRegister, writeResume } from './relayed-flow.ts';
import { RelayedProgress } from './relayed-progress.ts';
import { ReplyFields } from './relayed-reply.ts';

/** How long a lost channel is tried for, and how often, ms. */
const RECONNECT_MS = 30_000;
const RETRY_MS = 250;

/** Losses within RECONNECT_MS after which we give up: an intercept that accepts and drops us again and again is of no use. */
const MOST_LOSSES = 10;

/** What becomes of a channel. */
export interface ChannelEvents {
  /** It is lost, and being made anew. Until then what is asked of the port is dropped. */
  lost(why: string): void;
  /** It stands again, and the other end knows of no flow: have it resume those that are open. */
  back(): void;
  /** It is lost for good. */
  gone(why: string): void;
  /** The first time that a connection is another replay's, by the intercept's word. */
  taken(): void;
}

export interface RelayClientOptions {
  address: RelayAddress;
  /** Of a relay by TCP. */
  key: Buffer | undefined;
  owner: ReceiverOwner;
  /** Where the owner's connections go. */
  target: Target;
  /** How the target's answers are read; default: MySQL's. */
  protocol?: AnswerProtocol;
  events: ChannelEvents;
}

/** Replay's end of one channel, over as many connections as it takes. */
export class RelayClient implements ReceiverPort, LinkHandler {
  readonly #options: RelayClientOptions;
  readonly #owner: ReceiverOwner;
  readonly #out = new MessageWriter();
  readonly #progress = new RelayedProgress();
  readonly #reply = new ReplyFields();
  /** Shows the intercept that a new channel belongs to the same replay as the lost one. */
  readonly #replay = randomBytes(REPLAY_OCTETS);
  /** When the channel was lost, the last few times. */
  readonly #losses: number[] = [];
  #isTakenTold = false;
  /** undefined: lost, or closed. */
  #link: RelayLink | undefined;
  #closed = false;
  /** Ends the wait before the next try. */
  #wake: () => void = () => {};
  /** Those who asked for stats and wait, in the order in which they asked. */
  #asking: { resolve: (stats: ReceiverStats) => void; reject: (error: Error) => void }[] = [];

  private constructor(options: RelayClientOptions) {
    this.#options = options;
    this.#owner = options.owner;
  }

  /** Connects to an intercept and greets it. Rejects where that fails the first time. */
  static async open(options: RelayClientOptions): Promise<RelayClient> {
    const client = new RelayClient(options);
    client.#link = await RelayLink.open(options.address, options.key, client);
    return client;
  }

  register(id: number, tuple: Tuple, iss: number): void {
    writeRegister(this.#out, id, tuple, iss);
  }

  resume(id: number, tuple: Tuple, from: Resumption): void {
    writeResume(this.#out, id, tuple, from);
  }

  commandPhase(id: number, capabilities: number, extendedCapabilities: number): void {
    const at = this.#out.begin(MESSAGE.commandPhase, 0, id, 16);
    this.#out.view.setUint32(at + 8, capabilities);
    this.#out.view.setUint32(at + 12, extendedCapabilities);
  }

  expect(id: number, shape: number): void {
    this.#out.begin(MESSAGE.expect, shape, id, 8);
  }

  correct(id: number, { una, max, tsRecent, window }: Correction): void {
    const at = this.#out.begin(MESSAGE.correct, 0, id, 24);
    const { view } = this.#out;
    view.setUint32(at + 8, una);
    view.setUint32(at + 12, max);
    view.setUint32(at + 16, tsRecent);
    view.setUint32(at + 20, window);
  }

  release(id: number, aborted: boolean): void {
    this.#out.begin(MESSAGE.release, aborted ? 1 : 0, id, 8);
  }

  flush(): void {
    if (this.#out.empty) return;
    if (this.#link === undefined) this.#out.clear();
    else this.#link.write(this.#out.take());
  }

  /** What the intercept's capture has seen so far. */
  stats(): Promise<ReceiverStats> {
    if (this.#link === undefined) return Promise.reject(channelGone('is gone'));
    return new Promise((resolve, reject) => {
      this.#asking.push({ resolve, reject });
      this.#out.begin(MESSAGE.askStats, 0, 0, 8);
      this.flush();
    });
  }

  /** Says goodbye: flows that are still open are reset on the target. */
  async close(): Promise<void> {
    const link = this.#link;
    if (link !== undefined) {
      this.#out.begin(MESSAGE.bye, 0, 0, 8);
      this.flush();
    }
    this.#closed = true;
    this.#link = undefined;
    this.#refuseAsking('is closed');
    this.#wake();
    await link?.close();
  }

  // What the link asks and tells.

  get protocol(): AnswerProtocol {
    return this.#options.protocol ?? MYSQL_ANSWERS;
  }

  introduce(writer: MessageWriter): void {
    writeAim(writer, this.#replay, this.#options.target);
  }

  turnEnded(): void {
    this.#owner.turnEnded();
  }

  lost(why: string, final: boolean): void {
    this.#link = undefined;
    this.#out.clear();
    this.#refuseAsking(final ? `is gone: intercept ${why}` : 'is gone');
    if (this.#closed) return;
    if (final || this.#isLostTooOften()) {
      this.#giveUp(final ? why : `${why}, for the ${MOST_LOSSES}th time within ${RECONNECT_MS / 1000} s`);
      return;
    }
    this.#options.events.lost(why);
    void this.#reconnect(why);
  }

  message(type: number, view: DataView, octets: Uint8Array, at: number, length: number): void {
    const id = view.getUint32(at + 4);
    const owner = this.#owner;
    switch (type) {
      case MESSAGE.registered:
        owner.registered(id);
        break;
      case MESSAGE.expecting:
        owner.expecting(id);
        break;
      case MESSAGE.reset:
        owner.reset(id, octets[at + 3] !== 0);
        break;
      case MESSAGE.stale:
        owner.stale(id);
        break;
      case MESSAGE.desync:
        owner.desync(id);
        break;
      case MESSAGE.unresumable:
        owner.unresumable(id);
        break;
      case MESSAGE.taken:
        owner.taken(id);
        if (!this.#isTakenTold) this.#options.events.taken();
        this.#isTakenTold = true;
        break;
      case MESSAGE.tooLong:
        owner.tooLong(id, view.getUint32(at + 8));
        break;
      case MESSAGE.stats: {
        const stats = {
          packets: Number(view.getBigUint64(at + 8)),
          dropped: Number(view.getBigUint64(at + 16)),
        };
        this.#asking.shift()?.resolve(stats);
        break;
      }
      default:
        if (!this.#segment(type, id, view, octets, at, length)) {
          this.#link?.strange(`sent a message of type ${type} that is not for replay, or is cut short`);
        }
    }
  }

  /** A message with a state. Returns false where it is none, or cut short. */
  #segment(
    type: number,
    id: number,
    view: DataView,
    octets: Uint8Array,
    at: number,
    length: number,
  ): boolean {
    const owner = this.#owner;
    const progress = this.#progress;
    const end = at + length;
    const rest = type >= MESSAGE.established ? progress.read(view, at, length) : -1;
    if (rest < 0) return false;
    switch (type) {
      case MESSAGE.reply: {
        const reply = this.#reply.read(view, rest, end, progress.own);
        if (reply === undefined) return false;
        owner.reply(id, progress, reply, this.#reply.ageMs);
        return true;
      }
      case MESSAGE.acked:
        owner.acked(id, progress);
        return true;
      case MESSAGE.packet:
        owner.packet(id, progress, octets.subarray(rest, end));
        return true;
      case MESSAGE.checkpoint:
        owner.checkpoint(id, progress, octets.subarray(rest, end));
        return true;
      case MESSAGE.fin:
        owner.fin(id, progress);
        return true;
      case MESSAGE.established: {
        if (rest + 4 !== end) return false;
        const mss = view.getUint16(rest);
        const flags = octets[rest + 3];
        owner.established(id, progress, {
          mss: mss === 0 ? -1 : mss,
          shift: shiftOf(view.getInt8(rest + 2)),
          sackPermitted: (flags & 1) !== 0,
          timestamps: (flags & 2) !== 0,
        });
        return true;
      }
      default:
        return false;
    }
  }

  async #reconnect(why: string): Promise<void> {
    const until = performance.now() + RECONNECT_MS;
    const { address, key, events } = this.#options;
    while (!this.#closed) {
      try {
        const link = await RelayLink.open(address, key, this);
        if (this.#closed) {
          await link.close();
          return;
        }
        this.#link = link;
        this.#out.clear();
        events.back();
        return;
      } catch (error) {
        if (error instanceof RelayRefused) this.#giveUp(`${why}, and then: ${error.message}`);
        else if (performance.now() >= until) this.#giveUp(`${why}, and did not come back`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, RETRY_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #giveUp(why: string): void {
    this.#closed = true;
    this.#options.events.gone(why);
  }

  #isLostTooOften(): boolean {
    const now = performance.now();
    this.#losses.push(now);
    if (this.#losses.length > MOST_LOSSES) this.#losses.shift();
    return this.#losses.length === MOST_LOSSES && now - this.#losses[0] < RECONNECT_MS;
  }

  #refuseAsking(how: string): void {
    const asking = this.#asking;
    this.#asking = [];
    for (const { reject } of asking) reject(channelGone(how));
  }
}

function channelGone(how: string): MytapeError {
  return new MytapeError('relay', `the channel to intercept ${how}`);
}
