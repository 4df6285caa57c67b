import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { SERVERS_FILE } from '../../src/archive/known-servers.ts';
import type { Step } from '../../src/report/step.ts';
import { blockOf, createWriter, interleave, recordArchive, sessionFrames } from '../archive/support.ts';
import { labObstacle } from '../e2e/support/capability.ts';
import { mytape } from './mytape.ts';

const OURS = /this is a fault of mytape's own|^\s+at /m;

/** Where nothing listens, and nothing is asked for more. */
const X = ['-x', '3307-127.0.0.1:1'];
/** Nobody listens there. */
const RELAY = ['-s', '/run/mytape-nobody.sock'];

describe('mytape doctor', () => {
  let folder: string;
  let tape: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    tape = join(folder, 'a.tape');
    recordArchive(tape, interleave([sessionFrames('198.51.100.1', 40_001, 1)]));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('--help has the options and examples', () => {
    const { status, stdout } = mytape('doctor', '--help');
    assert.equal(status, 0);
    assert.match(stdout, /Examples:[\s\S]* mytape doctor -x 3307-10\.128\.6\.83:3307 -s /);
    assert.match(mytape('--help').stdout, /doctor .*check each step of the path/);
    assert.match(mytape('--help').stdout, /routes .*routes/);
  });

  test('usage errors say the right form', () => {
    const fails = (message: RegExp, ...args: string[]) => {
      const { status, stdout, stderr } = mytape('doctor', ...args);
      assert.match(stderr, message);
      assert.equal(status, 2, stderr);
      assert.equal(stdout, '');
      assert.doesNotMatch(stderr, OURS);
    };
    fails(/required option '-x/, ...RELAY);
    fails(/-s 127\.0\.0\.1:1 needs --key-file/, ...X, '-s', '127.0.0.1:1');
    fails(/either -s HOST:PORT \(an intercept\), or --local/, ...X);
    fails(/-s 127\.0\.0\.1:1 needs --key-file/, ...X, '-s', '127.0.0.1:1');
    fails(/either -s HOST:PORT \(an intercept\), or --local/, ...X, ...RELAY, '--local');
    fails(/web-3 is no address, as in 10\.1\.2\.3/, ...X, ...RELAY, '--client', 'web-3');
    fails(/both --client and --clients/, ...X, '--local', '--client', '10.1.2.3', '-c', '10.9.0.0/16');
    fails(/neither recorded nor self/, ...X, '--local', '--clients', '10.9.0.1/16');
    fails(/there is no host no\.such\.host\.invalid/, '-x', '3307-no.such.host.invalid:1', ...RELAY);
  });

  test('an archive that its recorder did not close is repaired, and that is said', () => {
    const dead = join(folder, 'dead.tape');
    const alive = join(folder, 'alive.tape');
    const writer = createWriter(alive);
    writer.write(blockOf(interleave([sessionFrames('198.51.100.1', 40_001, 1)])));
    writer.tick();
    cpSync(alive, dead, { recursive: true });
    writer.close({ packets: 0, dropped: 0 });
    const { stderr } = mytape('doctor', ...X, '--transport', 'socket', '--archive', dead);
    assert.match(stderr, /dead\.tape was not closed by its recorder; repaired: /);
    assert.equal(stderr.match(/repaired: /g)?.length, 1);
  });

  test('the servers of an archive are read once, however many targets there are', () => {
    const two = join(folder, 'two.tape');
    const sessions = ['10.0.0.9', '10.0.0.10'].map((server, i) =>
      sessionFrames('198.51.100.1', 40_001 + i, 1, 1000, { server }),
    );
    recordArchive(two, interleave(sessions));
    writeFileSync(join(two, SERVERS_FILE), 'damaged\n');
    const x = ['-x', '10.0.0.9:3307-127.0.0.1:1,10.0.0.10:3307-127.0.0.1:2'];
    const { stdout, stderr } = mytape('doctor', ...x, '--transport', 'socket', '--archive', two);
    assert.equal(stdout.match(/failed +greeting/g)?.length, 2, stdout);
    assert.equal(stderr.match(/servers\.json/g)?.length, 1, stderr);
  });

  // As root these come as far as the step that they are about.
  const skip = labObstacle() ?? false;

  function examine(...args: string[]): { status: number | null; steps: Step[]; ok: boolean } {
    const { status, stdout, stderr } = mytape('doctor', ...args, '--json');
    assert.equal(stderr, '');
    return { status, ...JSON.parse(stdout) };
  }

  test('nothing is sent to a target that is the recorded server', { skip }, () => {
    const target = ['-x', '3307-10.0.0.9:3307'];
    const { status, ok, steps } = examine(...target, ...RELAY, '--archive', tape);
    assert.equal(status, 1);
    assert.equal(ok, false);
    const last = steps.at(-1) as Step;
    assert.deepEqual([last.name, last.status], ['archive', 'failed'], 'it ends there');
    assert.match(last.says, /10\.0\.0\.9:3307 is the server that .* was recorded from/);
  });

  test('an archive that is not there, or has no such port', { skip }, () => {
    const none = examine(...X, ...RELAY, '--archive', join(folder, 'none')).steps.at(-1) as Step;
    assert.match(none.says, /there is no archive/);
    const other = examine('-x', '3306-10.3.0.1:3307', ...RELAY, '--archive', tape).steps.at(-1) as Step;
    assert.match(other.says, /has no session of port 3306/);
    assert.deepEqual(other.remedies[0].lines, [`mytape ls ${tape}`]);
  });

  test('no intercept, and a key that is none: told, each with its remedy', { skip }, () => {
    const nobody = examine('-x', '3307-10.3.0.1:3307', ...RELAY, '--client', '198.51.100.1');
    assert.equal(nobody.status, 1);
    assert.match((nobody.steps.at(-1) as Step).says, /nothing listens there: run `mytape intercept -p \/run/);
    const key = join(folder, 'key');
    writeFileSync(key, 'not hex', { mode: 0o600 });
    const tcp = ['-s', '127.0.0.1:1'];
    const bad = examine('-x', '3307-10.3.0.1:3307', ...tcp, '--key-file', key, '--client', '198.51.100.1');
    assert.match((bad.steps.at(-1) as Step).says, /holds no key: .*--new-key/);
  });

  test("this host's own address is no client", { skip }, () => {
    const { steps } = examine('-x', '3307-10.3.0.1:3307', ...RELAY, '--client', '127.0.0.1');
    const step = steps.find(({ name }) => name === 'client') as Step;
    assert.equal(step.status, 'failed');
    assert.match(step.says, /127\.0\.0\.1 is an address of this host/);
  });

  test('for people: a line a step, and a verdict', { skip }, () => {
    const { status, stdout } = mytape(
      'doctor',
      '-x',
      '3307-10.3.0.1:3307',
      ...RELAY,
      '--client',
      '198.51.100.1',
    );
    assert.equal(status, 1);
    assert.match(stdout, /^ok {7}this host {3}Linux/);
    assert.match(
      stdout,
      /\nfailed {3}intercept {3}cannot reach intercept.*\n1 failed.*: not ready to replay\n$/,
    );
  });
});

test('doctor: what is of one transport is refused with the other', () => {
  const packet = mytape('doctor', '-x', '3307-10.3.0.1:3307', '--local', '--users', 'users');
  assert.equal(packet.status, 2);
  assert.match(packet.stderr, /are for --transport socket: by packets doctor logs in nowhere/);
  const socket = mytape('doctor', '-x', '3307-10.3.0.1:3307', '--transport', 'socket', '--local');
  assert.equal(socket.status, 2);
  assert.match(socket.stderr, /speaks from this host: leave out -s, --local, --client and --clients/);
});
