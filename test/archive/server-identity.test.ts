import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  identityOf,
  isIdentity,
  type ServerIdentity,
  sameServer,
  startOf,
  tellsApart,
} from '../../src/archive/server-identity.ts';

const SELF: ServerIdentity = { hostname: 'db1', port: 3306, serverId: 7 };

test('one server is recognized by its UUID alone, or by its host, port and uid, data folder or id', () => {
  const mysql = { ...SELF, uuid: 'aa-1' };
  assert.match(sameServer(mysql, { ...SELF, hostname: 'moved', uuid: 'aa-1' }) ?? '', /@@server_uuid aa-1/);
  assert.equal(sameServer(mysql, { ...mysql, uuid: 'bb-2' }), undefined, 'all else alike');
  const mariadb = { ...SELF, uid: 'x=' };
  assert.match(sameServer(mariadb, { ...mariadb }) ?? '', /@@hostname db1, @@port 3306, @@server_uid x=/);
  assert.equal(sameServer(mariadb, { ...mariadb, uid: 'y=' }), undefined);
  assert.equal(sameServer(mariadb, { ...mariadb, hostname: 'db2' }), undefined, 'containers of the same MAC');
  assert.match(sameServer(SELF, mariadb) ?? '', /@@server_id 7/, 'one side without uid');
  for (const other of [{ serverId: 8 }, { port: 3307 }, { hostname: 'db2' }])
    assert.equal(sameServer(SELF, { ...SELF, ...other }), undefined);
});

test('a server that was only looked at from outside is recognized by its data folder', () => {
  const process: ServerIdentity = { hostname: 'db1', port: 3306, datadir: '/data' };
  assert.match(sameServer(process, { ...SELF, uid: 'x=', datadir: '/data' }) ?? '', /@@datadir \/data/);
  assert.equal(sameServer(process, { ...SELF, datadir: '/other' }), undefined);
  assert.equal(sameServer(process, SELF), undefined, 'a target that does not say its data folder');
  const twins = [5, 6].map((serverId) => ({ ...process, serverId }));
  assert.equal(sameServer(twins[0], twins[1]), undefined, 'containers with folders of the same name');
});

test('what tells a server from others, and what does not', () => {
  const nothing = { hostname: 'db1', port: 3306, startedMs: 1, version: '8.4.2' };
  assert.ok(!tellsApart(nothing));
  for (const sign of [{ uuid: 'a' }, { uid: 'b' }, { datadir: '/data' }, { serverId: 1 }])
    assert.ok(tellsApart({ ...nothing, ...sign }));
});

test('from the rows of a server; what another thing answers is no identity', () => {
  const rows = (variables: Record<string, string>) =>
    Object.entries(variables).map(([Variable_name, Value]) => ({ Variable_name, Value }));
  const told = {
    hostname: 'db1',
    port: '3306',
    server_id: '7',
    datadir: '/data/',
    version: '11.4.2-MariaDB',
  };
  assert.deepEqual(identityOf(rows(told)), {
    ...SELF,
    uuid: undefined,
    uid: undefined,
    datadir: '/data',
    version: '11.4.2-MariaDB',
  });
  for (const odd of [[], [{ c: '777' }], rows({ hostname: 'db1' }), [null]])
    assert.equal(identityOf(odd), undefined);
  assert.equal(startOf(rows({ Uptime: '60' }), 100_000), 40_000);
  assert.equal(startOf([{ c: '777' }], 100_000), undefined);
});

test('what is no identity in an archive is none', () => {
  const process = { hostname: 'db1', port: 3306, datadir: '/data', startedMs: 1.5 };
  for (const one of [SELF, { ...SELF, uuid: 'a', uid: 'b' }, process]) assert.ok(isIdentity(one));
  for (const other of [
    null,
    {},
    'db1',
    { ...SELF, port: '3306' },
    { ...SELF, uuid: 1 },
    { ...SELF, serverId: 'x' },
  ])
    assert.ok(!isIdentity(other));
});
