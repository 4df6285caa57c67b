/** Indexes that somebody made to harm whoever opens them: sums are right, values are not. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { verifyArchive } from '../../src/archive/check/verify.ts';
import type { TableName } from '../../src/archive/index/columns.ts';
import { openArchive } from '../../src/archive/reader.ts';
import { MytapeError } from '../../src/errors.ts';
import { OLD_LIMITS } from '../../src/flow/flow-limits.ts';
import { mytape } from '../verbs/mytape.ts';
import { collect, editIndex, interleave, recordArchive, sessionFrames } from './support.ts';

type Edit = [table: TableName, where: string, changes: Record<string, unknown>, said: RegExp];

const HUGE = 2 ** 53;

const VALUES: readonly Edit[] = [
  [
    'blocks',
    'number = 0',
    { offset: HUGE },
    /table blocks, number 0: offset is 9007199254740992, and not from 0/,
  ],
  ['blocks', 'number = 0', { stored: HUGE }, /its blocks take 9007199254740992 octets/],
  ['blocks', 'number = 0', { stored: 0 }, /table blocks, number 0: stored is 0, and not from 9/],
  ['blocks', 'number = 0', { stored: -5 }, /stored is -5/],
  ['blocks', 'number = 0', { packets: -1 }, /packets in table blocks|packets is -1/],
  [
    'blocks',
    'number = 0',
    { segment: 77_777 },
    /077777\.pcap\.lz4, block 0 at offset 33: the file is missing/,
  ],
  ['blocks', 'number = 0', { offset: 2 ** 40 }, /block 0 at offset 1099511627776: the file ends before it/],
  ['blocks', 'number = 0', { first_at: 9e15 }, /first_at is after last_at/],
  ['segments', 'number = 0', { octets: 5 }, /its blocks take \d+ octets, and the segments have 5/],
  ['archive', 'true', { origin_sec: 2 ** 60 }, /table archive: origin_sec is 1152921504606847000/],
  ['archive', 'true', { server_ports: 'none' }, /server_ports is "none", and not JSON/],
  ['archive', 'true', { server_ports: '{"a":1}' }, /and not a list of ports/],
  ['archive', 'true', { server_ports: '[70000]' }, /and not a list of ports/],
  [
    'archive',
    'true',
    { server_ports: `[${'1,'.repeat(2 ** 20)}1]` },
    /server_ports has \d+ octets, more than/,
  ],
  ['archive', 'true', { codec: 'zip' }, /is packed with zip/],
  [
    'archive',
    'true',
    { blocks: 2 ** 50 },
    /rows in table blocks: \d+, where there should be 1125899906842624/,
  ],
  ['archive', 'true', { sessions: 2 ** 50 }, /rows in table sessions/],
  ['archive', 'true', { most_flows: -1 }, /most_flows is -1/],
  ['archive', 'true', { most_flows: 2 ** 40 }, /most_flows is 1099511627776, and not from 0 to 262144/],
  ['archive', 'true', { most_half_open: 200_000 }, /most_half_open is 200000, and not from 0 to 131072/],
  ['sessions', 'id = 1', { client: '10.0.0\0.1' }, /table sessions, id 1: client is .*, and no address/],
  ['sessions', 'id = 1', { client_port: 65_536 }, /client_port is 65536/],
  ['sessions', 'id = 1', { coverage: '__proto__' }, /coverage is "__proto__", and none of whole, /],
  ['sessions', 'id = 1', { user: 'x'.repeat(2 ** 20) }, /table sessions has a user of 1048576 octets/],
  ['sessions', 'id = 1', { blocks: 500 }, /session 1: 1 blocks are named of 500/],
  [
    'session_blocks',
    'session = 1',
    { blocks: Buffer.from([0, 0x90, 1]) },
    /it names block 144, and the archive has/,
  ],
  [
    'session_blocks',
    'session = 1',
    { blocks: Buffer.from([0, 0]) },
    /the list from block 0 on is not a list of blocks/,
  ],
  ['session_blocks', 'session = 1', { blocks: Buffer.alloc(40, 0xff) }, /is not a list of blocks/],
];

const SCHEMAS: readonly [sql: string, said: RegExp][] = [
  [
    'ALTER TABLE sessions RENAME TO s; CREATE VIEW sessions AS SELECT * FROM s',
    /it has the "table" "s"|the "view" "sessions"/,
  ],
  ['CREATE TRIGGER t AFTER UPDATE ON archive BEGIN DELETE FROM blocks; END', /it has the "trigger" "t"/],
  ['CREATE INDEX i ON blocks (segment)', /it has the "index" "i"/],
  ['CREATE TABLE more (x)', /it has the "table" "more"/],
  ['ALTER TABLE blocks ADD COLUMN more INTEGER', /table blocks has a column "more"/],
  ['ALTER TABLE blocks DROP COLUMN checksum', /table blocks has no column checksum/],
  ['ALTER TABLE blocks ADD COLUMN g INTEGER AS (packets * 2)', /table blocks has a column "g"/],
  ['DROP TABLE clock_steps', /it has no table clock_steps/],
  ['PRAGMA user_version = 2', /which format 2 does not have/],
  ['PRAGMA user_version = 99', /has format 99/],
  ['DELETE FROM archive', /table archive has no row/],
  ['INSERT INTO archive SELECT * FROM archive', /table archive has more than one row/],
  ['DELETE FROM sessions WHERE id = 1', /rows in table sessions: 3, where there should be 4/],
  ['DELETE FROM session_blocks WHERE session = 1', /session 1: 0 blocks are named of 1/],
  ['DELETE FROM blocks', /packets in table blocks: 0/],
];

/** Levels of pages, and how often each names the next: more rows than could ever be read. */
const LEVELS = 16;
const FAN_OUT = 400;

