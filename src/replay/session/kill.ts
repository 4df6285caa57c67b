/** KILL: it names a connection of the recorded server, where the target has another, or somebody else's, of that number. */
import { payloadOf } from '../../mysql/framing.ts';
import { textOf, withText } from '../../mysql/query-attributes.ts';
import { firstWordAt, laterStatement, statementsOf, type Token, textFrom } from '../../sql/leading.ts';

/** Octets of a CALL in which the routine's name stands. */
const MOST_CALL_OCTETS = 64;

/** Where COM_PROCESS_KILL's packet has the connection id, int<4>. */
const PROCESS_ID = 5;

/** What a text kills. */
export type Kill =
  | {
      what: 'connection' | 'query';
      /** A recorded connection's. */
      id: number;
      /** Where the number stands in the text. */
      from: number;
      to: number;
    }
  /** A user's connections, a query by its own id, the value of an expression; or several, or by a statement made in SQL. */
  | { what: 'other' };

/**
 * What the text at [from, end) of a COM_QUERY kills, or each execution of it, where it is a COM_STMT_PREPARE's. `multi`: it
 * may be several statements. undefined for nearly all, which cost a look at their first letters.
 */
export function killOf(octets: Uint8Array, from: number, multi: boolean): Kill | undefined {
  if (!mayKill(octets, firstWordAt(octets, from)) && !(multi && laterStatement(octets, from, mayKill)))
    return undefined;
  const statements = statementsOf(textFrom(octets, from));
  const kills = (multi ? statements : statements.slice(0, 1))
    .map(killIn)
    .filter((kill) => kill !== undefined);
  return kills.length > 1 ? { what: 'other' } : kills[0];
}

/** A COM_QUERY or COM_STMT_PREPARE with another connection's `id` in the place that `killOf` has found. Copies. */
export function withKillId(
  packet: Uint8Array,
  { from, to }: { from: number; to: number },
  id: number,
): Uint8Array {
  const text = Buffer.from(textOf(packet));
  return withText(
    packet,
    Buffer.concat([text.subarray(0, from), Buffer.from(String(id)), text.subarray(to)]),
  );
}

/** The connection id of a COM_PROCESS_KILL; undefined where it is cut short. */
export function processKillId(packet: Uint8Array): number | undefined {
  if (payloadOf(packet).length < 5) return undefined;
  return new DataView(packet.buffer, packet.byteOffset).getUint32(PROCESS_ID, true);
}

/** A COM_PROCESS_KILL (not cut short) with another connection's `id`. Copies. */
export function withProcessKillId(packet: Uint8Array, id: number): Uint8Array {
  const copy = new Uint8Array(packet);
  new DataView(copy.buffer).setUint32(PROCESS_ID, id, true);
  return copy;
}

/** Whether the word at `at` can be KILL, CALL, PREPARE or EXECUTE, or stands in an executable comment. */
function mayKill(octets: Uint8Array, at: number): boolean {
  const second = octets[at + 1] | 0x20;
  switch (octets[at] | 0x20) {
    case 0x6b:
      return second === 0x69;
    case 0x70:
      return second === 0x72;
    // CALL mysql.rds_kill(7).
    case 0x63:
      return second === 0x61 && (octets[at + 2] | 0x20) === 0x6c && hasRdsKill(octets, at);
    case 0x65:
      return second === 0x78 && (octets[at + 2] | 0x20) === 0x65;
    case 0x2f:
      return true;
    default:
      return false;
  }
}

/** Whether what Amazon's RDS has in the place of KILL is called. */
function hasRdsKill(octets: Uint8Array, at: number): boolean {
  const end = Math.min(octets.length, at + MOST_CALL_OCTETS);
  return /rds_kill/i.test(Buffer.from(octets.buffer, octets.byteOffset + at, end - at).toString('latin1'));
}

function killIn(tokens: Token[]): Kill | undefined {
  const word = (i: number) => (tokens[i]?.kind === 'word' ? tokens[i].text : '');
  if (word(0) === 'PREPARE' || (word(0) === 'EXECUTE' && word(1) === 'IMMEDIATE')) {
    // PREPARE x FROM 'KILL …'. What a variable holds is not known.
    const made = tokens.find(({ kind }) => kind === 'string');
    return made !== undefined && /^.\s*kill\b/i.test(made.raw) ? { what: 'other' } : undefined;
  }
  if (word(0) === 'CALL' && tokens.some(({ text }) => /^RDS_KILL(_QUERY)?$/i.test(text)))
    return { what: 'other' };
  if (word(0) !== 'KILL') return undefined;
  let i = 1;
  if (word(i) === 'HARD' || word(i) === 'SOFT') i++;
  const isQuery = word(i) === 'QUERY';
  if (isQuery || word(i) === 'CONNECTION') i++;
  if (i !== tokens.length - 1 || !/^\d{1,10}$/.test(word(i))) return { what: 'other' };
  const { from, to } = tokens[i];
  return { what: isQuery ? 'query' : 'connection', id: Number(word(i)), from, to };
}
