/** An index that its recorder left in SQLite's WAL mode, because somebody read it then: it is read everywhere, and nothing is left beside it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { openArchive } from '../../src/archive/reader.ts';
import { noSmallDisk, onSmallDisk } from '../support/small-disk.ts';
import { blockOf, createWriter, interleave, sessionFrames, temporaryFolder } from './support.ts';

/** Records an archive in `dir` that is read at its end; returns what is in its folder while that reader is still there. */
function recordWhileRead(dir: string, during: () => void): void {
  const writer = createWriter(dir);
  const packets = interleave([sessionFrames('10.0.0.1', 40_001, 10), sessionFrames('10.0.0.2', 40_002, 10)]);
  writer.write(blockOf(packets));
  const reader = new Database(join(dir, 'index.db'), { readonly: true });
  const statement = reader.prepare('SELECT * FROM archive').iterate();
  statement.next();
  writer.close({ packets: packets.length, dropped: 0 });
  during();
  statement.return?.();
  reader.close();
}

/** Of the database's head: 2 in WAL mode. */
const modeOf = (dir: string) => readFileSync(join(dir, 'index.db'))[19];
const besides = (dir: string) => readdirSync(dir).filter((name) => name.startsWith('index.db-'));

function assertRead(dir: string): void {
  const archive = openArchive(dir);
  const clients = [...archive.sessions()].map(({ client }) => client);
  assert.deepEqual([archive.info.complete, clients], [true, ['10.0.0.1', '10.0.0.2']]);
  archive.close();
}

test('an archive of ours is put in order by the next who reads it', (t) => {
  const dir = join(temporaryFolder(t), 'a');
  recordWhileRead(dir, () => assert.equal(modeOf(dir), 2));
  assert.deepEqual([modeOf(dir), besides(dir).length > 0], [2, true]);
  assertRead(dir);
  assert.deepEqual([modeOf(dir), besides(dir)], [1, []]);
});

test('whoever reads an archive when its recorder ends puts it in order after', (t) => {
  const dir = join(temporaryFolder(t), 'a');
  const writer = createWriter(dir);
  writer.write(blockOf(interleave([sessionFrames('10.0.0.1', 40_001, 10)])));
  writer.tick();
  const reader = openArchive(dir);
  assert.equal(reader.info.live, true);
  const sessions = reader.sessions()[Symbol.iterator]();
  sessions.next();
  writer.close({ packets: 26, dropped: 0 });
  reader.close();
  assert.deepEqual([modeOf(dir), besides(dir)], [1, []]);
});

test('one that is not ours is read from a copy of its index, and stays as it is', (t) => {
  const folder = temporaryFolder(t);
  const dir = join(folder, 'a');
  recordWhileRead(join(folder, 'b'), () => cpSync(join(folder, 'b'), dir, { recursive: true }));
  execFileSync('rm', ['-f', join(dir, 'index.db-shm'), join(dir, 'recording.lock')]);
  chmodSync(dir, 0o777);
  const before = besides(dir);
  assertRead(dir);
  assert.deepEqual([modeOf(dir), besides(dir)], [2, before]);
});

test('an archive on a disk that can only be read is read, also what stands in the log of its index', {
  skip: noSmallDisk,
}, async (t) => {
  await onSmallDisk(temporaryFolder(t), '4m', (mount) => {
    const [written, dir] = [join(mount, 'b'), join(mount, 'a')];
    recordWhileRead(written, () => cpSync(written, dir, { recursive: true }));
    for (const files of [['index.db-shm'], ['index.db-wal']]) {
      execFileSync('rm', ['-f', ...files.map((name) => join(dir, name)), join(dir, 'recording.lock')]);
      execFileSync('mount', ['-o', 'remount,ro', mount]);
      try {
        if (files[0] === 'index.db-wal') assert.equal(openArchive(written).info.complete, true);
        else assertRead(dir);
      } finally {
        execFileSync('mount', ['-o', 'remount,rw', mount]);
      }
    }
  });
});
