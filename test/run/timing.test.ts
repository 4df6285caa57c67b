import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openArchive } from '../../src/archive/reader.ts';
import type { Window } from '../../src/replay/engine/options.ts';
import { FixedMappings } from '../../src/replay/mappings.ts';
import { parseTime } from '../../src/verbs/options.ts';
import { planTiming } from '../../src/verbs/plan-timing.ts';
import { blockOf, createWriter, SERVER_PORT, sessionFrames, temporaryFolder } from '../archive/support.ts';

const BEGAN = new Date(2026, 0, 31, 19, 33, 37, 500).getTime();
const MINUTE_MS = 60_000;

/** What --from and --to come to in a recording of so many minutes that began at 19:33:37.5, local time: moments, ms since 1970. */
function windowsIn(t: TestContext, minutes: number) {
  const dir = temporaryFolder(t);
  const originSec = Math.floor(BEGAN / 1000) - 10;
  const frames = sessionFrames('198.51.100.1', 40_001, 1);
  const lastsNs = minutes * MINUTE_MS * 1e6;
  const beganNs = (BEGAN - originSec * 1000) * 1e6;
  const packets = frames.map((octets, i) => ({
    octets,
    at: beganNs + (lastsNs * i) / (frames.length - 1),
  }));
  const writer = createWriter(`${dir}/a`, { originSec });
  writer.write(blockOf(packets));
  writer.close({ packets: packets.length, dropped: 0 });
  const archive = openArchive(`${dir}/a`);
  t.after(() => archive.close());
  const mappings = new FixedMappings([{ source: '10.0.0.9', port: SERVER_PORT, target: 0 }]);
  return async (from: string | undefined, to?: string) => {
    const timeOf = (text: string | undefined) => (text === undefined ? undefined : parseTime(text));
    const choices = { connectTimeScale: 1, thinkTimeScale: 1, from: timeOf(from), to: timeOf(to) };
    const { window } = await planTiming(choices, archive, mappings, 0);
    const momentOf = (at: Window['from']) => (at === undefined ? undefined : originSec * 1000 + at / 1e6);
    return [momentOf(window.from), momentOf(window.to)];
  };
}

const at = (day: number, hours: number, minutes: number, seconds = 0) =>
  new Date(2026, 0, day, hours, minutes, seconds).getTime();

test('a time of day names the minute, or second, of the recording', async (t) => {
  const windowOf = windowsIn(t, 10);
  for (const begin of ['19:33', '19:33:37', '19:30', '19:00'])
    assert.deepEqual(await windowOf(begin), [undefined, undefined], begin);
  assert.deepEqual(await windowOf('19:33:38', '19:35'), [at(31, 19, 33, 38), at(31, 19, 35)]);
  assert.deepEqual(await windowOf('19:33', '19:34'), [undefined, at(31, 19, 34)]);
  // Its end was a little before the hour that somebody asks for.
  assert.deepEqual(await windowOf('19:40', '20:00'), [at(31, 19, 40), at(31, 20, 0)]);
  assert.deepEqual(await windowOf(undefined, '02:00'), [undefined, at(32, 2, 0)]);
});

test('a time of day that the recording does not have is refused, and not tomorrow', async (t) => {
  const windowOf = windowsIn(t, 10);
  const lasts = 'the recording runs from 2026-01-31 19:33:37.500 to 2026-01-31 19:43:37.500, local time';
  const refused = (from: string | undefined, to: string | undefined, message: string) =>
    assert.rejects(windowOf(from, to), { code: 'usage', message: `${message}${lasts}` });
  await refused('19:44', undefined, "--from is 2026-01-31 19:44:00.000, after the recording's end: ");
  for (const end of ['19:33', '19:33:37'])
    await refused(
      undefined,
      end,
      `--to is 2026-01-31 ${end.padEnd(8, ':00')}.000, so nothing is left to replay: `,
    );
  await refused(
    '19:40',
    '19:35',
    '--to is 2026-01-31 19:35:00.000, so nothing from 2026-01-31 19:40:00.000 on is left to replay: ',
  );
});

test('in a recording of two days it is the first that there is', async (t) => {
  const windowOf = windowsIn(t, 2 * 24 * 60);
  assert.deepEqual(await windowOf('19:33', '19:33'), [undefined, at(32, 19, 33)]);
  assert.deepEqual(await windowOf('01:00', '00:30'), [at(32, 1, 0), at(33, 0, 30)]);
  assert.deepEqual(await windowOf('19:00'), [at(32, 19, 0), undefined]);
});
