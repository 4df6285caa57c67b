import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { ServerIdentity } from '../../src/archive/server-identity.ts';
import { SnapshotWriter } from '../../src/archive/snapshot-writer.ts';
import {
  readSnapshots,
  SNAPSHOT_INTERVAL_MS,
  SNAPSHOTS_FILE,
  type Snapshot,
  type SnapshotSession,
  type Snapshots,
} from '../../src/archive/snapshots.ts';
import { noSmallDisk, onSmallDisk } from '../support/small-disk.ts';
import { temporaryFolder } from './support.ts';

const MINUTE = SNAPSHOT_INTERVAL_MS * 1e6;

function session(id: number, fields: Partial<SnapshotSession> = {}): SnapshotSession {
  return {
    id,
    user: 'app',
    host: '10.0.0.1',
    port: 40_000 + id,
    schema: 'shop',
    statements: [],
    variables: [],
    userVariables: [],
    ...fields,
  };
}

function snapshot(at: number, sessions: readonly SnapshotSession[], lacks: readonly string[] = []): Snapshot {
  return { at, sessions, lacks };
}

async function write(dir: string, snapshots: readonly Snapshot[]): Promise<string[]> {
  const writer = await SnapshotWriter.create(dir);
  for (const each of snapshots) assert.equal(await writer.append(each), true);
  await writer.close();
  return linesOf(dir);
}

function linesOf(dir: string): string[] {
  return readFileSync(join(dir, SNAPSHOTS_FILE), 'utf8').trimEnd().split('\n');
}

async function written(t: TestContext, snapshots: readonly Snapshot[]): Promise<Snapshots> {
  const dir = temporaryFolder(t);
  await write(dir, snapshots);
  return readSnapshots(dir);
}

/** Buffers are equal to arrays of octets only as those. */
function plain(found: SnapshotSession | undefined): unknown {
  return (
    found && {
      ...found,
      userVariables: found.userVariables.map(([name, value]) => [name, value && [...value]]),
    }
  );
}

test('snapshots: an archive without them has none', (t) => {
  const snapshots = readSnapshots(temporaryFolder(t));
  assert.deepEqual([snapshots.count, snapshots.note], [0, undefined]);
  assert.equal(snapshots.find('10.0.0.1', 40_001, 0), undefined);
});

test('snapshots: the file is its owner’s alone, and a line has what is documented', async (t) => {
  const dir = temporaryFolder(t);
  const one = session(1, {
    schema: undefined,
    statements: [
      { id: 3, sql: 'SELECT ?' },
      { id: 4, sql: undefined },
    ],
    variables: [['sql_mode', '']],
    userVariables: [
      ['a', Buffer.from('naïve')],
      ['b', Uint8Array.of(0, 255)],
      ['c', null],
    ],
  });
  const two = session(2, { statements: [{ id: 9, sql: 'SELECT ?' }] });
  const lines = await write(dir, [
    snapshot(5, [one, two], ['variables_by_thread: no such table']),
    snapshot(6, [one]),
  ]);
  assert.equal(statSync(join(dir, SNAPSHOTS_FILE)).mode & 0o777, 0o600);
  assert.deepEqual(
    lines.map((line) => {
      const { sum, ...fields } = JSON.parse(line);
      assert.equal(typeof sum, 'number');
      return fields;
    }),
    [
      {
        v: 1,
        at: 5,
        whole: true,
        texts: ['SELECT ?'],
        sessions: [
          {
            id: 1,
            user: 'app',
            host: '10.0.0.1',
            port: 40_001,
            statements: [
              [3, 0],
              [4, null],
            ],
            variables: [['sql_mode', '']],
            userVariables: [
              ['a', 'naïve'],
              ['b', { hex: '00ff' }],
              ['c', null],
            ],
          },
          { id: 2, user: 'app', host: '10.0.0.1', port: 40_002, schema: 'shop', statements: [[9, 0]] },
        ],
        lacks: ['variables_by_thread: no such table'],
      },
      { v: 1, at: 6, gone: [2] },
    ],
  );
});

