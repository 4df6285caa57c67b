/** `mytape doctor` says what is wrong with the path, and what it says to type mends it; replay says the same in words. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { collect, type RunResult } from '../../scripts/lab/lab.ts';
import { CLIENT_ADDRESSES, CLIENTS, type Host } from '../../scripts/lab/network.ts';
import { CLI, RELAY_PORT, startIntercept, tape } from '../../scripts/lab/tape.ts';
import { runCommandLineClients } from '../../scripts/lab/workload.ts';
import { EXIT } from '../../src/errors.ts';
import type { Step } from '../../src/report/step.ts';
import type { Remedy } from '../../src/transport/diagnosis.ts';
import { labTests, type TestBed } from './support/path.ts';

type Path = 'intercept' | 'local';

interface Examined {
  code: number | null;
  ok: boolean;
  steps: Step[];
}

function doctorArguments(bed: TestBed, path: Path, extra: readonly string[] = []): string[] {
  const { target, assistant } = bed.lab.addresses;
  const answers =
    path === 'local' ? ['--local'] : ['-s', `${assistant}:${RELAY_PORT}`, '--key-file', bed.files.key];
  const x = extra.includes('-x') ? [] : ['-x', `3307-${target}:3307`];
  return ['doctor', ...x, ...answers, ...extra];
}

/** Later options win. */
async function examine(bed: TestBed, path: Path, ...extra: string[]): Promise<Examined> {
  const args = [...doctorArguments(bed, path, extra), '--json'];
  const { code, stdout, stderr } = await tape(bed.lab, path === 'local' ? 'assistant' : 'online', args);
  assert.notEqual(stdout, '', stderr);
  return { code, ...JSON.parse(stdout) };
}

function assertWell({ code, ok, steps }: Examined): void {
  assert.deepEqual(
    steps.filter(({ status }) => status !== 'ok'),
    [],
  );
  assert.deepEqual({ code, ok }, { code: 0, ok: true });
}

/** The one step that failed. */
function failureOf({ code, ok, steps }: Examined): Step {
  const failures = steps.filter(({ status }) => status === 'failed');
  assert.equal(failures.length, 1, JSON.stringify(steps));
  assert.deepEqual({ code, ok }, { code: EXIT.failed, ok: false });
  return failures[0];
}

/** Types the lines of the remedies for that host that match. */
async function type(bed: TestBed, host: Host, step: Step, which: RegExp): Promise<string[]> {
  const address = bed.lab.addresses[host];
  const isFor = (remedy: Remedy) => remedy.host.endsWith(address);
  const lines = step.remedies.filter(isFor).flatMap(({ lines }) => lines);
  const chosen = lines.filter((line) => which.test(line));
  assert.notEqual(chosen.length, 0, `no line ${which} for ${host} in ${JSON.stringify(step.remedies)}`);
  await bed.lines(host, chosen.join('\n'));
  return chosen;
}

/** One session from each of the lab's clients. */
async function recordAll(bed: TestBed): Promise<string> {
  return (await bed.record(() => runCommandLineClients(bed.lab, CLIENT_ADDRESSES.length))).archive;
}

/** A host in another state for as long as `body` takes. */
async function changed(
  bed: TestBed,
  host: Host,
  lines: { to: readonly string[]; back: readonly string[] },
  body: () => Promise<void>,
): Promise<void> {
  await bed.lines(host, lines.to.join('\n'));
  try {
    await body();
  } finally {
    await bed.lab.run(host, 'sh', ['-c', lines.back.join('\n')]);
  }
}

function withoutRoute(bed: TestBed, body: () => Promise<void>): Promise<void> {
  const back = `ip route replace ${CLIENTS} via ${bed.lab.addresses.assistant}`;
  return changed(bed, 'target', { to: [`ip route del ${CLIENTS}`], back: [back] }, body);
}

/** The assistant forwards to where the real clients are, as a router would. */
function forwarding(bed: TestBed, body: () => Promise<void>): Promise<void> {
  const to = ['sysctl -qw net.ipv4.ip_forward=1', `ip route add ${CLIENTS} via ${bed.lab.addresses.client}`];
  const back = ['sysctl -qw net.ipv4.ip_forward=0', `ip route del ${CLIENTS}`];
  return changed(bed, 'assistant', { to, back }, body);
}

async function withIntercept(bed: TestBed, body: () => Promise<void>): Promise<void> {
  const intercept = await startIntercept(bed.lab, bed.files);
  try {
    await body();
  } finally {
    await intercept.stop();
  }
}

/** A process whose output is read as it comes; SIGKILL ends it should it outlive `body`. */
async function alongside(
  bed: TestBed,
  host: Host,
  args: readonly string[],
  body: (child: ChildProcess, ended: Promise<RunResult>) => Promise<void>,
): Promise<void> {
  const child = bed.lab.spawn(host, process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = collect(child);
  try {
    await body(child, ended);
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

/** What a stream of the process has said, when it matches or is at its end. */
function heard(stream: Readable | null, pattern: RegExp): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (pattern.test(text)) resolve(text);
    });
    stream?.once('end', () => resolve(text));
  });
}