/**
 * Puts interior pages over a table's root (SQLite's file format, 1.6), each of which names the next as often as it can. SQLite looks at
 * the depth of a tree, and not at whether a page is in it twice.
 */
function endless(path: string, table: string): void {
  const db = new Database(path, { readonly: true });
  const root = db.prepare('SELECT rootpage FROM sqlite_master WHERE name = ?').pluck().get(table) as number;
  db.close();
  const octets = readFileSync(path);
  const size = octets.readUInt16BE(16);
  const pages = octets.length / size;
  const at = (page: number) => (page - 1) * size;
  const leaf = pages + LEVELS;
  const made = Buffer.concat([octets, Buffer.alloc(LEVELS * size)]);
  // The old root is the leaf at the end.
  octets.copy(made, at(leaf), at(root), at(root) + size);
  const isIndex = octets[at(root)] === INDEX_LEAF;
  const interior = (page: number, child: number) => {
    made.fill(0, at(page), at(page) + size);
    made[at(page)] = isIndex ? INDEX_INTERIOR : TABLE_INTERIOR;
    // A cell: the child, and a key, here the first of the leaf's.
    const key = isIndex ? firstCell(octets, at(root)) : Buffer.from([1]);
    const count = isIndex ? Math.floor((size - 12) / (6 + key.length)) : FAN_OUT;
    made.writeUInt16BE(count, at(page) + 3);
    made.writeUInt32BE(child, at(page) + 8);
    let end = size;
    for (let i = 0; i < count; i++) {
      end -= 4 + key.length;
      made.writeUInt32BE(child, at(page) + end);
      key.copy(made, at(page) + end + 4);
      made.writeUInt16BE(end, at(page) + 12 + 2 * i);
    }
    made.writeUInt16BE(end, at(page) + 5);
  };
  interior(root, pages + 1);
  for (let page = pages + 1; page < leaf; page++) interior(page, page + 1);
  // The number of pages, and that it is right.
  made.writeUInt32BE(leaf, 28);
  made.writeUInt32BE(made.readUInt32BE(24), 92);
  writeFileSync(path, made);
}

const TABLE_INTERIOR = 5;
const INDEX_INTERIOR = 2;
const INDEX_LEAF = 10;

