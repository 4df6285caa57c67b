import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { PortAllocator } from '../../src/transport/ports.ts';

/** How many there are. */
const PORTS = 55_000;

describe('port allocator', () => {
  test('two connections of a client never have one port, and every port comes before one comes again', () => {
    const steps = fc.array(fc.record({ client: fc.nat(2), take: fc.boolean(), which: fc.nat(1000) }), {
      minLength: 1,
      maxLength: 400,
    });
    fc.assert(
      fc.property(steps, fc.double({ min: -1e15, max: 1e15, noNaN: true }), (list, seed) => {
        const allocator = new PortAllocator(seed);
        const held = new Map<number, number[]>();
        const last = new Map<number, number>();
        for (const { client, take, which } of list) {
          const mine = held.get(client) ?? [];
          held.set(client, mine);
          if (take) {
            const port = allocator.take(client)!;
            assert.ok(port >= 10_000 && port < 65_000 && Number.isInteger(port));
            assert.ok(!mine.includes(port), 'in use');
            // The next in the round, so that one that was given back waits for all the others.
            const before = last.get(client);
            if (before !== undefined) assert.equal((port - before + PORTS) % PORTS, 1);
            last.set(client, port);
            mine.push(port);
          } else if (mine.length > 0) {
            const [port] = mine.splice(which % mine.length, 1);
            allocator.give(client, port);
          }
        }
      }),
      { seed: 5, numRuns: 200 },
    );
  });

  test('all ports are handed out before there are none, and those under way are passed over', () => {
    const allocator = new PortAllocator(123_456_789);
    const all = new Set<number>();
    for (let i = 0; i < PORTS; i++) all.add(allocator.take(1)!);
    assert.equal(all.size, PORTS);
    assert.equal(allocator.take(1), undefined);
    assert.notEqual(allocator.take(2), undefined, 'another client has its own');
    for (const port of [30_000, 20_000]) allocator.give(1, port);
    assert.deepEqual(new Set([allocator.take(1), allocator.take(1)]), new Set([20_000, 30_000]));
    assert.equal(allocator.take(1), undefined);
  });

  test('runs with different seeds begin at different ports', () => {
    assert.notEqual(new PortAllocator(1).take(1), new PortAllocator(2).take(1));
  });
});
