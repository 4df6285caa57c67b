/** Live sessions under TLS, whose clients write their keys while the mirror runs; and those that nobody has keys of. */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { certificate } from '../transport/certificate.ts';
import { commandObstacle } from './support/capability.ts';
import { assertMirrored, mirrored } from './support/mirrored.ts';
import { labTests, runSteps, type TestBed } from './support/path.ts';

const BY_SOCKET = ['--transport', 'socket', '-i', 'eth0', '-C', '2'];
const STEPS = [
  { query: 'SELECT c FROM sbtest1 WHERE id = 1' },
  { execute: 'SELECT k FROM sbtest1 WHERE id = ?', values: [5] },
];
/** Later than any key comes by itself, and well within the time that a session's packets are held. */
const LATE_MS = 500;

/** Does `work` while online speaks TLS. */
async function withTls(bed: TestBed, work: () => Promise<void>): Promise<void> {
  const { key, cert } = certificate();
  const files = { '--ssl-key': bed.fresh('key'), '--ssl-cert': bed.fresh('certificate') };
  writeFileSync(files['--ssl-key'], key);
  writeFileSync(files['--ssl-cert'], cert);
  bed.letOthersPass();
  await bed.online.stop();
  await bed.online.start(Object.entries(files).map(([option, path]) => `${option}=${path}`));
  try {
    await work();
  } finally {
    await bed.online.stop();
    await bed.online.start();
  }
}

labTests('mirror-tls', (it) => {
  const client = (bed: TestBed, ...nodeArgs: string[]) =>
    runSteps(bed.lab, { steps: STEPS, connections: 2, tls: true }, 'online', nodeArgs);

  it(
    '--keylog: with keys that are written meanwhile, at once or a little later',
    (bed) =>
      withTls(bed, async () => {
        const [log, late] = [bed.fresh('keys'), bed.fresh('late-keys')];
        writeFileSync(log, '');
        const run = await mirrored(bed, {
          args: [...BY_SOCKET, '--keylog', log],
          workload: async () => {
            await runSteps(bed.lab, { steps: STEPS });
            for (const version of ['--tls-max-v1.3', '--tls-max-v1.2'])
              await client(bed, version, `--tls-keylog=${log}`);
            await client(bed, `--tls-keylog=${late}`);
            await sleep(LATE_MS);
            appendFileSync(log, readFileSync(late));
          },
        });
        assertMirrored(run);
        assert.equal(run.summary.sessions.completed, 1 + 3 * 2);
        assert.doesNotMatch(run.stderr, /TLS/);
      }),
    commandObstacle('openssl'),
  );

  it(
    'without keys: skipped by name, and what to do is said once, by the mirror and by record',
    (bed) =>
      withTls(bed, async () => {
        const { summary, stderr } = await mirrored(bed, { args: BY_SOCKET, workload: () => client(bed) });
        assert.deepEqual(summary.sessions.skipped, { tls: 2 });
        const said = stderr.match(/sessions under TLS are skipped \(tls\), .*\(try: --keylog FILE, /g);
        assert.equal(said?.length, 1, stderr);
        const recorded = await bed.record(() => client(bed));
        assert.equal(recorded.summary.tls, 2);
      }),
    commandObstacle('openssl'),
  );
});
