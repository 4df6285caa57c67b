/** Targets that mean no good: the run ends by its own time-outs, each command has its fate, and no file leaves that was not recorded. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { localFile, Tape } from '../support/tape.ts';
import { replayOnto } from './run.ts';
import { OTHER_FILE, TARGETS } from './targets.ts';

const LOAD = "LOAD DATA LOCAL INFILE 'rows.csv' INTO TABLE t";
/** What the recorded client had sent to production, for the second command only. */
const FILE = 'recorded,rows\n';
/** More than a socket's buffers take. */
const LONG = `INSERT INTO t VALUES ('${'x'.repeat(8 << 20)}')`;

/** Where all is well runs take a few seconds. Not the connections' ends alone may take longer than an answer. */
const HANGS_MS = 50_000;

function tape(): Tape {
  const all = new Tape();
  for (let i = 0; i < 2; i++) {
    all
      .session(0)
      .query(1, 'SELECT 1')
      .query(2, LOAD, { reply: { kind: 'infile', affected: 1 }, file: localFile([Buffer.from(FILE)]) })
      .query(3, LONG)
      .quit(4);
  }
  return all;
}

describe('a target that', { concurrency: true, timeout: HANGS_MS }, () => {
  for (const [name, target] of Object.entries(TARGETS)) {
    test(name, async () => {
      const { received, peers, summary } = await replayOnto(
        target.hostile,
        () => tape().batches(100),
        target,
      );
      assert.ok(peers.length > 0, 'nobody came');
      assert.equal(summary.captured.commands, 8);
      // No octet but those that were recorded, and these only where the statement asks for a file.
      assert.equal(received.includes(OTHER_FILE), false);
      assert.equal(received.includes('root:'), false);
      assert.equal(received.includes('secret'), false, 'the password in clear');
      if (!received.includes(LOAD)) assert.equal(received.includes(FILE), false);
    });
  }
});
