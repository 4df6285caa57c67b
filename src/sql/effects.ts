import {
  firstWordAt,
  laterStatement,
  MOST_SQL_OCTETS,
  statementsOf,
  type Token,
  textFrom,
} from './leading.ts';

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

/** Functions (and subqueries) whose value is another one on another connection, or at another time. */
const VOLATILE =
  /^(SELECT|RAND|UUID\w*|NOW|SYSDATE|LOCALTIME\w*|CUR(RENT_)?(DATE|TIME|TIMESTAMP)|UTC_\w+|UNIX_TIMESTAMP|LAST_INSERT_ID|LAST_VALUE|NEXTVAL|ROW_COUNT|FOUND_ROWS|CONNECTION_ID|GET_LOCK|RELEASE_LOCK|SLEEP)$/;

/**
 * What the statement (or statements) at [from, end) of a command change in their session; undefined for most, which cost
 * a look at their first letters and one for an `@`.
 */
export function effectsOf(octets: Uint8Array, from: number, multi: boolean): Effect[] | undefined {
  const at = firstWordAt(octets, from);
  if (!mayMatter(octets, at) && !assigns(octets, at) && !(multi && laterStatement(octets, at, mayMatter)))
    return undefined;
  const text = textFrom(octets, from);
  const effects: Effect[] = [];
  const statements = statementsOf(text);
  for (const tokens of statements) {
    // What follows, to the end, is its body.
    if (definesRoutine(tokens)) break;
    addEffects(tokens, effects);
  }
  const last = effects.at(-1);
  if (last?.type === 'set') {
    if (from + text.length < octets.length) last.complete = false;
    last.alone = statements.length === 1;
  }
  return effects.length > 0 ? effects : undefined;
}

const ROUTINES = /^(?:PROCEDURE|FUNCTION|TRIGGER|EVENT|PACKAGE)$/;

function definesRoutine(tokens: Token[]): boolean {
  if (tokens[0].text !== 'CREATE' && tokens[0].text !== 'ALTER') return false;
  const body = tokens.findIndex(({ text }) => text === 'BEGIN' || text === '(' || text === 'AS');
  return tokens
    .slice(1, body < 0 ? undefined : body)
    .some(({ kind, text }) => kind === 'word' && ROUTINES.test(text));
}

/** Whether the word at `at` can begin a statement that matters here. Reads past the end are undefined, and no letters. */
function mayMatter(octets: Uint8Array, at: number): boolean {
  const second = octets[at + 1] | 0x20;
  switch (octets[at] | 0x20) {
    // SET, and SELECT GET_LOCK( or RELEASE_…
    case 0x73: {
      if (second !== 0x65) return false;
      if ((octets[at + 2] | 0x20) === 0x74) return true;
      let next = at + 6;
      while (octets[next] <= 0x20) next++;
      const letter = octets[next] | 0x20;
      return (letter === 0x67 || letter === 0x72) && (octets[next + 1] | 0x20) === 0x65;
    }
    // USE and UNLOCK, but not UPDATE; CREATE, but not CALL or COMMIT; DROP, DEALLOCATE, DO, but not DELETE.
    case 0x75:
      return second !== 0x70;
    case 0x63:
      return second === 0x72;
    case 0x64:
      return second !== 0x65 || (octets[at + 2] | 0x20) !== 0x6c;
    // LOCK, PREPARE, FLUSH.
    case 0x6c:
      return second === 0x6f && (octets[at + 2] | 0x20) === 0x63;
    case 0x70:
      return second === 0x72;
    case 0x66:
      return second === 0x6c;
    // An executable comment.
    case 0x2f:
      return true;
    default:
      return false;
  }
}

