import { AddressBook } from '../wire/address-book.ts';
import type { IcmpError } from '../wire/icmp.ts';
import type { Segment } from '../wire/segment.ts';
import type { Tuple } from '../wire/tuple.ts';

/** One `V` a tuple. Keys are numbers: an address and its port make one. */
export class TupleTable<V> {
  readonly #book = new AddressBook();
  /** Target's key -> client's key -> value. */
  readonly #targets = new Map<number, Map<number, V>>();

  get(tuple: Tuple): V | undefined {
    const target = this.#targets.get(this.#book.add(tuple.target) * 65536 + tuple.targetPort);
    return target?.get(this.#book.add(tuple.client) * 65536 + tuple.clientPort);
  }

  /** Replaces what stands there. */
  set(tuple: Tuple, value: V): void {
    const key = this.#book.add(tuple.target) * 65536 + tuple.targetPort;
    let clients = this.#targets.get(key);
    if (clients === undefined) this.#targets.set(key, (clients = new Map()));
    clients.set(this.#book.add(tuple.client) * 65536 + tuple.clientPort, value);
  }

  /** Takes `value` out, unless the tuple has another one by now. */
  delete(tuple: Tuple, value: V): void {
    const clients = this.#targets.get(this.#book.add(tuple.target) * 65536 + tuple.targetPort);
    const key = this.#book.add(tuple.client) * 65536 + tuple.clientPort;
    if (clients?.get(key) === value) clients.delete(key);
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
}
