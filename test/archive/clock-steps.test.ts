import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { CaptureFile } from '../../src/archive/capture-file.ts';
import { openArchive } from '../../src/archive/reader.ts';
import { ROOT } from '../support/root.ts';
import {
  blockOf,
  collect,
  createWriter,
  editIndex,
  interleave,
  makeOld,
  type Packet,
  recordArchive,
  sessionFrames,
  temporaryFolder,
} from './support.ts';

const HOUR = 3600e9;
const YEARS = 46 * 365 * 24 * HOUR;

/** Sessions of which those from packet `from` to `to` are stamped wrongly. */
function traffic(from: number, to: number, by: number): Packet[] {
  const right = interleave([1, 2, 3, 4].map((i) => sessionFrames(`10.0.0.${i}`, 40_000 + i, 200, 1000 * i)));
  return right.map(({ octets, at }, i) => ({ octets, at: i >= from && i < to ? at + by : at }));
}

async function times(dir: string, selection = {}): Promise<number[]> {
  const archive = openArchive(dir);
  try {
    return (await collect(archive.packets(selection))).map(({ at }) => at);
  } finally {
    archive.close();
  }
}

function rows(dir: string) {
  const archive = openArchive(dir);
  try {
    return { sessions: [...archive.sessions()], steps: archive.clockSteps() };
  } finally {
    archive.close();
  }
}

describe('an archive whose clock was set', () => {
  const right = traffic(0, 0, 0);
  for (const [what, from, to, by] of [
    ['set back an hour', 900, right.length, -HOUR],
    ['days ahead, for some packets of several blocks', 300, 1500, 3 * 24 * HOUR],
    ['years back at first', 0, 1, -YEARS],
    ['an hour ahead for a packet', 7, 8, HOUR],
  ] as const) {
    test(`${what}: times are as if it had not been, stamps are kept`, async (t) => {
      const folder = temporaryFolder(t);
      recordArchive(join(folder, 'right'), right);
      const dir = join(folder, 'wrong');
      const wrong = traffic(from, to, by);
      recordArchive(dir, wrong);
      const expected = right.map(({ at }) => at);
      assert.deepEqual(await times(dir), expected);
      assert.deepEqual(
        await times(dir, { asCaptured: true }),
        wrong.map(({ at }) => at),
      );
      const { sessions, steps } = rows(dir);
      assert.deepEqual(sessions, rows(join(folder, 'right')).sessions);
      assert.deepEqual(
        steps.map(({ packet, jumpNs }) => [packet, jumpNs]),
        [
          [from, by],
          [to, -by],
        ].slice(0, to === right.length ? 1 : 2),
      );
    });
  }

  test('years ahead: times of those packets are exact to a quarter of a microsecond', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    recordArchive(dir, traffic(300, 600, YEARS));
    for (const [i, at] of (await times(dir)).entries())
      assert.ok(Math.abs(at - right[i].at) <= (i >= 300 && i < 600 ? 256 : 0), `${i}`);
  });

  test('any part of it has the times that the whole has', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    recordArchive(dir, traffic(900, right.length, -HOUR));
    const whole = await times(dir);
    const from = whole[850];
    const to = whole[1100];
    assert.deepEqual(await times(dir, { from, to }), whole.slice(850, 1101));
    const ofSession = await times(dir, { sessions: [2] });
    assert.deepEqual(
      ofSession,
      whole.filter((_, i) => i % 4 === 2),
    );
    assert.deepEqual(await times(dir, { asCaptured: true, from: from - HOUR, to: from - HOUR }), []);
    assert.equal((await times(dir, { asCaptured: true, from: to - HOUR, to: to - HOUR })).length, 1);
  });

  test('a repair finds the same steps', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    recordArchive(dir, traffic(900, 1200, -HOUR));
    const [before, known] = [await times(dir), rows(dir)];
    const torn = `${dir}-torn`;
    cpSync(dir, torn, { recursive: true });
    const index = new Database(join(torn, 'index.db'));
    index.exec('DELETE FROM clock_steps; UPDATE sessions SET last_at = 7');
    index.close();
    editIndex(torn, 'archive', 'true', { complete: 0 });
    assert.deepEqual(await times(torn), before);
    assert.deepEqual(rows(torn), known);
  });

  test('one from before clocks were looked at opens, is repaired, and has the times that it had', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    recordArchive(dir, traffic(900, 1200, -HOUR));
    makeOld(dir, 2);
    const old = new Database(join(dir, 'index.db'));
    old.exec('DROP TABLE clock_steps');
    assert.deepEqual(rows(dir).steps, []);
    assert.deepEqual(
      await times(dir),
      traffic(900, 1200, -HOUR).map(({ at }) => at),
    );
    old.exec('UPDATE archive SET complete = 0');
    old.close();
    assert.equal(rows(dir).steps.length, 2);
    assert.deepEqual(
      await times(dir),
      right.map(({ at }) => at),
    );
  });

  test('that is being recorded: a reader has the steps of all that it reads', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const wrong = traffic(900, right.length, -HOUR);
    const writer = createWriter(dir);
    t.after(() => writer.close({ packets: wrong.length, dropped: 0 }));
    writer.write(blockOf(wrong.slice(0, 800)));
    writer.tick();
    let archive = openArchive(dir);
    while (archive.info.packets < 800) {
      archive.close();
      await new Promise((resolve) => setTimeout(resolve, 10));
      archive = openArchive(dir);
    }
    const reading = archive.packets()[Symbol.asyncIterator]();
    const first = (await reading.next()).value;
    let seen = first.count;
    writer.write(blockOf(wrong.slice(800)));
    writer.tick();
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (let step = await reading.next(); !step.done; step = await reading.next()) {
      for (let i = 0; i < step.value.count; i++) assert.equal(step.value.at[i], right[seen++].at);
    }
    archive.close();
  });

  test('many steps are all in the index, and the first are named', (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const [packet] = right;
    const wild = Array.from({ length: 300 }, (_, i) => ({ ...packet, at: (i % 2) * YEARS + i * 1e6 }));
    const writer = recordArchive(dir, wild);
    assert.equal(writer.clock.clockSteps, 299);
    assert.equal(writer.clock.firstClockSteps.length, 5);
    assert.equal(rows(dir).steps.length, 299);
  });
});

describe('the second that a capture file counts from', () => {
  const path = (name: string) => join(ROOT, 'fixtures/cases', `${name}.pcap`);

  test('is near to most of its packets, so that their times are exact', async () => {
    for (const name of ['18-one-command-in-2069', '19-first-packet-in-1977', '20-clock-set-back-1h']) {
      const file = await CaptureFile.open(path(name));
      assert.equal(file.originSec, 1_700_000_000, name);
      file.close();
    }
  });

  test('is of the first packet where octets come one by one', async (t) => {
    const cut = join(temporaryFolder(t), 'cut.pcap');
    writeFileSync(cut, readFileSync(path('18-one-command-in-2069')).subarray(0, 60));
    const file = await CaptureFile.open(cut);
    assert.equal(file.originSec, 1_700_000_000);
    file.close();
  });
});
