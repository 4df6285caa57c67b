import type { ConnectionOptions } from 'node:tls';
import { type AnswerProtocol, MYSQL_ANSWERS } from '../intercept/answer-protocol.ts';
import type { Clock, MonotonicMs } from '../time.ts';
import { SocketConnection, type SocketOwner } from './socket-connection.ts';
import { type TargetTls, tlsOptions } from './target-tls.ts';
import {
  type Connection,
  type ConnectionHandler,
  type Identity,
  NO_CONNECTION,
  type Transport,
  type TransportStats,
} from './transport.ts';

/** As much as is read at once: what a large answer's segments have come to by then. */
const BUFFER_OCTETS = 64 << 10;

export interface SocketTransportOptions {
  /** The target's address, or its name, which is looked up for each connection anew. */
  target: string;
  port: number;
  clock: Clock;
  /** Connections go on in TLS where their login asks for it (`startTls`). */
  tls?: TargetTls;
  /** How the target's answers are read; default: MySQL's. */
  protocol?: AnswerProtocol;
  /** What connections take their descriptors of; default: there are always more. */
  descriptors?: Descriptors;
}

/** Descriptors for connections, which transports of one thread share: those of files that a run needs are not among them. */
export interface Descriptors {
  readonly most: number;
  used: number;
}

/**
 * Sockets of the kernel's: the target sees this host for a client, and no network has to be told of anything. The
 * reader of replies stands in this process.
 */
export class SocketTransport implements Transport, SocketOwner {
  /** One for all connections: libuv reads into it and has it read out before it reads the next socket (not on Windows). */
  readonly buffer = new Uint8Array(BUFFER_OCTETS);
  readonly tlsOptions: ConnectionOptions | undefined;
  readonly protocol: AnswerProtocol;
  packetsOut = 0;
  packetsIn = 0;
  readonly #target: string;
  readonly #port: number;
  readonly #clock: Clock;
  readonly #descriptors: Descriptors;
  readonly #connections = new Set<SocketConnection>();
  /** Those with something to send. */
  readonly #queued: SocketConnection[] = [];
  #whenEmpty: (() => void) | undefined;

  constructor(options: SocketTransportOptions) {
    this.#target = options.target;
    this.#port = options.port;
    this.#clock = options.clock;
    this.#descriptors = options.descriptors ?? { most: Number.POSITIVE_INFINITY, used: 0 };
    this.protocol = options.protocol ?? MYSQL_ANSWERS;
    this.tlsOptions = options.tls === undefined ? undefined : tlsOptions(options.tls, options.target);
  }

  get tls(): boolean {
    return this.tlsOptions !== undefined;
  }

  /** The client's address is not used: every session can be carried. */
  refuses(): undefined {}

  connect(_identity: Identity, handler: ConnectionHandler): Connection {
    const { most, used } = this.#descriptors;
    if (used >= most) {
      queueMicrotask(() =>
        handler.closed('no-descriptor', `all ${most} descriptors for connections are in use`),
      );
      return NO_CONNECTION;
    }
    this.#descriptors.used++;
    const connection = new SocketConnection(this.#target, this.#port, handler, this);
    this.#connections.add(connection);
    return connection;
  }

  flush(): void {
    for (const connection of this.#queued) connection.send();
    this.#queued.length = 0;
  }

  /** Packets are the kernel's affair: what is counted is writes and reads. */
  stats(): TransportStats {
    const { packetsOut, packetsIn } = this;
    return { packetsOut, packetsIn, retransmitted: 0, captureDropped: 0 };
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.abort();
    if (this.#connections.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
    });
  }

  // SocketOwner

  now(): MonotonicMs {
    return this.#clock.now();
  }

  queued(connection: SocketConnection): void {
    this.#queued.push(connection);
  }

  turnEnded(): void {
    this.flush();
  }

  ended(connection: SocketConnection): void {
    this.#descriptors.used--;
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#whenEmpty?.();
  }
}
