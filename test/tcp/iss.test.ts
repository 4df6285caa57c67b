import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { initialSequence } from '../../src/tcp/iss.ts';
import { seqDiff } from '../../src/wire/sequence.ts';

const TUPLE = '10.1.2.3:40000>3232235521:3307';

test('a tuple used again gets a higher initial sequence number: 250 a millisecond (RFC 6528, RFC 9293 3.4.1)', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1.6e12, max: 2.5e12 }),
      fc.integer({ min: 1, max: 3_600_000 }),
      fc.nat(),
      (epochMs, laterMs, secret) => {
        const first = initialSequence(epochMs, TUPLE, secret);
        assert.ok(Number.isInteger(first) && first >= 0 && first < 2 ** 32);
        assert.equal(seqDiff(initialSequence(epochMs + laterMs, TUPLE, secret), first), laterMs * 250);
      },
    ),
    { seed: 7, numRuns: 200 },
  );
});

test('tuples and secrets tell themselves apart', () => {
  const numbers = new Set<number>();
  for (let port = 10_000; port < 11_000; port++)
    numbers.add(initialSequence(1.7e12, `10.0.0.1:${port}>1:2`, 5));
  numbers.add(initialSequence(1.7e12, '10.0.0.1:10000>1:2', 6));
  assert.equal(numbers.size, 1001);
});

test('the next tuple cannot be told from the last: all 32 bits of the difference are open', () => {
  const differences: number[] = [];
  for (let port = 10_000; port < 12_000; port++) {
    const number = (each: number) => initialSequence(1.7e12, `10.0.0.1:${each}>1:2`, 5);
    differences.push((number(port + 1) - number(port)) >>> 0);
  }
  for (let bit = 0; bit < 32; bit++) {
    const set = differences.filter((each) => (each >>> bit) & 1).length;
    assert.ok(set > 850 && set < 1150, `bit ${bit} is set in ${set} of 2000`);
  }
});
