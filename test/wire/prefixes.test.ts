import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Address, addressFromOctets, ipv4Address, parseAddress } from '../../src/wire/address.ts';
import {
  aggregate,
  commonBits,
  formatPrefix,
  holds,
  type Prefix,
  parsePrefix,
  prefixOf,
  widestAround,
} from '../../src/wire/prefixes.ts';

function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed, text);
  return parsed;
}

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  assert.ok(parsed, text);
  return parsed;
}

/** Addresses of 10.0.0.0/26, or of a /122 of IPv6: few enough for a naive model to look at each. */
const BITS = 6;
const BASE: Record<4 | 6, Uint8Array> = {
  4: Uint8Array.of(10, 0, 0, 0),
  6: address('fd00::').octets,
};

function nth(family: 4 | 6, n: number): Address {
  const octets = BASE[family].slice();
  octets[octets.length - 1] = n;
  return addressFromOctets(octets, 0, family);
}

/** The fewest aligned blocks that hold these numbers and no others, by halving the whole. */
function naive(numbers: ReadonlySet<number>, from = 0, size = 2 ** BITS): number {
  const inside = Array.from({ length: size }, (_, i) => numbers.has(from + i));
  if (inside.every((each) => !each)) return 0;
  if (inside.every((each) => each)) return 1;
  return naive(numbers, from, size / 2) + naive(numbers, from + size / 2, size / 2);
}

const family = fc.constantFrom<4 | 6>(4, 6);
const numbers = fc.array(fc.nat(2 ** BITS - 1), { maxLength: 64 });

describe('prefixes', () => {
  test('are read and written as ip route does', () => {
    for (const text of [
      '10.0.0.0/8',
      '10.1.2.3',
      '0.0.0.0/0',
      'fd00::/64',
      'fd00::1',
      '::/0',
      '10.0.0.128/25',
    ])
      assert.equal(formatPrefix(prefix(text)), text);
    assert.equal(formatPrefix(prefix('10.1.2.3/32')), '10.1.2.3');
    for (const wrong of [
      '',
      '10.0.0.0/33',
      '10.0.0.1/8',
      '10.0.0/8',
      '10.0.0.0/8/8',
      '10.0.0.0/',
      'fd00::/129',
    ])
      assert.equal(parsePrefix(wrong), undefined, wrong);
  });

  test('bits in common, at every length', () => {
    assert.equal(commonBits(address('10.0.0.0'), address('10.0.0.0')), 32);
    assert.equal(commonBits(address('128.0.0.0'), address('0.0.0.0')), 0);
    assert.equal(commonBits(address('fd00::'), address('fd00::1')), 127);
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(31), (n, bit) => {
        const other = ipv4Address((n ^ (1 << (31 - bit))) >>> 0);
        assert.equal(commonBits(ipv4Address(n >>> 0), other), bit);
        assert.ok(holds(prefixOf(other, bit), ipv4Address(n >>> 0)));
        assert.ok(!holds(prefixOf(other, bit + 1), ipv4Address(n >>> 0)));
      }),
    );
  });

  test('aggregation holds exactly the same addresses, by as few prefixes as there can be', () => {
    fc.assert(
      fc.property(family, numbers, (version, some) => {
        const width = version === 4 ? 32 : 128;
        const fewest = aggregate(some.map((n) => prefixOf(nth(version, n), width)));
        const set = new Set(some);
        for (let n = 0; n < 2 ** BITS; n++) {
          const holders = fewest.filter((each) => holds(each, nth(version, n))).length;
          assert.equal(holders, set.has(n) ? 1 : 0, `address ${n}`);
        }
        assert.ok(!fewest.some((each) => holds(each, nth(version, 2 ** BITS))));
        assert.equal(fewest.length, naive(set));
      }),
    );
  });

  test('prefixes of different lengths that overlap are one', () => {
    const texts = ['10.0.1.0/24', '10.0.0.0/24', '10.0.0.7', '10.0.2.0/23', '10.0.4.1', 'fd00::1', 'fd00::'];
    assert.deepEqual(aggregate(texts.map(prefix)).map(formatPrefix), [
      '10.0.0.0/22',
      '10.0.4.1',
      'fd00::/127',
    ]);
    assert.deepEqual(aggregate(['0.0.0.0/1', '128.0.0.0/1'].map(prefix)).map(formatPrefix), ['0.0.0.0/0']);
    assert.deepEqual(aggregate([]), []);
  });

  test('widening stops short of what is kept', () => {
    const kept = [prefix('10.0.0.3'), prefix('10.0.0.128/25'), prefix('fd00::3')];
    const around = (text: string) => widestAround(address(text), 24, kept);
    assert.equal(formatPrefix(around('10.0.0.64') as Prefix), '10.0.0.64/26');
    assert.equal(formatPrefix(around('10.0.0.2') as Prefix), '10.0.0.2');
    assert.equal(formatPrefix(around('10.0.1.9') as Prefix), '10.0.1.0/24');
    assert.equal(around('10.0.0.3'), undefined);
    assert.equal(around('10.0.0.200'), undefined);
    fc.assert(
      fc.property(family, fc.nat(63), fc.nat(BITS), numbers, (version, n, wide, reserved) => {
        const width = version === 4 ? 32 : 128;
        const kept = reserved.map((each) => prefixOf(nth(version, each), width));
        const found = widestAround(nth(version, n), width - wide, kept);
        if (found === undefined) return assert.ok(reserved.includes(n));
        assert.ok(found.bits >= width - wide && holds(found, nth(version, n)));
        assert.ok(!reserved.some((each) => holds(found, nth(version, each))));
        // One bit wider it would be too wide, or hold something kept.
        const wider = prefixOf(found.base, found.bits - 1);
        const tooWide =
          found.bits === width - wide || reserved.some((each) => holds(wider, nth(version, each)));
        assert.ok(tooWide);
      }),
    );
  });
});
