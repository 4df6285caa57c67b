import { type Address, addressFromOctets } from '../wire/address.ts';
import type { Destination, MappingJob, Mappings, ServerOf } from './mappings.ts';

/**
 * Layout of the shared memory, 20 octets a mapping: a word that says how far the place is (FREE, WRITING, 4 or 6: the
 * IP version of the address that follows), then the 16 octets of the address.
 */
const PLACE_WORDS = 5;
const FREE = 0;
const WRITING = 1;

/** Told of a server that is not mirrored because another one of the same port was seen first. */
export type OnOther = (server: Address, port: number, first: Address) => void;

/**
 * Mappings of a live run. A mapping without address takes the first server that is seen on its port, and keeps it for the
 * whole run and for all its threads, which share the memory. Several addresses of one server count as one (`MappingJob.alike`).
 */
export class LiveMappings implements Mappings {
  readonly #jobs: readonly MappingJob[];
  readonly #words: Int32Array;
  readonly #octets: Uint8Array;
  readonly #onOther: OnOther;
  /** What was decided, by `ADDRESS PORT`: undefined where the server is of no mapping. */
  readonly #known = new Map<string, Destination | undefined>();

  /** `buffer`: of `share`, the same in all threads. */
  constructor(jobs: readonly MappingJob[], buffer: SharedArrayBuffer, onOther: OnOther) {
    this.#jobs = jobs;
    this.#words = new Int32Array(buffer);
    this.#octets = new Uint8Array(buffer);
    this.#onOther = onOther;
  }

  /** The memory that the threads of a run share. */
  static share(jobs: readonly MappingJob[]): SharedArrayBuffer {
    return new SharedArrayBuffer(jobs.length * PLACE_WORDS * Int32Array.BYTES_PER_ELEMENT);
  }

  of({ server, serverPort }: ServerOf): Destination | undefined {
    const key = `${server.text} ${serverPort}`;
    if (this.#known.has(key)) return this.#known.get(key);
    const destination = this.#decide(server, serverPort);
    this.#known.set(key, destination);
    return destination;
  }

  isOther({ server, serverPort }: ServerOf): boolean {
    const key = `${server.text} ${serverPort}`;
    if (this.#known.has(key)) return this.#known.get(key) === undefined;
    const index = this.#indexOf(server, serverPort);
    if (index < 0) return true;
    const first = this.addressOf(index);
    return first !== undefined && !this.#isSame(index, first, server);
  }

  /** The server that mapping `index` takes; undefined: none was seen yet. */
  addressOf(index: number): Address | undefined {
    const at = index * PLACE_WORDS;
    // Another thread writes the address now, which takes it no time.
    let family = Atomics.load(this.#words, at);
    while (family === WRITING) family = Atomics.load(this.#words, at);
    return family === FREE ? undefined : addressFromOctets(this.#octets, 4 * (at + 1), family);
  }

  #decide(server: Address, port: number): Destination | undefined {
    const index = this.#indexOf(server, port);
    if (index < 0) return undefined;
    const { source, target } = this.#jobs[index];
    if (source !== undefined) return { server: index, target };
    const first = this.#claim(index, server);
    if (this.#isSame(index, first, server)) return { server: index, target };
    this.#onOther(server, port, first);
    return undefined;
  }

  /** The mapping that names `server`, or else the one of its port that names none; -1: there is neither. */
  #indexOf(server: Address, port: number): number {
    const named = this.#jobs.findIndex((job) => job.port === port && job.source === server.text);
    return named >= 0 ? named : this.#jobs.findIndex((job) => job.port === port && job.source === undefined);
  }

  /** Whose mapping `index` is, from now on at the latest. */
  #claim(index: number, server: Address): Address {
    const at = index * PLACE_WORDS;
    if (Atomics.compareExchange(this.#words, at, FREE, WRITING) === FREE) {
      this.#octets.set(server.octets, 4 * (at + 1));
      Atomics.store(this.#words, at, server.family);
    }
    return this.addressOf(index) as Address;
  }

  #isSame(index: number, first: Address, server: Address): boolean {
    const { alike = [] } = this.#jobs[index];
    return first.text === server.text || (alike.includes(first.text) && alike.includes(server.text));
  }
}
