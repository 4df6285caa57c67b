import { isUtf8 } from 'node:buffer';
import { MytapeError } from '../../errors.ts';

/** One line of a file of rules: what it finds is replaced. */
interface Rule {
  /** Where it stands and what it is, for who is to mend it. */
  name: string;
  pattern: RegExp;
  replacement: string;
  matched: boolean;
}

/** Longer statements are not rewritten: a string cannot be much longer. */
const MOST_TEXT_OCTETS = 256 << 20;

const FORM = 's/PATTERN/REPLACEMENT/FLAGS';
const FLAGS = /^[gismu]*$/;

/** ASCII's punctuation, but for the backslash. */
const DELIMITERS = /^[!-/:-@[\]^-`{-~]$/;

/** Delimiters that mean something in a pattern: behind a backslash they stand for themselves, there too. */
const SYNTAX = /^[$()*+.?[\]^{|}]$/;

/** Stray octets, as characters that no valid text has: a low surrogate without a high one. */
const STRAY = 0xdc00;

/** Characters of UTF-8 by their octets (Unicode 15, table 3-7), or an octet that is part of none. */
const UTF8 = new RegExp(
  [
    '[\\x00-\\x7f]+',
    '[\\xc2-\\xdf][\\x80-\\xbf]',
    '\\xe0[\\xa0-\\xbf][\\x80-\\xbf]',
    '[\\xe1-\\xec\\xee\\xef][\\x80-\\xbf]{2}',
    '\\xed[\\x80-\\x9f][\\x80-\\xbf]',
    '\\xf0[\\x90-\\xbf][\\x80-\\xbf]{2}',
    '[\\xf1-\\xf3][\\x80-\\xbf]{3}',
    '\\xf4[\\x80-\\x8f][\\x80-\\xbf]{2}',
    '[^]',
  ].join('|'),
  'g',
);

/**
 * `--rewrite`: a file of regular expressions that statements are rewritten by. A rule a line, as sed has them, in JavaScript's
 * expressions: `s/PATTERN/REPLACEMENT/FLAGS`. Any punctuation may stand for `/`; in the replacement `$1`, `$<name>` and `$&` are
 * what was found, `\n` and `\t` what they are elsewhere. Flags: g (all, not the first), i, s, m, u. Blank lines and those that begin
 * with `#` are none.
 */
export class RewriteRules {
  readonly #rules: readonly Rule[];

  private constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }

  /** `file`: its name, for errors. Throws `bad-file` for the first line that is no rule. */
  static parse(text: string, file: string): RewriteRules {
    const rules: Rule[] = [];
    for (const [i, line] of text.split('\n').entries()) {
      const rule = line.trim();
      if (rule !== '' && !rule.startsWith('#')) rules.push(parseRule(rule, `${file}:${i + 1}`));
    }
    return new RewriteRules(rules);
  }

  /**
   * The text of a COM_QUERY or COM_STMT_PREPARE as the rules make it, each from what the one before it made; `octets` itself where
   * none changes it. Patterns are compared as UTF-8; octets that are not (binary strings, other character sets) stay what they are.
   */
  text(octets: Uint8Array): Uint8Array {
    if (octets.length > MOST_TEXT_OCTETS) return octets;
    const before = decoded(octets);
    let text = before;
    for (const rule of this.#rules) {
      const { pattern, replacement } = rule;
      if (!pattern.test(text)) continue;
      rule.matched = true;
      text = text.replace(pattern, replacement);
    }
    return text === before ? octets : encoded(text);
  }

  /** Rules that matched nothing so far: `file:line rule`. */
  unused(): string[] {
    return this.#rules.filter(({ matched }) => !matched).map(({ name }) => name);
  }
}

function parseRule(line: string, where: string): Rule {
  const wrong = (what: string) =>
    new MytapeError('bad-file', `${where}: ${line} ${what} (a rule is ${FORM})`);
  const delimiter = line[1] ?? '';
  if (line[0] !== 's' || !DELIMITERS.test(delimiter)) throw wrong('is no rule');
  const parts = partsOf(line, delimiter);
  if (parts.length !== 3) {
    throw wrong(
      parts.length < 3
        ? `lacks a ${delimiter}`
        : `has a ${delimiter} too many: write \\${delimiter} within a part`,
    );
  }
  const [source, replacement, flags] = parts;
  if (source === '') throw wrong('has no pattern');
  if (!FLAGS.test(flags)) throw wrong(`has flags ${flags}, and may have g, i, s, m and u`);
  const group = /\\\d/.exec(replacement.replaceAll('\\\\', ''));
  if (group !== null) throw wrong(`has ${group[0]}: write $${group[0][1]}`);
  const literal = (part: string, inPattern: boolean) =>
    inPattern && SYNTAX.test(delimiter) ? part : part.replaceAll(`\\${delimiter}`, delimiter);
  try {
    const pattern = new RegExp(literal(source, true), flags);
    const name = `${where} ${line}`;
    return { name, pattern, replacement: unescaped(literal(replacement, false)), matched: false };
  } catch (cause) {
    throw wrong(`is not right: ${(cause as Error).message}`);
  }
}

/** What stands between the delimiters of a rule, and behind the last. */
function partsOf(line: string, delimiter: string): string[] {
  const parts: string[] = [];
  let from = 2;
  for (let at = from; at < line.length; at++) {
    if (line[at] === '\\') at++;
    else if (line[at] === delimiter) {
      parts.push(line.slice(from, at));
      from = at + 1;
    }
  }
  return [...parts, line.slice(from)];
}

function unescaped(replacement: string): string {
  return replacement.replace(/\\([nt\\])/g, (_, escaped) =>
    escaped === 'n' ? '\n' : escaped === 't' ? '\t' : '\\',
  );
}

function decoded(octets: Uint8Array): string {
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
  if (isUtf8(buffer)) return buffer.toString('utf8');
  return buffer.toString('latin1').replace(UTF8, (found) => {
    if (found.length > 1 || found < '\x80') return Buffer.from(found, 'latin1').toString('utf8');
    return String.fromCharCode(STRAY + found.charCodeAt(0));
  });
}

function encoded(text: string): Uint8Array {
  const pieces: Uint8Array[] = [];
  let done = 0;
  for (const { index, 0: stray } of text.matchAll(/(?<![\ud800-\udbff])[\udc80-\udcff]/g)) {
    pieces.push(Buffer.from(text.slice(done, index), 'utf8'), Uint8Array.of(stray.charCodeAt(0) - STRAY));
    done = index + 1;
  }
  return new Uint8Array(Buffer.concat([...pieces, Buffer.from(text.slice(done), 'utf8')]));
}

/** Rules for statements, and the file that they are from. */
export interface RulesFile {
  file: string;
  text: string;
}
