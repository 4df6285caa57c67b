import {
  AuthExchange,
  type AuthStep,
  failed,
  keyFor,
  nextSequence,
  passwordToSend,
} from './auth/exchange.ts';
import type { ServerKey } from './auth/plugin.ts';
import { CLIENT, has, inBoth } from './capabilities.ts';
import { charsetFor } from './charsets.ts';
import {
  type Greeting,
  type HandshakeResponse,
  isEmptyAuth,
  markOf,
  parseGreeting,
  writeHandshakeResponse,
  writeSslRequest,
} from './handshake.ts';
import { NATIVE_PASSWORD } from './native-password.ts';
import { MARK, parseError } from './packet.ts';

/** What the login does next. */
export type LoginStep =
  | AuthStep
  /** Send these octets (an SSLRequest), begin TLS behind them, and call `secured` once it stands. */
  | { type: 'tls'; octets: Uint8Array }
  | LoginDone;

/** The command phase begins. */
export interface LoginDone {
  type: 'done';
  /** In force from here on. */
  capabilities: number;
  extendedCapabilities: number;
  /** The target's number for the connection. */
  connectionId: number;
  /** The nonce of its greeting: no other connection has the same. */
  nonce: Uint8Array;
  /** What the target asked for last, and its nonce: what a COM_CHANGE_USER begins with. */
  authPlugin: string;
  scramble: Uint8Array;
  /** The target is a MariaDB, else a MySQL. */
  isMariaDb: boolean;
}

export interface LoginOptions {
  /** With the capabilities that were in force: what a Dialogue tells. */
  recorded: HandshakeResponse;
  user: string;
  password: string;
  /** Production refused the password: give one that the target refuses, too. */
  wrong?: boolean | undefined;
  serverKey?: ServerKey | undefined;
  /** Log in inside TLS, and fail where the target does not offer it. */
  tls?: boolean | undefined;
}

/** Never taken up: what would hide commands or answers from us. TLS is the caller's choice. */
const NEVER = CLIENT.ssl | CLIENT.compress | CLIENT.zstdCompression;

/** What our own answer to the scramble is written with. */
const NEEDED = CLIENT.protocol41 | CLIENT.secureConnection;

/**
 * Flags that change how the server reads commands or what they do. In force when recorded, they must be so again: else
 * the same octets would mean something else. (Where others are missing, commands and answers can be translated.)
 */
const MUST_KEEP: readonly [name: string, flag: number][] = [
  ['CLIENT_FOUND_ROWS', CLIENT.foundRows],
  ['CLIENT_IGNORE_SPACE', CLIENT.ignoreSpace],
  ['CLIENT_MULTI_STATEMENTS', CLIENT.multiStatements],
];

/**
 * The client's side of a login, as the recorded client did it: its schema, character set, attributes and capabilities as
 * far as the target has them, by whatever plugin the target wants. Pure: packets in, the next step out.
 */
export class Login {
  readonly #recorded: HandshakeResponse;
  readonly #user: string;
  readonly #tls: boolean;
  readonly #wrong: boolean;
  readonly #auth: AuthExchange;
  #stage: 'greeting' | 'tls' | 'authentication' = 'greeting';
  #greeting: Greeting | undefined;
  #capabilities = 0;
  #extendedCapabilities = 0;
  /** Of our next packet. */
  #sequenceId = 0;

