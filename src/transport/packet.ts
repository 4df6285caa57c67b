import type { ReceiverOwner, ReceiverPort, Tuple } from '../intercept/ports.ts';
import type { Reply } from '../mysql/reply.ts';
import type { Injector } from '../net/injector.ts';
import { initialSequence } from '../tcp/iss.ts';
import { RECEIVE_SHIFT } from '../tcp/receive.ts';
import type { SendHalf } from '../tcp/send.ts';
import { TimerWheel } from '../tcp/wheel.ts';
import type { Clock, MonotonicMs } from '../time.ts';
import { type Address, ipv4Number } from '../wire/address.ts';
import { HEADERS_OCTETS, SegmentWriter } from '../wire/emit.ts';
import { CTL } from '../wire/segment.ts';
import type { AnswerSource } from './answers.ts';
import { PacketConnection, type PacketOut } from './packet-connection.ts';
import { PortAllocator } from './ports.ts';
import type { Connection, ConnectionHandler, Identity, Transport, TransportStats } from './transport.ts';

/** How long the answers' source may take to say what it has seen, ms. */
const STATS_MS = 3_000;

/** Path MTUs to fall back to where the kernel refuses a packet as too long and knows no better: RFC 1191 (7.1). */
const PLATEAUS = [1492, 1400, 1280, 1006, 576];

/** How often timers are looked at, ms. */
const TICK_MS = 8;

export interface PacketTransportOptions {
  target: Address;
  targetPort: number;
  /** Largest packet that the path to the target takes, octets. */
  mtu: number;
  injector: Injector;
  clock: Clock;
  /** Wall clock at start, ms since 1970: the initial sequence numbers' clock (RFC 6528). */
  epochMs: number;
  /** RFC 6528's secret. */
  secret: number;
  /** Asked when the kernel refused a packet as too long: what the path takes by now. */
  pathMtu: () => number;
}

/**
 * Our own TCP with the recorded clients' addresses. Made in two steps, because the answers' source wants to know its
 * owner: `new PacketTransport(options)`, then `use(source)`.
 */
