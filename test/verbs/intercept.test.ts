import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { RecordedHost } from '../archive/recorder/host.ts';
import { CLI, mytape } from './mytape.ts';

const SKIP = process.getuid?.() === 0 && process.platform === 'linux' ? false : 'needs root on Linux';
const FILTER = ['-F', 'tcp and src port 3307'];

/** Below the ports that the kernel gives to whatever else runs: those may be taken. */
const FREE = '127.0.0.1:26598';
const OURS = /this is a fault of mytape's own|^\s+at /m;

/** An intercept that is left running. */
function start(...args: string[]) {
  const child = spawn(process.execPath, [CLI, 'intercept', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (octets) => {
    said += octets;
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  return {
    pid: child.pid,
    said: async (line: RegExp) => {
      const deadline = performance.now() + 10_000;
      while (!line.test(said)) {
        assert.ok(performance.now() < deadline && child.exitCode === null, said);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

describe('mytape intercept', () => {
  let folder: string;
  let taken: Server;
  let port: string;
  let keyFile: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    keyFile = join(folder, 'relay-key');
    writeFileSync(keyFile, 'ab'.repeat(32), { mode: 0o600 });
    taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    port = String((taken.address() as { port: number }).port);
  });
  after(() => {
    taken.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** It must end by itself: what was opened before the failure is to be closed. */
  function fails(status: number, message: RegExp, ...args: string[]): void {
    const out = mytape('intercept', ...args);
    assert.match(out.stderr, message);
    assert.equal(out.status, status, out.stderr);
    assert.doesNotMatch(out.stderr, OURS);
  }

  test('--help has the options and examples', () => {
    const { status, stdout } = mytape('intercept', '--help');
    assert.equal(status, 0);
    assert.match(
      stdout,
      /Examples:\n.*\n +mytape intercept -i eth0 -F 'tcp and src port 3307' -p 36525 --key-file/,
    );
  });

  test('usage', () => {
    fails(2, /required option '-i/, ...FILTER);
    fails(2, /required option '-F/, '-i', 'lo');
    fails(2, /no port|HOST:PORT/, '-i', 'lo', ...FILTER, '-p', '99999');
    fails(
      1,
      /cannot read the key file .*--new-key/,
      '-i',
      'lo',
      ...FILTER,
      '--key-file',
      join(folder, 'none'),
    );
  });

  test('by TCP it wants a key, also on loopback; a Unix socket needs none', () => {
    for (const where of [
      [],
      ['-p', '0.0.0.0:36525'],
      ['-p', FREE],
      ['-p', 'localhost:26598'],
      ['-p', '127.x.test:1'],
    ])
      fails(
        2,
        /needs --key-file: .*--new-key.*or, .*-p \/run\/mytape\.sock/,
        '-i',
        'lo',
        ...FILTER,
        ...where,
      );
  });

  test('a filter that names no target, a target that is none', () => {
    const key = ['--key-file', keyFile];
    fails(2, /names no port of the target: name the targets: --target/, '-i', 'lo', '-F', 'tcp', ...key);
    fails(2, /read up to "and"\): name the targets/, '-i', 'lo', '-F', 'tcp and and', ...key);
    fails(
      2,
      /--target db:3307 is not of the form CIDR:PORT/,
      '-i',
      'lo',
      ...FILTER,
      '--target',
      'db:3307',
      ...key,
    );
  });

  test('--new-key makes a key, once, and needs nothing else', () => {
    const path = join(folder, 'new-key');
    const { status, stdout } = mytape('intercept', '--new-key', path);
    assert.equal(status, 0);
    assert.match(stdout, /a new key is in .*new-key.*\ncopy it .*--key-file/);
    assert.match(readFileSync(path, 'utf8'), /^[0-9a-f]{64}\n$/);
    fails(1, /cannot make the key file .*it is there already/, '--new-key', path);
  });

  test('an interface that is not there, a filter that is none', { skip: SKIP }, () => {
    const others = ['--key-file', keyFile, ...FILTER];
    fails(1, /nosuch0/, '-i', 'nosuch0', ...others);
    fails(1, /nosuch0/, '-i', 'lo', 'nosuch0', ...others);
    fails(1, /filter/i, '-i', 'lo', '-F', 'tcp and and', '--target', '10.0.0.83:3307', '--key-file', keyFile);
  });

  test('a port that is taken, a pid file that cannot be written: it ends', { skip: SKIP }, () => {
    const common = ['-i', 'lo', ...FILTER, '--key-file', keyFile];
    fails(1, /EADDRINUSE.*another intercept listens there/, ...common, '-p', port);
    const pid = join(folder, 'no', 'pid');
    fails(1, /cannot write the pid file .*--pid-file/, ...common, '-p', FREE, '--pid-file', pid);
  });

  test('the pid file of another intercept that runs, and one left behind', { skip: SKIP }, async () => {
    const pid = join(folder, 'pid-of-another');
    const path = join(folder, 'relay.sock');
    const options = ['-i', 'lo', ...FILTER, '-p', path, '--pid-file', pid];
    // What another intercept's command line looks like.
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'intercept']);
    try {
      writeFileSync(pid, `${other.pid}\n`);
      fails(1, /pid file .* is that of process \d+, an intercept that runs \(stop it: kill \d+/, ...options);
    } finally {
      other.kill('SIGKILL');
      await new Promise((resolve) => other.once('exit', resolve));
    }
    const left = start(...options);
    try {
      await left.said(/intercept listening on \S+relay\.sock \(for its owner alone\)/);
      await left.said(/packets are sent to these targets alone: port 3307 of any address/);
      assert.equal(statSync(path).mode & 0o777, 0o600);
      assert.equal(readFileSync(pid, 'utf8'), `${left.pid}\n`);
    } finally {
      await left.stop();
    }
    assert.equal(existsSync(pid), false);
    assert.equal(existsSync(path), false);
  });

  test('in the background: what it fails of is said in the foreground', { skip: SKIP }, () => {
    const log = join(folder, 'log');
    const pid = join(folder, 'pid');
    const options = ['-d', '--log-file', log, '--pid-file', pid, '--key-file', keyFile];
    fails(1, /EADDRINUSE.*another intercept listens there/, '-i', 'lo', ...FILTER, '-p', port, ...options);
    fails(
      1,
      /cannot write the log .*--log-file/,
      '-i',
      'lo',
      ...FILTER,
      '-d',
      '--log-file',
      join(folder, 'no', 'log'),
    );
  });

  test('a variable left over from one in the background names no pid file', { skip: SKIP }, async () => {
    const pid = join(folder, 'pid-of-the-environment');
    process.env.MYTAPE_DETACHED = pid;
    const one = start('-i', 'lo', ...FILTER, '-p', FREE, '--key-file', keyFile);
    delete process.env.MYTAPE_DETACHED;
    try {
      await one.said(/intercept listening/);
      assert.equal(existsSync(pid), false);
    } finally {
      await one.stop();
    }
  });

  test('goes on when its interface was down', { skip: SKIP }, async () => {
    const host = new RecordedHost('mytape-intercept-flap');
    try {
      const options = ['-i', 'lo', ...FILTER, '-p', FREE, '--key-file', keyFile];
      const one = host.start(process.execPath, CLI, 'intercept', ...options);
      await one.until(() => one.stderr.includes('intercept listening'));
      host.link('down');
      await one.until(() => one.stderr.includes('lo is down: waiting'));
      host.link('up');
      await one.until(() => one.stderr.includes('lo is up again: a gap of'));
      assert.equal(await one.end('SIGTERM'), 0, one.stderr);
      assert.match(one.stderr, /intercept stopped: /);
    } finally {
      host.close();
    }
  });

  test('its log is not written through a link, nor into a FIFO or a file of another user', () => {
    const [precious, link, fifo, another] = ['precious', 'link', 'fifo', 'another'].map((name) =>
      join(folder, name),
    );
    for (const path of [precious, another]) writeFileSync(path, 'precious');
    symlinkSync(precious, link);
    spawnSync('mkfifo', [fifo]);
    const options = ['-i', 'lo', ...FILTER, '-d', '--key-file', keyFile, '--log-file'];
    fails(1, /cannot write the log .*link: it is a symbolic link.*--log-file/, ...options, link);
    fails(1, /cannot write the log .*fifo: it is a FIFO/, ...options, fifo);
    if (process.geteuid?.() === 0) {
      chownSync(another, 54_321, 0);
      fails(1, /cannot write the log .*another: it belongs to user 54321/, ...options, another);
    }
    for (const path of [precious, another]) assert.equal(readFileSync(path, 'utf8'), 'precious');
  });

  test('a key that others can read', () => {
    const key = join(folder, 'key');
    writeFileSync(key, 'ab'.repeat(32), { mode: 0o644 });
    fails(1, /can be read by others \(run: chmod 600/, '-i', 'lo', ...FILTER, '--key-file', key);
  });
});
