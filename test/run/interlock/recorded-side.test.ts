import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { writeKnownServers } from '../../../src/archive/known-servers.ts';
import { openArchive } from '../../../src/archive/reader.ts';
import { type RecordedSide, recordedSide } from '../../../src/run/interlock/recorded-side.ts';
import { CTL } from '../../../src/wire/segment.ts';
import {
  ORIGIN_SEC,
  recordArchive,
  SERVER_PORT,
  sessionFrames,
  tcpFrame,
  temporaryFolder,
} from '../../archive/support.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const SERVER = '10.0.0.9';
const OTHER = '10.0.0.8';

/** What the server says at the end of a session: a row of SHOW VARIABLES. */
function row(name: string, value: string, fromClient = false): Uint8Array {
  const payload = Buffer.concat([
    Buffer.from([name.length + value.length + 2, 0, 0, 3, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
  return tcpFrame({ client: '10.0.0.1', clientPort: 40_000, fromClient, seq: 9_000, payload });
}

async function sideOf(
  t: TestContext,
  frames: readonly Uint8Array[],
  prepare: (dir: string) => void = () => {},
  isWaived = false,
): Promise<RecordedSide> {
  const dir = join(temporaryFolder(t), 'tape');
  recordArchive(
    dir,
    frames.map((octets, i) => ({ octets, at: i * 1e6 })),
  );
  prepare(dir);
  const archive = openArchive(dir);
  try {
    return await recordedSide(archive, dir, isWaived);
  } finally {
    archive.close();
  }
}

const known =
  (addresses: string[], port = SERVER_PORT) =>
  (dir: string) =>
    writeKnownServers(dir, [{ addresses, port, identity: { hostname: 'db1', port, datadir: '/data' } }]);

describe('the servers that an archive was recorded from', () => {
  test('that nothing tells of are unidentified, with what they greeted', async (t) => {
    const frames = [1, 2, 3, 4, 5, 6].flatMap((n) => sessionFrames('10.0.0.1', 40_000 + n, 1));
    const side = await sideOf(t, frames);
    assert.deepEqual([...side.endpoints], [`${SERVER} ${SERVER_PORT}`]);
    const [{ name, greetings }, ...others] = side.unidentified;
    assert.deepEqual([name, others.length, side.users], [`${SERVER}:${SERVER_PORT}`, 0, ['app']]);
    assert.equal(greetings.length, 4, 'the first, and three of the last');
    assert.ok(greetings.every(({ version, connectionId }) => version !== '' && connectionId > 0));
    assert.equal(greetings[0].atMs, ORIGIN_SEC * 1000);
    assert.ok(greetings[1].atMs > greetings[0].atMs);
    const waived = await sideOf(t, frames, undefined, true);
    assert.deepEqual([waived.endpoints, waived.unidentified], [side.endpoints, []], 'nothing is searched');
  });

  test('that a file of the archive names are known, at their own addresses and ports', async (t) => {
    const frames = sessionFrames('10.0.0.1', 40_000, 1);
    const side = await sideOf(t, frames, known([SERVER, '127.0.0.1']));
    assert.deepEqual([side.unidentified, side.identities.length], [[], 1]);
    const elsewhere = await sideOf(t, frames, known([OTHER]));
    assert.deepEqual(
      elsewhere.unidentified.map(({ name }) => name),
      [`${SERVER}:${SERVER_PORT}`],
    );
    const port = await sideOf(t, frames, known([SERVER], 1));
    assert.equal(port.unidentified.length, 1);
  });

  test('that a file of the archive names wrongly, or without a sum, are not known; without one they still accuse', async (t) => {
    const frames = sessionFrames('10.0.0.1', 40_000, 1);
    const edited = (edit: (text: string) => string) => (dir: string) => {
      known([SERVER])(dir);
      const path = join(dir, 'servers.json');
      writeFileSync(path, edit(readFileSync(path, 'utf8')));
    };
    const damaged = await sideOf(
      t,
      frames,
      edited((text) => text.replace('db1', 'db3')),
    );
    assert.deepEqual([damaged.unidentified.length, damaged.identities], [1, []]);
    const bare = await sideOf(
      t,
      frames,
      edited((text) => text.replace(/,"sum":\d+/, '')),
    );
    assert.deepEqual([bare.unidentified.length, bare.identities[0].hostname], [1, 'db1']);
  });

  test('each has to be known, but for one that said nothing', async (t) => {
    const two = [
      ...sessionFrames('10.0.0.1', 40_000, 1),
      ...sessionFrames('10.0.0.1', 40_001, 1, 1000, { server: OTHER }),
    ];
    const side = await sideOf(t, two, known([SERVER]));
    assert.deepEqual(
      side.unidentified.map(({ name }) => name),
      [`${OTHER}:${SERVER_PORT}`],
    );
    const scanned = [
      ...sessionFrames('10.0.0.1', 40_000, 1),
      tcpFrame({
        client: '10.0.0.1',
        clientPort: 40_001,
        server: OTHER,
        fromClient: true,
        seq: 1,
        flags: CTL.syn,
      }),
    ];
    const silent = await sideOf(t, scanned, known([SERVER]));
    assert.deepEqual([silent.unidentified, silent.endpoints.size], [[], 2]);
  });

  test('that show their UUID in a result are known by it', async (t) => {
    const frames = sessionFrames('10.0.0.1', 40_000, 1);
    const side = await sideOf(t, [...frames.slice(0, -2), row('server_uuid', UUID), ...frames.slice(-2)]);
    assert.deepEqual([[...side.uuids], side.unidentified], [[UUID], []]);
  });

  test('are not known by a UUID that a client says, nor by a name without one', async (t) => {
    const frames = sessionFrames('10.0.0.1', 40_000, 1);
    const said = [row('server_uuid', UUID, true), row('server_uuid', 'x'.repeat(36)), row('server_uuid', '')];
    const side = await sideOf(t, [...frames.slice(0, -2), ...said, ...frames.slice(-2)]);
    assert.deepEqual([[...side.uuids], side.unidentified.length], [[], 1]);
  });
});
