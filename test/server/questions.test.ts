import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AskTarget } from '../../src/server/client.ts';
import { askAs, Inquiry } from '../../src/server/questions.ts';

function refusal(errno: number): Error {
  return Object.assign(new Error(`denied ${errno}`), { errno, sqlState: '42000' });
}

type Answers = Record<string, readonly object[] | number>;

/** Answers by the beginning of a statement; a number is the error it is refused by; what is not named has no rows. */
function scripted(answers: Answers): AskTarget {
  return async (sql) => {
    const [, answer = []] = Object.entries(answers).find(([begin]) => sql.startsWith(begin)) ?? [];
    if (typeof answer === 'number') throw refusal(answer);
    return answer as readonly Record<string, unknown>[];
  };
}

const variables = (values: Record<string, string>) =>
  Object.entries(values).map(([Variable_name, Value]) => ({ Variable_name, Value }));

const WHO = { hostname: 'db1', port: '3306', server_id: '7', datadir: '/data/' };
const SIGNS = { read_only: 'OFF', super_read_only: 'OFF', log_bin: 'ON' };

const MYSQL: Answers = {
  'SHOW VARIABLES': variables({ ...WHO, server_uuid: 'aa-1', version: '8.4.2' }),
  "SHOW GLOBAL STATUS WHERE Variable_name = 'Uptime'": variables({ Uptime: '60' }),
  'SHOW GLOBAL VARIABLES': variables(SIGNS),
  'SHOW GLOBAL STATUS WHERE Variable_name IN': variables({ Threads_connected: '1' }),
  'SELECT HOST AS seen_as': [{ seen_as: '10.0.0.1:4000' }],
  'SELECT COUNT(*) AS readers': [{ readers: 0 }],
};

const MARIADB: Answers = {
  ...MYSQL,
  'SHOW VARIABLES': variables({ ...WHO, server_uid: 'x=', version: '11.4.2-MariaDB-log' }),
  'SHOW GLOBAL STATUS WHERE Variable_name IN': variables({
    Threads_connected: '1',
    Slaves_connected: '0',
    Slaves_running: '0',
  }),
};

const DENIED = 1227;
const SYNTAX = 1064;

/** Asked by users with these answers, one after another. */
async function ask(...users: Answers[]): Promise<Inquiry> {
  const inquiry = new Inquiry();
  for (const [i, answers] of users.entries()) await askAs(inquiry, `user${i}`, scripted(answers));
  return inquiry;
}

const open = (inquiry: Inquiry) => [...inquiry.open.keys()];
const live = async (base: Answers, more: Answers) => {
  const inquiry = await ask({ ...base, ...more });
  return [...inquiry.live];
};

describe('a server by itself', () => {
  for (const [name, answers] of Object.entries({ MYSQL, MARIADB })) {
    test(`${name}: every question is answered, and nothing looks live`, async () => {
      const inquiry = await ask(answers);
      assert.deepEqual([open(inquiry), [...inquiry.live], inquiry.seenAs], [[], [], '10.0.0.1:4000']);
      assert.deepEqual([inquiry.identity?.hostname, inquiry.identity?.datadir], ['db1', '/data']);
      assert.ok(Math.abs((inquiry.identity?.startedMs ?? 0) - (Date.now() - 60_000)) < 30_000);
    });
  }
});

