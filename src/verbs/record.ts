import { Command, Option } from '@commander-js/extra-typings';
import { type KnownServer, writeKnownServers } from '../archive/known-servers.ts';
import { ArchiveWriter } from '../archive/writer.ts';
import {
  type CaptureChoices,
  discard,
  openRecordCapture,
  type RecordCapture,
} from '../capture/record-capture.ts';
import { counted, formatCount } from '../counted.ts';
import { EXIT, MytapeError } from '../errors.ts';
import { limitsFor } from '../flow/flow-limits.ts';
import { DEFAULT_PORT } from '../mysql/port.ts';
import { CAPTURE_DRIVERS } from '../net/capture/drivers.ts';
import { checkWritable, goOnAs, planRunAs, type RunAs, userOption } from '../net/host/run-as.ts';
import { sayCopies, sayFlood, sayTls } from '../report/archive-state.ts';
import { ClockStepTeller, stepsAsJson } from '../report/clock-steps.ts';
import { type GapTeller, gapsAsJson } from '../report/gap-teller.ts';
import { formatDuration, formatOctets, Progress, print, printJson, say, sayLine } from '../report/output.ts';
import { SilenceTeller } from '../run/silence-teller.ts';
import { nameOfServer, parseServerUrl, type SnapshotServer } from '../snapshot/server.ts';
import type { Snapshotter, SnapshotterOptions } from '../snapshot/snapshot.ts';
import { type CaptureNs, captureNow } from '../time.ts';
import type { PacketSource } from '../wire/packets.ts';
import { idleSessionOption } from './idle-session.ts';
import type { MirrorBeside } from './mirror.ts';
import { parseDurationMs, parsePorts, parseSizeOctets } from './options.ts';
import { readPassword } from './passwords.ts';
import { GET_SERVER_KEY, SERVER_KEY, serverKeyOf } from './server-key.ts';

/** How often what was recorded becomes durable. */
const TICK_MS = 1000;

const EXAMPLES = `
Examples:
  mytape record -i eth0 -o peak.tape                      port 3306 on eth0, until Ctrl-C
  mytape record -i eth0 -p 3307,3308 -o peak.tape --for 1h --rotate 1Gi
  mytape record -i bond0 -F 'tcp port 3306 and net 10.1.0.0/16' -o peak.tape
  mytape record -i eth0 -o peak.tape --snapshot-from mysql://monitor@127.0.0.1:3306 --password-file monitor.pw
                                                          and what sessions from before have: user, schema, statements
  mytape record -i eth0 -p 3307 -o peak.tape --mirror -x 3307-10.128.6.83:3307 -s 10.128.6.84:36525 --key-file k --users users
                                                          and at the same time onto the target

Each file of the archive is a pcap file: lz4 -dc peak.tape/000000.pcap.lz4 | tcpdump -r -
While the interface is down it waits, and names the gap; where the interface is removed, it ends in order.
Exit code: 0 done (also by Ctrl-C), 1 failed, disk trouble, or the interface is gone, 2 usage.`;

interface RecordOptions extends CaptureChoices {
  for?: number | undefined;
  rotate?: number | undefined;
  idleSession: number;
  snapshotFrom?: SnapshotServer | undefined;
  passwordFile?: string | undefined;
  getServerPublicKey?: boolean | undefined;
  serverPublicKey?: string | undefined;
  user?: string | undefined;
  mirror?: true | undefined;
  json?: true | undefined;
}

export function recordCommand() {
  return new Command('record')
    .requiredOption('-o, --output <dir>', 'the archive: a folder that must not exist yet, or be empty')
    .option(
      '-i, --interface <name>',
      'interface to capture on; any: all of them, each packet once (default: that of the default route)',
    )
    .option(
      '-p, --port <ports>',
      `ports that the servers listen on, e.g. 3307,3308 (default: ${DEFAULT_PORT})`,
      parsePorts,
    )
    .option(
      '-F, --filter <filter>',
      "what to capture, in tcpdump's syntax (default: TCP from and to the ports)",
    )
    .option(
      '--for <duration>',
      'end after this time, e.g. 10s, 5m, 1h (default: on SIGINT or SIGTERM)',
      parseDurationMs,
    )
    .option(
      '--rotate <size>',
      'begin a new file when one has this size, e.g. 1Gi (default: one file)',
      parseSizeOctets,
    )
    .option(
      '--buffer <size>',
      'room in the kernel for packets that wait, e.g. 256Mi; four times as much again in ordinary memory while they come faster than they are read (default: 64Mi)',
      parseSizeOctets,
    )
    .addOption(
      new Option('--capture-driver <name>', 'how to capture')
        .choices(CAPTURE_DRIVERS)
        .default(CAPTURE_DRIVERS[0]),
    )
    .addOption(idleSessionOption())
    .option(
      '--snapshot-from <url>',
      'ask the recorded server each minute for its sessions, so that those which are older than the recording can be replayed, e.g. mysql://monitor@10.1.0.7:3306; the user needs PROCESS, and SELECT on performance_schema.*',
      parseServerUrl,
    )
    .option(
      '--password-file <file>',
      "the password of --snapshot-from's user (default: MYTAPE_PASSWORD, or ask)",
    )
    .option(...GET_SERVER_KEY)
    .option(...SERVER_KEY)
    .addOption(userOption())
    .option('--json', 'print the summary as a JSON object')
    .option(
      '--mirror',
      'mirror the traffic, too: all that follows is as for `mytape mirror`, which ends with the recording',
    )
    .argument('[mirror...]', "with --mirror: mirror's own options")
    .addHelpText('after', EXAMPLES)
    .action(async (mirror, options) => {
      process.exitCode = options.mirror ? await recordAndMirror(options, mirror) : await recordAlone(options);
    });
}

