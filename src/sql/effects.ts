import { FIRST } from './first-words.ts';
import { KIND, type Scanner, SIGN } from './scanner.ts';
import { definesRoutine, Statements } from './statements.ts';
import { type Token, tokensFrom } from './tokens.ts';
import { WordTable } from './word-table.ts';

/** What a session holds that its next connection cannot be given back. */
export type HeldKind =
  | 'temporary-table'
  | 'lock'
  | 'user-variable'
  | 'setting'
  | 'cursor'
  | 'prepared-in-sql';

/** What a statement changes in its session, beside data. */
export type Effect =
  /** A schema is chosen; its name's octets as characters. */
  | { type: 'schema'; schema: string }
  | SetEffect
  /** Something begins to be held … */
  | { type: 'hold'; kind: HeldKind; name: string }
  /** … or is no more; without `name`: all of that kind that begin with a bracket, which GET_LOCK's do. */
  | { type: 'free'; kind: HeldKind; name?: string };

export interface SetEffect {
  type: 'set';
  /** What it sets: `@name` of the user's, `name` of the session's, `names` for SET NAMES. */
  keys: string[];
  /** It reads variables, so what was set before it must stay before it. */
  reads: boolean;
  /** What it sets may be another value the next time. */
  volatile: boolean;
  /** It sets something global, too: must not be sent again. */
  global: boolean;
  /** It is the only statement of its text. */
  alone: boolean;
  /** Its end was looked at, too. */
  complete: boolean;
  /** Where the statement stands in its text. */
  from: number;
  to: number;
}

const AT = 0x40;
const COMMA = 0x2c;
const OPEN = 0x28;
const CLOSE = 0x29;
const SEMICOLON = 0x3b;

/** Tokens of a SET that are looked at; of one with more the end is unknown. */
const MOST_TOKENS = 4096;

/** Functions (and subqueries) whose value is another one on another connection, or at another time. */
const VOLATILE =
  /^(SELECT|RAND|UUID\w*|NOW|SYSDATE|LOCALTIME\w*|CUR(RENT_)?(DATE|TIME|TIMESTAMP)|UTC_\w+|UNIX_TIMESTAMP|LAST_INSERT_ID|LAST_VALUE|NEXTVAL|ROW_COUNT|FOUND_ROWS|CONNECTION_ID|GET_LOCK|RELEASE_LOCK|SLEEP)$/;

/** Functions of locks, and INTO, which gives variables a value. */
const LOCKS = { get: 1, release: 2, releaseAll: 3, into: 4 } as const;
const LOCK_WORDS = new WordTable(
  new Map([
    ['GET_LOCK', LOCKS.get],
    ['RELEASE_LOCK', LOCKS.release],
    ['RELEASE_ALL_LOCKS', LOCKS.releaseAll],
    ['INTO', LOCKS.into],
  ]),
);

const statements = new Statements();

/**
 * What the statement (or, where `multi`, the statements) at [from, end) of a command, of a session of this `dialect`, change in their
 * session; undefined for most, which cost a look at their first words and one for an `@`.
 */
export function effectsOf(
  octets: Uint8Array,
  from: number,
  multi: boolean,
  dialect: number,
): Effect[] | undefined {
  statements.begin(octets, from, octets.length, dialect);
  const words = look(multi);
  if ((words & FIRST.effects) === 0 && !assigns(octets, from, (words & FIRST.calls) !== 0)) {
    statements.release();
    return undefined;
  }
  const effects: Effect[] = [];
  let count = 0;
  statements.begin(octets, from, octets.length, dialect);
  while (statements.next()) {
    count++;
    // What follows, to the end, is its body.
    const { first, from: at, scanner } = statements;
    if ((first & FIRST.defines) !== 0 && definesRoutine(octets, at, octets.length, scanner.dialect)) break;
    addEffects(from, effects);
  }
  statements.release();
  const last = effects.at(-1);
  if (last?.type === 'set') last.alone = count === 1;
  return effects.length > 0 ? effects : undefined;
}

/** FIRST flags of the first words; FIRST.effects of a SELECT where a function of locks is behind it. */
function look(multi: boolean): number {
  let words = 0;
  while (statements.next()) {
    const { scanner, first } = statements;
    words |= first;
    if ((first & FIRST.selects) !== 0) {
      scanner.next();
      if (lockWordAt(scanner) !== 0) words |= FIRST.effects;
    }
    if (!multi) break;
  }
  return words;
}

function lockWordAt({ kind, octets, from, to, hash }: Scanner): number {
  return kind === KIND.word ? LOCK_WORDS.find(octets, from, to, hash) : 0;
}

