/** Where answers are caught, and from which addresses the copies speak: docs/topologies.md. */
import assert from 'node:assert/strict';
import type { StdioOptions } from 'node:child_process';
import { cpSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Background } from '../../../scripts/lab/background.ts';
import { collect } from '../../../scripts/lab/lab.ts';
import {
  endClientsNowhere,
  endClientsOnAssistant,
  endClientsOnTarget,
} from '../../../scripts/lab/network.ts';
import { PORT } from '../../../scripts/lab/server.ts';
import { CLI, interceptArguments, replayArguments, startIntercept, tape } from '../../../scripts/lab/tape.ts';
import { EXIT } from '../../../src/errors.ts';
import { assertWithoutRights, rightsOf } from '../../support/rights.ts';
import { until } from '../../support/until.ts';
import { assertAddsUp, labTests, readSummary, runSteps, type TestBed, UNASKED } from '../support/path.ts';
import { SYNS, seenOnTarget } from '../support/seen.ts';

/** Ports of a host's own where the lab's kernel has its default range for connections, and how long a round of them takes. */
const OWN_PORTS = { first: 10_000, last: 32_767 };
const OWN_PORTS_ROUND_MS = (OWN_PORTS.last - OWN_PORTS.first + 1) * 7;

const EPOCH_MS = 1_790_000_000_000;

/** Above every process id that Linux gives. */
const NOBODY = 4_194_305;

/** A range whose answers the target sends to the assistant, as it does those of the recorded clients. */
const RANGE = '10.77.64.128/26';

async function onTarget(bed: TestBed, body: () => Promise<unknown>): Promise<void> {
  endClientsOnTarget(bed.lab.name);
  try {
    await body();
  } finally {
    endClientsOnAssistant(bed.lab.name);
  }
}

async function withoutRoute(bed: TestBed, body: () => Promise<unknown>): Promise<void> {
  endClientsNowhere(bed.lab.name);
  try {
    await body();
  } finally {
    endClientsOnAssistant(bed.lab.name);
  }
}

