import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AskedServer,
  clockOf,
  compareServers,
  type IdentifiedServer,
  identityOf,
  isIdentity,
  type ServerIdentity,
  startOf,
  tellsApart,
} from '../../src/archive/server-identity.ts';

const SELF: ServerIdentity = { hostname: 'db1', port: 3306, serverId: 7 };

function is(recorded: IdentifiedServer, target: AskedServer): string {
  return compareServers(recorded, target).is;
}

test('one server is recognized by its UUID alone, or by its host, port and uid, data folder or id', () => {
  const mysql = { ...SELF, uuid: 'aa-1' };
  assert.deepEqual(compareServers(mysql, { ...SELF, hostname: 'moved', uuid: 'aa-1' }), {
    is: 'same',
    by: '@@server_uuid aa-1',
  });
  assert.equal(is(mysql, { ...mysql, uuid: 'bb-2' }), 'other', 'all else alike');
  const mariadb = { ...SELF, uid: 'x=' };
  const found = compareServers(mariadb, { ...mariadb, datadir: '/moved' });
  assert.deepEqual(found, { is: 'same', by: '@@hostname db1, @@port 3306, @@server_uid x=' });
  assert.equal(is(mariadb, { ...mariadb, uid: 'y=' }), 'other');
  assert.equal(is(mariadb, { ...mariadb, hostname: 'db2' }), 'other', 'containers of the same MAC');
  assert.match(compareServers(SELF, mariadb).by, /@@server_id 7/, 'one side without uid');
});

test('a server that was only looked at from outside is recognized by its data folder', () => {
  const process: ServerIdentity = { hostname: 'db1', port: 3306, datadir: '/data' };
  const found = compareServers(process, { ...SELF, uid: 'x=', datadir: '/data' });
  assert.deepEqual(found, { is: 'same', by: '@@hostname db1, @@port 3306, @@datadir /data' });
});

test('of one host name, a sign that differs alone is not enough, and two are', () => {
  const known: ServerIdentity = {
    hostname: 'db1',
    port: 3306,
    datadir: '/data',
    socket: '/run/s',
    serverId: 7,
  };
  const alone: Partial<ServerIdentity>[] = [
    { port: 3307 },
    { datadir: '/other' },
    { socket: '/s' },
    { serverId: 8 },
  ];
  for (const [i, one] of alone.entries()) {
    assert.equal(is(known, { ...known, ...one }), 'unsure', JSON.stringify(one));
    const both = { ...known, ...one, ...alone[(i + 1) % alone.length] };
    assert.equal(is(known, both), 'other', JSON.stringify(both));
  }
  assert.equal(compareServers(known, { ...known, port: 3307 }).by, '@@port 3306');
  assert.equal(is({ hostname: 'db1', port: 3306 }, known), 'unsure', 'only the port is known');
  assert.equal(is(known, { ...known, hostname: 'db2' }), 'other');
});

test('a target that was started before the recording has had its port and data folder all the time', () => {
  const known = { hostname: 'db1', port: 3306, datadir: '/data', serverId: 7, identifiedMs: 1e12 };
  const target = { ...known, ownStartMs: 1e12 - 60_000 };
  assert.equal(is(known, { ...target, port: 3307 }), 'other');
  assert.equal(is(known, { ...target, datadir: '/other' }), 'other');
  assert.equal(is(known, { ...target, serverId: 8 }), 'unsure', 'which can be set at any time');
  for (const ownStartMs of [1e12 - 1_000, 1e12 + 60_000, undefined])
    assert.equal(is(known, { ...target, port: 3307, ownStartMs }), 'unsure');
  assert.equal(is({ ...known, identifiedMs: undefined }, { ...target, port: 3307 }), 'unsure');
  assert.equal(is(known, target), 'same');
});

test('the clock of a server that was asked', () => {
  assert.equal(clockOf([{ Variable_name: 'timestamp', Value: '1700000000.25' }]), 1_700_000_000_250);
  for (const Value of ['', '0', 'x'])
    assert.equal(clockOf([{ Variable_name: 'timestamp', Value }]), undefined, Value);
  assert.equal(clockOf([]), undefined);
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
    socket: '/run/my.sock',
    version: '11.4.2-MariaDB',
  };
  assert.deepEqual(identityOf(rows(told)), {
    ...SELF,
    uuid: undefined,
    uid: undefined,
    datadir: '/data',
    socket: '/run/my.sock',
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
