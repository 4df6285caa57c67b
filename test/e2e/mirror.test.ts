/** Live traffic onto the target: every command that the clients made is made there. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Background } from '../../scripts/lab/background.ts';
import { countsOf, difference } from '../../scripts/lab/compare.ts';
import { CLIENTS } from '../../scripts/lab/network.ts';
import { PORT, USERS } from '../../scripts/lab/server.ts';
import { CLI, RELAY_PORT, type RecordSummary, startIntercept } from '../../scripts/lab/tape.ts';
import { runClients } from '../../scripts/lab/workload.ts';
import { assertWithoutRights, rightsOf } from '../support/rights.ts';
import { until } from '../support/until.ts';
import { assertMirrored, mirrorArguments, mirrored, startMirror, sysbench } from './support/mirrored.ts';
import { assertAddsUp, labTests, readSummary, runSteps, type TestBed } from './support/path.ts';

/** Through an intercept on the assistant. */
function byIntercept(bed: TestBed): string[] {
  return ['-s', `${bed.lab.addresses.assistant}:${RELAY_PORT}`, '--key-file', bed.files.key];
}

/** An address of online's that no interface with a network has. */
const VIP = '10.79.0.9';

const BY_SOCKET = ['--transport', 'socket'];

labTests('mirror', (it) => {
  it('64 threads of sysbench at full speed, by intercept, the interface found', async (bed) => {
    const intercept = await startIntercept(bed.lab, bed.files);
    const run = await mirrored(bed, {
      args: [...byIntercept(bed), '-C', '2'],
      workload: () => sysbench(bed, { threads: 64, transactions: 1500 }),
    });
    await intercept.stop();
    assertMirrored(run);
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stderr, /capturing on eth0: the server of port 3307 listens on all addresses/);
  });

  it('64 threads of prepared statements against loopback, whose packets are larger than any MTU', async (bed) => {
    const intercept = await startIntercept(bed.lab, bed.files);
    const run = await mirrored(bed, {
      // What comes from 127.0.0.1 can be answered nowhere else.
      args: [...byIntercept(bed), '-i', 'lo', '--clients', CLIENTS, '-C', '2'],
      workload: () =>
        sysbench(bed, { from: 'online', to: '127.0.0.1', threads: 64, transactions: 1000, prepared: true }),
    });
    await intercept.stop();
    assertMirrored(run);
  });

  it('ten copies, by intercept', async (bed) => {
    const intercept = await startIntercept(bed.lab, bed.files);
    const run = await mirrored(bed, {
      copies: 10,
      args: [...byIntercept(bed), '-C', '4'],
      workload: () => sysbench(bed, { threads: 8, transactions: 200 }),
    });
    await intercept.stop();
    assertMirrored(run);
  });

  it('by ordinary connections, sessions of a few queries each among them', async (bed) => {
    const run = await mirrored(bed, {
      copies: 2,
      args: [...BY_SOCKET, '-i', 'eth0', '-C', '2'],
      workload: () =>
        Promise.all([
          sysbench(bed, { threads: 16, transactions: 200 }),
          runClients(bed.lab, { kind: 'short', connections: 100, seconds: 1, rounds: 2 }),
        ]),
    });
    assertMirrored(run);
    assert.equal(run.code, 0, run.stderr);
  });

  it('a virtual address on a veth, whose packets come by another interface: all are captured, each once', async (bed) => {
    const { online, target } = bed.lab.addresses;
    const add = 'ip link add vip0 type veth peer name vip1 && ip link set vip0 up && ip link set vip1 up';
    await bed.lines('online', `${add} && ip addr add ${VIP}/32 dev vip0`);
    await bed.lines('client', `ip route add ${VIP}/32 via ${online}`);
    try {
      const run = await mirrored(bed, {
        args: [...BY_SOCKET, '-x', `${VIP}:${PORT}-${target}:${PORT}`, '-C', '2'],
        workload: () => sysbench(bed, { to: VIP, threads: 8, transactions: 100 }),
      });
      assertMirrored(run);
      assert.match(
        run.stderr,
        /capturing on any: vip0 has 10\.79\.0\.9, which the server of port 3307 listens on/,
      );
    } finally {
      await bed.lines('client', `ip route del ${VIP}/32`);
      await bed.lines('online', 'ip link del vip0');
    }
  });

  it('goes on when the interface that it captures on was down, and says what it missed', async (bed) => {
    const clients = () => sysbench(bed, { from: 'online', to: '127.0.0.1', threads: 4, transactions: 50 });
    const link = (state: string) => bed.lab.run('online', 'ip', ['link', 'set', 'lo', state]);
    const run = await mirrored(bed, {
      args: [...BY_SOCKET, '-i', 'lo', '-C', '2'],
      workload: async () => {
        await clients();
        await link('down');
        await link('up');
        await clients();
      },
    });
    assertMirrored(run);
    const { captured, verdict, reasons } = run.summary;
    assert.equal(captured.gaps?.count, 1);
    assert.equal(verdict, 'invalid');
    assert.match(reasons.join(), /the capture had a gap of .* s: its interface was down/);
    assert.match(run.stderr, /lo is down: waiting.*\n.*lo is up again: a gap of/);
  });

  it("the old tools' command lines, in the environment that says where the key and the users are", async (bed) => {
    const env = { ...process.env, MYTAPE_KEY_FILE: bed.files.key, MYTAPE_USERS_FILE: bed.files.users };
    const { assistant, target } = bed.lab.addresses;
    const files = ['--pid-file', bed.fresh('pid'), '--log-file', bed.fresh('log')];
    const intercept = [
      'intercept',
      '-i',
      'eth0',
      '-F',
      `tcp and src port ${PORT}`,
      '-p',
      `${RELAY_PORT}`,
      '-d',
    ];
    const started = await bed.lab.run('assistant', process.execPath, [CLI, ...intercept, ...files], { env });
    assert.equal(started.code, 0, started.stderr);
    try {
      const out = bed.fresh('mirror');
      const [x, s] = [`${PORT}-${target}:${PORT}`, `${assistant}:${RELAY_PORT}`];
      const mirror = await Background.start(
        bed.lab,
        'online',
        [process.execPath, CLI, 'mirror', '-x', x, '-s', s, '-C', '4', '-n', '50', '--out', out],
        /mirroring on/,
        { env },
      );
      const before = await Promise.all([countsOf(bed.online), countsOf(bed.target)]);
      await runClients(bed.lab, { kind: 'short', connections: 20, seconds: 1, rounds: 2 });
      const online = difference(await countsOf(bed.online), before[0]);
      await bed.assertNobodyOnTarget(30_000);
      const { code, stderr } = await mirror.stop();
      const mirroredTo = difference(await countsOf(bed.target), before[1]);
      assertMirrored({ summary: readSummary(out), online, target: mirroredTo, stderr, code });
    } finally {
      process.kill(Number(readFileSync(files[1], 'utf8')));
    }
  });

  it('sessions that were there before: who they are, the server tells', async (bed) => {
    const mirrorIsReady = bed.fresh('go');
    const old = runSteps(bed.lab, {
      connections: 6,
      rounds: 60,
      steps: [
        { query: 'SELECT c FROM sbtest1 WHERE id = 7' },
        { pauseMs: 100 },
        { untilFile: mirrorIsReady },
      ],
    });
    await until('they are logged in', async () => {
      const list = await bed.online.processlist();
      return list.filter(({ db }) => db === 'sbtest').length === 6;
    });
    const password = bed.fresh('password');
    writeFileSync(password, `${USERS.app}\n`, { mode: 0o600 });
    const ask = [
      '--snapshot-from',
      `mysql://app@${bed.lab.addresses.online}:${PORT}`,
      '--snapshot-password-file',
      password,
    ];
    const { summary } = await mirrored(bed, {
      args: [...BY_SOCKET, '-C', '2', ...ask],
      workload: () => {
        writeFileSync(mirrorIsReady, '');
        return old;
      },
    });
    const { adopted, completed, skipped } = summary.sessions;
    assert.deepEqual({ adopted, completed, skipped }, { adopted: 6, completed: 6, skipped: {} });
    assert.ok(summary.commands.answered > 6 * 5, `${summary.commands.answered} commands`);
    assert.deepEqual(summary.commands.lost, {});
    assertAddsUp(summary);
  });

  it('KILL ends the connection that stands for the one it names, whichever thread has it', async (bed) => {
    const { summary } = await mirrored(bed, {
      args: [...BY_SOCKET, '-C', '3'],
      workload: async () => {
        const victims = Array.from({ length: 8 }, () =>
          bed.lab.run('client', 'mariadb', [...login(bed), '-e', "SELECT 'victim', SLEEP(20)"]),
        );
        let ids: number[] = [];
        await until('the victims wait', async () => {
          const list = await bed.online.processlist();
          ids = list.filter(({ Info }) => Info?.includes('victim')).map(({ Id }) => Id);
          return ids.length === 8;
        });
        const kills = ids.map((id) => `KILL ${id}`).join(';');
        const killer = await bed.lab.run('client', 'mariadb', [...login(bed), '-e', kills]);
        assert.equal(killer.code, 0, killer.stderr);
        await Promise.all(victims);
      },
    });
    assert.deepEqual(summary.commands.skipped, {});
    assert.deepEqual(summary.commands.lost, {});
    assert.ok(summary.elapsed_s < 15, 'nobody slept to the end');
  });

  it('record --mirror, as another user in all threads: both have all of it', async (bed) => {
    bed.letOthersPass();
    const [out, archive] = [bed.fresh('mirror'), bed.fresh('tape')];
    const args = mirrorArguments(bed, [...BY_SOCKET, '-C', '2', '-n', '2', '--out', out]);
    const record = [
      ...['record', '-i', 'eth0', '-p', String(PORT), '-o', archive, '--json', '--user', 'nobody'],
      ...['--mirror', ...args],
    ];
    const running = await Background.start(
      bed.lab,
      'online',
      [process.execPath, CLI, ...record],
      /recording on/,
    );
    assertWithoutRights(rightsOf(running.pid));
    const before = await Promise.all([countsOf(bed.online), countsOf(bed.target)]);
    await sysbench(bed, { threads: 8, transactions: 100 });
    const online = difference(await countsOf(bed.online), before[0]);
    await bed.assertNobodyOnTarget(30_000);
    const { code, stderr, stdout } = await running.stop();
    const target = difference(await countsOf(bed.target), before[1]);
    const summary = readSummary(out);
    assertMirrored({ summary, online, target, stderr, code });
    assert.equal(code, 0, stderr);
    const recorded = JSON.parse(stdout) as RecordSummary;
    assert.deepEqual(
      { sessions: recorded.sessions, commands: recorded.commands, dropped: recorded.dropped },
      { sessions: summary.captured.sessions, commands: summary.captured.commands, dropped: 0 },
    );
  });

  it('--for ends it by itself, in order; sessions that are open then end, too', async (bed) => {
    const out = bed.fresh('mirror');
    const mirror = await startMirror(bed, [...BY_SOCKET, '--for', '2s', '--out', out]);
    const clients = runSteps(bed.lab, {
      connections: 4,
      rounds: 40,
      steps: [{ query: 'SELECT 1' }, { pauseMs: 100 }],
    });
    const { code, stderr } = await mirror.ended;
    assert.equal(code, 0, stderr);
    await bed.assertNobodyOnTarget();
    await clients;
    const summary = readSummary(out);
    assertAddsUp(summary);
    assert.deepEqual(
      { lost: summary.commands.lost, completed: summary.sessions.completed },
      { lost: {}, completed: 4 },
    );
  });

  it('a second Ctrl-C ends it at once, the target being slow', async (bed) => {
    const out = bed.fresh('mirror');
    const mirror = await startMirror(bed, [...BY_SOCKET, '--out', out]);
    const sleeper = bed.lab.run('client', 'mariadb', [...login(bed), '-e', 'SELECT SLEEP(1)']);
    const lock = bed.target.sql('LOCK TABLES sbtest.sbtest1 WRITE');
    await lock;
    const writer = bed.lab.run('client', 'mariadb', [
      ...login(bed),
      '-e',
      'UPDATE sbtest1 SET k = 1 WHERE id = 1',
    ]);
    await Promise.all([sleeper, writer]);
    process.kill(mirror.pid, 'SIGINT');
    await sleep(500);
    const { code, stderr } = await mirror.stop();
    await bed.target.sql('UNLOCK TABLES');
    assert.equal(code, 130, stderr);
    const summary = readSummary(out);
    assertAddsUp(summary);
    assert.ok(summary.commands.lost.interrupted >= 1, JSON.stringify(summary.commands));
    await bed.assertNobodyOnTarget();
  });

  it('refused onto itself; without anybody listening, it asks where', async (bed) => {
    const { online, target } = bed.lab.addresses;
    const onItself = [
      'mirror',
      '-x',
      `${PORT}-${online}:${PORT}`,
      ...BY_SOCKET,
      '--out',
      bed.fresh('mirror'),
    ];
    assert.equal((await bed.lab.run('online', process.execPath, [CLI, ...onItself])).code, 3);
    const nobody = ['mirror', '-x', `3399-${target}:${PORT}`, ...BY_SOCKET, '--out', bed.fresh('mirror')];
    const asked = await bed.lab.run('online', process.execPath, [CLI, ...nobody]);
    assert.equal(asked.code, 2);
    assert.match(asked.stderr, /nobody on this host listens on port 3399: name the interface with -i/);
    const inThreads = [...nobody, '--order', 'commit', '-C', '2', '-n', '2'];
    const refused = await bed.lab.run('online', process.execPath, [CLI, ...inThreads]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /--order commit wants one thread/);
  });
});

/** For the command-line client, to online. */
function login(bed: TestBed): string[] {
  return [
    '-h',
    bed.lab.addresses.online,
    `-P${PORT}`,
    '-uapp',
    `-p${USERS.app}`,
    '--no-auto-rehash',
    // Nobody has keys.
    '--skip-ssl',
    'sbtest',
  ];
}
