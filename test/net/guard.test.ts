import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { commandObstacle } from '../e2e/support/capability.ts';
import { addNamespace, removeNamespace } from '../support/namespace.ts';
import { until } from '../support/until.ts';
import { skip } from './namespaces.ts';

const NAMESPACE = `mytape-guard-${process.pid}`;

/** Above every process id that Linux gives. */
const NOBODY = 4_194_305;

/** Raises a guard as told, says so, and takes it away when its stdin ends. */
const OWNER = `
  const { Guard } = await import(${JSON.stringify(new URL('../../src/net/guard.js', import.meta.url).href)});
  const { parseAddress } = await import(${JSON.stringify(new URL('../../src/wire/address.js', import.meta.url).href)});
  const [target, targetPort, first, last, ...taken] = process.argv.slice(1);
  const guard = await Guard.raise({
    target: parseAddress(target), targetPort: +targetPort, first: +first, last: +last, taken: new Set(taken.map(Number)),
  }).catch((error) => {
    process.stdout.write(error.code + ' ' + error.message);
    process.exit(1);
  });
  process.stdout.write('up');
  process.stdin.on('end', () => guard.close()).resume();`;

/** Tries to connect to ADDRESS PORT from local port FROM; says which way it went. */
const CONNECT = `
  const { connect } = await import('node:net');
  const [host, port, localAddress, localPort] = process.argv.slice(1);
  const socket = connect({ host, port: +port, localAddress, localPort: +localPort });
  const say = (word) => { process.stdout.write(word); process.exit(); };
  socket.on('connect', () => say('connected')).on('error', (error) => say(error.code));
  setTimeout(() => say('silent'), 500);`;

function inside(command: string, ...args: string[]): string {
  return execFileSync('ip', ['netns', 'exec', NAMESPACE, command, ...args], { encoding: 'utf8' });
}

const tables = () => inside('nft', 'list', 'tables');

/** Resolves when `table` is gone. */
function gone(table: string): Promise<void> {
  return until(`${table} is gone`, () => !tables().includes(table));
}

const owners = new Set<ChildProcess>();

/** A process that raises a guard; resolves with what it says first. `wrapper`: how it is started. */
async function owner(
  args: string,
  wrapper: readonly string[] = [],
): Promise<{ child: ChildProcess; said: string }> {
  const node = [process.execPath, '--input-type=module', '-e', OWNER, ...args.split(' ')];
  const child = spawn('ip', ['netns', 'exec', NAMESPACE, ...wrapper, ...node], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  owners.add(child);
  const [said] = (await once(child.stdout!, 'data')) as [Buffer];
  return { child, said: said.toString('utf8') };
}

function watcherOf(child: ChildProcess): number {
  const pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim());
  assert.ok(pid > 0, 'it has a watcher');
  return pid;
}

async function killed(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

describe('the guard', { skip: skip || commandObstacle('nft') }, () => {
  before(() => {
    addNamespace(NAMESPACE);
    execFileSync('ip', ['-n', NAMESPACE, 'link', 'set', 'lo', 'up']);
  });
  afterEach(async () => {
    for (const child of owners) {
      if (child.exitCode === null && child.signalCode === null) await killed(child);
    }
    owners.clear();
    inside('nft', 'flush', 'ruleset');
  });
  after(() => {
    removeNamespace(NAMESPACE);
  });

  test('a table of its own while it is up, and nothing after', async () => {
    const { child, said } = await owner('10.77.0.3 3307 10000 32767');
    assert.equal(said, 'up');
    const table = inside('nft', 'list', 'table', 'inet', `mytape_${child.pid}`);
    assert.match(table, /hook input/);
    assert.match(table, /ip saddr 10\.77\.0\.3 tcp sport 3307 tcp dport 10000-32767 drop/);
    const exited = once(child, 'exit');
    child.stdin?.end();
    assert.deepEqual(await exited, [0, null], 'it ends by itself');
    assert.equal(tables(), '');
  });

  for (const [here, there] of [
    ['127.0.0.1', '127.0.0.2'],
    ['::1', '::1'],
  ]) {
    test(`the kernel does not hear what the guard is for, and all else: ${there}`, async () => {
      const listen = `require('node:net').createServer().listen(3307, '${there}', () => process.stdout.write('.'))`;
      const server = spawn('ip', ['netns', 'exec', NAMESPACE, process.execPath, '-e', listen]);
      owners.add(server);
      await once(server.stdout, 'data');
      const connect = (from: number) =>
        inside(process.execPath, '--input-type=module', '-e', CONNECT, there, '3307', here, String(from));
      const { child } = await owner(`${there} 3307 20000 20009 20005`);
      const heard = [19_999, 20_000, 20_005, 20_009, 20_010].map(connect);
      await killed(child);
      await gone('mytape_');
      const silent = 'silent';
      assert.deepEqual(heard, ['connected', silent, 'connected', silent, 'connected']);
      assert.equal(connect(20_001), 'connected');
      await killed(server);
    });
  }

  test('kill -9 of its owner takes it away within a second, whatever the terminal told its watcher', async () => {
    const { child } = await owner('10.77.0.3 3307 10000 32767');
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(watcherOf(child), signal);
    await sleep(50);
    assert.match(tables(), new RegExp(`mytape_${child.pid}`));
    await killed(child);
    await gone(`mytape_${child.pid}`);
  });

  test('a watcher that was killed is not missed where the owner ends in order', async () => {
    const { child } = await owner('10.77.0.3 3307 10000 32767');
    process.kill(watcherOf(child), 'SIGKILL');
    const exited = once(child, 'exit');
    child.stdin?.end();
    assert.deepEqual(await exited, [0, null]);
    assert.equal(tables(), '');
  });

  test('what dead owners left is removed by the next', async () => {
    const { child: first } = await owner('10.77.0.3 3307 10000 32767');
    process.kill(watcherOf(first), 'SIGKILL');
    await killed(first);
    inside('nft', 'add', 'table', 'inet', `mytape_${NOBODY}`);
    inside('nft', 'add', 'table', 'inet', 'somebody_elses');
    assert.match(tables(), new RegExp(`mytape_${first.pid}`));
    const { child, said } = await owner('10.77.0.3 3307 10000 32767');
    assert.equal(said, 'up');
    assert.deepEqual(
      tables().trim().split('\n').sort(),
      ['table inet somebody_elses', `table inet mytape_${child.pid}`].sort(),
    );
    inside('nft', 'delete', 'table', 'inet', 'somebody_elses');
    await killed(child);
    await gone('mytape_');
  });

  test('a second one for the same service is refused while the first one lives; for another it is not', async () => {
    const { child } = await owner('10.77.0.3 3307 10000 32767');
    const second = await owner('10.77.0.3 3307 10000 32767');
    assert.match(second.said, new RegExp(`^refused process ${child.pid} replays .* to 10\\.77\\.0\\.3:3307`));
    const other = await owner('10.77.0.3 33071 10000 32767');
    assert.equal(other.said, 'up');
    await Promise.all([killed(child), killed(other.child)]);
    await gone('mytape_');
  });

  test('without nft, or without the right to use it: said in words', async () => {
    const without = await owner('10.77.0.3 3307 10000 32767', ['env', 'PATH=/nowhere']);
    assert.match(without.said, /^no-library .*apt install nftables/);
    const powerless = await owner('10.77.0.3 3307 10000 32767', ['setpriv', '--bounding-set=-net_admin']);
    assert.match(powerless.said, /^no-privilege .*CAP_NET_ADMIN/);
    assert.equal(tables(), '');
  });
});