describe('what makes a target look live', () => {
  test('replicas, in the words of MySQL 8.0.22 and up, of those before, and of MariaDB', async () => {
    assert.deepEqual(await live(MYSQL, { 'SHOW REPLICAS': [{ Server_Id: 2 }] }), [
      'a replica is attached to it',
    ]);
    const old = { 'SHOW REPLICAS': SYNTAX, 'SHOW SLAVE HOSTS': [{ Server_id: 2 }, { Server_id: 3 }] };
    assert.deepEqual(await live(MYSQL, old), ['2 replicas are attached to it']);
    const counts = variables({ Threads_connected: '1', Slaves_connected: '1', Slaves_running: '0' });
    const counted = { 'SHOW GLOBAL STATUS WHERE Variable_name IN': counts };
    assert.deepEqual(await live(MARIADB, counted), ['a replica is attached to it']);
  });

  test('somebody reads its binary log: change data capture is a replica, too', async () => {
    for (const base of [MYSQL, MARIADB])
      assert.deepEqual(await live(base, { 'SELECT COUNT(*) AS readers': [{ readers: 1 }] }), [
        'a replica is attached to it',
      ]);
  });

  test('a replica itself, running or not', async () => {
    const now = { 'SHOW REPLICA STATUS': [{ Source_Host: 'db0', Source_Port: 3306 }] };
    assert.deepEqual(await live(MYSQL, now), ['it is a replica itself, of db0:3306']);
    const old = {
      'SHOW REPLICA STATUS': SYNTAX,
      'SHOW SLAVE STATUS': [{ Master_Host: 'db0', Master_Port: 1 }],
    };
    assert.deepEqual(await live(MYSQL, old), ['it is a replica itself, of db0:1']);
    const all = { 'SHOW ALL SLAVES STATUS': [{ Master_Host: 'db0', Master_Port: 1 }] };
    assert.deepEqual(await live(MARIADB, all), ['it is a replica itself, of db0:1']);
  });

  test('a running replica to those who may not ask, by the status that all may see', async () => {
    const counts = variables({ Threads_connected: '1', Slaves_connected: '0', Slaves_running: '1' });
    const denied = { 'SHOW GLOBAL STATUS WHERE Variable_name IN': counts, 'SHOW ALL SLAVES STATUS': DENIED };
    assert.deepEqual(await live(MARIADB, denied), ['it is a replica itself']);
  });

  test('read-only, in each form', async () => {
    const signs = (values: Record<string, string>) => ({
      'SHOW GLOBAL VARIABLES': variables({ ...SIGNS, ...values }),
    });
    assert.deepEqual(await live(MYSQL, signs({ read_only: 'ON', super_read_only: 'ON' })), [
      'its @@super_read_only is on',
    ]);
    assert.deepEqual(await live(MYSQL, signs({ read_only: 'ON' })), ['its @@read_only is on']);
    assert.deepEqual(await live(MARIADB, signs({ read_only: 'NO_LOCK_NO_ADMIN' })), [
      'its @@read_only is on',
    ]);
    assert.deepEqual(await live(MARIADB, signs({ read_only: '0' })), []);
  });

  test('a node of a Galera cluster with others, in it or out of it; alone it is not', async () => {
    const size = (Value: string) => ({
      'SHOW GLOBAL STATUS WHERE Variable_name IN': variables({
        Threads_connected: '1',
        Slaves_connected: '0',
        wsrep_cluster_size: Value,
      }),
    });
    assert.deepEqual(await live(MARIADB, size('3')), ['it is one of 3 nodes of a Galera cluster']);
    assert.deepEqual(await live(MARIADB, size('1')), []);
    const cluster = (address: string) => ({
      'SHOW GLOBAL VARIABLES': variables({ ...SIGNS, wsrep_on: 'ON', wsrep_cluster_address: address }),
    });
    assert.match((await live(MARIADB, cluster('gcomm://a,b?x=1'))).join(), /configured as a node .*\(a,b\)/);
    assert.deepEqual(await live(MARIADB, cluster('gcomm://')), []);
  });

  test('a member of a group with others; of a group by itself it is not', async () => {
    const members = (...hosts: string[]) => ({
      'SHOW GLOBAL VARIABLES': variables({ ...SIGNS, group_replication_group_name: 'g' }),
      'SELECT MEMBER_HOST': hosts.map((member) => ({ member })),
    });
    assert.deepEqual(await live(MYSQL, members('a', 'b', 'c')), [
      'it is one of 3 members of a replication group',
    ]);
    assert.deepEqual(await live(MYSQL, members('a')), []);
    assert.deepEqual(await live(MYSQL, members('')), [], 'the plugin is there, and nobody is in it');
  });
});