/** The first cell of an index's leaf, which is short: its length in one octet. */
function firstCell(octets: Buffer, page: number): Buffer {
  const from = page + octets.readUInt16BE(page + 8);
  return octets.subarray(from, from + 1 + octets[from]);
}

describe('an index that somebody made to do harm', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
  const whole = join(folder, 'whole');
  before(() => {
    const lists = [1, 2, 3, 4].map((i) => sessionFrames(`10.0.0.${i}`, 40_000, 20));
    recordArchive(whole, interleave(lists));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  let copies = 0;
  function copy(): string {
    const dir = join(folder, `${copies++}`);
    cpSync(whole, dir, { recursive: true });
    return dir;
  }

  /** Reads all that there is; rejects as the first does that finds something. */
  async function readAll(dir: string): Promise<void> {
    const archive = openArchive(dir);
    try {
      Array.from(archive.sessions());
      archive.linkTypes([1]);
      await collect(archive.packets({ sessions: [0, 1] }));
      await collect(archive.packets());
    } finally {
      archive.close();
    }
  }

  async function refused(dir: string, said: RegExp): Promise<void> {
    await assert.rejects(readAll(dir), (error) => {
      assert.ok(error instanceof MytapeError, (error as Error).stack);
      assert.match(error.message, said);
      return true;
    });
  }

  for (const [table, where, changes, said] of VALUES) {
    const [column, value] = Object.entries(changes)[0];
    test(`${table}.${column} is ${String(value).slice(0, 20)}`, async () => {
      const dir = copy();
      editIndex(dir, table, where, changes);
      await refused(dir, said);
    });
  }

  test('limits that it does not name are bounds, too', () => {
    const dir = copy();
    editIndex(dir, 'archive', 'true', {
      idle_ns: null,
      half_open_ns: null,
      most_half_open: null,
      most_flows: null,
    });
    const archive = openArchive(dir);
    assert.deepEqual(archive.info.limits, OLD_LIMITS);
    archive.close();
  });

  for (const [sql, said] of SCHEMAS) {
    test(sql, async () => {
      const dir = copy();
      const db = new Database(join(dir, 'index.db'));
      db.exec(sql);
      db.close();
      await refused(dir, said);
    });
  }

  test('text where there should be a number', async () => {
    const dir = copy();
    const path = join(dir, 'index.db');
    let db = new Database(path).unsafeMode();
    db.pragma('writable_schema = ON');
    db.exec("UPDATE sqlite_master SET sql = replace(sql, 'STRICT', '')");
    db.close();
    db = new Database(path);
    db.exec("UPDATE blocks SET offset = 'x'");
    db.close();
    await refused(dir, /table blocks, number 0: offset is "x", and no whole number/);
  });

  for (const table of ['blocks', 'sessions', 'session_blocks', 'segments', 'clock_steps', 'gaps'])
    test(`a tree of pages that names the rows of ${table} without end: it is no endless work`, async () => {
      const dir = copy();
      endless(join(dir, 'index.db'), table);
      // A session's lists are looked up by their keys, which are right.
      if (table === 'session_blocks') await readAll(dir);
      else await refused(dir, /the index of .* is damaged/);
      assert.ok(verifyArchive(dir, { onFinding: () => {}, onProgress: () => {} }).findings > 0);
    });

  test('every verb that reads it ends with 1, in words, and says what to do', () => {
    const dir = copy();
    editIndex(dir, 'blocks', 'number = 0', { stored: 0 });
    const to = ['-x', '3307-10.9.9.9:3306', '--transport', 'socket'];
    const runs = [
      ['export', dir, '-o', '-'],
      ['show', dir, '1'],
      ['replay', dir, '--dry-run', ...to],
      ['verify', dir],
    ];
    for (const args of runs) {
      const { status, stdout, stderr } = mytape(...args);
      assert.equal(status, 1, args.join(' '));
      assert.match(stderr + stdout, /table blocks, number 0: stored is 0.*mytape verify/s, args.join(' '));
      assert.doesNotMatch(stderr, / {4}at /);
    }
  });
});
