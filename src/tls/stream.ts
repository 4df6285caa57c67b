import { Direction } from './direction.ts';
import { clientRandomOf, readServerHello } from './hello.ts';
import type { SessionSecrets } from './key-log.ts';
import { tls12Keys } from './key-schedule.ts';
import { MESSAGE } from './messages.ts';
import { Protection } from './protection.ts';
import { type Suite, suiteOf, TLS13 } from './suites.ts';

/**
 * How reading stands; all but `ok` are for good.
 *
 * - `ok`: all that came could be read, or waits for what is to come.
 * - `no-key`: the hellos are read, and the key log does not know this session.
 * - `unsupported`: a version before TLS 1.2, compression, or a cipher suite without authenticated encryption.
 * - `broken`: not TLS, a tag that does not fit (damaged, or the wrong secrets), a hello that was missed, or more than
 *   can be held. TLS 1.3's early data (0-RTT) too, which no MySQL client sends.
 */
export type TlsState = 'ok' | 'no-key' | 'unsupported' | 'broken';

/** Where the secrets of sessions come from. */
export interface SecretSource {
  /** What is known of the session whose client's random is this: 64 digits in lower case. */
  of(random: string): SessionSecrets | undefined;
  /** Whether secrets of that session may still come, if `of` has none or too few. Left out: they never do. */
  mayCome?(random: string): boolean;
  /** Nothing waits for that session's secrets any more. */
  settled?(random: string): void;
}

/** A session whose secrets may still come. */
interface Awaited {
  suite: Suite;
  clientRandom: Uint8Array;
  serverRandom: Uint8Array;
}

/** Told of application data record by record; [from, to) is valid during the call. */
export interface PlainSink {
  client(octets: Uint8Array, from: number, to: number): void;
  server(octets: Uint8Array, from: number, to: number): void;
}

/**
 * One TLS connection that we only watch, from its ClientHello on: the octets of both directions, each in order, become
 * what was said inside. TLS 1.2 and 1.3 (RFC 5246, 8446) with the secrets of a key log; session resumption, a
 * HelloRetryRequest, renegotiation and KeyUpdate included.
 *
 * The directions need not keep pace with each other: records that wait for the other side's hello are held, up to 1 MiB.
 * In what order the two sinks are called follows the calls, not the wire, where one had to wait.
 */
export class TlsStream {
  readonly #secrets: SecretSource;
  readonly #client: Direction;
  readonly #server: Direction;
  #state: TlsState = 'ok';
  #clientRandom: Uint8Array | undefined;
  #version = 0;
  #awaited: Awaited | undefined;

