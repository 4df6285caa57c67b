import { type AnswerProtocol, MYSQL_ANSWERS } from '../intercept/answer-protocol.ts';
import type { ReceiverPort, Target } from '../intercept/ports.ts';
import type { Reply } from '../mysql/reply.ts';
import type { Injector } from '../net/injector.ts';
import { initialSequence } from '../tcp/iss.ts';
import type { PeerOptions, Progress } from '../tcp/progress.ts';
import { RECEIVE_SHIFT } from '../tcp/receive.ts';
import { SendHalf } from '../tcp/send.ts';
import { connectionTimestamp } from '../tcp/timestamps.ts';
import { TimerWheel } from '../tcp/wheel.ts';
import type { Clock, MonotonicMs } from '../time.ts';
import type { Address } from '../wire/address.ts';
import { headersOctets, SegmentWriter } from '../wire/emit.ts';
import { CTL } from '../wire/segment.ts';
import { Tuple } from '../wire/tuple.ts';
import type { AnswerSource, AnswersOwner } from './answers.ts';
import type { ClientAddresses } from './clients.ts';
import { PacketConnection, type PacketOut } from './packet-connection.ts';
import { PortAllocator, type PortOptions } from './ports.ts';
import {
  type Connection,
  type ConnectionHandler,
  type Identity,
  NO_CONNECTION,
  type Transport,
  type TransportStats,
} from './transport.ts';

/** How long the answers' source may take to say what it has seen, ms. */
const STATS_MS = 3_000;

/** Path MTUs to fall back to where a packet is refused as too long and nobody knows better: RFC 1191 (7.1). */
const PLATEAUS = [1492, 1400, 1280, 1006, 576];

/** No path is believed to be narrower: Linux's min_pmtu, and what every IPv6 link takes (RFC 8200 5). */
const LEAST_MTU = { 4: 552, 6: 1280 } as const;

/** How often timers are looked at, ms. */
const TICK_MS = 8;

export interface PacketTransportOptions {
  target: Address;
  targetPort: number;
  /** Largest packet that the path to the target takes, octets. */
  mtu: number;
  injector: Injector;
  clock: Clock;
  /** Wall clock at start, ms since 1970: ISS (RFC 6528) and TSval of a connection are taken from it. */
  epochMs: number;
  /** RFC 6528's secret. */
  secret: number;
  /** Asked when the kernel refused a packet as too long: what the path takes by now. */
  pathMtu: () => number;
  /** From which address each copy of a client speaks. */
  clients: ClientAddresses;
  /** From which ports. */
  ports?: PortOptions;
  /** How the target's answers are read; default: MySQL's. */
  protocol?: AnswerProtocol;
}

/**
 * Our own TCP with addresses of our choice. Made in two steps, because the answers' source wants to know its
 * owner: `new PacketTransport(options)`, then `use(source)`.
 */
export class PacketTransport implements Transport, AnswersOwner, PacketOut {
  readonly protocol: AnswerProtocol;
  readonly #options: PacketTransportOptions;
  readonly #headersOctets: number;
  readonly #injector: Injector;
  readonly #writer: SegmentWriter;
  readonly #clock: Clock;
  readonly #startedAt: MonotonicMs;
  readonly #connections = new Map<number, PacketConnection>();
  readonly #allocator: PortAllocator;
  readonly #wheel: TimerWheel<PacketConnection>;
  #timer: NodeJS.Timeout | undefined;
  #source: AnswerSource = NO_ANSWERS;
  /** No more answers will come. */
  #lost = false;
  #mtu: number;
  /** Packets refused as too long, as far as they were answered for. */
  #tooLong = 0;
  #nextId = 1;
  #packetsOut = 0;
  #packetsIn = 0;
  #retransmitted = 0;
  #captureDropped = 0;

