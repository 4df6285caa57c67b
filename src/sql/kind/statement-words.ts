/** The words that say what a statement may change (src/sql/kind/statement-kind.ts), and where in one they stand. */
import { WordTable } from '../word-table.ts';

/** How grave, as numbers. */
export const READ = 0;
export const SESSION = 1;
export const WRITE = 2;

/** Where in a statement we are. */
export const STATE = {
  /** Before its first word. */
  verb: 0,
  /** In what a query may be made of. */
  query: 1,
  analyze: 2,
  begin: 3,
  start: 4,
  release: 5,
  rollback: 6,
  drop: 7,
  xa: 8,
  prepare: 9,
  /** The text that is prepared comes next. */
  prepared: 10,
  execute: 11,
  /** The text that is executed comes next. */
  executed: 12,
  set: 13,
  /** SET STATEMENT … FOR, behind which a statement begins. */
  setStatement: 14,
  /** Nothing that follows matters. */
  settled: 15,
} as const;

/** First words; a statement that begins with another is a write. */
const VERBS: Readonly<Record<string, readonly [kind: number, state: number]>> = {
  SELECT: [READ, STATE.query],
  VALUES: [READ, STATE.query],
  TABLE: [READ, STATE.query],
  WITH: [READ, STATE.query],
  SHOW: [READ, STATE.query],
  DESC: [READ, STATE.query],
  DESCRIBE: [READ, STATE.query],
  EXPLAIN: [READ, STATE.query],
  HELP: [READ, STATE.query],
  CHECKSUM: [READ, STATE.query],
  ANALYZE: [READ, STATE.analyze],
  HANDLER: [SESSION, STATE.query],
  USE: [SESSION, STATE.settled],
  SET: [SESSION, STATE.set],
  BEGIN: [SESSION, STATE.begin],
  START: [SESSION, STATE.start],
  COMMIT: [SESSION, STATE.settled],
  ROLLBACK: [SESSION, STATE.rollback],
  SAVEPOINT: [SESSION, STATE.settled],
  RELEASE: [SESSION, STATE.release],
  UNLOCK: [SESSION, STATE.settled],
  PREPARE: [SESSION, STATE.prepare],
  EXECUTE: [READ, STATE.execute],
  DEALLOCATE: [SESSION, STATE.settled],
  DROP: [SESSION, STATE.drop],
  GET: [SESSION, STATE.settled],
  SIGNAL: [SESSION, STATE.settled],
  RESIGNAL: [SESSION, STATE.settled],
  XA: [WRITE, STATE.xa],
};

/** Functions that change what others see: locks, and sequences. */
const WRITING_FUNCTIONS = [
  'GET_LOCK',
  'RELEASE_LOCK',
  'RELEASE_ALL_LOCKS',
  'NEXTVAL',
  'SETVAL',
  // Loadable ones that the manuals describe.
  'SERVICE_GET_READ_LOCKS',
  'SERVICE_GET_WRITE_LOCKS',
  'SERVICE_RELEASE_LOCKS',
  'VERSION_TOKENS_LOCK_SHARED',
  'VERSION_TOKENS_LOCK_EXCLUSIVE',
  'VERSION_TOKENS_UNLOCK',
  'SPIDER_DIRECT_SQL',
  'SPIDER_BG_DIRECT_SQL',
] as const;

/** Other words that mean something behind the first. */
const OTHER_WORDS = [
  'DEFAULT',
  'DELETE',
  'FOR',
  'FROM',
  'GLOBAL',
  'IMMEDIATE',
  'IN',
  'INSERT',
  'INTO',
  'LAST_INSERT_ID',
  'LOCAL',
  'LOCK',
  'NEXT',
  'NO_WRITE_TO_BINLOG',
  'PASSWORD',
  'PERSIST',
  'PERSIST_ONLY',
  'REPLACE',
  'RESOURCE',
  'SHARE',
  'STATEMENT',
  'TO',
  'TRANSACTION',
  'UPDATE',
  'USING',
  'VALUE',
  'WORK',
] as const;

/** What is no word that matters; the rest below FIRST_WORD are signs, by their octets. */
export const TOKEN = {
  end: 0,
  /** A word, number, or name that means nothing here. */
  other: 1,
  string: 2,
  /** `@x`. */
  variable: 3,
  /** `:=`. */
  assign: 4,
  /** LAST_INSERT_ID and its bracket. */
  lastInsertIdOf: 5,
  nextValue: 6,
} as const;

/** What is a word at all is no less. */
export const FIRST_WORD = 256;
const words: string[] = [...Object.keys(VERBS), ...WRITING_FUNCTIONS, ...OTHER_WORDS];
export const WORD = Object.fromEntries(words.map((word, i) => [word, FIRST_WORD + i])) as Readonly<
  Record<
    | (typeof OTHER_WORDS)[number]
    | 'BEGIN'
    | 'COMMIT'
    | 'PREPARE'
    | 'SAVEPOINT'
    | 'SET'
    | 'START'
    | 'TABLE'
    | 'ROLLBACK',
    number
  >
>;

export const VERB_KIND = new Uint8Array(FIRST_WORD + words.length).fill(WRITE);
export const VERB_STATE = new Uint8Array(FIRST_WORD + words.length).fill(STATE.settled);
for (const [i, [kind, state]] of Object.values(VERBS).entries()) {
  VERB_KIND[FIRST_WORD + i] = kind;
  VERB_STATE[FIRST_WORD + i] = state;
}
const FIRST_FUNCTION = FIRST_WORD + Object.keys(VERBS).length;

export function isWritingFunction(token: number): boolean {
  return token >= FIRST_FUNCTION && token < FIRST_FUNCTION + WRITING_FUNCTIONS.length;
}

const table = new WordTable(new Map(Object.entries(WORD)));

/** The word at [from, to) whose hash is `hash`, or TOKEN.other. */
export function wordAt(octets: Uint8Array, from: number, to: number, hash: number): number {
  return table.find(octets, from, to, hash) || TOKEN.other;
}
