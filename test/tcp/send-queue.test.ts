import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SendQueue } from '../../src/tcp/send-queue.ts';
import { seqAdd } from '../../src/wire/sequence.ts';

test('any stretch of what was written and not acknowledged can be read, in whatever pieces it was written', () => {
  const action = fc.record({
    write: fc.integer({ min: 1, max: 40 }),
    acknowledge: fc.nat(60),
    from: fc.nat(100),
    length: fc.nat(80),
  });
  fc.assert(
    // More pieces than the list keeps behind it.
    fc.property(fc.nat(0xffff_ffff), fc.array(action, { maxLength: 200 }), (start, actions) => {
      const queue = new SendQueue(start);
      let written = 0;
      let una = 0;
      for (const { write, acknowledge, from, length } of actions) {
        queue.push(Uint8Array.from({ length: write }, (_, i) => written + i));
        written += write;
        una = Math.min(written, una + acknowledge);
        queue.acknowledged(seqAdd(start, una));
        const first = Math.min(written, una + from);
        const octets = Math.min(length, written - first);
        if (octets === 0) continue;
        const target = new Uint8Array(octets + 2);
        queue.copy(seqAdd(start, first), octets, target, 1);
        const wanted = Uint8Array.from({ length: octets }, (_, i) => first + i);
        assert.deepEqual(target, Uint8Array.of(0, ...wanted, 0));
      }
    }),
    { seed: 12, numRuns: 100 },
  );
});
