import assert from 'node:assert/strict';
import { CLIENT, has } from '../../src/mysql/capabilities.ts';
import { parseChangeUser } from '../../src/mysql/change-user.ts';
import { COM, EXPECT } from '../../src/mysql/command.ts';
import { type HandshakeResponse, parseClientHello } from '../../src/mysql/handshake.ts';
import { nativePassword } from '../../src/mysql/native-password.ts';
import { textOf } from '../../src/mysql/query-attributes.ts';
import { NO_REPLY, type Reply } from '../../src/mysql/reply.ts';
import type { Clock, MonotonicMs } from '../../src/time.ts';
import type {
  CloseCause,
  Connection,
  ConnectionHandler,
  Identity,
  Transport,
  TransportStats,
} from '../../src/transport/transport.ts';
import { err, ok, packets, payload } from '../mysql/support/packets.ts';

const SCRAMBLE = Uint8Array.from({ length: 20 }, (_, i) => 33 + i);
/** All that a MariaDB can offer but TLS and compression: a recorded client has it again as it had it. */
export const CAPABILITIES =
  (0xffff_ffff & ~(CLIENT.mysql | CLIENT.ssl | CLIENT.compress | CLIENT.zstdCompression)) >>> 0;
const EXTENDED_CAPABILITIES = 0x1f;
const NO_SUCH_STATEMENT = 1243;
const ACCESS_DENIED = 1045;
const MALFORMED_PACKET = 1835;

/** The target's number of its first connection; those of the next follow. */
export const FIRST_CONNECTION = 70_000;

/**
 * What the target does with a command: answer it (`asksFile`: after a request for a file, with that sequence id), end the
 * connection, or nothing at all.
 */
export type Reaction = { reply: Partial<Reply>; afterMs?: number; asksFile?: number } | CloseCause | 'silent';

/** How it meets a connection: by its greeting, an errno in the greeting's place, an end, or nothing at all. */
export type Welcome = 'greets' | number | CloseCause | 'silent';

/** A scripted MySQL server. What is left out, a server does that knows its users and statements and is never slow. */
export interface FakeTarget {
  /** Passwords; '' for a user without. A user who is not here is denied. */
  users?: Readonly<Record<string, string>>;
  /** Offered; default: all, as a MariaDB. */
  capabilities?: number;
  extendedCapabilities?: number;
  /** Whether it asks whom a connection changes to for the `nth` (from 0) time by another scramble, as MariaDB always does. */
  asksAgain?(nth: number): boolean;
  /** The error that it refuses a login by, whatever the password; undefined: as a server would. */
  refuses?(user: string): number | undefined;
  /** From the connection to the greeting, ms. */
  greetMs?: number;
  meets?(connection: FakeConnection): Welcome;
  /** undefined: as a server would. */
  reacts?(received: Received, connection: FakeConnection): Reaction | undefined;
  /** Does not close a connection that the client closed. */
  keepsOpen?: boolean;
}

/** One command as the target got it. */
export class Received {
  readonly at: MonotonicMs;
  readonly com: number;
  readonly packet: Uint8Array;
  readonly #hasAttributes: boolean;
  #sql: string | undefined;

  constructor(at: MonotonicMs, packet: Uint8Array, hasAttributes: boolean) {
    this.at = at;
    this.com = packet[4];
    this.packet = packet;
    this.#hasAttributes = hasAttributes;
  }

  /**
   * COM_QUERY's (without its attributes, where they are in force) or COM_STMT_PREPARE's text; '' where a server finds none. Read when it
   * is asked for: some are of megabytes.
   */
  get sql(): string {
    this.#sql ??= this.#read();
    return this.#sql;
  }

  #read(): string {
    const { com, packet } = this;
    if (com !== COM.query && com !== COM.stmtPrepare) return '';
    if (isMalformed(packet, this.#hasAttributes)) return '';
    return Buffer.from(
      com === COM.query && this.#hasAttributes ? textOf(packet) : packet.subarray(5),
    ).toString();
  }
}

/** Whether it is a COM_QUERY without the counts that stand before its text where attributes are in force. */
function isMalformed(packet: Uint8Array, hasAttributes: boolean): boolean {
  return packet[4] === COM.query && hasAttributes && textOf(packet).length === packet.length - 5;
}

/** A transport that ends in a scripted target instead of a network. Delays are timers: mock them. */
export class FakeTransport implements Transport {
  readonly target: FakeTarget;
  readonly clock: Clock;
  readonly connections: FakeConnection[] = [];
  /** Most connections that were open at once, for each copy. */
  readonly mostOpen = new Map<number, number>();
  nextStatement = 1000;
  flushes = 0;
  refusal: string | undefined;

  constructor(target: FakeTarget, clock: Clock) {
    this.target = target;
    this.clock = clock;
  }

  refuses(): string | undefined {
    return this.refusal;
  }

