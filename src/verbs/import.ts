import { rmSync } from 'node:fs';
import { Command } from '@commander-js/extra-typings';
import { CaptureFile } from '../archive/capture-file.ts';
import { addKeys } from '../archive/keys.ts';
import { ArchiveWriter } from '../archive/writer.ts';
import { EXIT } from '../errors.ts';
import { KeyLog } from '../tls/key-log.ts';
import type { PacketBlock } from '../wire/packets.ts';
import { CTL, PARSE, Segment } from '../wire/segment.ts';
import { type ClockStepJson, ClockStepTeller, stepsAsJson } from './clock-steps.ts';
import { parsePorts, parseSizeOctets } from './options.ts';
import { formatCount, formatDuration, formatOctets, Progress, printJson, say } from './output.ts';
import { readKeyLog } from './replay-logins.ts';

/** MySQL's own. */
const DEFAULT_PORT = 3306;

/** How often what was imported becomes durable. */
const TICK_MS = 1000;

const EXAMPLES = `
Examples:
  mytape import peak.pcap -o peak.tape
  mytape import peak.pcapng -o peak.tape -p 3307 --keylog keys.log
  gzip -dc peak.pcap.gz | mytape import - -o peak.tape

Only TCP from and to the ports goes into the archive. So do secrets of TLS sessions, from --keylog and from a pcapng
file's own: as keys.log, for its owner alone.
Exit code: 0 done, 1 failed, 2 usage, 130 interrupted (the archive holds what was read until then).`;

interface ImportOptions {
  output: string;
  port?: number[] | undefined;
  rotate?: number | undefined;
  keylog?: string | undefined;
  json?: true | undefined;
}

export function importCommand() {
  return new Command('import')
    .description('make an archive of a pcap or pcapng file')
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
    .option('--keylog <file>', 'secrets of the TLS sessions, as SSLKEYLOGFILE writes them')
    .option('--json', 'print the summary as a JSON object')
    .addHelpText('after', EXAMPLES)
    .action(async (file, options) => {
      process.exitCode = await importCapture(file, options);
    });
}

async function importCapture(file: string, options: ImportOptions): Promise<number> {
  const { port = [DEFAULT_PORT] } = options;
  const keyLog = options.keylog === undefined ? undefined : readKeyLog(options.keylog);
  const source = await CaptureFile.open(file);
  const progress = new Progress();
  let diskTrouble = false;
  let writer: ArchiveWriter;
  try {
    writer = ArchiveWriter.create(options.output, {
      linkType: source.linkType,
      originSec: source.originSec,
      serverPorts: port,
      ...(options.rotate === undefined ? {} : { rotateOctets: options.rotate }),
      onProblem: (message) => {
        diskTrouble = true;
        progress.clear();
        say(`mytape: ${message}`);
      },
    });
  } catch (error) {
    source.close();
    throw error;
  }

  const ports = new PortFilter(port);
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
  try {
    if (keyLog !== undefined) keep(keyLog);
    for await (const block of source) {
      ports.apply(block);
      writer.write(block);
      for (const text of source.takeSecrets()) keep(text);
      // What was not written will not be read again: better no such archive than one with holes.
      if (writer.droppedByDisk > 0) break;
    }
    for (const text of source.takeSecrets()) keep(text);
  } finally {
    clearInterval(tick);
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    writer.close(source.stats());
    progress.clear();
  }
  const { clockSteps, firstClockSteps } = writer.clock;
  new ClockStepTeller(source.originSec, 'hold').end(firstClockSteps, clockSteps);
  if (source.truncatedOctets > 0) say(`mytape: ${file} ends inside a packet: that one is left out`);
  const jumps = stepsAsJson(firstClockSteps, source.originSec);
  summarize(options, writer, ports, secrets, jumps, performance.now() - begun);
  if (writer.packets === 0 && !interrupted && !diskTrouble) {
    // Said why; a second try is to find no archive in its way.
    rmSync(options.output, { recursive: true });
    return EXIT.failed;
  }
  return diskTrouble ? EXIT.failed : interrupted ? EXIT.interrupted : EXIT.done;
}

function summarize(
  options: ImportOptions,
  writer: ArchiveWriter,
  ports: PortFilter,
  secrets: number,
  clockSteps: ClockStepJson[],
  ms: number,
): void {
  const { packets, droppedByDisk, octets, sessions, commands, uncounted, segments } = writer;
  const { leftOut } = ports;
  if (options.json) {
    const seconds = Number((ms / 1000).toFixed(3));
    const counts = {
      packets,
      leftOut,
      droppedByDisk,
      octets,
      sessions,
      commands,
      uncounted,
      segments,
      secrets,
      clockSteps,
    };
    printJson({ ...counts, seconds });
  } else {
    process.stdout.write(
      `${options.output}: ${describe(writer, ms)}, ${formatCount(commands)} commands` +
        (uncounted > 0 ? ` (not counted in ${formatCount(uncounted)} sessions)` : '') +
        (leftOut > 0 ? `, ${formatCount(leftOut)} packets left out` : '') +
        (secrets > 0 ? `, secrets of ${formatCount(secrets)} TLS sessions` : '') +
        '\n',
    );
  }
  if (packets > 0) return;
  const servers = ports.servers();
  const next =
    servers.length > 0 ? `servers in it listen on ${servers.join(', ')}; try: -p ${servers[0]}` : 'see -p';
  say(`mytape: no packet is of port ${[...ports.wanted].join(' or ')} (${next})`);
}

function describe(writer: ArchiveWriter, ms: number): string {
  const { packets, octets, sessions } = writer;
  return (
    `${formatCount(packets)} packets, ${formatOctets(octets)}, ${formatCount(sessions)} sessions, ` +
    formatDuration(ms)
  );
}

/** Keeps what a recording of these ports would have: TCP from and to them. */
class PortFilter {
  /** Packets that were not kept. */
  leftOut = 0;
  readonly wanted: ReadonlySet<number>;
  readonly #segment = new Segment();
  /** Ports that connections were taken at, with how many. */
  readonly #servers = new Map<number, number>();

  constructor(ports: readonly number[]) {
    this.wanted = new Set(ports);
  }

  /** Takes the packets of other ports out of the block's columns. */
  apply(block: PacketBlock): void {
    const { linkType, octets, view, offset, length, wireLength, at, count } = block;
    const segment = this.#segment;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      if (segment.parse(octets, view, offset[i], length[i], linkType) !== PARSE.ok) continue;
      const { srcPort, dstPort, flags } = segment;
      if (!this.wanted.has(srcPort) && !this.wanted.has(dstPort)) {
        const accepts = (flags & (CTL.syn | CTL.ack)) === (CTL.syn | CTL.ack);
        if (accepts) this.#servers.set(srcPort, (this.#servers.get(srcPort) ?? 0) + 1);
        continue;
      }
      offset[kept] = offset[i];
      length[kept] = length[i];
      wireLength[kept] = wireLength[i];
      at[kept] = at[i];
      kept++;
    }
    this.leftOut += count - kept;
    block.count = kept;
  }

  /** Those of the ports left out that servers listen on: the five with most connections. */
  servers(): number[] {
    const busiest = [...this.#servers].sort((a, b) => b[1] - a[1]).slice(0, 5);
    return busiest.map(([port]) => port);
  }
}