test('snapshots: five thousand sessions that stay as they are cost a minute no more than a line of nothing', async (t) => {
  const sessions = Array.from({ length: 5000 }, (_, id) =>
    session(id, { statements: [{ id: 1, sql: `SELECT ${'x'.repeat(500)}` }] }),
  );
  const minutes = Array.from({ length: 10 }, (_, minute) => snapshot(minute * MINUTE, sessions));
  const lines = await write(temporaryFolder(t), minutes);
  assert.ok(lines[0].length < 5000 * 120, `${lines[0].length} octets: the text is there once`);
  for (const line of lines.slice(1)) assert.ok(line.length < 60, line);
});

test('snapshots: find takes the newest until the first packet, else the next within a minute', async (t) => {
  const first = session(1, { port: 4000, user: 'first' });
  const second = session(2, { port: 4000, user: 'second' });
  const snapshots = await written(t, [
    snapshot(2 * MINUTE, []),
    snapshot(3 * MINUTE, [first]),
    snapshot(4 * MINUTE, [first]),
    snapshot(5 * MINUTE, [{ ...first, schema: 'other' }]),
    snapshot(6 * MINUTE, []),
    snapshot(9 * MINUTE, [second]),
  ]);
  const who = (at: number) => {
    const found = snapshots.find('10.0.0.1', 4000, at * MINUTE);
    return found && `${found.user}/${found.schema}`;
  };
  assert.deepEqual([1.9, 2.5, 3, 4.9, 5, 5.9, 6, 7.9, 8, 9, 99].map(who), [
    undefined,
    'first/shop',
    'first/shop',
    'first/shop',
    'first/other',
    'first/other',
    undefined,
    undefined,
    'second/shop',
    'second/shop',
    'second/shop',
  ]);
  assert.equal(snapshots.find('10.0.0.2', 4000, 4 * MINUTE), undefined);
  assert.equal(snapshots.find('10.0.0.1', 4001, 4 * MINUTE), undefined);
  assert.equal(snapshots.count, 6);
});

test('snapshots: where hosts are names, the port tells if it is the only one', async (t) => {
  const named = session(1, { port: 4000, host: 'app-1.example' });
  const other = session(2, { port: 4000, host: 'app-2.example', user: 'other' });
  const addressed = session(3, { port: 4000, host: 'fd00::1', user: 'addressed' });
  const snapshots = await written(t, [
    snapshot(0, [named, addressed]),
    snapshot(MINUTE, [named, addressed, other]),
    snapshot(2 * MINUTE, [addressed, other]),
  ]);
  const user = (client: string, at: number) => snapshots.find(client, 4000, at)?.user;
  assert.deepEqual(
    [0, MINUTE, 2 * MINUTE].map((at) => user('10.0.0.1', at)),
    ['app', undefined, 'other'],
  );
  assert.equal(user('fd00::1', MINUTE), 'addressed');
});

test('snapshots: a torn last line is dropped, and said', async (t) => {
  const dir = temporaryFolder(t);
  await write(dir, [snapshot(0, [session(1)]), snapshot(MINUTE, [session(1), session(2)])]);
  const path = join(dir, SNAPSHOTS_FILE);
  const whole = readFileSync(path);
  const firstLine = whole.indexOf(0x0a) + 1;
  for (const octets of [whole.length - 1, firstLine + 1]) {
    writeFileSync(path, whole);
    truncateSync(path, octets);
    const snapshots = readSnapshots(dir);
    assert.match(snapshots.note ?? '', /torn/);
    assert.equal(snapshots.count, 1);
    assert.equal(snapshots.find('10.0.0.1', 40_001, MINUTE)?.id, 1);
    assert.equal(snapshots.find('10.0.0.1', 40_002, MINUTE), undefined);
  }
  writeFileSync(path, whole);
  truncateSync(path, firstLine);
  assert.deepEqual([readSnapshots(dir).count, readSnapshots(dir).note], [1, undefined]);
});

