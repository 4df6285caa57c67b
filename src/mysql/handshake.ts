import { CLIENT, has } from './capabilities.ts';
import { NATIVE_PASSWORD } from './native-password.ts';
import { HEADER_OCTETS, OctetReader, OctetWriter } from './packet.ts';

/** Protocol::HandshakeV10, the server's greeting. */
export interface Greeting {
  serverVersion: string;
  connectionId: number;
  capabilities: number;
  /** MariaDB's own; 0 from MySQL. */
  extendedCapabilities: number;
  charset: number;
  /** auth-plugin-data without its closing NUL: 20 octets from every server of this century. */
  scramble: Uint8Array;
  authPlugin: string;
}

/** Protocol::HandshakeResponse41. Owned: shares no memory with the packet that it came from. */
export interface HandshakeResponse {
  capabilities: number;
  /** MariaDB's own; 0 from MySQL's clients. */
  extendedCapabilities: number;
  maxPacket: number;
  charset: number;
  user: string;
  authResponse: Uint8Array;
  schema?: string;
  authPlugin?: string;
  /** Connection attributes as on the wire, without the length in front of them. */
  attributes?: Uint8Array;
  zstdLevel?: number;
  /** Whether the client used a password, also behind a switch of plugins. Told by a Dialogue. */
  withPassword?: boolean;
}

/** A client's first packet. `response320` is of clients from before 4.1, which name no charset: 0, the server's own. */
export type ClientHello =
  | { type: 'response'; response: HandshakeResponse }
  | { type: 'response320'; response: HandshakeResponse }
  | { type: 'tls' }
  | { type: 'malformed' };

/** The version of every greeting since MySQL 3.21. */
export const PROTOCOL_V10 = 10;

/** Scramble octets in the greeting's first part, and at least in its second (with a closing NUL). */
const SCRAMBLE_HEAD = 8;
const SCRAMBLE_TAIL = 13;

/** HandshakeResponse41: fixed fields, then 23 octets of filler, the last 4 of them MariaDB's. */
const FILLER_AT = 9;
const FILLER_OCTETS = 19;
const SSL_REQUEST_OCTETS = 32;

/** Parses the packet (header included) at [from, to); undefined where it is no HandshakeV10. */
export function parseGreeting(octets: Uint8Array, from: number, to: number): Greeting | undefined {
  const reader = new OctetReader(octets, from + HEADER_OCTETS, to);
  if (reader.uint(1) !== PROTOCOL_V10) return undefined;
  const serverVersion = reader.text();
  const connectionId = reader.uint(4);
  const head = reader.take(SCRAMBLE_HEAD);
  reader.skip(1);
  let capabilities = reader.uint(2);
  const charset = reader.uint(1);
  reader.skip(2);
  capabilities += reader.uint(2) * 0x1_0000;
  const scrambleLength = reader.uint(1);
  reader.skip(6);
  const extended = reader.uint(4);
  if (reader.short) return undefined;
  const tail = has(capabilities, CLIENT.secureConnection)
    ? reader.take(Math.min(reader.left, Math.max(SCRAMBLE_TAIL, scrambleLength - SCRAMBLE_HEAD)))
    : new Uint8Array(0);
  const scramble = new Uint8Array(SCRAMBLE_HEAD + Math.max(0, tail.length - 1));
  scramble.set(head);
  scramble.set(tail.subarray(0, Math.max(0, tail.length - 1)), SCRAMBLE_HEAD);
  const authPlugin = has(capabilities, CLIENT.pluginAuth) ? reader.text() : '';
  return {
    serverVersion,
    connectionId,
    capabilities,
    extendedCapabilities: has(capabilities, CLIENT.mysql) ? 0 : extended,
    charset,
    scramble,
    authPlugin,
  };
}

/**
 * Whether the first packet of a client of 4.1 or later (HandshakeResponse41 or SSLRequest) begins at `from`, of which
 * [from, to) is at hand: by its id, its capabilities and its filler.
 */
export function beginsHello(octets: Uint8Array, from: number, to: number): boolean {
  const filler = from + HEADER_OCTETS + FILLER_AT;
  if (to < filler + FILLER_OCTETS || octets[from + 3] !== 1) return false;
  if (!has(octets[from + HEADER_OCTETS] | (octets[from + HEADER_OCTETS + 1] << 8), CLIENT.protocol41))
    return false;
  for (let i = 0; i < FILLER_OCTETS; i++) if (octets[filler + i] !== 0) return false;
  return true;
}

/** Parses a client's first packet (header included) at [from, to). */
export function parseClientHello(octets: Uint8Array, from: number, to: number): ClientHello {
  const reader = new OctetReader(octets, from + HEADER_OCTETS, to);
  const flags = reader.uint(2);
  if (reader.short) return { type: 'malformed' };
  if (!has(flags, CLIENT.protocol41)) return parseResponse320(reader, flags);
  const capabilities = flags + reader.uint(2) * 0x1_0000;
  const maxPacket = reader.uint(4);
  const charset = reader.uint(1);
  reader.skip(FILLER_OCTETS);
  const extended = reader.uint(4);
  if (reader.short) return { type: 'malformed' };
  if (has(capabilities, CLIENT.ssl) && to - from - HEADER_OCTETS === SSL_REQUEST_OCTETS)
    return { type: 'tls' };
  const user = reader.text();
  const response: HandshakeResponse = {
    capabilities,
    extendedCapabilities: has(capabilities, CLIENT.mysql) ? 0 : extended,
    maxPacket,
    charset,
    user,
    authResponse: readAuthResponse(reader, capabilities),
  };
  // What is cut off at the end was never sent: some clients set a flag and leave its field out.
  if (has(capabilities, CLIENT.connectWithDb) && reader.left > 0) response.schema = reader.text();
  if (has(capabilities, CLIENT.pluginAuth) && reader.left > 0) response.authPlugin = reader.text();
  if (has(capabilities, CLIENT.connectAttrs) && reader.left > 0) {
    response.attributes = reader.take(reader.lenenc());
  }
  if (has(capabilities, CLIENT.zstdCompression) && reader.left > 0) response.zstdLevel = reader.uint(1);
  return reader.short ? { type: 'malformed' } : { type: 'response', response };
}

