import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
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
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
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
      /cannot read the key file .*openssl rand/,
      '-i',
      'lo',
      ...FILTER,
      '--key-file',
      join(folder, 'none'),
    );
  });

  test('without a key it listens on loopback only', { skip: SKIP }, () => {
    fails(
      2,
      /without --key-file the relay listens on loopback only, not on 0\.0\.0\.0/,
      '-i',
      'lo',
      ...FILTER,
      '-p',
      '0.0.0.0:36525',
    );
  });

  test('an interface that is not there, a filter that is none', { skip: SKIP }, () => {
    fails(1, /nosuch0/, '-i', 'nosuch0', ...FILTER);
    fails(1, /nosuch0/, '-i', 'lo', 'nosuch0', ...FILTER);
    fails(1, /filter/i, '-i', 'lo', '-F', 'tcp and and');
  });

  test('a port that is taken, a pid file that cannot be written: it ends', { skip: SKIP }, () => {
    fails(1, /EADDRINUSE.*another intercept runs there/, '-i', 'lo', ...FILTER, '-p', port);
    const pid = join(folder, 'no', 'pid');
    fails(1, /cannot write the pid file .*--pid-file/, '-i', 'lo', ...FILTER, '-p', FREE, '--pid-file', pid);
  });

  test('the pid file of another intercept that runs, and one left behind', { skip: SKIP }, async () => {
    const pid = join(folder, 'pid-of-another');
    const options = ['-i', 'lo', ...FILTER, '-p', FREE, '--pid-file', pid];
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
      await left.said(/intercept listening on 127\.0\.0\.1:26598 \(no key: loopback only\)/);
      assert.equal(readFileSync(pid, 'utf8'), `${left.pid}\n`);
    } finally {
      await left.stop();
    }
    assert.equal(existsSync(pid), false);
  });

  test('in the background: what it fails of is said in the foreground', { skip: SKIP }, () => {
    const log = join(folder, 'log');
    const pid = join(folder, 'pid');
    const options = ['-d', '--log-file', log, '--pid-file', pid];
    fails(1, /EADDRINUSE.*another intercept runs there/, '-i', 'lo', ...FILTER, '-p', port, ...options);
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
    const one = start('-i', 'lo', ...FILTER, '-p', FREE);
    delete process.env.MYTAPE_DETACHED;
    try {
      await one.said(/intercept listening/);
      assert.equal(existsSync(pid), false);
    } finally {
      await one.stop();
    }
  });

  test('its log is not written through a link, nor into a FIFO or a file of another user', () => {
    const [precious, link, fifo, another] = ['precious', 'link', 'fifo', 'another'].map((name) =>
      join(folder, name),
    );
    for (const path of [precious, another]) writeFileSync(path, 'precious');
    symlinkSync(precious, link);
    spawnSync('mkfifo', [fifo]);
    const options = ['-i', 'lo', ...FILTER, '-d', '--log-file'];
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