/**
 * The two share this process and its rights, and nothing else: the recording does not wait for the target. The capture is opened when
 * the mirror's sockets are, before both go on with fewer rights.
 */
async function recordAndMirror(options: RecordOptions, args: readonly string[]): Promise<number> {
  const runAs = planRunAs(options.user);
  const snapshots = await prepareSnapshots(options);
  let capture: RecordCapture | undefined;
  const opened = async (others: string) => {
    capture = await openRecordCapture(options, runAs, others);
  };
  const { startMirror } = await import('./mirror.ts');
  let mirror: MirrorBeside;
  try {
    mirror = await startMirror(args, { iface: options.interface, runAs, opened });
  } catch (error) {
    if (capture !== undefined) await discard(capture.source);
    throw error;
  }
  let recorded: number = EXIT.failed;
  let mirrored: number = EXIT.done;
  try {
    recorded = await record(options, runAs, capture as RecordCapture, snapshots);
  } finally {
    mirror.stop();
    mirrored = await mirror.ended;
  }
  return recorded === EXIT.done ? mirrored : recorded;
}

async function recordAlone(options: RecordOptions): Promise<number> {
  const runAs = planRunAs(options.user);
  const snapshots = await prepareSnapshots(options);
  const capture = await openRecordCapture(options, runAs);
  try {
    await goOnAs(runAs);
  } catch (error) {
    await discard(capture.source);
    throw error;
  }
  return record(options, runAs, capture, snapshots);
}

async function record(
  options: RecordOptions,
  runAs: RunAs,
  { source, iface, filter, serverPorts, gaps, servers }: RecordCapture,
  snapshots: SnapshotsToTake | undefined,
): Promise<number> {
  const progress = new Progress();
  let diskTrouble = false;
  let writer: ArchiveWriter;
  try {
    checkWritable(options.output, runAs, '-o');
    writer = ArchiveWriter.create(options.output, {
      linkType: source.linkType,
      originSec: source.originSec,
      serverPorts,
      filter,
      iface,
      limits: limitsFor(options.idleSession),
      ...(options.rotate === undefined ? {} : { rotateOctets: options.rotate }),
      onProblem: (message) => {
        diskTrouble = true;
        sayLine(message);
      },
    });
  } catch (error) {
    await discard(source);
    throw error;
  }

  gaps.onGap = (gap) => writer.gap(gap);
  const begun = performance.now();
  const stop = () => source.close();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const end = options.for === undefined ? undefined : setTimeout(stop, options.for);
  const clock = new ClockStepTeller(source.originSec, 'hold');
  let isTlsTold = false;
  const silence = new SilenceTeller(iface, filter, sayLine);
  const tick = setInterval(() => {
    const stats = source.stats();
    writer.tick(stats);
    clock.tell(writer.clock.firstClockSteps);
    // While there is time to do something about it.
    if (writer.tls > 0 && !isTlsTold)
      isTlsTold = sayTls({ sessions: writer.sessions, tls: writer.tls, keyed: 0 });
    silence.look(stats.packets, performance.now() - begun);
    progress.show(describe(writer, stats.dropped, performance.now() - begun));
  }, TICK_MS);
  if (snapshots === undefined || servers.length > 0) noteServers(options.output, servers);
  say(`recording on ${iface} (${filter}) into ${options.output}`);
  // As its sessions' times are.
  const now = () => captureNow(source.originSec) + writer.clock.clockOffset;
  const snapshotter = startSnapshots(snapshots, options.output, now);
  let gone: MytapeError | undefined;
  try {
    for await (const block of source) writer.write(block);
  } catch (error) {
    if (!(error instanceof MytapeError && error.code === 'no-interface')) throw error;
    gone = error;
  } finally {
    clearInterval(tick);
    clearTimeout(end);
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    writer.close(source.stats());
    await snapshotter?.stop();
    progress.clear();
  }
  clock.end(writer.clock.firstClockSteps, writer.clock.clockSteps);
  summarize(options, { writer, source, snapshotter, gaps, ms: performance.now() - begun });
  if (gone !== undefined) sayLine(gone.message);
  return diskTrouble || gone !== undefined ? EXIT.failed : EXIT.done;
}

