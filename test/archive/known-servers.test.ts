import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import {
  type KnownServer,
  readKnownServers,
  SERVERS_FILE,
  writeKnownServers,
} from '../../src/archive/known-servers.ts';

describe('the servers that an archive knows', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'mytape-servers-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  test('are read as they were written, by their owner alone', () => {
    const servers: KnownServer[] = [
      { addresses: ['10.0.0.5'], port: 3306, identity: { hostname: 'db1', port: 3306, datadir: '/data' } },
    ];
    writeKnownServers(dir, servers);
    assert.deepEqual(readKnownServers(dir), { servers, note: undefined });
    assert.equal(statSync(join(dir, SERVERS_FILE)).mode & 0o777, 0o600);
  });

  test('are none in an archive without the file', () => {
    assert.deepEqual(readKnownServers(dir), { servers: [], note: undefined });
  });

  test('are unknown where the file is damaged, of another version, or a link', () => {
    const path = join(dir, SERVERS_FILE);
    const read = () => readKnownServers(dir);
    for (const text of ['', 'null', '{"v":2,"servers":[]}', '{"v":1,"servers":[{"port":1}]}', '[]']) {
      writeFileSync(path, text);
      assert.deepEqual(read().servers, [], text);
      assert.match(read().note ?? '', /servers\.json/);
    }
    rmSync(path);
    symlinkSync('/etc/hostname', path);
    assert.match(read().note ?? '', /cannot read .*symbolic link/);
  });
});
