import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SNAPSHOTS_FILE } from '../archive/snapshots.ts';
import { KEYS_MS } from '../capture/followed-keys.ts';
import { MytapeError } from '../errors.ts';
import { planRunAs, type RunAs } from '../net/host/run-as.ts';
import { isThisHost } from '../net/host/this-host.ts';
import { OwnVoice } from '../replay/own-voice.ts';
import { LiveConnectionIds } from '../replay/session/live-connection-ids.ts';
import { say, sayLine } from '../report/output.ts';
import { makeRunFolder } from '../run/folder.ts';
import type { ReplayJob } from '../run/job.ts';
import { targetText } from '../run/mapping.ts';
import { othersFilter, planLive } from '../run/mirror-capture.ts';
import { type RawMark, sayMark, sayRawMark } from '../run/own-voice-text.ts';
import { carryOut } from '../run/run.ts';
import { liveTiming } from '../run/timing.ts';
import { nameOfServer, parseServerUrl } from '../snapshot/server.ts';
import type { Snapshotter } from '../snapshot/snapshot.ts';
import { captureNow } from '../time.ts';
import { idleSessionOption } from './idle-session.ts';
import { parseDurationMs, parseSizeOctets } from './options.ts';
import { readPassword } from './passwords.ts';
import { runCommand } from './replay-options.ts';
import { plannedJob, planRun, planTargets } from './replay-plan.ts';

/** Sessions that are there already wait this long for the first snapshot to say who they are. */
const FIRST_SNAPSHOT_MS = 5_000;
const LOOK_MS = 20;

const EXAMPLES = `
Examples:
  On the online server, onto the target, answers caught by an intercept on the assistant:
    mytape mirror -x 3307-10.128.6.83:3307 -s 10.128.6.84:36525 --key-file k --users users
  Fifty times the load, by four threads:
    mytape mirror -x 3307-10.128.6.83:3307 -s 10.128.6.84:36525 --key-file k --users users -C 4 -n 50
  By ordinary connections, for ten minutes, with the sessions that are there already:
    mytape mirror -x 3307-db.test:3307 --transport socket --users users --for 10m --snapshot-from mysql://monitor@127.0.0.1:3307
  Clients that connect by TLS, and write their keys (SSLKEYLOGFILE=/run/keys.log, node --tls-keylog=/run/keys.log):
    mytape mirror -x 3307-10.128.6.83:3307 -s 10.128.6.84:36525 --key-file k --users users --keylog /run/keys.log
  On a mirror port of the switch:
    mytape mirror -i eth1 -x 3307-10.128.6.83:3307 -s 10.128.6.84:36525 --key-file k --users users
  Two servers that a mirror port shows, each onto its own target:
    mytape mirror -i eth1 -x 10.0.0.5:3307-10.1.0.5:3307,10.0.0.6:3307-10.1.0.6:3307 -s 10.128.6.84:36525 --key-file k --users users

The mirror never makes the server wait. Where the target is too slow, whole sessions are left out, and counted as shed.
docs/replaying.md has recipes, and describes the options for connections, copies and statements.
Exit code: 0 done (also by Ctrl-C), 1 failed, 2 usage, 3 refused (the target is the recorded server, looks live, or may be), 5 run not valid, 130 cut off by a second Ctrl-C.`;

export type MirrorOptions = ReturnType<ReturnType<typeof mirrorOptions>['opts']>;

export function mirrorCommand() {
  return mirrorOptions()
    .addHelpText('after', EXAMPLES)
    .action((options) => mirror(options));
}

