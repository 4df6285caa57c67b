import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openArchive } from '../../src/archive/reader.ts';
import { addNamespace, removeNamespace } from '../support/namespace.ts';
import { onSmallDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';
import { collect, fillUp, temporaryFolder } from './support.ts';

const skip =
  process.platform !== 'linux' || process.getuid?.() !== 0
    ? 'needs root on Linux, for a network namespace'
    : false;

const NAMESPACE = `mytape-record-${process.pid}`;
const PORT = 3307;
const SESSIONS = 20;
const COMMANDS = 50;

interface Run {
  child: ChildProcess;
  stdout: () => string;
  stderr: () => string;
  /** Resolves to the exit code, or to the signal's name. */
  ended: Promise<number | string>;
}

function start(command: string, ...args: string[]): Run {
  const child = spawn('ip', ['netns', 'exec', NAMESPACE, command, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal);
  return { child, stdout: () => stdout, stderr: () => stderr, ended };
}

function startScript(name: string, ...args: string[]): Run {
  return start(process.execPath, fileURLToPath(new URL(`./${name}.js`, import.meta.url)), ...args);
}

async function startRecording(...args: string[]): Promise<Run> {
  const run = startScript('verbs-child', 'record', '-i', 'lo', '-p', String(PORT), ...args);
  await until('it records', () => run.stderr().includes('recording on lo'));
  return run;
}

async function makeTraffic(): Promise<void> {
  const traffic = startScript('traffic-child', String(PORT), String(SESSIONS), String(COMMANDS));
  assert.equal(await traffic.ended, 0, traffic.stderr());
}

describe('record', { skip }, () => {
  before(() => {
    addNamespace(NAMESPACE);
    execFileSync('ip', ['-n', NAMESPACE, 'link', 'set', 'lo', 'up']);
  });
  after(() => removeNamespace(NAMESPACE));

  test('records what was on the wire, and ends cleanly on SIGINT', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const run = await startRecording('-o', dir, '--json', '--rotate', '32Ki');
    await makeTraffic();
    run.child.kill('SIGINT');
    assert.equal(await run.ended, 0, run.stderr());
    const summary = JSON.parse(run.stdout());
    assert.equal(summary.dropped, 0);
    assert.equal(summary.droppedByDisk, 0);
    assert.equal(summary.sessions, SESSIONS);
    assert.equal(summary.commands, SESSIONS * COMMANDS);
    assert.equal(summary.uncounted, 0);
    assert.ok(summary.segments > 1);

    const archive = openArchive(dir);
    assert.equal(archive.info.complete, true);
    assert.equal(archive.info.packets, summary.packets);
    const packets = await collect(archive.packets());
    assert.equal(packets.length, summary.packets);
    assert.ok(
      packets.some((packet) => packet.octets.length > 32 * 1024),
      'large packets come whole',
    );
    let sum = 0;
    for (const session of archive.sessions()) {
      assert.equal(session.user, 'app');
      assert.equal(session.commands, COMMANDS);
      assert.ok(session.clientOctets > 100_000);
      sum += session.packets;
    }
    assert.equal(sum, summary.packets);
    archive.close();
  });

  test('killed, it leaves all that was durable', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const run = await startRecording('-o', dir);
    await makeTraffic();
    let known = 0;
    await until('something is durable', () => {
      const archive = openArchive(dir);
      known = archive.info.packets;
      assert.equal(archive.info.live, true);
      archive.close();
      return known > 0;
    });
    await makeTraffic();
    run.child.kill('SIGKILL');
    assert.equal(await run.ended, 'SIGKILL');
    const archive = openArchive(dir);
    assert.equal(archive.info.repairedNow, true);
    assert.ok(archive.info.packets >= known);
    assert.equal((await collect(archive.packets())).length, archive.info.packets);
    archive.close();
  });

  test('interrupted on a disk that is full, it says how many packets were dropped, and so does ls', async (t) => {
    await onSmallDisk(temporaryFolder(t), '4m', async (mount) => {
      const dir = join(mount, 'a');
      const run = await startRecording('-o', dir, '--json');
      fillUp(join(mount, 'ballast'));
      await makeTraffic();
      await until('it says that it drops', () => run.stderr().includes('packets are dropped, and counted'));
      fillUp(join(mount, 'ballast'));
      run.child.kill('SIGINT');
      assert.equal(await run.ended, 1, run.stderr());
      const { droppedByDisk, packets } = JSON.parse(run.stdout()) as {
        droppedByDisk: number;
        packets: number;
      };
      assert.ok(droppedByDisk > 0);
      const archive = openArchive(dir);
      const { info } = archive;
      archive.close();
      const said = { complete: info.complete, droppedByDisk: info.droppedByDisk, packets: info.packets };
      assert.deepEqual(said, { complete: true, droppedByDisk, packets });
      const ls = startScript('verbs-child', 'ls', dir);
      assert.equal(await ls.ended, 0);
      assert.match(
        ls.stderr(),
        new RegExp(`the recording lost ${droppedByDisk} packets? .*its disk was full`),
      );
    });
  });

  test('goes on when its interface was down, and names the gap', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const run = await startRecording('-o', dir);
    await makeTraffic();
    execFileSync('ip', ['-n', NAMESPACE, 'link', 'set', 'lo', 'down']);
    await until('it says that lo is down', () => run.stderr().includes('lo is down'));
    execFileSync('ip', ['-n', NAMESPACE, 'link', 'set', 'lo', 'up']);
    await until('it says that lo is up', () => run.stderr().includes('lo is up again: a gap of'));
    await makeTraffic();
    run.child.kill('SIGINT');
    assert.equal(await run.ended, 0, run.stderr());
    assert.match(run.stdout(), /40 sessions, .*, 1 gap of \d.*s in all/);
    const archive = openArchive(dir);
    const [gap, ...more] = archive.gaps();
    assert.ok(more.length === 0 && gap.toAt! > gap.fromAt);
    const sessions = [...archive.sessions()];
    assert.equal(sessions.length, 2 * SESSIONS);
    assert.ok(sessions.every(({ ended, commands }) => ended === 'closed' && commands === COMMANDS));
    assert.ok(sessions[SESSIONS - 1].lastAt < gap.fromAt && sessions[SESSIONS].firstAt > gap.fromAt);
    archive.close();
    const ls = startScript('verbs-child', 'ls', dir);
    assert.equal(await ls.ended, 0);
    assert.match(ls.stderr(), /a has a gap of \d.*: its interface was down/);
  });

  test('ends in order, with its summary, when its interface is removed', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    execFileSync('ip', ['-n', NAMESPACE, 'link', 'add', 'removed', 'type', 'veth', 'peer', 'name', 'peer']);
    execFileSync('ip', ['-n', NAMESPACE, 'link', 'set', 'removed', 'up']);
    const run = startScript('verbs-child', 'record', '-i', 'removed', '-o', dir);
    await until('it records', () => run.stderr().includes('recording on removed'));
    execFileSync('ip', ['-n', NAMESPACE, 'link', 'del', 'removed']);
    assert.equal(await run.ended, 1, run.stderr());
    assert.match(run.stdout(), /0 packets, .* sessions/);
    assert.doesNotMatch(run.stdout() + run.stderr(), /\bgap\b|is down|up again/);
    assert.match(run.stderr(), /the interface removed was removed while packets were captured on it/);
    const archive = openArchive(dir);
    assert.equal(archive.info.complete, true);
    archive.close();
  });

  test('ends by itself after --for, and refuses a folder that has an archive', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const run = await startRecording('-o', dir, '--for', '200ms');
    assert.equal(await run.ended, 0, run.stderr());
    assert.match(run.stdout(), /0 packets, 0 B, 0 sessions, 0 dropped/);
    const again = startScript('verbs-child', 'record', '-i', 'lo', '-o', dir);
    assert.equal(await again.ended, 1);
    assert.match(again.stderr(), /^archive-exists: .* has an archive/m);
  });
});
