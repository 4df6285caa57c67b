import { createHash } from 'node:crypto';
import { Digester } from '../../src/sql/digest/digest.ts';
import { median, round } from './figures.ts';
import type { Bench } from './replay-run.ts';

/** CPU of one measurement, ms: long enough for its clock, and for the compiler. */
const SLICE_MS = 300;
const ROUNDS = 5;

/** Values like those of sysbench's columns c and pad. */
const C = '68487932199-96439406143-93774651418-41631865787-96406072701';
const PAD = '22195207048-70116052123-74140395089-76317954521-98694025897';

const row = (_: unknown, i: number) => `(${i}, ${i * 7919}, '${C}', '${PAD}')`;

const STATEMENTS: Record<string, string> = {
  'point select': 'SELECT c FROM sbtest1 WHERE id=50234',
  'join of 2 tables': `SELECT o.number, c.name AS customer FROM orders o JOIN customers c ON o.customer = c.number
    WHERE o.state IN ('new', 'paid', 'sent') AND o.made > '2020-01-01 00:00:00' ORDER BY o.made DESC LIMIT 20`,
  'INSERT of 100 rows': `INSERT INTO sbtest1 (id, k, c, pad) VALUES ${Array.from({ length: 100 }, row).join(', ')}`,
  'SELECT of 400 columns': `SELECT ${Array.from({ length: 400 }, (_, i) => `t.column_${i}`).join(', ')} FROM t`,
  'literal of 1 MiB': `UPDATE t SET a = '${'x'.repeat(1 << 20)}' WHERE b = 5`,
};

export interface DigestFigures {
  statement: string;
  octets: number;
  /** CPU of one digest: the statement read and its hash made. */
  us: number;
  /** CPU of node:crypto's MD5 of the whole statement, which is no digest but as short a way to a key as there is. */
  md5_us: number;
  ratio: number;
  /** Digests a second on one core. */
  rate: number;
}

/** µs of CPU that one call of `work` takes. */
function cpuUs(work: () => void): number {
  let calls = 0;
  let us = 0;
  for (let more = 16; us < SLICE_MS * 1000; more *= 2) {
    const before = process.cpuUsage();
    for (let i = 0; i < more; i++) work();
    const { user, system } = process.cpuUsage(before);
    calls += more;
    us += user + system;
  }
  return us / calls;
}

/** Digests a second, against MD5 of the same octets: both by turns, in this process. */
export async function benchDigest({ say }: Pick<Bench, 'say'>): Promise<DigestFigures[]> {
  const digester = new Digester();
  const all: DigestFigures[] = [];
  for (const [statement, text] of Object.entries(STATEMENTS)) {
    const octets = new Uint8Array(Buffer.from(text));
    const digest: number[] = [];
    const md5: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      digest.push(
        cpuUs(() => {
          digester.read(octets, 0, octets.length, 0);
          digester.hash();
        }),
      );
      md5.push(cpuUs(() => createHash('md5').update(octets).digest('hex')));
    }
    const us = median(digest);
    const figures = {
      statement,
      octets: octets.length,
      us: round(us),
      md5_us: round(median(md5)),
      ratio: round(us / median(md5)),
      rate: Math.round(1e6 / us),
    };
    all.push(figures);
    say(
      `  ${statement} (${figures.octets} octets): ${figures.us} µs, ${figures.rate} digests/s, ${figures.ratio} times an MD5 of it`,
    );
  }
  return all;
}
