import assert from 'node:assert/strict';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { COM, EXPECT } from '../../src/mysql/command.ts';
import { parseClientHello } from '../../src/mysql/handshake.ts';
import { nativePassword } from '../../src/mysql/native-password.ts';
import type { Reply } from '../../src/mysql/reply.ts';
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
const CAPABILITIES =
  (0xffff_ffff & ~(CLIENT.mysql | CLIENT.ssl | CLIENT.compress | CLIENT.zstdCompression)) >>> 0;
const EXTENDED_CAPABILITIES = 0x1f;
const NO_SUCH_STATEMENT = 1243;
const ACCESS_DENIED = 1045;

/** What the target does with a command: answer it, end the connection, or nothing at all. */
export type Reaction = { reply: Partial<Reply>; afterMs?: number } | CloseCause | 'silent';

/** How it meets a connection: by its greeting, an errno in the greeting's place, an end, or nothing at all. */
export type Welcome = 'greets' | number | CloseCause | 'silent';

/** A scripted MySQL server. What is left out, a server does that knows its users and statements and is never slow. */
export interface FakeTarget {
  /** Passwords; '' for a user without. A user who is not here is denied. */
  users?: Readonly<Record<string, string>>;
  /** From the connection to the greeting, ms. */
  greetMs?: number;
  meets?(connection: FakeConnection): Welcome;
  /** undefined: as a server would. */
  reacts?(received: Received, connection: FakeConnection): Reaction | undefined;
  /** Does not close a connection that the client closed. */
  keepsOpen?: boolean;
}

/** One command as the target got it. */
export interface Received {
  at: MonotonicMs;
  com: number;
  packet: Uint8Array;
  /** COM_QUERY's or COM_STMT_PREPARE's text, else ''. */
  sql: string;
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
  /** The user that logged in. */
  user: string | undefined;
  /** Octets of the client's half of the login, header included. */
  login: Uint8Array | undefined;
  over = false;
  /** Whether the client closed in order, cut, or did nothing. */
  clientEnd: 'none' | 'fin' | 'rst' = 'none';
  readonly #transport: FakeTransport;
  readonly #handler: ConnectionHandler;
  readonly #statements = new Map<number, string>();
  #lastPrepared = 0;
  #inCommandPhase = false;

  constructor(transport: FakeTransport, id: number, identity: Identity, handler: ConnectionHandler) {
    this.#transport = transport;
    this.id = id;
    this.identity = identity;
    this.#handler = handler;
    this.openedAt = transport.clock.now();
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
      this.#handler.packet(welcome === 'greets' ? greeting() : packets(0, err(welcome)));
      // A server that refuses closes; the client's FIN may cross its own.
      if (welcome !== 'greets') this.#after(1, () => this.#end('fin'));
    });
  }

  writeLogin(octets: Uint8Array): void {
    if (this.over) return;
    this.login = octets;
    const hello = parseClientHello(octets, 0, octets.length);
    assert.equal(hello.type, 'response');
    const { user, authResponse } = (hello as Extract<typeof hello, { type: 'response' }>).response;
    const password = this.#transport.target.users?.[user];
    const wanted = password === undefined ? undefined : nativePassword(password, SCRAMBLE);
    const welcome = wanted !== undefined && Buffer.compare(authResponse, wanted) === 0;
    if (welcome) this.user = user;
    this.#after(0, () => {
      this.#handler.packet(packets(2, welcome ? ok() : err(ACCESS_DENIED)));
      if (!welcome) this.#after(1, () => this.#end('fin'));
    });
  }

  commandPhase(): void {
    this.#inCommandPhase = true;
  }

  write(packet: Uint8Array, expect: number): void {
    if (this.over) return;
    assert.ok(this.#inCommandPhase, 'a command before the login was over');
    assert.equal(this.clientEnd, 'none', 'a command behind the end');
    const com = packet[4];
    const hasText = com === COM.query || com === COM.stmtPrepare;
    const sql = hasText ? Buffer.from(packet.subarray(5)).toString() : '';
    const received = { at: this.#transport.clock.now(), com, packet: packet.slice(), sql };
    this.received.push(received);
    const reaction = this.#transport.target.reacts?.(received, this) ?? this.#serve(received);
    if (reaction === 'silent') return;
    if (typeof reaction === 'string') {
      this.#after(0, () => this.#end(reaction));
    } else if (expect !== EXPECT.none) {
      this.#after(reaction.afterMs ?? 0, () => {
        this.#handler.reply(makeReply(reaction.reply), this.#transport.clock.now());
      });
    }
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

  #serve({ com, packet, sql }: Received): Reaction {
    const named = packet.length >= 9 ? new DataView(packet.buffer, packet.byteOffset).getUint32(5, true) : 0;
    switch (com) {
      case COM.stmtPrepare: {
        const statementId = this.#transport.nextStatement++;
        this.#statements.set(statementId, sql);
        this.#lastPrepared = statementId;
        return { reply: { statementId } };
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
    kind: 'ok',
    errno: 0,
    affected: 0,
    columns: 0,
    rows: 0,
    octets: 11,
    hash: 0,
    hashUnordered: 0,
    statementId: 0,
    params: 0,
    status: 0,
    at: 0,
    ...parts,
  };
}

function greeting(): Uint8Array {
  const low = [CAPABILITIES & 255, (CAPABILITIES >> 8) & 255];
  const high = [(CAPABILITIES >> 16) & 255, (CAPABILITIES >>> 24) & 255];
  const head = payload(
    10,
    '10.11.0-fake',
    0,
    1,
    0,
    0,
    0,
    SCRAMBLE.subarray(0, 8),
    0,
    ...low,
    8,
    2,
    0,
    ...high,
  );
  const tail = payload(
    21,
    new Uint8Array(6),
    EXTENDED_CAPABILITIES,
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
