import { CLIENT, inBoth } from './capabilities.ts';
import {
  type Greeting,
  type HandshakeResponse,
  isEmptyAuth,
  parseAuthSwitch,
  parseClientHello,
  parseGreeting,
} from './handshake.ts';
import { NATIVE_PASSWORD } from './native-password.ts';
import { copyOf, HEADER_OCTETS, MARK, parseError } from './packet.ts';

/** What a capture shows of how a session began. */
export interface LoginShown {
  /** The client's words, its capabilities reduced to those in force: clients set flags that the server had not offered. */
  response: HandshakeResponse;
  capabilities: number;
  extendedCapabilities: number;
  /** The server's number for the connection. */
  connectionId: number;
  /** The nonce of the server's greeting: no other connection has the same. */
  nonce: Uint8Array;
  /** The protocol is that of before 4.1. */
  old: boolean;
}

/** What the client's first packet makes of the conversation. */
export type HelloStep = 'authentication' | 'tls' | 'malformed';

/** The login of a recorded connection, packet by packet (each with its header, at [from, to)), as far as a replay needs it. */
export class RecordedLogin {
  #greeting: Greeting | undefined;
  #shown: LoginShown | undefined;
  #plugin = NATIVE_PASSWORD;

  /** Whether the server greets. An ERR in a greeting's place is none. */
  greeting(octets: Uint8Array, from: number, to: number): boolean {
    this.#greeting = parseGreeting(octets, from, to);
    return this.#greeting !== undefined;
  }

  get shown(): LoginShown | undefined {
    return this.#shown;
  }

  /** The client's first packet; after SSLRequest and the TLS handshake once more. */
  hello(octets: Uint8Array, from: number, to: number): HelloStep {
    const hello = parseClientHello(octets, from, to);
    if (hello.type === 'tls' || hello.type === 'malformed') return hello.type;
    const greeting = this.#greeting as Greeting;
    const { response } = hello;
    this.#plugin = response.authPlugin ?? (greeting.authPlugin || NATIVE_PASSWORD);
    const capabilities = inBoth(response.capabilities, greeting.capabilities);
    const extendedCapabilities = inBoth(response.extendedCapabilities, greeting.extendedCapabilities);
    this.#shown = {
      response: {
        ...response,
        capabilities,
        extendedCapabilities,
        withPassword: !isEmptyAuth(this.#plugin, response.authResponse),
      },
      capabilities,
      extendedCapabilities,
      connectionId: greeting.connectionId,
      nonce: greeting.scramble,
      old: (capabilities & CLIENT.protocol41) === 0,
    };
    return 'authentication';
  }

  /** The server asks for an authentication, or for more of it. */
  asked(octets: Uint8Array, from: number, to: number): void {
    if (octets[from + HEADER_OCTETS] === MARK.eof) this.#plugin = parseAuthSwitch(octets, from, to).plugin;
  }

  /** What the client answers. */
  answered(octets: Uint8Array, from: number, to: number): void {
    const { response } = this.#shown as LoginShown;
    if (!isEmptyAuth(this.#plugin, copyOf(octets, from + HEADER_OCTETS, to))) response.withPassword = true;
  }

  /** The error of the server's that the ERR at [from, to) tells. */
  refused(octets: Uint8Array, from: number, to: number): number {
    return parseError(octets, from, to).errno;
  }
}
