import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { interleave, recordArchive, sessionFrames } from '../archive/support.ts';
import { mytape } from './mytape.ts';

const OURS = /this is a fault of mytape's own|^\s+at /m;
/** Nobody listens there. */
const SOCKET = ['--transport', 'socket'];
const RELAY = ['-s', '/run/mytape-nobody.sock'];

describe('mytape replay', () => {
  let folder: string;
  let tape: string;
  let runs: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    tape = join(folder, 'a.tape');
    runs = join(folder, 'run');
    // Recorded from 10.0.0.9:3307.
    recordArchive(tape, interleave([sessionFrames('10.0.0.1', 40_001, 10)]));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function fails(status: number, message: RegExp, ...args: string[]): void {
    const out = mytape('replay', ...args);
    assert.match(out.stderr, message);
    assert.equal(out.status, status, out.stderr);
    assert.doesNotMatch(out.stderr, OURS);
    assert.equal(out.stdout, '');
    assert.ok(!existsSync(runs), 'a folder for a run that never was');
  }

  test('--help has the options and examples', () => {
    const { status, stdout } = mytape('replay', '--help');
    assert.equal(status, 0);
    assert.match(stdout, /Usage: mytape replay \[options\] <archive>/);
    assert.match(stdout, /Examples:\n.*\n +mytape replay peak\.tape -x 3307-10\.128\.6\.83:3307 -s /);
    assert.match(stdout, /Exit code: 0 done, 1 failed, 2 usage, 3 refused/);
    assert.match(mytape('--help').stdout, /replay .*replay an archive onto a test server/);
  });

  test('where the answers are caught must be said, once', () => {
    const either = /either -s HOST:PORT \(an intercept\), or --local/;
    fails(2, either, tape, '-x', '3307-10.3.0.1:3307');
    fails(2, /both -s and --local are given/, tape, '-x', '3307-10.3.0.1:3307', '--local', ...RELAY);
  });

  test('an option of another form is answered with the right one', () => {
    const form = /RECORDED_PORT-HOST:PORT, as in 3307-10\.128\.6\.83:3307/;
    fails(2, form, tape, '-x', '10.3.0.1:3307', ...RELAY);
    fails(2, form, tape, '-x', '3307', ...RELAY);
    fails(2, form, tape, '-x', '3307-10.3.0.1', ...RELAY);
    fails(2, /70000 is no port \(1 to 65535\)/, tape, '-x', '70000-10.3.0.1:3307', ...RELAY);
    fails(2, /0 is no port \(1 to 65535\)/, tape, '-x', '3307-10.3.0.1:0', ...RELAY);
    fails(2, /not of the form HOST:PORT/, tape, '-x', '3307-10.3.0.1:3307', '-s', '36525');
    fails(
      2,
      /neither from 0\.01 to 1000 nor max/,
      tape,
      '-x',
      '3307-10.3.0.1:1',
      ...RELAY,
      '--speed',
      'fast',
    );
    fails(2, /neither from 0\.01 to 1000 nor max/, tape, '-x', '3307-10.3.0.1:1', ...RELAY, '--speed', '0');
    fails(2, /no whole number from 1 up/, tape, '-x', '3307-10.3.0.1:1', ...RELAY, '-n', '0');
    fails(2, /no whole number from 1 up/, tape, '-x', '3307-10.3.0.1:1', ...RELAY, '-C', '1.5');
    const onto = ['-x', '3307-10.3.0.1:1', ...RELAY];
    fails(2, /5 is no part: say it in percent, as in 10%/, tape, ...onto, '--sample', '5');
    for (const share of ['2', '0/2', '3/2', '1/100'])
      fails(2, /is no share: give 1\/2 on the first of two hosts/, tape, ...onto, '--share', share);
    fails(2, /--order commit sees .*1\/2/, tape, ...onto, '--share', '1/2', '--order', 'commit');
    fails(2, /10\.1 is neither an address nor a range/, tape, ...onto, '--exclude-client', '10.1');
    fails(2, /A session is named by its number/, tape, ...onto, '--sessions', 'first');
    fails(2, /--target-tls is for --transport socket/, tape, ...onto, '--target-tls');
    fails(2, /leave out -s and --local/, tape, ...onto, '--transport', 'socket');
    fails(2, /--as has everybody log in as one user/, tape, ...onto, '--as', 'a', '--remap-user', 'b=c');
    fails(2, /--remap-schema a is not of the form/, tape, ...onto, '--remap-schema', 'a');
    fails(2, /--adopt \/shop: it is a user/, tape, ...onto, '--adopt', '/shop');
    fails(2, /required option '-x/, tape, ...RELAY);
    fails(2, /missing required argument 'archive'/, '-x', '3307-10.3.0.1:1', ...RELAY);
    fails(2, /unknown option '--sped'[\s\S]*--speed/, tape, '-x', '3307-10.3.0.1:1', '--sped', '2');
    fails(2, /there is no host no\.such\.host\.invalid/, tape, '-x', '3307-no.such.host.invalid:1', ...RELAY);
  });

  test('a port that the archive has no session of is a usage error that names those it has', () => {
    fails(
      2,
      /no session of port 3306, it has sessions of port 3307/,
      tape,
      '-x',
      '3306-10.3.0.1:3307',
      ...SOCKET,
    );
  });

  test('an archive that is not there', () => {
    fails(1, /there is no archive .*none\n/, join(folder, 'none'), '-x', '3307-10.3.0.1:3307', ...RELAY);
  });

  test('the recorded server is refused, unless told otherwise', () => {
    const onto = [tape, '-x', '3307-10.0.0.9:3307', '--out', runs];
    fails(
      3,
      /10\.0\.0\.9:3307 is the server that .* was recorded from.*--allow-live-target/,
      ...onto,
      ...SOCKET,
    );
    assert.ok(!existsSync(runs), 'a folder for a run that never was');
    // Sockets are opened before the archive is read: it comes as far as the relay, where nobody listens.
    const { status, stderr } = mytape('replay', ...onto, ...RELAY, '--allow-live-target');
    assert.match(
      stderr,
      /cannot reach intercept at \/run\/mytape-nobody\.sock: nothing listens there: run `mytape intercept/,
    );
    assert.equal(status, 1);
    rmSync(runs, { recursive: true, force: true });
  });

  test('a users file that others can read, or with a bad line', () => {
    const users = join(folder, 'users');
    const onto = [tape, '-x', '3307-10.3.0.1:3307', ...RELAY, '--users', users];
    writeFileSync(users, 'app: secret\n', { mode: 0o644 });
    fails(1, /users is refused: it can be read by others \(run: chmod 600/, ...onto);
    rmSync(users);
    writeFileSync(users, 'app: secret\nbad line\n', { mode: 0o600 });
    fails(1, /users:2 is not of the form `user: password`/, ...onto);
    rmSync(users);
    fails(1, /cannot read the users file/, ...onto);
  });

  test('a relay by TCP needs the key', () => {
    const key = join(folder, 'key');
    const onto = [tape, '-x', '3307-10.3.0.1:3307', '-s', '10.3.0.2:36525'];
    fails(2, /-s 10\.3\.0\.2:36525 needs --key-file/, ...onto);
    fails(
      2,
      /-s 127\.0\.0\.1:36525 needs --key-file/,
      tape,
      '-x',
      '3307-10.3.0.1:3307',
      '-s',
      '127.0.0.1:36525',
    );
    fails(
      2,
      /--key-file is for an intercept of -s HOST:PORT/,
      tape,
      '-x',
      '3307-10.3.0.1:3307',
      ...RELAY,
      '--key-file',
      key,
    );
    writeFileSync(key, 'not hex', { mode: 0o600 });
    fails(1, /holds no key: .*--new-key/, ...onto, '--key-file', key);
    fails(1, /cannot read the key file .*none/, ...onto, '--key-file', join(folder, 'none'));
  });
});
