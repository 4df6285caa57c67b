import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from '@commander-js/extra-typings';
import { CaptureFile } from '../archive/capture-file.ts';
import { addKeys } from '../archive/keys.ts';
import { openArchive } from '../archive/reader.ts';
import { readTlsSessions } from '../archive/tls-sessions.ts';
import { ArchiveWriter } from '../archive/writer.ts';
import { countsInWords, inWords, totalOf } from '../capture/import-census.ts';
import { ImportFilter } from '../capture/import-filter.ts';
import { readKeyLog } from '../capture/key-log-file.ts';
import { counted, formatCount } from '../counted.ts';
import { EXIT, MytapeError } from '../errors.ts';
import { limitsFor } from '../flow/flow-limits.ts';
import { DEFAULT_PORT } from '../mysql/port.ts';
import { checkWritable, goOnAs, makeArchiveFolder, planRunAs, userOption } from '../net/host/run-as.ts';
import { sayCopies, sayFlood, sayTls } from '../report/archive-state.ts';
import { type ClockStepJson, ClockStepTeller, stepsAsJson } from '../report/clock-steps.ts';
import { formatDuration, formatOctets, Progress, print, printJson, say, sayLine } from '../report/output.ts';
import { KeyLog } from '../tls/key-log.ts';
import { idleSessionOption } from './idle-session.ts';
import { parsePorts, parseSizeOctets } from './options.ts';

/** How often what was imported becomes durable. */
const TICK_MS = 1000;

const EXAMPLES = `
Examples:
  mytape import peak.pcap -o peak.tape
  mytape import peak.pcapng -o peak.tape -p 3307 --keylog keys.log
  gzip -dc peak.pcap.gz | mytape import - -o peak.tape

Only TCP from and to the ports goes into the archive, out of whatever tunnel it is in; what is left out is counted by
cause (docs/captures.md says what is read). An import that could not finish leaves an archive of what was read until then,
which says that it is partial. So do secrets of TLS sessions, from --keylog and from a pcapng
file's own: as keys.log, for its owner alone.
Exit code: 0 done, 1 failed, 2 usage, 130 interrupted (the archive holds what was read until then).`;

interface ImportOptions {
  output: string;
  port?: number[] | undefined;
  rotate?: number | undefined;
  keylog?: string | undefined;
  idleSession: number;
  user?: string | undefined;
  json?: true | undefined;
}

export function importCommand() {
  return new Command('import')
    .argument('<file>', 'the capture, or - for stdin')
    .requiredOption('-o, --output <dir>', 'the archive: a folder that must not exist yet, or be empty')
    .option(
      '-p, --port <ports>',
      `ports that the servers listen on, e.g. 3307,3308 (default: ${DEFAULT_PORT})`,
      parsePorts,
    )
    .option(
      '--rotate <size>',
      'begin a new file when one has this size, e.g. 1Gi (default: one file)',
      parseSizeOctets,
    )
    .addOption(idleSessionOption())
    .option('--keylog <file>', 'secrets of the TLS sessions, as SSLKEYLOGFILE writes them')
    .addOption(userOption())
    .option('--json', 'print the summary as a JSON object')
    .addHelpText('after', EXAMPLES)
    .action(async (file, options) => {
      process.exitCode = await importCapture(file, options);
    });
}

