/** Never onto production, by real servers: known again behind other addresses, or with replicas, or one themselves. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Lab, type RunResult } from '../../scripts/lab/lab.ts';
import type { Host } from '../../scripts/lab/network.ts';
import { PORT, type Server } from '../../scripts/lab/server.ts';
import { CLI, Recording, type ReplayFiles, writeReplayFiles } from '../../scripts/lab/tape.ts';
import { EXIT } from '../../src/errors.ts';
import { labObstacle } from './support/capability.ts';
import { runSteps } from './support/path.ts';

const LIMIT_MS = 15_000;
/** Of online, beside its own; and one that is nobody's. */
const SECOND = '10.77.0.9';
const NOBODYS = '10.77.0.99';
const NATTED = 3399;

const REPLICA = "IDENTIFIED BY 'replica-secret'";
const SOURCE = "MASTER_USER = 'replica', MASTER_PASSWORD = 'replica-secret', MASTER_USE_GTID = slave_pos";

describe('the interlock', { skip: labObstacle() ?? false }, () => {
  let lab: Lab;
  let files: ReplayFiles;
  /** With and without the recorded server's word on who it is. */
  let told: string;
  let untold: string;
  let runs = 0;
  let lastOut = '';
  const online = () => lab.server('online');
  const target = () => lab.server('target');

  before(async () => {
    lab = await Lab.up({ name: 'mytape-e2e-interlock' });
    files = writeReplayFiles(lab);
    await online().sql("CREATE USER monitor@'%' IDENTIFIED BY 'monitor-secret'");
    const password = join(lab.runFolder, 'password');
    writeFileSync(password, 'monitor-secret\n', { mode: 0o600 });
    told = join(lab.runFolder, 'told.tape');
    untold = join(lab.runFolder, 'untold.tape');
    const url = `mysql://monitor@${lab.addresses.online}:${PORT}`;
    const both = await Promise.all([
      Recording.start(lab, told, ['--snapshot-from', url, '--password-file', password]),
      Recording.start(lab, untold),
    ]);
    while (!existsSync(join(told, 'snapshots.jsonl'))) await sleep(20);
    await runSteps(lab, { connections: 2, steps: [{ query: 'SELECT 1' }] });
    await Promise.all(both.map((recording) => recording.stop()));
    await lab.run('online', 'ip', ['addr', 'add', `${SECOND}/24`, 'dev', 'eth0']);
    for (const host of ['online', 'assistant'] as const) {
      const rule = `ip daddr ${NOBODYS} tcp dport ${NATTED} dnat to ${lab.addresses.online}:${PORT}`;
      const table = `table ip vip { chain out { type nat hook output priority -100; ${rule}; }; }`;
      const made = await lab.run(host, 'nft', [table]);
      assert.equal(made.code, 0, made.stderr);
    }
  });
  after(() => lab?.down());

  /** By socket, from `host`. */
  function replay(host: Host, tape: string, onto: string, ...extra: string[]): Promise<RunResult> {
    lastOut = join(lab.runFolder, `run-${++runs}`);
    const way = ['-x', `${PORT}-${onto}`, '--transport', 'socket', '--users', files.users, '--speed', 'max'];
    return lab.run(host, process.execPath, [CLI, 'replay', tape, ...way, '--out', lastOut, ...extra]);
  }

  async function refused(result: Promise<RunResult>, why: RegExp): Promise<void> {
    const { code, stderr, stdout } = await result;
    assert.match(stderr, why);
    assert.match(stderr, /replay onto a test server \(or say --allow-live-target\)/);
    assert.deepEqual([code, stdout], [EXIT.refused, '']);
    assert.ok(!existsSync(lastOut), 'nothing was begun');
  }

  async function done(result: Promise<RunResult>): Promise<string> {
    const { code, stderr } = await result;
    assert.equal(code, EXIT.done, stderr);
    return stderr;
  }

  const at = (address: string, port = PORT) => `${address}:${port}`;
  const toTarget = () => at(lab.addresses.target);

  test('a server with no replica is none of production, though of the same host name, port and server id', async () => {
    const who = async (server: Server) => (await server.sql('SELECT @@hostname, @@port, @@server_id'))[0];
    assert.deepEqual(await who(online()), await who(target()), 'namespaces of one machine');
    const said = await done(replay('assistant', told, toTarget()));
    assert.match(
      said,
      /app may not ask 10\.77\.0\.3:3307 whether it is a replica: the run goes on \(.*GRANT SLAVE MONITOR\)/,
    );
  });

  test('the recorded server is known by its address', async () => {
    const why = /10\.77\.0\.2:3307 is the server that .*tape was recorded from/;
    await refused(replay('assistant', untold, at(lab.addresses.online)), why);
  });

  test('the recorded server is known by another address, from a host of neither', async () => {
    const why =
      /10\.77\.0\.9:3307 is the server that .*told\.tape was recorded from, by @@hostname .*, @@server_uid /;
    await refused(replay('assistant', told, at(SECOND)), why);
    await done(replay('assistant', told, at(SECOND), '--allow-live-target'));
  });

  test('the recorded server is known behind address translation', async () => {
    await refused(
      replay('assistant', told, at(NOBODYS, NATTED)),
      /10\.77\.0\.99:3399 is the server .*@@server_uid/,
    );
  });

  test('a mirror, on another host, knows its server by whom it asks for snapshots', async () => {
    const url = `mysql://monitor@${lab.addresses.online}:${PORT}`;
    const password = join(lab.runFolder, 'password');
    const onto = ['-x', `${PORT}-${at(NOBODYS, NATTED)}`, '--transport', 'socket', '--users', files.users];
    const who = ['--snapshot-from', url, '--snapshot-password-file', password];
    const args = [CLI, 'mirror', '-i', 'eth0', ...onto, ...who, '--out', join(lab.runFolder, 'mirror')];
    const { code, stderr } = await lab.run('assistant', process.execPath, args);
    assert.match(stderr, /10\.77\.0\.99:3399 is the server that is mirrored, by .*@@server_uid/);
    assert.equal(code, EXIT.refused);
  });

  test('on the recorded server itself nothing else need be known of it', async () => {
    await refused(
      replay('online', untold, at(SECOND)),
      /10\.77\.0\.9:3307 is this host, as 10\.77\.0\.2:3307 is/,
    );
    await refused(replay('online', untold, at('127.0.0.1')), /127\.0\.0\.1:3307 is this host/);
    await refused(
      replay('online', untold, at(NOBODYS, NATTED)),
      /by its end of our connection, which is on this host/,
    );
    await done(replay('online', untold, toTarget()));
  });

  test('doctor --transport socket: greeting, login, TLS, and what the interlock would say', async () => {
    const doctor = async (onto: string, ...args: string[]) => {
      const way = ['-x', `${PORT}-${onto}`, '--transport', 'socket', ...args];
      const { code, stdout } = await lab.run('assistant', process.execPath, [CLI, 'doctor', ...way]);
      return { code, steps: stdout.trimEnd().split('\n') };
    };
    const well = await doctor(toTarget(), '--users', files.users, '--archive', told);
    assert.equal(well.code, 0, well.steps.join('\n'));
    const [archive, greeting, app, sbtest, lock, verdict] = well.steps;
    assert.match(archive, /^ok +archive .*the target is none of its servers/);
    assert.match(greeting, /^ok +greeting +10\.77\.0\.3 port 3307 greets in [\d.]+ ms: 10\./);
    assert.match(`${app}\n${sbtest}`, /^ok +login +app logs in\nok +login +sbtest logs in$/);
    assert.match(lock, /^warning +interlock +app may not ask whether it is a replica/);
    assert.equal(verdict, 'ready to replay, 1 warning');
    const again = await doctor(at(SECOND), '--users', files.users, '--archive', told);
    assert.match(again.steps.join('\n'), /failed +interlock +the target is the server .* by @@hostname/);
    const secure = await doctor(toTarget(), '--users', files.users, '--target-tls', 'none');
    assert.match(
      secure.steps.join('\n'),
      /failed +login +app cannot log in over TLS, its certificate not looked at: /,
    );
    const nobody = await doctor(toTarget());
    assert.match(nobody.steps.join('\n'), /warning +login +not tried: name users/);
    const closed = await doctor(at(lab.addresses.target, 1), '--users', files.users);
    assert.match(closed.steps.join('\n'), /^failed +greeting +no connection to 10\.77\.0\.3 port 1: refused/);
    assert.deepEqual([again.code, secure.code, nobody.code, closed.code], [1, 1, 0, 1]);
  });

  async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + LIMIT_MS;
    while (!(await isSo())) {
      assert.ok(performance.now() < deadline, `not within ${LIMIT_MS / 1000} s: ${what}`);
      await sleep(50);
    }
  }

  /** `replica` replicates from `source` until the answer is called; that leaves `replica` configured, and stopped. */
  async function replicate(replica: Server, source: Server, host: Host): Promise<void> {
    await source.stop();
    await source.start(['--server-id=11', '--log-bin=binlog']);
    await source.sql(`CREATE OR REPLACE USER replica@'%' ${REPLICA}`);
    await source.sql("GRANT REPLICATION SLAVE ON *.* TO replica@'%'");
    await replica.sql('SET GLOBAL server_id = 12');
    const onto = `MASTER_HOST = '${lab.addresses[host]}', MASTER_PORT = ${PORT}`;
    await replica.sql(`CHANGE MASTER TO ${onto}, ${SOURCE}`);
    await replica.sql('START SLAVE');
    await until('it replicates', async () => {
      const [row] = await replica.sql('SHOW SLAVE STATUS');
      return row.Slave_IO_Running === 'Yes' && row.Slave_SQL_Running === 'Yes';
    });
  }

  test('a target with a replica looks live', async () => {
    await replicate(online(), target(), 'target');
    await until('target has a replica', async () => (await target().counters()).Slaves_connected === 1);
    await refused(
      replay('assistant', untold, toTarget()),
      /10\.77\.0\.3:3307 looks live: a replica is attached to it/,
    );
    await done(replay('assistant', untold, toTarget(), '--allow-live-target'));
    await online().sql('STOP SLAVE');
    await online().sql('RESET SLAVE ALL');
    // The server learns of its going when it next writes to it.
    for (const { Id, Command } of await target().processlist())
      if (Command === 'Binlog Dump') await target().sql(`KILL ${Id}`);
    await until('it has none', async () => (await target().counters()).Slaves_connected === 0);
    await done(replay('assistant', untold, toTarget()));
  });

  test('a target that is a replica looks live; a stopped one to those who may ask', async () => {
    await replicate(target(), online(), 'online');
    await refused(
      replay('assistant', untold, toTarget()),
      /10\.77\.0\.3:3307 looks live: it is a replica itself/,
    );
    await target().sql('STOP SLAVE');
    const said = await done(replay('assistant', untold, toTarget()));
    assert.match(said, /whether it is a replica/);
    await target().sql("GRANT SLAVE MONITOR ON *.* TO app@'%'");
    await refused(replay('assistant', untold, toTarget()), /it is a replica itself, of 10\.77\.0\.2:3307/);
    await done(replay('assistant', untold, toTarget(), '--allow-live-target'));
    await target().sql('RESET SLAVE ALL');
    assert.doesNotMatch(await done(replay('assistant', untold, toTarget())), /may not ask|cannot ask/);
  });
});
