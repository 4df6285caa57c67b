/**
 * What an interrupted run left, damaged in every way: it is resumed with all that was begun left out, or refused in words that name the
 * file. Never is anything begun twice, and never is there a stack.
 */
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { MytapeError } from '../../src/errors.ts';
import type { SessionMeta } from '../../src/flow/events.ts';
import { SummaryObserver } from '../../src/report/counter.ts';
import { Checkpoints } from '../../src/run/checkpoint/checkpoint.ts';
import { newRunId } from '../../src/run/checkpoint/file.ts';
import {
  beginRunFile,
  readRunFile,
  readRunLeft,
  resumedArgs,
  writeRunFile,
} from '../../src/run/checkpoint/run-file.ts';
import { seal } from '../../src/run/checkpoint/sealed.ts';

const COPIES = 2;
const BEGUN = 30;
const SHARES = [{ index: 0, of: 1 }];
const START = {
  args: ['a.tape', '-x', '3307-10.0.0.9:3306'],
  recording: { startedMs: 1, originSec: 1, packets: 9 },
};
const FILES = ['run.json', 'checkpoint-0.json', 'sessions-0.0.log', 'summary.json'] as const;

function openRun(folder: string, resume: boolean): Checkpoints {
  const { id: run } = readRunFile(folder);
  const transport = { packetsOut: 1, packetsIn: 2, retransmitted: 0, captureDropped: 0 };
  const count = () => ({ tally: new SummaryObserver(COPIES, true).tally, transport });
  return new Checkpoints({ folder, run, resume }, 0, COPIES, count, () => {});
}

const sessionOf = (id: number) => ({ id }) as SessionMeta;

/** A run that began sessions 0 to 29, of which every third is closed, and whose last checkpoint has them all. */
async function interruptedRun(folder: string): Promise<void> {
  mkdirSync(folder);
  beginRunFile({ folder, run: newRunId(), resume: false }, START);
  writeFileSync(join(folder, 'summary.json'), '{}');
  const checkpoints = openRun(folder, false);
  for (let id = 0; id < BEGUN; id++) {
    for (const observer of checkpoints.observers) {
      for (let copy = 0; copy < COPIES; copy++) {
        observer.scheduled?.(sessionOf(id), copy);
        observer.begun?.(sessionOf(id), copy);
        observer.opened?.(sessionOf(id), copy, 1);
        if (id % 3 === 0) observer.completed?.(sessionOf(id), copy);
      }
      if (id % 3 === 0) observer.ended?.(sessionOf(id));
    }
  }
  await checkpoints.close();
}

type Damage = (path: string) => void;

const place = fc.double({ min: 0, max: 0.9999, noNaN: true });

function changed(change: (octets: Buffer) => Uint8Array): Damage {
  return (path) => writeFileSync(path, change(readFileSync(path)));
}

const within = (octets: Buffer, at: number) => Math.floor(at * octets.length);

