import { closeSync, writeSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { type Archive, openArchive } from '../archive/reader.ts';
import { DamagedBlocks } from '../capture/damaged-blocks.ts';
import { counted } from '../counted.ts';
import { EXIT, MytapeError, withRemedy } from '../errors.ts';
import { OPEN, openRegular, ourUsers } from '../files.ts';
import { sayState } from '../report/archive-state.ts';
import { say, sayLine } from '../report/output.ts';
import { nameOfLinkType } from '../wire/link-types.ts';
import type { PacketBlock } from '../wire/packets.ts';
import {
  PCAP_HEADER_OCTETS,
  PCAP_RECORD_OCTETS,
  type PcapPrecision,
  wholeSecond,
  writePcapHeader,
  writePcapRecord,
} from '../wire/pcap.ts';
import { collectSession } from './options.ts';

const EXAMPLES = `
Examples:
  mytape export peak.tape -o peak.pcap
  mytape export peak.tape -o - --session 17 | tcpdump -nr -
  mytape export peak.tape -o some.pcap --session 17 --session 18
  mytape export peak.tape -o old.pcap --precision us      for readers that know no nanoseconds`;

const STDOUT = 1;

interface ExportOptions {
  output: string;
  session?: number[] | undefined;
  linkType?: number | undefined;
  precision: PcapPrecision;
}

export function exportCommand() {
  return new Command('export')
    .argument('<dir>', 'the archive')
    .requiredOption('-o, --output <file>', 'the pcap file, or - for stdout')
    .option(
      '--session <id>',
      'only this session (its number in `mytape ls`); may be given again',
      collectSession,
    )
    .option('--link-type <number>', 'only packets of this link type, e.g. 1 (default: all)', parseLinkType)
    .addOption(
      new Option('--precision <unit>', 'of the times').choices(['ns', 'us'] as const).default('ns' as const),
    )
    .addHelpText('after', EXAMPLES)
    .action(async (dir, options) => {
      const archive = openArchive(dir);
      try {
        sayState(archive);
        await exportPackets(archive, options);
      } finally {
        archive.close();
      }
    });
}

async function exportPackets(archive: Archive, options: ExportOptions): Promise<void> {
  const { dir } = archive.info;
  for (const id of options.session ?? []) {
    if (archive.session(id) !== undefined) continue;
    throw new MytapeError('usage', `${dir} has no session ${id} (see: mytape ls ${dir})`);
  }
  const linkType = chooseLinkType(archive, options);
  const sessions = options.session === undefined ? {} : { sessions: options.session };
  const damaged = new DamagedBlocks(archive, sayLine);
  const source = archive.packets({
    ...sessions,
    asCaptured: true,
    onDamage: (damage) => damaged.add(damage),
  });
  const toStdout = options.output === '-';
  let packets = 0;
  // People's data: readable by whoever exports it, and nobody else.
  const fd = toStdout ? STDOUT : openOutput(options.output);
  try {
    const header = new Uint8Array(PCAP_HEADER_OCTETS);
    writePcapHeader(new DataView(header.buffer), 0, linkType, options.precision);
    writeAll(fd, header);
    const writer = new RecordWriter(archive.info.originSec, options.precision);
    for await (const block of source) {
      if (block.linkType !== linkType) continue;
      writeAll(fd, writer.records(block));
      packets += block.count;
    }
  } catch (error) {
    // Whoever read our stdout has seen enough.
    if (toStdout && (error as NodeJS.ErrnoException).code === 'EPIPE') return;
    if (error instanceof MytapeError) throw error;
    const what = toStdout ? 'to stdout' : options.output;
    throw new MytapeError('disk', `cannot write ${what}: ${withRemedy(error)}`, { cause: error });
  } finally {
    if (!toStdout) closeSync(fd);
  }
  say(`${counted(packets, 'packet')} written to ${toStdout ? 'stdout' : options.output}`);
  damaged.end();
  if (damaged.packets > 0) process.exitCode = EXIT.failed;
}

/** A pcap file has packets of one link type. */
function chooseLinkType(archive: Archive, { session, linkType: wanted }: ExportOptions): number {
  const found = archive.linkTypes(session);
  if (wanted === undefined && found.length === 1) return found[0];
  const names = found.map(nameOfLinkType).join(', ');
  if (wanted === undefined) {
    throw new MytapeError(
      'usage',
      `these packets have several link types, and a pcap file has one: ${names} ` +
        `(try: --link-type ${found[0]} for one file, --link-type ${found[1]} for another)`,
    );
  }
  if (found.includes(wanted)) return wanted;
  throw new MytapeError('usage', `no packet here has ${nameOfLinkType(wanted)}: they have ${names}`);
}

function parseLinkType(text: string): number {
  if (/^\d{1,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a number as pcap has it, e.g. 1 for Ethernet.');
}

function openOutput(path: string): number {
  try {
    return openRegular(path, OPEN.create, 0o600, { owner: ourUsers() });
  } catch (cause) {
    const what = `cannot write ${path}: ${(cause as Error).message} (name a new file; or write to stdout, and let the shell open it: -o - > ${path})`;
    throw new MytapeError('disk', what, { cause });
  }
}

/** Turns blocks into pcap records, in memory that it uses again. */
class RecordWriter {
  readonly #originSec: number;
  readonly #unitNs: number;
  #octets = new Uint8Array(128 * 1024);
  #view = new DataView(this.#octets.buffer);

  constructor(originSec: number, precision: PcapPrecision) {
    this.#originSec = originSec;
    this.#unitNs = precision === 'ns' ? 1 : 1000;
  }

  /** The packets of `block` as records; valid until the next call. */
  records(block: PacketBlock): Uint8Array {
    let needed = block.count * PCAP_RECORD_OCTETS;
    for (let i = 0; i < block.count; i++) needed += block.length[i];
    if (needed > this.#octets.length) {
      this.#octets = new Uint8Array(needed);
      this.#view = new DataView(this.#octets.buffer);
    }
    let end = 0;
    for (let i = 0; i < block.count; i++) {
      const captured = block.length[i];
      const sec = wholeSecond(block.at[i]);
      const fraction = Math.floor((block.at[i] - sec * 1e9) / this.#unitNs);
      writePcapRecord(this.#view, end, this.#originSec + sec, fraction, captured, block.wireLength[i]);
      end += PCAP_RECORD_OCTETS;
      this.#octets.set(block.octets.subarray(block.offset[i], block.offset[i] + captured), end);
      end += captured;
    }
    return this.#octets.subarray(0, end);
  }
}

/** Writes all of it; waits where stdout is a pipe that is full. */
function writeAll(fd: number, octets: Uint8Array): void {
  for (let done = 0; done < octets.length; ) {
    try {
      done += writeSync(fd, octets, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
