/** As whom verbs go on once their sockets are open, read from /proc; and what they say where they can't. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { planRunAs, readFor } from '../../../src/net/host/run-as.ts';
import { assertWithoutCapabilities, assertWithoutRights, rightsOf } from '../../support/rights.ts';
import { ROOT } from '../../support/root.ts';
import { HANG_MS } from '../../support/until.ts';
import { CLI, mytape } from '../../verbs/mytape.ts';

const SKIP = process.getuid?.() === 0 && process.platform === 'linux' ? false : 'needs root on Linux';
/** A user that every Linux has, and that owns nothing. */
const NOBODY = 'nobody';
/** Nobody listens there. */
const PORT = 26_597;
const RELAY_PORT = 26_596;
/** Bit 13 (linux/capability.h). */
const CAP_NET_RAW = 1n << 13n;
/** Of `openedByAnother`. */
const CLOSED = ['EACCES', 'EACCES', 'open'];

async function until<T>(look: () => T | undefined | false, what: () => string): Promise<T> {
  const deadline = performance.now() + HANG_MS;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    assert.ok(performance.now() < deadline, what());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What a test that failed left running. */
const children = new Set<ChildProcess>();
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** A mytape that goes on until it is told to stop. */
class Running {
  said = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;

  /** `by`: a command that executes another one. */
  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}, by: readonly string[] = []) {
    const [program, ...words] = [...by, process.execPath, CLI, ...args];
    this.#child = spawn(program, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    children.add(this.#child);
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (octets) => {
        this.said += octets;
      });
    this.#ended = new Promise((resolve) =>
      this.#child.once('close', (code) => {
        children.delete(this.#child);
        resolve(code);
      }),
    );
  }

  async ready(line: RegExp): Promise<number> {
    await until(
      () => line.test(this.said),
      () => this.said,
    );
    return this.#child.pid as number;
  }

  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    return this.#ended;
  }
}

describe('as whom to go on', { skip: SKIP }, () => {
  const nobody = () => planRunAs(NOBODY, {});

  test('--user by name and by number; root stays root', () => {
    const account = nobody();
    assert.ok(account !== undefined && account.uid > 0 && account.gid > 0);
    assert.deepEqual(planRunAs(String(account.uid), {}), account);
    assert.equal(planRunAs('root', {}), undefined);
    assert.throws(() => planRunAs('no-such-user', {}), /--user no-such-user: this host has no such user/);
    assert.throws(() => planRunAs('4000000000', {}), /no such user/);
  });

  test('who called by sudo, doas, pkexec; nobody else', () => {
    const account = nobody();
    assert.ok(account !== undefined);
    const uid = String(account.uid);
    assert.deepEqual(planRunAs(undefined, { SUDO_UID: uid, SUDO_GID: '0' }), account);
    assert.deepEqual(planRunAs(undefined, { DOAS_USER: NOBODY }), account);
    assert.deepEqual(planRunAs(undefined, { PKEXEC_UID: uid }), account);
    // A number that this host has no name for.
    const stranger = planRunAs(undefined, { SUDO_UID: '54321', SUDO_GID: '54322' });
    assert.deepEqual(stranger, { uid: 54321, gid: 54322, name: undefined });
    for (const env of [{}, { SUDO_UID: '0' }, { SUDO_UID: 'x' }, { DOAS_USER: 'root' }])
      assert.equal(planRunAs(undefined, env), undefined);
    assert.equal(planRunAs('root', { SUDO_UID: uid }), undefined);
  });
});