/** What follows the flags of a HandshakeResponse320: max packet, user, authentication response, schema. */
function parseResponse320(reader: OctetReader, capabilities: number): ClientHello {
  const maxPacket = reader.uint(3);
  if (reader.short) return { type: 'malformed' };
  const user = reader.text();
  const response: HandshakeResponse = {
    capabilities,
    extendedCapabilities: 0,
    maxPacket,
    charset: 0,
    user,
    authResponse: reader.untilNul(),
  };
  if (has(capabilities, CLIENT.connectWithDb) && reader.left > 0) response.schema = reader.text();
  return { type: 'response320', response };
}

function readAuthResponse(reader: OctetReader, capabilities: number): Uint8Array {
  if (has(capabilities, CLIENT.pluginAuthLenencClientData)) return reader.take(reader.lenenc());
  if (has(capabilities, CLIENT.secureConnection)) return reader.take(reader.uint(1));
  return reader.untilNul();
}

/** The SSLRequest (with its header) that goes before the packet for `response`, inside TLS then. */
export function writeSslRequest(response: HandshakeResponse, sequenceId: number): Uint8Array {
  return beginResponse(response).packet(sequenceId);
}

/**
 * The packet for `response`. Its flags rule which fields are written: a field whose flag is not set is left out, one
 * that is missing though its flag is set goes out empty.
 */
export function writeHandshakeResponse(response: HandshakeResponse, sequenceId: number): Uint8Array {
  const { capabilities, authResponse } = response;
  const writer = beginResponse(response).text(response.user);
  if (has(capabilities, CLIENT.pluginAuthLenencClientData)) {
    writer.lenenc(authResponse.length).octets(authResponse);
  } else if (has(capabilities, CLIENT.secureConnection)) {
    writer.uint(authResponse.length, 1).octets(authResponse);
  } else {
    writer.octets(authResponse).uint(0, 1);
  }
  if (has(capabilities, CLIENT.connectWithDb)) writer.text(response.schema ?? '');
  if (has(capabilities, CLIENT.pluginAuth)) writer.text(response.authPlugin ?? '');
  if (has(capabilities, CLIENT.connectAttrs)) {
    const attributes = response.attributes ?? new Uint8Array(0);
    writer.lenenc(attributes.length).octets(attributes);
  }
  if (has(capabilities, CLIENT.zstdCompression)) writer.uint(response.zstdLevel ?? 0, 1);
  return writer.packet(sequenceId);
}

/** The fields of HandshakeResponse41 that an SSLRequest has, too. */
function beginResponse({ capabilities, extendedCapabilities, maxPacket, charset }: HandshakeResponse) {
  return new OctetWriter()
    .uint(capabilities, 4)
    .uint(maxPacket, 4)
    .uint(charset, 1)
    .zeros(FILLER_OCTETS)
    .uint(has(capabilities, CLIENT.mysql) ? 0 : extendedCapabilities, 4);
}

/** Protocol::AuthSwitchRequest. */
export interface AuthSwitch {
  plugin: string;
  /** Without its closing NUL. */
  scramble: Uint8Array;
}

/** Parses the packet (header included) at [from, to), which MARK.eof begins. */
export function parseAuthSwitch(octets: Uint8Array, from: number, to: number): AuthSwitch {
  const reader = new OctetReader(octets, from + HEADER_OCTETS + 1, to);
  // No plugin's name at all is the server's way of asking for a password hash of before 4.1.
  if (reader.left === 0) return { plugin: 'mysql_old_password', scramble: new Uint8Array(0) };
  const plugin = reader.text();
  return { plugin, scramble: scrambleOf(reader.rest()) };
}

/** Without the closing NUL. client_ed25519's 32 octets have none, and the last of them may well be 0. */
export function scrambleOf(data: Uint8Array): Uint8Array {
  const hasNul = data.length === SCRAMBLE_HEAD + SCRAMBLE_TAIL && data.at(-1) === 0;
  return hasNul ? data.subarray(0, -1) : data;
}

/** What the packet (header included) at `from` is, by its first octet of payload; -1 where it has none. */
export function markOf(octets: Uint8Array, from: number, to: number): number {
  return to - from > HEADER_OCTETS ? octets[from + HEADER_OCTETS] : -1;
}

/**
 * Whether `response` is how a client without a password answers `plugin`: nothing, or in MySQL's newer plugins a NUL.
 * client_ed25519 signs also an empty password, which cannot be told: false.
 */
export function isEmptyAuth(plugin: string, response: Uint8Array): boolean {
  if (response.length === 0) return true;
  return plugin !== NATIVE_PASSWORD && response.length === 1 && response[0] === 0;
}
