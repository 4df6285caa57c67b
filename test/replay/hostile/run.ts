/** A whole replay, by sockets and in real time, onto a target that means no good. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { FlowEvent } from '../../../src/flow/events.ts';
import { payloadLength } from '../../../src/mysql/packet.ts';
import { Logins } from '../../../src/replay/accounts/logins.ts';
import { Engine } from '../../../src/replay/engine/engine.ts';
import { SummaryObserver } from '../../../src/report/counter.ts';
import { type Summary, summarize } from '../../../src/report/summary.ts';
import { realClock } from '../../../src/time.ts';
import { SocketTransport } from '../../../src/transport/socket.ts';
import type { TargetTls } from '../../../src/transport/target-tls.ts';
import type { Transport } from '../../../src/transport/transport.ts';
import { Book } from '../support/world.ts';

/** The run's own time-outs: short, since many targets make use of all of them. */
const CONNECT_TIMEOUT_MS = 300;
const REPLY_TIMEOUT_MS = 300;

const HEADER_OCTETS = 4;

/** What of the client's octets is kept, to be looked at: all that it has to say is much less. */
const MOST_KEPT_OCTETS = 1 << 20;

/** The target's end of one connection. */
export class Peer {
  /** Which of the run's connections, from 0. */
  readonly number: number;
  readonly socket: Socket;
  readonly received: Buffer[] = [];
  closed = false;
  #held: Buffer = Buffer.alloc(0);
  #kept = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket, number: number) {
    this.socket = socket;
    this.number = number;
    const wake = () => this.#wake?.();
    socket.on('data', (octets) => {
      if (this.#kept < MOST_KEPT_OCTETS) this.received.push(octets);
      this.#kept += octets.length;
      this.#held = Buffer.concat([this.#held, octets]);
      wake();
    });
    socket.on('end', () => {
      this.#ended = true;
      wake();
    });
    socket.on('drain', wake);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      wake();
    });
  }

  /** The client's next packet, header included; undefined where none comes any more. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const held = this.#held;
      const length = held.length < HEADER_OCTETS ? Infinity : HEADER_OCTETS + payloadLength(held, 0);
      if (held.length >= length) {
        this.#held = held.subarray(length);
        return held.subarray(0, length);
      }
      if (this.closed || this.#ended) return undefined;
      await this.#change();
    }
  }

  /** Resolves when there is room for more, or nobody to send it to. */
  async send(...octets: Uint8Array[]): Promise<void> {
    if (this.closed) return;
    const hasRoom = this.socket.write(Buffer.concat(octets));
    while (!hasRoom && this.socket.writableNeedDrain && !this.closed) await this.#change();
  }

  /** Says the same again and again, until nobody is there. */
  async forEver(...octets: Uint8Array[]): Promise<void> {
    const once = Buffer.concat(octets);
    const many = once.length === 0 ? once : Buffer.concat(Array(Math.ceil(4096 / once.length)).fill(once));
    while (!this.closed) {
      await this.send(many);
      // Lets everybody else have a turn, as a network does.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The same in octets that come one by one. */
  async drip(octets: Uint8Array, everyMs = 20): Promise<void> {
    for (let i = 0; !this.closed; i = (i + 1) % octets.length) {
      await this.send(octets.subarray(i, i + 1));
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  /** Says nothing any more, and doesn't close either. */
  async silence(): Promise<void> {
    while (!this.closed) await this.#change();
  }

  end(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** What the target does with each connection; it resolves when it is done with it. */
export type Hostile = (peer: Peer) => Promise<void>;

export interface HostileOptions {
  tls?: TargetTls;
  /** The run is stopped, as by Ctrl-C, when so many connections have come. Default: never. */
  stopAfter?: number;
  /** Passwords by user; by default everybody's is `secret`. */
  users?: ReadonlyMap<string, string>;
}

export interface HostileRun {
  summary: Summary;
  book: Book;
  peers: readonly Peer[];
  /** All that the target was sent. */
  received: Buffer;
}

/** Replays `events` onto a target of `hostile`, and holds that every command and session is accounted for. */
export async function replayOnto(
  hostile: Hostile,
  events: () => AsyncIterable<readonly FlowEvent[]>,
  { tls, stopAfter = Number.POSITIVE_INFINITY, users = everybody() }: HostileOptions = {},
): Promise<HostileRun> {
  const peers: Peer[] = [];
  const failures: unknown[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const peer = new Peer(socket, peers.length);
    peers.push(peer);
    hostile(peer).catch((error) => failures.push(error));
    if (peers.length === stopAfter) engine.stop();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const transport = new SocketTransport({
    target: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    clock: realClock,
    ...(tls === undefined ? {} : { tls }),
  });
  const book = new Book(1, realClock);
  const summed = new SummaryObserver(1, false);
  const engine = new Engine(
    {
      copies: 1,
      speed: Number.POSITIVE_INFINITY,
      clock: realClock,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      replyTimeoutMs: REPLY_TIMEOUT_MS,
      logins: new Logins({ users }),
    },
    transport,
    [book, summed],
  );
  try {
    await engine.run(events());
    await transport.close();
  } finally {
    for (const { socket } of peers) socket.destroy();
    server.close();
  }
  assert.deepEqual(failures, [], 'the target itself failed');
  const summary = summaryOf(summed, transport);
  book.balance(summary);
  return { summary, book, peers, received: Buffer.concat(peers.flatMap(({ received }) => received)) };
}

function everybody(): ReadonlyMap<string, string> {
  return { get: () => 'secret' } as unknown as ReadonlyMap<string, string>;
}

/** The summary of such a run: one copy, at full speed. */
export function summaryOf({ tally }: SummaryObserver, transport: Pick<Transport, 'stats'>): Summary {
  return summarize(tally, {
    packets: 0,
    dropped: 0,
    copies: 1,
    speed: Number.POSITIVE_INFINITY,
    elapsedMs: 1,
    transport: transport.stats(),
    orderBy: undefined,
    pooled: false,
    interrupted: false,
  });
}
