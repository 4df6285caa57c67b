/**
 * `npm run demo`: mytape's main job on this machine, explained while it runs; a smaller one where that needs what is not to be had.
 * Exit code 0 only if every check held.
 */
import { spawnSync } from 'node:child_process';
import { MytapeError } from '../../src/errors.ts';
import { Lab } from '../lab/lab.ts';
import { HOSTS } from '../lab/network.ts';
import { makeStart, type ReplayPlan } from '../lab/path.ts';
import { writeReplayFiles } from '../lab/tape.ts';
import { loadTables } from '../lab/workload.ts';
import { inspectArchive } from './archive.ts';
import { explain, fact, progress, step, table } from './narrator.ts';
import { plainDemo } from './plain.ts';
import { checkRecording, record } from './recording.ts';
import { replayStep } from './replays.ts';
import { replayInTrouble } from './trouble.ts';
import { checkWay } from './way.ts';

const REPLAYS: readonly (ReplayPlan & { title: string; why: string; trouble?: true })[] = [
  {
    name: 'as-recorded',
    path: 'intercept',
    copies: 1,
    speed: '1',
    title: 'Replay as it was: the same speed, one copy',
    why: `The replay runs on online and sends with the recorded clients' addresses. The target routes its answers to the
      assistant, where mytape intercept reads them and reports back. Both together are each client's TCP connection. As it
      keeps the recorded times it takes as long as the recording did.`,
  },
  {
    name: 'five-copies',
    path: 'intercept',
    copies: 5,
    speed: '4',
    title: 'Five clients for each one recorded, four times as fast',
    why: `Twenty times the recorded load. Every copy is a client of its own, with a port of its own, its own login and its own
      prepared statements.`,
  },
  {
    name: 'local',
    path: 'local',
    copies: 2,
    speed: 'max',
    title: 'As fast as the target answers, two copies, replay and intercept in one process',
    extra: ['-C', '2'],
    why: 'This time the replay runs on the assistant itself (--local), so that no relay is needed, and in two threads (-C 2).',
  },
  {
    name: 'trouble',
    path: 'intercept',
    copies: 1,
    speed: '2',
    title: 'A bad day: 1 % of the packets lost both ways, and intercept killed by -9 in mid-run',
    why: `TCP sends again what was lost. Intercept never acknowledges what nobody would know of without it, so that
      another one can take up all connections where it left them.`,
    trouble: true,
  },
];

async function demo(): Promise<boolean> {
  process.once('SIGINT', () => process.stdout.write('\nInterrupted: taking the lab down.\n'));

  step('A lab');
  explain(
    'Four hosts in network namespaces, with real MariaDB servers on two of them: client and online are your production,',
    'target and assistant your test side. docs/lab.md draws it. Nothing outside of the namespaces is touched.',
  );
  const lab = await Lab.up({ name: 'mytape-demo' });
  try {
    table(
      ['host', 'address', 'namespace'],
      HOSTS.map((host) => [host, lab.addresses[host], lab.namespace(host)]),
    );

    step('The recorded start');
    explain(
      'Tables for the workload go into online. Then its data is copied to the target: a replay makes sense onto the data that',
      'the recorded server had when the recording began.',
    );
    const prepare = async () => {
      await loadTables(lab);
      return makeStart(lab);
    };
    const start = await progress(() => 'loading and copying', prepare());

    step('Record');
    explain(
      'mytape record reads a copy of the packets on online, beside a tcpdump that will check its count.',
    );
    const recording = await record(lab);
    const recordingHolds = checkRecording(recording);

    step('Look at the archive');
    const archiveHolds = await inspectArchive(lab, recording.archive, recording.summary.packets);

    const files = writeReplayFiles(lab);
    step('The way to the target and back');
    const wayHolds = await checkWay(lab, recording.archive, files);

    const results: (readonly string[])[] = [];
    let replaysHold = true;
    for (const plan of REPLAYS) {
      step(plan.title);
      explain(plan.why);
      const replay = plan.trouble ? replayInTrouble : replayStep;
      const replayed = await replay(lab, start, recording, files, plan);
      replaysHold &&= replayed.exact;
      const { commands, sessions, elapsed_s } = replayed.summary;
      results.push([
        `speed ${plan.speed}, ${plan.copies} ${plan.copies === 1 ? 'copy' : 'copies'}, ${plan.path}${plan.trouble ? ', in trouble' : ''}`,
        String(sessions.completed),
        String(commands.answered),
        elapsed_s.toFixed(1),
        replayed.exact ? 'exact' : 'NOT EXACT',
      ]);
    }

    step('What came of it');
    table(['replay', 'sessions', 'commands', 'seconds', 'by the counters'], results);
    const holds = recordingHolds && archiveHolds && wayHolds && replaysHold;
    fact(
      holds
        ? 'every command that the recorded server saw, the target saw: once for each copy, and nothing else'
        : 'not everything held: the lines marked ✗ above say what',
      holds,
    );
    return holds;
  } finally {
    await lab.down();
    explain('The lab is down; nothing of it is left.');
  }
}

/** What a lab lacks here; undefined: nothing. */
function obstacle(): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, and this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'needs root, for network namespaces and raw packets';
  return spawnSync('unshare', ['--net', 'true']).status === 0
    ? undefined
    : 'needs network namespaces of its own';
}

try {
  const why = obstacle();
  process.exitCode = (await (why === undefined ? demo() : plainDemo(why))) ? 0 : 1;
} catch (error) {
  if (!(error instanceof MytapeError)) throw error;
  process.stderr.write(`\ndemo: ${error.message}\n`);
  process.exitCode = 1;
}
