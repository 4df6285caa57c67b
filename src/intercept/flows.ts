import type { MonotonicMs } from '../time.ts';
import type { FlowState, InterceptFlow } from './flow.ts';
import { FlowQueue } from './flow-queue.ts';
import { TupleTable } from './tuple-table.ts';

/** How long a released flow still answers the target, so that a lost last ACK or RST costs it nothing. */
const LINGER_MS = 15_000;

/** How long the flows of an owner that is gone wait for it to come back before they are reset on the target. */
export const LEASE_MS = 10_000;

/** What all flows together may take up. */
export interface FlowLimits {
  /** Flows that are over and still answer the target: one more, and the one that has been so for the longest time is forgotten. */
  lingering: number;
  /** Octets held that came ahead of their turn, or of their command. */
  heldOctets: number;
}

const LIMITS: FlowLimits = { lingering: 300_000, heldOctets: 256 << 20 };

/** All flows of a receiver, from their beginning until they are forgotten: each is in the table, and counted in its state. */
export class Flows {
  /** Also those that are over and linger. */
  readonly table = new TupleTable<InterceptFlow>();
  readonly #limits: FlowLimits;
  #live = 0;
  /** Those whose lease runs, and those that are over and still answer the target: in the order in which they end. */
  readonly #orphans = new FlowQueue<InterceptFlow>();
  readonly #lingering = new FlowQueue<InterceptFlow>();
  #heldOctets = 0;

  constructor(limits: Partial<FlowLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits };
  }

  /** Flows that are open: those of owners that are gone among them, while their lease runs. */
  get open(): number {
    return this.#live + this.#orphans.size;
  }

  /** Ends all leases: `end` must take the flow that it is given out of the orphans. */
  endAllLeases(end: (flow: InterceptFlow) => void): void {
    endUntil(this.#orphans, Number.POSITIVE_INFINITY, end);
  }

  /** Flows that are over and still answer the target. */
  get lingering(): number {
    return this.#lingering.size;
  }

  /** Octets that all of them hold. */
  get heldOctets(): number {
    return this.#heldOctets;
  }

  /** A flow begins; nothing else has its tuple. */
  add(flow: InterceptFlow): void {
    this.#live++;
    this.table.set(flow);
    this.weigh(flow);
  }

  /** The flow answers the target for a while, and nobody is told. `aborted`: with RST. */
  release(flow: InterceptFlow, aborted: boolean, now: MonotonicMs): void {
    this.#silence(flow, aborted || flow.half.state === 'syn-sent' ? 'aborted' : 'released');
    flow.forgetAt = now + LINGER_MS;
    this.#lingering.add(flow);
    if (this.#lingering.size <= this.#limits.lingering) return;
    if (this.#lingering.first !== undefined) this.forget(this.#lingering.first);
  }

  /** The flow waits to be resumed. */
  orphan(flow: InterceptFlow, now: MonotonicMs): void {
    this.#silence(flow, 'orphan');
    flow.forgetAt = now + LEASE_MS;
    this.#orphans.add(flow);
  }

  /** Nothing more is known of it. */
  forget(flow: InterceptFlow): void {
    this.replace(flow);
    this.table.delete(flow);
  }

  /** The same, but its place in the table is for the flow of the same tuple that is added next. */
  replace(flow: InterceptFlow): void {
    this.#silence(flow, 'forgotten');
  }

  /** `end` must take each flow whose lease is over out of the orphans. */
  endLeases(now: MonotonicMs, end: (flow: InterceptFlow) => void): void {
    endUntil(this.#orphans, now, end);
    endUntil(this.#lingering, now, (flow) => this.forget(flow));
  }

  /** To be called when what the flow holds may have changed. Beyond the limit of all flows, what it holds is given up. */
  weigh(flow: InterceptFlow): void {
    const grew = this.#count(flow) > 0;
    if (!grew || this.#heldOctets <= this.#limits.heldOctets) return;
    // What came ahead of its turn the target sends again. What came ahead of its command it does not: that flow cannot be read any more.
    flow.half.renege();
    if ((flow.reader?.heldOctets ?? 0) > 0) flow.giveUpReading();
    this.#count(flow);
  }

  /** Returns by how much it holds more than before. */
  #count(flow: InterceptFlow): number {
    const more = flow.heldOctets - flow.counted;
    this.#heldOctets += more;
    flow.counted += more;
    return more;
  }

  /** Takes the flow out of where its state has it, into one of which nobody is told. */
  #silence(flow: InterceptFlow, state: FlowState): void {
    if (flow.state === 'live') this.#live--;
    else if (flow.state === 'orphan') this.#orphans.remove(flow);
    else if (flow.state !== 'forgotten') this.#lingering.remove(flow);
    flow.fallSilent(state);
    this.#count(flow);
  }
}

/** Ends the flows of a queue, oldest first, that are to end by `now`: `end` must take each out of it. */
function endUntil(
  queue: FlowQueue<InterceptFlow>,
  now: MonotonicMs,
  end: (flow: InterceptFlow) => void,
): void {
  for (let flow = queue.first; flow !== undefined && flow.forgetAt <= now; flow = queue.first) end(flow);
}