test('snapshots: nothing behind a damaged line is believed', async (t) => {
  const dir = temporaryFolder(t);
  const path = join(dir, SNAPSHOTS_FILE);
  const lines = await write(dir, [
    snapshot(0, [session(1, { variables: [['sql_mode', 'ANSI']] })]),
    snapshot(1, [session(2)]),
    snapshot(2, []),
  ]).then((lines) => lines.map((line) => line.replace(/,"sum":\d+\}$/, '}')));
  const damaged = [
    '',
    '7',
    'null',
    '[]',
    '{"v":1}',
    '{"v":1,"at":1,"sessions":5}',
    '{"v":1,"at":1,"sessions":[{}]}',
    '{"v":1,"at":1,"sessions":[null]}',
    lines[0].replace('["sql_mode","ANSI"]', '"sql_mode"'),
    lines[1].slice(5),
  ];
  for (const line of damaged) {
    writeFileSync(path, [lines[0], line, lines[2], ''].join('\n'));
    const snapshots = readSnapshots(dir);
    assert.match(snapshots.note ?? '', /line 2 .* damaged/, line);
    assert.equal(snapshots.count, 1);
    assert.equal(snapshots.find('10.0.0.1', 40_001, 5)?.id, 1);
  }
});

test('snapshots: a flipped bit in who answered is found, and so is a line without its sum among others', async (t) => {
  const dir = temporaryFolder(t);
  const path = join(dir, SNAPSHOTS_FILE);
  const server = { hostname: 'vm', port: 3306, serverId: 1, datadir: '/data' };
  const lines = await write(dir, [{ ...snapshot(0, []), server }, snapshot(1, [session(2)])]);
  const isSure = (texts: string[]) => {
    writeFileSync(path, `${texts.join('\n')}\n`);
    const { servers, isSure } = readSnapshots(dir);
    return [servers[0]?.hostname, isSure];
  };
  assert.deepEqual(isSure(lines), ['vm', true]);
  assert.deepEqual(isSure([lines[0].replace('"vm"', '"wm"'), lines[1]]), [undefined, false]);
  const bare = lines.map((line) => line.replace(/,"sum":\d+\}$/, '}'));
  assert.deepEqual(isSure(bare), ['vm', false], 'of an earlier mytape');
  assert.deepEqual(isSure([lines[0], bare[1]]), ['vm', false]);
  assert.match(readSnapshots(dir).note ?? '', /line 2 .* damaged/);
});

test('snapshots: those of a newer format are refused', async (t) => {
  const dir = temporaryFolder(t);
  await write(dir, [snapshot(0, [])]);
  appendFileSync(join(dir, SNAPSHOTS_FILE), '{"v":2,"when":"now"}\n');
  assert.throws(() => readSnapshots(dir), /version 2/);
});

test('snapshots: a full disk costs the snapshots it has no room for, and the next stands alone', {
  skip: noSmallDisk,
}, async (t) => {
  await onSmallDisk(temporaryFolder(t), '64k', failAndGoOn);
});

async function failAndGoOn(mount: string): Promise<void> {
  const sized = () => statSync(join(mount, SNAPSHOTS_FILE)).size;
  const writer = await SnapshotWriter.create(mount);
  await writer.append(snapshot(0, [session(1, { statements: [{ id: 1, sql: 'SELECT 1' }] }), session(2)]));
  const before = sized();
  const large = session(3, { statements: [{ id: 1, sql: 'x'.repeat(100_000) }] });
  await assert.rejects(writer.append(snapshot(1, [session(1), large])), /ENOSPC/);
  assert.equal(sized(), before, 'what was begun of the line is gone');
  const kept = session(1, { statements: [{ id: 2, sql: 'SELECT 2' }] });
  await writer.append(snapshot(2, [kept]));
  await writer.append(snapshot(3, [kept, session(4)]));
  await writer.close();
  assert.deepEqual(
    linesOf(mount).map((line) => JSON.parse(line).whole),
    [true, true, undefined],
  );
  const snapshots = readSnapshots(mount);
  assert.deepEqual([snapshots.count, snapshots.note], [3, undefined]);
  assert.deepEqual(plain(snapshots.find('10.0.0.1', 40_001, 3)), plain(kept));
  assert.equal(snapshots.find('10.0.0.1', 40_002, 3), undefined);
  assert.equal(snapshots.find('10.0.0.1', 40_004, 3)?.id, 4);
}

