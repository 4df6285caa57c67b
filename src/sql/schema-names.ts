import { KIND, type Scanner } from './scanner.ts';
import { Statements } from './statements.ts';
import { stringText } from './string-text.ts';

/** What a name may be where it stands alone, or in front of one dot. */
const EXPECT = { nothing: 0, table: 1, schema: 2 } as const;

/** What is known of the bracket (or of the statement outside brackets) that is being read. */
const FRAME = { select: 1, list: 2 } as const;

const OPEN = 0x28;
const CLOSE = 0x29;
const STAR = 0x2a;
const COMMA = 0x2c;
const POINT = 0x2e;
const SEMICOLON = 0x3b;
const DOUBLE_QUOTE = 0x22;
/** `{ OJ …` */
const BRACE = 0x7b;

/** Brackets in brackets that are followed. A server's parser gives up earlier. */
const MOST_DEPTH = 4096;

/** No word that matters is longer. */
const MOST_WORD_OCTETS = 16;

/** Words between the one that announces a table and its name. */
const PASSED = /^(?:IF|NOT|EXISTS|IGNORE|LOW_PRIORITY|HIGH_PRIORITY|DELAYED|QUICK|LATERAL|OJ)$/;

/** Statements that name things of these kinds by the kind's word, which is no reserved one. */
const NAMES_BY_KIND = /^(?:CREATE|DROP|ALTER|SHOW|GRANT|REVOKE)$/;

/** SHOW statements whose first FROM or IN names a table, and only the second a schema. */
const SHOWS_A_TABLE = /^(?:COLUMNS|FIELDS|INDEX|INDEXES|KEYS)$/;

/**
 * Where the names of schemas stand in the text of statements, each quoted or not: [from, to) of one after another. In USE,
 * SHOW … FROM and CREATE, DROP, ALTER DATABASE; in `a.b.c` wherever it is; in `a.b` where a table, view, routine or the
 * like is named, and in the call of a function. Not in `a.b` of a column, whose `a` is a table or an alias. In the string that
 * PREPARE or EXECUTE IMMEDIATE takes, too; in no other. `dialect`: the session's.
 */
export function schemaNamesIn(text: Uint8Array, dialect: number): number[] {
  return new SchemaNames(text, dialect).found;
}

/** Reads the words that announce what comes, not the whole grammar: what it does not know it leaves alone. */
class SchemaNames {
  readonly found: number[] = [];
  readonly #octets: Uint8Array;
  readonly #scanner: Scanner;
  #expect: number = EXPECT.nothing;
  /** FRAME flags of each open bracket; the statement itself is the first. */
  readonly #frames = new Uint8Array(MOST_DEPTH);
  #depth = 0;
  /** The first word of the statement. */
  #verb = '';
  #previous = '';
  /** The next bracket holds the name of a sequence. */
  #callsSequence = false;
  /** How many names the next FROM or IN of a SHOW is away from a schema's: 0, or 1 where a table's comes first. */
  #tablesToShow = 0;
  #showFilter = false;
  /** A query has begun, whose ON is no longer the statement's own. */
  #query = false;
  #on = false;

  constructor(octets: Uint8Array, dialect: number) {
    this.#octets = octets;
    const statements = new Statements();
    const { scanner } = statements;
    this.#scanner = scanner;
    statements.begin(octets, 0, octets.length, dialect);
    while (statements.next()) {
      this.#begin();
      statements.rewind();
      scanner.next();
      if (!this.#statement()) return;
    }
  }

  /** Reads a statement to its end. Returns whether to go on. */
  #statement(): boolean {
    const scanner = this.#scanner;
    while (scanner.kind !== KIND.end && scanner.kind !== SEMICOLON) {
      if (scanner.kind === KIND.string && this.#takesText) {
        this.#text(scanner.from, scanner.to);
        scanner.next();
      } else if (this.#isName) this.#chain();
      else if (scanner.kind < KIND.end) {
        if (!this.#sign(scanner.kind)) return false;
        scanner.next();
      } else {
        this.#expect = EXPECT.nothing;
        scanner.next();
      }
    }
    return true;
  }

  /** A statement begins. */
  #begin(): void {
    this.#expect = EXPECT.nothing;
    this.#frames[0] = 0;
    this.#depth = 0;
    this.#verb = '';
    this.#previous = '';
    this.#callsSequence = false;
    this.#tablesToShow = 0;
    this.#showFilter = false;
    this.#query = false;
    this.#on = false;
  }

  /** Whether the token may be a name. With sql_mode ANSI_QUOTES double quotes make one; where only a name can stand, always. */
  get #isName(): boolean {
    const { kind, from } = this.#scanner;
    if (kind === KIND.string) return this.#octets[from] === DOUBLE_QUOTE;
    return kind === KIND.word || kind === KIND.name || kind === KIND.quotedName;
  }