export class PacketTransport implements Transport, ReceiverOwner, PacketOut {
  readonly #options: PacketTransportOptions;
  readonly #target: number;
  readonly #injector: Injector;
  readonly #writer: SegmentWriter;
  readonly #clock: Clock;
  readonly #startedAt: MonotonicMs;
  readonly #connections = new Map<number, PacketConnection>();
  readonly #allocator: PortAllocator;
  readonly #wheel: TimerWheel<PacketConnection>;
  #timer: NodeJS.Timeout | undefined;
  #source: AnswerSource = NO_ANSWERS;
  /** Ports whose channel is gone. */
  readonly #lostPorts = new Set<ReceiverPort>();
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
    this.#target = ipv4Number(options.target);
    this.#mtu = Math.min(options.mtu, options.injector.slotOctets);
    this.#injector = options.injector;
    this.#clock = options.clock;
    this.#startedAt = options.clock.now();
    this.#writer = new SegmentWriter(options.injector.octets, options.injector.view);
    this.#allocator = new PortAllocator(options.epochMs / 7);
    this.#wheel = new TimerWheel(this.#startedAt);
  }

  use(source: AnswerSource): void {
    this.#source = source;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  refuses(identity: Identity): string | undefined {
    return identity.client.family === 4 ? undefined : 'ipv6';
  }

  connect(identity: Identity, handler: ConnectionHandler): Connection {
    const { targetPort, epochMs, secret } = this.#options;
    const client = ipv4Number(identity.client);
    const clientPort = this.#allocator.take(client);
    if (clientPort === undefined) {
      queueMicrotask(() => handler.closed('refused'));
      return NO_CONNECTION;
    }
    const { ports } = this.#source;
    const port = ports[clientPort % ports.length];
    if (this.#lostPorts.has(port)) {
      // Nobody would ever say that the flow is registered.
      this.#allocator.give(client, clientPort);
      queueMicrotask(() => handler.closed('relay'));
      return NO_CONNECTION;
    }
    const tuple = { target: this.#target, targetPort, client, clientPort };
    const key = `${identity.client.text}:${clientPort}>${this.#target}:${targetPort}`;
    const iss = initialSequence(epochMs + this.#clock.now() - this.#startedAt, key, secret);
    const mss = this.#mtu - HEADERS_OCTETS;
    const connection = new PacketConnection(this.#nextId++, tuple, iss, mss, handler, port, this);
    this.#connections.set(connection.id, connection);
    connection.begin();
    return connection;
  }

  flush(): void {
    this.#injector.flush();
    for (const port of this.#source.ports) port.flush();
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

  /** The channel behind `port` is gone, and with it the answers of its flows. */
  lost(port: ReceiverPort): void {
    this.#lostPorts.add(port);
    const { ports } = this.#source;
    for (const connection of [...this.#connections.values()]) {
      if (ports[connection.tuple.clientPort % ports.length] === port) connection.giveUp('relay');
    }
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
    flags: number,
    window: number,
    half: SendHalf,
    length: number,
  ): void {
    const { target, targetPort, client, clientPort } = tuple;
    const injector = this.#injector;
    const at = injector.slot();
    let end = this.#writer.begin(at, client, target, clientPort, targetPort, seq, ack, flags, window);
    if (flags & CTL.syn) end = this.#writer.synOptions(at, half.mss, RECEIVE_SHIFT);
    else if (length > 0) {
      half.copyPayload(seq, length, injector.octets, end);
      end += length;
    }
    injector.commit(this.#writer.finish(at, end), target);
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

  established(id: number, ack: number, window: number, rcvNxt: number, mss: number, shift: number): void {
    this.#connections.get(id)?.established(ack, window, rcvNxt, mss, shift);
  }

  acked(id: number, ack: number, window: number, rcvNxt: number): void {
    this.#connections.get(id)?.acked(ack, window, rcvNxt);
  }

  packet(id: number, ack: number, window: number, rcvNxt: number, octets: Uint8Array): void {
    this.#connections.get(id)?.packet(ack, window, rcvNxt, octets);
  }

  reply(id: number, ack: number, window: number, rcvNxt: number, reply: Reply, ageMs: number): void {
    this.#connections.get(id)?.reply(ack, window, rcvNxt, reply, ageMs);
  }

  fin(id: number, ack: number, window: number, rcvNxt: number): void {
    this.#connections.get(id)?.fin(ack, window, rcvNxt);
  }

  reset(id: number, refused: boolean): void {
    this.#connections.get(id)?.reset(refused);
  }

  stale(id: number): void {
    this.#connections.get(id)?.stale();
  }

  desync(id: number): void {
    this.#connections.get(id)?.giveUp('desync');
  }

  turnEnded(): void {
    this.flush();
  }

  #tick(): void {
    this.#source.tick?.();
    const tooLong = this.#injector.stats().refused.EMSGSIZE ?? 0;
    if (tooLong > this.#tooLong) {
      this.#tooLong = tooLong;
      this.#narrow();
    }
    this.#wheel.advance(this.#clock.now(), (connection) => connection.dispatch());
    this.flush();
  }

  /** Cuts segments smaller from here on; those that were refused go again when their timers expire. */
  #narrow(): void {
    const known = this.#options.pathMtu();
    this.#mtu = known < this.#mtu ? known : (PLATEAUS.find((mtu) => mtu < this.#mtu) ?? this.#mtu);
    for (const connection of this.#connections.values()) connection.send.limitMss(this.#mtu - HEADERS_OCTETS);
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
  ports: [],
  stats: () => Promise.resolve({ packets: 0, dropped: 0 }),
  close: () => Promise.resolve(),
};

/** Stands for a connection that could not even begin. */
const NO_CONNECTION: Connection = {
  writeLogin() {},
  commandPhase() {},
  write() {},
  end() {},
  abort() {},
};