test('snapshots: the file does not grow past its limit', async (t) => {
  const dir = temporaryFolder(t);
  const writer = await SnapshotWriter.create(dir);
  const large = (id: number) => session(id, { statements: [{ id, sql: `${id}`.padEnd(70 << 20) }] });
  assert.equal(await writer.append(snapshot(0, [large(1)])), true);
  const before = statSync(join(dir, SNAPSHOTS_FILE)).size;
  assert.equal(await writer.append(snapshot(1, [large(2)])), false);
  await writer.close();
  assert.equal(statSync(join(dir, SNAPSHOTS_FILE)).size, before);
});

test('snapshots: what is read is what was written, whatever it is', async (t) => {
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 6 }), fc.constantFrom('__proto__', '\n', 'x'));
  const statement = fc.record(
    { id: fc.nat(9), sql: fc.option(text, { nil: undefined }) },
    { noNullPrototype: true },
  );
  const anySession = (id: number) =>
    fc.record({
      id: fc.constant(id),
      user: text,
      host: fc.constantFrom('10.0.0.1', 'fd00::1', 'client.example'),
      port: fc.constant(1000 + id),
      schema: fc.option(text, { nil: undefined }),
      statements: fc.array(statement, {
        maxLength: 3,
      }),
      variables: fc.array(fc.tuple(text, text), { maxLength: 3 }),
      userVariables: fc.array(fc.tuple(text, fc.option(fc.uint8Array({ maxLength: 4 }))), { maxLength: 3 }),
    });
  const anySnapshot = fc
    .tuple(...[0, 1, 2, 3].map((id) => fc.option(anySession(id), { nil: undefined })))
    .map((sessions) => sessions.filter((each) => each !== undefined));
  await fc.assert(
    fc.asyncProperty(fc.array(anySnapshot, { minLength: 1, maxLength: 5 }), async (all) => {
      const dir = join(temporaryFolder(t));
      await write(
        dir,
        all.map((sessions, i) => snapshot(i * 3 * MINUTE, sessions)),
      );
      const snapshots = readSnapshots(dir);
      for (const [i, sessions] of all.entries()) {
        for (let id = 0; id < 4; id++) {
          const expected = sessions.find((each) => each.id === id);
          const host = expected?.host ?? '10.0.0.1';
          const found = snapshots.find(host, 1000 + id, i * 3 * MINUTE);
          assert.deepEqual(plain(found), plain(expected));
        }
      }
    }),
    { numRuns: 40 },
  );
});

test('snapshots: who answered is written when it is another one, and known to readers', async (t) => {
  const dir = temporaryFolder(t);
  const one: ServerIdentity = { hostname: 'db1', port: 3306, serverId: 1, uuid: 'aa-1' };
  const two: ServerIdentity = { hostname: 'db2', port: 3306, serverId: 2, uid: 'x=' };
  const lines = await write(
    dir,
    [one, one, two, undefined].map((server, at) => ({ ...snapshot(at, []), server })),
  );
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).server),
    [one, undefined, two, undefined],
  );
  assert.deepEqual(readSnapshots(dir).servers, [one, two]);
  writeFileSync(join(dir, SNAPSHOTS_FILE), `${lines[0]}\n{"v":1,"at":2,"server":{"hostname":7}}\n`);
  const damaged = readSnapshots(dir);
  assert.deepEqual([damaged.servers, damaged.count], [[one], 1]);
  assert.match(damaged.note ?? '', /line 2 .* is damaged/);
});
