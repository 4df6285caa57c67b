/** From the events of a decoder to the lines of `mytape show`, in the order in which they are printed. */
import type { CloseHow, FlowEvent, SessionMeta, SkipCause } from '../../flow/events.ts';
import { type Command, EXPECT } from '../../mysql/command.ts';
import type { CaptureNs } from '../../time.ts';

export type ShownLine =
  /** Comes before all other lines of its session. */
  | { type: 'session'; session: SessionMeta }
  | { type: 'command'; session: SessionMeta; command: Command }
  | { type: 'lost'; session: SessionMeta; at: CaptureNs; cause: SkipCause; commands: number }
  | { type: 'skipped'; session: SessionMeta; at: CaptureNs; cause: SkipCause; commands: number }
  /** The session's last line. */
  | { type: 'close'; session: SessionMeta; at: CaptureNs; how: CloseHow };

type Held = Extract<ShownLine, { type: 'command' | 'lost' }>;

/**
 * Puts lines in order. A command waits for its answer, and what follows in its session waits with it, so that ordinals ascend.
 * Answers come in the order of their commands (MySQL has one conversation a connection): the answer to one command ends
 * the wait for the answers to all before it.
 */
export class ShownLines {
  readonly #print: (line: ShownLine) => void;
  /** What waits, of the sessions that are open. */
  readonly #held = new Map<number, Held[]>();

  constructor(print: (line: ShownLine) => void) {
    this.#print = print;
  }

  add(event: FlowEvent): void {
    const { session, at } = event;
    switch (event.type) {
      case 'open':
        this.#print({ type: 'session', session });
        break;
      case 'command':
        this.#hold({ type: 'command', session, command: event.command });
        break;
      case 'lost':
        this.#hold({ type: 'lost', session, at, cause: event.cause, commands: event.commands });
        break;
      case 'reply':
        this.#answered(session.id, event.command);
        break;
      case 'close':
        this.#release(session.id);
        this.#print({ type: 'close', session, at, how: event.how });
        break;
      case 'skip':
        this.#print({ type: 'session', session });
        this.#print({ type: 'skipped', session, at, cause: event.cause, commands: event.commands });
        this.#print({ type: 'close', session, at, how: event.how });
        break;
    }
  }

  /** No event follows: prints all that waits. */
  finish(): void {
    for (const id of [...this.#held.keys()]) this.#release(id);
  }

  #hold(line: Held): void {
    const held = this.#held.get(line.session.id);
    if (held !== undefined) held.push(line);
    else if (awaitsReply(line)) this.#held.set(line.session.id, [line]);
    else this.#print(line);
  }

  #answered(id: number, command: Command): void {
    const held = this.#held.get(id) ?? [];
    let done = 1 + held.findIndex((line) => line.type === 'command' && line.command === command);
    while (done < held.length && !awaitsReply(held[done])) done++;
    for (const line of held.splice(0, done)) this.#print(line);
    if (held.length === 0) this.#held.delete(id);
  }

  #release(id: number): void {
    for (const line of this.#held.get(id) ?? []) this.#print(line);
    this.#held.delete(id);
  }
}

function awaitsReply(line: Held): boolean {
  return line.type === 'command' && line.command.reply === undefined && line.command.expect !== EXPECT.none;
}
