/** An archive whose index has very many sessions, as a flood leaves them, is opened in bounded memory. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { packBlocks } from '../../src/archive/block-list.ts';
import { FORMAT_VERSION } from '../../src/archive/index/columns.ts';
import { INDEX_FILE } from '../../src/archive/index/index-file.ts';
import { RowTable } from '../../src/archive/index/row-table.ts';
import type { SessionBlocksRow, SessionRow } from '../../src/archive/index/rows.ts';
import { openArchive } from '../../src/archive/reader.ts';
import { CLI } from '../verbs/mytape.ts';
import { editIndex, interleave, recordArchive, sessionFrames, temporaryFolder } from './support.ts';

const SESSIONS = 100_000;

/** A million take 256 MiB at most. Here, all rows as objects would not fit beside the program. */
const HEAP_MIB = 40;

/** One session that can be replayed, and rows of half-open ones. */
function makeArchive(dir: string): void {
  recordArchive(dir, interleave([sessionFrames('10.0.0.1', 40_000, 5, 1000, { letsIn: true })]));
  const archive = openArchive(dir);
  const first = archive.session(0)!;
  archive.close();
  const rows = new RowTable<SessionRow>('sessions', FORMAT_VERSION);
  const lists = new RowTable<SessionBlocksRow>('session_blocks', FORMAT_VERSION);
  const row: SessionRow = {
    ...first,
    user: null,
    schema: null,
    commands: null,
    ended: 'half-open',
    packets: 1,
  };
  const db = new Database(join(dir, INDEX_FILE));
  db.transaction(() => {
    const insert = db.prepare(rows.insert);
    const insertList = db.prepare(lists.insert);
    for (let id = 1; id < SESSIONS; id++) {
      row.id = id;
      row.client = `10.${id >> 16}.${(id >> 8) & 255}.${id & 255}`;
      insert.run(rows.store(row));
      insertList.run(lists.store({ session: id, firstBlock: 0, blocks: packBlocks([0]) }));
    }
  })();
  db.close();
  editIndex(dir, 'archive', 'true', { sessions: SESSIONS, uncounted: SESSIONS - 1 });
}

test(`${SESSIONS} sessions: ls, show, export, routes and a dry run in ${HEAP_MIB} MiB`, async (t) => {
  const folder = temporaryFolder(t);
  const dir = join(folder, 'a');
  makeArchive(dir);
  const users = join(folder, 'users');
  writeFileSync(users, 'app:\n', { mode: 0o600 });
  const heap = `--max-old-space-size=${HEAP_MIB}`;
  const run = async (...args: string[]) => {
    const options = { maxBuffer: 1 << 30 };
    return (await promisify(execFile)(process.execPath, [heap, CLI, ...args], options)).stdout;
  };
  const to = ['-x', '3307-127.0.0.1:3307', '--transport', 'socket', '--users', users];
  const pcap = join(folder, 'one.pcap');
  const [ls, dry, routes, show] = await Promise.all([
    run('ls', dir, '--json'),
    run('replay', dir, '--dry-run', ...to),
    run('routes', dir, '--via', '10.0.0.77'),
    run('show', dir, '0'),
    run('export', dir, '-o', pcap, '--session', '0'),
  ]);
  assert.equal(ls.split('\n').length, SESSIONS + 1);
  assert.match(dry, /up to 1 at once/);
  assert.match(routes, /1 recorded client go to/);
  assert.match(show, /5 commands, 5 answers/);
  assert.ok(readFileSync(pcap).length > 1_000);
});
