import { Command, Option } from '@commander-js/extra-typings';
import { ArchiveWriter } from '../archive/writer.ts';
import { EXIT, MytapeError } from '../errors.ts';
import { CAPTURE_DRIVERS, type CaptureDriver, openCapture } from '../net/drivers.ts';
import { type CaptureNs, captureNow } from '../time.ts';
import type { PacketSource } from '../wire/packets.ts';
import { ClockStepTeller, stepsAsJson } from './clock-steps.ts';
import { defaultInterface } from './interfaces.ts';
import { sayCopies } from './ls.ts';
import { startMirror } from './mirror.ts';
import { parseDurationMs, parsePorts, parseSizeOctets } from './options.ts';
import { formatCount, formatDuration, formatOctets, Progress, print, printJson, say } from './output.ts';
import { readPassword } from './passwords.ts';
import { GET_SERVER_KEY, SERVER_KEY, serverKeyOf } from './server-key.ts';
import type { Snapshotter, SnapshotterOptions } from './snapshot.ts';
import { nameOfServer, parseServerUrl, type SnapshotServer } from './snapshot-server.ts';

/** MySQL's own. */
const DEFAULT_PORT = 3306;

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
Exit code: 0 done (Ctrl-C, too), 1 failed or trouble with the disk, 2 usage.`;

type Snapshots = typeof import('./snapshot.ts');

interface RecordOptions {
  interface?: string | undefined;
  output: string;
  port?: number[] | undefined;
  filter?: string | undefined;
  for?: number | undefined;
  rotate?: number | undefined;
  buffer?: number | undefined;
  captureDriver: CaptureDriver;
  snapshotFrom?: SnapshotServer | undefined;
  passwordFile?: string | undefined;
  getServerPublicKey?: boolean | undefined;
  serverPublicKey?: string | undefined;
  mirror?: true | undefined;
  json?: true | undefined;
}

export function recordCommand() {
  return new Command('record')
    .description('record MySQL traffic off an interface into an archive')
    .requiredOption('-o, --output <dir>', 'the archive: a folder that must not exist yet, or be empty')
    .option('-i, --interface <name>', 'where to capture (default: the interface of the default route)')
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
    .option('--json', 'print the summary as a JSON object')
    .option(
      '--mirror',
      'mirror the traffic, too: all that follows is as for `mytape mirror`, which ends with the recording',
    )
    .argument('[mirror...]', "with --mirror: mirror's own options")
    .addHelpText('after', EXAMPLES)
    .action(async (mirror, options) => {
      process.exitCode = options.mirror ? await recordAndMirror(options, mirror) : await record(options);
    });
}

/** The two share nothing but this process: the recording does not wait for the target. */
async function recordAndMirror(options: RecordOptions, args: readonly string[]): Promise<number> {
  const mirror = await startMirror(args, options.interface);
  let recorded: number = EXIT.failed;
  let mirrored: number = EXIT.done;
  try {
    recorded = await record(options, mirror.others);
  } finally {
    mirror.stop();
    mirrored = await mirror.ended;
  }
  return recorded === EXIT.done ? mirrored : recorded;
}

/** `others`: the filter of what is not to be left out, beside that of the options. */
async function record(options: RecordOptions, others?: string): Promise<number> {
  const password = await snapshotPassword(options);
  const serverKey = serverKeyOf(options);
  // It brings mysql2 along, which nobody else should wait for.
  const snapshots: Snapshots | undefined =
    options.snapshotFrom === undefined ? undefined : await import('./snapshot.ts');
  const iface = options.interface ?? defaultInterface();
  const ports = options.port ?? (options.filter === undefined ? [DEFAULT_PORT] : []);
  const wanted = options.filter ?? ports.map((port) => `tcp port ${port}`).join(' or ');
  const filter = others === undefined ? wanted : `(${wanted}) and ${others}`;
  const source = await openCapture(options.captureDriver, {
    iface,
    filter,
    mode: 'throughput',
    ...(options.buffer === undefined ? {} : { bufferOctets: options.buffer }),
  });
  const progress = new Progress();
  let diskTrouble = false;
  let writer: ArchiveWriter;
  try {
    writer = ArchiveWriter.create(options.output, {
      linkType: source.linkType,
      originSec: source.originSec,
      serverPorts: ports,
      filter,
      iface,
      ...(options.rotate === undefined ? {} : { rotateOctets: options.rotate }),
      onProblem: (message) => {
        diskTrouble = true;
        progress.clear();
        say(`mytape: ${message}`);
      },
    });
  } catch (error) {
    await discard(source);
    throw error;
  }

  const begun = performance.now();
  const stop = () => source.close();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const end = options.for === undefined ? undefined : setTimeout(stop, options.for);
  const clock = new ClockStepTeller(source.originSec, 'hold');
  const tick = setInterval(() => {
    const stats = source.stats();
    writer.tick(stats);
    if (writer.clock.clockSteps > 0) progress.clear();
    clock.tell(writer.clock.firstClockSteps);
    progress.show(describe(writer, stats.dropped, performance.now() - begun));
  }, TICK_MS);
  say(`recording on ${iface} (${filter}) into ${options.output}`);
  // As its sessions' times are.
  const now = () => captureNow(source.originSec) + writer.clock.clockOffset;
  const snapshotter = startSnapshots(snapshots, options, { password, serverKey }, now, progress);
  try {
    for await (const block of source) writer.write(block);
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
  summarize(options, writer, source, snapshotter, performance.now() - begun);
  return diskTrouble ? EXIT.failed : EXIT.done;
}

/** Asked for before anything is recorded: a prompt must not run into the progress. */
async function snapshotPassword(options: RecordOptions): Promise<string | undefined> {
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
  return readPassword({
    prompt: `password of ${nameOfServer(server)}: `,
    ...(file === undefined ? {} : { file }),
  });
}

function startSnapshots(
  snapshots: Snapshots | undefined,
  options: RecordOptions,
  credentials: Pick<SnapshotterOptions, 'password' | 'serverKey'>,
  now: () => CaptureNs,
  progress: Progress,
): Snapshotter | undefined {
  const { snapshotFrom: server, output: dir } = options;
  if (server === undefined || snapshots === undefined) return undefined;
  const onNotice = (message: string) => {
    progress.clear();
    say(`mytape: ${message}`);
  };
  return snapshots.Snapshotter.start({ server, ...credentials, dir, now, onNotice });
}

/** Lets go of a source that nobody wants to read. */
async function discard(source: PacketSource): Promise<void> {
  source.close();
  for await (const _ of source);
}

function summarize(
  options: RecordOptions,
  writer: ArchiveWriter,
  source: PacketSource,
  snapshotter: Snapshotter | undefined,
  ms: number,
): void {
  const { dropped } = source.stats();
  const snapshots = snapshotter?.count;
  if (options.json) {
    const { packets, copies, droppedByDisk, octets, sessions, commands, uncounted, segments } = writer;
    const seconds = Number((ms / 1000).toFixed(3));
    const counts = {
      packets,
      copies,
      dropped,
      droppedByDisk,
      octets,
      sessions,
      commands,
      uncounted,
      segments,
    };
    const clockSteps = stepsAsJson(writer.clock.firstClockSteps, source.originSec);
    printJson({ ...counts, clockSteps, snapshots, seconds });
    return;
  }
  print(
    `${options.output}: ${describe(writer, dropped, ms)}, ${formatCount(writer.commands)} commands` +
      (writer.uncounted > 0 ? ` (not counted in ${formatCount(writer.uncounted)} sessions)` : '') +
      (snapshots === undefined ? '' : `, ${formatCount(snapshots)} snapshots`),
  );
  sayCopies(writer.copies);
  if (dropped > 0)
    say('packets were dropped: the sessions they belong to have gaps (try: a larger --buffer)');
}

function describe(writer: ArchiveWriter, dropped: number, ms: number): string {
  const { packets, octets, sessions, droppedByDisk } = writer;
  return (
    `${formatCount(packets)} packets, ${formatOctets(octets)}, ${formatCount(sessions)} sessions, ` +
    `${formatCount(dropped)} dropped${droppedByDisk > 0 ? ` + ${formatCount(droppedByDisk)} for want of disk` : ''}, ` +
    formatDuration(ms)
  );
}
