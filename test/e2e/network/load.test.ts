/** Copies, speeds, channels, drivers, and the same archive again at once. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Background } from '../../../scripts/lab/background.ts';
import { PORT } from '../../../scripts/lab/server.ts';
import { RELAY_PORT, startIntercept } from '../../../scripts/lab/tape.ts';
import { packageObstacle } from '../support/capability.ts';
import { labTests, type TestBed } from '../support/path.ts';

/** How long it takes until a client's ports come round: 55,000 ports, one further every 7 ms. */
const PORTS_ROUND_MS = 55_000 * 7;

const EPOCH_MS = 1_790_000_000_000;

const PROXY = fileURLToPath(new URL('../support/proxy.js', import.meta.url));
const PROXY_PORT = 36600;

/** The counters of target's kernel: TcpExt of /proc/net/netstat. */
async function kernelCounters(bed: TestBed): Promise<Map<string, number>> {
  const { stdout } = await bed.lab.run('target', 'cat', ['/proc/net/netstat']);
  const [names, values] = stdout
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' '));
  return new Map(names.map((name, i) => [name, Number(values[i])]));
}

/** Segments that target's kernel dropped for their timestamps (PAWS) while `work` ran, by counter. */
async function droppedByPaws(bed: TestBed, work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = await kernelCounters(bed);
  await work();
  const rose = [...(await kernelCounters(bed))].map(([name, value]) => [name, value - before.get(name)!]);
  return Object.fromEntries(rose.filter(([name, by]) => /^PAWS|^TSEcr/.test(String(name)) && by !== 0));
}

