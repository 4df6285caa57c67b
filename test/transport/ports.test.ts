import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { PortAllocator } from '../../src/transport/ports.ts';
import { type Address, parseAddress } from '../../src/wire/address.ts';

/** How many there are. */
const PORTS = 55_000;

/** Clients of both IP versions. */
const CLIENTS = ['10.1.2.3', '10.1.2.4', 'fd00::4'].map((text) => parseAddress(text) as Address);
const [ONE, TWO] = CLIENTS;

describe('port allocator', () => {
  test('two connections of a client never have one port, and every port comes before one comes again', () => {
    const steps = fc.array(fc.record({ client: fc.nat(2), take: fc.boolean(), which: fc.nat(1000) }), {
      minLength: 1,
      maxLength: 400,
    });
    const workers = fc.integer({ min: 1, max: 8 }).chain((of) => fc.tuple(fc.nat(of - 1), fc.constant(of)));
    fc.assert(
      fc.property(
        steps,
        fc.double({ min: -1e15, max: 1e15, noNaN: true }),
        workers,
        (list, seed, [index, of]) => {
          const allocator = new PortAllocator(seed, { index, of });
          const held = new Map<number, number[]>();
          const last = new Map<number, number>();
          for (const { client, take, which } of list) {
            const mine = held.get(client) ?? [];
            held.set(client, mine);
            if (take) {
              const port = allocator.take(CLIENTS[client])!;
              assert.ok(port >= 10_000 && port < 65_000 && Number.isInteger(port));
              assert.equal(port % of, index, 'of this worker');
              assert.ok(!mine.includes(port), 'in use');
              // The next in the round, so that one that was given back waits for all the others.
              const before = last.get(client);
              if (before !== undefined && port > before) assert.equal(port - before, of);
              else if (before !== undefined) assert.ok(port < 10_000 + of && before >= 65_000 - of);
              last.set(client, port);
              mine.push(port);
            } else if (mine.length > 0) {
              const [port] = mine.splice(which % mine.length, 1);
              allocator.give(CLIENTS[client], port);
            }
          }
        },
      ),
      { seed: 5, numRuns: 200 },
    );
  });

  test('all ports are handed out before there are none, and those under way are passed over', () => {
    const allocator = new PortAllocator(123_456_789);
    const all = new Set<number>();
    for (let i = 0; i < PORTS; i++) all.add(allocator.take(ONE)!);
    assert.equal(all.size, PORTS);
    assert.equal(allocator.take(ONE), undefined);
    assert.notEqual(allocator.take(TWO), undefined, 'another client has its own');
    for (const port of [30_000, 20_000]) allocator.give(ONE, port);
    assert.deepEqual(new Set([allocator.take(ONE), allocator.take(ONE)]), new Set([20_000, 30_000]));
    assert.equal(allocator.take(ONE), undefined);
  });

  test('workers have all the ports among them, and none twice', () => {
    const all = new Set<number>();
    for (let index = 0; index < 3; index++) {
      const allocator = new PortAllocator(7, { index, of: 3 });
      for (let port = allocator.take(ONE); port !== undefined; port = allocator.take(ONE)) {
        assert.ok(!all.has(port));
        all.add(port);
      }
    }
    assert.equal(all.size, PORTS);
  });

  test('a range of its own, but for the ports that others have', () => {
    const allocator = new PortAllocator(0, { first: 100, last: 109, except: new Set([99, 102, 109, 110]) });
    const taken = Array.from({ length: 9 }, () => allocator.take(ONE));
    assert.deepEqual(taken, [100, 101, 103, 104, 105, 106, 107, 108, undefined]);
    const second = new PortAllocator(0, {
      index: 1,
      of: 2,
      first: 100,
      last: 103,
      except: new Set([102, 103]),
    });
    assert.deepEqual([second.take(ONE), second.take(ONE)], [101, undefined]);
    assert.equal(new PortAllocator(5, { index: 3, of: 4, first: 100, last: 102 }).take(ONE), undefined);
  });

  test('runs with different seeds begin at different ports', () => {
    assert.notEqual(new PortAllocator(1).take(ONE), new PortAllocator(2).take(ONE));
  });

  test('50,000 connections, of one client or of as many, cost less than 200 octets each', () => {
    const addresses = Array.from(
      { length: 50_000 },
      (_, i) => parseAddress(`10.2.${i >> 8}.${i & 255}`) as Address,
    );
    for (const clientOf of [() => ONE, (i: number) => addresses[i]]) {
      const before = process.memoryUsage();
      const allocator = new PortAllocator(1);
      for (let i = 0; i < 50_000; i++) allocator.take(clientOf(i));
      const after = process.memoryUsage();
      const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
      assert.ok(grown < 50_000 * 200, `${grown} octets`);
      assert.notEqual(allocator.take(ONE), undefined);
    }
  });
});
