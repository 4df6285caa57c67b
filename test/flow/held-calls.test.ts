import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HeldCall, HeldCalls } from '../../src/flow/held-calls.ts';
import { HeldBudget } from '../../src/tcp/watched.ts';

const CALLS: Record<string, HeldCall> = {
  'segments of one octet': {
    what: 'data',
    fromClient: true,
    octets: new Uint8Array(1),
    at: 0,
    caughtUp: false,
  },
  holes: { what: 'gap', fromClient: true, octets: 1, at: 0 },
};

for (const [name, call] of Object.entries(CALLS)) {
  test(`${name} fill what a connection may hold, too, and give it back`, () => {
    const budget = new HeldBudget(64 << 20);
    const held = new HeldCalls(budget);
    let calls = 0;
    while (!held.isFull && calls < 100_000) {
      held.add(call);
      calls++;
    }
    assert.ok(calls < 100_000, `${calls} were held`);
    assert.equal(held.take().length, calls);
    assert.equal(budget.octets, 0);
  });
}

test('what all connections hold together counts', () => {
  const budget = new HeldBudget(1000);
  const [one, other] = [new HeldCalls(budget), new HeldCalls(budget)];
  one.add({ ...CALLS['segments of one octet'], octets: new Uint8Array(1000) } as HeldCall);
  assert.ok(other.isFull);
  one.take();
  assert.ok(!other.isFull);
});