labTests('load', (it) => {
  const mixed = (bed: TestBed) => bed.recorded('text', 'prepared', 'short', 'sessions');

  it('five copies at four times the speed, by intercept', async (bed) => {
    const { elapsed_s } = await bed.replayExactly(await mixed(bed), {
      path: 'intercept',
      copies: 5,
      speed: '4',
    });
    assert.ok(elapsed_s > 0.4, `paced, and not as fast as it goes: ${elapsed_s} s`);
  });

  it('two copies as fast as the target takes them, by intercept', async (bed) => {
    await bed.replayExactly(await mixed(bed), { path: 'intercept', copies: 2, speed: 'max' });
  });

  it('five copies as fast as the target takes them, --local', async (bed) => {
    await bed.replayExactly(await mixed(bed), { path: 'local', copies: 5, speed: 'max' });
  });

  for (const delayMs of [0, 15]) {
    it(`hundreds of logins by intercept, ${delayMs} ms more on the relay: the target drops no segment for its timestamp`, async (bed) => {
      const { archive, online } = await bed.recorded('short');
      const intercept = await startIntercept(bed.lab, bed.files);
      const relay = `${bed.lab.addresses.assistant}:${RELAY_PORT}`;
      const proxy = [process.execPath, PROXY, String(PROXY_PORT), relay, String(delayMs)];
      const delay = await Background.start(bed.lab, 'assistant', proxy, /listening/);
      const extra = ['-s', `${bed.lab.addresses.assistant}:${PROXY_PORT}`];
      const options = { path: 'intercept', archive, copies: 8, speed: 'max', extra } as const;
      let replay: Awaited<ReturnType<TestBed['replayAnyhow']>> | undefined;
      const dropped = await droppedByPaws(bed, async () => {
        replay = await bed.replayAnyhow(options);
      });
      await delay.stop();
      await intercept.stop();
      assert.deepEqual(dropped, {});
      const { lost_by, completed } = replay!.summary().sessions;
      assert.deepEqual([lost_by, completed], [{}, 8 * online.Connections], replay!.stderr);
      assert.ok(completed > 400, `${completed} logins`);
      await bed.assertNobodyOnTarget();
    });
  }

  it('four channels, each with flows of its own', async (bed) => {
    const { archive, online } = await mixed(bed);
    const intercept = await startIntercept(bed.lab, bed.files);
    const counts = await bed.counted(async () => {
      const replay = await bed.replayAnyhow({ path: 'intercept', archive, speed: 'max', extra: ['-C', '4'] });
      assert.equal(replay.code, 0, replay.stderr);
    });
    const { stderr } = await intercept.stop();
    assert.deepEqual(counts, online);
    assert.equal(stderr.match(/channel open/g)?.length, 4, stderr);
    await bed.assertNobodyOnTarget();
  });

  for (const path of ['intercept', 'local'] as const) {
    it(`the same archive three times in a row at once, by ${path}`, async (bed) => {
      const recorded = await mixed(bed);
      for (let i = 0; i < 3; i++) await bed.replayExactly(recorded, { path, speed: 'max' });
    });
  }

  it('the same client ports again at once: TIME_WAIT on the target', async (bed) => {
    const { archive, online } = await mixed(bed);
    const replayAt = async (clockMs: number) => {
      const counts = await bed.counted(async () => {
        const replay = await bed.replayAnyhow({ path: 'local', archive, speed: 'max', clockMs });
        assert.equal(replay.code, 0, replay.stderr);
      });
      assert.deepEqual(counts, online);
    };
    const timeWait = () => bed.lines('target', `ss -Htan state time-wait | awk '{ print $4 }'`);
    const earlier = new Set(await timeWait());
    await replayAt(EPOCH_MS);
    const waiting = (await timeWait()).filter((tuple) => !earlier.has(tuple));
    assert.ok(waiting.length > 0, 'the target holds connections in TIME_WAIT');

    const file = bed.fresh('syn.pcap');
    const syn = `dst port ${PORT} and tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn`;
    const command = ['tcpdump', '-i', 'eth0', '--immediate-mode', '-U', '-Z', 'root', '-w', file, syn];
    const tcpdump = await Background.start(bed.lab, 'target', command, /listening on/);
    const dropped = await droppedByPaws(bed, () => replayAt(EPOCH_MS + PORTS_ROUND_MS));
    await tcpdump.stop();
    assert.deepEqual(dropped, {}, 'every SYN, and what followed, was newer than the connection before it');
    const fields = '-T fields -E separator=: -e ip.src -e tcp.srcport';
    const again = new Set(await bed.lines('target', `tshark -n -r ${file} ${fields}`));
    assert.deepEqual(
      waiting.filter((tuple) => !again.has(tuple)),
      [],
      'and we connected by every one of them',
    );
    await bed.assertNobodyOnTarget();
  });

  it('the same client ports after kill -9, the old connections still open on the target: challenge ACKs', async (bed) => {
    const { archive, online } = await bed.recorded('reads');
    await bed.replayKilled({ path: 'local', archive, connections: online.Connections, clockMs: EPOCH_MS });
    const left = await bed.target.processlist();
    assert.equal(left.length, online.Connections, 'as many as were open when it was killed');
    const challenges = async () => (await kernelCounters(bed)).get('TCPChallengeACK')!;
    const challenged = await challenges();
    const counts = await bed.counted(async () => {
      const replay = await bed.replayAnyhow({
        path: 'local',
        archive,
        speed: '4',
        clockMs: EPOCH_MS + PORTS_ROUND_MS,
      });
      assert.equal(replay.code, 0, replay.stderr);
    });
    assert.deepEqual(counts, online);
    assert.ok((await challenges()) >= challenged + online.Connections);
    await bed.assertNobodyOnTarget();
  });

  it(
    'answers captured by npm cap, --local',
    async (bed) => {
      await bed.replayExactly(await bed.recorded('reads'), {
        path: 'local',
        speed: '4',
        extra: ['--capture-driver', 'cap'],
      });
    },
    packageObstacle('cap'),
  );

  it(
    'packets sent by npm raw-socket',
    async (bed) => {
      await bed.replayExactly(await bed.recorded('reads'), {
        path: 'intercept',
        speed: '4',
        extra: ['--send-driver', 'raw-socket'],
      });
    },
    packageObstacle('raw-socket'),
  );
});