  /** Behind PREPARE … FROM and EXECUTE IMMEDIATE. */
  get #takesText(): boolean {
    if (this.#verb === 'PREPARE') return this.#previous === 'FROM';
    return this.#verb === 'EXECUTE' && this.#previous === 'IMMEDIATE';
  }

  /** The statement in the string at [from, to). A name with an escape in it would have to be escaped again: it is left alone. */
  #text(from: number, to: number): void {
    const { dialect } = this.#scanner;
    const { octets, at } = stringText(this.#octets, from, to, dialect);
    const { found } = new SchemaNames(octets, dialect);
    for (let i = 0; i < found.length; i += 2) {
      const [begins, ends] = [at[found[i]], at[found[i + 1]]];
      if (ends - begins === found[i + 1] - found[i]) this.found.push(begins, ends);
    }
    this.#previous = '';
    this.#expect = EXPECT.nothing;
  }

  /** Returns whether to go on. */
  #sign(sign: number): boolean {
    switch (sign) {
      case OPEN: {
        const tables = this.#expect === EXPECT.table || this.#callsSequence;
        this.#callsSequence = false;
        if (this.#depth + 1 === MOST_DEPTH) return false;
        this.#frames[++this.#depth] = tables ? FRAME.list : 0;
        this.#expect = tables ? EXPECT.table : EXPECT.nothing;
        return true;
      }
      case CLOSE:
        if (this.#depth > 0) this.#depth--;
        break;
      case COMMA:
        this.#expect = this.#isList ? EXPECT.table : EXPECT.nothing;
        return true;
      case BRACE:
        return true;
    }
    this.#expect = EXPECT.nothing;
    return true;
  }

  /** A name, names with dots between, or a word: stops behind it. */
  #chain(): void {
    const scanner = this.#scanner;
    const { from, to, kind } = scanner;
    let parts = 1;
    let isStar = false;
    scanner.next();
    while (scanner.kind === POINT) {
      isStar = scanner.next() === STAR;
      if (!isStar && !this.#isName) break;
      parts++;
      scanner.next();
    }
    const isCall = scanner.kind === OPEN;
    if (
      parts > 2 ||
      (parts === 2 && (isStar ? this.#isGrant : isCall || this.#expect === EXPECT.table)) ||
      (parts === 1 && this.#expect === EXPECT.schema && !this.#passes(from, to, kind))
    ) {
      this.found.push(from, to);
    } else if (parts === 1 && kind === KIND.word && to - from <= MOST_WORD_OCTETS) {
      this.#word(this.#upper(from, to), isCall);
      return;
    }
    this.#expect = EXPECT.nothing;
  }

  /** IF [NOT] EXISTS, before a schema's name. */
  #passes(from: number, to: number, kind: number): boolean {
    return kind === KIND.word && to - from <= MOST_WORD_OCTETS && PASSED.test(this.#upper(from, to));
  }

  #upper(from: number, to: number): string {
    return String.fromCharCode(...this.#octets.subarray(from, to)).toUpperCase();
  }

  #word(word: string, isCall: boolean): void {
    const isVerb = this.#verb === '';
    if (isVerb) this.#verb = word;
    const before = this.#previous;
    this.#previous = word;
    if (PASSED.test(word)) return;
    this.#expect = EXPECT.nothing;
    switch (word) {
      case 'SELECT':
        this.#query = true;
        this.#frames[this.#depth] = FRAME.select;
        return;
      case 'IN':
        if (this.#verb === 'SHOW' && !isCall) this.#from();
        return;
      case 'FROM':
        this.#from();
        return;
      case 'JOIN':
        this.#query = true;
        this.#tables();
        return;
      case 'STRAIGHT_JOIN':
        // Without a table before it, it is a modifier of SELECT.
        if (this.#isList) this.#tables();
        return;
      case 'UPDATE':
        // ON DUPLICATE KEY UPDATE, ON UPDATE CASCADE, FOR UPDATE: no table follows.
        if (before === 'KEY' || before === 'ON' || before === 'FOR') this.#endList();
        else this.#tables();
        return;
      case 'USING':
        if (!isCall) this.#tables();
        return;
      case 'DELETE':
      case 'TABLE':
      case 'TABLES':
        this.#tables();
        return;
      case 'INSERT':
      case 'REPLACE':
      case 'TRUNCATE':
        // They are functions, too.
        if (!isCall) this.#one();
        return;
      case 'INTO':
        this.#endList();
        this.#one();
        return;
      case 'CALL':
      case 'REFERENCES':
      case 'HANDLER':
      case 'RENAME':
        this.#one();
        return;
      case 'DESCRIBE':
      case 'DESC':
      case 'EXPLAIN':
        if (isVerb) this.#one();
        return;
      case 'USE':
        if (isVerb) this.#expect = EXPECT.schema;
        return;
      case 'VIEW':
        if (NAMES_BY_KIND.test(this.#verb)) this.#tables();
        return;
      case 'PROCEDURE':
      case 'FUNCTION':
      case 'TRIGGER':
      case 'EVENT':
      case 'SEQUENCE':
        if (NAMES_BY_KIND.test(this.#verb)) this.#one();
        return;
      case 'DATABASE':
      case 'SCHEMA':
        if (!isCall && this.#depth === 0 && NAMES_BY_KIND.test(this.#verb)) this.#expect = EXPECT.schema;
        return;
      case 'ON':
        if (this.#isOwnOn) this.#one();
        this.#on = true;
        return;
      case 'TO':
        if (this.#verb === 'RENAME' || this.#verb === 'ALTER') this.#one();
        return;
      case 'LIKE':
        if (this.#verb === 'CREATE' && !this.#query) this.#one();
        this.#showFilter = true;
        return;
      case 'FOR':
        // NEXT VALUE FOR a sequence.
        if (before === 'VALUE') this.#one();
        return;
      case 'NEXTVAL':
      case 'LASTVAL':
      case 'SETVAL':
        this.#callsSequence = isCall;
        return;
      case 'WHERE':
        this.#showFilter = true;
        this.#endList();
        return;
      case 'SET':
      case 'GROUP':
      case 'ORDER':
      case 'HAVING':
      case 'LIMIT':
      case 'WINDOW':
      case 'RETURNING':
      case 'UNION':
      case 'EXCEPT':
      case 'INTERSECT':
        this.#endList();
        return;
      default:
        if (this.#verb === 'SHOW' && SHOWS_A_TABLE.test(word)) this.#tablesToShow = 1;
    }
  }

  /** FROM, which in a bracket without a query belongs to a function: EXTRACT, TRIM, SUBSTRING. */
  #from(): void {
    if (this.#verb === 'SHOW' && this.#depth === 0 && !this.#showFilter) {
      this.#expect = this.#tablesToShow-- > 0 ? EXPECT.table : EXPECT.schema;
      return;
    }
    const isQuery = (this.#frames[this.#depth] & FRAME.select) !== 0;
    if (this.#depth > 0 && !isQuery) return;
    this.#query = true;
    this.#tables();
  }

  /** ON of CREATE INDEX, CREATE TRIGGER, DROP INDEX, GRANT and REVOKE, and not of a join. */
  get #isOwnOn(): boolean {
    if (this.#on) return false;
    return this.#isGrant || ((this.#verb === 'CREATE' || this.#verb === 'DROP') && !this.#query);
  }

  /** Only there `a.*` is a schema. */
  get #isGrant(): boolean {
    return this.#verb === 'GRANT' || this.#verb === 'REVOKE';
  }

  get #isList(): boolean {
    return (this.#frames[this.#depth] & FRAME.list) !== 0;
  }

  /** A table's name follows, … */
  #one(): void {
    this.#expect = EXPECT.table;
  }

  /** … and, behind a comma, further ones. */
  #tables(): void {
    this.#frames[this.#depth] |= FRAME.list;
    this.#expect = EXPECT.table;
  }

  #endList(): void {
    this.#frames[this.#depth] &= ~FRAME.list;
  }
}
