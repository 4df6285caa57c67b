/** The interlock over all targets of a run: before anything is opened, and once more where the run then waits. Decision 0033. */

import type { ProtocolName } from '../../replay/protocol.ts';
import { sayLine } from '../../report/output.ts';
import type { MonotonicMs } from '../../time.ts';
import type { RunControl } from '../control/control.ts';
import type { TargetJob } from '../job.ts';
import type { LoginJob } from '../logins.ts';
import { interlock, refuseRecordedAddress, type WaiverOptions, waiversOf } from './interlock.ts';
import type { RecordedSide } from './recorded-side.ts';

/** A run that waits asks again this long before it begins: several hosts are to begin at once, and asking takes its time. */
const AHEAD_MS = 30_000;

/** Answers that are older than this by then are asked for again: none is older than a minute when the run begins. */
const FRESH_MS = 30_000;

/** What a target said before a run, and when: who it is may change while the run waits. */
export class TargetCheck {
  readonly #ask: () => Promise<void>;
  readonly #now: () => MonotonicMs;
  #askedAt: MonotonicMs = Number.NEGATIVE_INFINITY;

  /** `ask` asks all targets, and throws where the run is to be refused. */
  constructor(ask: () => Promise<void>, now: () => MonotonicMs) {
    this.#ask = ask;
    this.#now = now;
  }

  /** Throws where the run is to be refused. */
  async ask(): Promise<void> {
    this.#askedAt = this.#now();
    await this.#ask();
  }

  /** Waits until the run is to begin at `startMs` (since 1970; undefined: now), or is stopped. Throws where it is to be refused by then. */
  async waitToBegin(control: RunControl, startMs: number | undefined): Promise<void> {
    if (startMs !== undefined) {
      await control.wait(startMs - AHEAD_MS);
      if (control.stops === 0 && this.#now() - this.#askedAt > FRESH_MS) await this.ask();
    }
    await control.begin(startMs);
  }
}

/** Throws 'refused' where one of the targets is a recorded server, looks live, or may be either for all that is known. */
export async function refuseLive(
  targets: readonly TargetJob[],
  asking: { logins: LoginJob; protocol: ProtocolName | undefined },
  servers: RecordedSide,
  options: WaiverOptions,
): Promise<void> {
  const waivers = waiversOf(options);
  // Before the first of them is asked: an address is known without.
  if (!waivers.live) for (const target of targets) refuseRecordedAddress(target, servers);
  for (const target of targets) await interlock({ ...target, ...asking }, servers, waivers, sayLine);
}
