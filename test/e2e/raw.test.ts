/** `--protocol raw`: redis and HTTP, recorded and replayed onto another server, which counts what it was told. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Background } from '../../scripts/lab/background.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { CLIENT_ADDRESSES, type Host } from '../../scripts/lab/network.ts';
import { CLI, RELAY_PORT, type ReplayFiles, tape, writeReplayFiles } from '../../scripts/lab/tape.ts';
import { EXIT } from '../../src/errors.ts';
import type { Summary } from '../../src/report/summary.ts';
import { commandObstacle, labObstacle } from './support/capability.ts';
import { HTTP_PORT, SEEN_PORT } from './support/http-service.ts';
import { assertAddsUp } from './support/path.ts';

const REDIS_PORT = 6379;
const PROXY = fileURLToPath(new URL('support/proxy.js', import.meta.url));
const HTTP_SERVICE = fileURLToPath(new URL('support/http-service.js', import.meta.url));
const HTTP_CLIENTS = fileURLToPath(new URL('support/http-clients.js', import.meta.url));

/** Ways to the target: by an intercept on the assistant, by packets from the assistant itself, by sockets. */
type Way = 'intercept' | 'local' | 'socket';

let lab: Lab;
let files: ReplayFiles;
let runs = 0;

const fresh = (name: string) => {
  const folder = join(lab.runFolder, 'raw');
  mkdirSync(folder, { recursive: true });
  return join(folder, `${++runs}-${name}`);
};

/** Records what goes to `port` on online while `work` goes on. */
async function record(port: number, work: () => Promise<void>): Promise<string> {
  const archive = fresh('tape');
  const command = [
    process.execPath,
    CLI,
    'record',
    '-i',
    'eth0',
    '-p',
    String(port),
    '-o',
    archive,
    '--json',
  ];
  const recording = await Background.start(lab, 'online', command, /recording/i);
  await work();
  await sleep(300);
  const { code, stderr } = await recording.stop();
  assert.equal(code, 0, stderr);
  return archive;
}

/** Replays onto target, where nothing may be lost. */
async function replay(
  archive: string,
  port: number,
  way: Way,
  copies: number,
  extra: readonly string[] = ['--speed', 'max'],
): Promise<Summary> {
  const intercept =
    way === 'intercept'
      ? await Background.start(
          lab,
          'assistant',
          [
            ...[process.execPath, CLI, 'intercept', '-i', 'eth0', '-F', `tcp and src port ${port}`],
            ...['-p', `${lab.addresses.assistant}:${RELAY_PORT}`, '--key-file', files.key],
          ],
          /listening/,
        )
      : undefined;
  try {
    const out = fresh('run');
    const answers = {
      intercept: ['-s', `${lab.addresses.assistant}:${RELAY_PORT}`, '--key-file', files.key],
      local: ['--local'],
      socket: ['--transport', 'socket'],
    }[way];
    const args = ['replay', archive, '-x', `${port}-${lab.addresses.target}:${port}`, '--protocol', 'raw'];
    args.push('--allow-unchecked-target', ...answers, '-n', String(copies), ...extra, '--out', out);
    const { code, stderr, stdout } = await tape(lab, way === 'local' ? 'assistant' : 'online', args);
    assert.equal(code, 0, stderr + stdout);
    const summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as Summary;
    assertAddsUp(summary);
    assert.deepEqual([summary.commands.lost, summary.commands.skipped], [{}, {}]);
    assert.equal(summary.sessions.lost, 0);
    assert.equal(summary.sessions.completed, summary.captured.sessions * copies);
    return summary;
  } finally {
    await intercept?.stop();
  }
}

const redisAt = async (host: 'online' | 'target', ...command: string[]): Promise<string> => {
  const { code, stdout, stderr } = await lab.run(host, 'redis-cli', ['-p', String(REDIS_PORT), ...command]);
  assert.equal(code, 0, stderr);
  return stdout.trim();
};

/** How often each command was carried out, but for those that are asked here. */
async function redisCalls(host: 'online' | 'target'): Promise<Record<string, number>> {
  const calls: Record<string, number> = {};
  for (const line of (await redisAt(host, 'INFO', 'commandstats')).split(/\r?\n/)) {
    const [, name, count] = /^cmdstat_([^:]+):calls=(\d+)/.exec(line) ?? [];
    if (name !== undefined && !/^(?:info|flushall|dbsize|scan|debug|config\|resetstat)$/.test(name))
      calls[name] = Number(count);
  }
  return calls;
}

