import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
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
    assert.deepEqual(readKnownServers(dir), { servers, isSure: true, note: undefined });
    assert.equal(statSync(join(dir, SERVERS_FILE)).mode & 0o777, 0o600);
  });

  test('no flipped bit makes others of them', () => {
    const identity = { hostname: 'vm', port: 3306, datadir: '/data' };
    writeKnownServers(dir, [{ addresses: ['10.0.0.5'], port: 3306, identity }]);
    const path = join(dir, SERVERS_FILE);
    const whole = readFileSync(path);
    for (let bit = 0; bit < 8 * whole.length; bit++) {
      const damaged = Buffer.from(whole);
      damaged[bit >> 3] ^= 1 << (bit & 7);
      writeFileSync(path, damaged);
      const { servers, isSure, note } = readKnownServers(dir);
      assert.deepEqual([servers, isSure], [[], false], damaged.toString('latin1'));
      assert.match(note ?? '', /line 1 of .*servers\.json is damaged/);
    }
  });

  test('are read, and not sure, where an earlier mytape wrote no sum', () => {
    const servers = [{ addresses: ['10.0.0.5'], port: 3306, identity: { hostname: 'db1', port: 3306 } }];
    writeFileSync(join(dir, SERVERS_FILE), `${JSON.stringify({ v: 1, servers })}\n`);
    assert.deepEqual(readKnownServers(dir), { servers, isSure: false, note: undefined });
  });

  test('are none in an archive without the file', () => {
    assert.deepEqual(readKnownServers(dir), { servers: [], isSure: false, note: undefined });
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