function mirrorOptions() {
  return runCommand('mirror')
    .description(
      'Captures the sessions of a port on this host, or on a mirror port, and makes each command on a test server as soon as it was seen, ' +
        'with the same means and options as replay. Ctrl-C once: what was seen is replayed to its end; twice: now.',
    )
    .optionsGroup('Capture:')
    .option(
      '-i, --interface <name>',
      'interface to capture on; any: all of them, each packet once (default: the one with the address that the recorded server listens on; any, where its packets may come by another one)',
    )
    .option(
      '-F, --filter <expression>',
      "what to capture, in tcpdump's syntax (default: TCP to and from the recorded port of this host); the mirror's own packets to the target are never captured",
    )
    .option(
      '--for <duration>',
      'end after this time, e.g. 10m (default: on SIGINT or SIGTERM)',
      parseDurationMs,
    )
    .option(
      '--buffer <size>',
      "room in the kernel for each thread's packets that wait, e.g. 256Mi; four times as much again in ordinary memory while they come faster than they are read (default: 64Mi)",
      parseSizeOctets,
    )
    .addOption(idleSessionOption())
    .option(
      '--keylog <file>',
      `file to which the clients write their TLS keys (SSLKEYLOGFILE), followed as it grows; a session waits up to ${KEYS_MS / 1000} s for its keys, e.g. /run/keys.log`,
    )
    .option(
      '--snapshot-from <url>',
      'ask the recorded server, at once and each minute, for its sessions, so that those which are older than the mirror take part, e.g. mysql://monitor@127.0.0.1:3307; the user needs PROCESS, and SELECT on performance_schema.*',
      parseServerUrl,
    )
    .option(
      '--snapshot-password-file <file>',
      "the password of --snapshot-from's user (default: MYTAPE_PASSWORD, or ask)",
    );
}

/** What `record --mirror` says of the mirror beside it. */
interface Beside {
  /** Where record captures, if that was said. */
  iface: string | undefined;
  /** The user that both run as. */
  runAs: RunAs;
  /** The mirror's sockets are open, and the process still has its rights; `others` is the filter of what is not the mirror's own. */
  opened(others: string): Promise<void>;
}

/** `beside`: it runs beside something else, which has this thread and stdout; then `begun` gets what ends it in order. */
async function mirror(
  options: MirrorOptions,
  beside?: Beside,
  begun?: (stop: () => void) => void,
): Promise<void> {
  if (options.sessions !== undefined) {
    throw new MytapeError(
      'usage',
      '--sessions names sessions of an archive: live ones have no numbers before they come (try: --sample, --include-user, --include-client)',
    );
  }
  if (options.share !== undefined) {
    throw new MytapeError(
      'usage',
      '--share splits the sessions of an archive by their numbers, and live sessions have none (try: --include-client with other clients on each host)',
    );
  }
  if (options.keylog !== undefined && options.protocol === 'raw')
    throw new MytapeError(
      'usage',
      '--keylog is for MySQL: with --protocol raw octets are sent as they were captured, so leave it out',
    );
  if (options.order === 'commit' && options.channels > 1) {
    throw new MytapeError(
      'usage',
      `--order commit wants one thread, which sees all commits: each of -C ${options.channels} sees those of its own clients only`,
    );
  }
  if (beside !== undefined && options.user !== undefined) {
    throw new MytapeError('usage', `say --user ${options.user} before --mirror: both go on as one user`);
  }
  const runAs = beside === undefined ? planRunAs(options.user) : beside.runAs;
  const password = await snapshotPassword(options);
  const plan = await planRun(options);
  // A key that was given is the target's.
  const serverKey = plan.logins.serverKey === 'ask' ? 'ask' : undefined;
  const out = makeRunFolder(options.out, runAs);
  const { live, mappings } = planLive(options, plan, options.interface ?? beside?.iface);
  const { copies, snapshotFrom } = options;
  const raw = options.protocol === 'raw';
  const serverPorts = [...new Set(mappings.map(({ port }) => port))];
  const mark = `mytape mirror ${randomBytes(16).toString('hex')}`;
  // Clients of this host's own are clients like others.
  const others = plan.targets.filter(({ address }) => !isThisHost(address));
  const voice = OwnVoice.job(
    mark,
    others.map(({ address }) => address.text),
  );
  const job: ReplayJob = {
    ...plannedJob(
      plan,
      planTargets(plan, () => []),
    ),
    archive: out,
    live,
    serverPorts,
    mappings,
    speed: 1,
    timing: liveTiming(options.spread ?? 0),
    connections: LiveConnectionIds.create(copies).buffer,
    voice,
    keyLog: undefined,
  };
  // They load mysql2, which no other run should wait for.
  const { mirroredSide } = await import('../run/interlock/mirrored-side.ts');
  const snapshots = snapshotFrom === undefined ? undefined : await import('../snapshot/snapshot.ts');
  let snapshotter: Snapshotter | undefined;
  let end: NodeJS.Timeout | undefined;
  let rawMarks: RawMark[] = [];
  try {
    await carryOut(
      job,
      { ...options, out },
      {
        packets: 0,
        dropped: 0,
        anchorAt: 0,
        servers: await mirroredSide(mappings, snapshotFrom, { password, serverKey }),
        isBeside: beside !== undefined,
        runAs,
        opened: beside && (() => beside.opened(othersFilter(plan))),
        async begun(stop) {
          // What an earlier run left there is of other sessions.
          rmSync(join(out, SNAPSHOTS_FILE), { force: true });
          // Captured from now on: should the target lead back, this is the first that comes back.
          if (raw) {
            rawMarks = job.targets.map((target) => sayRawMark(target, mark));
            await Promise.all(rawMarks.map(({ tried }) => tried));
          } else {
            const said = await Promise.all(job.targets.map((target) => sayMark(target, plan.logins, mark)));
            if (said.every((isSaid) => isSaid)) OwnVoice.marked(voice);
          }
          const onto = plan.targets.map(targetText).join(', ');
          say(`mirroring on ${live.iface} (${live.filter}) onto ${onto}`);
          if (snapshots !== undefined && snapshotFrom !== undefined) {
            snapshotter = snapshots.Snapshotter.start({
              server: snapshotFrom,
              password,
              serverKey,
              dir: out,
              now: () => captureNow(live.originSec),
              onNotice: sayLine,
            });
            await firstSnapshot(snapshotter);
          }
          if (options.for !== undefined) end = setTimeout(stop, options.for);
          begun?.(stop);
        },
      },
    );
  } finally {
    clearTimeout(end);
    for (const marking of rawMarks) marking.stop();
    await snapshotter?.stop();
  }
}

