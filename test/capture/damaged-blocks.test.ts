/** An archive of which one block can't be read: what is left out is named, and all else goes on. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { BlockRow } from '../../src/archive/index/rows.ts';
import { SessionIds } from '../../src/archive/index/session-ids.ts';
import { type Archive, openArchive } from '../../src/archive/reader.ts';
import type { Summary } from '../../src/report/summary.ts';
import type { DryReport } from '../../src/run/dry/report.ts';
import { parseAddress } from '../../src/wire/address.ts';
import {
  GREETING,
  interleave,
  mysqlPacket,
  type Packet,
  recordArchive,
  sessionFrames,
} from '../archive/support.ts';
import { CLI, mytape } from '../verbs/mytape.ts';

const SESSIONS = 60;
const EXCHANGES = 40;

/** Sessions that begin one after another, two at a time. */
function overlapping(): Packet[] {
  const lists = Array.from({ length: SESSIONS }, (_, i) =>
    sessionFrames(`10.0.${i}.1`, 40_000 + i, EXCHANGES, 1000, { letsIn: true }),
  );
  const half = lists[0].length >> 1;
  const frames = lists.flatMap((list, i) =>
    interleave([list.slice(0, half), i === 0 ? [] : lists[i - 1].slice(half)]).map(({ octets }) => octets),
  );
  frames.push(...lists[SESSIONS - 1].slice(half));
  return frames.map((octets, i) => ({ octets, at: i * 1_000_003 }));
}

/** A server that lets everybody in, and says OK to all. */
function saysOk(socket: Socket): void {
  const ok = (sequenceId: number) => mysqlPacket(sequenceId, Buffer.from([0, 0, 0, 2, 0, 0, 0]));
  let waiting = Buffer.alloc(0);
  let isIn = false;
  socket.on('error', () => {});
  socket.write(GREETING);
  socket.on('data', (octets) => {
    waiting = Buffer.concat([waiting, octets]);
    for (let end = 0; waiting.length >= 4; waiting = waiting.subarray(end)) {
      end = 4 + waiting.readUIntLE(0, 3);
      if (waiting.length < end) return;
      socket.write(ok(isIn ? 1 : waiting[3] + 1));
      isIn = true;
    }
  });
  socket.on('end', () => socket.end());
}

