import { constants, createHash, generateKeyPairSync, type KeyObject, privateDecrypt } from 'node:crypto';
import { CLIENT } from '../../../src/mysql/capabilities.ts';
import { parseClientHello } from '../../../src/mysql/handshake.ts';
import { HEADER_OCTETS } from '../../../src/mysql/packet.ts';
import { err, ok, packets, payload } from './packets.ts';

export interface ScriptedAccount {
  plugin: 'caching_sha2_password' | 'sha256_password';
  password: string;
  /** caching_sha2_password: whether the server remembers it from a login before. */
  cached?: boolean;
}

export interface ScriptedMySql8Options {
  /** The greeting's plugin. */
  authPlugin?: string;
  users: Readonly<Record<string, ScriptedAccount>>;
  /** Asks by a greeting of its own that TLS is there. */
  capabilities?: number;
}

let keys: { publicKey: string; privateKey: KeyObject } | undefined;

const RSA_OCTETS = 256;

/** One for all: it takes its time. */
function rsaKeys(): { publicKey: string; privateKey: KeyObject } {
  if (keys === undefined) {
    const pair = generateKeyPairSync('rsa', { modulusLength: 8 * RSA_OCTETS });
    keys = {
      publicKey: pair.publicKey.export({ type: 'spki', format: 'pem' }) as string,
      privateKey: pair.privateKey,
    };
  }
  return keys;
}

/** What a client may be given beforehand, in PEM. */
export function publicKey(): string {
  return rsaKeys().publicKey;
}

