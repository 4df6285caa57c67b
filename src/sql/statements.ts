import { DIALECT, readingsOf } from './dialect.ts';
import { FIRST, FIRST_WORDS } from './first-words.ts';
import { KIND, Scanner } from './scanner.ts';
import { sqlModeAfter } from './sql-mode.ts';
import { stringText } from './string-text.ts';

const SEMICOLON = 0x3b;
const OPEN = 0x28;
const CLOSE = 0x29;

/**
 * Reads the statements of a text one after another, each in the dialect that those before it left to the session. A `;` ends a
 * statement wherever it stands, in the body of a routine too.
 */
export class Statements {
  /** At first on the statement's first word, past opening brackets; may be taken on. */
  readonly scanner = new Scanner();
  /** FIRST flags of that word. */
  first = 0;
  /** Where the statement begins, its brackets included. Of SET STATEMENT … FOR, what follows is the statement. */
  from = 0;
  /** It is part of a block that MariaDB executes, begun by it or by one before it. */
  inBlock = false;
  /** Statements are parts of a body: when they are executed, or whether, is not known. */
  #inBody = false;
  #begun = false;

  begin(octets: Uint8Array, from: number, to: number, dialect: number): void {
    this.scanner.begin(octets, from, to, dialect);
    this.inBlock = false;
    this.#inBody = false;
    this.#begun = false;
  }

  /** Keeps no hold of the octets. */
  release(): void {
    this.scanner.release();
  }

  /** Goes to the next statement that is not empty; false where there is none. */
  next(): boolean {
    const { scanner } = this;
    if (this.#begun && !this.#passOver()) return false;
    this.#begun = true;
    while (scanner.next() === SEMICOLON);
    this.from = scanner.from;
    while (scanner.kind === OPEN) scanner.next();
    if (scanner.kind === KIND.end && this.from === scanner.from) return false;
    this.#look();
    if ((this.first & FIRST.sets) !== 0) this.#passSetStatement();
    else if ((this.first & FIRST.begins) !== 0) this.#lookForBlock();
    if ((this.first & FIRST.compound) !== 0 && !this.#inBody) this.inBlock = true;
    return true;
  }

  /** Back to the statement's beginning, before its first token. */
  rewind(): void {
    this.scanner.seek(this.from);
  }

  /** The word that the scanner is on, in capitals; '' where it is none. */
  word(): string {
    const { kind, octets, from, to } = this.scanner;
    return kind === KIND.word ? Buffer.from(octets.subarray(from, to)).toString('latin1').toUpperCase() : '';
  }

  /** Whether the word, in capitals, stands in the rest of the statement or right here. */
  hasWord(word: string): boolean {
    const { scanner } = this;
    for (; scanner.kind !== KIND.end && scanner.kind !== SEMICOLON; scanner.next())
      if (scanner.isWord(word)) return true;
    return false;
  }

  /** The text that the statement, a PREPARE or an EXECUTE IMMEDIATE, takes; undefined where that is no literal. */
  preparedText(): Uint8Array | undefined {
    const { scanner } = this;
    const isExecute = scanner.isWord('EXECUTE');
    scanner.next();
    if (isExecute && !scanner.isWord('IMMEDIATE')) return undefined;
    for (; scanner.kind !== KIND.end && scanner.kind !== SEMICOLON; scanner.next()) {
      const { kind, octets, from, to, dialect } = scanner;
      if (kind === KIND.string) return stringText(octets, from, to, dialect).octets;
    }
    return undefined;
  }

  #look(): void {
    const { kind, octets, from, to, hash } = this.scanner;
    this.first = kind === KIND.word ? FIRST_WORDS.find(octets, from, to, hash) : 0;
    if (this.scanner.hasExecutable) this.first |= FIRST.unsure;
  }

  /** To the end of the statement; false where no other follows. */
  #passOver(): boolean {
    const { scanner } = this;
    if (scanner.kind !== SEMICOLON) {
      // Most texts are one statement: a search for the octet tells so.
      const { octets, to, end } = scanner;
      const semicolon = octets.indexOf(SEMICOLON, to);
      if (semicolon < 0 || semicolon >= end) return false;
      while (scanner.next() !== SEMICOLON) if (scanner.kind === KIND.end) return false;
    }
    const { octets, from, to, dialect } = scanner;
    if (
      this.inBlock ||
      ((this.first & FIRST.defines) !== 0 && definesRoutine(octets, this.from, from, dialect))
    )
      this.#inBody = true;
    if ((this.first & FIRST.sets) !== 0 && !this.#inBody) {
      scanner.dialect = sqlModeAfter(octets, this.from, from, dialect);
      scanner.seek(to);
    }
    return true;
  }

  /** MariaDB's SET STATEMENT … FOR: the statement is what follows. */
  #passSetStatement(): void {
    const { scanner } = this;
    const { from } = scanner;
    scanner.next();
    if (scanner.isWord('STATEMENT')) {
      let depth = 0;
      while (scanner.next() !== KIND.end && scanner.kind !== SEMICOLON) {
        if (scanner.kind === OPEN) depth++;
        else if (scanner.kind === CLOSE) depth--;
        else if (depth === 0 && scanner.isWord('FOR')) {
          scanner.next();
          this.from = scanner.from;
          this.#look();
          return;
        }
      }
    }
    scanner.seek(from);
    scanner.next();
  }

  /** BEGIN begins a transaction, or, with NOT ATOMIC, a block. */
  #lookForBlock(): void {
    const { scanner } = this;
    const { from } = scanner;
    scanner.next();
    if (scanner.isWord('NOT')) this.first |= FIRST.compound;
    scanner.seek(from);
    scanner.next();
  }
}

const ROUTINES = ['PROCEDURE', 'FUNCTION', 'TRIGGER', 'EVENT', 'PACKAGE'];

const inside = new Scanner();

/** Whether the statement at `from` of a text that ends at `to`, a CREATE or ALTER, is one of a routine, whose body may hold others. */
export function definesRoutine(octets: Uint8Array, from: number, to: number, dialect: number): boolean {
  inside.begin(octets, from, to, dialect);
  let defines = false;
  while (!defines && inside.next() !== KIND.end && inside.kind !== OPEN) {
    if (inside.kind === SEMICOLON || inside.isWord('BEGIN') || inside.isWord('AS')) break;
    defines = ROUTINES.some((word) => inside.isWord(word));
  }
  inside.release();
  return defines;
}

const shared = new Statements();

/**
 * FIRST flags of the first words of all statements in [from, to), however some server may read the text in this dialect, which may be in
 * doubt. For nearly all texts the cost is that of a look at the first word and of a search for a `;`.
 */
export function firstWords(octets: Uint8Array, from: number, to: number, dialect: number): number {
  let words = 0;
  for (const reading of readingsOf(dialect)) {
    words |= firstWordsBy(octets, from, to, reading);
    if (shared.scanner.hasExecutable)
      words |= firstWordsBy(octets, from, to, reading | DIALECT.plainComments);
  }
  shared.release();
  return words;
}

function firstWordsBy(octets: Uint8Array, from: number, to: number, reading: number): number {
  let words = 0;
  shared.begin(octets, from, to, reading);
  while (shared.next()) words |= shared.first;
  return words;
}

/** FIRST flags of the first word in [from, to): the same in every dialect. */
export function firstWord(octets: Uint8Array, from: number, to: number): number {
  shared.begin(octets, from, to, 0);
  const word = shared.next() ? shared.first : 0;
  shared.release();
  return word;
}
