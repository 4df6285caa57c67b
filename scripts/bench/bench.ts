/** `npm run bench`: figures as ratios within one run, because machines differ and are noisy (docs/performance.md). */
import { join } from 'node:path';
import { Lab } from '../lab/lab.ts';
import { writeReplayFiles } from '../lab/tape.ts';
import { preparePointSelects, ROWS } from './pointselect.ts';
import { benchRecord } from './record.ts';
import { benchClosedLoop } from './replay.ts';

const QUERIES = 600_000;

const say = (text: string) => process.stderr.write(`${text}\n`);

async function bench(): Promise<void> {
  say('Making the lab: four hosts, two MariaDB servers, a table each.');
  const lab = await Lab.up({ name: 'mytape-bench' });
  try {
    await preparePointSelects(lab, 'client', lab.addresses.online);
    await preparePointSelects(lab, 'online', lab.addresses.target);
    say(
      `\nrecord against tcpdump -w, side by side: ${QUERIES} point selects of sysbench on 50 connections …`,
    );
    const archive = join(lab.runFolder, 'bench.tape');
    const record = await benchRecord(lab, archive, QUERIES);
    say(`  ${record.packets} packets, ${record.dropped} dropped by record's ring`);
    say(
      `  CPU a packet: tcpdump ${record.tcpdump_us} µs, record ${record.record_us} µs: ${record.ratio} times tcpdump's`,
    );
    const files = writeReplayFiles(lab);
    const closedLoop = [];
    for (const path of ['intercept', 'local'] as const) {
      say(`\nreplay (${path}) against sysbench, closed loop of 50 connections on the same target …`);
      const figures = await benchClosedLoop(lab, path, archive, files, QUERIES, 1);
      closedLoop.push(figures);
      say(
        `  CPU a command: sysbench ${figures.sysbench_us} µs; replay ${figures.replay_us} + intercept ${figures.intercept_us} µs: ${figures.ratio} times sysbench's`,
      );
      say(`  commands/s: sysbench ${figures.sysbench_qps}, replay ${figures.replay_qps}`);
    }
    process.stdout.write(
      `${JSON.stringify({ rows: ROWS, queries: QUERIES, record, closed_loop: closedLoop }, null, 2)}\n`,
    );
  } finally {
    await lab.down();
  }
}

bench().catch((error: Error) => {
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 1;
});