  constructor({ recorded, user, password, wrong = false, serverKey, tls = false }: LoginOptions) {
    const plugin = recorded.authPlugin ?? NATIVE_PASSWORD;
    const withPassword = recorded.withPassword ?? !isEmptyAuth(plugin, recorded.authResponse);
    this.#recorded = recorded;
    this.#user = user;
    this.#tls = tls;
    this.#wrong = wrong;
    this.#auth = new AuthExchange(
      user,
      passwordToSend(password, wrong, withPassword),
      keyFor(serverKey, wrong),
    );
  }

  /** Takes the server's next packet, header included; keeps nothing of it. */
  onPacket(octets: Uint8Array): LoginStep {
    const mark = markOf(octets, 0, octets.length);
    if (mark === MARK.err) {
      const error = parseError(octets, 0, octets.length);
      // Whom production had refused is refused either way.
      const known = this.#wrong ? undefined : this.#auth.refusedBy(error.errno);
      return known ?? { type: 'failed', ...error };
    }
    if (this.#stage === 'greeting') return this.#onGreeting(octets);
    if (this.#stage === 'tls') return failed('the target speaks before TLS, which it offers');
    return mark === MARK.ok ? this.#done() : this.#auth.onPacket(octets);
  }

  /** TLS stands. */
  secured(): LoginStep {
    return this.#respond();
  }

  #onGreeting(octets: Uint8Array): LoginStep {
    const greeting = parseGreeting(octets, 0, octets.length);
    if (greeting === undefined) return failed('the target does not greet as MySQL does');
    const offered = greeting.capabilities;
    if (!has(offered, NEEDED)) return failed('the target is too old: it lacks CLIENT_PROTOCOL_41');
    const missing = missingOf(this.#recorded.capabilities, offered);
    if (missing) return failed(`recorded with ${missing}, which the target does not offer`);
    if (this.#tls && !has(offered, CLIENT.ssl)) {
      return failed('the target does not offer TLS, CLIENT_SSL (set up TLS there, or replay without it)');
    }
    this.#greeting = greeting;
    this.#negotiate(greeting);
    this.#sequenceId = nextSequence(octets);
    if (!this.#tls) return this.#respond();
    this.#stage = 'tls';
    return { type: 'tls', octets: writeSslRequest(this.#words(), this.#sequenceId++) };
  }

  #negotiate(greeting: Greeting): void {
    const offered = greeting.capabilities;
    const recorded = this.#recorded;
    let capabilities =
      (inBoth(recorded.capabilities, offered) & ~NEVER) | NEEDED | inBoth(offered, CLIENT.pluginAuth);
    if (this.#tls) capabilities |= CLIENT.ssl;
    // The schema alone tells whether one is chosen: some clients set the flag and send none.
    if (recorded.schema === undefined) capabilities &= ~CLIENT.connectWithDb;
    this.#capabilities = capabilities >>> 0;
    this.#extendedCapabilities = has(capabilities, CLIENT.mysql)
      ? 0
      : inBoth(recorded.extendedCapabilities, greeting.extendedCapabilities);
  }

  /** The recorded client's words, by the capabilities in force, without its authentication. */
  #words(): HandshakeResponse {
    const { authPlugin: _plugin, zstdLevel: _level, ...kept } = this.#recorded;
    return {
      ...kept,
      capabilities: this.#capabilities,
      extendedCapabilities: this.#extendedCapabilities,
      user: this.#user,
      charset: charsetFor(kept.charset, this.#isMariaDb),
      authResponse: new Uint8Array(0),
    };
  }

  /** Only a MySQL sets CLIENT_MYSQL (its CLIENT_LONG_PASSWORD). */
  get #isMariaDb(): boolean {
    return !has((this.#greeting as Greeting).capabilities, CLIENT.mysql);
  }

  #respond(): LoginStep {
    this.#stage = 'authentication';
    const { authPlugin, scramble } = this.#greeting as Greeting;
    const authResponse = this.#auth.begin(authPlugin, scramble, this.#tls);
    const response = { ...this.#words(), authResponse, authPlugin: this.#auth.plugin };
    return { type: 'send', octets: writeHandshakeResponse(response, this.#sequenceId) };
  }

  #done(): LoginDone {
    return {
      type: 'done',
      capabilities: this.#capabilities,
      extendedCapabilities: this.#extendedCapabilities,
      connectionId: (this.#greeting as Greeting).connectionId,
      nonce: (this.#greeting as Greeting).scramble,
      authPlugin: this.#auth.plugin,
      scramble: this.#auth.scramble,
      isMariaDb: this.#isMariaDb,
    };
  }
}

function missingOf(wanted: number, offered: number): string | undefined {
  return MUST_KEEP.find(([, flag]) => has(wanted, flag) && !has(offered, flag))?.[0];
}
