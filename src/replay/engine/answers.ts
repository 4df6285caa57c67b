import { COM, type Command } from '../../mysql/command.ts';
import { sqlAt } from '../../mysql/query-attributes.ts';
import { notComparable } from '../../sql/comparable.ts';
import { type Divergence, divergenceOf, type Outcome } from '../outcome.ts';
import type { RecordedSession } from '../recorded.ts';
import { isRefusedAgain } from '../session/user-change.ts';
import type { Observers } from './observers.ts';

/** Whether an answer that differs need not have. */
function isComparable({ command, text }: Outcome): boolean {
  if (command.com === COM.processInfo) return false;
  const { packet, dialect = 0 } = text;
  return notComparable(packet, sqlAt(packet), dialect) === undefined;
}

/**
 * Compares answers with the recorded ones. One that comes before the recorded answer was read is parked with its session
 * until that was, or is known not to come.
 */
export class Answers {
  readonly #observers: Observers;
  /** Some differ because of what they are asked for; not where no protocol is known. */
  readonly #forgives: boolean;

  constructor(observers: Observers, forgives: boolean) {
    this.#observers = observers;
    this.#forgives = forgives;
  }

  /** `outcome` came about in a session of `recorded`. `mayCome`: more of the recording may be read. */
  came(outcome: Outcome, { close, parked, repliedTo }: RecordedSession, mayCome: boolean): void {
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
  recorded(command: Command, { parked }: RecordedSession): void {
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

  #tell(outcome: Outcome): void {
    this.#observers.answered(outcome, this.#compare(outcome));
  }

  #compare(outcome: Outcome): Divergence {
    const divergence = divergenceOf(outcome.command.reply, outcome.reply);
    if (divergence === 'error' && isRefusedAgain(outcome.command, outcome.reply)) return 'none';
    const differs = divergence === 'data' || divergence === 'rows';
    return differs && this.#forgives && !isComparable(outcome) ? 'not-comparable' : divergence;
  }
}