labTests('topology', (it) => {
  it('intercept on the target: queries, prepared statements, short connections, two copies', (bed) =>
    onTarget(bed, async () => {
      const recorded = await bed.recorded('text', 'prepared', 'short', 'sessions');
      await bed.replayExactly(recorded, { path: 'target', copies: 2, speed: '2' });
    }));

  it('intercept on the target: results of 20 MB', (bed) =>
    onTarget(bed, async () => {
      const query = 'SELECT seq, REPEAT(CHAR(65 + seq % 26), 1000) FROM seq_1_to_20000';
      const recorded = await bed.record(() =>
        runSteps(bed.lab, { steps: [{ query }, { query: 'SELECT 1' }] }),
      );
      await bed.replayExactly(recorded, { path: 'target' });
    }));

  it('intercept on the target, rp_filter strict: told with the line to type, and good once it is typed', (bed) =>
    onTarget(bed, async () => {
      const strict = (value: number) => `echo ${value} > /proc/sys/net/ipv4/conf/eth0/rp_filter`;
      await bed.lines('target', strict(1));
      const start = async () => {
        const intercept = await startIntercept(bed.lab, bed.files, 'target');
        await sleep(100);
        return (await intercept.stop()).stderr;
      };
      const line = /rp_filter is strict \(run: (sysctl -w net\.ipv4\.conf\.eth0\.rp_filter=2)\)/.exec(
        await start(),
      );
      assert.ok(line, 'the warning, and its line');
      const [name, value] = line[1].replace('sysctl -w ', '').split('=');
      await bed.lines('target', `echo ${value} > /proc/sys/${name.replaceAll('.', '/')}`);
      assert.doesNotMatch(await start(), /rp_filter/);
      await bed.replayExactly(await bed.recorded('reads'), { path: 'target', speed: '4' });
      await bed.lines('target', strict(0));
    }));

  it('intercept and replay on one host by a Unix socket, without a key; another target is refused in words', async (bed) => {
    const { archive, online } = await bed.recorded('text', 'short');
    const { lab, files } = bed;
    const path = join(lab.runFolder, 'relay.sock');
    const start = (...extra: string[]) => {
      const command = [process.execPath, CLI, 'intercept', '-i', 'eth0', '-F', `tcp and src port ${PORT}`];
      return Background.start(lab, 'assistant', [...command, '-p', path, ...extra], /listening/);
    };
    const replay = () => {
      const way = ['-x', `${PORT}-${lab.addresses.target}:${PORT}`, '-s', path, '--users', files.users];
      const args = ['replay', archive, ...way, '--speed', '2', UNASKED, '--out', bed.fresh('run')];
      return lab.run('assistant', process.execPath, [CLI, ...args]);
    };
    const intercept = await start();
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const counts = await bed.counted(async () => {
      const { code, stderr } = await replay();
      assert.equal(code, 0, stderr);
    });
    assert.deepEqual(counts, online);
    assert.equal((await intercept.stop()).code, 0);
    await bed.assertNobodyOnTarget();

    const other = await start('--target', '192.0.2.7:3307');
    const { code, stderr } = await replay();
    assert.equal(code, EXIT.failed, stderr);
    const { target } = lab.addresses;
    assert.match(
      stderr,
      new RegExp(`wants connections to ${target}:${PORT}, which is no target of this intercept`),
    );
    assert.match(stderr, new RegExp(`start it with --target ${target}:${PORT}`));
    assert.match((await other.stop()).stderr, /channel refused: local 1 wants connections to/);
  });

  it("self: this host's own address, no route and no assistant", (bed) =>
    withoutRoute(bed, async () => {
      const recorded = await bed.recorded('text', 'prepared', 'short', 'sessions');
      const tuples = await seenOnTarget(bed, SYNS, '-e ip.src -e tcp.srcport', async () => {
        await bed.replayExactly(recorded, { path: 'self', copies: 3, speed: '2' });
      });
      assert.equal(tuples.length, recorded.online.Connections * 3);
      for (const tuple of tuples) {
        const [address, port] = tuple.split('|');
        assert.equal(address, bed.lab.addresses.online);
        assert.ok(Number(port) >= OWN_PORTS.first && Number(port) <= OWN_PORTS.last, port);
      }
      assert.deepEqual(await bed.lines('online', 'nft list tables'), []);
    }));

  it('self: threads share the ports', (bed) =>
    withoutRoute(bed, async () => {
      const recorded = await bed.recorded('reads');
      await bed.replayExactly(recorded, { path: 'self', copies: 4, speed: '4', extra: ['-C', '2'] });
    }));

  it('self, as another user in all threads: it takes its rule away; an archive that the user cannot read is named', (bed) =>
    withoutRoute(bed, async () => {
      bed.letOthersPass();
      const recorded = await bed.recorded('reads');
      const archive = bed.fresh('of-nobody');
      cpSync(recorded.archive, archive, { recursive: true });
      const options = { path: 'self' as const, archive, speed: '2', extra: ['-C', '2', '--user', 'nobody'] };
      const refused = await bed.replayAnyhow(options);
      assert.match(refused.stderr, /cannot read .*of-nobody as nobody: EACCES.*its owner by --user root/);
      assert.equal(refused.code, 1);
      assert.deepEqual(await bed.lines('online', 'nft list tables'), []);

      await bed.lines('online', `chown -R nobody ${archive}`);
      const connections = recorded.online.Connections;
      const replay = await bed.replayUnderWay({ ...options, connections });
      assertWithoutRights(rightsOf(replay.pid));
      const { code, stderr } = await replay.ended;
      assert.equal(code, 0, stderr);
      assertAddsUp(replay.summary());
      assert.deepEqual(replay.summary().commands.lost, {});
      assert.deepEqual(await bed.lines('online', 'nft list tables'), []);
    }));

  it('by sudo, killed, and resumed by sudo: all that a run leaves is of who called', (bed) =>
    withoutRoute(bed, async () => {
      bed.letOthersPass();
      const recorded = await bed.recorded('reads');
      const archive = bed.fresh('of-caller');
      cpSync(recorded.archive, archive, { recursive: true });
      await bed.lines('online', `chown -R nobody ${archive}`);
      const { uid } = statSync(archive);
      const bySudo = (args: readonly string[]) => {
        const stdio: StdioOptions = ['ignore', 'pipe', 'pipe'];
        const command = [`SUDO_UID=${uid}`, process.execPath, CLI, ...args];
        const child = bed.lab.spawn('online', 'env', command, { stdio });
        return { pid: child.pid as number, ended: collect(child) };
      };
      const { args, out } = bed.replayCommand({ path: 'self', archive, extra: ['-C', '2'] });
      const run = bySudo(args);
      await bed.connectionsOnTarget(recorded.online.Connections);
      assertWithoutRights(rightsOf(run.pid));
      process.kill(run.pid, 'SIGKILL');
      await run.ended;
      for (const name of ['.', ...readdirSync(out)]) assert.equal(statSync(join(out, name)).uid, uid, name);
      // Idle connections of the killed run would be there until the target's own time-out.
      for (const { Id } of await bed.target.processlist()) await bed.target.sql(`KILL ${Id}`).catch(() => {});
      const resumed = await bySudo(['replay', '--resume', out]).ended;
      // What was under way is lost.
      assert.equal(resumed.code, EXIT.invalidRun, resumed.stderr);
      assertAddsUp(readSummary(out));
      for (const name of ['.', ...readdirSync(out)]) assert.equal(statSync(join(out, name)).uid, uid, name);
      await bed.assertNobodyOnTarget(10_000);
    }));

  it('self: after kill -9 its rule is gone within a second; the same ports again meet what it left on the target', (bed) =>
    withoutRoute(bed, async () => {
      const { archive, online } = await bed.recorded('reads');
      const connections = online.Connections;
      const replay = await bed.replayUnderWay({ path: 'self', archive, connections, clockMs: EPOCH_MS });
      await sleep(300);
      assert.deepEqual(await bed.lines('online', 'nft list tables'), [`table inet mytape_${replay.pid}`]);
      process.kill(replay.pid, 'SIGKILL');
      await replay.ended;
      await until(
        'the table is gone',
        async () => (await bed.lines('online', 'nft list tables')).length === 0,
      );
      assert.ok((await bed.target.processlist()).length > 0, 'connections that nobody has any more');
      const counts = await bed.counted(async () => {
        const again = await bed.replayAnyhow({
          path: 'self',
          archive,
          speed: '4',
          clockMs: EPOCH_MS + OWN_PORTS_ROUND_MS,
        });
        assert.equal(again.code, 0, again.stderr);
      });
      assert.deepEqual(counts, online);
      await bed.assertNobodyOnTarget();
    }));

  it('self: what a dead process left is removed at the next start, and nothing of others', (bed) =>
    withoutRoute(bed, async () => {
      await bed.lines('online', `nft add table inet mytape_${NOBODY}; nft add table inet somebody_elses`);
      await bed.replayExactly(await bed.recorded('reads'), { path: 'self', speed: '4' });
      assert.deepEqual(await bed.lines('online', 'nft list tables'), ['table inet somebody_elses']);
      await bed.lines('online', 'nft delete table inet somebody_elses');
    }));

  for (const host of ['127.0.0.1', '[::1]']) {
    it(`self: the target on the same host, at ${host}`, async (bed) => {
      const { archive, online } = await bed.recorded('reads');
      const counts = await bed.counted(async () => {
        const args = replayArguments(bed.lab, 'self', archive, bed.files, [
          '--speed',
          '4',
          UNASKED,
          '--out',
          bed.fresh('run'),
        ]);
        args[args.indexOf('-x') + 1] = `${PORT}-${host}:${PORT}`;
        const replay = await tape(bed.lab, 'target', args);
        assert.equal(replay.code, 0, replay.stderr);
      });
      assert.deepEqual(counts, online);
      await bed.assertNobodyOnTarget();
    });
  }

  it('self is refused with an intercept elsewhere, and a range with the target in it', async (bed) => {
    const { archive } = await bed.recorded('reads');
    for (const [clients, words] of [
      ['self', /say --local in place of -s/],
      ['10.77.0.0/24', /10\.77\.0\.3 in it, the target's own address/],
      ['10.77.64.0', /is neither recorded nor self, and not a range/],
    ] as const) {
      const { code, stderr } = await bed.replayAnyhow({
        path: 'intercept',
        archive,
        extra: ['--clients', clients],
      });
      assert.equal(code, 2, stderr);
      assert.match(stderr, words);
    }
  });

  it('--clients CIDR: five copies, each client and copy from an address of its own', async (bed) => {
    const recorded = await bed.recorded('reads');
    const sources = await seenOnTarget(bed, SYNS, '-e ip.src', async () => {
      await bed.replayExactly(recorded, {
        path: 'intercept',
        copies: 5,
        speed: '4',
        extra: ['--clients', RANGE, '-C', '2'],
      });
    });
    const last = (address: string) => Number(/^10\.77\.64\.(\d+)$/.exec(address)?.[1]);
    const distinct = new Set(sources.map(last));
    // 12 connections, each from a client of its own.
    assert.equal(sources.length, 60);
    assert.equal(distinct.size, 60);
    for (const octet of distinct) assert.ok(octet > 128 && octet < 191, `${octet}`);
  });

  it('--clients with one address, --local: all from there, by ports of their own', async (bed) => {
    const recorded = await bed.recorded('short');
    const tuples = await seenOnTarget(bed, SYNS, '-e ip.src -e tcp.srcport', async () => {
      const extra = ['--clients', '10.77.64.200/32'];
      await bed.replayExactly(recorded, { path: 'local', copies: 3, speed: 'max', extra });
    });
    assert.deepEqual(new Set(tuples.map((tuple) => tuple.split('|')[0])), new Set(['10.77.64.200']));
    assert.equal(new Set(tuples).size, recorded.online.Connections * 3);
  });

  it('intercept -i of an interface that is not there says so', async (bed) => {
    const args = interceptArguments(bed.lab, bed.files, 'target');
    const { code, stderr } = await tape(bed.lab, 'target', args);
    assert.equal(code, 1);
    assert.match(stderr, /^mytape: [^\n]*mt0[^\n]*\n$/);
  });
});
