import type { SessionMeta } from '../../flow/events.ts';
import {
  type StatementKind,
  StatementReader,
  type TransactionStep,
  textOfString,
} from '../../sql/kind/statement-kind.ts';
import {
  firstWordAt,
  laterStatement,
  MOST_SQL_OCTETS,
  statementsOf,
  type Token,
  textFrom,
} from '../../sql/leading.ts';

const SLASH = 0x2f;

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

  /** Takes in what the statements of a text prepare; to be called for each text of a session, in their order. */
  read(session: SessionMeta, text: Uint8Array, mode: number): void {
    if (!mayPrepare(text, firstWordAt(text, 0)) && !laterStatement(text, 0, mayPrepare)) return;
    for (const tokens of statementsOf(textFrom(text, 0))) {
      if (tokens[0].text !== 'PREPARE' || tokens.length < 3) continue;
      let names = this.#sessions.get(session.id);
      if (names === undefined) {
        names = new Map();
        this.#sessions.set(session.id, names);
      }
      const known = this.#known(text, tokens, mode);
      if (known === undefined) names.delete(nameOf(tokens[1]));
      else names.set(nameOf(tokens[1]), known);
    }
  }

  /** What a text that is one EXECUTE executes; undefined: it is none, or of a statement that is not known. */
  executed(session: SessionMeta, text: Uint8Array): Known | undefined {
    const names = this.#sessions.get(session.id);
    if (names === undefined || !mayExecute(text, firstWordAt(text, 0))) return undefined;
    const statements = statementsOf(textFrom(text, 0));
    const [tokens] = statements;
    if (statements.length !== 1 || tokens.length < 2 || tokens[0].text !== 'EXECUTE') return undefined;
    return names.get(nameOf(tokens[1]));
  }

  /** Commands of the session are missing: any name may have been prepared anew. */
  lost({ id }: SessionMeta): void {
    this.#sessions.delete(id);
  }

  closed({ id }: SessionMeta): void {
    this.#sessions.delete(id);
  }

  /** Of PREPARE name FROM 'text'; undefined where the text is a variable's or an expression's, or longer than what is looked at. */
  #known(text: Uint8Array, tokens: readonly Token[], mode: number): Known | undefined {
    const [, , from, literal] = tokens;
    const isLiteral = tokens.length === 4 && from.text === 'FROM' && literal.kind === 'string';
    if (!isLiteral || text.length > MOST_SQL_OCTETS) return undefined;
    const prepared = textOfString(text, literal.from, literal.to);
    const kind = this.#reader.gravest(prepared, 0, prepared.length, mode);
    this.#reader.read(prepared, 0, prepared.length, mode, false);
    return { kind, step: this.#reader.step };
  }
}

function nameOf({ text }: Token): string {
  return text.toLowerCase();
}

/** PR…, or an executable comment. */
function mayPrepare(octets: Uint8Array, at: number): boolean {
  return begins(octets, at, 0x70, 0x72) || octets[at] === SLASH;
}

/** EX…, or an executable comment. */
function mayExecute(octets: Uint8Array, at: number): boolean {
  return begins(octets, at, 0x65, 0x78) || octets[at] === SLASH;
}

function begins(octets: Uint8Array, at: number, first: number, second: number): boolean {
  return (octets[at] | 0x20) === first && (octets[at + 1] | 0x20) === second;
}
