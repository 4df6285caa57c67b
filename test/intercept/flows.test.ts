/** What peers can make an intercept hold, by counts of what it holds. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FlowLimits } from '../../src/intercept/flows.ts';
import type { Resumption } from '../../src/intercept/ports.ts';
import { Receiver } from '../../src/intercept/receiver.ts';
import { TupleTable } from '../../src/intercept/tuple-table.ts';
import { EXPECT } from '../../src/mysql/command.ts';
import { ManualClock } from '../../src/time.ts';
import { addressFromOctets, ipv4Address } from '../../src/wire/address.ts';
import { CTL } from '../../src/wire/segment.ts';
import { Tuple } from '../../src/wire/tuple.ts';
import { blockOf, FakeInjector, makePacket, RecordingOwner } from './support.ts';

const TARGET = 0xc0a80001;
const CLIENT = 0x0a010203;
const ISS = 1000;
const IRS = 5000;
const tupleOf = (clientPort: number) => new Tuple(ipv4Address(CLIENT), clientPort, ipv4Address(TARGET), 3307);

function setUp(limits: Partial<FlowLimits> = {}, delivered = (then: () => void) => then()) {
  const clock = new ManualClock(100);
  const injector = new FakeInjector(128);
  const receiver = new Receiver(injector, clock, limits);
  const owner = new RecordingOwner();
  const attach = () => receiver.attach(owner, { delivered });
  const port = attach();
  const take = (dstPort: number, seq: number, data?: Uint8Array, flags: number = CTL.ack) => {
    const ends = { src: TARGET, dst: CLIENT, srcPort: 3307, dstPort, ack: ISS + 1, seq, flags };
    const syn = flags & CTL.syn ? { mss: 1460, shift: 7 } : {};
    receiver.take(blockOf(makePacket({ ...ends, ...syn, ...(data && { data }) })), 0);
  };
  const establish = (id: number, dstPort: number) => {
    port.register(id, tupleOf(dstPort), ISS);
    take(dstPort, IRS, undefined, CTL.syn | CTL.ack);
  };
  return { clock, injector, receiver, owner, attach, port, take, establish, flows: receiver.flows };
}

describe('flows that a peer begins', () => {
  test('a number in use is not given to another connection, and a connection has one number', () => {
    const { port, flows } = setUp();
    assert.equal(port.register(7, tupleOf(1), ISS), undefined);
    for (let i = 2; i < 1_000; i++)
      assert.equal(port.register(7, tupleOf(i), ISS), 'gave the number 7 to two connections');
    assert.equal(port.resume(7, tupleOf(2), RESUMPTION), 'gave the number 7 to two connections');
    assert.equal(port.register(8, tupleOf(1), ISS), 'gave a connection two numbers, 7 and 8');
    assert.equal(port.resume(9, tupleOf(1), RESUMPTION), 'gave a connection two numbers, 7 and 9');
    assert.equal(port.register(3, tupleOf(2), ISS), 'gave the number 3 after 9: numbers grow');
    assert.deepEqual([port.flows, flows.open, flows.table.size], [1, 1, 1]);
  });

  test('registered and released again and again, on one connection or many: a bounded number linger', () => {
    const { port, flows, owner } = setUp({ lingering: 50 });
    for (let i = 0; i < 2_000; i++) {
      port.register(i, tupleOf(i % 2 === 0 ? 1 : 1_000 + i), ISS + i);
      port.release(i, i % 3 === 0);
      owner.take();
    }
    assert.deepEqual([flows.open, flows.lingering, flows.table.size], [0, 50, 50]);
  });

  test('those of channels that come and go without a goodbye count as open, until their lease is over', () => {
    const { attach, flows, clock, receiver } = setUp({ lingering: 10 });
    for (let i = 0; i < 100; i++) {
      const port = attach();
      port.register(1, tupleOf(1_000 + i), ISS);
      port.abandon();
    }
    assert.equal(flows.open, 100);
    clock.advance(10_001);
    receiver.tick();
    assert.deepEqual([flows.open, flows.lingering, flows.table.size], [0, 10, 10]);
    clock.advance(15_001);
    receiver.tick();
    assert.deepEqual([flows.lingering, flows.table.size], [0, 0]);
  });

  test('announcing answers without end ends the reading of that flow', () => {
    const { port, owner, establish } = setUp();
    establish(1, 40_000);
    port.commandPhase(1, 0, 0);
    owner.take();
    for (let i = 0; i < 1_000; i++) port.expect(1, EXPECT.prepare);
    assert.ok(owner.told.some(([what]) => what === 'desync'));
    assert.equal(owner.told.filter(([what]) => what === 'desync').length, 1);
  });

  test('addresses of connections that are gone are forgotten', () => {
    const table = new TupleTable<{ tuple: Tuple }>(100);
    const target = addressFromOctets(new Uint8Array(16).fill(1), 0, 6);
    const of = (i: number) => {
      const octets = new Uint8Array(16);
      new DataView(octets.buffer).setUint32(12, i);
      return { tuple: new Tuple(addressFromOctets(octets, 0, 6), 1, target, 3307) };
    };
    const kept = Array.from({ length: 10 }, (_, i) => of(i));
    for (const value of kept) table.set(value);
    for (let i = 1_000; i < 10_000; i++) {
      const value = of(i);
      table.set(value);
      assert.equal(table.get(value.tuple), value);
      table.delete(value);
      assert.equal(table.get(of(i + 100_000).tuple), undefined);
    }
    assert.deepEqual([table.size, table.addresses < 200], [10, true]);
    for (const value of kept) assert.equal(table.get(value.tuple), value);
  });
});

const RESUMPTION: Resumption = {
  iss: ISS,
  rcvNxt: IRS + 1,
  ack: ISS + 1,
  tsVal: 0,
  tsRecent: 0,
  peer: { mss: 1460, shift: 7, sackPermitted: false, timestamps: false },
  commandPhase: undefined,
  expect: undefined,
  state: undefined,
};

describe('octets that are held', () => {
  test('what came before its turn is given up beyond the limit of all flows, and comes again', () => {
    const { take, establish, flows, owner } = setUp({ heldOctets: 20_000 });
    for (let i = 0; i < 40; i++) {
      establish(i, 10_000 + i);
      take(10_000 + i, IRS + 101, new Uint8Array(1_000));
      assert.ok(flows.heldOctets <= 20_000);
    }
    assert.ok(flows.heldOctets > 18_000);
    assert.ok(
      owner.told.every(([what]) => what !== 'desync'),
      'nothing is lost of it',
    );
  });

  test('of octets ahead of their command the flow that comes too late cannot be read, and is told', () => {
    const { take, establish, flows, owner, port } = setUp({ heldOctets: 20_000 });
    for (let i = 0; i < 40; i++) {
      establish(i, 10_000 + i);
      // The beginning of a long packet of the login.
      take(10_000 + i, IRS + 1, Uint8Array.of(0xff, 0xff, 0, 0, ...new Array(1_000).fill(1)));
      assert.ok(flows.heldOctets <= 20_000);
    }
    const lost = owner.told.filter(([what]) => what === 'desync').map(([, id]) => id);
    assert.ok(lost.length > 15 && !lost.includes(0));
    for (let i = 0; i < 40; i++) port.release(i, true);
    assert.equal(flows.heldOctets, 0, 'and nothing is left of what is over');
  });

  test('a state that comes with a resumption counts, too', () => {
    const { port, flows, owner } = setUp({ heldOctets: 100_000 });
    // A login in the midst of a packet of 50,000 octets: phase, length, octets, nothing held.
    const state = new Uint8Array(1 + 3 + 50_000 + 1);
    state.set([0, 0xfc, 0x50, 0xc3, 0xff, 0xff, 0, 0]);
    for (let i = 0; i < 10; i++) port.resume(i, tupleOf(i), { ...RESUMPTION, state });
    assert.ok(flows.heldOctets > 40_000 && flows.heldOctets <= 100_000, `${flows.heldOctets}`);
    assert.ok(owner.told.some(([what]) => what === 'desync'));
    port.disconnect();
    assert.equal(flows.heldOctets, 0);
  });

  test('an ACK waits for delivery once, however often the target sends the same again', () => {
    const waiting: (() => void)[] = [];
    const { take, establish, injector } = setUp({}, (then) => waiting.push(then));
    establish(1, 40_000);
    take(40_000, IRS + 1, Uint8Array.of(0xff, 0, 0, 0, 1));
    for (let i = 0; i < 1_000; i++) take(40_000, IRS + 1, Uint8Array.of(0xff, 0, 0, 0, 1));
    assert.ok(waiting.length <= 2, `${waiting.length}`);
    for (const then of waiting) then();
    assert.ok(injector.take().length > 0);
    take(40_000, IRS + 1, Uint8Array.of(0xff, 0, 0, 0, 1));
    waiting.at(-1)?.();
    assert.equal(injector.take().length, 1, 'and is sent again when asked for again');
  });
});
