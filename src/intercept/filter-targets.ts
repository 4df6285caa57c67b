import { MytapeError } from '../errors.ts';
import { parseAddress } from '../wire/address.ts';
import { parsePrefix } from '../wire/prefixes.ts';
import { netOf, type PortSpan, TargetList, type TargetRule } from './target-list.ts';

/** More alternatives than anyone types. */
const MOST_RULES = 256;

/** Deepest nesting of parentheses and `not`. */
const MOST_DEPTH = 64;

/** Protocols in front of a primitive, or alone: they say nothing of who the target is. */
const PROTOCOLS: ReadonlySet<string> = new Set(['ip', 'ip6', 'tcp']);

const TYPES: ReadonlySet<string> = new Set(['host', 'net', 'port', 'portrange']);

/** Says nothing of who the target is. */
const ANY: readonly TargetRule[] = [{ nets: [], ports: [] }];

/** The filter has something that is not read here. `token` is what it was, '' at its end. */
class NotRead extends Error {
  readonly token: string;

  constructor(token: string) {
    super(token);
    this.token = token;
  }
}

/**
 * The targets that a capture filter (pcap-filter(7)) names: its `src port`, `src portrange`, `src host` and `src net`, by `and`, `or` and
 * parentheses. What is denied, and what is said of the client, limits nothing. Throws where an alternative names no port, or the filter
 * has something else in it: then the targets have to be named.
 */
export function targetsOfFilter(filter: string): TargetList {
  const ask = `name the targets: --target 10.128.6.83:3307 (may be repeated; a network: 10.128.6.0/24:3307)`;
  let rules: readonly TargetRule[];
  try {
    rules = new FilterReader(filter).read();
  } catch (error) {
    if (!(error instanceof NotRead)) throw error;
    const where = error.token === '' ? 'its end' : `"${error.token}"`;
    throw new MytapeError(
      'usage',
      `can't tell the targets from the filter -F '${filter}' (read up to ${where}): ${ask}`,
    );
  }
  if (rules.some(({ ports }) => ports.length === 0)) {
    throw new MytapeError('usage', `the filter -F '${filter}' names no port of the target: ${ask}`);
  }
  return new TargetList(rules);
}

/** What a primitive is about; the next id may go without it: `src port 3306 or 3307`. */
interface Head {
  dir: string;
  type: string;
}

/** Reads a filter into alternatives. In pcap's grammar `and` and `or` bind alike, from left to right; `not` binds tighter. */
class FilterReader {
  readonly #tokens: readonly string[];
  #at = 0;
  #depth = 0;
  /** Of the primitive before. */
  #head: Head | undefined;

  constructor(filter: string) {
    this.#tokens = filter.toLowerCase().match(/[()]|&&|\|\||!|[^\s()!&|]+|[&|]/g) ?? [];
  }

  read(): readonly TargetRule[] {
    const rules = this.#expression();
    if (this.#next !== '') throw new NotRead(this.#next);
    return rules;
  }

  get #next(): string {
    return this.#tokens[this.#at] ?? '';
  }

  /** Whether the next token is one of `words`, which is then passed. */
  #pass(...words: string[]): boolean {
    if (!words.includes(this.#next)) return false;
    this.#at++;
    return true;
  }

  #expression(): readonly TargetRule[] {
    let rules = this.#term();
    for (;;) {
      if (this.#pass('and', '&&')) rules = both(rules, this.#term());
      else if (this.#pass('or', '||')) rules = [...rules, ...this.#term()];
      else return rules;
      if (rules.length > MOST_RULES) throw new NotRead(this.#next);
    }
  }

  #term(): readonly TargetRule[] {
    if (++this.#depth > MOST_DEPTH) throw new NotRead(this.#next);
    try {
      if (this.#pass('not', '!')) {
        this.#term();
        return ANY;
      }
      if (this.#pass('(')) {
        const rules = this.#expression();
        if (!this.#pass(')')) throw new NotRead(this.#next);
        return rules;
      }
      return this.#primitive();
    } finally {
      this.#depth--;
    }
  }

  #primitive(): readonly TargetRule[] {
    let isQualified = false;
    while (PROTOCOLS.has(this.#next)) {
      this.#at++;
      isQualified = true;
    }
    const dir = this.#next === 'src' || this.#next === 'dst' ? this.#tokens[this.#at++] : '';
    const type = TYPES.has(this.#next) ? this.#tokens[this.#at++] : '';
    if (dir !== '' || type !== '') {
      this.#head = { dir, type: type === '' ? 'host' : type };
    } else if (isQualified) {
      this.#head = undefined;
      return ANY;
    }
    if (this.#head === undefined) throw new NotRead(this.#next);
    if (!this.#pass('(')) return this.#id(this.#head);
    // `src port (3306 or 3307)`.
    let rules = this.#id(this.#head);
    while (this.#pass('or', '||')) rules = [...rules, ...this.#id(this.#head)];
    if (!this.#pass(')')) throw new NotRead(this.#next);
    return rules;
  }

  #id({ dir, type }: Head): readonly TargetRule[] {
    const token = this.#next;
    this.#at++;
    if (type === 'port' || type === 'portrange') {
      const span = spanOf(token, type);
      if (span === undefined) throw new NotRead(token);
      return dir === 'dst' ? ANY : [{ nets: [], ports: [span] }];
    }
    const address = parseAddress(token);
    const net = type === 'net' ? parsePrefix(token) : address && netOf(address);
    if (net === undefined) throw new NotRead(token);
    return dir === 'src' ? [{ nets: [net], ports: [] }] : ANY;
  }
}

function spanOf(token: string, type: string): PortSpan | undefined {
  const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(token) ?? [];
  if (from === undefined || (type === 'port' && to !== from)) return undefined;
  const span = { first: Number(from), last: Number(to) };
  return span.first >= 1 && span.first <= span.last && span.last <= 65535 ? span : undefined;
}

function both(some: readonly TargetRule[], others: readonly TargetRule[]): readonly TargetRule[] {
  if (some.length * others.length > MOST_RULES) throw new NotRead('');
  return some.flatMap((one) =>
    others.map((other) => ({ nets: [...one.nets, ...other.nets], ports: [...one.ports, ...other.ports] })),
  );
}
