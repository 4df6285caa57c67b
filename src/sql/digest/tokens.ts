/**
 * Tokens of SQL as a digest knows them: an octet's own number is the token of that one character, what follows is made here.
 * Texts, flags and the look-up of words lie in typed arrays, which one token costs a few reads of.
 */
import { WordTable } from '../word-table.ts';
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

/** Tokens below it are octets. */
export const FIRST_NAMED = 256;

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

/** What `findWord` returns is a keyword only before an opening bracket: it is so much more than the token. */
export const BEFORE_BRACKET = 0x1_0000;

const keywords = new WordTable(
  new Map([
    ...words(WORDS).map((word): [string, number] => [word, tokenOf(SYNONYMS[word] ?? word)]),
    ...words(FUNCTIONS).map((word): [string, number] => [
      word,
      BEFORE_BRACKET | tokenOf(SYNONYMS[word] ?? word),
    ]),
    ...words(CHARACTER_SETS).map((set): [string, number] => [`_${set}`, TOKEN.introducer]),
  ]),
);
const hintWords = new WordTable(new Map(words(HINTS).map((word) => [word, tokenOf(word)])));

/** The keyword at [from, to) whose hash is `hash`, or NO_TOKEN. Of some words it is BEFORE_BRACKET and the token. */
export function findWord(octets: Uint8Array, from: number, to: number, hash: number): number {
  return keywords.find(octets, from, to, hash);
}

/** The same inside of optimizer hints, which have keywords of their own. */
export function findHintWord(octets: Uint8Array, from: number, to: number, hash: number): number {
  return hintWords.find(octets, from, to, hash);
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
