/** Never onto production, by real servers: known again behind other addresses, or with replicas, or one themselves. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Background } from '../../scripts/lab/background.ts';
import { Lab, type RunResult } from '../../scripts/lab/lab.ts';
import type { Host } from '../../scripts/lab/network.ts';
import { PORT, type Server, USERS } from '../../scripts/lab/server.ts';
import { CLI, Recording, type ReplayFiles, writeReplayFiles } from '../../scripts/lab/tape.ts';
import { SERVERS_FILE } from '../../src/archive/known-servers.ts';
import { EXIT } from '../../src/errors.ts';
import { until } from '../support/until.ts';
import { brandsObstacle } from './support/capability.ts';
import { PAIR, readSummary, runSteps } from './support/path.ts';

/** Of online, beside its own; and one that is nobody's. */
const SECOND = '10.77.0.9';
const NOBODYS = '10.77.0.99';
const NATTED = 3399;
const PROXY = fileURLToPath(new URL('support/proxy.js', import.meta.url));
const PROXIED = 3400;

/** By what online is known again: MySQL by its UUID, MariaDB by what its process shows, and by what it says itself. */
const KNOWN_BY =
  PAIR.online === 'mysql'
    ? { process: '@@server_uuid ', word: '@@server_uuid ' }
    : { process: '@@hostname .*, @@datadir \\S+online', word: '@@hostname .*, @@server_uid ' };