  constructor(options: PacketTransportOptions) {
    this.#options = options;
    this.protocol = options.protocol ?? MYSQL_ANSWERS;
    this.#headersOctets = headersOctets(options.target.family);
    this.#mtu = Math.min(options.mtu, options.injector.slotOctets);
    this.#injector = options.injector;
    this.#clock = options.clock;
    this.#startedAt = options.clock.now();
    this.#writer = new SegmentWriter(options.injector.octets, options.injector.view);
    this.#allocator = new PortAllocator(options.epochMs / 7, options.ports);
    this.#wheel = new TimerWheel(this.#startedAt);
  }

  use(source: AnswerSource): void {
    this.#source = source;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  get port(): ReceiverPort {
    return this.#source.port;
  }

  refuses(identity: Identity): string | undefined {
    const address = this.#options.clients.addressOf(identity.client, identity.copy);
    return address === undefined ? 'ip-version' : undefined;
  }

  connect(identity: Identity, handler: ConnectionHandler): Connection {
    const { target, targetPort, epochMs, secret, clients } = this.#options;
    const client = clients.addressOf(identity.client, identity.copy);
    const clientPort = client === undefined ? undefined : this.#allocator.take(client);
    if (client === undefined || clientPort === undefined) {
      queueMicrotask(() => handler.closed('no-port', `all ports of ${client?.text} are in use`));
      return NO_CONNECTION;
    }
    if (this.#lost) {
      // Nobody would ever say that the flow is registered.
      this.#allocator.give(client, clientPort);
      queueMicrotask(() => handler.closed('relay'));
      return NO_CONNECTION;
    }
    const tuple = new Tuple(client, clientPort, target, targetPort);
    const key = `${client.text}:${clientPort}>${target.text}:${targetPort}`;
    const nowMs = epochMs + this.#clock.now() - this.#startedAt;
    const iss = initialSequence(nowMs, key, secret);
    const send = new SendHalf(iss, connectionTimestamp(nowMs), this.#mtu - this.#headersOctets);
    const connection = new PacketConnection(this.#nextId++, tuple, send, handler, this);
    this.#connections.set(connection.id, connection);
    connection.begin();
    return connection;
  }

  flush(): void {
    this.#injector.flush();
    this.#source.port.flush();
  }

  stats(): TransportStats {
    let retransmitted = this.#retransmitted;
    for (const connection of this.#connections.values()) retransmitted += connection.send.retransmitted;
    return {
      packetsOut: this.#packetsOut,
      packetsIn: this.#packetsIn,
      retransmitted,
      captureDropped: this.#captureDropped,
    };
  }

  async close(): Promise<void> {
    for (const connection of [...this.#connections.values()]) connection.abort();
    this.flush();
    try {
      const { packets, dropped } = await inTime(this.#source.stats());
      this.#packetsIn = packets;
      this.#captureDropped = dropped;
    } catch {
      // The relay is gone or stuck; the run says so by its lost sessions.
    }
    await this.#source.close();
    this.dispose();
  }

  /** Frees what `close` frees last; for a transport that never came to have a source. */
  dispose(): void {
    clearInterval(this.#timer);
    this.#injector.close();
  }

  // AnswersOwner, for the answers' source.

  get target(): Target {
    return { address: this.#options.target, port: this.#options.targetPort };
  }

  resume(): void {
    for (const connection of this.#connections.values()) connection.resume();
    this.flush();
  }

  lost(): void {
    this.#lost = true;
    for (const connection of [...this.#connections.values()]) connection.giveUp('relay');
    this.flush();
  }

  // PacketOut, for the connections.

  now(): MonotonicMs {
    return this.#clock.now();
  }

  emit(
    tuple: Tuple,
    seq: number,
    ack: number,
    tsRecent: number,
    flags: number,
    window: number,
    half: SendHalf,
    length: number,
  ): void {
    const injector = this.#injector;
    const writer = this.#writer;
    const at = injector.slot();
    let end = writer.begin(at, tuple, seq, ack, flags, window);
    if (flags & CTL.syn) end = writer.synOptions(at, end, half.mss, RECEIVE_SHIFT, half.tsVal);
    else {
      if (half.timestamps) end = writer.timestamps(at, end, half.tsVal, tsRecent);
      if (length > 0) {
        half.copyPayload(seq, length, injector.octets, end);
        end += length;
      }
    }
    injector.commit(writer.finish(at, end));
    this.#packetsOut++;
  }

  schedule(connection: PacketConnection): void {
    this.#wheel.schedule(connection);
  }

  ended(connection: PacketConnection): void {
    this.#connections.delete(connection.id);
    this.#retransmitted += connection.send.retransmitted;
    this.#allocator.give(connection.tuple.client, connection.tuple.clientPort);
  }

  // ReceiverOwner, for the receive half.

  registered(id: number): void {
    this.#connections.get(id)?.registered();
  }

  expecting(id: number): void {
    this.#connections.get(id)?.expecting();
  }

  established(id: number, progress: Progress, peer: PeerOptions): void {
    this.#connections.get(id)?.established(progress, peer);
  }

  acked(id: number, progress: Progress): void {
    this.#connections.get(id)?.acked(progress);
  }

  packet(id: number, progress: Progress, octets: Uint8Array): void {
    this.#connections.get(id)?.packet(progress, octets);
  }

  reply(id: number, progress: Progress, reply: Reply, ageMs: number): void {
    this.#connections.get(id)?.reply(progress, reply, ageMs);
  }

  checkpoint(id: number, progress: Progress, state: Uint8Array): void {
    this.#connections.get(id)?.checkpoint(progress, state);
  }

  fin(id: number, progress: Progress): void {
    this.#connections.get(id)?.fin(progress);
  }

  reset(id: number, refused: boolean): void {
    this.#connections.get(id)?.reset(refused);
  }

  sndMax(id: number): number {
    return this.#connections.get(id)?.send.max ?? -1;
  }

  stale(id: number): void {
    this.#connections.get(id)?.stale();
  }

  /** The path is that of all connections: they go to one target. */
  tooLong(_id: number, mtu: number): void {
    this.#narrow(mtu);
  }

  desync(id: number): void {
    this.#connections.get(id)?.giveUp('desync');
  }

  unresumable(id: number): void {
    this.#connections.get(id)?.giveUp('relay');
  }

  taken(id: number): void {
    this.#connections.get(id)?.giveUp('relay');
  }

  turnEnded(): void {
    this.flush();
  }

  #tick(): void {
    this.#source.tick?.();
    const tooLong = this.#injector.stats().refused.EMSGSIZE ?? 0;
    if (tooLong > this.#tooLong) {
      this.#tooLong = tooLong;
      this.#narrow(this.#options.pathMtu());
    }
    this.#wheel.advance(this.now(), (connection) => connection.dispatch());
    this.flush();
  }

  /**
   * The path takes no packets longer than `known`, or none as long as ours where that is no news. Segments are cut smaller from
   * here on, and those that were refused go again.
   */
  #narrow(known: number): void {
    const isNews = known > 0 && known < this.#mtu;
    const mtu = isNews ? known : (PLATEAUS.find((plateau) => plateau < this.#mtu) ?? this.#mtu);
    this.#mtu = Math.min(this.#mtu, Math.max(mtu, LEAST_MTU[this.#options.target.family]));
    for (const connection of this.#connections.values()) {
      connection.send.limitMss(this.#mtu - this.#headersOctets);
      connection.dispatch();
    }
  }
}

function inTime<T>(answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no answer')), STATS_MS);
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Before `use`. */
const NO_ANSWERS: AnswerSource = {
  port: {
    register() {},
    correct() {},
    resume() {},
    commandPhase() {},
    expect() {},
    release() {},
    flush() {},
  },
  stats: () => Promise.resolve({ packets: 0, dropped: 0 }),
  close: () => Promise.resolve(),
};
