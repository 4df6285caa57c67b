/** Clients and servers that speak IPv6. */
import assert from 'node:assert/strict';
import {
  ADDRESSES,
  ADDRESSES6,
  CLIENT_ADDRESSES,
  CLIENT_ADDRESSES6,
  endClientsNowhere,
  endClientsOnAssistant,
  endClientsOnTarget,
  hasIpv6,
} from '../../../scripts/lab/network.ts';
import type { Recorded } from '../../../scripts/lab/path.ts';
import { PORT } from '../../../scripts/lab/server.ts';
import type { ReplayPath } from '../../../scripts/lab/tape.ts';
import { runClients } from '../../../scripts/lab/workload.ts';
import { assertAddsUp, labTests, runSteps, type TestBed } from '../support/path.ts';
import { SYNS6, seenOnTarget } from '../support/seen.ts';

const OBSTACLE = hasIpv6() ? undefined : 'needs a kernel with IPv6';

/** The target by its IPv6 address. */
const TO_IPV6 = ['-x', `${PORT}-[${ADDRESSES6.target}]:${PORT}`];

/** Online by both of its addresses, onto `target`: the recording can't tell that they are one server. */
function bothTo(target: string): string[] {
  return [
    '-x',
    [ADDRESSES.online, `[${ADDRESSES6.online}]`].map((own) => `${own}:${PORT}-${target}:${PORT}`).join(),
  ];
}

const READS = { rounds: 10, steps: [{ query: 'SELECT c FROM sbtest1 WHERE id = 7' }, { pauseMs: 50 }] };

const made = new Map<TestBed, Promise<Recorded>>();

/** Sessions of IPv6 clients: everything a client library does, short ones, and a result of 2 MB. */
function ipv6(bed: TestBed): Promise<Recorded> {
  const whole = { host: ADDRESSES6.online, from: CLIENT_ADDRESSES6 };
  const large = 'SELECT seq, REPEAT(CHAR(65 + seq % 26), 1000) FROM seq_1_to_2000';
  const recorded =
    made.get(bed) ??
    bed.record(() =>
      Promise.all([
        runClients(bed.lab, { kind: 'sessions', connections: 16, seconds: 2, rounds: 8, ...whole }),
        runClients(bed.lab, { kind: 'short', connections: 40, seconds: 1, rounds: 2, ...whole }),
        runSteps(bed.lab, { steps: [{ query: large }, { query: 'SELECT 1' }], ...whole }),
      ]),
    );
  made.set(bed, recorded);
  return recorded;
}

/** Six IPv6 clients beside four of IPv4. */
async function mixed(bed: TestBed): Promise<Recorded> {
  return bed.record(() =>
    Promise.all([
      runSteps(bed.lab, { ...READS, connections: 6, host: ADDRESSES6.online, from: CLIENT_ADDRESSES6 }),
      runSteps(bed.lab, { ...READS, connections: 4, from: CLIENT_ADDRESSES }),
    ]),
  );
}

labTests('ipv6', (it) => {
  for (const path of ['intercept', 'local'] as const) {
    it(
      `IPv6 clients onto an IPv6 target get online's own answers, by ${path}`,
      async (bed) => {
        const recorded = await ipv6(bed);
        await bed.restoreTarget();
        const { divergence } = await bed.replayExactly(recorded, { path, extra: TO_IPV6 });
        assert.deepEqual(
          [divergence.error, divergence.rows, divergence.data, divergence.unknown],
          [0, 0, 0, 0],
        );
      },
      OBSTACLE,
    );
  }

  it(
    'copies at full speed, threads, and the same again at once',
    async (bed) => {
      const recorded = await ipv6(bed);
      const extra = [...TO_IPV6, '-C', '2'];
      for (const path of ['intercept', 'local'] as const) {
        await bed.replayExactly(recorded, { path, copies: 4, speed: 'max', extra });
      }
    },
    OBSTACLE,
  );

  const TOPOLOGIES: readonly [ReplayPath, (lab: string) => void][] = [
    ['target', endClientsOnTarget],
    ['self', endClientsNowhere],
  ];
  for (const [path, change] of TOPOLOGIES) {
    it(
      `IPv6 clients, ${path === 'self' ? "from this host's own address" : 'intercept on the target'}`,
      async (bed) => {
        const recorded = await ipv6(bed);
        change(bed.lab.name);
        try {
          await bed.replayExactly(recorded, { path, speed: '2', extra: TO_IPV6 });
        } finally {
          endClientsOnAssistant(bed.lab.name);
        }
      },
      OBSTACLE,
    );
  }

  it(
    'clients of the other IP version are skipped by name, or speak from a range of the target’s own',
    async (bed) => {
      const recorded = await mixed(bed);
      for (const [extra, skipped] of [
        [bothTo(ADDRESSES.target), 6],
        [bothTo(`[${ADDRESSES6.target}]`), 4],
      ] as const) {
        const counts = await bed.counted(async () => {
          const replay = await bed.replayAnyhow({
            path: 'local',
            archive: recorded.archive,
            speed: '4',
            extra,
          });
          const summary = replay.summary();
          assertAddsUp(summary);
          assert.deepEqual(summary.sessions.skipped, { 'ip-version': skipped });
          assert.deepEqual(summary.commands.lost, {});
        });
        assert.equal(counts.Connections, 10 - skipped);
      }
      for (const extra of [
        [...bothTo(ADDRESSES.target), '--clients', '10.77.64.128/26'],
        [...bothTo(`[${ADDRESSES6.target}]`), '--clients', 'fd77:64::1:0/112'],
      ]) {
        await bed.replayExactly(recorded, { path: 'intercept', copies: 3, speed: '4', extra });
      }
    },
    OBSTACLE,
  );

  it(
    'the target sees the recorded IPv6 addresses',
    async (bed) => {
      const recorded = await ipv6(bed);
      const sources = await seenOnTarget(bed, SYNS6, '-e ipv6.src', async () => {
        await bed.replayExactly(recorded, { path: 'local', speed: 'max', extra: TO_IPV6 });
      });
      assert.deepEqual(new Set(sources), new Set(CLIENT_ADDRESSES6));
      assert.equal(sources.length, recorded.online.Connections);
    },
    OBSTACLE,
  );
});
