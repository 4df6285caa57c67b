import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, test } from 'node:test';
import { isIdentity, type ServerIdentity, sameServer } from '../../src/archive/server-identity.ts';
import {
  endpointKey,
  endsHere,
  interlock,
  type RecordedSide,
  serversHere,
} from '../../src/verbs/interlock.ts';
import type { LoginJob } from '../../src/verbs/replay-logins.ts';
import { type AskTarget, askTarget, factsOf } from '../../src/verbs/target-facts.ts';
import { type Address, parseAddress } from '../../src/wire/address.ts';

const SELF: ServerIdentity = { hostname: 'db1', port: 3306, serverId: 7 };

test('one server is known again by its UUID alone, or by its host, port and uid or id', () => {
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

test('what is no identity in an archive is none', () => {
  assert.ok(isIdentity(SELF) && isIdentity({ ...SELF, uuid: 'a', uid: 'b' }));
  for (const other of [null, {}, 'db1', { ...SELF, port: '3306' }, { ...SELF, uuid: 1 }])
    assert.ok(!isIdentity(other));
});

test("the server's end of a connection is found among this host's sockets, whatever its address", () => {
  const end = (address: string, port: number) =>
    `${address}:${port.toString(16).padStart(4, '0').toUpperCase()}`;
  // 10.128.6.7 and ::ffff:10.128.6.7, in words of the host's order.
  const v4 = '0706800A';
  const mapped = `0000000000000000FFFF0000${v4}`;
  const line = (local: string, remote: string) => `   1: ${local} ${remote} 01 00000000:00000000`;
  const found = (peer: string, ...lines: string[]) => endsHere(3307, peer, () => lines);
  const peer = '10.128.6.7:40001';
  assert.ok(found(peer, line(end('0100007F', 22), end(v4, 1)), line(end('0800000A', 3307), end(v4, 40_001))));
  assert.ok(found(peer, line(end(mapped, 3307), end(mapped, 40_001))));
  assert.ok(!found(peer, line(end(v4, 3308), end(v4, 40_001))), 'another port of ours');
  assert.ok(!found(peer, line(end(v4, 3307), end(v4, 40_002))), 'another port of theirs');
  assert.ok(!found(peer, line(end(v4, 3307), end('0606800A', 40_001))), 'another client');
  assert.ok(found('client.example:40001', line(end(v4, 3307), end(v4, 40_001))), 'a name has no octets');
  const v6 = '000077FD000000000000000001000000';
  assert.ok(found('fd77::1:40001', line(end(v6, 3307), end(v6, 40_001))));
  assert.ok(!found(peer, '', '  sl  local_address rem_address'));
});

test('endsHere reads the very tables of this kernel', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const { connect } = await import('node:net');
  const client = connect(port, '127.0.0.1');
  await new Promise((resolve) => server.once('connection', resolve));
  assert.equal(endsHere(port, `127.0.0.1:${client.localPort}`), process.platform === 'linux');
  assert.ok(!endsHere(port, `127.0.0.2:${client.localPort}`));
  client.destroy();
  server.close();
});

function refusal(errno: number): Error {
  return Object.assign(new Error('refused'), { errno, sqlState: '42000' });
}

/** Answers by the beginning of a statement; a number is the error it is refused by; what is not named has no rows. */
function scripted(answers: Record<string, readonly object[] | number>): AskTarget {
  return async (sql) => {
    const [, answer = []] = Object.entries(answers).find(([begin]) => sql.startsWith(begin)) ?? [];
    if (typeof answer === 'number') throw refusal(answer);
    return answer as readonly Record<string, unknown>[];
  };
}

const MYSQL = {
  'SHOW VARIABLES': [
    { Variable_name: 'hostname', Value: 'db1' },
    { Variable_name: 'port', Value: '3306' },
    { Variable_name: 'server_id', Value: '7' },
    { Variable_name: 'server_uuid', Value: 'aa-1' },
    { Variable_name: 'version', Value: '8.4.2' },
  ],
  'SHOW ALL SLAVES STATUS': 1064,
};

const PRIVILEGE = 1227;

describe('scripted MySQL 8 peer: what makes a target look live', () => {
  const liveOf = async (answers: Parameters<typeof scripted>[0]) =>
    (await factsOf(scripted({ ...MYSQL, ...answers }), 8)).live;

  test('nothing on a server by itself; its identity and our end are told', async () => {
    const processes = [
      { Id: 5, Host: '10.0.0.5:1', Command: 'Sleep' },
      { Id: 8, Host: '10.0.0.1:4000', Command: 'Query' },
    ];
    assert.deepEqual(await factsOf(scripted({ ...MYSQL, 'SHOW PROCESSLIST': processes }), 8), {
      identity: { ...SELF, uuid: 'aa-1', uid: undefined },
      seenAs: '10.0.0.1:4000',
      live: [],
      lacks: [],
    });
  });

  test('replicas, in the words of 8.0.22 and up and of those before', async () => {
    const row = { Server_Id: 2, Host: '', Port: 3306 };
    assert.deepEqual(await liveOf({ 'SHOW REPLICAS': [row] }), ['a replica is attached to it']);
    const old = { 'SHOW REPLICAS': 1064, 'SHOW SLAVE HOSTS': [{ Server_id: 2 }, { Server_id: 3 }] };
    assert.deepEqual(await liveOf(old), ['2 replicas are attached to it']);
  });

  test('somebody reads its binary log: change data capture is a replica, too', async () => {
    const dump = { Id: 9, Host: '10.0.0.9:1', Command: 'Binlog Dump GTID' };
    assert.deepEqual(await liveOf({ 'SHOW PROCESSLIST': [dump] }), ['a replica is attached to it']);
  });

  test('a replica itself, running or not', async () => {
    const now = { 'SHOW REPLICA STATUS': [{ Source_Host: 'db0', Source_Port: 3306 }] };
    assert.deepEqual(await liveOf(now), ['it is a replica itself, of db0:3306']);
    const old = {
      'SHOW REPLICA STATUS': 1064,
      'SHOW SLAVE STATUS': [{ Master_Host: 'db0', Master_Port: 1 }],
    };
    assert.deepEqual(await liveOf(old), ['it is a replica itself, of db0:1']);
  });

  test('a member of a group with others; of a group by itself it is not live', async () => {
    const members = (...hosts: string[]) => ({
      'SELECT MEMBER_HOST': hosts.map((MEMBER_HOST) => ({ MEMBER_HOST })),
    });
    assert.deepEqual(await liveOf(members('a', 'b', 'c')), ['it is one of 3 members of a replication group']);
    assert.deepEqual(await liveOf(members('a')), []);
    assert.deepEqual(await liveOf(members('')), [], 'the plugin is there, and nobody is in it');
    assert.deepEqual(await liveOf({ 'SELECT MEMBER_HOST': 1146 }), [], 'no such table');
  });

  test('a node of a Galera cluster with others', async () => {
    const size = (Value: string) => ({
      'SHOW GLOBAL STATUS': [{ Variable_name: 'wsrep_cluster_size', Value }],
    });
    assert.deepEqual(await liveOf(size('3')), ['it is one of 3 nodes of a Galera cluster']);
    assert.deepEqual(await liveOf(size('1')), []);
  });

  test('what this user may not ask is named, with what to grant', async () => {
    const { lacks, live, identity } = await factsOf(
      scripted({ ...MYSQL, 'SHOW REPLICAS': PRIVILEGE, 'SHOW REPLICA STATUS': PRIVILEGE, SELECT: 1142 }),
      8,
    );
    assert.deepEqual([live, identity?.uuid], [[], 'aa-1']);
    assert.deepEqual(lacks, [
      { what: 'which replicas it has', grant: 'REPLICATION SLAVE' },
      { what: 'whether it is a replica', grant: 'REPLICATION CLIENT' },
      { what: 'who is in its replication group', grant: 'SELECT on performance_schema' },
    ]);
  });

  test('what answers every statement alike, as our null responder does, tells nothing', async () => {
    const { live, identity, seenAs } = await factsOf(async () => [{ c: '777' }], 8);
    assert.deepEqual([live, identity, seenAs], [[], undefined, undefined]);
  });

  test('a connection that breaks is no answer', async () => {
    await assert.rejects(
      factsOf(async () => {
        throw new Error('gone');
      }, 8),
      /gone/,
    );
  });
});

async function listen(onSocket: (socket: Socket) => void): Promise<Server & { port: number }> {
  const server = createServer(onSocket).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return Object.assign(server, { port: (server.address() as { port: number }).port });
}

const APP = [{ user: 'app', password: 'x' }];

test('a target that says nothing, talks nonsense, or is not there holds nobody up', async () => {
  const sockets: Socket[] = [];
  const mute = await listen((socket) => sockets.push(socket.resume()));
  const odd = await listen((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const ask = (port: number) => askTarget({ host: '127.0.0.1', port, tls: undefined }, APP, 200);
  assert.equal(await ask(mute.port), 'no answer in 0.2 s');
  assert.equal(typeof (await ask(odd.port)), 'string');
  odd.close();
  mute.close();
  for (const socket of sockets) socket.destroy();
  assert.match((await ask(mute.port)) as string, /ECONNREFUSED/);
  const nobody = await askTarget({ host: '127.0.0.1', port: mute.port, tls: undefined }, []);
  assert.equal(nobody, 'no password of a user is known');
});

describe('the address of a recorded server', () => {
  const logins: LoginJob = {
    users: new Map(),
    as: undefined,
    adopt: undefined,
    remapUser: new Map(),
    remapSchema: new Map(),
  };
  const said: string[] = [];
  const lock = (target: string, targetPort: number, recorded: RecordedSide) =>
    interlock(
      { target: parseAddress(target) as Address, targetPort, tls: undefined, logins },
      recorded,
      (line) => said.push(line),
    );
  const recorded = (address: string): RecordedSide => ({
    endpoints: new Set([endpointKey(address, 3307)]),
    identities: [],
    what: 'the server that a.tape was recorded from',
  });

  test('is refused; its other ports and other addresses are not', async () => {
    const refused = {
      code: 'refused',
      message:
        '10.0.0.9:3307 is the server that a.tape was recorded from: replay onto a test server (or say --allow-live-target)',
    };
    await assert.rejects(lock('10.0.0.9', 3307, recorded('10.0.0.9')), refused);
    await lock('10.0.0.9', 3308, recorded('10.0.0.9'));
    await lock('10.0.0.8', 3307, recorded('10.0.0.9'));
    assert.match(said.at(-1) ?? '', /^cannot ask 10\.0\.0\.8:3307 whether it is a live server: no password/);
    await assert.rejects(lock('fd77::9', 3307, recorded('fd77::9')), /^MytapeError: \[fd77::9\]:3307 is/);
  });

  test('is refused by another address of the same host', async () => {
    await assert.rejects(lock('127.0.0.1', 3307, recorded('::1')), /is this host, as \[::1\]:3307 is/);
    const others = Object.values(networkInterfaces()).flatMap((own) => own ?? []);
    const other = others.find(({ address, internal }) => !internal && !address.includes('%'));
    if (other === undefined) return;
    await assert.rejects(lock('127.0.0.1', 3307, recorded(other.address)), /is this host, as /);
  });

  test('live, it is any of this host, at the port that is captured', async () => {
    const here = serversHere(3307, 'the server whose traffic is mirrored');
    await assert.rejects(lock('127.0.0.1', 3307, here), /is the server whose traffic is mirrored/);
    await lock('127.0.0.1', 3308, here);
    await lock('10.0.0.9', 3307, here);
  });
});
