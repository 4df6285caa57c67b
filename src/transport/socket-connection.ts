import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { AnswerProtocol, AnswerReader } from '../intercept/answer-protocol.ts';
import { EXPECT } from '../mysql/command.ts';
import type { Reply } from '../mysql/reply.ts';
import type { ReplySink } from '../mysql/reply-reader.ts';
import type { MonotonicMs } from '../time.ts';
import { hearLastWords } from './last-words.ts';
import { type End, endBy, type Reached } from './socket-end.ts';
import type { CloseCause, Connection, ConnectionHandler } from './transport.ts';

const NOTHING = new Uint8Array(0);

/** What a connection needs of its transport. */
export interface SocketOwner {
  /** Where the target's octets are put: valid until the next read of any connection. */
  readonly buffer: Uint8Array;
  readonly tlsOptions: ConnectionOptions | undefined;
  readonly protocol: AnswerProtocol;
  packetsOut: number;
  packetsIn: number;
  now(): MonotonicMs;
  /** `connection` has something to `send` at the end of this turn. */
  queued(connection: SocketConnection): void;
  /** A handler was told something: what it has queued goes out. */
  turnEnded(): void;
  /** The socket is closed. */
  ended(connection: SocketConnection): void;
}

/** A replayed connection over a socket of the kernel's. */
export class SocketConnection implements Connection, ReplySink {
  readonly #handler: ConnectionHandler;
  readonly #owner: SocketOwner;
  readonly #reader: AnswerReader;
  readonly #socket: Socket;
  /** What octets go through: the socket, or TLS over it. */
  #stream: Socket;
  readonly #queue: Uint8Array[] = [];
  #reached: Reached = 'nothing';
  /** TLS was asked for, and does not stand yet. */
  #securing = false;
  /** Our FIN follows what was written. */
  #ending = false;
  /** What it will have ended by, once its socket is closed. */
  #end: End | undefined;
  #over = false;

