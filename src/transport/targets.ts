import type { Connection, ConnectionHandler, Identity, Transport, TransportStats } from './transport.ts';

/** One transport for each target of a run, as one: `Identity.target` says which of them a connection is for. */
export class TargetsTransport implements Transport {
  /** All of them, or none: it is an option of the run. */
  readonly tls: boolean;
  readonly #targets: readonly Transport[];
  readonly #oneCapture: boolean;

  /** Takes ownership of `targets`, at least one. `oneCapture`: all of them report the one capture of an intercept. */
  constructor(targets: readonly Transport[], oneCapture: boolean) {
    this.#targets = targets;
    this.#oneCapture = oneCapture;
    this.tls = targets[0].tls === true;
  }

  refuses(identity: Identity): string | undefined {
    return this.#of(identity).refuses(identity);
  }

  connect(identity: Identity, handler: ConnectionHandler): Connection {
    return this.#of(identity).connect(identity, handler);
  }

  flush(): void {
    for (const target of this.#targets) target.flush();
  }

  stats(): TransportStats {
    return sumStats(
      this.#targets.map((target) => target.stats()),
      this.#oneCapture,
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#targets.map((target) => target.close()));
  }

  #of({ target = 0 }: Identity): Transport {
    return this.#targets[target];
  }
}

/** What several transports counted, together. `oneCapture`: all of them report the one capture of an intercept. */
export function sumStats(each: readonly TransportStats[], oneCapture: boolean): TransportStats {
  const sum = { packetsOut: 0, packetsIn: 0, retransmitted: 0, captureDropped: 0 };
  for (const stats of each) {
    sum.packetsOut += stats.packetsOut;
    sum.retransmitted += stats.retransmitted;
    sum.packetsIn = oneCapture ? Math.max(sum.packetsIn, stats.packetsIn) : sum.packetsIn + stats.packetsIn;
    sum.captureDropped = oneCapture
      ? Math.max(sum.captureDropped, stats.captureDropped)
      : sum.captureDropped + stats.captureDropped;
  }
  return sum;
}
