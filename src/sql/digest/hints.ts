import { DIALECT } from '../dialect.ts';
import { CLASS, CLASSES, isDigit, OCTET, type SqlText } from '../text.ts';
import type { TokenStore } from './token-store.ts';
import { findHintWord, NO_TOKEN, TOKEN } from './tokens.ts';

/**
 * Optimizer hints (MySQL manual, "Optimizer Hints"), which are tokens too, with keywords of their own. They begin at `from` or
 * there are none. Where they end, or `from`.
 */
export function readHints(text: SqlText, store: TokenStore, from: number): number {
  let at = text.spaceEnd(from);
  if (text.peek(at) !== OCTET.slash || text.peek(at + 1) !== OCTET.star) return from;
  if (text.peek(at + 2) !== OCTET.plus) return from;
  at = text.spaceEnd(at + 3);
  // A comment without a hint is no token.
  if (!closes(text, at)) store.token(TOKEN.hintsOpen);
  else return at + 2;
  while (at < text.end) {
    if (closes(text, at)) {
      store.token(TOKEN.hintsClose);
      return at + 2;
    }
    at = text.spaceEnd(readHint(text, store, at));
  }
  return text.end;
}

function closes(text: SqlText, at: number): boolean {
  return text.peek(at) === OCTET.star && text.peek(at + 1) === OCTET.slash;
}

/** One token of a hint. */
function readHint(text: SqlText, store: TokenStore, at: number): number {
  const octet = text.octets[at];
  switch (CLASSES[octet]) {
    case CLASS.backtick:
      return readName(text, store, at, text.quotedNameEnd(at), octet);
    case CLASS.doubleQuote:
      if ((text.dialect & DIALECT.ansiQuotes) !== 0)
        return readName(text, store, at, text.quotedNameEnd(at), octet);
      store.literal();
      return text.stringEnd(at);
    case CLASS.quote:
      store.literal();
      return text.stringEnd(at);
    case CLASS.word:
    case CLASS.prefix:
    case CLASS.digit:
      return readWord(text, store, at);
    case CLASS.point:
      // Parts names without being a token.
      if (!isDigit(text.peek(at + 1))) return at + 1;
      store.number();
      return text.digitsEnd(at + 1);
    default:
      store.token(octet);
      return at + 1;
  }
}

/** A keyword, a name, or a number, which a K, M or G may end. */
function readWord(text: SqlText, store: TokenStore, from: number): number {
  const digits = text.digitsEnd(from);
  if (digits > from) {
    const next = text.peek(digits);
    const scaled = next === OCTET.upperK || next === OCTET.upperM || next === OCTET.upperG;
    const end = scaled ? digits + 1 : digits;
    if (!text.inName(end)) {
      store.number();
      return next === OCTET.point ? text.digitsEnd(end + 1) : end;
    }
  }
  const end = text.wordEnd(from);
  const afterAt = store.last(0) === OCTET.at;
  const token = afterAt ? NO_TOKEN : findHintWord(text.octets, from, end, text.hash);
  if (token === NO_TOKEN) return readName(text, store, from, end, 0);
  store.token(token);
  return end;
}

/** The name at [from, end), its quotes included. An `@` right after it belongs to it: `table@query_block`. */
function readName(text: SqlText, store: TokenStore, from: number, end: number, quote: number): number {
  const token = text.peek(end) === OCTET.at ? TOKEN.nameAt : TOKEN.name;
  if (quote === 0) store.name(text.octets, from, end, token);
  else store.quotedName(text.octets, from, end, token);
  return end;
}
