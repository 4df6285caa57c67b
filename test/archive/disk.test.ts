import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openArchive } from '../../src/archive/reader.ts';
import { RESERVE_FILE } from '../../src/archive/reserve.ts';
import { noSmallDisk, onSmallDisk } from '../support/small-disk.ts';
import { blockOf, collect, createWriter, fillUp, noise, temporaryFolder } from './support.ts';

const skip = noSmallDisk;

test('a full disk costs the packets it has no room for, and nothing else', { skip }, async (t) => {
  await onSmallDisk(temporaryFolder(t), '4m', fillAndGoOn);
});

test('an archive is ended whole though its reserve cannot be given back', (t) => {
  const dir = join(temporaryFolder(t), 'a');
  const writer = createWriter(dir);
  writer.write(blockOf([{ octets: noise(100, 1), at: 0 }]));
  // A folder in its place can't be removed, as no file can where the disk became read-only.
  rmSync(join(dir, RESERVE_FILE));
  mkdirSync(join(dir, RESERVE_FILE));
  writer.close({ packets: 1, dropped: 0 });
  rmdirSync(join(dir, RESERVE_FILE));
  const archive = openArchive(dir);
  t.after(() => archive.close());
  assert.deepEqual([archive.info.complete, archive.info.packets], [true, 1]);
});

test('a disk that is still full at the end: the archive is whole, and says how many packets were dropped', {
  skip,
}, async (t) => {
  await onSmallDisk(temporaryFolder(t), '2m', (mount) => {
    const dir = join(mount, 'a');
    const problems: string[] = [];
    const writer = createWriter(dir, { onProblem: (message) => problems.push(message) });
    for (let i = 0; i < 400; i++) {
      writer.write(blockOf([{ octets: noise(10_000, i + 1), at: i }]));
      // Not an octet is left, whatever is given back.
      if (i % 100 === 99) fillUp(join(mount, 'ballast'));
    }
    assert.ok(writer.droppedByDisk > 0);
    writer.close({ packets: 400, dropped: 3 });
    assert.deepEqual(
      problems.map((problem) => problem.split('; ')[1]),
      ['packets are dropped, and counted, until it can be written to again'],
    );
    const archive = openArchive(dir);
    const { complete, packets, dropped, droppedByDisk } = archive.info;
    assert.deepEqual({ complete, packets, dropped }, { complete: true, packets: writer.packets, dropped: 3 });
    assert.equal(droppedByDisk, 400 - packets);
    archive.close();
  });
});

async function fillAndGoOn(mount: string): Promise<void> {
  const ballast = join(mount, 'ballast');
  writeFileSync(ballast, noise(1 << 20));
  const problems: string[] = [];
  const writer = createWriter(join(mount, 'a'), { onProblem: (message) => problems.push(message) });
  const packet = (i: number) => ({ octets: noise(10_000, i + 1), at: i });

  let sent = 0;
  const send = (count: number) => {
    for (let i = 0; i < count; i++) writer.write(blockOf([packet(sent++)]));
    writer.tick();
  };
  send(600);
  assert.ok(writer.droppedByDisk > 0);
  assert.equal(problems.length, 1);
  assert.match(problems[0], /ENOSPC|no space/i);
  assert.equal(writer.packets + writer.droppedByDisk, sent);

  const droppedInFull = writer.droppedByDisk;
  rmSync(ballast);
  send(60);
  assert.equal(writer.droppedByDisk, droppedInFull, 'writes again once there is room');
  assert.equal(problems.length, 1);
  writer.close({ packets: sent, dropped: 0 });

  const archive = openArchive(join(mount, 'a'));
  assert.equal(archive.info.complete, true);
  assert.equal(archive.info.droppedByDisk, writer.droppedByDisk);
  const found = await collect(archive.packets());
  assert.equal(found.length, sent - writer.droppedByDisk);
  for (const { octets, at } of found) assert.deepEqual(octets, packet(at).octets);
  assert.equal(found.at(-1)!.at, sent - 1);
  archive.close();
}
