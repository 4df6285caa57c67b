/** `npm run bench [-- PART …]`: figures as ratios within one run, because machines differ and are noisy (docs/performance.md). */
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { Lab, type ServerHost } from '../lab/lab.ts';
import { writeReplayFiles } from '../lab/tape.ts';
import { benchChannels } from './channels.ts';
import { benchClosedLoop } from './closed-loop.ts';
import { benchConnect } from './connect.ts';
import { benchDecode } from './decode.ts';
import { benchDigest } from './digest.ts';
import { benchLatency } from './latency.ts';
import { benchLateness } from './lateness.ts';
import { benchMemory } from './memory.ts';
import { benchMirror } from './mirror.ts';
import { benchOrder } from './order.ts';
import { preparePointSelects } from './pointselect.ts';
import { benchRecord } from './record.ts';
import { benchRelay } from './relay.ts';
import type { Bench } from './replay-run.ts';
import { benchSaturation } from './saturation.ts';
import { benchShortSessions } from './short-sessions.ts';

interface Part {
  title: string;
  /** Whose mariadbd it needs, with sysbench's table. */
  servers: readonly ServerHost[];
  run(bench: Bench): Promise<unknown>;
}

const PARTS: Record<string, Part> = {
  record: {
    title: 'record against tcpdump -w, side by side on the same packets',
    servers: ['online'],
    run: (bench) => benchRecord(bench, join(bench.lab.runFolder, 'record.tape')),
  },
  decode: {
    title: 'commands and answers from an archive, on one core',
    servers: [],
    run: benchDecode,
  },
  digest: { title: 'digests of statements, against an MD5 of them', servers: [], run: benchDigest },
  'closed-loop': {
    title: "commands/s and CPU a command, closed loop, against sysbench's",
    servers: ['target'],
    run: benchClosedLoop,
  },
  saturation: {
    title: 'where a replay saturates, against a responder that costs nothing',
    servers: [],
    run: benchSaturation,
  },
  channels: { title: 'the same with 1, 2 and 4 channels', servers: [], run: benchChannels },
  relay: { title: 'one connection and many, intercept as its own process', servers: [], run: benchRelay },
  latency: {
    title: 'one connection, against a plain node socket',
    servers: ['target'],
    run: benchLatency,
  },
  connect: {
    title: 'logins by packets, against those by sockets',
    servers: ['target'],
    run: benchConnect,
  },
  lateness: {
    title: 'how late commands are sent, beside what timers can do',
    servers: [],
    run: benchLateness,
  },
  order: {
    title: 'by commit against by time: wrong answers, and what it costs',
    servers: ['online', 'target'],
    run: benchOrder,
  },
  'short-sessions': { title: 'sessions of one query', servers: [], run: benchShortSessions },
  mirror: {
    title: 'what a mirror costs the host that it runs on',
    servers: ['online'],
    run: benchMirror,
  },
  memory: { title: '50,000 idle connections in one --local process', servers: [], run: benchMemory },
};

const say = (text: string) => process.stderr.write(`${text}\n`);

/** Where br_netfilter is loaded, bridges hand their frames to IP's own filters: no switch does. */
const PLAIN_BRIDGE =
  'for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e "$f" ] || echo 0 > "$f"; done';

async function bench(names: readonly string[]): Promise<void> {
  const unknown = names.find((name) => !(name in PARTS));
  if (unknown !== undefined) {
    throw new Error(
      `there is no part ${unknown}: there are ${Object.keys(PARTS).join(', ')} (none named: all)`,
    );
  }
  const chosen = Object.entries(PARTS).filter(([name]) => names.length === 0 || names.includes(name));
  const servers = (['online', 'target'] as const).filter((host) =>
    chosen.some(([, part]) => part.servers.includes(host)),
  );
  say(`Making the lab: four hosts, MariaDB on ${servers.join(' and ') || 'none'}.`);
  const lab = await Lab.up({ name: 'mytape-bench', servers });
  try {
    await lab.run('switch', 'sh', ['-c', PLAIN_BRIDGE]);
    if (servers.includes('online')) await preparePointSelects(lab, 'client', lab.addresses.online);
    if (servers.includes('target')) await preparePointSelects(lab, 'online', lab.addresses.target);
    const shared: Bench = { lab, files: writeReplayFiles(lab), say };
    const figures: Record<string, unknown> = {
      machine: { cores: cpus().length, node: process.versions.node, kernel: release() },
    };
    for (const [name, part] of chosen) {
      say(`\n${name}: ${part.title} …`);
      figures[name.replace('-', '_')] = await part.run(shared);
    }
    process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
  } finally {
    await lab.down();
  }
}

bench(process.argv.slice(2)).catch((error: Error) => {
  say(`bench: ${error.message}`);
  process.exitCode = 1;
});
