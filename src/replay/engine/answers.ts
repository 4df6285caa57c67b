import type { RecordedRequest } from '../../flow/events.ts';
import type { Outcome } from '../outcome.ts';
import type { Protocol } from '../protocol.ts';
import type { RecordedSession } from '../recorded.ts';
import type { Observers } from './observers.ts';

/**
 * Compares answers with the recorded ones. One that comes before the recorded answer was read is parked with its session
 * until that was, or is known not to come.
 */
export class Answers {
  readonly #observers: Observers;
  readonly #protocol: Protocol;

  constructor(observers: Observers, protocol: Protocol) {
    this.#observers = observers;
    this.#protocol = protocol;
  }

  /** `outcome` came about in a session of `recorded`. `mayCome`: more of the recording may be read. */
  came(
    outcome: Outcome<RecordedRequest>,
    { close, parked, repliedTo }: RecordedSession,
    mayCome: boolean,
  ): void {
    const { command, reply } = outcome;
    const waits = mayCome && close === undefined && command.ordinal > repliedTo;
    if (reply === undefined || command.reply !== undefined || !waits) {
      this.#tell(outcome);
      return;
    }
    const before = parked.get(command);
    if (before === undefined) parked.set(command, [outcome]);
    else before.push(outcome);
  }

  /** The recorded answer to `command` was read. Answers come in the order of their commands: earlier ones do not come any more. */
  recorded(command: RecordedRequest, { parked }: RecordedSession): void {
    if (parked.size === 0) return;
    for (const [waiting, outcomes] of parked) {
      if (waiting.ordinal > command.ordinal) break;
      parked.delete(waiting);
      for (const outcome of outcomes) this.#tell(outcome);
    }
  }

  /** No recorded answer to the commands so far will come any more. */
  missed({ parked }: RecordedSession): void {
    for (const outcomes of parked.values()) for (const outcome of outcomes) this.#tell(outcome);
    parked.clear();
  }

  #tell(outcome: Outcome<RecordedRequest>): void {
    this.#observers.answered(outcome, this.#protocol.compare(outcome));
  }
}
