import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Step } from '../../src/report/step.ts';
import type { DryReport } from '../../src/run/dry/report.ts';
import { CTL } from '../../src/wire/segment.ts';
import { interleave, ORIGIN_SEC, recordArchive, sessionFrames, tcpFrame } from '../archive/support.ts';
import { labObstacle } from '../e2e/support/capability.ts';
import { mytape } from '../verbs/mytape.ts';

const SOCKET = ['--transport', 'socket', '--as', 'app'];
const A = { server: '10.0.0.5', letsIn: true };
const B = { server: '10.0.0.6', letsIn: true };

describe('-x with several servers', () => {
  let folder: string;
  let tape: string;
  let users: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    tape = join(folder, 'a.tape');
    users = join(folder, 'users');
    writeFileSync(users, 'app: secret\n', { mode: 0o600 });
    // 10.0.0.5 has 3307 and 3308, 10.0.0.6 has 3307; a scan of 10.0.0.7 and 10.0.0.9 finds nobody.
    const sessions = [
      sessionFrames('198.51.100.1', 40_001, 3, 1000, A),
      sessionFrames('198.51.100.2', 40_002, 5, 1000, { ...A, serverPort: 3308 }),
      sessionFrames('198.51.100.3', 40_003, 7, 1000, B),
      sessionFrames('198.51.100.4', 40_004, 7, 1000, B),
      scan('10.0.0.7', 3307),
      scan('10.0.0.9', 3308),
    ];
    recordArchive(tape, interleave(sessions), { serverPorts: [3307, 3308] });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function scan(server: string, serverPort: number): Uint8Array[] {
    // Two SYNs of one number, from one port, would be one packet before and after address translation.
    const ends = { client: '198.51.100.9', clientPort: 50_000, server, serverPort, seq: serverPort };
    return [
      tcpFrame({ ...ends, fromClient: true, flags: CTL.syn }),
      tcpFrame({ ...ends, fromClient: false, flags: CTL.rst | CTL.ack }),
    ];
  }

  function run(...args: string[]): ReturnType<typeof mytape> {
    const out = join(folder, 'run');
    const way = [...SOCKET, '--users', users, '--out', out];
    const result = mytape('replay', tape, '--dry-run', ...way, ...args);
    assert.ok(!existsSync(out), 'a folder for a run that never was');
    return result;
  }

  function report(...args: string[]): DryReport {
    const { status, stdout, stderr } = run(...args, '--json');
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout);
  }

  test('sessions of that server only, the others skipped and counted', () => {
    const one = report('-x', '3308-10.1.0.5:3307');
    assert.deepEqual([one.captured.sessions, one.captured.commands], [6, 22]);
    assert.deepEqual([one.sessions.scheduled, one.sessions.skipped], [1, { 'other-server': 5 }]);
    assert.deepEqual([one.commands.scheduled, one.commands.skipped], [5, { 'other-server': 17 }]);
    assert.equal(one.clients.recorded, 1);
    const two = report('-x', '10.0.0.6:3307-10.1.0.6:3307', '-x', '3308-10.1.0.5:3307');
    assert.deepEqual([two.sessions.scheduled, two.commands.scheduled], [3, 19]);
    assert.deepEqual(
      two.targets.map(({ target, mappings, sessions, commands }) => [target, mappings, sessions, commands]),
      [
        ['10.1.0.6:3307', ['10.0.0.6:3307 -> 10.1.0.6:3307'], 2, 14],
        ['10.1.0.5:3307', ['10.0.0.5:3308 -> 10.1.0.5:3307'], 1, 5],
      ],
    );
  });

  test('the time of a run is that of the mapped sessions', () => {
    const late = join(folder, 'late.tape');
    const packets = interleave([sessionFrames('198.51.100.1', 40_001, 3, 1000, B)]);
    const others = interleave([sessionFrames('198.51.100.2', 40_002, 100, 1000, A)]);
    // B speaks for a few milliseconds, 100 s after A began, which goes on for 200 s.
    for (const packet of packets) packet.at += 100e9;
    for (const [i, packet] of others.entries()) packet.at += i * 1e9;
    recordArchive(
      late,
      [...others, ...packets].sort((a, b) => a.at - b.at),
    );
    const x = ['-x', '10.0.0.6:3307-10.1.0.6:3307'];
    const way = ['--dry-run', '--json', ...SOCKET, '--users', users];
    const dry = (...args: string[]) => mytape('replay', late, ...x, ...way, ...args);
    assert.ok(JSON.parse(dry().stdout).schedule.lasts_s < 1);
    assert.match(dry('--skip-idle', '5s').stderr, /--skip-idle: 0 idle stretches/);
    const from = new Date((ORIGIN_SEC + 150) * 1000).toISOString();
    assert.match(
      dry('--from', from).stderr,
      /--from is .*, after the recording's end: the recording runs from/,
    );
  });

  test('several servers onto one target', () => {
    const { targets, commands } = report(
      ...['-x', '10.0.0.6:3307-10.1.0.6:3307,3308-10.1.0.6:3307', '-x', '10.0.0.5:3307-10.1.0.6:3307'],
    );
    assert.deepEqual(commands.skipped, {});
    assert.equal(targets.length, 1);
    assert.deepEqual(targets[0].mappings, [
      '10.0.0.6:3307 -> 10.1.0.6:3307',
      '10.0.0.5:3308 -> 10.1.0.6:3307',
      '10.0.0.5:3307 -> 10.1.0.6:3307',
    ]);
  });

  test('for people: each target by itself', () => {
    const { stdout } = run('-x', '10.0.0.6:3307-10.1.0.6:3307,3308-10.1.0.5:3307', '-n', '2');
    assert.match(stdout, /^10\.0\.0\.6:3307 -> 10\.1\.0\.6:3307\n10\.0\.0\.5:3308 -> 10\.1\.0\.5:3307$/m);
    assert.match(
      stdout,
      /^Onto 10\.1\.0\.6:3307: 4 sessions, 28 commands, up to \d connections at once, from this host$/m,
    );
    assert.match(stdout, /^Onto 10\.1\.0\.5:3307: 2 sessions, 10 commands/m);
  });

  test('two servers on one port are refused, with what to type', () => {
    for (const more of [[], ['-x', '3308-10.1.0.5:3307']]) {
      const { status, stdout, stderr } = run('-x', '3307-10.1.0.5:1', ...more);
      assert.deepEqual([status, stdout], [2, '']);
      assert.match(
        stderr,
        /a\.tape has 2 servers on port 3307, and -x 3307-10\.1\.0\.5:1 does not say which/,
      );
      const choices = stderr.match(/-x \S+ +# .*$/gm) ?? [];
      assert.deepEqual(choices, [
        '-x 10.0.0.5:3307-10.1.0.5:1    # 1 session',
        '-x 10.0.0.6:3307-10.1.0.5:1    # 2 sessions',
      ]);
      assert.match(stderr, /-x 10\.0\.0\.5:3307-10\.1\.0\.5:1,10\.0\.0\.6:3307-10\.1\.0\.5:1$/m);
      assert.equal(run(...choices[1].split('#')[0].trim().split(' ')).status, 0, 'ready to type');
    }
  });

  test('a port alone means the one server that is not named', () => {
    const { targets } = report('-x', '10.0.0.5:3307-10.1.0.5:3307,3307-10.1.0.6:3307');
    assert.deepEqual(
      targets.flatMap(({ mappings }) => mappings),
      ['10.0.0.5:3307 -> 10.1.0.5:3307', '10.0.0.6:3307 -> 10.1.0.6:3307'],
    );
  });

  test('a server that the recording does not have, or named twice over', () => {
    const fails = (message: RegExp, ...args: string[]) => {
      const { status, stderr } = run(...args);
      assert.match(stderr, message);
      assert.equal(status, 2);
    };
    fails(
      /no session of 10\.0\.0\.8:3307, it has sessions of 10\.0\.0\.5:3307, .*10\.0\.0\.6:3307/,
      ...['-x', '10.0.0.8:3307-10.1.0.5:3307'],
    );
    fails(/no session of port 3306, it has sessions of port 3307, 3308/, '-x', '3306-10.1.0.5:3307');
    fails(
      /every server of port 3308 .* leave out 3308-10\.1\.0\.6:1/,
      ...['-x', '10.0.0.5:3308-10.1.0.5:1,10.0.0.9:3308-10.1.0.5:1,3308-10.1.0.6:1'],
    );
    fails(/argument missing/, '-x');
    fails(/3307 is mapped twice/, '-x', '3307-10.1.0.5:3307', '-x', '3307-10.1.0.6:3307');
  });

  test('no target may be any of the recorded servers, mapped or not', () => {
    const { status, stderr } = run('-x', '3308-10.1.0.5:3307,10.0.0.5:3307-10.0.0.6:3307');
    assert.equal(status, 3, stderr);
    assert.match(stderr, /10\.0\.0\.6:3307 is a server that .*a\.tape was recorded from/);
  });

  test('routes: the clients of each target, and never a target', () => {
    const via = ['--via', '203.0.113.84'];
    const mappings = '10.0.0.5:3307-10.1.0.5:3307,3308-10.1.0.5:3308,10.0.0.6:3307-198.51.100.4:3307';
    const { status, stdout, stderr } = mytape('routes', tape, ...via, '-x', mappings);
    assert.equal(status, 0, stderr);
    assert.equal(
      stdout,
      [
        '# on the target 10.1.0.5: answers to 2 recorded clients go to the assistant 203.0.113.84',
        'ip route add 198.51.100.1 via 203.0.113.84',
        'ip route add 198.51.100.2 via 203.0.113.84',
        '# on the target 198.51.100.4: answers to 1 recorded client go to the assistant 203.0.113.84',
        'ip route add 198.51.100.3 via 203.0.113.84',
        '',
      ].join('\n'),
    );
    assert.match(stderr, /no route for 198\.51\.100\.4: it is the target itself/);
    const { routes } = JSON.parse(mytape('routes', tape, ...via, '-x', mappings, '--json').stdout);
    assert.deepEqual(
      routes.map(({ target, prefix }: { target: string; prefix: string }) => `${target} ${prefix}`),
      ['10.1.0.5 198.51.100.1', '10.1.0.5 198.51.100.2', '198.51.100.4 198.51.100.3'],
    );
    const unclear = mytape('routes', tape, ...via, '-x', '3307-10.1.0.5:3307');
    assert.deepEqual([unclear.status, unclear.stdout], [2, '']);
    assert.match(unclear.stderr, /-x 10\.0\.0\.6:3307-10\.1\.0\.5:3307 +# 2 sessions/);
  });

  test('doctor: each target by itself, and the choices as what to type', {
    skip: labObstacle() ?? false,
  }, () => {
    const examine = (...args: string[]): { status: number | null; steps: Step[] } => {
      const { status, stdout, stderr } = mytape('doctor', ...SOCKET, '--users', users, ...args, '--json');
      assert.equal(stderr, '');
      return { status, ...JSON.parse(stdout) };
    };
    const onto = '10.0.0.5:3307-127.0.0.1:1,10.0.0.6:3307-127.0.0.1:2';
    const both = examine('-x', onto, '--archive', tape);
    assert.equal(both.status, 1);
    assert.deepEqual(
      both.steps.map(({ target, name, status }) => [target, name, status]),
      ['127.0.0.1:1', '127.0.0.1:2'].flatMap((target) => [
        [target, 'archive', 'ok'],
        [target, 'greeting', 'failed'],
      ]),
    );
    assert.match(both.steps[2].says, /2 sessions of 2 clients of 10\.0\.0\.6:3307/);
    const unclear = examine('-x', '3307-127.0.0.1:1', '--archive', tape).steps.at(-1) as Step;
    assert.deepEqual([unclear.name, unclear.status], ['archive', 'failed']);
    assert.match(unclear.remedies[0].lines[1], /^-x 10\.0\.0\.6:3307-127\.0\.0\.1:1 +# 2 sessions$/);
  });
});
