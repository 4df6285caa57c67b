import type { SessionMeta } from '../../flow/events.ts';
import { FIRST } from '../../sql/first-words.ts';
import { type StatementKind, StatementReader, type TransactionStep } from '../../sql/kind/statement-kind.ts';
import { KIND } from '../../sql/scanner.ts';
import { firstWords, Statements } from '../../sql/statements.ts';
import { stringText } from '../../sql/string-text.ts';
import { type Token, tokensFrom } from '../../sql/tokens.ts';

/** Of PREPARE name FROM 'text' there are so many; one more tells of an expression. */
const TOKENS = 4;

/** A statement's kind, and what it does to the transaction. */
export interface Known {
  readonly kind: StatementKind;
  readonly step: TransactionStep | undefined;
}

/** What recorded sessions have prepared by PREPARE … FROM '…', by the names that EXECUTE has for it. */
export class PreparedTexts {
  /** By the ids of sessions, of those only that have prepared so, then by names in small letters. */
  readonly #sessions = new Map<number, Map<string, Known>>();
  readonly #reader = new StatementReader();
  readonly #statements = new Statements();

  /** Takes in what the statements of a text prepare; to be called for each text of a session of this `dialect`, in their order. */
  read(session: SessionMeta, text: Uint8Array, dialect: number): void {
    if ((firstWords(text, 0, text.length, dialect) & FIRST.prepares) === 0) return;
    const statements = this.#statements;
    statements.begin(text, 0, text.length, dialect);
    while (statements.next()) {
      if ((statements.first & FIRST.prepares) === 0) continue;
      const { scanner } = statements;
      const tokens = tokensFrom(scanner, TOKENS + 1);
      if (tokens.length < 3) continue;
      let names = this.#sessions.get(session.id);
      if (names === undefined) {
        names = new Map();
        this.#sessions.set(session.id, names);
      }
      const known = this.#known(text, tokens, scanner.dialect);
      if (known === undefined) names.delete(nameOf(tokens[1]));
      else names.set(nameOf(tokens[1]), known);
    }
    statements.release();
  }

  /** What a text that is one EXECUTE executes; undefined: it is none, or of a statement that is not known. */
  executed(session: SessionMeta, text: Uint8Array, dialect: number): Known | undefined {
    const names = this.#sessions.get(session.id);
    if (names === undefined) return undefined;
    const statements = this.#statements;
    statements.begin(text, 0, text.length, dialect);
    const executes = statements.next() && (statements.first & FIRST.executes) !== 0;
    const [, name] = executes ? tokensFrom(statements.scanner, 2) : [];
    const isAlone = executes && !statements.next();
    statements.release();
    return isAlone && name !== undefined ? names.get(nameOf(name)) : undefined;
  }

  /** Commands of the session are missing: any name may have been prepared anew. */
  lost({ id }: SessionMeta): void {
    this.#sessions.delete(id);
  }

  closed({ id }: SessionMeta): void {
    this.#sessions.delete(id);
  }

  /** Of PREPARE name FROM 'text'; undefined where the text is a variable's or an expression's. */
  #known(text: Uint8Array, tokens: readonly Token[], dialect: number): Known | undefined {
    const [, , from, literal] = tokens;
    const isLiteral = tokens.length === TOKENS && from.text === 'FROM' && literal.kind === KIND.string;
    if (!isLiteral) return undefined;
    const prepared = stringText(text, literal.from, literal.to, dialect).octets;
    const kind = this.#reader.gravest(prepared, 0, prepared.length, dialect);
    this.#reader.read(prepared, 0, prepared.length, dialect, false);
    return { kind, step: this.#reader.step };
  }
}

function nameOf({ text }: Token): string {
  return text.toLowerCase();
}