/** Writes down who is recorded, for the interlock of a replay; a recording is worth having without. */
function noteServers(dir: string, servers: readonly KnownServer[]): void {
  if (servers.length === 0) {
    sayLine(
      'cannot tell which server is recorded, so a replay will ask for --allow-unidentified ' +
        '(try: record on the database host as root, or with --snapshot-from)',
    );
    return;
  }
  try {
    writeKnownServers(dir, servers);
  } catch (error) {
    sayLine(`cannot write down which server is recorded: ${(error as Error).message}; the recording goes on`);
  }
}

/** Who takes snapshots, of which server, and how they log in. */
interface SnapshotsToTake extends Pick<SnapshotterOptions, 'server' | 'password' | 'serverKey'> {
  taking: typeof import('../snapshot/snapshot.ts');
}

/** Before anything is opened: the prompt for a password must not run into the progress. */
async function prepareSnapshots(options: RecordOptions): Promise<SnapshotsToTake | undefined> {
  const { snapshotFrom: server, passwordFile: file, getServerPublicKey, serverPublicKey } = options;
  if (server === undefined) {
    const given = [
      ...(file === undefined ? [] : ['--password-file']),
      ...(getServerPublicKey === undefined ? [] : ['--get-server-public-key']),
      ...(serverPublicKey === undefined ? [] : ['--server-public-key']),
    ];
    if (given.length > 0) {
      throw new MytapeError('usage', `${given[0]} is for the user of --snapshot-from (try: with both)`);
    }
    return undefined;
  }
  const password = await readPassword({
    prompt: `password of ${nameOfServer(server)}: `,
    ...(file === undefined ? {} : { file }),
  });
  const serverKey = serverKeyOf(options);
  // It loads mysql2, which other runs should not wait for.
  return { taking: await import('../snapshot/snapshot.ts'), server, password, serverKey };
}

function startSnapshots(
  snapshots: SnapshotsToTake | undefined,
  dir: string,
  now: () => CaptureNs,
): Snapshotter | undefined {
  if (snapshots === undefined) return undefined;
  const { taking, ...asked } = snapshots;
  return taking.Snapshotter.start({ ...asked, dir, now, onNotice: sayLine });
}

interface Recorded {
  writer: ArchiveWriter;
  source: PacketSource;
  snapshotter: Snapshotter | undefined;
  gaps: GapTeller;
  ms: number;
}

function summarize(options: RecordOptions, { writer, source, snapshotter, gaps, ms }: Recorded): void {
  const { dropped } = source.stats();
  const snapshots = snapshotter?.count;
  if (options.json) {
    const { packets, copies, droppedByDisk, octets, sessions, tls, commands, uncounted, segments, flooded } =
      writer;
    const seconds = Number((ms / 1000).toFixed(3));
    const counts = {
      packets,
      copies,
      dropped,
      droppedByDisk,
      octets,
      sessions,
      tls,
      commands,
      uncounted,
      segments,
      flooded,
      gaps: gaps.totals.gaps,
    };
    const clockSteps = stepsAsJson(writer.clock.firstClockSteps, source.originSec);
    const gapTimes = gapsAsJson(gaps.first, source.originSec);
    printJson({ ...counts, gapTimes, clockSteps, snapshots, seconds });
    return;
  }
  print(
    `${options.output}: ${describe(writer, dropped, ms)}, ${counted(writer.commands, 'command')}` +
      (writer.uncounted > 0 ? ` (not counted in ${counted(writer.uncounted, 'session')})` : '') +
      (snapshots === undefined ? '' : `, ${counted(snapshots, 'snapshot')}`) +
      gapsInWords(gaps),
  );
  sayCopies(writer.copies);
  sayFlood(writer);
  sayTls({ sessions: writer.sessions, tls: writer.tls, keyed: 0 });
  if (dropped > 0)
    say('packets were dropped: the sessions they belong to have gaps (try: a larger --buffer)');
}

function gapsInWords({ totals: { gaps, gapMs } }: GapTeller): string {
  return gaps === 0 ? '' : `, ${counted(gaps, 'gap')} of ${formatDuration(gapMs)} in all`;
}

function describe(writer: ArchiveWriter, dropped: number, ms: number): string {
  const { packets, octets, sessions, tls, droppedByDisk } = writer;
  return (
    `${counted(packets, 'packet')}, ${formatOctets(octets)}, ${counted(sessions, 'session')}, ` +
    (tls > 0 ? `${formatCount(tls)} of them under TLS, ` : '') +
    `${formatCount(dropped)} dropped${droppedByDisk > 0 ? ` + ${formatCount(droppedByDisk)} for want of disk` : ''}, ` +
    formatDuration(ms)
  );
}
