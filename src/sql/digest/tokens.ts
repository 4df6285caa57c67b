/**
 * Tokens of SQL as a digest knows them: an octet's own number is the token of that one character, what follows is made here.
 * Texts, flags and the look-up of words lie in typed arrays, which one token costs a few reads of.
 */
import {
  AFTER_OPERAND,
  BEFORE_HINTS,
  BEFORE_NULL,
  BEFORE_SIGN,
  CHARACTER_SETS,
  FUNCTIONS,
  HINTS,
  SYNONYMS,
  WORDS,
} from './keywords.ts';

const FIRST_NAMED = 256;

/** No word: a name. */
export const NO_TOKEN = 0;

/** What follows a token (TOKEN_FLAGS). */
export const FLAG = {
  /** A sign after it is a number's own. */
  beforeSign: 1,
  /** NULL after it is a value. */
  beforeNull: 2,
  /** Optimizer hints may follow. */
  beforeHints: 4,
  /** The text goes on without a blank. */
  noBlank: 8,
  /** Goes on with the expression that is before it. */
  afterOperand: 16,
} as const;

const texts: string[] = [];
const byText = new Map<string, number>();

function define(text: string): number {
  const token = FIRST_NAMED + texts.length;
  texts.push(text);
  byText.set(text, token);
  return token;
}

/** The token of a text, made where it is new; one character is its own octet. */
function tokenOf(text: string): number {
  if (text.length === 1) return text.charCodeAt(0);
  return byText.get(text) ?? define(text);
}

const words = (list: string) => list.trim().split(/\s+/);

/** What a digest makes of literals and names, and operators of several characters. */
export const TOKEN = {
  name: define('name'),
  /** A table's name in a hint, right before `@` and a query block. */
  nameAt: define('name@'),
  value: define('?'),
  values: define('?, ...'),
  rowOfOne: define('(?)'),
  rowsOfOne: define('(?) /* , ... */'),
  row: define('(...)'),
  rows: define('(...) /* , ... */'),
  inValues: define('IN (...)'),
  introducer: define('(_charset)'),
  /** A column's place in ORDER BY or GROUP BY, whose text is the number. */
  ordinal: define('1'),
  /** `$$…$$`, which the server has no name for. */
  dollarQuoted: define('(unknown)'),
  hintsOpen: define('/*+'),
  hintsClose: define('*/'),
  and: define('&&'),
  or: define('||'),
  assign: define(':='),
  arrow: define('->'),
  arrowText: define('->>'),
  lessOrEqual: define('<='),
  greaterOrEqual: define('>='),
  /** `<>` too. */
  notEqual: define('!='),
  equalOrNull: define('<=>'),
  shiftLeft: define('<<'),
  shiftRight: define('>>'),
  alter: define('ALTER'),
  as: define('AS'),
  begin: define('BEGIN'),
  binary: define('BINARY'),
  by: define('BY'),
  create: define('CREATE'),
  cube: define('CUBE'),
  event: define('EVENT'),
  function: define('FUNCTION'),
  group: define('GROUP'),
  in: define('IN'),
  limit: define('LIMIT'),
  not: define('NOT'),
  null: define('NULL'),
  order: define('ORDER'),
  partition: define('PARTITION'),
  procedure: define('PROCEDURE'),
  rollup: define('ROLLUP'),
  select: define('SELECT'),
  trigger: define('TRIGGER'),
} as const;

/** Open addressing over words: bits 0–15 the token, then which kind of word. A power of two, a quarter full at most. */
const SLOTS = 4096;
const KIND = { word: 0x10000, function: 0x20000, hint: 0x40000 } as const;

const slotValue = new Int32Array(SLOTS);
const slotAt = new Uint32Array(SLOTS);
const slotLength = new Uint8Array(SLOTS);
const wordOctets: number[] = [];

/** Upper case of an octet, of ASCII only. */
export const UPPER = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet >= 0x61 && octet <= 0x7a ? octet - 0x20 : octet,
);

/** Hash of a word: `hash` of its octets so far (0 at first), `octet` the next one, in upper case. */
export function hashOctet(hash: number, octet: number): number {
  return (Math.imul(hash, 33) + octet) | 0;
}

