/**
 * Whole connections over a link that loses, delays, reorders and repeats packets (simulation.ts). Every octet must arrive once
 * and in order, each way, and every connection end. How fast, and at the price of how many segments sent again, is kept in
 * goodput.txt, so that what makes it worse is seen: `UPDATE_SNAPSHOT=1` writes it anew.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ROOT } from '../support/root.ts';
import { type Case, simulate, type Workload } from './simulation.ts';

const SNAPSHOT = join(ROOT, 'test/tcp/goodput.txt');

const NONE = { requests: 0, requestOctets: 0, answerOctets: 0, upOctets: 0, downOctets: 0 };

const WORKLOADS = {
  /** Like a MySQL session: a command, its whole answer, the next command. The client closes. */
  requests: { ...NONE, requests: 25, requestOctets: 90, answerOctets: 4000, serverCloses: false },
  /** One long command, a short answer. */
  upload: { ...NONE, requests: 1, requestOctets: 300_001, answerOctets: 11, serverCloses: false },
  /** One short command, a long answer. */
  download: { ...NONE, requests: 1, requestOctets: 90, answerOctets: 200_001, serverCloses: false },
  /** Both sides send all they have at once. The client closes. */
  both: { ...NONE, upOctets: 60_000, downOctets: 80_000, serverCloses: false },
  /** A large command and answer at once, and the server closes first. */
  cut: { ...NONE, requests: 1, requestOctets: 20_001, answerOctets: 30_001, serverCloses: true },
} satisfies Record<string, Workload>;

const LOSSES = [0, 0.01, 0.05, 0.2];
const DELAYS_MS = [0.05, 4, 60];
const WINDOWS = [
  [700, -1],
  [9_000, 0],
  [1 << 20, 7],
] as const;
/** Shares of packets that come late, and twice. */
const DISORDERS = [
  [0, 0],
  [0.1, 0],
  [0, 0.02],
  [0.1, 0.02],
] as const;

interface Row {
  name: string;
  cells: { name: string; case: Case }[];
}

/** Every combination, each with a seed of its own. */
function rows(loss: number): Row[] {
  const all: Row[] = [];
  let seed = 1000 * loss + 1;
  for (const delayMs of DELAYS_MS) {
    for (const [window, shift] of WINDOWS) {
      for (const [late, twice] of DISORDERS) {
        const name = [`${loss * 100} %`, `${delayMs} ms`, `${window}`, `${late * 100} %`, `${twice * 100} %`];
        const row: Row = { name: name.map((each) => each.padStart(7)).join(' '), cells: [] };
        for (const [workloadName, workload] of Object.entries(WORKLOADS)) {
          for (const modern of [false, true]) {
            const mss = seed & 2 ? 1460 : 536;
            const link = { seed: seed++, loss, delayMs, late, twice };
            const case_ = { ...link, mss, window, shift, modern, workload };
            row.cells.push({ name: `${workloadName}${modern ? '+' : ''}`, case: case_ });
          }
        }
        all.push(row);
      }
    }
  }
  return all;
}

/** kB/s, and segments that our end sent again. */
function goodput(case_: Case, elapsedMs: number, retransmitted: number): string {
  const { requests, requestOctets, answerOctets, upOctets, downOctets } = case_.workload;
  const octets = upOctets + downOctets + requests * (requestOctets + answerOctets);
  const speed = octets / elapsedMs;
  return `${speed < 1000 ? speed.toPrecision(4) : Math.round(speed)}/${retransmitted}`;
}

const HEADING = `Goodput of simulated connections, kB/s, and after the slash the segments that our end sent again.
Columns: workloads of simulation.test.ts; + where the server takes SACK and timestamps and delays its ACKs.
MSS is 1460 and 536 by turns. Written by UPDATE_SNAPSHOT=1 node --test …/simulation.test.js.

${['loss', 'delay', 'window', 'late', 'twice'].map((each) => each.padStart(7)).join(' ')}`;

describe('simulated connections', () => {
  const table: string[] = [];

  for (const loss of LOSSES) {
    test(`${loss * 100} % loss: every octet arrives once, in order, and every connection ends`, () => {
      let lost = 0;
      let retransmitted = 0;
      for (const { name, cells } of rows(loss)) {
        const texts = cells.map((cell) => {
          try {
            const outcome = simulate(cell.case);
            lost += outcome.lost;
            retransmitted += outcome.retransmitted;
            return goodput(cell.case, outcome.elapsedMs, outcome.retransmitted);
          } catch (error) {
            const message = `${name}, ${cell.name}, seed ${cell.case.seed}: ${(error as Error).message}`;
            throw new Error(message, { cause: error });
          }
        });
        if (table.length === 0) {
          const columns = cells.map((cell) => cell.name.padStart(12));
          table.push(`${HEADING}${columns.join('')}`);
        }
        table.push(`${name}${texts.map((text) => text.padStart(12)).join('')}`);
        if (loss === 0 && name.endsWith(' 0 %     0 %')) {
          assert.ok(
            texts.every((text) => text.endsWith('/0')),
            `sent again without need: ${name} ${texts}`,
          );
        }
      }
      assert.equal(lost > 0, loss > 0);
      if (loss > 0) assert.ok(retransmitted > 0);
    });
  }

  test('goodput and retransmissions are what they were', () => {
    const text = `${table.join('\n')}\n`;
    if (process.env.UPDATE_SNAPSHOT === '1') writeFileSync(SNAPSHOT, text);
    assert.deepEqual(text.split('\n'), readFileSync(SNAPSHOT, 'utf8').split('\n'));
  });

  test('without loss a request costs one packet out: the ACK rides on it', () => {
    const { packets } = simulate({
      seed: 1,
      loss: 0,
      late: 0,
      twice: 0,
      delayMs: 1,
      mss: 1460,
      window: 1 << 20,
      shift: 7,
      modern: true,
      workload: WORKLOADS.requests,
    });
    // Per request: the request, and an answer of 4,000 octets in three segments, two of which are due an ACK of their own.
    const { requests } = WORKLOADS.requests;
    assert.ok(packets <= requests * (1 + 3 + 1) + 8, `${packets} packets`);
  });

  for (const relayed of [false, true]) {
    test(`a forger who knows the tuple and guesses loses and delays nothing, with halves on ${relayed ? 'two hosts' : 'one host'}`, () => {
      let forged = 0;
      for (const [i, { name, cells }] of rows(0).entries()) {
        for (const cell of cells) {
          const { case: case_ } = cell;
          if (case_.delayMs !== 4 || case_.late > 0 || case_.twice > 0) continue;
          const quiet = simulate(case_);
          // A thousand segments before the connection is over, whatever its pace.
          const everyMs = quiet.elapsedMs / 1000;
          const outcome = simulate({ ...case_, forger: { seed: 7 * i + 1, everyMs, relayed } });
          forged += outcome.forged;
          const where = `${name}, ${cell.name}`;
          assert.equal(outcome.retransmitted - outcome.synsAgain, quiet.retransmitted, where);
          assert.ok(outcome.elapsedMs <= quiet.elapsedMs, `${where}: ${outcome.elapsedMs}`);
        }
      }
      assert.ok(forged > 10_000);
    });
  }
});