describe('input is not read before root is given up', { skip: SKIP }, () => {
  const PEAK = 33_917;
  let folder: string;
  let archive: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    chmodSync(folder, 0o777);
    archive = join(folder, 'peak.tape');
    const capture = join(ROOT, 'fixtures/connector.pcap');
    assert.equal(mytape('import', capture, '-o', archive, '-p', String(PEAK)).status, 0);
    writeFileSync(join(folder, 'users'), 'app: secret\n', { mode: 0o600 });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Onto a port where nobody listens. */
  function replay(...more: string[]): { status: number | null; stderr: string } {
    const onto = ['-x', `${PEAK}-127.0.0.1:1`, '--users', join(folder, 'users'), '--user', NOBODY];
    return mytape('replay', archive, ...onto, '--out', join(folder, 'run'), ...more);
  }

  test('an archive that the later user cannot read is named, before its index or a segment is opened', () => {
    chmodSync(archive, 0o755);
    for (const name of readdirSync(archive)) {
      chmodSync(join(archive, name), 0o600);
      // Whoever opened it would say that it is damaged.
      if (name === 'index.db') writeFileSync(join(archive, name), 'not an index');
    }
    for (const way of [['--transport', 'socket'], ['--local'], ['--dry-run', '--local']]) {
      const { status, stderr } = replay(...way);
      assert.match(stderr, /cannot read .*peak\.tape as nobody: EACCES.*its owner by --user root/);
      assert.deepEqual([status, existsSync(join(folder, 'run'))], [1, false]);
    }
  });

  test('no part of an archive, nor what is left of a run, is read by a root that is to go on as another user', () => {
    const script = [
      'planRunAs("nobody", {});',
      'for (const read of [() => openArchive(archive), () => readSnapshots(archive), () => readKnownServers(archive), () => readRunLeft(archive, [], 1)])',
      '  try { read(); console.log("read"); } catch (error) { console.log(error.message); }',
    ].join('\n');
    const from = (module: string) => new URL(`../../../src/${module}.js`, import.meta.url).href;
    const imports = [
      `import { planRunAs } from '${from('net/host/run-as')}';`,
      `import { openArchive } from '${from('archive/reader')}';`,
      `import { readSnapshots } from '${from('archive/snapshots')}';`,
      `import { readKnownServers } from '${from('archive/known-servers')}';`,
      `import { readRunLeft } from '${from('run/checkpoint/run-file')}';`,
      `const archive = ${JSON.stringify(archive)};`,
    ].join('\n');
    const args = ['--input-type=module', '-e', `${imports}\n${script}`];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: ROOT });
    const lines = stdout.trim().split('\n');
    assert.equal(lines.length, 4, stderr);
    for (const line of lines) assert.match(line, /is about to be read by root/);
  });
});

