/** Recordings, counted by others: tcpdump beside it, tcpdump and tshark on what it wrote. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Background } from '../../scripts/lab/background.ts';
import type { Recorded } from '../../scripts/lab/path.ts';
import { PORT } from '../../scripts/lab/server.ts';
import { tape, tapeJson } from '../../scripts/lab/tape.ts';
import { runClients } from '../../scripts/lab/workload.ts';
import { packageObstacle } from './support/capability.ts';
import { labTests, type TestBed } from './support/path.ts';

interface ListedSession {
  id: number;
  client: string;
  packets: number;
}

/** Records short connections with a tcpdump beside it; answers how many packets that one saw as well. */
async function recordBesideTcpdump(
  bed: TestBed,
  extra: readonly string[],
): Promise<{ recorded: Recorded; seen: number }> {
  const file = bed.fresh('beside.pcap');
  const command = [
    'tcpdump',
    '-i',
    'eth0',
    '-B',
    // KiB: a slot has 256 of them in immediate mode, and by default there is room for eight.
    '65536',
    '--immediate-mode',
    '-U',
    '-Z',
    'root',
    '-w',
    file,
    `tcp port ${PORT}`,
  ];
  const tcpdump = await Background.start(bed.lab, 'online', command, /listening on/);
  const recorded = await bed.record(async () => {
    await runClients(bed.lab, { kind: 'short', connections: 80, seconds: 1, rounds: 3 });
    // The last FINs and ACKs.
    await sleep(300);
  }, extra);
  const { stderr } = await tcpdump.stop();
  assert.match(stderr, /\b0 packets dropped by kernel/);
  return { recorded, seen: (await bed.lines('online', `tcpdump -nr ${file}`)).length };
}

function segmentsOf(archive: string): string[] {
  return readdirSync(archive)
    .filter((name) => name.endsWith('.pcap.lz4'))
    .sort()
    .map((name) => join(archive, name));
}

labTests('record', (it) => {
  it('packets: what tcpdump counts beside it, what tcpdump and tshark read of its segments', async (bed) => {
    const { recorded, seen } = await recordBesideTcpdump(bed, ['--rotate', '16Ki']);
    const segments = segmentsOf(recorded.archive);
    assert.ok(segments.length > 1, 'several segments');
    let byTcpdump = 0;
    let byTshark = 0;
    for (const segment of segments) {
      byTcpdump += (await bed.lines('online', `lz4 -dc ${segment} | tcpdump -nr -`)).length;
      byTshark += (await bed.lines('online', `tshark -n -r ${segment} -T fields -e frame.number`)).length;
    }
    const { packets, commands } = recorded.summary;
    assert.deepEqual({ seen, byTcpdump, byTshark }, { seen: packets, byTcpdump: packets, byTshark: packets });
    assert.equal(commands, 80 * (3 + 1), 'three queries and COM_QUIT each');
  });

  it('export of one session holds its packets and no others', async (bed) => {
    const { archive, summary } = await bed.recorded('short');
    const ls = await tape(bed.lab, 'online', ['ls', archive, '--json']);
    assert.equal(ls.code, 0, ls.stderr);
    const sessions = ls.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as ListedSession);
    assert.equal(sessions.length, summary.sessions);
    const { id, client, packets } = sessions[Math.floor(sessions.length / 2)];
    const file = bed.fresh('one.pcap');
    const exported = await tape(bed.lab, 'online', ['export', archive, '-o', file, '--session', String(id)]);
    assert.equal(exported.code, 0, exported.stderr);
    const mine = `tcp and host ${client.split(':')[0]} and port ${client.split(':')[1]}`;
    assert.equal((await bed.lines('online', `tcpdump -nr ${file}`)).length, packets);
    assert.equal((await bed.lines('online', `tcpdump -nr ${file} '${mine}'`)).length, packets);
    const whole = bed.fresh('whole.pcap');
    assert.equal((await tape(bed.lab, 'online', ['export', archive, '-o', whole])).code, 0);
    assert.equal((await bed.lines('online', `tcpdump -nr ${whole}`)).length, summary.packets);
    assert.equal((await bed.lines('online', `tcpdump -nr ${whole} '${mine}'`)).length, packets);
  });

  it(
    'captured by npm cap: as many packets, and it replays',
    async (bed) => {
      const { recorded, seen } = await recordBesideTcpdump(bed, ['--capture-driver', 'cap']);
      assert.equal(recorded.summary.packets, seen);
      await bed.replayExactly(recorded, { path: 'local', speed: 'max' });
    },
    packageObstacle('cap'),
  );

  it('--for ends by itself', async (bed) => {
    const archive = bed.fresh('tape');
    const args = ['record', '-i', 'eth0', '-p', String(PORT), '-o', archive, '--for', '1s', '--json'];
    const { seconds } = await tapeJson<{ seconds: number }>(bed.lab, 'online', args);
    assert.ok(seconds >= 1, `${seconds} s`);
  });
});
