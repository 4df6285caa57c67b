import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { OneClient, Range, RecordedClients, SpreadClients } from '../../src/transport/clients.ts';
import { type Address, ipv4Address, parseAddress } from '../../src/wire/address.ts';

const address = (text: string) => parseAddress(text) as Address;

function range(text: string): Range {
  const parsed = Range.parse(text);
  assert.ok(parsed instanceof Range, `${text} is ${parsed}`);
  return parsed;
}

function spanOf(text: string): [string, string, number] {
  const { size, ...whole } = { size: range(text).size, range: range(text) };
  return [whole.range.at(0).text, whole.range.at(size - 1).text, size];
}

describe('a range of addresses', () => {
  test('leaves out the network and its broadcast, where there are such', () => {
    assert.deepEqual(spanOf('10.99.0.0/16'), ['10.99.0.1', '10.99.255.254', 65_534]);
    assert.deepEqual(spanOf('10.99.3.0/24'), ['10.99.3.1', '10.99.3.254', 254]);
    assert.deepEqual(spanOf('10.99.3.4/30'), ['10.99.3.5', '10.99.3.6', 2]);
    assert.deepEqual(spanOf('10.99.3.4/31'), ['10.99.3.4', '10.99.3.5', 2]);
    assert.deepEqual(spanOf('10.99.3.7/32'), ['10.99.3.7', '10.99.3.7', 1]);
    assert.deepEqual(spanOf('10.0.0.0/8'), ['10.0.0.1', '10.255.255.254', 2 ** 24 - 2]);
    assert.deepEqual(spanOf('0.0.0.0/0'), ['0.0.0.1', '255.255.255.254', 2 ** 32 - 2]);
    assert.deepEqual(spanOf('fd00:99::/112'), ['fd00:99::1', 'fd00:99::ffff', 65_535]);
    assert.deepEqual(spanOf('fd00:99::/64'), ['fd00:99::1', 'fd00:99::ffff:ffff:ffff', 2 ** 48 - 1]);
    assert.deepEqual(spanOf('fd00:99::8/127'), ['fd00:99::8', 'fd00:99::9', 2]);
    assert.deepEqual(spanOf('fd00:99::8/128'), ['fd00:99::8', 'fd00:99::8', 1]);
  });

  test('has its addresses and no others', () => {
    const both = fc.tuple(fc.integer({ min: 0, max: 32 }), fc.nat(0xffff_ffff), fc.nat(0xffff_ffff));
    fc.assert(
      fc.property(both, ([prefix, a, b]) => {
        const mask = prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0;
        const one = range(`${ipv4Address((a & mask) >>> 0).text}/${prefix}`);
        assert.equal(one.has(ipv4Address(b).text), (a & mask) >>> 0 === (b & mask) >>> 0);
        assert.ok(one.has(one.at(b % one.size).text));
        assert.ok(!one.has('fd00::1'));
      }),
      { seed: 1 },
    );
    assert.ok(range('fd00:99::/64').has('fd00:99::1:2:3:4'));
    assert.ok(!range('fd00:99::/64').has('fd00:99:0:1::1'));
  });

  test('refuses what is none, with the form that is right', () => {
    for (const text of [
      '10.99.0.0',
      '10.99.0.0/33',
      '10.99.0/16',
      'fd00::/129',
      'here/8',
      '/8',
      '10.99.0.0/1x',
      '',
    ]) {
      assert.match(Range.parse(text) as string, /as in 10\.99\.0\.0\/16 or fd00:99::\/64/, text);
    }
    assert.match(Range.parse('10.99.0.5/16') as string, /write 10\.99\.0\.0\/16/);
    assert.match(Range.parse('fd00:99::5/64') as string, /write fd00:99::\/64/);
  });
});

describe('recorded clients', () => {
  test('speak from their own addresses, if the target is of their IP version', () => {
    const v4 = new RecordedClients(4);
    assert.equal(v4.addressOf(address('10.1.2.3'))?.text, '10.1.2.3');
    assert.equal(v4.addressOf(address('fd00::1')), undefined);
    const v6 = new RecordedClients(6);
    assert.equal(v6.addressOf(address('fd00::1'))?.text, 'fd00::1');
    assert.equal(v6.addressOf(address('10.1.2.3')), undefined);
  });
});

describe("this host's own address", () => {
  test('is everybody’s', () => {
    assert.equal(new OneClient(address('10.1.2.3')).addressOf().text, '10.1.2.3');
  });
});

describe('clients spread over a range', () => {
  test('each client and copy has one address, its own while there are enough; beyond, they are even', () => {
    const job = fc.record({
      prefix: fc.integer({ min: 20, max: 32 }),
      copies: fc.integer({ min: 1, max: 7 }),
      known: fc.nat(40),
      others: fc.nat(40),
    });
    fc.assert(
      fc.property(job, ({ prefix, copies, known, others }) => {
        const mask = (0xffff_ffff << (32 - prefix)) >>> 0;
        const whole = range(`${ipv4Address((0x0a63_ffff & mask) >>> 0).text}/${prefix}`);
        // Of both IP versions.
        const clients = Array.from({ length: known + others }, (_, i) =>
          i % 3 === 2 ? address(`fd00::${i.toString(16)}`) : ipv4Address(0xc0a8_0000 + i),
        );
        const names = clients.slice(0, known).map(({ text }) => text);
        const spread = new SpreadClients(whole, copies, names);
        const uses = new Map<string, number>();
        for (const client of clients) {
          for (let copy = 0; copy < copies; copy++) {
            const one = spread.addressOf(client, copy);
            assert.ok(whole.has(one.text));
            assert.equal(spread.addressOf(client, copy).text, one.text, 'the same when asked again');
            uses.set(one.text, (uses.get(one.text) ?? 0) + 1);
          }
        }
        const pairs = clients.length * copies;
        const most = Math.max(0, ...uses.values());
        assert.equal(uses.size, Math.min(pairs, whole.size));
        assert.equal(most, Math.ceil(pairs / whole.size));
        for (const count of uses.values()) assert.ok(count >= most - 1);
      }),
      { seed: 2, numRuns: 100 },
    );
  });

  test('the known clients have the same addresses whoever comes first: workers agree', () => {
    const clients = ['10.1.1.1', '10.1.1.2', 'fd00::7'].map(address);
    const names = clients.map(({ text }) => text);
    const one = new SpreadClients(range('10.99.0.0/16'), 2, names);
    const other = new SpreadClients(range('10.99.0.0/16'), 2, names);
    const there = clients.map((client) => one.addressOf(client, 1).text);
    const back = [...clients].reverse().map((client) => other.addressOf(client, 1).text);
    assert.deepEqual(there, back.reverse());
    assert.deepEqual(there, ['10.99.0.2', '10.99.0.4', '10.99.0.6']);
  });
});
