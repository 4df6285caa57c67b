import type { Address } from '../wire/address.ts';
import { NumberSet } from './number-set.ts';

/** Ports of which each client address has its own, both ends included. */
export interface PortRange {
  first: number;
  last: number;
}

/** Ports that clients use: above the well-known services, below nothing of interest. */
export const CLIENT_PORTS: PortRange = { first: 10_000, last: 64_999 };

export interface PortOptions extends Partial<PortRange> {
  /** With `of`: only ports whose remainder by `of` is this. Worker threads share the ports of an address so. */
  index?: number;
  of?: number;
  /** Ports that somebody else has. */
  except?: ReadonlySet<number>;
}

const FIRST_CLIENTS = 16;
const NONE: ReadonlySet<number> = new Set();

/**
 * Hands out client ports, for each client address on its own, so that no two connections under way share one, and a port
 * comes round again only after all the others: the target may still hold the last connection in TIME_WAIT.
 *
 * An address costs an entry of a map and 4 octets, a connection under way 16 to 32 octets: 50,000 of either are cheap.
 */
export class PortAllocator {
  /** Clients' numbers, by their addresses' text. Kept for the run: who comes again goes on where it was. */
  readonly #clients = new Map<string, number>();
  /** By client: its place in the round, and how many of its ports are in use. */
  #next = new Uint16Array(FIRST_CLIENTS);
  #inUse = new Uint16Array(FIRST_CLIENTS);
  /** Client's number * 65536 + port, of all that are in use. */
  readonly #used = new NumberSet();
  /** The port at place p of the round is `#first + p * #step`. */
  readonly #first: number;
  readonly #step: number;
  readonly #places: number;
  readonly #start: number;
  readonly #except: ReadonlySet<number>;
  /** Places less those of `#except`. */
  readonly #most: number;

  /** `seed` moves the first port of a run away from that of the last one. */
  constructor(seed: number, options: PortOptions = {}) {
    const { first, last, index = 0, of = 1, except = NONE } = { ...CLIENT_PORTS, ...options };
    this.#first = first + ((((index - first) % of) + of) % of);
    this.#step = of;
    this.#places = Math.floor((last - this.#first) / of) + 1;
    this.#start = Math.abs(Math.trunc(seed)) % this.#places;
    this.#except = except;
    let taken = 0;
    for (const port of except) {
      if (port >= this.#first && port <= last && (port - this.#first) % of === 0) taken++;
    }
    this.#most = this.#places - taken;
  }

  /** A free port for `client`, or undefined where all are in use. */
  take(client: Address): number | undefined {
    const number = this.#numberOf(client);
    if (this.#inUse[number] >= this.#most) return undefined;
    let place = this.#next[number];
    let port = this.#portAt(place);
    while (this.#used.has(number * 65536 + port) || this.#except.has(port)) {
      place = (place + 1) % this.#places;
      port = this.#portAt(place);
    }
    this.#used.add(number * 65536 + port);
    this.#inUse[number]++;
    this.#next[number] = (place + 1) % this.#places;
    return port;
  }

  /** Gives back a port that `take` answered for `client`. */
  give(client: Address, port: number): void {
    const number = this.#numberOf(client);
    this.#used.delete(number * 65536 + port);
    this.#inUse[number]--;
  }

  #portAt(place: number): number {
    return this.#first + place * this.#step;
  }

  #numberOf(client: Address): number {
    const known = this.#clients.get(client.text);
    if (known !== undefined) return known;
    const number = this.#clients.size;
    if (number === this.#next.length) {
      this.#next = grown(this.#next);
      this.#inUse = grown(this.#inUse);
    }
    this.#clients.set(client.text, number);
    this.#next[number] = this.#start;
    return number;
  }
}

function grown(column: Uint16Array): Uint16Array<ArrayBuffer> {
  const larger = new Uint16Array(column.length * 2);
  larger.set(column);
  return larger;
}