/** Whether a user variable seems to be given a value: `@x :=`, INTO @x, or, where one `calls`, any in a CALL. */
function assigns(octets: Uint8Array, from: number, calls: boolean): boolean {
  for (let at = octets.indexOf(AT, from); at >= 0; at = octets.indexOf(AT, at + 1)) {
    let end = at + 1;
    while (isNameOctet(octets[end])) end++;
    while (octets[end] <= 0x20) end++;
    if (octets[end] === 0x3a && octets[end + 1] === 0x3d) return true;
    let before = at - 1;
    while (before > from && octets[before] <= 0x20) before--;
    const octet = octets[before] | 0x20;
    // The `o` of INTO; the bracket or comma in front of an argument.
    if (octet === 0x6f && (octets[before - 1] | 0x20) === 0x74) return true;
    if (calls && (octet === 0x28 || octet === 0x2c)) return true;
  }
  return false;
}

function isNameOctet(octet: number): boolean {
  return (
    (octet >= 0x30 && octet <= 0x39) ||
    ((octet | 0x20) >= 0x61 && (octet | 0x20) <= 0x7a) ||
    octet === 0x5f ||
    octet === 0x24 ||
    octet === 0x2e ||
    octet === 0x60 ||
    octet >= 0x80
  );
}

/** `textAt`: where the text of all statements begins. */
function addEffects(textAt: number, effects: Effect[]): void {
  const { scanner, first } = statements;
  if ((first & FIRST.effects) === 0 || scanner.isWord('DO')) {
    addFunctions(scanner, (first & FIRST.calls) !== 0, effects);
    return;
  }
  const tokens = tokensFrom(scanner, MOST_TOKENS);
  const word = (i: number) => (tokens[i]?.kind === KIND.word ? tokens[i].text : '');
  switch (word(0)) {
    case 'SET': {
      const isWhole = scanner.kind === KIND.end || scanner.kind === SEMICOLON;
      addSet(tokens, textAt, isWhole, effects);
      return;
    }
    case 'USE':
      if (tokens[1] !== undefined) effects.push({ type: 'schema', schema: nameOf(tokens[1], scanner) });
      return;
    case 'CREATE':
      addTemporaryTable(tokens, effects);
      return;
    case 'DROP':
      if (word(1) === 'PREPARE') free(effects, 'prepared-in-sql', tokens[2]);
      else addDroppedTables(tokens, effects);
      return;
    case 'DEALLOCATE':
      free(effects, 'prepared-in-sql', tokens[2]);
      return;
    case 'PREPARE':
      if (tokens[1]) effects.push({ type: 'hold', kind: 'prepared-in-sql', name: keyOf(tokens[1]) });
      return;
    case 'LOCK':
      if (/^TABLES?$/.test(word(1))) effects.push({ type: 'hold', kind: 'lock', name: 'tables' });
      return;
    case 'FLUSH':
      if (tokens.some((token) => token.text === 'LOCK') && !word(1).startsWith('LOG'))
        effects.push({ type: 'hold', kind: 'lock', name: 'tables' });
      return;
    case 'UNLOCK':
      effects.push({ type: 'free', kind: 'lock', name: 'tables' });
  }
}

/** GET_LOCK, RELEASE_LOCK and RELEASE_ALL_LOCKS; user variables that are given a value. */
function addFunctions(scanner: Scanner, isCall: boolean, effects: Effect[]): void {
  let into = false;
  while (scanner.kind !== KIND.end && scanner.kind !== SEMICOLON) {
    const { kind } = scanner;
    if (kind === KIND.word) {
      const word = lockWordAt(scanner);
      into = word === LOCKS.into;
      scanner.next();
      if (word !== 0 && !into && scanner.kind === OPEN) addLock(word, scanner, effects);
    } else if (kind === KIND.variable) {
      const [name] = tokensFrom(scanner, 1);
      if (into || isCall || scanner.kind === SIGN.assign)
        effects.push({ type: 'hold', kind: 'user-variable', name: name.text });
    } else {
      into &&= kind === COMMA;
      scanner.next();
    }
  }
}

/** The scanner is on the bracket of the function's call. */
function addLock(word: number, scanner: Scanner, effects: Effect[]): void {
  scanner.next();
  const [first] = tokensFrom(scanner, 1);
  const name = `(${first?.text}`;
  if (word === LOCKS.get) effects.push({ type: 'hold', kind: 'lock', name });
  else if (word === LOCKS.release) effects.push({ type: 'free', kind: 'lock', name });
  else effects.push({ type: 'free', kind: 'lock' });
}