describe('mytape with fewer rights', { skip: SKIP }, () => {
  let folder: string;
  let uid: number;
  let gid: number;
  before(() => {
    ({ uid, gid } = planRunAs(NOBODY, {}) as { uid: number; gid: number });
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    chmodSync(folder, 0o711);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function assertNobody(pid: number): void {
    const threads = rightsOf(pid);
    assertWithoutRights(threads);
    for (const { uids, gids } of threads)
      assert.deepEqual([...uids, ...gids], [uid, uid, uid, uid, gid, gid, gid, gid]);
    assert.equal(threads[0].bounding, 0n);
  }

  /** What another process of the user may open: the memory and the environment of `pid`, and the memory of a process that gave up nothing. */
  function openedByAnother(pid: number): string[] {
    const open = (of: string) =>
      `try { closeSync(openSync('/proc/' + ${of}, 'r')); console.log('open') } catch (error) { console.log(error.code) }`;
    const child = `spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'])`;
    const script = [
      "const { closeSync, openSync } = require('node:fs'); const { spawn } = require('node:child_process');",
      `const child = ${child};`,
      ...[`'${pid}/mem'`, `'${pid}/environ'`, "child.pid + '/mem'"].map(open),
      'child.kill();',
    ].join('\n');
    const as = ['--reuid', String(uid), '--regid', String(gid), '--clear-groups'];
    const { stdout } = spawnSync('setpriv', [...as, process.execPath, '-e', script], { encoding: 'utf8' });
    return stdout.trim().split('\n');
  }

  test('record goes on as --user, in all threads; the archive is theirs, and grows', async () => {
    const archive = join(folder, 'of-nobody', 'peak.tape');
    const recording = new Running([
      ...['record', '-i', 'lo', '-p', String(PORT), '-o', archive, '--rotate', '1', '--user', NOBODY],
    ]);
    const pid = await recording.ready(/recording on lo/);
    assertNobody(pid);
    const opened = openedByAnother(pid);
    const segments = () => readdirSync(archive).filter((name) => name.endsWith('.pcap.lz4'));
    await until(
      () => {
        connect(PORT, '127.0.0.1').on('error', () => {});
        return segments().length > 1;
      },
      () => `${segments()}`,
    );
    assert.equal(await recording.stop(), 0, recording.said);
    assert.deepEqual(opened, CLOSED);
    for (const name of ['.', ...readdirSync(archive)]) {
      const found = statSync(join(archive, name));
      assert.deepEqual([found.uid, found.gid, found.mode & 0o077], [uid, gid, 0], name);
    }
    assert.equal(statSync(join(folder, 'of-nobody')).uid, uid);
    assert.equal(mytape('ls', archive).status, 0);
  });

  test('record by sudo goes on as who called it', async () => {
    const archive = join(folder, 'by-sudo.tape');
    const args = ['record', '-i', 'lo', '-p', String(PORT), '-o', archive];
    const recording = new Running(args, { SUDO_UID: String(uid), SUDO_GID: String(gid) });
    assertNobody(await recording.ready(/recording on lo/));
    assert.equal(await recording.stop(), 0, recording.said);
    assert.equal(statSync(archive).uid, uid);
  });

  test('import by sudo goes on as who called it: the archive is theirs, and one without packets is removed', () => {
    const by = { ...process.env, SUDO_UID: String(uid), SUDO_GID: String(gid) };
    const run = (archive: string, port: string) =>
      spawnSync(
        process.execPath,
        [CLI, 'import', join(ROOT, 'fixtures/mysql2.pcap'), '-o', archive, '-p', port],
        { encoding: 'utf8', env: by },
      );
    const archive = join(folder, 'imported-by-sudo.tape');
    const { status, stderr } = run(archive, '33917');
    assert.equal(status, 0, stderr);
    for (const name of ['.', ...readdirSync(archive)])
      assert.equal(statSync(join(archive, name)).uid, uid, name);
    // Only root may change the folder that this one is in.
    const none = join(folder, 'imported-without-packets.tape');
    const nothing = run(none, '1');
    assert.equal(nothing.status, 1);
    assert.match(nothing.stderr, /no packet is of port 1/);
    assert.doesNotMatch(nothing.stderr, / {4}at /);
    assert.deepEqual(existsSync(none) ? readdirSync(none) : [], []);
  });

  test('record by root itself stays root, without capabilities where its own code runs', async () => {
    const archive = join(folder, 'of-root.tape');
    const recording = new Running([
      'record',
      '-i',
      'lo',
      '-p',
      String(PORT),
      '-o',
      archive,
      '--user',
      'root',
    ]);
    const threads = rightsOf(await recording.ready(/recording on lo/));
    assert.equal(await recording.stop(), 0, recording.said);
    const [main] = threads;
    assert.deepEqual([main.bounding, main.uids[0]], [0n, 0]);
    for (const { noNewPrivileges } of threads) assert.ok(noNewPrivileges);
    const without = threads.filter(({ permitted }) => permitted === 0n);
    assert.ok(without.includes(main));
    for (const rights of without) assertWithoutCapabilities(rights.thread, rights);
    // The main thread and libuv's four.
    assert.ok(without.length >= 5, `${without.length} of ${threads.length} threads`);
  });

  test('intercept goes on as --user; its pid file, in a folder of root, does not name it afterwards', async () => {
    const pidFile = join(folder, 'pid');
    const key = join(folder, 'relay.key');
    writeFileSync(key, 'ab'.repeat(32), { mode: 0o600 });
    const intercept = new Running([
      ...['intercept', '-i', 'lo', '-F', `tcp and src port ${PORT}`, '-p', `127.0.0.1:${RELAY_PORT}`],
      ...['--pid-file', pidFile, '--user', NOBODY, '--key-file', key],
    ]);
    const pid = await intercept.ready(/listening/);
    assertNobody(pid);
    assert.deepEqual([readFileSync(pidFile, 'utf8'), statSync(pidFile).mode & 0o777], [`${pid}\n`, 0o644]);
    assert.equal(await intercept.stop(), 0, intercept.said);
    assert.equal(readFileSync(pidFile, 'utf8'), '');
  });

  test('intercept gives its Unix socket to that user, and takes the place of one that it left', async () => {
    const path = join(folder, 'relay.sock');
    const args = ['intercept', '-i', 'lo', '-F', `tcp and src port ${PORT}`, '-p', path, '--user', NOBODY];
    for (let time = 0; time < 2; time++) {
      const intercept = new Running(args);
      await intercept.ready(/listening/);
      assert.deepEqual([statSync(path).uid, statSync(path).mode & 0o777], [uid, 0o600]);
      assert.equal(await intercept.stop(), 0, intercept.said);
      assert.ok(existsSync(path));
    }
  });

  test('a user with CAP_NET_RAW, as systemd starts one, keeps it in no thread where its own code runs', async () => {
    const home = join(folder, 'home');
    mkdirSync(home);
    chownSync(home, uid, gid);
    const recording = new Running(
      ['record', '-i', 'lo', '-p', String(PORT), '-o', join(home, 'peak.tape')],
      {},
      [
        ...['setpriv', '--reuid', String(uid), '--regid', String(gid), '--clear-groups', '--no-new-privs'],
        ...[
          '--bounding-set',
          '-all,+net_raw',
          '--inh-caps',
          '-all,+net_raw',
          '--ambient-caps',
          '-all,+net_raw',
        ],
      ],
    );
    const pid = await recording.ready(/recording on lo/);
    const threads = rightsOf(pid);
    const opened = openedByAnother(pid);
    assert.equal(await recording.stop(), 0, recording.said);
    assert.deepEqual(opened, CLOSED);
    const without = threads.filter(({ permitted }) => permitted === 0n);
    assert.ok(without.includes(threads[0]) && without.length >= 5, `${without.length} of ${threads.length}`);
    for (const rights of without) assertWithoutCapabilities(rights.thread, rights);
    for (const { permitted, noNewPrivileges } of threads) {
      assert.ok(permitted === 0n || permitted === CAP_NET_RAW, `${permitted}`);
      assert.ok(noNewPrivileges);
    }
  });

  test('a folder that the user cannot write is named before anything is recorded', () => {
    const archive = join(folder, 'of-root');
    mkdirSync(archive, { mode: 0o755 });
    const { status, stderr } = mytape('record', '-i', 'lo', '-o', archive, '--user', NOBODY);
    assert.match(
      stderr,
      /cannot write the folder .*of-root as nobody: EACCES.*\(choose another by -o, or its owner by --user root\)/,
    );
    assert.equal(status, 1);
    assert.doesNotMatch(stderr, /recording/);
    assert.deepEqual(readdirSync(archive), []);
  });

  test('an archive that only another user can read: the error names that user', () => {
    const archive = join(folder, 'another-s');
    mkdirSync(archive, { mode: 0o700 });
    chownSync(archive, uid, gid);
    const other = { uid: uid - 1, gid, name: undefined };
    assert.throws(
      () => readFor(other, archive, () => {}),
      /cannot read .*another-s as user \d+: EACCES.*\(make it readable, or choose its owner by --user nobody\)/,
    );
    chownSync(archive, 0, 0);
    assert.throws(() => readFor(other, archive, () => {}), /or choose its owner by --user root\)/);
    chownSync(archive, uid - 1, gid);
    chmodSync(archive, 0);
    assert.throws(() => readFor(other, archive, () => {}), /or choose another user by --user NAME\)/);
  });

  test('a mytape that the user cannot read is named: parts of it are loaded later', () => {
    const install = join(folder, 'install');
    cpSync(fileURLToPath(new URL('../../../src', import.meta.url)), join(install, 'dist/src'), {
      recursive: true,
    });
    for (const name of ['package.json', 'node_modules']) symlinkSync(join(ROOT, name), join(install, name));
    chmodSync(install, 0o700);
    const cli = join(install, 'dist/src/cli.js');
    const args = [cli, 'record', '-i', 'lo', '-o', join(folder, 'never'), '--user', NOBODY];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.match(stderr, /cannot go on as nobody, who can't read mytape itself: EACCES.*--user root/);
    assert.equal(status, 1);
    assert.ok(!existsSync(join(folder, 'never')));
  });

  test('who called sudo may have the users file; somebody else may not', () => {
    const users = join(folder, 'users');
    const args = ['replay', join(folder, 'no.tape'), '-x', '3307-127.0.0.1:1', '--local', '--users', users];
    writeFileSync(users, 'app: secret\n', { mode: 0o600 });
    chownSync(users, uid, gid);
    assert.match(
      mytape(...args).stderr,
      new RegExp(`users is refused: it belongs to user ${uid}, who could change it`),
    );
    for (const by of [{ SUDO_UID: String(uid) }, { DOAS_USER: NOBODY }]) {
      const { stderr } = spawnSync(process.execPath, [CLI, ...args], {
        encoding: 'utf8',
        env: { ...process.env, ...by },
      });
      assert.match(stderr, /there is no archive .*no\.tape/);
    }
  });

  test('without root there is no other user', () => {
    const args = ['record', '-i', 'lo', '-o', join(folder, 'never'), '--user', 'root'];
    const nobodys = ['--reuid', String(uid), '--regid', String(gid), '--clear-groups', process.execPath, CLI];
    const { status, stderr } = spawnSync('setpriv', [...nobodys, ...args], { encoding: 'utf8' });
    assert.match(stderr, /--user root: only root can go on as another user/);
    assert.equal(status, 1);
    assert.ok(!existsSync(join(folder, 'never')));
  });
});
