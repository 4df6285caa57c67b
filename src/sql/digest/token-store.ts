import { FIRST_NAMED, FLAG, TOKEN, TOKEN_FLAGS, TOKEN_TEXT, TOKEN_TEXT_AT } from './tokens.ts';

const COMMA = 0x2c;
const OPEN = 0x28;
const CLOSE = 0x29;
const PLUS = 0x2b;
const MINUS = 0x2d;
const BLANK = 0x20;
const ZERO = 0x30;
const SEMICOLON = 0x3b;
const BACKTICK = 0x60;

/** What a token takes of the bound, octets; a name takes as much again and its own octets. */
const TOKEN_OCTETS = 2;

/** What a column's place in ORDER BY takes besides, and the largest there can be. */
const ORDINAL_OCTETS = 4;
const MOST_ORDINAL = 0xffff_ffff;

/** Texts of tokens are shorter than this, with the blank before them. */
const MAX_TEXT = 48;

/**
 * The tokens of one statement and their text, literals and lists of them folded as they come in (MySQL manual, "Performance Schema
 * Statement Digests and Sampling"). Bounded: what comes after `full` is not taken in. One store serves one statement after another.
 */
export class TokenStore {
  /** A token did not fit; none will any more. */
  full = false;
  /** The text so far is octets [0, length); valid until the next `begin`. */
  octets = new Uint8Array(4096);
  length = 0;
  #tokens = new Uint16Array(512);
  /** Where each token's text began, its blank included. */
  #textAt = new Uint32Array(512);
  #count = 0;
  #used = 0;
  #bound = 0;
  /** How many tokens there are with the number that may be a column's place in ORDER BY or GROUP BY; 0 where none is last. */
  #ordinalAt = 0;
  #ordinal = 0;

  /** `bound`: octets of tokens that are taken in, counted as the server does (max_digest_length). */
  begin(bound: number): void {
    this.full = false;
    this.length = 0;
    this.#count = 0;
    this.#used = 0;
    this.#bound = bound;
    this.#ordinalAt = 0;
  }

  get empty(): boolean {
    return this.#count === 0;
  }

  /** The last token but `back` (0: the last one); 0 where there is none. */
  last(back: number): number {
    return back < this.#count ? this.#tokens[this.#count - 1 - back] : 0;
  }

