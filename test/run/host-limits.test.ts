import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connectionsAThread, openFilesLimit, ownDescriptors } from '../../src/net/host/descriptors.ts';
import { checkDescriptors, hostLimitText } from '../../src/run/host-limits.ts';

/** So many sessions, of which three are open at once. */
const sessions = Array.from({ length: 900 }, (_, i) => ({ firstAt: i, lastAt: i + 2 }));
const BY_SOCKET = { transport: 'socket', channels: 2, copies: 50 } as const;

describe('descriptors, before a run', () => {
  test('too few for the sessions at once are refused with what to type', () => {
    assert.doesNotThrow(() => checkDescriptors(BY_SOCKET, 1, sessions, 150 + ownDescriptors(2)));
    assert.throws(() => checkDescriptors(BY_SOCKET, 1, sessions, 149 + ownDescriptors(2)), {
      code: 'usage',
      message:
        'this run opens up to 150 connections (3 sessions at once in 50 copies) and 96 files, and this process may have only 245 open: ' +
        'raise the limit (ulimit -n 256), or let sessions wait for a place: --max-connections 149',
    });
    assert.throws(() => checkDescriptors(BY_SOCKET, 2, sessions, 128), /--max-connections 16$/);
  });

  test('what bounds connections otherwise, or needs no descriptors, is let through', () => {
    for (const wanted of [
      { ...BY_SOCKET, maxConnections: 20 },
      { ...BY_SOCKET, pool: 5 },
      { ...BY_SOCKET, transport: 'packet' as const },
    ])
      assert.doesNotThrow(() => checkDescriptors(wanted, 1, sessions, 128));
    assert.doesNotThrow(() => checkDescriptors(BY_SOCKET, 1, sessions, Number.POSITIVE_INFINITY));
  });

  test('the limit is the hard one, which Node takes; threads have their parts of it, and always something', () => {
    const module = fileURLToPath(new URL('../../src/net/host/descriptors.js', import.meta.url));
    const line = `ulimit -Sn 300; ulimit -Hn 700; exec node --input-type=module -e 'import("${module}").then((m) => console.log(m.openFilesLimit()))'`;
    assert.equal(spawnSync('bash', ['-c', line], { encoding: 'utf8' }).stdout, '700\n');
    assert.ok(openFilesLimit() > 0);
    assert.deepEqual(
      [connectionsAThread(1, 1024), connectionsAThread(4, 1024), connectionsAThread(4, 64)],
      [944, 224, 1],
    );
  });

  test('what is said when one runs out names the next move', () => {
    assert.match(hostLimitText('no-descriptor', 'socket'), /sessions wait until others end \(.*ulimit -n/);
    assert.match(hostLimitText('no-port', 'socket'), /sessions wait until others end;.*ip_local_port_range/);
    assert.match(
      hostLimitText('no-port', 'packet'),
      /all ports of a client address are in use: .*--clients CIDR/,
    );
  });
});