  connect(identity: Identity, handler: ConnectionHandler): Connection {
    const connection = new FakeConnection(this, this.connections.length, identity, handler);
    this.connections.push(connection);
    const open = this.openOf(identity.copy).length;
    this.mostOpen.set(identity.copy, Math.max(open, this.mostOpen.get(identity.copy) ?? 0));
    connection.begin();
    return connection;
  }

  openOf(copy: number): FakeConnection[] {
    return this.connections.filter((one) => one.identity.copy === copy && !one.over);
  }

  flush(): void {
    this.flushes++;
  }

  stats(): TransportStats {
    return { packetsOut: 0, packetsIn: 0, retransmitted: 0, captureDropped: 0 };
  }

  close(): Promise<void> {
    for (const connection of this.connections) connection.abort();
    return Promise.resolve();
  }
}

export class FakeConnection implements Connection {
  readonly id: number;
  readonly identity: Identity;
  readonly openedAt: MonotonicMs;
  readonly received: Received[] = [];
  /** The user that logged in, or was changed to. */
  user: string | undefined;
  /** Octets of the client's half of the login, header included … */
  login: Uint8Array | undefined;
  /** … and what they say. */
  hello: HandshakeResponse | undefined;
  /** In force. */
  capabilities = 0;
  /** What came for each request for a file, headers included. */
  readonly files: Uint8Array[] = [];
  over = false;
  /** Whether the client closed in order, cut, or did nothing. */
  clientEnd: 'none' | 'fin' | 'rst' = 'none';
  readonly #transport: FakeTransport;
  readonly #handler: ConnectionHandler;
  readonly #statements = new Map<number, string>();
  #lastPrepared = 0;
  #changes = 0;
  #inCommandPhase = false;
  /** What it asked last for the password by. */
  #scramble = SCRAMBLE;
  /** Takes what the client gives when it is asked for something. */
  #asked: ((octets: Uint8Array) => void) | undefined;
  /** When the last command is answered: commands are answered in their order. */
  #busyUntil: MonotonicMs = 0;

  constructor(transport: FakeTransport, id: number, identity: Identity, handler: ConnectionHandler) {
    this.#transport = transport;
    this.id = id;
    this.identity = identity;
    this.#handler = handler;
    this.openedAt = transport.clock.now();
  }

  /** The target's number for it. */
  get connectionId(): number {
    return FIRST_CONNECTION + this.id;
  }

