/**
 * `--pin-time`: what a statement takes from its moment and its server, and not from the data, is given to it before: the
 * clock, the next AUTO_INCREMENT value, the seeds of RAND(). As a server's binary log does it (MySQL manual, "Server System
 * Variables": timestamp, insert_id, rand_seed1).
 */
import type { CaptureNs } from '../time.ts';
import { FIRST } from './first-words.ts';
import { KIND, type Scanner } from './scanner.ts';
import { firstWord, Statements } from './statements.ts';
import { WordTable } from './word-table.ts';

/** What is to be pinned for a statement. */
export const PIN = { clock: 1, insertId: 2, random: 4 } as const;

const SEMICOLON = 0x3b;
const OPEN = 0x28;
const CLOSE = 0x29;

/** Seeds are below this number (MySQL manual, RAND()). */
const SEEDS = 0x3fff_ffff;

/** Whether a text may read the clock or draw a number: most hold nothing like it. */
const MAY_READ = /now|cur(?:rent_|date|time)|localtime|unix_timestamp|utc_|sysdate|rand/i;

/** A word that reads the clock, or draws a number, does so where it is called; where it is called without arguments; else wherever it stands. */
const CALLED = 8;
const CALLED_BARE = 16;

/** PIN flags and the above. SYSDATE only under sysdate_is_now. */
const READS = new WordTable(
  new Map([
    ['CURDATE', PIN.clock | CALLED],
    ['CURRENT_DATE', PIN.clock],
    ['CURRENT_TIME', PIN.clock],
    ['CURRENT_TIMESTAMP', PIN.clock],
    ['CURTIME', PIN.clock | CALLED],
    ['LOCALTIME', PIN.clock],
    ['LOCALTIMESTAMP', PIN.clock],
    ['NOW', PIN.clock | CALLED],
    ['RAND', PIN.random | CALLED_BARE],
    ['SYSDATE', PIN.clock | CALLED],
    ['UNIX_TIMESTAMP', PIN.clock | CALLED_BARE],
    ['UTC_DATE', PIN.clock],
    ['UTC_TIME', PIN.clock],
    ['UTC_TIMESTAMP', PIN.clock],
  ]),
);

/**
 * What the text at [from, end) of a COM_QUERY or COM_STMT_PREPARE, of a session of this `dialect`, needs pinned: PIN flags, 0 for most.
 * What a SELECT reads by way of a view or a stored function is not seen.
 */
export function pinsOf(octets: Uint8Array, from: number, dialect: number): number {
  const first = firstWord(octets, from, octets.length);
  if ((first & MAY_WRITE) === 0 && !octets.includes(SEMICOLON, from)) {
    const text = Buffer.from(octets.buffer, octets.byteOffset + from, octets.length - from);
    if (!MAY_READ.test(text.toString('latin1'))) return 0;
  }
  const statements = new Statements();
  statements.begin(octets, from, octets.length, dialect);
  let pins = 0;
  let inserts = 0;
  while (statements.next()) {
    const found = pinsIn(statements);
    if ((found & PIN.insertId) !== 0) inserts++;
    pins |= found;
  }
  // The answer tells one number for all.
  return inserts > 1 ? pins & ~PIN.insertId : pins;
}

const MAY_WRITE = FIRST.writes | FIRST.withQuery | FIRST.unsure;

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

function pinsIn({ scanner, first }: Statements): number {
  if ((first & FIRST.writes) !== 0)
    return PIN.clock | PIN.random | ((first & FIRST.inserts) !== 0 ? PIN.insertId : 0);
  let pins = 0;
  const isWith = (first & FIRST.withQuery) !== 0;
  while (scanner.kind !== KIND.end && scanner.kind !== SEMICOLON) {
    if (scanner.kind !== KIND.word) {
      scanner.next();
      continue;
    }
    // WITH … UPDATE, WITH … DELETE.
    if (isWith && (scanner.isWord('UPDATE') || scanner.isWord('DELETE'))) pins |= PIN.clock | PIN.random;
    pins |= pinsAt(scanner);
  }
  return pins;
}

/** What the word that the scanner is on needs pinned. Goes past it, and past the bracket of a call. */
function pinsAt(scanner: Scanner): number {
  const { octets, from, to, hash } = scanner;
  const reads = READS.find(octets, from, to, hash);
  scanner.next();
  if (reads === 0) return 0;
  const pin = reads & ~(CALLED | CALLED_BARE);
  if (reads === pin) return pin;
  if (scanner.kind !== OPEN) return 0;
  const isBare = scanner.next() === CLOSE;
  return (reads & CALLED) !== 0 || isBare ? pin : 0;
}
