import { type Address, addressFromOctets, parseAddress } from '../wire/address.ts';
import { holds, type Prefix, prefixOf } from '../wire/prefixes.ts';

/** From which address a copy of a recorded client's session speaks to the target. */
export interface ClientAddresses {
  /**
   * The same for the same client and copy, every time. undefined: from none, because the client is of another IP version than
   * the target.
   */
  addressOf(client: Address, copy: number): Address | undefined;
  /** Clients that will be asked for, in the order that they are counted in. */
  learn(clients: Iterable<string>): void;
}

/** Each copy speaks from the recorded client's own address. */
export class RecordedClients implements ClientAddresses {
  readonly #family: 4 | 6;

  /** `family` is the target's. */
  constructor(family: 4 | 6) {
    this.#family = family;
  }

  addressOf(client: Address): Address | undefined {
    return client.family === this.#family ? client : undefined;
  }

  learn(): void {}
}

/** All speak from one address: this host's own. */
export class OneClient implements ClientAddresses {
  readonly #address: Address;

  constructor(address: Address) {
    this.#address = address;
  }

  addressOf(): Address {
    return this.#address;
  }

  learn(): void {}
}

/**
 * Recorded clients, of whichever IP version, are spread over a range: each pair of client and copy has an address of its own as
 * long as there are enough, and beyond that all addresses have equally many pairs, to within one. Pairs are counted off in
 * the order of `clients`; who is not among them comes after them, in the order of being asked for.
 */
export class SpreadClients implements ClientAddresses {
  readonly #range: Range;
  readonly #copies: number;
  /** A client's place, by its address' text. */
  readonly #places = new Map<string, number>();

  constructor(range: Range, copies: number, clients: Iterable<string>) {
    this.#range = range;
    this.#copies = copies;
    this.learn(clients);
  }

  learn(clients: Iterable<string>): void {
    for (const client of clients) this.#placeOf(client);
  }

  addressOf(client: Address, copy: number): Address {
    return this.#range.at((this.#placeOf(client.text) * this.#copies + copy) % this.#range.size);
  }

  #placeOf(client: string): number {
    const known = this.#places.get(client);
    if (known !== undefined) return known;
    const place = this.#places.size;
    this.#places.set(client, place);
    return place;
  }
}

/**
 * A range of addresses, as in 10.99.0.0/16. Of IPv4 the first address, the network's, and the last, its broadcast, are left out; of
 * IPv6 the first, which all its routers answer to (RFC 4291 2.6.1). Ranges of one or two addresses are all addresses (RFC 3021,
 * RFC 6164).
 */
export class Range {
  readonly family: 4 | 6;
  readonly text: string;
  /** Addresses that hosts may have, at most 2^48: more than anybody counts. */
  readonly size: number;
  readonly #prefix: Prefix;
  readonly #skip: number;

  private constructor(prefix: Prefix) {
    const { base, bits } = prefix;
    this.family = base.family;
    this.text = `${base.text}/${bits}`;
    this.#prefix = prefix;
    const hostBits = base.octets.length * 8 - bits;
    this.#skip = hostBits > 1 ? 1 : 0;
    const leftOut = this.#skip * (base.family === 4 ? 2 : 1);
    this.size = 2 ** Math.min(hostBits, 48) - leftOut;
  }

  /** The range that `text` writes; else, as text, what it should be. */
  static parse(text: string): Range | string {
    const form = 'not a range of addresses, as in 10.99.0.0/16 or fd00:99::/64';
    const [, host, length] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
    const address = host === undefined ? undefined : parseAddress(host);
    if (address === undefined) return form;
    const bits = Number(length);
    if (bits > address.octets.length * 8) return form;
    const prefix = prefixOf(address, bits);
    if (prefix.base.text !== address.text) {
      return `not a range: it has bits beyond its first ${bits} (write ${prefix.base.text}/${bits})`;
    }
    return new Range(prefix);
  }

  /** Whether the address that `text` writes is in it. */
  has(text: string): boolean {
    const address = parseAddress(text);
    return address !== undefined && holds(this.#prefix, address);
  }

  /** The address at `index`, from 0 to `size` - 1. A copy of its own. */
  at(index: number): Address {
    const octets = new Uint8Array(this.#prefix.base.octets);
    let left = index + this.#skip;
    for (let i = octets.length - 1; left > 0; i--) {
      octets[i] |= left % 256;
      left = Math.floor(left / 256);
    }
    return addressFromOctets(octets, 0, this.family);
  }
}
