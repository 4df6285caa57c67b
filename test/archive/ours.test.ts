/** Opening an archive in a folder that somebody else prepared. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openArchive, rebuildIndex } from '../../src/archive/reader.ts';
import { blockOf, collect, createWriter, interleave, sessionFrames } from './support.ts';

const SEGMENT = '000000.pcap.lz4';
const ANOTHER = 54_321;
const skip = process.geteuid?.() === 0 ? false : 'needs root, to give files to somebody else';

describe("an archive in somebody's folder", () => {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
  const dead = join(folder, 'dead');
  before(() => {
    const writer = createWriter(join(folder, 'alive'));
    writer.write(blockOf(interleave([sessionFrames('10.0.0.1', 40_000, 20)])));
    writer.tick();
    cpSync(join(folder, 'alive'), dead, { recursive: true });
    writer.close({ packets: 0, dropped: 0 });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  let copies = 0;
  function copy(): string {
    const dir = join(folder, `${copies++}`);
    cpSync(dead, dir, { recursive: true });
    return dir;
  }

  /** Names and octets of what is there, but for what SQLite keeps beside the index for its readers. */
  function contents(dir: string): Map<string, string> {
    const names = readdirSync(dir).filter((name) => !name.endsWith('-shm'));
    return new Map(names.map((name) => [name, readFileSync(join(dir, name), 'hex')]));
  }

  /** As whoever reads an archive that is not repaired. */
  function readUnrepaired(dir: string, why: RegExp): void {
    const before = contents(dir);
    const archive = openArchive(dir);
    assert.equal(archive.info.repairedNow, false);
    assert.match(archive.info.notRepaired ?? '', why);
    archive.close();
    assert.deepEqual(contents(dir), before);
    assert.throws(() => rebuildIndex(dir, () => {}), { code: 'bad-archive', message: why });
    assert.deepEqual(contents(dir), before);
  }

  const names = [
    SEGMENT,
    'index.db',
    'index.db-wal',
    'index.db-shm',
    'index.db-journal',
    'index.db.new',
    'recording.lock',
  ];
  for (const name of [...names, 'recording.reserve', 'snapshots.jsonl', 'servers.json', 'keys.log']) {
    test(`${name} is a link: nothing is opened, and what it names stays as it is`, () => {
      const dir = copy();
      const precious = join(folder, `precious-${copies}`);
      writeFileSync(precious, 'precious');
      rmSync(join(dir, name), { force: true });
      symlinkSync(precious, join(dir, name));
      assert.throws(() => openArchive(dir), { code: 'bad-archive', message: /is a symbolic link/ });
      assert.equal(readFileSync(precious, 'utf8'), 'precious');
      const made = join(folder, `made-${copies}`);
      rmSync(join(dir, name));
      symlinkSync(made, join(dir, name));
      assert.throws(() => openArchive(dir), {
        code: 'bad-archive',
        message: /is a symbolic link|has no index\.db/,
      });
      assert.equal(existsSync(made), false);
    });

    test(`${name} is a FIFO: it is refused at once`, () => {
      const dir = copy();
      rmSync(join(dir, name), { force: true });
      execFileSync('mkfifo', [join(dir, name)]);
      assert.throws(() => openArchive(dir), { code: 'bad-archive', message: /is a FIFO/ });
    });
  }

  test('a link to the folder of an archive is followed: its path is the caller’s', async () => {
    const dir = copy();
    const link = join(folder, 'link');
    symlinkSync(dir, link);
    const archive = openArchive(link);
    assert.equal(archive.info.notRepaired, undefined);
    assert.equal(archive.info.repairedNow, true);
    assert.ok((await collect(archive.packets())).length > 0);
    archive.close();
  });

  test("another user's folder is read, and not repaired", { skip }, () => {
    const dir = copy();
    chownSync(dir, ANOTHER, ANOTHER);
    for (const name of readdirSync(dir)) chownSync(join(dir, name), ANOTHER, ANOTHER);
    readUnrepaired(dir, new RegExp(`belongs to user ${ANOTHER}: only that user may repair it`));
  });

  test("another user's file in our folder keeps it from being repaired", { skip }, () => {
    const dir = copy();
    chownSync(join(dir, SEGMENT), ANOTHER, ANOTHER);
    readUnrepaired(dir, new RegExp(`${SEGMENT}: it belongs to user ${ANOTHER}`));
  });

  test('a folder that others may write to is not repaired', () => {
    const dir = copy();
    chmodSync(dir, 0o777);
    readUnrepaired(dir, /others may write to the folder \(try: chmod go-w/);
  });

  for (const name of [SEGMENT, 'index.db']) {
    test(`with ${name} that others may write to it is not repaired`, () => {
      for (const mode of [0o620, 0o602]) {
        const dir = copy();
        chmodSync(join(dir, name), mode);
        readUnrepaired(
          dir,
          new RegExp(`${name}: others may write to it \\(try: chmod go-w ${dir}/${name}\\)`),
        );
      }
    });
  }

  test('a segment that has another name, too, is not repaired', () => {
    const dir = copy();
    linkSync(join(dir, SEGMENT), join(folder, `second-${copies}`));
    readUnrepaired(dir, new RegExp(`${SEGMENT}: it has 2 hard links`));
  });

  test('what is no folder, or has no index, is said', () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    assert.throws(() => openArchive(file), { code: 'bad-archive', message: /it is not a folder/ });
    const dir = copy();
    renameSync(join(dir, 'index.db'), join(dir, 'other'));
    assert.throws(() => openArchive(dir), { code: 'bad-archive', message: /it has no index\.db/ });
  });
});