function sha256(...parts: Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function xor(octets: Uint8Array, mask: Uint8Array): Buffer {
  return Buffer.from(octets.map((octet, i) => octet ^ mask[i % mask.length]));
}

/** Two nonces, the greeting's and every AuthSwitchRequest's: 20 octets, no NUL among them. */
export const SCRAMBLE = Uint8Array.from({ length: 20 }, (_, i) => 33 + i);
export const OTHER_SCRAMBLE = Uint8Array.from({ length: 20 }, (_, i) => 90 + i);

export const OFFERED =
  (CLIENT.mysql |
    CLIENT.foundRows |
    CLIENT.connectWithDb |
    CLIENT.protocol41 |
    CLIENT.ssl |
    CLIENT.transactions |
    CLIENT.secureConnection |
    CLIENT.pluginAuth |
    CLIENT.pluginAuthLenencClientData) >>>
  0;

/** A HandshakeV10. */
export function greeting(authPlugin: string, capabilities = OFFERED, extendedCapabilities = 0): Uint8Array {
  const lower = (value: number) => Uint8Array.of(value, value >>> 8);
  const upper = (value: number) => lower(value >>> 16);
  const head = [10, '8.0.36', 0, 9, 1, 0, 0, SCRAMBLE.subarray(0, 8), 0];
  const flags = [lower(capabilities), 45, 2, 0, upper(capabilities), 21, new Uint8Array(6)];
  const extended = [lower(extendedCapabilities), upper(extendedCapabilities)];
  return packets(0, payload(...head, ...flags, ...extended, SCRAMBLE.subarray(8), 0, authPlugin, 0));
}

/**
 * The server's side of MySQL 8's logins, by the manual's "Caching SHA-2 Pluggable Authentication" and "SHA-256 Pluggable
 * Authentication", packet by packet. What stands for a real one is trusted as far as real clients get in.
 */
export class ScriptedMySql8 {
  /** What the client sent since the greeting, by the names of the protocol's parts. */
  readonly seen: string[] = [];
  readonly #options: ScriptedMySql8Options;
  #account: ScriptedAccount | undefined;
  #scramble = SCRAMBLE;
  #stage: 'hello' | 'first' | 'full' | 'key' | 'over' = 'hello';
  /** The client is in TLS. */
  #secure = false;

  constructor(options: ScriptedMySql8Options) {
    this.#options = options;
  }

  greeting(): Uint8Array {
    return greeting(this.#options.authPlugin ?? 'caching_sha2_password', this.#options.capabilities);
  }

  /** The answer to the client's next packet, header included; empty where the client goes on (after SSLRequest). */
  onPacket(octets: Uint8Array): Uint8Array {
    const sequenceId = (octets[3] + 1) & 255;
    const reply = (...payloads: Uint8Array[]) => packets(sequenceId, ...payloads);
    const data = octets.subarray(HEADER_OCTETS);
    switch (this.#stage) {
      case 'hello':
        return this.#hello(octets, reply);
      case 'first':
        return reply(...this.#first(data));
      case 'full':
        return reply(...this.#full(data));
      case 'key':
        return reply(this.#encrypted(data));
      default:
        throw new Error('the client goes on behind the end of its login');
    }
  }

  #hello(octets: Uint8Array, reply: (...payloads: Uint8Array[]) => Uint8Array): Uint8Array {
    const hello = parseClientHello(octets, 0, octets.length);
    if (hello.type === 'tls') {
      this.seen.push('SSLRequest');
      this.#secure = true;
      return new Uint8Array(0);
    }
    if (hello.type !== 'response') throw new Error(`no HandshakeResponse41 but ${hello.type}`);
    const { user, authPlugin, authResponse } = hello.response;
    this.seen.push(`HandshakeResponse41 ${authPlugin}`);
    this.#account = this.#options.users[user];
    if (this.#account === undefined) return reply(this.#end(false));
    if (authPlugin === this.#account.plugin) return reply(...this.#first(authResponse));
    this.#stage = 'first';
    this.#scramble = OTHER_SCRAMBLE;
    return reply(payload(0xfe, this.#account.plugin, 0, OTHER_SCRAMBLE, 0));
  }

  #first(data: Uint8Array): Uint8Array[] {
    const { plugin, password, cached = false } = this.#account as ScriptedAccount;
    if (data.length === 1 && data[0] === 0) {
      this.seen.push('empty');
      return [this.#end(password === '')];
    }
    if (plugin === 'sha256_password') {
      if (data.length === 1 && data[0] === 1) return this.#publicKey();
      return [this.#password(data)];
    }
    this.seen.push('scramble');
    const stored = sha256(sha256(Buffer.from(password)));
    const once = xor(data, sha256(stored, this.#scramble));
    if (data.length !== 32) return [this.#end(false)];
    if (cached) {
      const right = sha256(once).equals(stored);
      return right ? [payload(1, 3), this.#end(true)] : [this.#end(false)];
    }
    this.#stage = 'full';
    return [payload(1, 4)];
  }

  #full(data: Uint8Array): Uint8Array[] {
    if (data.length === 1 && data[0] === 2) return this.#publicKey();
    return [this.#password(data)];
  }

  #publicKey(): Uint8Array[] {
    this.seen.push('key request');
    this.#stage = 'key';
    return [payload(1, rsaKeys().publicKey)];
  }

  /** As it is, or encrypted by one who has the key already. */
  #password(data: Uint8Array): Uint8Array {
    return data.length === RSA_OCTETS ? this.#encrypted(data) : this.#clear(data);
  }

  #encrypted(data: Uint8Array): Uint8Array {
    this.seen.push('encrypted');
    return this.#end(this.#decrypt(data));
  }

  /** A password as it is, which must not be seen where others could see it, too. */
  #clear(data: Uint8Array): Uint8Array {
    this.seen.push('clear');
    if (!this.#secure) throw new Error('a password in clear, outside TLS');
    return this.#end(Buffer.from(data).toString() === `${this.#account?.password}\0`);
  }

  #decrypt(data: Uint8Array): boolean {
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const plain = privateDecrypt({ key: rsaKeys().privateKey, padding, oaepHash: 'sha1' }, data);
    return xor(plain, this.#scramble).toString() === `${this.#account?.password}\0`;
  }

  #end(right: boolean): Uint8Array {
    this.#stage = 'over';
    return right ? ok() : err(1045, 'Access denied');
  }
}