labTests('doctor', (it) => {
  it('all is well, by both paths; nothing is left behind', async (bed) => {
    const archive = await recordAll(bed);
    await withIntercept(bed, async () => {
      const well = await examine(bed, 'intercept', '--archive', archive);
      assertWell(well);
      const path = well.steps.find(({ name }) => name === 'path') as Step;
      assert.match(path.says, /^the target greets 10\.77\.64\.10 and 4 more in .* ms: 10\..*MariaDB/);
      const args = doctorArguments(bed, 'intercept', ['--client', CLIENT_ADDRESSES[3]]);
      const told = await tape(bed.lab, 'online', args);
      assert.equal(told.code, 0, told.stderr);
      const lines = /^ok .*\n(ok .*\n)+ok {7}path .*10\.77\.64\.13 in .*\nready to replay\n$/;
      assert.match(told.stdout, lines);
    });
    assertWell(await examine(bed, 'local', '--archive', archive));
    await bed.assertNobodyOnTarget();
  });

  it('no route on the target: the lines to type there are told, those of `mytape routes`, and they mend it', async (bed) => {
    const archive = await recordAll(bed);
    const { assistant: via } = bed.lab.addresses;
    await withoutRoute(bed, async () => {
      await withIntercept(bed, async () => {
        const step = failureOf(await examine(bed, 'intercept', '--archive', archive));
        assert.match(step.says, /answers this host's own address, but no answer .* to 10\.77\.64\.10 came/);
        const typed = await type(bed, 'target', step, /^ip route add/);
        const routes = await tape(bed.lab, 'online', ['routes', archive, '--via', via]);
        assert.deepEqual(typed, routes.stdout.trimEnd().split('\n').slice(1));
        // 10.77.64.10 to .41, and nothing more.
        const prefixes = [
          '10.77.64.10/31',
          '10.77.64.12/30',
          '10.77.64.16/28',
          '10.77.64.32/29',
          '10.77.64.40/31',
        ];
        assert.deepEqual(
          typed.map((line) => line.split(' ')[3]),
          prefixes,
        );
        assertWell(await examine(bed, 'intercept', '--archive', archive));
        const gone = await tape(bed.lab, 'online', ['routes', archive, '--via', via, '--delete']);
        await bed.lines('target', gone.stdout);
      });
      const local = failureOf(await examine(bed, 'local', '--client', CLIENT_ADDRESSES[0]));
      assert.deepEqual(local.remedies[0].lines, [`ip route add ${CLIENT_ADDRESSES[0]} via ${via}`]);
    });
  });

  it('some clients have no route: those are told, the others are well', async (bed) => {
    const hole = 'blackhole 10.77.64.12';
    const lines = { to: [`ip route add ${hole}`], back: [`ip route del ${hole}`] };
    await changed(bed, 'target', lines, async () => {
      const clients = ['--client', CLIENT_ADDRESSES[0], '--client', CLIENT_ADDRESSES[2]];
      const examined = await examine(bed, 'local', ...clients);
      const failure = failureOf(examined);
      assert.match(failure.says, /to 10\.77\.64\.12 came .*\(1 of 2 clients tried: 10\.77\.64\.12\)$/);
      assert.ok(examined.steps.some(({ says }) => says.startsWith('the target greets 10.77.64.10 in ')));
    });
  });

  it('ip_forward left on at the assistant, and the real clients are there: told, and the lines mend it', async (bed) => {
    const client = ['--client', CLIENT_ADDRESSES[5]];
    await forwarding(bed, () =>
      withIntercept(bed, async () => {
        const step = failureOf(await examine(bed, 'intercept', ...client));
        assert.match(
          step.says,
          /the real 10\.77\.64\.15 \(or a router\) answered the target too.*ip_forward is on/,
        );
        const { steps } = await examine(bed, 'local', ...client);
        const here = steps.find(({ name }) => name === 'forwarding') as Step;
        assert.equal(here.status, 'warning');
        assert.deepEqual(here.remedies[0].lines, ['sysctl -w net.ipv4.ip_forward=0']);
        await type(bed, 'assistant', step, /ip_forward/);
        await type(bed, 'target', step, /flush cache/);
        assertWell(await examine(bed, 'intercept', ...client));
      }),
    );
  });

  it('an assistant that must forward: the nft rule of docs/doctor.md does instead', async (bed) => {
    const rule = `ip saddr ${bed.lab.addresses.target} tcp sport 3307 fib daddr type != local drop`;
    const to = [
      'nft add table inet mytape_answers',
      "nft add chain inet mytape_answers first '{ type filter hook prerouting priority raw; }'",
      `nft add rule inet mytape_answers first ${rule}`,
    ];
    const back = ['nft delete table inet mytape_answers'];
    await forwarding(bed, () =>
      changed(bed, 'assistant', { to, back }, () =>
        withIntercept(bed, async () => {
          assertWell(await examine(bed, 'intercept', '--client', CLIENT_ADDRESSES[6]));
        }),
      ),
    );
  });

  it('a closed port, a port that does not greet, and one that is no MySQL', async (bed) => {
    const { target } = bed.lab.addresses;
    const failing = async (port: number) =>
      failureOf(await examine(bed, 'local', '-x', `3307-${target}:${port}`, '--client', CLIENT_ADDRESSES[0]))
        .says;
    assert.match(await failing(3999), /^the target refuses: nothing listens on port 3999 of 10\.77\.0\.3/);
    const servers = `const net = require('node:net');
      net.createServer(() => {}).listen(3998);
      net.createServer((s) => s.write('\\x08\\0\\0\\0SSH-2.0-')).listen(3997, () => console.log('up'));`;
    await alongside(bed, 'target', ['-e', servers], async (child) => {
      await heard(child.stdout, /up/);
      const mute = /:3998 took the connection of 10\.77\.64\.10, and then no greeting came$/;
      assert.match(await failing(3998), mute);
      assert.match(await failing(3997), /what listens on 10\.77\.0\.3:3997 does not speak MySQL/);
    });
  });

  it('no intercept, another key, the recorded server as target: it ends there, and nothing is sent', async (bed) => {
    const { archive } = await bed.recorded('reads');
    const client = ['--client', CLIENT_ADDRESSES[0]];
    const key = bed.fresh('key');
    writeFileSync(key, `${'ab'.repeat(32)}\n`, { mode: 0o600 });
    const counts = await bed.counted(async () => {
      const nobody = failureOf(await examine(bed, 'intercept', ...client));
      assert.match(nobody.says, /nothing listens there: run `mytape intercept -p 36525 …` on 10\.77\.0\.4/);
      await withIntercept(bed, async () => {
        const other = failureOf(await examine(bed, 'intercept', ...client, '--key-file', key));
        assert.match(other.says, /same key|same --key-file/);
      });
    });
    assert.equal(counts.Connections, 0);
    const before = (await bed.online.counters()).Connections;
    const onto = ['-x', `3307-${bed.lab.addresses.online}:3307`, '--archive', archive];
    const live = failureOf(await examine(bed, 'local', ...onto));
    assert.match(live.says, /10\.77\.0\.2:3307 is the server that .* was recorded from: replay refuses it/);
    assert.equal((await bed.online.counters()).Connections, before);
  });

  it("--clients: a range; this host's own address, with the rule that it needs and takes away", async (bed) => {
    const range = await examine(bed, 'local', '--clients', '10.77.64.128/25');
    assertWell(range);
    assert.match((range.steps.at(-1) as Step).says, /greets 10\.77\.64\.129 and 2 more in /);
    const self = await examine(bed, 'local', '--clients', 'self');
    assertWell(self);
    assert.ok(self.steps.some(({ name, says }) => name === 'kernel' && says.startsWith('an nft rule keeps')));
    assert.match((self.steps.at(-1) as Step).says, /the target greets 10\.77\.0\.4 in /);
    assert.deepEqual(await bed.lines('assistant', 'nft list tables'), []);
    await bed.assertNobodyOnTarget();
  });

  it('Ctrl-C while it waits for an answer: ends at once, and leaves nothing', async (bed) => {
    const args = [CLI, ...doctorArguments(bed, 'local', ['--client', CLIENT_ADDRESSES[0]])];
    await withoutRoute(bed, () =>
      alongside(bed, 'assistant', args, async (child, ended) => {
        await heard(child.stdout, /capture/);
        await sleep(300);
        child.kill('SIGINT');
        const { code, stdout } = await ended;
        assert.equal(code, EXIT.interrupted, stdout);
        assert.doesNotMatch(stdout, /to replay|path/);
      }),
    );
    await bed.assertNobodyOnTarget();
  });

  for (const path of ['intercept', 'local'] as const) {
    it(`replay without a route on the target says so within seconds, in words; by ${path}`, async (bed) => {
      const { archive } = await bed.recorded('reads');
      const replayed = async () => {
        const args = [CLI, ...bed.replayCommand({ path, archive }).args];
        await alongside(bed, path === 'local' ? 'assistant' : 'online', args, async (child) => {
          const said = await heard(child.stderr, /mytape doctor/);
          assert.match(said, /no answer from 10\.77\.0\.3:3307/);
          assert.match(said, /on the target 10\.77\.0\.3: route the clients via 10\.77\.0\.4/);
          assert.match(said, /ip route add 10\.77\.64\.\d+ via 10\.77\.0\.4/);
        });
      };
      await withoutRoute(bed, () => (path === 'local' ? replayed() : withIntercept(bed, replayed)));
    });
  }
});