  constructor(host: string, port: number, handler: ConnectionHandler, owner: SocketOwner) {
    this.#handler = handler;
    this.#owner = owner;
    this.#reader = owner.protocol.reader(this);
    this.#socket = connect({
      host,
      port,
      // Both as MySQL's clients do.
      noDelay: true,
      keepAlive: true,
      // Each direction ends by itself, as in TCP.
      allowHalfOpen: true,
      onread: { buffer: owner.buffer, callback: (length) => this.#received(owner.buffer, length) },
    });
    this.#stream = this.#socket;
    this.#socket
      .on('connect', () => this.#established())
      .on('finish', () => this.#closeIfDone())
      .on('end', () => this.#peerEnded())
      .on('error', (error) => this.#failed(error))
      .on('close', () => this.#closed());
    hearLastWords(this.#socket, this.#socket, (error) => this.#failed(error));
  }

  // What the owner asks.

  writeLogin(octets: Uint8Array): void {
    if (this.#over || this.#ending) return;
    if (this.#queue.push(octets) === 1) this.#owner.queued(this);
  }

  startTls(): void {
    if (this.#over || this.#ending || this.#owner.tlsOptions === undefined) return;
    // TLS waits until the socket has written what it was given.
    this.send();
    const stream = connectTls({ ...this.#owner.tlsOptions, socket: this.#socket });
    stream
      .on('secureConnect', () => this.#secured())
      .on('data', (octets) => this.#received(octets, octets.length))
      .on('end', () => this.#peerEnded())
      .on('error', (error) => this.#failed(error));
    hearLastWords(stream, this.#socket, (error) => this.#failed(error));
    this.#reached = 'tls';
    this.#securing = true;
    this.#stream = stream;
  }

  commandPhase(capabilities: number, extendedCapabilities: number): void {
    // An answer that no command has asked for: the server's last words to a connection that it ends.
    this.#reader.commandPhase(capabilities, extendedCapabilities, EXPECT.result);
  }

  write(packet: Uint8Array, expect: number): void {
    if (this.#over || this.#ending) return;
    this.#reader.expect(expect);
    this.writeLogin(packet);
  }

  /**
   * In TLS without close_notify, as MySQL's clients do it: COM_QUIT stands for it, and a server that has read that resets a
   * connection on which more comes.
   */
  end(): void {
    if (this.#over || this.#ending) return;
    this.send();
    this.#ending = true;
    if (this.#stream === this.#socket) this.#socket.end();
    else this.#stream.write(NOTHING, (error) => error || this.#socket.end());
  }

  abort(): void {
    this.cut('aborted');
  }

  /** Hands everything queued to the kernel, in one call. */
  send(): void {
    const queue = this.#queue;
    if (this.#over || queue.length === 0) return;
    const stream = this.#stream;
    this.#owner.packetsOut++;
    if (queue.length === 1) stream.write(queue[0]);
    else {
      stream.cork();
      for (const octets of queue) stream.write(octets);
      stream.uncork();
    }
    queue.length = 0;
  }

  /** Ends the connection from this side, by RST. */
  cut(cause: CloseCause): void {
    if (this.#over) return;
    this.#reset();
    this.#tell({ cause });
  }

  // What the reader of replies tells.

  packet(octets: Uint8Array, from: number, to: number): void {
    if (this.#over) return;
    // Whoever speaks in clear behind the request for TLS is not the target, or not one to trust.
    if (this.#securing) this.cut('desync');
    else this.#handler.packet(octets.subarray(from, to));
  }

  reply(reply: Reply): void {
    if (!this.#over) this.#handler.reply(reply, reply.at);
  }

  desync(): void {
    this.cut('desync');
  }

  // What the socket tells.

  #established(): void {
    if (this.#over) return;
    this.#reached = 'established';
    this.#handler.established();
    this.#owner.turnEnded();
  }

  #secured(): void {
    if (this.#over) return;
    this.#securing = false;
    if (this.#reader.heldOctets > 0) this.cut('desync');
    else this.#handler.secured?.();
    this.#owner.turnEnded();
  }

  #received(octets: Uint8Array, length: number): boolean {
    this.#owner.packetsIn++;
    if (!this.#over) {
      this.#reader.feed(octets, 0, length, this.#owner.now());
      this.#owner.turnEnded();
    }
    return true;
  }

  #peerEnded(): void {
    // Within the handshake of TLS: an error follows.
    if (this.#stream.destroyed) return;
    // An RST close behind octets is told as an end, too; but then the socket has no peer any more.
    if (!this.#ending && this.#socket.remoteAddress === undefined) this.#end ??= { cause: 'reset' };
    // The server has closed: nothing that we could still say would be read.
    this.end();
    this.#closeIfDone();
  }

  /** TLS knows nothing of a FIN that went out below it, and a stream with an error nothing of its end. */
  #closeIfDone(): void {
    const { readableEnded } = this.#stream;
    if (readableEnded && (this.#socket.writableFinished || this.#end !== undefined)) this.#stream.destroy();
  }

  #failed(error: Error): void {
    // A FIN of ours without close_notify is an error to the target's TLS: it says so, and that is its end.
    const isAnswer = this.#ending && (error as NodeJS.ErrnoException).syscall === undefined;
    this.#end ??= isAnswer && this.#reached === 'tls' ? { cause: 'fin' } : endBy(error, this.#reached);
  }

  #closed(): void {
    this.#owner.ended(this);
    this.#tell(this.#end ?? { cause: 'fin' });
    this.#owner.turnEnded();
  }

  #reset(): void {
    const socket = this.#socket;
    const { writableEnded, writableFinished, writableLength } = socket;
    // Not connected, it has nobody to reset, and would wait until it is.
    if (socket.connecting) socket.destroy();
    // While a FIN is on its way to the kernel, a turn of the event loop, libuv refuses to reset.
    else if (writableEnded && !writableFinished && writableLength === 0)
      socket.once('finish', () => socket.resetAndDestroy());
    else socket.resetAndDestroy();
  }

  #tell({ cause, detail }: End): void {
    if (this.#over) return;
    this.#over = true;
    this.#queue.length = 0;
    this.#handler.closed(cause, detail);
  }
}