/** Damage to any file. */
const damage: fc.Arbitrary<[string, Damage]> = fc.oneof(
  place.map((at): [string, Damage] => [
    'cut off',
    changed((octets) => octets.subarray(0, within(octets, at))),
  ]),
  fc.tuple(place, fc.nat(7)).map(([at, bit]): [string, Damage] => [
    'a bit',
    changed((octets) => {
      octets[within(octets, at)] ^= 1 << bit;
      return octets;
    }),
  ]),
  fc.tuple(place, fc.integer({ min: 1, max: 64 })).map(([at, length]): [string, Damage] => [
    'zeros',
    changed((octets) => {
      const before = Buffer.from(octets);
      octets.fill(0, within(octets, at), Math.min(octets.length, within(octets, at) + length));
      return octets.equals(before) ? Buffer.alloc(0) : octets;
    }),
  ]),
  fc
    .tuple(place, fc.uint8Array({ minLength: 1, maxLength: 40 }))
    .map(([at, what]): [string, Damage] => [
      'something in between',
      changed((octets) =>
        Buffer.concat([octets.subarray(0, within(octets, at)), what, octets.subarray(within(octets, at))]),
      ),
    ]),
  fc.tuple(place, fc.integer({ min: 1, max: 200 })).map(([at, length]): [string, Damage] => [
    'a part twice',
    changed((octets) => {
      const from = within(octets, at);
      return Buffer.concat([octets.subarray(0, from + length), octets.subarray(from)]);
    }),
  ]),
  fc
    .uint8Array({ maxLength: 300 })
    .map((what): [string, Damage] => ['something else', (path) => writeFileSync(path, what)]),
  fc.constantFrom<[string, Damage]>(
    ['empty', (path) => truncateSync(path, 0)],
    ['sparse and giant', (path) => truncateSync(path, 2 ** 36)],
    ['gone', (path) => rmSync(path)],
    [
      'a folder',
      (path) => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
    [
      'a link',
      (path) => {
        cpSync(path, `${path}.elsewhere`);
        rmSync(path);
        symlinkSync(`${path}.elsewhere`, path);
      },
    ],
    ['too deep', (path) => writeFileSync(path, '['.repeat(200_000))],
  ),
);

/** A value that no field has, or only by chance. */
const strange = fc.constantFrom<unknown>(
  -1,
  0.5,
  2 ** 53,
  1e300,
  'NaN',
  '',
  null,
  true,
  [],
  {},
  [[]],
  { a: -1 },
  'x'.repeat(100),
);

type Json = Record<string, unknown>;

/** Another value somewhere in a JSON file, which its sum knows of, or not. */
const forgery = fc
  .record({ path: fc.array(place, { minLength: 1, maxLength: 4 }), value: strange, isSealed: fc.boolean() })
  .map(({ path, value, isSealed }): [string, Damage] => [
    `another value ${JSON.stringify(value)}, ${isSealed ? 'sealed' : 'not sealed'}`,
    (file) => {
      const whole = JSON.parse(readFileSync(file, 'utf8')) as { holds: Json; version: unknown };
      let inside = (isSealed ? whole.holds : whole) as Json;
      for (const [i, where] of path.entries()) {
        const names = Object.keys(inside);
        if (names.length === 0) break;
        const name = names[Math.floor(where * names.length)];
        const next = inside[name];
        if (i < path.length - 1 && typeof next === 'object' && next !== null) inside = next as Json;
        else {
          inside[name] = value;
          break;
        }
      }
      writeFileSync(file, isSealed ? seal(whole.holds) : JSON.stringify(whole));
    },
  ]);

/** Resumes it, as replay does. Returns whether each copy of the sessions that had begun is left out; undefined: it was refused. */
async function resume(folder: string): Promise<boolean | undefined> {
  const cwd = process.cwd();
  try {
    const args = resumedArgs(['node', 'mytape', 'replay', '--resume', folder]);
    assert.ok(args.every((word) => typeof word === 'string'));
    const left = readRunLeft(folder, SHARES, COPIES);
    beginRunFile({ folder, run: readRunFile(folder).id, resume: true }, START);
    const checkpoints = openRun(folder, true);
    const { done } = checkpoints;
    await checkpoints.close();
    let isLeftOut = true;
    for (let id = 0; id < BEGUN; id++) {
      isLeftOut &&= !left.isLeft(id);
      for (let copy = 0; copy < COPIES; copy++)
        isLeftOut &&= done?.isCounted(id) === true || done?.lostBy(id, copy) !== undefined;
    }
    return isLeftOut;
  } catch (error) {
    assert.ok(error instanceof MytapeError, (error as Error).stack);
    assert.ok(error.exitCode === 1 || error.exitCode === 2);
    assert.ok(error.message.includes(folder), error.message);
    return undefined;
  } finally {
    process.chdir(cwd);
  }
}

describe('what an interrupted run left', () => {
  let template: string;
  let root: string;
  let trials = 0;
  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    template = join(root, 'run');
    await interruptedRun(template);
  });

  after(() => rmSync(root, { recursive: true, force: true }));

  function trial(): string {
    const folder = join(root, `trial-${trials++}`);
    cpSync(template, folder, { recursive: true });
    return folder;
  }

  test('whole, is resumed, and again', async () => {
    const folder = trial();
    assert.equal(await resume(folder), true);
    assert.equal(await resume(folder), true);
  });

  test('damaged, is resumed without what was begun, or refused in words', async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...FILES), damage, async (file, [what, act]) => {
        const folder = trial();
        act(join(folder, file));
        const isLeftOut = await resume(folder);
        seen.add(`${file} ${what} ${isLeftOut}`);
        assert.notEqual(isLeftOut, false, `${what} in ${file}: something begins twice`);
        // What it has made of it is whole again.
        if (isLeftOut === true) assert.equal(await resume(folder), true);
        rmSync(folder, { recursive: true });
      }),
      // Seeded, since what it was to meet is asserted below.
      { numRuns: 100, seed: 1 },
    );
    // Both happen: no damage to the log stops a resumption, and none to the two others goes through.
    assert.ok(seen.has('sessions-0.0.log cut off true') && seen.has('checkpoint-0.json cut off undefined'));
  });

  test('with other values in its JSON files, is refused in words, or resumed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('run.json', 'checkpoint-0.json'),
        forgery,
        async (file, [what, act]) => {
          const folder = trial();
          act(join(folder, file));
          const isLeftOut = await resume(folder);
          if (/not sealed/.test(what)) assert.notEqual(isLeftOut, false, what);
          rmSync(folder, { recursive: true });
        },
      ),
      { numRuns: 100 },
    );
  });

  test('names the file, and where in it', async () => {
    const cases: [string, Damage, RegExp][] = [
      [
        'run.json',
        (path) => truncateSync(path, 20),
        /cannot read .*run\.json: it is damaged: it is not JSON/,
      ],
      [
        'run.json',
        changed((octets) => Buffer.from(octets.toString().replace('10.0.0.9', '10.0.0.1'))),
        /run\.json: it is damaged, or was edited: its sum is wrong/,
      ],
      [
        'checkpoint-0.json',
        (path) => truncateSync(path, 2 ** 36),
        /checkpoint-0\.json: it has 68719476736 octets, more than/,
      ],
      ['checkpoint-0.json', (path) => rmSync(path), /checkpoint-0\.json: ENOENT/],
      [
        'checkpoint-0.json',
        changed((octets) => Buffer.from(octets.toString().replace('"version":1', '"version":2'))),
        /checkpoint-0\.json: it is damaged, or was edited: its sum is wrong/,
      ],
      ['sessions-0.0.log', (path) => rmSync(path), /sessions-0\.0\.log: ENOENT/],
    ];
    for (const [file, act, message] of cases) {
      const folder = trial();
      act(join(folder, file));
      assert.throws(
        () => readRunLeft(folder, SHARES, COPIES),
        (error: Error) => error instanceof MytapeError && message.test(error.message),
      );
    }
    const folder = trial();
    const path = join(folder, 'sessions-0.0.log');
    truncateSync(path, 100);
    const said: string[] = [];
    const { id: run } = readRunFile(folder);
    const count = () => ({
      tally: new SummaryObserver(COPIES, true).tally,
      transport: { packetsOut: 0, packetsIn: 0, retransmitted: 0, captureDropped: 0 },
    });
    await new Checkpoints({ folder, run, resume: true }, 0, COPIES, count, (line) => said.push(line)).close();
    assert.match(
      said[0],
      /sessions-0\.0\.log ends at octet 100, and its checkpoint names \d+ octets\. Sessions up to \d+ /,
    );
    assert.match(said[0], /they are lost, unknown-after-crash, and not replayed a second time$/);
  });

  test('of an archive that was made anew since, or of a run that is over, is refused', () => {
    const folder = trial();
    const job = { folder, run: readRunFile(folder).id, resume: true };
    const of = (changes: object) => ({ ...START, recording: { ...START.recording, ...changes } });
    for (const other of [{ startedMs: 2 }, { originSec: 2 }, { packets: 8 }])
      assert.throws(() => beginRunFile(job, of(other)), /was made anew since \(put the old one back/);
    // It was being recorded still.
    const file = beginRunFile(job, of({ packets: 10 }));
    assert.equal(file.resumed, 1);
    writeRunFile(folder, { ...file, completed: true });
    assert.throws(() => beginRunFile(job, START), /came to its end: nothing is left to resume/);
  });
});