const times = (calls: Record<string, number>, copies: number) =>
  Object.fromEntries(Object.entries(calls).map(([name, count]) => [name, count * copies]));

/** What the HTTP server of a host has seen. */
async function httpSeen(host: Host): Promise<Record<string, number>> {
  const script = `fetch('http://127.0.0.1:${SEEN_PORT}').then(async (r) => console.log(await r.text()))`;
  const { code, stdout, stderr } = await lab.run(host, process.execPath, ['-e', script]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Record<string, number>;
}

/** How much more of each `now` has. */
const more = (now: Record<string, number>, before: Record<string, number>) =>
  Object.fromEntries(
    Object.entries(now)
      .map(([key, count]) => [key, count - (before[key] ?? 0)] as const)
      .filter(([, count]) => count > 0),
  );

describe('raw', { skip: labObstacle() ?? false }, () => {
  before(async () => {
    lab = await Lab.up({ name: 'mytape-e2e-raw', servers: [] });
    files = writeReplayFiles(lab);
  });
  after(() => lab?.down());

  describe('redis', { skip: commandObstacle('redis-server') ?? false }, () => {
    let archive: string;
    let online: { calls: Record<string, number>; digest: string; size: string };

    before(async () => {
      const options = `--port ${REDIS_PORT} --bind 0.0.0.0 --protected-mode no --save '' --appendonly no`;
      const server = `exec redis-server ${options} --enable-debug-command local --dir ${lab.runFolder} 1>&2`;
      for (const host of ['online', 'target'] as const)
        await Background.start(lab, host, ['sh', '-c', server], /Ready to accept connections/);
      archive = await record(REDIS_PORT, async () => {
        const at = ['-h', lab.addresses.online, '-p', String(REDIS_PORT)];
        const run = async (command: string, args: string[], client: number) => {
          const from = { from: CLIENT_ADDRESSES[client] as string };
          const { code, stderr } = await lab.run('client', command, [...at, ...args], from);
          assert.equal(code, 0, stderr);
        };
        // One command at a time and in pipelines, many keys, small answers and large ones. In what order does not matter to
        // what is there in the end.
        const tests = ['-t', 'set,get,incr,lpush,lrange_100', '-r', '500', '-d', '300', '-q'];
        await Promise.all([
          run('redis-benchmark', [...tests, '-n', '400', '-c', '6'], 0),
          run('redis-benchmark', [...tests, '-n', '400', '-c', '3', '-P', '8'], 1),
          run('redis-cli', ['SET', 'who', 'a redis-cli'], 2),
        ]);
      });
      online = {
        calls: await redisCalls('online'),
        digest: await redisAt('online', 'DEBUG', 'DIGEST'),
        size: await redisAt('online', 'DBSIZE'),
      };
      assert.ok(online.calls.set > 800 && Number(online.size) > 300, JSON.stringify(online));
    });

    // The last leads back from the very host that is mirrored: its statements have the address of clients.
    for (const [where, from] of [
      ['another host', 'assistant'],
      ["the server's own host", 'online'],
    ] as const) {
      test(`a mirror whose target leads back through ${where} stops when it hears itself, before a hundred turns`, async () => {
        const proxied = 6400;
        const to = `${lab.addresses.online}:${REDIS_PORT}`;
        const proxy = await Background.start(
          lab,
          from,
          [process.execPath, PROXY, String(proxied), to, '2'],
          /listening/,
        );
        const out = fresh('mirror');
        const way = ['--protocol', 'raw', '--transport', 'socket', '--allow-unchecked-target', '--out', out];
        const iface = from === 'online' ? 'lo' : 'eth0';
        const onto = ['-i', iface, '-x', `${REDIS_PORT}-${lab.addresses[from]}:${proxied}`];
        const command = [process.execPath, CLI, 'mirror', ...onto, ...way];
        try {
          const mirror = await Background.start(lab, 'online', command, /mirroring on|heard itself/);
          const incr = ['-h', lab.addresses.online, '-p', String(REDIS_PORT), 'INCR', 'heard'];
          for (let i = 0; i < 4; i++)
            await lab.run(from === 'online' ? 'online' : 'client', 'redis-cli', incr);
          const { code, stderr } = await mirror.ended;
          assert.match(stderr, /the mirror heard itself: its mark, which no one else says, came back/);
          assert.equal(code, EXIT.invalidRun);
          const heard = Number(await redisAt('online', 'GET', 'heard'));
          assert.ok(heard >= 4 && heard < 104, `${heard} of 4`);
        } finally {
          await proxy.stop();
          await redisAt('online', 'DEL', 'heard');
        }
      });
    }

    for (const [way, copies, speed] of [
      ['intercept', 1, 'max'],
      ['local', 3, 'max'],
      ['socket', 1, '1'],
      ['socket', 3, 'max'],
    ] as const) {
      test(`by ${way}, ${copies} times, speed ${speed}: as many calls of each command, the same keys`, async () => {
        await redisAt('target', 'FLUSHALL');
        await redisAt('target', 'CONFIG', 'RESETSTAT');
        const { divergence } = await replay(archive, REDIS_PORT, way, copies, ['--speed', speed]);
        assert.deepEqual(await redisCalls('target'), times(online.calls, copies));
        assert.equal(await redisAt('target', 'DBSIZE'), online.size);
        assert.equal(await redisAt('target', 'GET', 'who'), 'a redis-cli');
        assert.equal(divergence.unknown, 0);
        if (copies > 1) return;
        // More copies count further, and have longer lists.
        assert.equal(await redisAt('target', 'DEBUG', 'DIGEST'), online.digest);
        assert.ok(divergence.none > divergence.data, JSON.stringify(divergence));
      });
    }

    test('ls and the count of what it has are as for every archive', async () => {
      const { stdout, code } = await tape(lab, 'online', ['ls', archive, '--json']);
      assert.equal(code, 0);
      const sessions = stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { server: string });
      assert.ok(sessions.length >= 10);
      assert.ok(sessions.every(({ server }) => server === `${lab.addresses.online}:${REDIS_PORT}`));
    });
  });

  describe('HTTP', () => {
    let archive: string;
    let online: Record<string, number>;

    before(async () => {
      for (const host of ['online', 'target'] as const)
        await Background.start(lab, host, [process.execPath, HTTP_SERVICE, 'serve'], /listening/);
      archive = await record(HTTP_PORT, async () => {
        const from = { from: CLIENT_ADDRESSES[5] as string };
        const { code, stderr } = await lab.run(
          'client',
          process.execPath,
          [HTTP_CLIENTS, lab.addresses.online],
          from,
        );
        assert.equal(code, 0, stderr);
      });
      online = await httpSeen('online');
      assert.equal(Object.keys(online).length, 4 * 8 * 2 + 8);
    });

    for (const [way, copies, extra] of [
      ['intercept', 3, ['-C', '2']],
      ['local', 1, []],
      ['socket', 1, []],
      ['socket', 3, []],
    ] as const) {
      test(`by ${way}, ${copies} times: the same requests, the same answers`, async () => {
        const seenBefore = await httpSeen('target');
        const { divergence, commands } = await replay(archive, HTTP_PORT, way, copies, [
          ...['--speed', 'max', ...extra],
        ]);
        assert.deepEqual(more(await httpSeen('target'), seenBefore), times(online, copies));
        assert.deepEqual(
          { ...divergence, none: 0 },
          { ...divergence, none: 0, data: 0, unknown: 0, error: 0 },
        );
        assert.equal(divergence.none, commands.answered);
      });
    }
  });

  test('options that know of users or statements are refused, and so is the recorded server', async () => {
    const archive = await record(HTTP_PORT, async () => {
      await lab.run('client', process.execPath, [HTTP_CLIENTS, lab.addresses.online]);
    });
    const onto = (host: Host, more: string[]) =>
      tape(lab, 'assistant', [
        ...['replay', archive, '-x', `${HTTP_PORT}-${lab.addresses[host]}:${HTTP_PORT}`],
        ...['--protocol', 'raw', '--transport', 'socket', ...more],
      ]);
    for (const more of [
      ['--users', files.users],
      ['--as', 'app'],
      ['--include-schema', 'a'],
      ['--pin-time'],
    ]) {
      const { code, stderr } = await onto('target', more);
      assert.equal(code, 2, more[0]);
      assert.match(stderr, new RegExp(`${more[0]} is for MySQL`));
    }
    const { code, stderr } = await onto('online', []);
    assert.equal(code, 3, stderr);
    assert.match(stderr, /was recorded from/);
  });
});
