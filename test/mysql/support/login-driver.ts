import { once } from 'node:events';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { AuthStep } from '../../../src/mysql/auth/exchange.ts';
import { type ChangeUser, UserChange, type UserChangeOptions } from '../../../src/mysql/change-user.ts';
import { markOf } from '../../../src/mysql/handshake.ts';
import { Login, type LoginDone, type LoginOptions } from '../../../src/mysql/login.ts';
import {
  HEADER_OCTETS,
  MARK,
  OctetReader,
  parseError,
  payloadLength,
  type ServerError,
} from '../../../src/mysql/packet.ts';
import { command } from './packets.ts';

/** A socket by whole MySQL packets, headers included. */
export class PacketSocket {
  #socket: Socket;
  #held: Buffer = Buffer.alloc(0);
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen(socket);
  }

  #listen(socket: Socket): void {
    const wake = () => this.#wake?.();
    socket.on('data', (chunk: Buffer) => {
      this.#held = Buffer.concat([this.#held, chunk]);
      wake();
    });
    // An end by error is an end.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#closed = true;
      wake();
    });
  }

  write(octets: Uint8Array): void {
    this.#socket.write(octets);
  }

  /** The next packet; undefined where the other end closed instead. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const held = this.#held;
      const length = held.length < HEADER_OCTETS ? Infinity : HEADER_OCTETS + payloadLength(held, 0);
      if (held.length >= length) {
        this.#held = held.subarray(length);
        return new Uint8Array(held.subarray(0, length));
      }
      if (this.#closed) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Goes on in TLS, whoever the server is. */
  async startTls(): Promise<void> {
    const plain = this.#socket;
    plain.removeAllListeners('data');
    const socket = connectTls({ socket: plain, rejectUnauthorized: false });
    this.#socket = socket;
    this.#listen(socket);
    await once(socket, 'secureConnect');
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** A real server's connection, logged in by `Login`. */
export class Session {
  readonly done: LoginDone;
  readonly #socket: PacketSocket;
  readonly #tls: boolean;
  readonly #serverKey: LoginOptions['serverKey'];
  #auth: Pick<UserChangeOptions, 'authPlugin' | 'scramble'>;

  private constructor(socket: PacketSocket, { tls, serverKey }: LoginOptions, done: LoginDone) {
    this.#socket = socket;
    this.#tls = tls === true;
    this.#serverKey = serverKey;
    this.done = done;
    this.#auth = done;
  }

  /** A session, or why the login failed. */
  static async open(to: NetConnectOpts, options: LoginOptions): Promise<Session | ServerError> {
    const socket = new PacketSocket(connect(to));
    const login = new Login(options);
    for (;;) {
      const packet = await socket.next();
      if (packet === undefined) throw new Error('the server closed within the login');
      let step = login.onPacket(packet);
      if (step.type === 'tls') {
        socket.write(step.octets);
        await socket.startTls();
        step = login.secured();
      }
      if (step.type === 'send') socket.write(step.octets);
      if (step.type === 'done') return new Session(socket, options, step);
      if (step.type === 'failed') {
        socket.destroy();
        return { errno: step.errno, message: step.message };
      }
    }
  }

  /** Takes COM_CHANGE_USER through; the error that it ended by, if any. */
  async changeUser(
    change: ChangeUser,
    as: { user: string; password: string; wrong?: boolean },
  ): Promise<ServerError | undefined> {
    const { capabilities } = this.done;
    const ours = { secure: this.#tls, serverKey: this.#serverKey };
    const exchange = new UserChange({ change, ...as, capabilities, ...this.#auth, ...ours });
    this.#socket.write(exchange.packet);
    for (;;) {
      const packet = await this.#socket.next();
      if (packet === undefined) throw new Error('the server closed within COM_CHANGE_USER');
      const mark = markOf(packet, 0, packet.length);
      this.#auth = { authPlugin: exchange.authPlugin, scramble: exchange.scramble };
      if (mark === MARK.ok) return undefined;
      if (mark === MARK.err) return parseError(packet, 0, packet.length);
      const step: AuthStep = exchange.onPacket(packet);
      if (step.type === 'send') this.#socket.write(step.octets);
      if (step.type === 'failed') return { errno: step.errno, message: step.message };
    }
  }

  /** The columns of the one row that `sql` has. */
  async row(sql: string): Promise<string[]> {
    this.#socket.write(command(3, sql));
    const packets: Uint8Array[] = [];
    for (let ends = 0; ends < 2; ) {
      const packet = await this.#socket.next();
      if (packet === undefined) throw new Error(`the server closed within ${sql}`);
      const mark = markOf(packet, 0, packet.length);
      if (mark === MARK.err) throw new Error(parseError(packet, 0, packet.length).message);
      if (mark === MARK.eof && packet.length < 16) ends++;
      else packets.push(packet);
    }
    const columns = packets[0][HEADER_OCTETS];
    const row = packets[1 + columns];
    const reader = new OctetReader(row, HEADER_OCTETS, row.length);
    const text = new TextDecoder();
    return Array.from({ length: columns }, () => text.decode(reader.take(reader.lenenc())));
  }

  close(): void {
    this.#socket.destroy();
  }
}
