/** What a statement may change, told by its tokens: of the grammar only what announces a change is read. */
import { OCTET } from '../text.ts';
import {
  FIRST_WORD,
  isWritingFunction,
  READ,
  SESSION,
  STATE,
  TOKEN,
  VERB_KIND,
  VERB_STATE,
  WORD,
  WRITE,
} from './statement-words.ts';

/** What a statement does to the transaction, where its text says so. XA END and XA PREPARE count as rollback: they commit nothing. */
export type TransactionStep = 'begin' | 'commit' | 'rollback';

const CLOSE = 0x29;
const COMMA = 0x2c;

/** Takes the tokens of one statement after another. */
export class StatementGrammar {
  /** READ, SESSION or WRITE, as far as is known. */
  kind: number = READ;
  step: TransactionStep | undefined;
  /** It is a SET. */
  sets = false;
  /** The last token. */
  before: number = TOKEN.end;
  #state: number = STATE.verb;
  /** Brackets that are open, in SET. */
  #depth = 0;
  /** In SET: what is set comes, not to what. */
  #isTarget = false;

  /** A statement begins. */
  begin(): void {
    this.kind = READ;
    this.step = undefined;
    this.sets = false;
    this.before = TOKEN.end;
    this.#state = STATE.verb;
  }

  /** It is over. */
  end(): void {
    if (isUnfinished(this.#state)) this.kind = WRITE;
  }

  /** It is a write, and nothing that follows matters. */
  get isSettledWrite(): boolean {
    return this.kind === WRITE && this.#state === STATE.settled;
  }

  /** A string that comes now is the text of a statement, to be told by `text`. */
  get takesText(): boolean {
    if (this.#state === STATE.prepared) return this.before === WORD.FROM;
    return this.#state === STATE.executed && this.before === WORD.IMMEDIATE;
  }

  /** The next token: a string that is the text of a statement of this kind. */
  text(kind: number): void {
    this.before = TOKEN.string;
    this.#raise(kind);
  }

  /** The next token: a word's, one of TOKEN, or a sign's octet. */
  token(token: number): void {
    const before = this.before;
    this.before = token;
    switch (this.#state) {
      case STATE.verb:
        this.#verb(token);
        return;
      case STATE.query:
        this.#query(token, before);
        return;
      case STATE.analyze:
        // ANALYZE of tables writes statistics; of a statement, it runs it.
        this.#state = STATE.query;
        if (token === WORD.TABLE || token === WORD.LOCAL || token === WORD.NO_WRITE_TO_BINLOG)
          this.#raise(WRITE);
        else this.#query(token, before);
        return;
      case STATE.begin:
        // BEGIN NOT ATOMIC, and blocks of Oracle's kind.
        if (token !== WORD.WORK || before !== WORD.BEGIN) {
          this.step = undefined;
          this.#raise(WRITE);
        }
        return;
      case STATE.start:
        if (token !== WORD.TRANSACTION) this.#raise(WRITE);
        else {
          this.step = 'begin';
          this.#state = STATE.settled;
        }
        return;
      case STATE.release:
        this.#settle(token === WORD.SAVEPOINT ? SESSION : WRITE);
        return;
      case STATE.rollback:
        if (token === WORD.TO) this.step = undefined;
        return;
      case STATE.drop:
        this.#settle(token === WORD.PREPARE ? SESSION : WRITE);
        return;
      case STATE.xa:
        this.#state = STATE.settled;
        if (token === WORD.COMMIT) this.step = 'commit';
        else if (token === WORD.START || token === WORD.BEGIN) this.step = 'begin';
        else this.step = 'rollback';
        return;
      case STATE.prepare:
        if (token === WORD.FROM) this.#state = STATE.prepared;
        return;
      case STATE.prepared:
        this.#raise(WRITE);
        return;
      case STATE.execute:
        if (token === WORD.IMMEDIATE) this.#state = STATE.executed;
        else this.#raise(WRITE);
        return;
      case STATE.executed:
        if (token === WORD.USING && before === TOKEN.string) this.#state = STATE.query;
        else this.#raise(WRITE);
        return;
      case STATE.set:
      case STATE.setStatement:
        this.#set(token, before);
    }
  }

  #verb(token: number): void {
    if (token === OCTET.open) return;
    this.kind = token < FIRST_WORD ? WRITE : VERB_KIND[token];
    this.#state = token < FIRST_WORD ? STATE.settled : VERB_STATE[token];
    this.#depth = 0;
    this.#isTarget = true;
    if (token === WORD.SET) this.sets = true;
    else if (token === WORD.BEGIN) this.step = 'begin';
    else if (token === WORD.COMMIT) this.step = 'commit';
    else if (token === WORD.ROLLBACK) this.step = 'rollback';
  }

  /** DELETE, INTO and UPDATE are reserved, INSERT and REPLACE too, but for the functions of that name. */
  #query(token: number, before: number): void {
    switch (before) {
      case WORD.INSERT:
      case WORD.REPLACE:
        if (token !== OCTET.open) this.#raise(WRITE);
        break;
      case WORD.INTO:
        this.#raise(token === TOKEN.variable ? SESSION : WRITE);
        break;
      case WORD.FOR:
        if (token === WORD.SHARE) this.#raise(WRITE);
        break;
      case WORD.LOCK:
        if (token === WORD.IN) this.#raise(WRITE);
        break;
      case WORD.NEXT:
        if (token === WORD.VALUE) this.before = TOKEN.nextValue;
        break;
      case TOKEN.nextValue:
        if (token === WORD.FOR) this.#raise(WRITE);
        break;
      case WORD.LAST_INSERT_ID:
        if (token === OCTET.open) this.before = TOKEN.lastInsertIdOf;
        break;
      case TOKEN.lastInsertIdOf:
        if (token !== CLOSE) this.#raise(SESSION);
        break;
      default:
        if (token === OCTET.open && isWritingFunction(before)) this.#raise(WRITE);
    }
    if (token === WORD.DELETE || token === WORD.UPDATE) this.#raise(WRITE);
    else if (token === TOKEN.assign) this.#raise(SESSION);
  }

  /** What the session's and the user's variables are set to is read as a query is. */
  #set(token: number, before: number): void {
    if (before === WORD.SET && this.#state === STATE.set) {
      if (token === WORD.PASSWORD || token === WORD.DEFAULT || token === WORD.RESOURCE) this.#raise(WRITE);
      else if (token === WORD.STATEMENT) this.#state = STATE.setStatement;
    }
    if (this.#isTarget) {
      if (token === WORD.GLOBAL || token === WORD.PERSIST || token === WORD.PERSIST_ONLY) this.#raise(WRITE);
    } else this.#query(token, before);
    if (token === OCTET.open) this.#depth++;
    else if (token === CLOSE) this.#depth--;
    if (this.#depth > 0) return;
    if (token === OCTET.equal || token === TOKEN.assign) this.#isTarget = false;
    else if (token === COMMA) this.#isTarget = true;
    else if (token === WORD.FOR && this.#state === STATE.setStatement) {
      this.kind = READ;
      this.#state = STATE.verb;
    }
  }

  #settle(kind: number): void {
    this.#raise(kind);
    this.#state = STATE.settled;
  }

  #raise(kind: number): void {
    if (kind <= this.kind) return;
    this.kind = kind;
    if (kind === WRITE) this.#state = STATE.settled;
  }
}

/** Where a statement ends here, something was begun and not said: no server takes it. */
function isUnfinished(state: number): boolean {
  switch (state) {
    case STATE.start:
    case STATE.release:
    case STATE.drop:
    case STATE.prepare:
    case STATE.execute:
    case STATE.setStatement:
      return true;
    default:
      return false;
  }
}
