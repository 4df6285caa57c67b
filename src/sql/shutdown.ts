import { DIALECT, readingsOf } from './dialect.ts';
import { FIRST } from './first-words.ts';
import { firstWords, Statements } from './statements.ts';

const MAY_END = FIRST.endsServer | FIRST.compound;

/**
 * Whether the text at `from`, to the end of `octets`, would end the server, however some server may read it in its session's `dialect`,
 * which may be in doubt. For nearly all the cost is that of `firstWords`.
 */
export function endsServer(octets: Uint8Array, from: number, dialect: number): boolean {
  if ((firstWords(octets, from, octets.length, dialect) & MAY_END) === 0) return false;
  return readingsOf(dialect).some(
    (reading) => endsBy(octets, from, reading) || endsBy(octets, from, reading | DIALECT.plainComments),
  );
}

function endsBy(octets: Uint8Array, from: number, reading: number): boolean {
  const statements = new Statements();
  statements.begin(octets, from, octets.length, reading);
  while (statements.next()) if (ends(statements)) return true;
  return false;
}

function ends(statements: Statements): boolean {
  const { scanner, first } = statements;
  if (statements.inBlock) return statements.hasWord('SHUTDOWN');
  if ((first & FIRST.endsServer) === 0) return false;
  if ((first & (FIRST.prepares | FIRST.executes)) === 0) return true;
  const text = statements.preparedText();
  return text !== undefined && endsServer(text, 0, scanner.dialect);
}
