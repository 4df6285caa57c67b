import type { CaptureNs } from '../time.ts';
import type { PacketSource } from '../wire/packets.ts';
import { PARSE, Segment } from '../wire/segment.ts';
import type { FollowedClock } from './followed-clock.ts';
import { type ServerEnd, ServerEnds } from './server-ends.ts';

/** Plain data, so that it can be sent to other threads. */
export interface IdleData {
  /** Where each cut begins, ascending … */
  from: Float64Array;
  /** … and where it ends: the next packet. */
  until: Float64Array;
}

/** The idle stretches of a recording that are to be cut. */
export class IdleGaps {
  readonly data: IdleData;
  /** What is cut before `data.from[i]`, ns. */
  readonly #before: Float64Array;

  private constructor(data: IdleData) {
    this.data = data;
    const { from, until } = data;
    this.#before = new Float64Array(from.length);
    for (let i = 1; i < from.length; i++) this.#before[i] = this.#before[i - 1] + until[i - 1] - from[i - 1];
  }

  static from(data: IdleData): IdleGaps {
    return new IdleGaps(data);
  }

  get count(): number {
    return this.data.from.length;
  }

  /** What is cut in all, ns. */
  get cutNs(): number {
    return this.count === 0 ? 0 : this.#cutBefore(this.data.until[this.count - 1]);
  }

  /** `at` without what is cut before it. A moment within a cut is where the cut begins. */
  cut(at: CaptureNs): CaptureNs {
    return at - this.#cutBefore(at);
  }

  #cutBefore(at: CaptureNs): number {
    const { from, until } = this.data;
    let low = 0;
    let high = from.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (from[middle] < at) low = middle + 1;
      else high = middle;
    }
    const i = low - 1;
    return i < 0 ? 0 : this.#before[i] + Math.min(at, until[i]) - from[i];
  }
}

/**
 * Reads all of `source` for stretches of more than `mostNs` in which nobody said anything: no segment with data from or to
 * one of `servers`. Each is to be cut down to `mostNs`. `clock`: times are those that it followed. Rejects where the source does.
 */
export async function findIdle(
  source: PacketSource,
  servers: readonly ServerEnd[],
  mostNs: number,
  clock?: FollowedClock,
): Promise<IdleGaps> {
  const ends = new ServerEnds(servers);
  const from: number[] = [];
  const until: number[] = [];
  const segment = new Segment();
  let last = Number.POSITIVE_INFINITY;
  for await (const { linkType, octets, view, count, offset, length, at } of source) {
    for (let i = 0; i < count; i++) {
      if (segment.parse(octets, view, offset[i], length[i], linkType) !== PARSE.ok) continue;
      if (segment.wireDataLength === 0 || !ends.has(segment)) continue;
      const time = clock === undefined ? at[i] : clock.at(at[i]);
      if (time - last > mostNs) {
        from.push(last + mostNs);
        until.push(time);
      }
      // Packets of several rings may be a little out of order.
      if (time > last || last === Number.POSITIVE_INFINITY) last = time;
    }
  }
  return IdleGaps.from({ from: Float64Array.from(from), until: Float64Array.from(until) });
}
