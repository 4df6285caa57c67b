/** Archives with one bit flipped: whoever reads them must get what was recorded, or an error that says what is damaged. */
import { createHash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyArchive } from '../../src/archive/check/verify.ts';
import { type Archive, openArchive, rebuildIndex } from '../../src/archive/reader.ts';
import { MytapeError } from '../../src/errors.ts';
import { randomFrom } from '../support/random.ts';
import { blockOf, createWriter, interleave, sessionFrames } from './support.ts';

/** Every which trial makes the index anew, which costs more than all the rest. */
const REBUILD_EVERY = 4;

const READERS: Readonly<Record<string, (archive: Archive) => Promise<unknown>>> = {
  info: async ({ info: { dir: _, ...rest } }) => rest,
  sessions: async (archive) => [...archive.sessions()],
  steps: async (archive) => [archive.clockSteps(), archive.gaps(), archive.linkTypes()],
  packets: (archive) => digest(archive, {}),
  'packets as captured': (archive) => digest(archive, { asCaptured: true }),
  'packets of a session': (archive) => digest(archive, { sessions: [5] }),
  'packets of some time': (archive) => digest(archive, { from: 100_000_000, to: 400_000_000 }),
};

/** Records the archive that is damaged: several segments and blocks, a step of the clock, a gap. Gives what its readers get. */
export async function recordReference(dir: string): Promise<Map<string, string>> {
  const lists = Array.from({ length: 12 }, (_, i) =>
    sessionFrames(`10.0.0.${i + 1}`, 40_000 + i, 20, 1000 * i),
  );
  const packets = interleave(lists).map(({ octets, at }, i) => ({ octets, at: i < 300 ? at : at - 7200e9 }));
  const writer = createWriter(dir, { rotateOctets: 4000 });
  for (let i = 0; i < packets.length; i += 25) {
    writer.write(blockOf(packets.slice(i, i + 25)));
    writer.tick();
  }
  writer.gap({ fromAt: 5e9, toAt: 6e9 });
  writer.close({ packets: packets.length, dropped: 0 });
  const archive = openArchive(dir);
  const right = new Map<string, string>();
  for (const [name, read] of Object.entries(READERS)) right.set(name, JSON.stringify(await read(archive)));
  archive.close();
  return right;
}

export interface Trial {
  /** Of the archive. */
  file: string;
  offset: number;
  bit: number;
}

/** The trial of a number: half of them in the index. */
export function trialOf(reference: string, seed: number): Trial {
  const random = randomFrom(seed);
  const files = readdirSync(reference).sort();
  const segments = files.filter((file) => file !== 'index.db');
  const file = random() < 0.5 ? 'index.db' : segments[Math.floor(random() * segments.length)];
  return {
    file,
    offset: Math.floor(random() * statSync(join(reference, file)).size),
    bit: Math.floor(random() * 8),
  };
}

/** Runs a trial in `dir`, which is made anew. Gives what went wrong: nothing should. */
export async function runTrial(
  reference: string,
  right: ReadonlyMap<string, string>,
  dir: string,
  { file, offset, bit }: Trial,
  seed: number,
): Promise<string[]> {
  rmSync(dir, { recursive: true, force: true });
  cpSync(reference, dir, { recursive: true });
  const octets = readFileSync(join(dir, file));
  octets[offset] ^= 1 << bit;
  writeFileSync(join(dir, file), octets);
  const failures: string[] = [];
  const told = await readAll(dir, right, failures);
  const found = verified(dir, failures);
  if (told.length > 0 && found === 0) failures.push(`verify finds nothing, where readers said: ${told[0]}`);
  if (seed % REBUILD_EVERY === 0 && found > 0) await rebuild(dir, right, failures);
  return failures;
}

/** What readers said was damaged. */
async function readAll(
  dir: string,
  right: ReadonlyMap<string, string>,
  failures: string[],
): Promise<string[]> {
  const told: string[] = [];
  const attempt = async (name: string, work: () => unknown) => {
    try {
      await work();
    } catch (error) {
      if (error instanceof MytapeError && error.code === 'bad-archive') told.push(error.message);
      else failures.push(`${name}: ${(error as Error).stack}`);
    }
  };
  let archive: Archive | undefined;
  await attempt('opening', () => {
    archive = openArchive(dir);
  });
  if (archive === undefined) return told;
  for (const [name, read] of Object.entries(READERS)) {
    await attempt(name, async () => {
      const got = JSON.stringify(await read(archive as Archive));
      if (got !== right.get(name)) failures.push(`${name}: wrong, and nobody said so`);
    });
  }
  archive.close();
  return told;
}

/** How many things verify finds. */
function verified(dir: string, failures: string[]): number {
  try {
    return verifyArchive(dir, { onFinding: () => {}, onProgress: () => {} }).findings;
  } catch (error) {
    if (error instanceof MytapeError && error.code === 'bad-archive') return 1;
    failures.push(`verify: ${(error as Error).stack}`);
    return 0;
  }
}

/** What is made anew is whole, or says what it lost. */
async function rebuild(dir: string, right: ReadonlyMap<string, string>, failures: string[]): Promise<void> {
  try {
    rebuildIndex(dir, () => {});
  } catch (error) {
    if (!(error instanceof MytapeError)) failures.push(`rebuild: ${(error as Error).stack}`);
    return;
  }
  const found = verified(dir, failures);
  if (found > 0) failures.push('verify still finds something in an index that was made anew');
  const archive = openArchive(dir);
  const { lostByDamage, repaired } = archive.info;
  const packets = JSON.stringify(await digest(archive, { asCaptured: true }));
  archive.close();
  // Where the archive's own row was damaged, nobody knows what it said.
  const isKnown = repaired?.includes('table archive') !== true;
  if (isKnown && lostByDamage === 0 && packets !== right.get('packets as captured'))
    failures.push('made anew, it lost packets and does not say so');
}

async function digest(archive: Archive, selection: Parameters<Archive['packets']>[0]): Promise<unknown> {
  const hash = createHash('sha256');
  let packets = 0;
  for await (const { octets, count, offset, length, wireLength, at } of archive.packets(selection)) {
    for (let i = 0; i < count; i++) {
      packets++;
      hash.update(`${at[i]} ${wireLength[i]} `);
      hash.update(octets.subarray(offset[i], offset[i] + length[i]));
    }
  }
  return { packets, hash: hash.digest('hex') };
}
