import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type ServerProcess, serverProcessesOn } from '../../../src/net/host/server-process.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const INODE = 4711;

/** A made-up /proc with one process, which listens on 3306. */
describe('the server process on a port', () => {
  const serverProcessOn = (port: number, at: string): ServerProcess | undefined => {
    const found = serverProcessesOn(port, at);
    assert.ok(found.length <= 1);
    return found[0];
  };

  let proc: string;
  let datadir: string;

  beforeEach(() => {
    proc = mkdtempSync(join(tmpdir(), 'mytape-proc-'));
    datadir = join(proc, 'data');
    for (const folder of ['net', '77/fd', '77/net', '77/ns', 'self/ns', 'data'])
      mkdirSync(join(proc, folder), { recursive: true });
    listenOn('00000000');
    writeFileSync(join(proc, 'stat'), 'cpu 1 2\nbtime 1000\nprocesses 1\n');
    writeFileSync(join(proc, '77/comm'), 'mysqld\n');
    writeFileSync(join(proc, '77/cmdline'), `mysqld\0--datadir=${datadir}/\0`);
    writeFileSync(join(proc, '77/stat'), `77 (my) sqld) S${' 0'.repeat(18)} 250 0\n`);
    symlinkSync(`socket:[${INODE}]`, join(proc, '77/fd/21'));
    for (const pid of ['77', 'self']) symlinkSync('uts:[1]', join(proc, pid, 'ns/uts'));
    symlinkSync(datadir, join(proc, '77/cwd'));
    writeFileSync(join(datadir, 'auto.cnf'), `[auto]\nserver-uuid=${UUID}\n`);
  });
  afterEach(() => rmSync(proc, { recursive: true }));

  function listenOn(local: string): void {
    const line = `   0: ${local}:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 ${INODE} 1\n`;
    writeFileSync(join(proc, 'net/tcp'), `  sl  local_address\n${line}`);
  }

  test('its host, data folder, UUID and start', () => {
    const whole = {
      hostname: hostname(),
      datadir,
      uuid: UUID,
      socket: undefined,
      startedMs: 1_002_500,
      addresses: undefined,
    };
    assert.deepEqual(serverProcessOn(3306, proc), whole);
    listenOn('0500000A');
    assert.deepEqual(serverProcessOn(3306, proc), { ...whole, addresses: ['10.0.0.5'] });
    assert.equal(serverProcessOn(3307, proc), undefined, 'no one listens there');
  });

  test('the Unix socket that it listens on, where that is one', () => {
    const line = (inode: number, path: string, flags = '00010000') =>
      `ffff0000: 00000002 00000000 ${flags} 0001 01 ${inode} ${path}\n`;
    const held = [31, 32].map((inode) => {
      symlinkSync(`socket:[${inode}]`, join(proc, '77/fd', String(inode)));
      return inode;
    });
    const socketBy = (...lines: string[]) => {
      writeFileSync(
        join(proc, '77/net/unix'),
        ['Num RefCount Protocol Flags Type St Inode Path\n', ...lines].join(''),
      );
      return serverProcessOn(3306, proc)?.socket;
    };
    const own = line(held[0], '/run/my sql.sock');
    assert.equal(
      socketBy(line(99, '/run/other.sock'), own, line(held[1], '/x', '00000000')),
      '/run/my sql.sock',
    );
    assert.equal(socketBy(own, line(held[1], '/run/mysqlx.sock')), undefined);
    assert.equal(socketBy(), undefined);
  });

  test('a container has a host name of its own', () => {
    rmSync(join(proc, '77/ns/uts'));
    symlinkSync('uts:[2]', join(proc, '77/ns/uts'));
    mkdirSync(join(proc, '77/root/etc'), { recursive: true });
    writeFileSync(join(proc, '77/root/etc/hostname'), 'db-7\n');
    assert.equal(serverProcessOn(3306, proc)?.hostname, 'db-7');
    writeFileSync(join(proc, '77/root/etc/hostname'), 'x'.repeat(300));
    assert.equal(serverProcessOn(3306, proc)?.hostname, hostname(), 'one that is too long');
  });

  test('where its folder may not be seen, its command line names it', () => {
    rmSync(join(proc, '77/cwd'));
    assert.deepEqual(
      [serverProcessOn(3306, proc)?.datadir, serverProcessOn(3306, proc)?.uuid],
      [datadir, UUID],
    );
    writeFileSync(join(proc, '77/cmdline'), 'mysqld\0');
    assert.equal(serverProcessOn(3306, proc), undefined);
  });

  test('two servers on one port, each at an address of its own', () => {
    const line = (n: number, local: string) =>
      `   ${n}: ${local}:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 ${INODE + n} 1\n`;
    writeFileSync(join(proc, 'net/tcp'), `  sl\n${line(0, '0500000A')}${line(1, '0600000A')}`);
    mkdirSync(join(proc, '78/fd'), { recursive: true });
    mkdirSync(join(proc, 'other'));
    writeFileSync(join(proc, '78/comm'), 'mariadbd\n');
    symlinkSync(join(proc, 'other'), join(proc, '78/cwd'));
    symlinkSync(`socket:[${INODE + 1}]`, join(proc, '78/fd/30'));
    const found = serverProcessesOn(3306, proc).map(({ addresses, datadir: data }) => [addresses, data]);
    assert.deepEqual(found.sort(), [
      [['10.0.0.5'], datadir],
      [['10.0.0.6'], join(proc, 'other')],
    ]);
  });

  test('a proxy that listens there is not the server, nor is a process that does not listen', () => {
    writeFileSync(join(proc, '77/comm'), 'haproxy\n');
    assert.equal(serverProcessOn(3306, proc), undefined);
    writeFileSync(join(proc, '77/comm'), 'mariadbd\n');
    rmSync(join(proc, '77/fd/21'));
    assert.equal(serverProcessOn(3306, proc), undefined);
  });

  test('an auto.cnf that is a link or too long is left alone', () => {
    const cnf = join(datadir, 'auto.cnf');
    writeFileSync(join(proc, 'secret'), `server-uuid=${UUID}\n`);
    rmSync(cnf);
    symlinkSync(join(proc, 'secret'), cnf);
    assert.equal(serverProcessOn(3306, proc)?.uuid, undefined);
    rmSync(cnf);
    writeFileSync(cnf, `server-uuid=${UUID}\n${'#'.repeat(5000)}`);
    assert.equal(serverProcessOn(3306, proc)?.uuid, undefined);
  });
});
