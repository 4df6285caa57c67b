import { COM, type Command } from '../../mysql/command.ts';

/** Where a statement id stands in a command's packet: behind its header and the command octet. */
const STATEMENT_ID = 5;

/** MariaDB: the statement prepared last on this connection, whatever its id. */
export const LAST_PREPARED = 0xffffffff;

/** No server gives this id. */
const NO_ID = 0;

/** Statements whose ids may still be told; with more, the oldest ones stay unknown. */
const MOST_UNNAMED = 1_000;

/** The statement id that `packet`, of a command that begins with one, names. */
export function readId(packet: Uint8Array): number {
  return (
    (packet[STATEMENT_ID] |
      (packet[STATEMENT_ID + 1] << 8) |
      (packet[STATEMENT_ID + 2] << 16) |
      (packet[STATEMENT_ID + 3] << 24)) >>>
    0
  );
}

interface Unnamed<T> {
  readonly prepare: Command;
  readonly value: T;
}

/**
 * What the statement ids of one recorded session stand for. An id is learnt from the recorded answer to its COM_STMT_PREPARE and
 * from nothing else: a statement whose answer is unknown has no id, and no other has its id.
 *
 * Where commands are missing, ids known before stay: MySQL and MariaDB count on for as long as a connection lasts, through
 * COM_RESET_CONNECTION and COM_CHANGE_USER, too, and give no id twice. Proxies do: an id given anew at or below one that was
 * known before the loss shows that, and what was known is void. The one prepared last (LAST_PREPARED) is unknown until the
 * next COM_STMT_PREPARE.
 */
export class RecordedIds<T> {
  readonly #byId = new Map<number, T>();
  /** Prepared, in their order, without a recorded answer so far. */
  #unnamed: Unnamed<T>[] = [];
  /** What LAST_PREPARED names; undefined: nothing, or nobody knows (`#lacksLast`). */
  #last: T | undefined;
  #lacksLast = false;
  /** The session may have statements that are not here. */
  #lacks = false;
  /** Commands were missed since the ids known began to be given. */
  #inDoubt = false;
  /** Of the ids known since then. */
  #greatest = NO_ID;

  /** The same, with the values that `own` makes of those here. */
  copy(own: (value: T) => T): RecordedIds<T> {
    const copy = new RecordedIds<T>();
    const made = (value: T): T => {
      const other = own(value);
      if (value === this.#last) copy.#last = other;
      return other;
    };
    for (const [id, value] of this.#byId) copy.#byId.set(id, made(value));
    copy.#unnamed = this.#unnamed.map(({ prepare, value }) => ({ prepare, value: made(value) }));
    copy.#lacksLast = this.#lacksLast;
    copy.#lacks = this.#lacks;
    copy.#inDoubt = this.#inDoubt;
    copy.#greatest = this.#greatest;
    return copy;
  }

  /** `prepare` was sent; `isLast`: LAST_PREPARED names it from here on, else nothing. */
  prepared(prepare: Command, value: T, isLast = true): void {
    this.#last = isLast ? value : undefined;
    this.#lacksLast = false;
    this.#unnamed.push({ prepare, value });
    if (this.#unnamed.length > MOST_UNNAMED) {
      this.#unnamed.shift();
      this.#lacks = true;
    }
  }

  /** What `command`, which begins with an id, names. */
  named(command: Command): T | undefined {
    this.#nameAll();
    const id = readId(command.packet);
    return id === LAST_PREPARED ? this.#last : this.#byId.get(id);
  }

  /** Whether `command` names one that the session may have, though it is not known here. */
  isUnknown(command: Command): boolean {
    if (this.named(command) !== undefined) return false;
    if (readId(command.packet) === LAST_PREPARED) return this.#lacksLast;
    return this.#lacks || this.#unnamed.length > 0;
  }

  /** Whether it is about to be known what `command` names: the answer to a COM_STMT_PREPARE was read, and is not told yet. */
  isPending(command: Command): boolean {
    return this.#unnamed.some(({ prepare }) => prepare.onTrial === true) && this.isUnknown(command);
  }

  /** `close`, a COM_STMT_CLOSE, was sent: the server may give the id to another. */
  closed(close: Command): void {
    const value = this.named(close);
    const id = readId(close.packet);
    if (id !== LAST_PREPARED) this.#byId.delete(id);
    else {
      for (const [other, named] of this.#byId) if (named === value) this.#byId.delete(other);
      this.#unnamed = this.#unnamed.filter((one) => one.value !== value);
    }
    if (value === this.#last) this.#last = undefined;
  }

  /** Commands are missing here. Answers that are not known by now never will be. */
  lost(): void {
    this.#nameAll();
    this.#unnamed = [];
    this.#lacks = true;
    this.#inDoubt = true;
    this.lastIsUnknown();
  }

  lastIsUnknown(): void {
    this.#last = undefined;
    this.#lacksLast = true;
  }

  /** All that are known to be open, in the order in which they were prepared. */
  all(): T[] {
    this.#nameAll();
    return [...this.#byId.values(), ...this.#unnamed.map(({ value }) => value)];
  }

  /** Answers are told in the order of their commands: what has none before one that has stays unknown. */
  #nameAll(): void {
    const unnamed = this.#unnamed;
    const told = unnamed.findLastIndex(({ prepare }) => prepare.reply !== undefined);
    if (told < 0) return;
    this.#unnamed = unnamed.slice(told + 1);
    for (const { prepare, value } of unnamed.slice(0, told + 1)) {
      if (prepare.reply === undefined) this.#lacks = true;
      else this.#name(prepare.reply.statementId, value);
    }
  }

  #name(id: number, value: T): void {
    if (id === NO_ID) return;
    if (id <= this.#greatest && (this.#inDoubt || this.#byId.has(id))) {
      this.#byId.clear();
      this.#inDoubt = false;
      this.#greatest = NO_ID;
      this.#lacks = true;
    }
    this.#greatest = Math.max(id, this.#greatest);
    this.#byId.set(id, value);
  }
}

/** Whether `command` does away with all statements, by an answer that is known. */
export function endsStatements({ com, reply }: Command): boolean {
  if (reply === undefined || reply.kind === 'err') return false;
  return com === COM.resetConnection || com === COM.changeUser;
}