async function importCapture(file: string, options: ImportOptions): Promise<number> {
  const { port = [DEFAULT_PORT] } = options;
  const runAs = planRunAs(options.user);
  const keyLog = options.keylog === undefined ? undefined : readKeyLog(options.keylog);
  const source = await CaptureFile.open(file);
  const name = file === '-' ? 'stdin' : file;
  const progress = new Progress();
  let diskTrouble: string | undefined;
  let writer: ArchiveWriter;
  try {
    makeArchiveFolder(runAs, options.output);
    if (runAs !== undefined) {
      await goOnAs(runAs);
      checkWritable(options.output, runAs, '-o');
    }
    writer = ArchiveWriter.create(options.output, {
      linkType: source.linkType,
      originSec: source.originSec,
      serverPorts: port,
      limits: limitsFor(options.idleSession),
      ...(options.rotate === undefined ? {} : { rotateOctets: options.rotate }),
      // What it says of itself if we are killed.
      partial: `the import of ${name} did not finish`,
      onProblem: (message) => {
        diskTrouble ??= message;
        sayLine(message);
      },
    });
  } catch (error) {
    source.close();
    throw error;
  }

  const filter = new ImportFilter(port, (block) => writer.write(block));
  const begun = performance.now();
  let interrupted = false;
  const stop = () => {
    interrupted = true;
    source.close();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const tick = setInterval(() => {
    writer.tick(source.stats());
    progress.show(`${formatOctets(source.octets)} read: ${describe(writer, performance.now() - begun)}`);
  }, TICK_MS);
  let secrets = 0;
  const keep = (text: string) => {
    addKeys(options.output, text);
    secrets += KeyLog.parse(text).size;
  };
  let partial: string | null = `the import of ${name} failed`;
  let damaged = false;
  try {
    if (keyLog !== undefined) keep(keyLog);
    for await (const block of source) {
      filter.take(block);
      for (const text of source.takeSecrets()) keep(text);
      // What was not written will not be read again: better an archive that ends here than one with holes.
      if (writer.droppedByDisk > 0) break;
    }
    for (const text of source.takeSecrets()) keep(text);
    if (interrupted) partial = `the import of ${name} was interrupted after ${formatOctets(source.octets)}`;
    else if (source.truncatedOctets > 0)
      partial = `${name} ends inside a packet, which is left out, and so is whatever followed`;
    else partial = null;
  } catch (error) {
    if (!(error instanceof MytapeError && error.code === 'bad-file')) throw error;
    damaged = true;
    partial = error.message;
  } finally {
    clearInterval(tick);
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    filter.finish();
    if (writer.droppedByDisk > 0) partial = `the import of ${name} stopped: ${diskTrouble?.split(';')[0]}`;
    writer.close(source.stats(), partial);
    progress.clear();
  }
  const { clockSteps, firstClockSteps } = writer.clock;
  new ClockStepTeller(source.originSec, 'hold').end(firstClockSteps, clockSteps);
  sayCopies(writer.copies);
  sayFlood(writer);
  if (writer.outgoing > 0)
    sayLine(
      `${counted(writer.outgoing, 'packet is', 'packets are')} of connections that the server's host made itself, ` +
        'from the port, and in no session',
    );
  if (source.secretsLeftOut > 0)
    sayLine(
      `${name} has more secrets of TLS sessions than mytape takes: ${formatOctets(source.secretsLeftOut)} of them are ` +
        'left out, and sessions that need these are skipped as tls (try: --keylog with the lines of those sessions)',
    );
  if (partial === null && diskTrouble !== undefined) partial = diskTrouble;
  const jumps = stepsAsJson(firstClockSteps, source.originSec);
  const inside = await insideOf(options.output, writer, secrets > 0 && !interrupted);
  summarize(options, {
    name,
    source,
    writer,
    inside,
    filter,
    secrets,
    jumps,
    partial,
    ms: performance.now() - begun,
  });
  if (writer.packets === 0 && !interrupted && diskTrouble === undefined) {
    // Said why; a second try is to find no archive in its way.
    removeArchive(options.output);
    return EXIT.failed;
  }
  if (partial !== null) sayHowToRetry(options.output, partial);
  return damaged || diskTrouble !== undefined ? EXIT.failed : interrupted ? EXIT.interrupted : EXIT.done;
}

/** Removes what is in the folder `dir` and, where its own folder lets us, the folder: root may have made it for us. */
function removeArchive(dir: string): void {
  for (const name of readdirSync(dir)) rmSync(join(dir, name));
  try {
    rmdirSync(dir);
  } catch (error) {
    // It is empty, and so not in the way of a second import.
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
  }
}

function sayHowToRetry(dir: string, partial: string): void {
  sayLine(`${dir} is partial: ${partial}`);
  say(`  it can be used as it is; to import again, remove it first (rm -r ${dir}) or choose another -o`);
}

/** What TLS sessions hold, whose keys came with the capture. */
interface InsideFacts {
  sessions: number;
  /** Of those whose commands could be counted. */
  counted: number;
  commands: number;
}

/** Reads the archive again, where it `hasKeys` and sessions under TLS. */
async function insideOf(dir: string, { tls }: ArchiveWriter, hasKeys: boolean): Promise<InsideFacts> {
  const facts = { sessions: 0, counted: 0, commands: 0 };
  if (tls === 0 || !hasKeys) return facts;
  const archive = openArchive(dir);
  try {
    const { opened } = await readTlsSessions(archive);
    for (const { commands } of opened.values()) {
      facts.sessions++;
      if (commands === null) continue;
      facts.counted++;
      facts.commands += commands;
    }
    return facts;
  } finally {
    archive.close();
  }
}

interface Summary {
  name: string;
  source: CaptureFile;
  writer: ArchiveWriter;
  inside: InsideFacts;
  filter: ImportFilter;
  /** Of TLS sessions. */
  secrets: number;
  jumps: ClockStepJson[];
  partial: string | null;
  ms: number;
}

function summarize(options: ImportOptions, summary: Summary): void {
  const { source, writer, inside, filter, secrets, jumps, partial, ms } = summary;
  const { packets, copies, droppedByDisk, octets, sessions, tls, segments } = writer;
  const commands = writer.commands + inside.commands;
  const uncounted = writer.uncounted - inside.counted;
  const findings = filter.census.findings(source.leftOut);
  const unwrapped = filter.census.unwrapped();
  if (options.json) {
    printJson({
      packets,
      leftOut: totalOf(findings),
      leftOutBy: findings,
      unwrapped,
      joined: { packets: filter.joined, fragments: filter.joinedFragments },
      cut: { packets: filter.cut, octets: filter.cutTo },
      copies,
      outgoing: writer.outgoing,
      flooded: writer.flooded,
      droppedByDisk,
      octets,
      sessions,
      tls,
      tlsWithKeys: inside.sessions,
      commands,
      uncounted,
      segments,
      secrets,
      clockSteps: jumps,
      partial,
      seconds: Number((ms / 1000).toFixed(3)),
    });
  } else {
    print(
      `${options.output}: ${describe(writer, ms)}, ${counted(commands, 'command')}` +
        (uncounted > 0 ? ` (not counted in ${counted(uncounted, 'session')})` : '') +
        (findings.length > 0 ? `, ${counted(totalOf(findings), 'packet')} left out` : '') +
        (secrets > 0 ? `, secrets of ${counted(secrets, 'TLS session')}` : ''),
    );
  }
  if (packets === 0) {
    sayNothingFound(summary);
    return;
  }
  sayTls({ sessions, tls, keyed: inside.sessions });
  if (findings.length > 0) say(`${counted(totalOf(findings), 'packet')} left out: ${inWords(findings)}`);
  if (Object.keys(unwrapped).length > 0) say(`packets taken out of tunnels: ${countsInWords(unwrapped)}`);
  if (filter.joined > 0) {
    say(`${counted(filter.joinedFragments, 'fragment')} put together to ${counted(filter.joined, 'packet')}`);
  }
  if (filter.cut > 0) {
    sayLine(
      `${formatCount(filter.cut)} of ${counted(packets, 'packet')} ${filter.cut === 1 ? 'is' : 'are'} cut to ${formatCount(filter.cutTo)} ` +
        "octets (snaplen): commands in them can't be replayed; capture with -s 0",
    );
  }
}

/** Reports what the capture has in place of what was looked for. */
function sayNothingFound({ name, source, filter, partial }: Summary): void {
  const { census, wanted } = filter;
  if (partial !== null) sayLine(partial);
  const findings = census.findings(source.leftOut);
  if (findings.length === 0) {
    sayLine(`${name} has no packets`);
    return;
  }
  const ports = [...wanted].join(' or ');
  const tunnels = countsInWords(census.othersUnwrapped());
  const inTunnels = tunnels === '' ? '' : `; of other ports in tunnels: ${tunnels}`;
  sayLine(`no packet is of port ${ports}. ${name} has ${inWords(findings)}${inTunnels}`);
  const servers = census.servers();
  if (servers.ports.length > 0) {
    const which = servers.sure ? 'servers in it listen on' : 'the busiest ports in it are';
    say(`  ${which} ${servers.ports.join(', ')}; try: -p ${servers.ports[0]}`);
  }
}

function describe(writer: ArchiveWriter, ms: number): string {
  const { packets, octets, sessions, tls } = writer;
  return (
    `${counted(packets, 'packet')}, ${formatOctets(octets)}, ${counted(sessions, 'session')}, ` +
    (tls > 0 ? `${formatCount(tls)} of them under TLS, ` : '') +
    formatDuration(ms)
  );
}
