import { type Address, ipv4Number } from '../wire/address.ts';
import { AddressBook } from '../wire/address-book.ts';
import type { IcmpError } from '../wire/icmp.ts';
import type { Segment } from '../wire/segment.ts';
import type { Tuple } from '../wire/tuple.ts';

/** IPv6 addresses that may be remembered without being in use, beside as many as there are entries. */
const SPARE_ADDRESSES = 65_536;

/** One `V` a tuple, its own. Keys are numbers: an address and its port make one. What it takes up goes by the entries it has. */
export class TupleTable<V extends { readonly tuple: Tuple }> {
  readonly #spare: number;
  #book = new AddressBook();
  /** Target's key -> client's key -> value. */
  #targets = new Map<number, Map<number, V>>();
  #size = 0;

  constructor(spareAddresses = SPARE_ADDRESSES) {
    this.#spare = spareAddresses;
  }

  /** Entries. */
  get size(): number {
    return this.#size;
  }

  /** IPv6 addresses that are remembered. */
  get addresses(): number {
    return this.#book.size;
  }

  get(tuple: Tuple): V | undefined {
    const { target, targetPort, client, clientPort } = tuple;
    const clients = this.#targets.get(this.#known(target) * 65536 + targetPort);
    return clients?.get(this.#known(client) * 65536 + clientPort);
  }

  /** Replaces what has that tuple. */
  set(value: V): void {
    // An entry has two addresses at most.
    if (this.#book.size >= 2 * this.#size + this.#spare) this.#rebuild();
    const { tuple } = value;
    const key = this.#targetKey(tuple);
    let clients = this.#targets.get(key);
    if (clients === undefined) this.#targets.set(key, (clients = new Map()));
    const before = clients.size;
    clients.set(this.#clientKey(tuple), value);
    this.#size += clients.size - before;
  }

  /** Takes `value` out, unless its tuple has another one by now. */
  delete(value: V): void {
    const targetKey = this.#targetKey(value.tuple);
    const clients = this.#targets.get(targetKey);
    const key = this.#clientKey(value.tuple);
    if (clients?.get(key) !== value) return;
    clients.delete(key);
    if (clients.size === 0) this.#targets.delete(targetKey);
    this.#size--;
  }

  /** Whose connection `segment` of the target's belongs to. */
  of(segment: Segment): V | undefined {
    let { src, dst } = segment;
    if (segment.family === 6) {
      src = this.#book.find(segment.octets, segment.srcOffset);
      dst = this.#book.find(segment.octets, segment.dstOffset);
      if (src < 0 || dst < 0) return undefined;
    }
    return this.#targets.get(src * 65536 + segment.srcPort)?.get(dst * 65536 + segment.dstPort);
  }

  /** Whose segment to the target `error`, parsed from `octets`, is about. */
  ofQuoted(error: IcmpError, octets: Uint8Array): V | undefined {
    let { src, dst } = error;
    if (error.family === 6) {
      src = this.#book.find(octets, error.srcOffset);
      dst = this.#book.find(octets, error.dstOffset);
      if (src < 0 || dst < 0) return undefined;
    }
    return this.#targets.get(dst * 65536 + error.dstPort)?.get(src * 65536 + error.srcPort);
  }

  #targetKey({ target, targetPort }: Tuple): number {
    return this.#book.add(target) * 65536 + targetPort;
  }

  #clientKey({ client, clientPort }: Tuple): number {
    return this.#book.add(client) * 65536 + clientPort;
  }

  /** The address's id, or a negative number where no entry has had it: asking must not make the book grow. */
  #known(address: Address): number {
    return address.family === 4 ? ipv4Number(address) : this.#book.find(address.octets, 0);
  }

  /** Forgets the addresses of entries that are gone. */
  #rebuild(): void {
    const before = this.#targets;
    this.#book = new AddressBook();
    this.#targets = new Map();
    for (const clients of before.values()) {
      const [first] = clients.values();
      const anew = new Map<number, V>();
      for (const value of clients.values()) anew.set(this.#clientKey(value.tuple), value);
      this.#targets.set(this.#targetKey(first.tuple), anew);
    }
  }
}