function addTemporaryTable(tokens: Token[], effects: Effect[]): void {
  const temporary = tokens.findIndex((token, i) => i < 4 && token.text === 'TEMPORARY');
  if (temporary < 0) return;
  const i = skipWords(tokens, temporary + 1, ['TABLE', 'IF', 'NOT', 'EXISTS']);
  if (tokens[temporary + 1]?.text === 'TABLE' && tokens[i] !== undefined)
    effects.push({ type: 'hold', kind: 'temporary-table', name: lastPart(tokens, i) });
}

function addDroppedTables(tokens: Token[], effects: Effect[]): void {
  const table = tokens[1]?.text === 'TEMPORARY' ? 2 : 1;
  if (!/^TABLES?$/.test(tokens[table]?.text ?? '')) return;
  for (let i = skipWords(tokens, table + 1, ['IF', 'EXISTS']); i < tokens.length; i++) {
    effects.push({ type: 'free', kind: 'temporary-table', name: lastPart(tokens, i) });
    while (i < tokens.length && tokens[i].text !== ',') i++;
  }
}

/** The table's own name of `schema.table` at `i`. */
function lastPart(tokens: Token[], i: number): string {
  return keyOf(tokens[i + 1]?.text === '.' && tokens[i + 2] !== undefined ? tokens[i + 2] : tokens[i]);
}

function skipWords(tokens: Token[], i: number, words: readonly string[]): number {
  while (tokens[i]?.kind === KIND.word && words.includes(tokens[i].text)) i++;
  return i;
}

function free(effects: Effect[], kind: HeldKind, name: Token | undefined): void {
  if (name !== undefined) effects.push({ type: 'free', kind, name: keyOf(name) });
}

function keyOf(token: Token): string {
  return token.text.toLowerCase();
}

/** A name as it was written, but for its quotes. */
function nameOf({ kind, text, from, to }: Token, { octets }: Scanner): string {
  return kind === KIND.word ? Buffer.from(octets.subarray(from, to)).toString('latin1') : text;
}

/**
 * SET, but not what is for the next statement or transaction only (SET STATEMENT, SET TRANSACTION, insert_id), nor what is
 * not the session's (GLOBAL, PASSWORD, DEFAULT ROLE).
 */
function addSet(tokens: Token[], textAt: number, isWhole: boolean, effects: Effect[]): void {
  const second = tokens[1]?.kind === KIND.word ? tokens[1].text : '';
  if (/^(PASSWORD|STATEMENT|TRANSACTION|RESOURCE|DEFAULT)$/.test(second)) return;
  const effect: SetEffect = {
    type: 'set',
    keys: [],
    reads: false,
    volatile: false,
    global: false,
    alone: false,
    complete: isWhole,
    from: tokens[0].from - textAt,
    to: tokens[tokens.length - 1].to - textAt,
  };
  let scope = '';
  let i = 1;
  while (i < tokens.length) {
    if (/^(GLOBAL|SESSION|LOCAL|PERSIST|PERSIST_ONLY)$/.test(tokens[i].text) && tokens[i + 1]?.text !== '=') {
      scope = tokens[i++].text;
      continue;
    }
    i = addAssignment(tokens, i, scope, effect);
  }
  if (effect.keys.length > 0) effects.push(effect);
}

/** The assignment at `i`; answers where the next one begins. */
function addAssignment(tokens: Token[], i: number, scope: string, effect: SetEffect): number {
  const { text, kind } = tokens[i];
  let key = text.toLowerCase();
  let isGlobal = /^(GLOBAL|PERSIST|PERSIST_ONLY)$/.test(scope);
  const value = i + 1;
  if (kind === KIND.systemVariable) {
    isGlobal = /^@@(global|persist|persist_only)\./.test(text);
    key = text.replace(/^@@((session|local)\.)?/, '');
  } else if (kind === KIND.variable) isGlobal = false;
  else if (kind === KIND.word && /^(NAMES|CHARSET|CHARACTER)$/.test(text)) key = 'names';
  else if (text === 'TRANSACTION') key = `transaction ${tokens[i + 1]?.text.toLowerCase()}`;
  let depth = 0;
  for (i = value; i < tokens.length; i++) {
    const token = tokens[i];
    if (token.kind === OPEN) depth++;
    else if (token.kind === CLOSE) depth--;
    else if (token.kind === COMMA && depth === 0) break;
    if (token.kind === KIND.variable || token.kind === KIND.systemVariable) effect.reads = true;
    if (token.kind === KIND.word && VOLATILE.test(token.text)) effect.volatile = true;
  }
  if (isGlobal) effect.global = true;
  else if (key !== 'insert_id') effect.keys.push(key);
  return i + 1;
}
