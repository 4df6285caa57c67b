/**
 * `--pin-time`: what a statement takes from its moment and its server, and not from the data, is given to it before: the
 * clock, the next AUTO_INCREMENT value, the seeds of RAND(). As a server's binary log does it (MySQL manual, "Server System
 * Variables": timestamp, insert_id, rand_seed1).
 */
import type { CaptureNs } from '../time.ts';
import { firstWordAt, statementsOf, type Token, textFrom } from './leading.ts';

/** What is to be pinned for a statement. */
export const PIN = { clock: 1, insertId: 2, random: 4 } as const;

const SEMICOLON = 0x3b;
const SLASH = 0x2f;

/** Seeds are below this number (MySQL manual, RAND()). */
const SEEDS = 0x3fff_ffff;

/** Statements that write rows: defaults, ON UPDATE and triggers may read the clock and RAND(). So may what CALL runs. */
const WRITES = /^(?:INSERT|REPLACE|UPDATE|DELETE|LOAD|CALL|EXECUTE|DO)$/;
const INSERTS = /^(?:INSERT|REPLACE|LOAD|EXECUTE)$/;

/** Whether a text may read the clock or draw a number: most hold nothing like it. */
const MAY_READ = /now|cur(?:rent_|date|time)|localtime|unix_timestamp|utc_|sysdate|rand/i;

/** Functions that read the clock where they are called, and where they are named. SYSDATE only under sysdate_is_now. */
const CLOCK_CALLS = /^(?:NOW|CURDATE|CURTIME|SYSDATE)$/;
const CLOCK_NAMES = /^(?:CURRENT_(?:DATE|TIME|TIMESTAMP)|LOCALTIME(?:STAMP)?|UTC_(?:DATE|TIME|TIMESTAMP))$/;

/**
 * What the text at [from, end) of a COM_QUERY or COM_STMT_PREPARE needs pinned: PIN flags, 0 for most. What a SELECT reads
 * by way of a view or a stored function is not seen.
 */
export function pinsOf(octets: Uint8Array, from: number): number {
  const text = textFrom(octets, from);
  const isPlain = octets[firstWordAt(octets, from)] !== SLASH && !isSeveral(octets, from);
  if (isPlain && !/^[IRUDLCEW]/i.test(text.slice(firstWordAt(octets, from) - from)) && !MAY_READ.test(text))
    return 0;
  let pins = 0;
  let inserts = 0;
  for (const tokens of statementsOf(text)) {
    const found = pinsIn(tokens);
    if ((found & PIN.insertId) !== 0) inserts++;
    pins |= found;
  }
  // The answer tells one number for all.
  return inserts > 1 ? pins & ~PIN.insertId : pins;
}

/**
 * The SET to send before a statement that needs `pins`; undefined where it needs none. It stays in force until the next one,
 * or SET timestamp = DEFAULT. `at`, recorded, counts from `originSec` seconds after 1970; `insertId`: of the recorded
 * answer, 0 where it told none; `seed`: any whole number, the same each time that the same numbers are to be drawn; `hadInsertId`:
 * the SET before told one.
 */
export function pinStatement(
  pins: number,
  originSec: number,
  at: CaptureNs,
  insertId: number,
  seed: number,
  hadInsertId = false,
): string | undefined {
  const values: string[] = [];
  if ((pins & PIN.clock) !== 0) values.push(`timestamp=${secondsOf(originSec, at)}`);
  if ((pins & PIN.insertId) !== 0 && insertId > 0 && Number.isSafeInteger(insertId))
    values.push(`insert_id=${insertId}`);
  // Else one that was not used up would become that of another row.
  else if (hadInsertId) values.push('insert_id=0');
  if ((pins & PIN.random) !== 0)
    values.push(`rand_seed1=${seedOf(seed, 0x9e37_79b1)}`, `rand_seed2=${seedOf(seed, 0x85eb_ca6b)}`);
  return values.length > 0 ? `SET ${values.join(',')}` : undefined;
}

/** Seconds since 1970 with six digits of a fraction, which is as fine as a server's clock. */
function secondsOf(originSec: number, at: CaptureNs): string {
  const us = Math.floor(at / 1000);
  const seconds = originSec + Math.floor(us / 1e6);
  return `${seconds}.${String(us - Math.floor(us / 1e6) * 1e6).padStart(6, '0')}`;
}

function seedOf(seed: number, factor: number): number {
  const h = Math.imul(seed ^ (seed / 0x1_0000_0000), factor);
  return ((h ^ (h >>> 15)) >>> 0) % SEEDS;
}

/** Whether something stands behind a semicolon. */
function isSeveral(octets: Uint8Array, from: number): boolean {
  const at = octets.indexOf(SEMICOLON, from);
  return at >= 0 && firstWordAt(octets, at + 1) < octets.length;
}

function pinsIn(tokens: Token[]): number {
  const first = tokens.find(({ text }) => text !== '(');
  const verb = first?.kind === 'word' ? first.text : '';
  let pins = WRITES.test(verb) ? PIN.clock | PIN.random : 0;
  if (INSERTS.test(verb)) pins |= PIN.insertId;
  for (let i = 0; i < tokens.length; i++) {
    const { kind, text } = tokens[i];
    if (kind !== 'word' || tokens[i - 1]?.text === '.') continue;
    const isCall = tokens[i + 1]?.text === '(';
    const isBare = isCall && tokens[i + 2]?.text === ')';
    if (CLOCK_NAMES.test(text) || (isCall && CLOCK_CALLS.test(text)) || (isBare && text === 'UNIX_TIMESTAMP'))
      pins |= PIN.clock;
    else if (isBare && text === 'RAND') pins |= PIN.random;
    // WITH … UPDATE, WITH … DELETE.
    else if (verb === 'WITH' && (text === 'UPDATE' || text === 'DELETE')) pins |= PIN.clock | PIN.random;
  }
  return pins;
}
