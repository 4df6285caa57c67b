/**
 * `decode-passes TAPE PASSES`: reads the recording's packets, and reads and decodes them, by turns, and prints for each what CPU
 * its best pass took: JSON. A process of its own, because code that has seen other traffic is compiled otherwise.
 */
import { openArchive } from '../../src/archive/reader.ts';
import { decodeSessions } from '../../src/flow/decode.ts';

/** What the passes over one recording found. */
export interface PassFigures {
  packets: number;
  /** Commands whose answers were read. */
  commands: number;
  /** Octets of those answers. */
  octets: number;
  /** CPU of the whole process, all its threads, ms. */
  readMs: number;
  decodeMs: number;
}

async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

async function passes(tape: string, count: number): Promise<PassFigures> {
  const figures = { packets: 0, commands: 0, octets: 0, readMs: Infinity, decodeMs: Infinity };
  const archive = openArchive(tape);
  const serverPorts = new Set(archive.info.serverPorts);
  const read = async () => {
    figures.packets = 0;
    for await (const block of archive.packets()) figures.packets += block.count;
  };
  const decode = async () => {
    figures.octets = 0;
    const sessions = decodeSessions(archive.packets(), { serverPorts });
    for await (const events of sessions) {
      for (const event of events) if (event.type === 'reply') figures.octets += event.command.reply!.octets;
    }
    figures.commands = sessions.counters.answered;
    if (sessions.counters.lost > 0) throw new Error(`${sessions.counters.lost} commands were lost`);
  };
  // The first of each compiles.
  await read();
  await decode();
  for (let i = 0; i < count; i++) {
    figures.readMs = Math.min(figures.readMs, await cpuOf(read));
    figures.decodeMs = Math.min(figures.decodeMs, await cpuOf(decode));
  }
  archive.close();
  return figures;
}

const [tape, count] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(await passes(tape, Number(count)))}\n`);