describe('an archive with one damaged block', () => {
  let folder: string;
  let whole: string;
  let dir: string;
  let block: BlockRow;
  /** Sessions that have packets in it, and those that began in it. */
  let hit: number[];
  let begun: number[];
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    whole = join(folder, 'whole');
    dir = join(folder, 'damaged');
    recordArchive(whole, overlapping());
    const segment = '000000.pcap.lz4';
    cpSync(whole, dir, { recursive: true });
    const archive = openArchive(whole);
    const blocks = new Map<number, number[]>();
    for (const session of archive.sessions())
      for (const number of archive.blocks(session))
        blocks.set(number, [...(blocks.get(number) ?? []), session.id]);
    assert.ok(blocks.size > 5, `${blocks.size} blocks`);
    archive.close();
    const octets = readFileSync(join(dir, segment));
    octets[octets.length >> 1] ^= 0xff;
    writeFileSync(join(dir, segment), octets);
    const torn = openArchive(dir);
    for await (const _ of torn.packets({ onDamage: (damage) => (block = damage.block) }));
    hit = blocks.get(block.number)!;
    const { firstPacket, packets } = block;
    begun = hit.filter((id) => {
      const row = torn.session(id)!;
      return row.firstPacket >= firstPacket && row.firstPacket < firstPacket + packets;
    });
    torn.close();
    assert.ok(begun.length > 1 && begun.length < hit.length && hit.at(-1)! < SESSIONS - 5);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('a replay skips what it held by name, and sends all else, as the sessions it was recorded of', () => {
    const onto = [
      '-x',
      '3307-10.9.9.9:3306',
      '--transport',
      'socket',
      '--speed',
      'max',
      '--dry-run',
      '--json',
    ];
    const { status, stdout, stderr } = mytape('replay', dir, ...onto);
    assert.equal(status, 0, stderr);
    const [first, second, third, ...more] = hit;
    assert.match(
      stderr,
      new RegExp(
        `block ${block.number} at offset \\d+: damaged: .*; its ${block.packets} packets of sessions ` +
          `${first}, ${second}, ${third} and ${more.length} more are left out`,
      ),
    );
    const report = JSON.parse(stdout) as DryReport;
    assert.deepEqual(report.captured.dropped_by, { damage: block.packets });
    // One that was whole within it leaves no trace.
    const whole = SESSIONS - report.captured.sessions;
    assert.deepEqual(report.sessions.skipped, { 'damaged-block': begun.length - whole });
    assert.equal(report.sessions.scheduled, SESSIONS - begun.length);
    assert.deepEqual(Object.keys(report.commands.skipped), ['damaged-block']);
    assert.match(report.invalid_by.join(), new RegExp(`the archive lost ${block.packets} packets or more`));
    // Those that are picked by their numbers are the same ones, also after the block.
    const last = mytape(
      'replay',
      dir,
      ...onto,
      '--sessions',
      String(SESSIONS - 1),
      '--include-client',
      `10.0.${SESSIONS - 1}.1`,
    );
    assert.equal((JSON.parse(last.stdout) as DryReport).sessions.scheduled, 1, last.stderr);
  });

  test('a run of two threads at full speed completes the sessions that it did not hold', async (t) => {
    const server = createServer(saysOk).listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const out = join(folder, 'run');
    const waived = ['--allow-live-target', '--allow-unidentified'];
    const onto = [
      '-x',
      `3307-127.0.0.1:${port}`,
      '--transport',
      'socket',
      '--speed',
      'max',
      '-C',
      '2',
      '--out',
      out,
    ];
    const child = spawn(process.execPath, [CLI, 'replay', dir, ...onto, ...waived], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (octets) => {
      stderr += octets;
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 5, stderr);
    assert.equal(stderr.match(/are left out/g)?.length, 1, 'said once');
    const { captured, sessions, commands, verdict } = JSON.parse(
      readFileSync(join(out, 'summary.json'), 'utf8'),
    ) as Summary;
    assert.deepEqual([sessions.completed, sessions.lost, verdict], [SESSIONS - begun.length, 0, 'invalid']);
    assert.deepEqual([captured.dropped_by, commands.lost], [{ damage: block.packets }, {}]);
    assert.deepEqual(Object.keys(sessions.skipped), ['damaged-block']);
  });

  test('show and export have all else, name the block, and end with exit code 1', () => {
    const after = SESSIONS - 1;
    const shown = mytape('show', dir, String(after));
    assert.match(shown.stdout, new RegExp(`10\\.0\\.${after}\\.1`));
    assert.equal(shown.stdout.match(/select 1/g)?.length, EXCHANGES);
    assert.match(shown.stderr, new RegExp(`block ${block.number} at offset`));
    assert.equal(shown.status, 1);
    const pcap = join(folder, 'all.pcap');
    const exported = mytape('export', dir, '-o', pcap);
    assert.equal(exported.status, 1);
    assert.match(
      exported.stderr,
      new RegExp(`block ${block.number} at offset .* are left out\\n(\\d|,)+ packets written`),
    );
  });

  test('a segment that is gone costs its own packets', () => {
    const dir = join(folder, 'rotated');
    recordArchive(dir, overlapping(), { rotateOctets: 20_000 });
    rmSync(join(dir, '000001.pcap.lz4'));
    const onto = ['-x', '3307-10.9.9.9:3306', '--transport', 'socket', '--dry-run', '--json'];
    const { stdout, stderr } = mytape('replay', dir, ...onto);
    assert.match(stderr, /000001\.pcap\.lz4, block \d+ at offset \d+: the file is missing; its \d+ packets/);
    const { sessions } = JSON.parse(stdout) as DryReport;
    assert.ok(sessions.scheduled > 0 && sessions.scheduled < SESSIONS);
    assert.deepEqual(Object.keys(sessions.skipped), ['damaged-block']);
  });
});

describe('numbers of sessions where packets are missing', () => {
  const ends = (client: string, clientPort: number) => {
    const [from, to] = [parseAddress(client)!, parseAddress('10.0.0.9')!];
    return { client: from, clientPort, server: to, serverPort: 3307 };
  };
  const row = (id: number, clientPort: number, firstAt: number, lastAt: number) => {
    return { id, client: '10.0.0.1', clientPort, server: '10.0.0.9', serverPort: 3307, firstAt, lastAt };
  };
  const rows = [row(0, 1, 0, 50), row(1, 2, 10, 20), row(2, 3, 11, 90), row(3, 2, 30, 60), row(4, 4, 40, 70)];
  const archive = { info: { sessions: rows.length, complete: true }, session: (id: number) => rows[id] };
  const next = (ids: SessionIds, clientPort: number, at: number) =>
    ids.next(ends('10.0.0.1', clientPort), at);

  test('are counted, until there are some; then they are those of the index', () => {
    const ids = new SessionIds(archive as unknown as Archive);
    assert.equal(next(ids, 9, 0), 0);
    ids.damaged();
    // Session 1 was whole in the block, session 2 began in it.
    assert.equal(next(ids, 2, 30), 3);
    assert.equal(next(ids, 3, 35), 2);
    // What is left of session 0 looks like another.
    assert.equal(next(ids, 1, 36), 5);
    assert.equal(next(ids, 4, 40), 4);
    assert.equal(next(ids, 7, 99), 6);
  });
});