  constructor(secrets: SecretSource, plain: PlainSink) {
    this.#secrets = secrets;
    const hello = (type: number, body: Uint8Array) => this.#hello(type, body);
    const broken = () => this.#end('broken');
    this.#client = new Direction(false, {
      plain: (octets, from, to) => plain.client(octets, from, to),
      hello,
      broken,
    });
    this.#server = new Direction(true, {
      plain: (octets, from, to) => plain.server(octets, from, to),
      hello,
      broken,
    });
  }

  /** Octets that wait: of records that are not whole, and of those that cannot be opened yet. */
  get heldOctets(): number {
    return this.#client.heldOctets + this.#server.heldOctets;
  }

  /** Whether nothing more can be read before secrets come, which may still happen: `look` looks for them. */
  get awaitsKeys(): boolean {
    return this.#awaited !== undefined;
  }

  /** Looks for the secrets that are awaited. `isLast`: they would be too late from now on. */
  look(isLast: boolean): TlsState {
    if (this.#awaited === undefined) return this.#state;
    this.#open(this.#awaited, isLast);
    return this.#settle();
  }

  /** The client's next octets, [from, to). */
  fromClient(octets: Uint8Array, from: number, to: number): TlsState {
    this.#client.feed(octets, from, to);
    return this.#settle();
  }

  /** The server's next octets, [from, to). */
  fromServer(octets: Uint8Array, from: number, to: number): TlsState {
    this.#server.feed(octets, from, to);
    return this.#settle();
  }

  /**
   * Octets are missing here, in the client's direction or in the server's: so many, where that is known (it makes the
   * search shorter and reach further). A missed hello is `broken`. Behind any other gap the next record is searched, as
   * direction.ts says, and what comes before it is dropped.
   */
  gap(fromClient: boolean, octets = 0): TlsState {
    (fromClient ? this.#client : this.#server).gap(octets);
    return this.#state;
  }

  /** Each direction takes what it held, as long as the other lets it. */
  #settle(): TlsState {
    while (this.#client.drain() || this.#server.drain());
    return this.#state;
  }

  #hello(type: number, body: Uint8Array): void {
    // TLS 1.3 knows no renegotiation: this is a message that nobody sends.
    if (this.#version === TLS13) return;
    if (type === MESSAGE.clientHello) this.#clientHello(body);
    else this.#serverHello(body);
  }

  #clientHello(body: Uint8Array): void {
    this.#clientRandom = clientRandomOf(body, 0, body.length);
    if (this.#clientRandom === undefined) {
      this.#end('broken');
      return;
    }
    // What the client's next records are depends on what the server chooses. Not so where it negotiates anew.
    this.#client.waiting = this.#version === 0;
    this.#server.waiting = false;
  }

  #serverHello(body: Uint8Array): void {
    const hello = readServerHello(body, 0, body.length);
    const clientRandom = this.#clientRandom;
    if (hello === undefined || clientRandom === undefined) {
      this.#end('broken');
      return;
    }
    this.#client.waiting = false;
    if (hello.retry) {
      // No keys yet, but the version is agreed upon.
      this.#client.negotiated(true, []);
      this.#server.negotiated(true, []);
      return;
    }
    const suite = suiteOf(hello.version, hello.suite);
    if (suite === undefined || hello.compressed) {
      this.#end('unsupported');
      return;
    }
    this.#open({ suite, clientRandom, serverRandom: hello.random }, false);
  }

  /** Takes the session's secrets, if they are there; else waits for them, unless they can't come any more. */
  #open(session: Awaited, isLast: boolean): void {
    const { suite, clientRandom, serverRandom } = session;
    const random = Buffer.from(clientRandom).toString('hex');
    const secrets = this.#secrets.of(random);
    const isKnown = secrets !== undefined && this.#negotiated(suite, secrets, clientRandom, serverRandom);
    const waits = !isKnown && !isLast && this.#secrets.mayCome?.(random) === true;
    this.#awaited = waits ? session : undefined;
    this.#client.waiting = waits;
    this.#server.waiting = waits;
    if (waits) return;
    this.#secrets.settled?.(random);
    if (!isKnown) this.#end('no-key');
  }

  /** Whether the secrets suffice. */
  #negotiated(
    suite: Suite,
    secrets: SessionSecrets,
    clientRandom: Uint8Array,
    serverRandom: Uint8Array,
  ): boolean {
    this.#version = suite.version;
    if (suite.version === TLS13) {
      const { clientHandshake, clientTraffic, serverHandshake, serverTraffic } = secrets;
      if (!clientHandshake || !clientTraffic || !serverHandshake || !serverTraffic) return false;
      const keys = (secret: Uint8Array) => Protection.of(suite, secret);
      this.#client.negotiated(true, [keys(clientHandshake), keys(clientTraffic)]);
      this.#server.negotiated(true, [keys(serverHandshake), keys(serverTraffic)]);
      return true;
    }
    if (!secrets.master) return false;
    const { client, server } = tls12Keys(suite, secrets.master, clientRandom, serverRandom);
    this.#client.negotiated(false, [new Protection(suite, client)]);
    this.#server.negotiated(false, [new Protection(suite, server)]);
    return true;
  }

  #end(state: TlsState): void {
    if (this.#state !== 'ok') return;
    this.#state = state;
    this.#client.stop();
    this.#server.stop();
  }
}