/** Meanwhile packets wait in the kernel. The snapshotter reports a server that does not answer. */
async function firstSnapshot(snapshotter: Snapshotter): Promise<void> {
  for (let waitedMs = 0; snapshotter.count === 0 && waitedMs < FIRST_SNAPSHOT_MS; waitedMs += LOOK_MS)
    await sleep(LOOK_MS);
}

/** Asked for before anything is captured: a prompt must not run into the progress. */
async function snapshotPassword(options: MirrorOptions): Promise<string | undefined> {
  const { snapshotFrom: server, snapshotPasswordFile: file } = options;
  if (server !== undefined) {
    const prompt = `password of ${nameOfServer(server)}: `;
    return readPassword({ prompt, ...(file === undefined ? {} : { file }) });
  }
  if (file === undefined) return undefined;
  throw new MytapeError(
    'usage',
    '--snapshot-password-file is for the user of --snapshot-from (try: with both)',
  );
}

/** A mirror that runs beside a recording, in threads of its own. */
export interface MirrorBeside {
  stop(): void;
  /** Resolves, when it is over, with its exit code. Never rejects: a recording goes on without. */
  ended: Promise<number>;
}

/**
 * Starts what `mytape mirror` with these arguments would. Resolves when it captures; rejects where it cannot begin. Its summary
 * goes to its run folder and to stderr.
 */
export async function startMirror(args: readonly string[], beside: Beside): Promise<MirrorBeside> {
  const command = mirrorOptions().exitOverride();
  command.parse(args, { from: 'user' });
  let stop = () => {};
  let begun = false;
  let ended: Promise<number> = Promise.resolve(0);
  await new Promise<void>((resolve, reject) => {
    const running = mirror(command.opts(), beside, (stopMirror) => {
      begun = true;
      stop = stopMirror;
      resolve();
    });
    ended = running.then(
      () => Number(process.exitCode ?? 0),
      (error: MytapeError) => {
        if (begun) sayLine(`the mirror failed: ${error.message}; the recording goes on`);
        else reject(error);
        return error.exitCode ?? 1;
      },
    );
  });
  return { stop, ended };
}