  /** A keyword, an operator, or one character. */
  token(token: number): void {
    if (this.#ordinalAt !== 0) this.#settleOrdinal(token, TOKEN_OCTETS);
    if (token === CLOSE) this.#close();
    else if (token === TOKEN.null && this.#nullIsValue()) this.literal();
    else this.#push(token);
  }

  /** There are no more tokens. */
  end(): void {
    if (this.#ordinalAt !== 0) this.#settleOrdinal(0, 0);
  }

  /** A number of the decimal digits at [from, to) of `source`. */
  integer(source: Uint8Array, from: number, to: number): void {
    const mayBeOrdinal = this.#ordersNext();
    this.number();
    if (!mayBeOrdinal || this.full) return;
    let number = 0;
    for (let i = from; i < to && number <= MOST_ORDINAL; i++) number = 10 * number + source[i] - ZERO;
    if (number === 0 || number > MOST_ORDINAL) return;
    this.#ordinalAt = this.#count;
    this.#ordinal = number;
  }

  /** A number, with the signs before it that are its own: `-1`, but not `a - 1`. */
  number(): void {
    while (this.last(0) === MINUS || this.last(0) === PLUS) {
      if ((TOKEN_FLAGS[this.last(1)] & FLAG.beforeSign) === 0) break;
      this.#pop(1);
    }
    this.literal();
  }

  /** Any other literal. */
  literal(): void {
    const before = this.last(1);
    if (this.last(0) === COMMA && (before === TOKEN.value || before === TOKEN.values)) {
      this.#pop(2);
      this.#push(TOKEN.values);
    } else {
      this.#push(TOKEN.value);
    }
  }

  /** A name without quotes, at [from, to) of `source`. `token`: TOKEN.name or TOKEN.nameAt. */
  name(source: Uint8Array, from: number, to: number, token: number = TOKEN.name): void {
    if (!this.#open(token, 2 * TOKEN_OCTETS + to - from)) return;
    this.#reserve(to - from + 2);
    const octets = this.octets;
    let at = this.length;
    octets[at++] = BACKTICK;
    for (let i = from; i < to; i++) octets[at++] = source[i];
    octets[at++] = BACKTICK;
    this.length = at;
  }

  /**
   * The same for one in quotes, [from, to) being all of it: a quote within stands twice where it means itself, and the closing one may
   * be missing.
   */
  quotedName(source: Uint8Array, from: number, to: number, token: number = TOKEN.name): void {
    if (this.full) return;
    const quote = source[from];
    // An odd number of quotes at the end closes the name; but a lone one at its beginning opens it.
    let quotes = 0;
    while (to - 1 - quotes > from && source[to - 1 - quotes] === quote) quotes++;
    const end = quotes % 2 === 1 ? to - 1 : to;
    from++;
    // Less than half of it may be quotes: no need to count those of a name that cannot fit.
    const doubled = end - from > 2 * this.#bound ? 0 : countDoubled(source, from, end, quote);
    if (!this.#open(token, 2 * TOKEN_OCTETS + end - from - doubled)) return;
    // The server prints nothing of an empty name.
    if (from === end) {
      this.length = this.#textAt[this.#count - 1];
      return;
    }
    this.#reserve(end - from + 2);
    const octets = this.octets;
    let at = this.length;
    octets[at++] = BACKTICK;
    for (let i = from; i < end; i++) {
      octets[at++] = source[i];
      if (source[i] === quote) i++;
    }
    octets[at++] = BACKTICK;
    this.length = at;
  }

  /** A closing bracket makes a row of literals one token, and rows of them another. */
  #close(): void {
    const inside = this.last(0);
    if (this.last(1) !== OPEN || (inside !== TOKEN.value && inside !== TOKEN.values)) {
      this.#push(CLOSE);
      return;
    }
    const row = inside === TOKEN.value ? TOKEN.rowOfOne : TOKEN.row;
    const rows = inside === TOKEN.value ? TOKEN.rowsOfOne : TOKEN.rows;
    this.#pop(2);
    const before = this.last(1);
    if (this.last(0) === COMMA && (before === row || before === rows)) {
      this.#pop(2);
      this.#push(rows);
    } else if (this.last(0) === TOKEN.in) {
      this.#pop(1);
      this.#push(TOKEN.inValues);
    } else {
      this.#push(row);
    }
  }

  /** Whether the next token begins a column or an expression to order or to group by. */
  #ordersNext(): boolean {
    const before = this.last(0);
    if (before === TOKEN.by) return this.#ordersBy(1);
    if (before === OPEN) return this.#rollsUp(1);
    if (before !== COMMA) return false;
    // After a value it is one of a list of values, wherever that is.
    const inList = this.last(1);
    return inList !== TOKEN.value && inList !== TOKEN.values && this.#ordersList();
  }

  /** Whether the list that the last token, a comma, goes on with is one to order or to group by. */
  #ordersList(): boolean {
    let depth = 0;
    for (let back = 1; back < this.#count; back++) {
      const token = this.last(back);
      if (token === CLOSE) depth++;
      else if (token === OPEN && depth-- === 0) return this.#rollsUp(back + 1);
      else if (depth > 0) continue;
      else if (token === TOKEN.by) return this.#ordersBy(back + 1);
      else if (token === TOKEN.ordinal) return true;
      else if (token === TOKEN.select || token === TOKEN.limit || token === SEMICOLON) return false;
    }
    return false;
  }

  /** Whether the token before BY makes it one that orders or groups; `back` as for `last`. */
  #ordersBy(back: number): boolean {
    const before = this.last(back);
    return before === TOKEN.order || before === TOKEN.group || before === TOKEN.partition;
  }

  /** Whether the token before a bracket makes it one of GROUP BY's. */
  #rollsUp(back: number): boolean {
    const before = this.last(back);
    return before === TOKEN.rollup || before === TOKEN.cube;
  }

