/** Ports that clients use: above the well-known services, below nothing of interest. */
const FIRST_PORT = 10_000;
const LAST_PORT = 64_999;
const PORTS = LAST_PORT - FIRST_PORT + 1;

/**
 * Hands out client ports, for each client address on its own, so that no two connections under way share one, and a port
 * comes round again only after all the others: the target may still hold the last connection in TIME_WAIT.
 */
export class PortAllocator {
  readonly #clients = new Map<number, { next: number; used: Set<number> }>();
  readonly #start: number;

  /** `seed` moves the first port of a run away from that of the last one. */
  constructor(seed: number) {
    this.#start = Math.abs(Math.trunc(seed)) % PORTS;
  }

  /** A free port for `client` (its IPv4 address as a number), or undefined where all 55,000 are in use. */
  take(client: number): number | undefined {
    let ports = this.#clients.get(client);
    if (ports === undefined) {
      ports = { next: this.#start, used: new Set() };
      this.#clients.set(client, ports);
    }
    if (ports.used.size === PORTS) return undefined;
    while (ports.used.has(ports.next)) ports.next = (ports.next + 1) % PORTS;
    const port = ports.next;
    ports.used.add(port);
    ports.next = (port + 1) % PORTS;
    return FIRST_PORT + port;
  }

  give(client: number, port: number): void {
    this.#clients.get(client)?.used.delete(port - FIRST_PORT);
  }
}