const slotOf = (hash: number) => (hash ^ (hash >>> 15)) & (SLOTS - 1);

function enter(word: string, kind: number, token: number): void {
  let hash = 0;
  for (let i = 0; i < word.length; i++) hash = hashOctet(hash, word.charCodeAt(i));
  let slot = slotOf(hash);
  while (slotLength[slot] !== 0) slot = (slot + 1) & (SLOTS - 1);
  slotValue[slot] = kind | token;
  slotAt[slot] = wordOctets.length;
  slotLength[slot] = word.length;
  for (let i = 0; i < word.length; i++) wordOctets.push(word.charCodeAt(i));
}

for (const word of words(WORDS)) enter(word, KIND.word, tokenOf(SYNONYMS[word] ?? word));
for (const word of words(FUNCTIONS)) enter(word, KIND.function, tokenOf(SYNONYMS[word] ?? word));
for (const word of words(HINTS)) enter(word, KIND.hint, tokenOf(word));
for (const set of words(CHARACTER_SETS)) enter(`_${set}`, KIND.word, TOKEN.introducer);

const octetsOfWords = Uint8Array.from(wordOctets);

function find(octets: Uint8Array, from: number, to: number, hash: number, kinds: number): number {
  const length = to - from;
  for (let slot = slotOf(hash); slotLength[slot] !== 0; slot = (slot + 1) & (SLOTS - 1)) {
    if (slotLength[slot] !== length || (slotValue[slot] & kinds) === 0) continue;
    const at = slotAt[slot];
    let i = 0;
    while (i < length && UPPER[octets[from + i]] === octetsOfWords[at + i]) i++;
    if (i === length) return slotValue[slot] & 0xffff;
  }
  return NO_TOKEN;
}

/** The keyword at [from, to) whose hash is `hash`, or NO_TOKEN. Some words are keywords only before an opening bracket. */
export function findWord(
  octets: Uint8Array,
  from: number,
  to: number,
  hash: number,
  beforeBracket: boolean,
): number {
  return find(octets, from, to, hash, beforeBracket ? KIND.word | KIND.function : KIND.word);
}

/** The same inside of optimizer hints, which have keywords of their own. */
export function findHintWord(octets: Uint8Array, from: number, to: number, hash: number): number {
  return find(octets, from, to, hash, KIND.hint);
}

const encoder = new TextEncoder();

/** Where a token's text begins in TOKEN_TEXT; that of the next token is where it ends. */
export const TOKEN_TEXT_AT = new Uint16Array(FIRST_NAMED + texts.length + 1);
export const TOKEN_TEXT = new Uint8Array(FIRST_NAMED + texts.join('').length);
export const TOKEN_FLAGS = new Uint8Array(FIRST_NAMED + texts.length);

for (let octet = 0; octet < FIRST_NAMED; octet++) {
  TOKEN_TEXT_AT[octet] = octet;
  TOKEN_TEXT[octet] = octet;
}
let textsEnd = FIRST_NAMED;
for (const [i, text] of texts.entries()) {
  TOKEN_TEXT_AT[FIRST_NAMED + i] = textsEnd;
  TOKEN_TEXT.set(encoder.encode(text), textsEnd);
  textsEnd += text.length;
}
TOKEN_TEXT_AT[FIRST_NAMED + texts.length] = textsEnd;

for (const text of words(BEFORE_SIGN)) TOKEN_FLAGS[tokenOf(text)] |= FLAG.beforeSign | FLAG.beforeNull;
for (const text of words(BEFORE_NULL)) TOKEN_FLAGS[tokenOf(text)] |= FLAG.beforeNull;
for (const text of words(AFTER_OPERAND)) TOKEN_FLAGS[tokenOf(text)] |= FLAG.afterOperand;
for (const text of words(BEFORE_HINTS)) TOKEN_FLAGS[tokenOf(text)] |= FLAG.beforeHints;
TOKEN_FLAGS[tokenOf('@')] |= FLAG.noBlank;
TOKEN_FLAGS[TOKEN.nameAt] |= FLAG.noBlank;
