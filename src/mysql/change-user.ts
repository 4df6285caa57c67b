import { AuthExchange, type AuthStep, keyFor, passwordToSend } from './auth/exchange.ts';
import type { ServerKey } from './auth/plugin.ts';
import { CLIENT, has } from './capabilities.ts';
import { COM } from './command.ts';
import { isEmptyAuth } from './handshake.ts';
import { NATIVE_PASSWORD } from './native-password.ts';
import { HEADER_OCTETS, OctetReader, OctetWriter } from './packet.ts';

/** COM_CHANGE_USER. Owned: shares no memory with the packet that it came from. */
export interface ChangeUser {
  user: string;
  authResponse: Uint8Array;
  /** Empty for none. */
  schema: string;
  charset?: number;
  authPlugin?: string;
  /** Connection attributes as on the wire, without the length in front of them. */
  attributes?: Uint8Array;
  /** Whether the client used a password, also behind a switch of plugins: what a Dialogue tells by its command. */
  withPassword?: boolean | undefined;
}

/**
 * Parses the packet (header included) at [from, to), read by the capabilities in force; undefined where it is no
 * COM_CHANGE_USER. What is cut off at the end was never sent, as in a HandshakeResponse41.
 */
export function parseChangeUser(
  packet: Uint8Array,
  from: number,
  to: number,
  capabilities: number,
): ChangeUser | undefined {
  const reader = new OctetReader(packet, from + HEADER_OCTETS, to);
  if (reader.uint(1) !== COM.changeUser) return undefined;
  const change: ChangeUser = {
    user: reader.text(),
    authResponse: has(capabilities, CLIENT.secureConnection)
      ? reader.take(reader.uint(1))
      : reader.untilNul(),
    schema: reader.text(),
  };
  if (reader.left > 0) change.charset = reader.uint(2);
  if (has(capabilities, CLIENT.pluginAuth) && reader.left > 0) change.authPlugin = reader.text();
  if (has(capabilities, CLIENT.connectAttrs) && reader.left > 0) {
    change.attributes = reader.take(reader.lenenc());
  }
  return reader.short ? undefined : change;
}

/**
 * The command for `change`. The capabilities rule which fields are written, as in a HandshakeResponse41; all of these
 * stand behind the charset, 0 (the server's own) where `change` has none.
 */
export function writeChangeUser(change: ChangeUser, capabilities: number): Uint8Array {
  const { user, authResponse, schema, charset } = change;
  const writer = new OctetWriter().uint(COM.changeUser, 1).text(user);
  if (has(capabilities, CLIENT.secureConnection)) writer.uint(authResponse.length, 1).octets(authResponse);
  else writer.octets(authResponse).uint(0, 1);
  writer.text(schema);
  const pluginAuth = has(capabilities, CLIENT.pluginAuth);
  const connectAttrs = has(capabilities, CLIENT.connectAttrs);
  if (charset !== undefined || pluginAuth || connectAttrs) writer.uint(charset ?? 0, 2);
  if (pluginAuth) writer.text(change.authPlugin ?? '');
  if (connectAttrs) {
    const attributes = change.attributes ?? new Uint8Array(0);
    writer.lenenc(attributes.length).octets(attributes);
  }
  return writer.packet(0);
}

export interface UserChangeOptions {
  /** As recorded. */
  change: ChangeUser;
  user: string;
  password: string;
  /** In force on this connection; these and the next two are what its LoginDone told. */
  capabilities: number;
  scramble: Uint8Array;
  authPlugin: string;
  /** The connection is in TLS. */
  secure: boolean;
  /** Production refused the password: give one that the target refuses, too. */
  wrong?: boolean | undefined;
  serverKey?: ServerKey | undefined;
}

/** The client's side of a COM_CHANGE_USER, up to the OK or ERR that is its answer. */
export class UserChange {
  /** The command, header included, sequence id 0. Owned by the caller. */
  readonly packet: Uint8Array;
  readonly #auth: AuthExchange;

  constructor(options: UserChangeOptions) {
    const { change, user, password, capabilities, scramble, authPlugin, secure } = options;
    const { wrong = false, serverKey } = options;
    const recordedPlugin = change.authPlugin ?? NATIVE_PASSWORD;
    const withPassword = change.withPassword ?? !isEmptyAuth(recordedPlugin, change.authResponse);
    this.#auth = new AuthExchange(
      user,
      passwordToSend(password, wrong, withPassword),
      keyFor(serverKey, wrong),
    );
    const authResponse = this.#auth.begin(authPlugin, scramble, secure);
    this.packet = writeChangeUser(
      { ...change, user, authResponse, authPlugin: this.#auth.plugin },
      capabilities,
    );
  }

  /** Takes a packet of the target's, header included, that is neither OK nor ERR; keeps nothing of it. */
  onPacket(octets: Uint8Array): AuthStep {
    return this.#auth.onPacket(octets);
  }

  /** What the target asked for last, and its nonce: what the connection's next COM_CHANGE_USER begins with. */
  get authPlugin(): string {
    return this.#auth.plugin;
  }

  get scramble(): Uint8Array {
    return this.#auth.scramble;
  }
}
