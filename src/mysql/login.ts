import { CLIENT, EXTENDED, has, inBoth } from './capabilities.ts';
import {
  type HandshakeResponse,
  markOf,
  parseAuthSwitch,
  parseGreeting,
  writeHandshakeResponse,
} from './handshake.ts';
import { NATIVE_PASSWORD, nativePassword } from './native-password.ts';
import { framePacket, MARK, parseError } from './packet.ts';

/** What the login does next. */
export type LoginStep =
  /** Send these octets: one packet, header included. Owned by the caller. */
  | { type: 'send'; octets: Uint8Array }
  | { type: 'wait' }
  /** The command phase begins, with these capabilities in force. */
  | { type: 'done'; capabilities: number; extendedCapabilities: number }
  /** `errno` is the server's, or 0 where the reason is ours. */
  | { type: 'failed'; errno: number; message: string };

export interface LoginOptions {
  /** With the capabilities that were in force: what a Dialogue tells. */
  recorded: HandshakeResponse;
  user: string;
  password: string;
}

/** Never taken up: what would hide commands or answers from us, or ask a file of us that we do not have. */
const NEVER = CLIENT.ssl | CLIENT.compress | CLIENT.zstdCompression | CLIENT.localFiles;

/** What our own answer to the scramble is written with. */
const NEEDED = CLIENT.protocol41 | CLIENT.secureConnection;

/**
 * Flags that change how the server reads commands or what they do. In force when recorded, they must be so again: else
 * the same octets would mean something else.
 */
const MUST_KEEP: readonly [name: string, flag: number][] = [
  ['CLIENT_FOUND_ROWS', CLIENT.foundRows],
  ['CLIENT_IGNORE_SPACE', CLIENT.ignoreSpace],
  ['CLIENT_MULTI_STATEMENTS', CLIENT.multiStatements],
  ['CLIENT_QUERY_ATTRIBUTES', CLIENT.queryAttributes],
];
const MUST_KEEP_EXTENDED: readonly [name: string, flag: number][] = [
  ['MARIADB_CLIENT_STMT_BULK_OPERATIONS', EXTENDED.stmtBulkOperations],
];

/**
 * The client's side of a login with mysql_native_password, as the recorded client did it: its schema, character set,
 * attributes and capabilities as far as the target has them. Pure: packets in, the next step out.
 */
export class Login {
  readonly #recorded: HandshakeResponse;
  readonly #user: string;
  readonly #password: string;
  #greeted = false;
  #capabilities = 0;
  #extendedCapabilities = 0;

  constructor(options: LoginOptions) {
    this.#recorded = options.recorded;
    this.#user = options.user;
    this.#password = options.password;
  }

  /** Takes the server's next packet, header included; keeps nothing of it. */
  onPacket(octets: Uint8Array): LoginStep {
    const mark = markOf(octets, 0, octets.length);
    if (mark === MARK.err) return { type: 'failed', ...parseError(octets, 0, octets.length) };
    if (!this.#greeted) return this.#onGreeting(octets);
    switch (mark) {
      case MARK.ok:
        return {
          type: 'done',
          capabilities: this.#capabilities,
          extendedCapabilities: this.#extendedCapabilities,
        };
      case MARK.eof:
        return this.#onAuthSwitch(octets);
      default:
        return failed(`the target asks for more than ${NATIVE_PASSWORD} gives (packet 0x${hex(mark)})`);
    }
  }

  #onGreeting(octets: Uint8Array): LoginStep {
    const greeting = parseGreeting(octets, 0, octets.length);
    if (greeting === undefined) return failed('the target does not greet as MySQL does');
    const offered = greeting.capabilities;
    if (!has(offered, NEEDED)) return failed('the target is too old: it lacks CLIENT_PROTOCOL_41');
    const missing =
      missingOf(MUST_KEEP, this.#recorded.capabilities, offered) ??
      missingOf(MUST_KEEP_EXTENDED, this.#recorded.extendedCapabilities, greeting.extendedCapabilities);
    if (missing) return failed(`recorded with ${missing}, which the target does not offer`);
    this.#greeted = true;
    let capabilities =
      (inBoth(this.#recorded.capabilities, offered) & ~NEVER) | NEEDED | inBoth(offered, CLIENT.pluginAuth);
    // The schema alone tells whether one is chosen: some clients set the flag and send none.
    if (this.#recorded.schema === undefined) capabilities &= ~CLIENT.connectWithDb;
    this.#capabilities = capabilities >>> 0;
    this.#extendedCapabilities = has(capabilities, CLIENT.mysql)
      ? 0
      : inBoth(this.#recorded.extendedCapabilities, greeting.extendedCapabilities);
    const { authPlugin: _plugin, zstdLevel: _level, ...kept } = this.#recorded;
    const response: HandshakeResponse = {
      ...kept,
      capabilities: this.#capabilities,
      extendedCapabilities: this.#extendedCapabilities,
      user: this.#user,
      authResponse: nativePassword(this.#password, greeting.scramble),
      authPlugin: NATIVE_PASSWORD,
    };
    return { type: 'send', octets: writeHandshakeResponse(response, nextSequence(octets)) };
  }

  #onAuthSwitch(octets: Uint8Array): LoginStep {
    const { plugin, scramble } = parseAuthSwitch(octets, 0, octets.length);
    if (plugin !== NATIVE_PASSWORD) {
      return failed(`the target wants ${plugin} for ${this.#user}: only ${NATIVE_PASSWORD} is supported`);
    }
    return {
      type: 'send',
      octets: framePacket(nextSequence(octets), nativePassword(this.#password, scramble)),
    };
  }
}

function missingOf(
  flags: readonly [name: string, flag: number][],
  wanted: number,
  offered: number,
): string | undefined {
  return flags.find(([, flag]) => has(wanted, flag) && !has(offered, flag))?.[0];
}

function nextSequence(packet: Uint8Array): number {
  return (packet[3] + 1) & 255;
}

function failed(message: string): LoginStep {
  return { type: 'failed', errno: 0, message };
}

function hex(mark: number): string {
  return Math.max(0, mark).toString(16).padStart(2, '0');
}
