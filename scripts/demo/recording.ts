import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Background } from '../lab/background.ts';
import { COMPARED } from '../lab/compare.ts';
import type { Lab } from '../lab/lab.ts';
import { CLIENT_ADDRESSES } from '../lab/network.ts';
import { type Recorded, recordWorkload } from '../lab/path.ts';
import { PORT } from '../lab/server.ts';
import { runClients, runCommandLineClients, runSysbench } from '../lab/workload.ts';
import { command, explain, fact, progress, table } from './narrator.ts';

const SECONDS = 24;
/** 2 × 550 transactions of 20 commands each: more than 20,000 with sysbench alone. */
const TRANSACTIONS = 550;
const THREADS = 6;

/** tcpdump hands over what its ring holds at least this often; before that is done its count is short. */
const TCPDUMP_RING_MS = 1500;

function workload(lab: Lab): Promise<unknown> {
  const rate = Math.round(TRANSACTIONS / SECONDS);
  const sysbench = (mode: 'text' | 'prepared', from: string) =>
    runSysbench(lab, { mode, from, threads: THREADS, transactions: TRANSACTIONS, rate });
  return Promise.all([
    sysbench('text', CLIENT_ADDRESSES[30]),
    sysbench('prepared', CLIENT_ADDRESSES[31]),
    runClients(lab, { kind: 'short', connections: 50, seconds: SECONDS - 2, rounds: 4 }),
    runClients(lab, { kind: 'sessions', connections: 40, seconds: SECONDS, rounds: 15 }),
    runCommandLineClients(lab, 8),
  ]);
}

export interface DemoRecording extends Recorded {
  /** Packets that the tcpdump beside it wrote, that the kernel says matched its filter, and that the kernel lost. */
  tcpdump: { captured: number; received: number; dropped: number };
}

/** Step: `mytape record` on online, tcpdump beside it, and clients of four kinds. */
export async function record(lab: Lab): Promise<DemoRecording> {
  const archive = join(lab.runFolder, 'demo.tape');
  command('online', ['mytape', 'record', '-i', 'eth0', '-p', String(PORT), '-o', archive]);
  command('online', ['tcpdump', '-i', 'eth0', '-w', join(lab.runFolder, 'beside.pcap'), `tcp port ${PORT}`]);
  explain(
    `The clients, from ${CLIENT_ADDRESSES.length} addresses: sysbench read-write with ${THREADS} connections as text and ${THREADS}`,
    'with prepared statements; 50 short connections; 40 sessions of the mysql2 library with everything such a library',
    'does (transactions, prepared statements, large values, errors, resets, some that just vanish); and the mariadb',
    'command line a few times.',
  );
  const output = ['-w', join(lab.runFolder, 'beside.pcap'), '-Z', 'root', '-B', '32768'];
  const capture = ['tcpdump', '-i', 'eth0', ...output, `tcp port ${PORT}`];
  const beside = await Background.start(lab, 'online', capture, /listening on/);
  let questions = 0;
  const first = (await lab.server('online').counters()).Questions;
  const watching = setInterval(async () => {
    questions = (await lab.server('online').counters()).Questions - first;
  }, 1000);
  const recording = recordWorkload(lab, archive, async () => {
    await workload(lab);
    clearInterval(watching);
    await sleep(TCPDUMP_RING_MS);
  });
  const recorded = await progress(() => `${questions} commands at the server so far`, recording).finally(() =>
    clearInterval(watching),
  );
  const said = (await beside.stop()).stderr;
  const count = (what: string) => Number(new RegExp(`(\\d+) packets ${what}`).exec(said)?.[1] ?? Number.NaN);
  const tcpdump = {
    captured: count('captured'),
    received: count('received by filter'),
    dropped: count('dropped by kernel'),
  };
  return { ...recorded, tcpdump };
}

/** Shows what was recorded, by everybody's count; false where they differ. */
export function checkRecording(recording: DemoRecording): boolean {
  const { summary, tcpdump, online } = recording;
  const enough = summary.commands >= 20_000 && summary.sessions >= 50;
  fact(`${summary.sessions} sessions, ${summary.commands} commands (wanted: 50 and 20,000)`, enough);
  const packets = summary.packets === tcpdump.captured && summary.packets === tcpdump.received;
  fact(
    `packets: mytape ${summary.packets}, tcpdump ${tcpdump.captured}, the kernel ${tcpdump.received}; ` +
      `lost by the kernel: ${summary.dropped} and ${tcpdump.dropped}`,
    packets && summary.dropped === 0 && tcpdump.dropped === 0,
  );
  const sessions = summary.sessions === online.Connections;
  fact(
    `sessions recorded = connections that online counted: ${summary.sessions} = ${online.Connections}`,
    sessions,
  );
  explain('What online itself counted meanwhile:');
  table(
    ['counter', 'online'],
    COMPARED.map((name) => [name, String(online[name])]),
  );
  return enough && packets && sessions && summary.dropped + tcpdump.dropped === 0;
}
