import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FILE_WAITS } from '../../../src/flow/decoder.ts';
import { Pacer } from '../../../src/flow/pacer.ts';
import { ReadAhead } from '../../../src/replay/engine/read-ahead.ts';

const START_MS = 5_000;

describe('what is recorded and told late is told before it is due', () => {
  for (const speed of [0.01, 0.1, 1, 2, 10, 1000]) {
    test(`at speed ${speed}`, () => {
      const pacer = new Pacer(speed, 0, START_MS);
      let now = START_MS;
      const owner = { now: () => now, soonestDue: (at: number) => pacer.due(at), rearm: () => {} };
      const ahead = new ReadAhead('archive', owner);
      const at = 100_000e9;
      void ahead.room(at);
      const readOnAt = ahead.nextDue;
      // What was on the wire so long before may be told only now.
      const longestNs = Math.max(FILE_WAITS.holeNs, FILE_WAITS.directionNs);
      assert.ok(readOnAt <= pacer.due(at - longestNs), `${readOnAt}`);
      assert.ok(readOnAt <= pacer.due(at) - 2_000, `${readOnAt}`);
      now = readOnAt;
      assert.equal(ahead.room(at), undefined);
    });
  }
});