describe('a question stays open', () => {
  test('for want of a privilege, which is named', async () => {
    const denied = { 'SHOW REPLICAS': DENIED, 'SHOW SLAVE HOSTS': DENIED, 'SHOW REPLICA STATUS': DENIED };
    const inquiry = await ask({
      ...MYSQL,
      ...denied,
      'SHOW SLAVE STATUS': DENIED,
      'SELECT HOST AS source_host': 1142,
    });
    assert.deepEqual(open(inquiry), ['attached', 'replica']);
    assert.deepEqual(inquiry.open.get('attached')?.get('user0'), {
      why: 'denied 1227',
      grant: 'REPLICATION SLAVE ON *.*',
    });
    assert.equal(inquiry.open.get('replica')?.get('user0')?.grant, 'REPLICATION CLIENT ON *.*');
  });

  test('for what the server said in its own words, and not for words of other releases that it does not know', async () => {
    const inquiry = await ask({
      ...MYSQL,
      'SHOW REPLICAS': DENIED,
      'SHOW SLAVE HOSTS': SYNTAX,
      'SHOW REPLICA STATUS': DENIED,
      'SHOW SLAVE STATUS': SYNTAX,
      'SELECT HOST AS source_host': 1142,
    });
    const why = (['attached', 'replica'] as const).map((name) => inquiry.open.get(name)?.get('user0')?.why);
    assert.deepEqual(why, ['denied 1227', 'denied 1227']);
  });

  test('until one of the users brings the answer; live by any of them is live', async () => {
    const denied: Answers = { ...MARIADB, 'SHOW ALL SLAVES STATUS': DENIED };
    assert.deepEqual(open(await ask(denied, denied)), ['replica']);
    assert.deepEqual(open(await ask(denied, MARIADB)), []);
    const isReplica = { 'SHOW ALL SLAVES STATUS': [{ Master_Host: 'db0', Master_Port: 1 }] };
    const inquiry = await ask(denied, { ...MARIADB, ...isReplica });
    assert.deepEqual([...inquiry.live], ['it is a replica itself, of db0:1']);
  });

  test('where a status that misses stopped replicas is all there is', async () => {
    assert.deepEqual(open(await ask({ ...MARIADB, 'SHOW ALL SLAVES STATUS': SYNTAX })), ['replica']);
  });

  test('but other sources of the same answer close it', async () => {
    const denied: Answers = {
      ...MYSQL,
      'SHOW REPLICAS': DENIED,
      'SHOW SLAVE HOSTS': DENIED,
      'SHOW REPLICA STATUS': DENIED,
      'SHOW SLAVE STATUS': DENIED,
    };
    const sees = { 'SHOW GRANTS': [{ g: 'GRANT SELECT, PROCESS ON *.* TO `app`@`%`' }] };
    assert.deepEqual(open(await ask({ ...denied, ...sees })), []);
    const noLog = { 'SHOW GLOBAL VARIABLES': variables({ ...SIGNS, log_bin: 'OFF' }) };
    assert.deepEqual(open(await ask({ ...denied, ...noLog })), []);
    const own = { 'SHOW GRANTS': [{ g: 'GRANT PROCESS ON `a`.* TO `app`@`%`' }] };
    assert.deepEqual(open(await ask({ ...denied, ...own })), ['attached']);
  });

  test('to what answers every statement alike, as a null responder does: all of them', async () => {
    const inquiry = new Inquiry();
    await askAs(inquiry, 'app', async () => [{ c: '777' }]);
    assert.deepEqual(open(inquiry), ['identity', 'readOnly', 'attached', 'replica', 'galera', 'group']);
    assert.deepEqual([[...inquiry.live], inquiry.identity], [[], undefined]);
  });

  test('where the connection breaks', async () => {
    const inquiry = new Inquiry();
    const gone = askAs(inquiry, 'app', async () => {
      throw new Error('gone');
    });
    await assert.rejects(gone, /gone/);
    assert.equal(inquiry.open.size, 6);
  });
});