  /**
   * The last token is a column's place unless `next` goes on with the expression. As the server does it: it has read `next`, of `cost`,
   * when it sees what the number was; where there is no room for the place, it drops the number and takes in no more than `next`.
   */
  #settleOrdinal(next: number, cost: number): void {
    const isLast = this.#ordinalAt === this.#count;
    this.#ordinalAt = 0;
    if (!isLast || (TOKEN_FLAGS[next] & FLAG.afterOperand) !== 0 || this.#used + cost > this.#bound) return;
    this.#pop(1);
    if (this.#used + TOKEN_OCTETS + ORDINAL_OCTETS > this.#bound) {
      this.#bound = this.#used + cost;
      return;
    }
    this.#open(TOKEN.ordinal, TOKEN_OCTETS + ORDINAL_OCTETS);
    let scale = 1;
    while (scale * 10 <= this.#ordinal) scale *= 10;
    for (; scale >= 1; scale /= 10)
      this.octets[this.length++] = ZERO + (Math.floor(this.#ordinal / scale) % 10);
  }

  /** The server's grammar tells; what stands before it tells as much. `NOT` and `BINARY` may begin an expression, or end a type. */
  #nullIsValue(): boolean {
    let back = 0;
    let before = this.last(0);
    while (before === TOKEN.not || before === TOKEN.binary) before = this.last(++back);
    return (TOKEN_FLAGS[before] & FLAG.beforeNull) !== 0;
  }

  #push(token: number): void {
    if (!this.#open(token, TOKEN_OCTETS)) return;
    const octets = this.octets;
    let at = this.length;
    if (token < FIRST_NAMED) {
      octets[at] = token;
      this.length = at + 1;
      return;
    }
    const end = TOKEN_TEXT_AT[token + 1];
    for (let i = TOKEN_TEXT_AT[token]; i < end; i++) octets[at++] = TOKEN_TEXT[i];
    this.length = at;
  }

  /** Makes the next token, with the blank before its text; false where it does not fit. */
  #open(token: number, cost: number): boolean {
    const used = this.#used + cost;
    if (this.full || used > this.#bound) {
      this.full = true;
      return false;
    }
    this.#used = used;
    const count = this.#count;
    if (count === this.#tokens.length) this.#growTokens();
    this.#reserve(MAX_TEXT);
    const { length } = this;
    const tokens = this.#tokens;
    tokens[count] = token;
    this.#textAt[count] = length;
    this.#count = count + 1;
    if (length > 0 && (TOKEN_FLAGS[tokens[count - 1]] & FLAG.noBlank) === 0) {
      this.octets[length] = BLANK;
      this.length = length + 1;
    }
    return true;
  }

  /** Only tokens that are no names, each of the same cost, are ever folded. */
  #pop(tokens: number): void {
    this.#count -= tokens;
    this.#used -= tokens * TOKEN_OCTETS;
    this.length = this.#textAt[this.#count];
  }

  #reserve(octets: number): void {
    if (this.length + octets <= this.octets.length) return;
    const grown = new Uint8Array(2 * (this.length + octets));
    grown.set(this.octets);
    this.octets = grown;
  }

  #growTokens(): void {
    const tokens = new Uint16Array(2 * this.#tokens.length);
    const textAt = new Uint32Array(2 * this.#tokens.length);
    tokens.set(this.#tokens);
    textAt.set(this.#textAt);
    this.#tokens = tokens;
    this.#textAt = textAt;
  }
}

/** How often `quote` stands twice in [from, to). */
function countDoubled(source: Uint8Array, from: number, to: number, quote: number): number {
  let doubled = 0;
  for (let i = from; i < to; i++) {
    if (source[i] !== quote) continue;
    doubled++;
    i++;
  }
  return doubled;
}