  begin(): void {
    const { target } = this.#transport;
    const welcome = target.meets?.(this) ?? 'greets';
    this.#after(target.greetMs ?? 0, () => {
      if (welcome === 'silent') return;
      if (typeof welcome === 'string' && welcome !== 'greets') {
        this.#end(welcome);
        return;
      }
      this.#handler.established();
      this.#handler.packet(
        welcome === 'greets' ? greeting(this.connectionId, target) : packets(0, err(welcome)),
      );
      // A server that refuses closes; the client's FIN may cross its own.
      if (welcome !== 'greets') this.#after(1, () => this.#end('fin'));
    });
  }

  writeLogin(octets: Uint8Array): void {
    if (this.over) return;
    if (!this.#inCommandPhase) {
      this.#logIn(octets);
      return;
    }
    const asked = this.#asked;
    assert.ok(asked !== undefined, 'octets that nobody asked for');
    this.#asked = undefined;
    asked(octets.slice());
  }

  #logIn(octets: Uint8Array): void {
    this.login = octets;
    const hello = parseClientHello(octets, 0, octets.length);
    assert.equal(hello.type, 'response');
    this.hello = (hello as Extract<typeof hello, { type: 'response' }>).response;
    const { user, authResponse } = this.hello;
    const errno = this.#transport.target.refuses?.(user) ?? this.#judge(user, authResponse);
    if (errno === 0) this.user = user;
    this.#after(0, () => {
      this.#handler.packet(packets(2, errno === 0 ? ok() : err(errno)));
      if (errno !== 0) this.#after(1, () => this.#end('fin'));
    });
  }

  /** 0 where the password is right. */
  #judge(user: string, response: Uint8Array): number {
    const password = this.#transport.target.users?.[user];
    const wanted = password === undefined ? undefined : nativePassword(password, this.#scramble);
    return wanted !== undefined && Buffer.compare(response, wanted) === 0 ? 0 : ACCESS_DENIED;
  }

  commandPhase(capabilities: number): void {
    this.#inCommandPhase = true;
    this.capabilities = capabilities;
  }

  write(packet: Uint8Array, expect: number): void {
    if (this.over) return;
    assert.ok(this.#inCommandPhase, 'a command before the login was over');
    assert.equal(this.clientEnd, 'none', 'a command behind the end');
    const received = new Received(this.#transport.clock.now(), packet.slice(), this.#hasAttributes);
    const { com } = received;
    this.received.push(received);
    const reaction = this.#transport.target.reacts?.(received, this);
    if (reaction === undefined && com === COM.changeUser) this.#changeUser(received.packet);
    else this.#react(reaction ?? this.#serve(received), expect);
  }

  get #hasAttributes(): boolean {
    return has(this.capabilities, CLIENT.queryAttributes);
  }

  #react(reaction: Reaction, expect: number): void {
    if (reaction === 'silent') return;
    if (typeof reaction === 'string') {
      this.#after(0, () => this.#end(reaction));
      return;
    }
    if (expect === EXPECT.none) return;
    const { reply, afterMs = 0, asksFile } = reaction;
    if (asksFile === undefined) this.#answer(reply, afterMs);
    else {
      this.#ask(packets(asksFile, payload(0xfb, 'file')), (octets) => {
        this.files.push(octets);
        this.#answer(reply, afterMs);
      });
    }
  }

  #answer(reply: Partial<Reply>, afterMs: number): void {
    const { clock } = this.#transport;
    this.#busyUntil = Math.max(this.#busyUntil, clock.now() + afterMs);
    this.#after(this.#busyUntil - clock.now(), () => {
      this.#handler.reply(makeReply(reply), clock.now());
    });
  }

  #ask(packet: Uint8Array, asked: (octets: Uint8Array) => void): void {
    this.#after(Math.max(0, this.#busyUntil - this.#transport.clock.now()), () => {
      this.#asked = asked;
      this.#handler.packet(packet);
    });
  }

  #changeUser(packet: Uint8Array): void {
    const change = parseChangeUser(packet, 0, packet.length, this.capabilities);
    assert.ok(change !== undefined, 'a malformed COM_CHANGE_USER');
    const { user, authResponse } = change;
    const judged = (errno: number) => {
      this.#statements.clear();
      if (errno === 0) this.user = user;
      this.#answer(errno === 0 ? {} : { kind: 'err', errno }, 0);
    };
    if (this.#transport.target.asksAgain?.(this.#changes++) !== true) {
      judged(this.#judge(user, authResponse));
      return;
    }
    this.#scramble = this.#scramble.map((octet) => octet + 1);
    const request = payload(0xfe, 'mysql_native_password', 0, this.#scramble, 0);
    this.#ask(packets(1, request), (octets) => judged(this.#judge(user, octets.subarray(4))));
  }

  end(): void {
    if (this.over || this.clientEnd !== 'none') return;
    this.clientEnd = 'fin';
    if (!this.#transport.target.keepsOpen) this.#after(1, () => this.#end('fin'));
  }

  abort(): void {
    if (this.over) return;
    this.clientEnd = 'rst';
    this.#end('aborted');
  }

  /** The target, or what lies between, ends the connection now. */
  cut(cause: CloseCause): void {
    this.#end(cause);
  }

  #serve(received: Received): Reaction {
    const { com, packet } = received;
    const named = packet.length >= 9 ? new DataView(packet.buffer, packet.byteOffset).getUint32(5, true) : 0;
    switch (com) {
      case COM.query:
        return {
          reply: isMalformed(packet, this.#hasAttributes) ? { kind: 'err', errno: MALFORMED_PACKET } : {},
        };
      case COM.stmtPrepare: {
        const statementId = this.#transport.nextStatement++;
        this.#statements.set(statementId, received.sql);
        this.#lastPrepared = statementId;
        return { reply: { statementId, params: received.sql.split('?').length - 1 } };
      }
      case COM.stmtExecute:
      case COM.stmtReset: {
        const id = named === 0xffffffff ? this.#lastPrepared : named;
        return { reply: this.#statements.has(id) ? {} : { kind: 'err', errno: NO_SUCH_STATEMENT } };
      }
      case COM.stmtClose:
        this.#statements.delete(named);
        return { reply: {} };
      case COM.resetConnection:
        this.#statements.clear();
        return { reply: {} };
      default:
        return { reply: {} };
    }
  }

  #end(cause: CloseCause): void {
    if (this.over) return;
    this.over = true;
    this.#handler.closed(cause);
  }

  /** Does it in a turn of the transport's own, unless the connection is over by then. */
  #after(ms: number, act: () => void): void {
    const unlessOver = () => {
      if (!this.over) act();
    };
    if (ms === 0) queueMicrotask(unlessOver);
    else setTimeout(unlessOver, ms);
  }
}

export function makeReply(parts: Partial<Reply> = {}): Reply {
  return {
    ...NO_REPLY,
    octets: 11,
    ...parts,
  };
}

function greeting(connectionId: number, target: FakeTarget): Uint8Array {
  const { capabilities = CAPABILITIES, extendedCapabilities = EXTENDED_CAPABILITIES } = target;
  const number = new Uint8Array(Uint32Array.of(connectionId).buffer);
  const flags = new Uint8Array(Uint32Array.of(capabilities).buffer);
  const head = payload(
    10,
    '10.11.0-fake',
    0,
    number,
    SCRAMBLE.subarray(0, 8),
    0,
    flags.subarray(0, 2),
    8,
    2,
    0,
  );
  const tail = payload(
    flags.subarray(2),
    21,
    new Uint8Array(6),
    extendedCapabilities,
    0,
    0,
    0,
    SCRAMBLE.subarray(8),
    0,
    'mysql_native_password',
    0,
  );
  return packets(0, payload(head, tail));
}
