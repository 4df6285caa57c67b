import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openArchive } from '../../src/archive/reader.ts';
import { decodeSessions } from '../../src/flow/decode.ts';
import { FixedMappings } from '../../src/replay/mappings.ts';
import { ClockStepTeller, describeStep } from '../../src/report/clock-steps.ts';
import type { DryReport } from '../../src/run/dry/report.ts';
import { openTiming } from '../../src/run/timing.ts';
import { planTiming } from '../../src/verbs/plan-timing.ts';
import { temporaryFolder } from '../archive/support.ts';
import { ROOT } from '../support/root.ts';
import { mytape } from '../verbs/mytape.ts';

const YEARS_S = 1_450_656_000;
const CASES: Record<string, [packet: number, seconds: number][]> = {
  '18-one-command-in-2069': [
    [8, YEARS_S],
    [9, -YEARS_S],
  ],
  '19-first-packet-in-1977': [
    [0, -YEARS_S],
    [1, YEARS_S],
  ],
  '20-clock-set-back-1h': [[10, -3600]],
};

/** Each packet is 20 ms behind the one before. */
const COMMANDS_AT = [0.12, 0.16, 0.2, 0.24, 0.28].map((seconds) => Math.round(seconds * 1e9));

for (const [name, steps] of Object.entries(CASES)) {
  describe(name, () => {
    test('import, ls and dry run name the steps, and what becomes of them', (t) => {
      const folder = temporaryFolder(t);
      const dir = join(folder, 'a');
      const capture = join(ROOT, 'fixtures/cases', `${name}.pcap`);
      const imported = mytape('import', capture, '-o', dir, '-p', '3307', '--json');
      assert.equal(imported.status, 0, imported.stderr);
      const told = (found: { packet: number; seconds: number }[]) =>
        found.map(({ packet, seconds }) => [packet, seconds]);
      assert.deepEqual(told(JSON.parse(imported.stdout).clockSteps), steps);

      const listed = mytape('ls', dir, '--json');
      const session = JSON.parse(listed.stdout);
      assert.deepEqual([session.start, session.seconds], ['2023-11-14T22:13:20.000Z', 0.34]);

      const users = join(folder, 'users');
      writeFileSync(users, 'app: secret\n', { mode: 0o600 });
      const out = join(folder, 'run');
      const dry = [
        'replay',
        dir,
        '-x',
        '3307-10.9.9.9:3306',
        '--transport',
        'socket',
        '--dry-run',
        '--out',
        out,
      ];
      const held = mytape(...dry, '--users', users, '--json');
      assert.equal(held.status, 0, held.stderr);
      const report = JSON.parse(held.stdout) as DryReport;
      assert.deepEqual(told(report.clock_steps), steps);
      assert.equal(report.schedule.on_clock_step, 'hold');
      assert.equal(report.schedule.lasts_s, 0.28);
      assert.equal(report.commands.scheduled, 5);
      assert.ok(!existsSync(out));

      for (const [packet, seconds] of steps) {
        const jump = `a jump of ${Math.abs(seconds).toLocaleString('en-US')} s ${seconds < 0 ? 'back' : 'ahead'} at packet ${packet} `;
        for (const { stderr } of [imported, listed, held]) {
          const line = stderr.split('\n').find((one) => one.includes(jump));
          assert.match(
            line ?? '',
            /: the step is taken out \(mytape replay --on-clock-step follow keeps it\)$/,
          );
        }
      }
      const followed = mytape(...dry, '--users', users, '--on-clock-step', 'follow', '--json');
      assert.match(followed.stderr, /: the step is kept \(--on-clock-step hold takes it out\)\n/);
      const lasts = name.startsWith('18') ? YEARS_S : 0;
      assert.equal(Math.floor(JSON.parse(followed.stdout).schedule.lasts_s), lasts);
    });

    test('every command is due as long behind the first packet as it was', async (t) => {
      const dir = join(temporaryFolder(t), 'a');
      mytape('import', join(ROOT, 'fixtures/cases', `${name}.pcap`), '-o', dir, '-p', '3307');
      const archive = openArchive(dir);
      t.after(() => archive.close());
      const choices = { connectTimeScale: 1, thinkTimeScale: 1 };
      const [{ server: source, serverPort: port }] = archive.sessions();
      const mappings = new FixedMappings([{ source, port, target: 0 }]);
      const job = await planTiming(choices, archive, mappings, 0);
      assert.equal(openTiming(job, 0).timing.timetable, undefined);
      const at: number[] = [];
      for await (const batch of decodeSessions(archive.packets(), { serverPorts: new Set([3307]) })) {
        for (const event of batch) if (event.type === 'command') at.push(event.command.at);
      }
      assert.ok(
        at.every((moment, i) => Math.abs(moment - COMMANDS_AT[i]) <= 256),
        String(at),
      );
      // The same as one who follows the clock, and cuts what nobody said anything in.
      const following = { ...choices, onClockStep: 'follow', skipIdle: 5_000 } as const;
      const cut = await planTiming(following, archive, mappings, 0);
      const { timetable } = openTiming(cut, 0).timing;
      for (const moment of at) assert.ok((timetable?.cut(moment) ?? Infinity) < 6e9);
    });
  });
}

test('23-no-room-behind-login: a dry run has both logins as refused', (t) => {
  const folder = temporaryFolder(t);
  const dir = join(folder, 'a');
  mytape('import', join(ROOT, 'fixtures/cases/23-no-room-behind-login.pcap'), '-o', dir, '-p', '3307');
  const users = join(folder, 'users');
  writeFileSync(users, 'app: secret\n', { mode: 0o600 });
  const onto = ['-x', '3307-10.9.9.9:3306', '--transport', 'socket', '--users', users];
  const { status, stdout, stderr } = mytape('replay', dir, ...onto, '--dry-run', '--json');
  assert.equal(status, 0, stderr);
  assert.doesNotMatch(stderr, /jump/);
  const { sessions, clock_steps } = JSON.parse(stdout) as DryReport;
  assert.deepEqual(sessions, { scheduled: 2, skipped: {}, refused_as_recorded: 2 });
  assert.deepEqual(clock_steps, []);
});

describe('what is told', () => {
  const step = { packet: 5120, beforeAt: 3_599e9, at: 0, jumpNs: -3600e9, offset: 3600e9 };

  test('times of one day by the clock alone', () => {
    // Noon somewhere: never midnight here.
    const line = describeStep(step, Date.UTC(2026, 0, 31, 11, 0, 0) / 1000);
    assert.match(
      line,
      /^a jump of 3,600 s back at packet 5,120 \((\d\d:){2}\d\d to (\d\d:){2}\d\d\)$|\d{4}-/,
    );
  });

  test('no more than people read', () => {
    const lines: string[] = [];
    const teller = new ClockStepTeller(0, 'hold', (line) => lines.push(line));
    const steps = Array.from({ length: 5 }, (_, i) => ({ ...step, packet: i }));
    teller.tell(steps.slice(0, 2));
    teller.tell(steps.slice(0, 2));
    assert.equal(lines.length, 2);
    teller.end(steps, 1234);
    assert.equal(lines.length, 6);
    assert.equal(lines[5], 'and 1,229 more such jumps');
    const live: string[] = [];
    const mirror = new ClockStepTeller(0, 'mirror', (line) => live.push(line));
    for (let i = 0; i < 20; i++) mirror.add(step);
    assert.equal(live.length, 6);
  });
});
