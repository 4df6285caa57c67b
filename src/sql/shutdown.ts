import { firstWordAt, laterStatement, statementsOf, textFrom } from './leading.ts';

/** Statements that end the server: what `mysqladmin shutdown` sends since MySQL 5.7.9 and MariaDB 10.0, and MySQL 8's RESTART. */
const ENDS = /^(?:SHUTDOWN|RESTART)$/;

/** Whether the text at `from`, to the end of `octets`, would end the server. For nearly all the cost is that of a look. */
export function endsServer(octets: Uint8Array, from: number): boolean {
  if (!mayEnd(octets, firstWordAt(octets, from)) && !laterStatement(octets, from, mayEnd)) return false;
  return statementsOf(textFrom(octets, from)).some(
    ([first]) => first.kind === 'word' && ENDS.test(first.text),
  );
}

/** SH, RES, or an executable comment. */
function mayEnd(octets: Uint8Array, at: number): boolean {
  const second = octets[at + 1] | 0x20;
  switch (octets[at] | 0x20) {
    case 0x73:
      return second === 0x68 && (octets[at + 2] | 0x20) === 0x75;
    case 0x72:
      return second === 0x65 && (octets[at + 2] | 0x20) === 0x73;
    case 0x2f:
      return true;
    default:
      return false;
  }
}