/** Whether a user variable seems to be given a value: `@x :=`, INTO @x, or any in a CALL. */
function assigns(octets: Uint8Array, from: number): boolean {
  for (let at = octets.indexOf(AT, from); at >= 0; at = octets.indexOf(AT, at + 1)) {
    if (at > from + MOST_SQL_OCTETS) return false;
    let end = at + 1;
    while (isNameOctet(octets[end])) end++;
    while (octets[end] <= 0x20) end++;
    if (octets[end] === 0x3a && octets[end + 1] === 0x3d) return true;
    let before = at - 1;
    while (before > from && octets[before] <= 0x20) before--;
    const octet = octets[before] | 0x20;
    // The `o` of INTO; the bracket or comma in front of an argument.
    if (octet === 0x6f && (octets[before - 1] | 0x20) === 0x74) return true;
    if ((octet === 0x28 || octet === 0x2c) && (octets[from] | 0x20) === 0x63) return true;
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

function addEffects(tokens: Token[], effects: Effect[]): void {
  const word = (i: number) => (tokens[i]?.kind === 'word' ? tokens[i].text : '');
  let first = 0;
  while (tokens[first]?.text === '(') first++;
  switch (word(first)) {
    case 'SET':
      addSet(tokens, effects);
      return;
    case 'USE':
      if (tokens[1] !== undefined) effects.push({ type: 'schema', schema: nameOf(tokens[1]) });
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
      return;
    default:
      addFunctions(tokens, word(first) === 'CALL', effects);
  }
}

/** GET_LOCK, RELEASE_LOCK and RELEASE_ALL_LOCKS; user variables that are given a value. */
function addFunctions(tokens: Token[], isCall: boolean, effects: Effect[]): void {
  let into = false;
  for (let i = 0; i < tokens.length; i++) {
    const { text, kind } = tokens[i];
    if (kind === 'word') {
      into = text === 'INTO';
      if (tokens[i + 1]?.text !== '(') continue;
      const name = `(${tokens[i + 2]?.text}`;
      if (text === 'GET_LOCK') effects.push({ type: 'hold', kind: 'lock', name });
      else if (text === 'RELEASE_LOCK') effects.push({ type: 'free', kind: 'lock', name });
      else if (text === 'RELEASE_ALL_LOCKS') effects.push({ type: 'free', kind: 'lock' });
    } else if (kind === 'variable' && !text.startsWith('@@')) {
      if (into || isCall || tokens[i + 1]?.text === ':=')
        effects.push({ type: 'hold', kind: 'user-variable', name: text });
    } else if (text !== ',') into = false;
  }
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
  while (tokens[i]?.kind === 'word' && words.includes(tokens[i].text)) i++;
  return i;
}

function free(effects: Effect[], kind: HeldKind, name: Token | undefined): void {
  if (name !== undefined) effects.push({ type: 'free', kind, name: keyOf(name) });
}

function keyOf(token: Token): string {
  return token.text.toLowerCase();
}

/** A name as it was written, but for its quotes. */
function nameOf(token: Token): string {
  return token.kind === 'word' ? token.raw : token.text;
}

/**
 * SET, but not what is for the next statement or transaction only (SET STATEMENT, SET TRANSACTION, insert_id), nor what is
 * not the session's (GLOBAL, PASSWORD, DEFAULT ROLE).
 */
function addSet(tokens: Token[], effects: Effect[]): void {
  const second = tokens[1]?.kind === 'word' ? tokens[1].text : '';
  if (/^(PASSWORD|STATEMENT|TRANSACTION|RESOURCE|DEFAULT)$/.test(second)) return;
  const effect: SetEffect = {
    type: 'set',
    keys: [],
    reads: false,
    volatile: false,
    global: false,
    alone: false,
    complete: true,
    from: tokens[0].from,
    to: tokens[tokens.length - 1].to,
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
  if (kind === 'variable' && text.startsWith('@@')) {
    isGlobal = /^@@(global|persist|persist_only)\./.test(text);
    key = text.replace(/^@@((session|local)\.)?/, '');
  } else if (kind === 'variable') isGlobal = false;
  else if (kind === 'word' && /^(NAMES|CHARSET|CHARACTER)$/.test(text)) key = 'names';
  else if (text === 'TRANSACTION') key = `transaction ${tokens[i + 1]?.text.toLowerCase()}`;
  let depth = 0;
  for (i = value; i < tokens.length; i++) {
    const token = tokens[i];
    if (token.text === '(') depth++;
    else if (token.text === ')') depth--;
    else if (token.text === ',' && depth === 0) break;
    if (token.kind === 'variable') effect.reads = true;
    if (token.kind === 'word' && VOLATILE.test(token.text)) effect.volatile = true;
  }
  if (isGlobal) effect.global = true;
  else if (key !== 'insert_id') effect.keys.push(key);
  return i + 1;
}