/** How the brands speak of replication; of two brands neither replicates from the other. */
const REPLICATION = {
  mariadb: {
    // Without TLS, which a replica of MariaDB 11 wants and a source of 10 has not.
    source: (host: string) =>
      `CHANGE MASTER TO MASTER_HOST = '${host}', MASTER_PORT = ${PORT}, MASTER_USER = 'replica',
         MASTER_PASSWORD = 'replica-secret', MASTER_USE_GTID = slave_pos,
         MASTER_SSL = 0, MASTER_SSL_VERIFY_SERVER_CERT = 0`,
    start: 'START SLAVE',
    stop: 'STOP SLAVE',
    forget: 'RESET SLAVE ALL',
    status: 'SHOW SLAVE STATUS',
    running: ['Slave_IO_Running', 'Slave_SQL_Running'],
    dump: ['Binlog Dump'],
    settings: ['--server-id=11', '--log-bin=binlog'],
  },
  mysql: {
    source: (host: string) =>
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '${host}', SOURCE_PORT = ${PORT}, SOURCE_USER = 'replica',
         SOURCE_PASSWORD = 'replica-secret', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1`,
    start: 'START REPLICA',
    stop: 'STOP REPLICA',
    forget: 'RESET REPLICA ALL',
    status: 'SHOW REPLICA STATUS',
    running: ['Replica_IO_Running', 'Replica_SQL_Running'],
    dump: ['Binlog Dump', 'Binlog Dump GTID'],
    settings: ['--server-id=11', '--log-bin=binlog', '--gtid-mode=ON', '--enforce-gtid-consistency=ON'],
  },
} as const;
const replication = REPLICATION[PAIR.target === 'mysql' ? 'mysql' : 'mariadb'];
const noReplication =
  (PAIR.online === 'mysql') === (PAIR.target === 'mysql')
    ? false
    : 'MySQL and MariaDB do not replicate from one another';

describe('the interlock', { skip: brandsObstacle(PAIR.online, PAIR.target) ?? false }, () => {
  let lab: Lab;
  let files: ReplayFiles;
  /** Recorded where the server is, and known by its process; by the server's own word; and by nothing, as older archives are. */
  let seen: string;
  let told: string;
  let unknown: string;
  let runs = 0;
  let lastOut = '';
  const online = () => lab.server('online');
  const target = () => lab.server('target');

  before(async () => {
    lab = await Lab.up({ name: 'mytape-e2e-interlock', ...PAIR });
    files = writeReplayFiles(lab);
    await online().sql("CREATE USER monitor@'%' IDENTIFIED BY 'monitor-secret'");
    const password = join(lab.runFolder, 'password');
    writeFileSync(password, 'monitor-secret\n', { mode: 0o600 });
    told = join(lab.runFolder, 'told.tape');
    seen = join(lab.runFolder, 'seen.tape');
    unknown = join(lab.runFolder, 'unknown.tape');
    const url = `mysql://monitor@${lab.addresses.online}:${PORT}`;
    const both = await Promise.all([
      Recording.start(lab, told, [
        '--snapshot-from',
        url,
        '--password-file',
        password,
        ...online().brand.loginOptions,
      ]),
      Recording.start(lab, seen),
    ]);
    while (!existsSync(join(told, 'snapshots.jsonl'))) await sleep(20);
    await runSteps(lab, { connections: 2, steps: [{ query: 'SELECT 1' }] });
    await Promise.all(both.map((recording) => recording.stop()));
    cpSync(seen, unknown, { recursive: true });
    for (const tape of [told, unknown]) rmSync(join(tape, SERVERS_FILE));
    await lab.run('online', 'ip', ['addr', 'add', `${SECOND}/24`, 'dev', 'eth0']);
    for (const host of ['online', 'assistant'] as const) {
      const rule = `ip daddr ${NOBODYS} tcp dport ${NATTED} dnat to ${lab.addresses.online}:${PORT}`;
      const table = `table ip vip { chain out { type nat hook output priority -100; ${rule}; }; }`;
      const made = await lab.run(host, 'nft', [table]);
      assert.equal(made.code, 0, made.stderr);
    }
  });
  after(() => lab?.down());

  /** What logs in to either of the servers in the clear, where anyone logs in. */
  function trust(extra: readonly string[] = []): readonly string[] {
    const options = new Set([online(), target()].flatMap(({ brand }) => brand.loginOptions));
    return extra.includes('raw') ? [] : [...options];
  }

  /** By socket, from `host`; `users`: the file of those who log in. */
  function replay(host: Host, tape: string, onto: string, ...extra: string[]): Promise<RunResult> {
    lastOut = join(lab.runFolder, `run-${++runs}`);
    const users = extra.includes('--users') || extra.includes('raw') ? [] : ['--users', files.users];
    const way = [
      '-x',
      `${PORT}-${onto}`,
      '--transport',
      'socket',
      ...users,
      '--speed',
      'max',
      ...trust(extra),
    ];
    return lab.run(host, process.execPath, [CLI, 'replay', tape, ...way, '--out', lastOut, ...extra]);
  }

  async function refused(
    result: Promise<RunResult>,
    why: RegExp,
    waiver = '--allow-live-target',
  ): Promise<void> {
    const { code, stderr, stdout } = await result;
    assert.match(stderr, why);
    assert.match(stderr, new RegExp(waiver));
    assert.deepEqual([code, stdout], [EXIT.refused, '']);
    assert.ok(!existsSync(lastOut), 'nothing was begun');
  }

  async function done(result: Promise<RunResult>): Promise<string> {
    const { code, stderr } = await result;
    assert.equal(code, EXIT.done, stderr);
    return stderr;
  }

  function usersFile(name: string, users: Record<string, string>): string[] {
    const file = join(lab.runFolder, name);
    const lines = Object.entries(users).map(([user, password]) => `${user}: ${password}\n`);
    writeFileSync(file, lines.join(''), { mode: 0o600 });
    return ['--users', file];
  }

  const at = (address: string, port = PORT) => `${address}:${port}`;
  const toTarget = () => at(lab.addresses.target);

  test('a server with no replica is none of production, though of the same host name, port and server id', async () => {
    const who = async (server: Server) => (await server.sql('SELECT @@hostname, @@port, @@server_id'))[0];
    assert.deepEqual(await who(online()), await who(target()), 'namespaces of one machine');
    for (const tape of [seen, told]) assert.equal(await done(replay('assistant', tape, toTarget())), '');
  });

  test('the recorded server is known by its address', async () => {
    const why = /10\.77\.0\.2:3307 is the server that .*tape was recorded from/;
    await refused(replay('assistant', unknown, at(lab.addresses.online)), why);
  });

  test('the recorded server is known by another address and behind address translation, from a host of neither', async () => {
    const process = new RegExp(
      `10\\.77\\.0\\.9:3307 is the server that .*seen\\.tape was recorded from, by ${KNOWN_BY.process}`,
    );
    await refused(replay('assistant', seen, at(SECOND)), process);
    const word = new RegExp(
      `10\\.77\\.0\\.9:3307 is the server that .*told\\.tape was recorded from, by ${KNOWN_BY.word}`,
    );
    await refused(replay('assistant', told, at(SECOND)), word);
    await done(replay('assistant', told, at(SECOND), '--allow-live-target'));
    await refused(
      replay('assistant', told, at(NOBODYS, NATTED)),
      /10\.77\.0\.99:3399 is the server .*@@server_uu?id/,
    );
  });

  test('a slow proxy in front of the recorded server leads to it, all the same', async () => {
    const command = [process.execPath, PROXY, String(PROXIED), at(lab.addresses.online), '100'];
    const proxy = await Background.start(lab, 'assistant', command, /listening/);
    try {
      await refused(
        replay('assistant', seen, at(lab.addresses.assistant, PROXIED)),
        new RegExp(`:3400 is the server .*${KNOWN_BY.process}`),
      );
    } finally {
      await proxy.stop();
    }
  });

  test('an archive of a server that no one knows is replayed where that is allowed', async () => {
    const why = /nothing shows which server 10\.77\.0\.2:3307 is, so it can't be recognized/;
    await refused(replay('assistant', unknown, toTarget()), why, '--allow-unidentified');
    const said = await done(replay('assistant', unknown, toTarget(), '--allow-unidentified'));
    assert.match(said, /nothing shows which server .*: the run goes on, as you allowed/);
    const dry = await done(replay('assistant', unknown, toTarget(), '--dry-run'));
    assert.equal(dry, '');
  });

  test('one flipped bit in who was recorded does not let a run onto the recorded server', async () => {
    const flipped = join(lab.runFolder, 'flipped.tape');
    cpSync(seen, flipped, { recursive: true });
    const path = join(flipped, SERVERS_FILE);
    const octets = readFileSync(path);
    octets[octets.indexOf('"hostname":"') + 12] ^= 1;
    writeFileSync(path, octets);
    const why = /line 1 of \S+servers\.json is damaged.*nothing shows which server 10\.77\.0\.2:3307 is/s;
    await refused(replay('assistant', flipped, at(SECOND)), why, '--allow-unidentified');
  });

  test('it asks as every user until one can answer; those who cannot log in are no answer', async () => {
    await online().sql("CREATE USER chg@'%' IDENTIFIED BY 'chg-secret'");
    await target().sql("CREATE USER chg@'%' IDENTIFIED BY 'chg-secret'");
    const unknowns = { un: 'x', deux: 'x', trois: 'x' };
    const fourth = usersFile('fourth', { ...unknowns, ...USERS });
    await refused(replay('assistant', seen, at(SECOND), ...fourth), new RegExp(KNOWN_BY.process));
    await done(replay('assistant', seen, toTarget(), ...fourth));
    const none = replay('assistant', seen, at(SECOND), ...usersFile('none', unknowns));
    await refused(
      none,
      /lets no one log in: un, deux, trois: Access denied.*: correct the names and passwords/,
      '--allow-unchecked-target',
    );
    const only = usersFile('only', { chg: 'chg-secret' });
    await refused(
      replay('assistant', seen, toTarget(), ...only),
      /no answer to “is it a replica itself[^“]*\(chg: Access denied[^“]*GRANT (SLAVE MONITOR|REPLICATION CLIENT) ON \*\.\* TO chg/,
      '--allow-unchecked-target',
    );
    const said = await replay('assistant', seen, toTarget(), ...only, '--allow-unchecked-target');
    assert.match(said.stderr, /is it a replica itself.*the run goes on, as you allowed/);
  });

  test('a mirror, on another host, knows its server by whom it asks for snapshots', async () => {
    const url = `mysql://monitor@${lab.addresses.online}:${PORT}`;
    const password = join(lab.runFolder, 'password');
    const socket = ['--transport', 'socket', '--users', files.users, ...trust()];
    const onto = ['-x', `${PORT}-${at(NOBODYS, NATTED)}`, ...socket];
    const who = ['--snapshot-from', url, '--snapshot-password-file', password];
    const args = [CLI, 'mirror', '-i', 'eth0', ...onto, '--out', join(lab.runFolder, 'mirror')];
    const { code, stderr } = await lab.run('assistant', process.execPath, [...args, ...who]);
    assert.match(stderr, /10\.77\.0\.99:3399 is the server that is mirrored, by .*@@server_uu?id/);
    assert.equal(code, EXIT.refused);
    const unasked = await lab.run('assistant', process.execPath, args);
    assert.match(
      unasked.stderr,
      /nothing shows which server the server of port 3307 is.*--allow-unidentified/,
    );
    assert.equal(unasked.code, EXIT.refused);
  });

  test('on the recorded server itself every address of the host is it, for whatever protocol', async () => {
    const here = /is this host, as 10\.77\.0\.2:3307 is/;
    await refused(replay('online', unknown, at(SECOND)), here);
    for (const address of ['127.0.0.1', '127.0.0.2', '0.0.0.0', '[::1]', '[::ffff:127.0.0.1]', '[::]'])
      await refused(replay('online', unknown, at(address)), here);
    for (const extra of [['--protocol', 'raw', '--allow-unchecked-target'], ['--dry-run']])
      await refused(replay('online', unknown, at('127.0.0.2'), ...extra), here);
    const nat = replay('online', unknown, at(NOBODYS, NATTED));
    await refused(nat, /by its end of our connection, which is on this host/);
    await done(replay('online', seen, toTarget()));
  });

  test('a target of a protocol that we do not know is replayed onto where that is allowed', async () => {
    const raw = ['--protocol', 'raw'];
    await refused(
      replay('assistant', seen, toTarget(), ...raw),
      /we can't query 10\.77\.0\.3:3307/,
      '--allow-unchecked-target',
    );
    const { code, stderr } = await replay('assistant', seen, toTarget(), ...raw, '--allow-unchecked-target');
    assert.match(stderr, /the run goes on, as you allowed/);
    assert.notEqual(code, EXIT.refused);
  });

  test('doctor --transport socket: greeting, login, TLS, and what the interlock would say', async () => {
    const doctor = async (onto: string, ...args: string[]) => {
      const way = ['-x', `${PORT}-${onto}`, '--transport', 'socket', ...args];
      if (args.includes('--users') && !args.includes('--target-tls')) way.push(...trust());
      const { code, stdout } = await lab.run('assistant', process.execPath, [CLI, 'doctor', ...way]);
      return { code, steps: stdout.trimEnd().split('\n') };
    };
    const well = await doctor(toTarget(), '--users', files.users, '--archive', told);
    assert.equal(well.code, 0, well.steps.join('\n'));
    const [archive, greeting, app, sbtest, lock, version, mode, verdict] = well.steps;
    assert.match(archive, /^ok +archive .*the target is none of its servers/);
    assert.match(greeting, /^ok +greeting +10\.77\.0\.3 port 3307 greets in [\d.]+ ms: \d+\.\d/);
    assert.match(`${app}\n${sbtest}`, /^ok +login +app logs in\nok +login +sbtest logs in$/);
    assert.match(lock, /^ok +interlock +the target is not a recorded server/);
    const [here, there] = [target(), online()].map(
      ({ brand, programs }) => `${brand.title} ${/^[\d.]+/.exec(programs.version)?.[0]}`,
    );
    const isSame = PAIR.target === PAIR.online;
    assert.match(
      version,
      new RegExp(
        `^${isSame ? 'ok' : 'warning'} +version +the target is ${here}, the recorded server was ${there}`,
      ),
    );
    assert.match(
      mode,
      online().brand.title === target().brand.title
        ? /^ok +sql_mode +.*STRICT_TRANS_TABLES,.*, as recorded$/
        : /^warning +sql_mode +the target's lacks .*(NO_AUTO_CREATE_USER|ONLY_FULL_GROUP_BY)/,
    );
    assert.match(verdict, isSame ? /^ready to replay$/ : /^ready to replay, [12] warnings?$/);
    const again = await doctor(at(SECOND), '--users', files.users, '--archive', told);
    assert.match(
      again.steps.join('\n'),
      new RegExp(`failed +interlock +10\\.77\\.0\\.9:3307 is the server .* by ${KNOWN_BY.word}`),
    );
    const open = await doctor(toTarget(), ...usersFile('only', { chg: 'chg-secret' }), '--archive', unknown);
    assert.match(open.steps.join('\n'), /failed +interlock .*no answer to “is it a replica itself/);
    assert.match(
      open.steps.join('\n'),
      /failed +interlock .*nothing shows which server .*--allow-unidentified/,
    );
    const secure = await doctor(toTarget(), '--users', files.users, '--target-tls', 'none');
    // Beside MariaDB 10.11 each of them has a certificate of its own making.
    const hasTls = PAIR.target !== 'mariadb';
    assert.match(
      secure.steps.join('\n'),
      hasTls
        ? /ok +login +app logs in/
        : /failed +login +app cannot log in over TLS, its certificate not looked at: /,
    );
    const nobody = await doctor(toTarget());
    assert.match(nobody.steps.join('\n'), /warning +login +not tried: name users/);
    const closed = await doctor(at(lab.addresses.target, 1), '--users', files.users);
    assert.match(closed.steps.join('\n'), /^failed +greeting +no connection to 10\.77\.0\.3 port 1: refused/);
    const codes = [again, open, secure, nobody, closed].map(({ code }) => code);
    assert.deepEqual(codes, [1, 1, hasTls ? 0 : 1, 0, 1]);
  });

  test('a mirror whose target leads back to its own server stops when it hears itself, before a hundred statements', async () => {
    await online().sql('CREATE TABLE sbtest.heard (who VARCHAR(10))');
    const command = [process.execPath, PROXY, String(PROXIED), at(lab.addresses.online), '5'];
    const proxy = await Background.start(lab, 'assistant', command, /listening/);
    const out = join(lab.runFolder, 'own-voice');
    const onto = [
      '-x',
      `${PORT}-${at(lab.addresses.assistant, PROXIED)}`,
      '--transport',
      'socket',
      '-C',
      '2',
    ];
    const args = [CLI, 'mirror', '-i', 'eth0', ...onto, '--users', files.users, ...trust(), '--out', out];
    try {
      const refused = await lab.run('online', process.execPath, args);
      assert.match(
        refused.stderr,
        new RegExp(`:3400 is the server that is mirrored, by ${KNOWN_BY.process}`),
      );
      const running = [process.execPath, ...args, '--allow-live-target'];
      const mirror = await Background.start(lab, 'online', running, /mirroring on/);
      const insert = "INSERT INTO sbtest.heard VALUES ('client')";
      await runSteps(lab, { connections: 4, steps: [{ query: insert }, { query: insert }] });
      const { code, stderr } = await mirror.ended;
      assert.match(
        stderr,
        /the target leads back to the server that is mirrored, and the mirror heard itself: (its mark, which no one else says|a connection of its own)/,
      );
      assert.equal(code, EXIT.invalidRun);
      const { verdict, reasons } = readSummary(out);
      assert.deepEqual([verdict, /heard itself/.test(reasons.join())], ['invalid', true]);
      const [{ n }] = await online().sql('SELECT COUNT(*) AS n FROM sbtest.heard');
      assert.ok(Number(n) >= 8 && Number(n) < 100, `${n} rows of 8`);
    } finally {
      await proxy.stop();
    }
  });

  /** `replica` replicates from `source` until the answer is called; that leaves `replica` configured, and stopped. */
  async function replicate(replica: Server, source: Server, host: Host): Promise<void> {
    await source.stop();
    await source.start([...replication.settings]);
    await source.sql("CREATE USER IF NOT EXISTS replica@'%' IDENTIFIED BY 'replica-secret'");
    await source.sql("GRANT REPLICATION SLAVE ON *.* TO replica@'%'");
    if (PAIR.target === 'mysql') {
      await replica.stop();
      // With a binary log of its own it would be asked for replicas, too, which takes a privilege.
      await replica.start(replication.settings.filter((each) => !each.startsWith('--log-bin')));
    }
    await replica.sql('SET GLOBAL server_id = 12');
    await replica.sql(replication.source(lab.addresses[host]));
    await replica.sql(replication.start);
    await until('it replicates', async () => {
      const [row] = await replica.sql(replication.status);
      return replication.running.every((thread) => row[thread] === 'Yes');
    });
  }

  const dumps = async () =>
    (await target().processlist()).filter(({ Command }) => replication.dump.some((each) => each === Command));

  test('a target with a replica looks live', { skip: noReplication }, async () => {
    await replicate(online(), target(), 'target');
    await until('target has a replica', async () => (await dumps()).length === 1);
    if (PAIR.target === 'mysql') {
      // It has no count of them that everyone may see.
      await refused(
        replay('assistant', seen, toTarget()),
        /no answer to “is a replica attached to it\?” \(app, sbtest: Access denied.*REPLICATION SLAVE.*GRANT REPLICATION SLAVE ON \*\.\* TO app/,
        '--allow-unchecked-target',
      );
      await target().sql("GRANT REPLICATION SLAVE ON *.* TO app@'%'");
    }
    await refused(
      replay('assistant', seen, toTarget()),
      /10\.77\.0\.3:3307 looks live: a replica is attached to it/,
    );
    await done(replay('assistant', seen, toTarget(), '--allow-live-target'));
    await online().sql(replication.stop);
    await online().sql(replication.forget);
    // The server learns of its going when it next writes to it.
    for (const { Id } of await dumps()) await target().sql(`KILL ${Id}`);
    await until('it has none', async () => (await dumps()).length === 0);
    await done(replay('assistant', seen, toTarget()));
  });

  test('a target that is a replica looks live, running or stopped, whoever is asked first', {
    skip: noReplication,
  }, async () => {
    await replicate(target(), online(), 'online');
    const chgFirst = usersFile('chg-first', { chg: 'chg-secret', ...USERS });
    const only = usersFile('only', { chg: 'chg-secret' });
    await refused(
      replay('assistant', seen, toTarget(), ...only),
      // MySQL shows nobody without the privilege that it replicates.
      PAIR.target === 'mysql'
        ? /no answer to “is it a replica/
        : /10\.77\.0\.3:3307 looks live: it is a replica itself/,
      PAIR.target === 'mysql' ? '--allow-unchecked-target' : '--allow-live-target',
    );
    await target().sql(replication.stop);
    await refused(
      replay('assistant', seen, toTarget(), ...only),
      /no answer to “is it a replica/,
      '--allow-unchecked-target',
    );
    await refused(
      replay('assistant', seen, toTarget(), ...chgFirst),
      /it is a replica itself, of 10\.77\.0\.2:3307/,
    );
    await done(replay('assistant', seen, toTarget(), '--allow-live-target'));
    await target().sql(replication.forget);
    assert.equal(await done(replay('assistant', seen, toTarget())), '');
  });

  test('a read-only target looks live', async () => {
    await target().sql('SET GLOBAL read_only = 1');
    await refused(
      replay('assistant', seen, toTarget()),
      /10\.77\.0\.3:3307 looks live: its @@read_only is on/,
    );
    await target().sql('SET GLOBAL read_only = 0');
  });
});
