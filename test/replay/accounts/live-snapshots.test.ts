import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { SnapshotWriter } from '../../../src/archive/snapshot-writer.ts';
import { SNAPSHOTS_FILE, type SnapshotSession } from '../../../src/archive/snapshots.ts';
import { SnapshotFollower } from '../../../src/replay/accounts/live-snapshots.ts';

const SECOND = 1e9;

function sessionOf(port: number, user: string): SnapshotSession {
  return {
    id: port,
    user,
    host: '10.1.0.1',
    port,
    schema: 'shop',
    statements: [],
    variables: [],
    userVariables: [],
  };
}

describe('snapshots that are still being taken', () => {
  const folders: string[] = [];
  after(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });
  const folder = () => {
    folders.push(mkdtempSync(join(tmpdir(), 'mytape-snapshots-')));
    return folders.at(-1) as string;
  };

  test('known as soon as they are written; before there is a file, nobody is', async () => {
    const dir = folder();
    const follower = new SnapshotFollower(dir);
    const who = (port: number, at: number) => follower.find('10.1.0.1', port, at * SECOND)?.user;
    assert.equal(who(40_000, 1), undefined);
    const writer = await SnapshotWriter.create(dir);
    await writer.append({ at: 2 * SECOND, sessions: [sessionOf(40_000, 'app')], lacks: [] });
    assert.equal(who(40_000, 1), 'app', 'seen before the snapshot was there');
    assert.equal(who(40_001, 3), undefined);
    await writer.append({
      at: 60 * SECOND,
      sessions: [sessionOf(40_000, 'app'), sessionOf(40_001, 'other')],
      lacks: [],
    });
    assert.equal(who(40_001, 61), 'other');
    assert.equal(who(40_000, 61), 'app');
    follower.close();
    await writer.close();
  });

  test('a line half written is read when it is whole; a damaged one ends it', async () => {
    const dir = folder();
    const path = join(dir, SNAPSHOTS_FILE);
    const follower = new SnapshotFollower(dir);
    const who = (port: number) => follower.find('10.1.0.1', port, 90 * SECOND)?.user;
    const line = (port: number) =>
      `${JSON.stringify({ v: 1, at: port, sessions: [{ id: port, user: 'app', host: '10.1.0.1', port }] })}\n`;
    appendFileSync(path, line(1).slice(0, 20));
    assert.equal(who(1), undefined);
    appendFileSync(path, line(1).slice(20));
    assert.equal(who(1), 'app');
    appendFileSync(path, `{"v":1,\n${line(2)}`);
    assert.equal(who(2), undefined);
    assert.equal(who(1), 'app');
    follower.close();
  });
});
