/** What a table of connections keeps when it is flooded, and for how long; and that the index and the decoder agree about it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SessionDecoder } from '../../src/flow/decode.ts';
import type { FlowEvent } from '../../src/flow/events.ts';
import { type Endpoints, Flow } from '../../src/flow/flow.ts';
import { AgeRing, type FlowLimits, limitsFor, NO_LIMITS } from '../../src/flow/flow-limits.ts';
import { SessionIndex } from '../../src/flow/session-index.ts';
import { FlowTable } from '../../src/flow/table.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { CTL, Segment } from '../../src/wire/segment.ts';
import {
  blockOf,
  GREETING,
  type Packet,
  SERVER_PORT,
  sessionFrames,
  type TcpFields,
  tcpFrame,
} from '../archive/support.ts';

const SECOND = 1e9;
const PORTS = new Set([SERVER_PORT]);
const LIMITS: FlowLimits = { ...limitsFor(7_200_000), mostHalfOpen: 50, mostFlows: 200 };

/** A table, and what it told. */
class Followed {
  readonly ended: string[] = [];
  readonly table: FlowTable<Flow>;
  readonly #segment = new Segment();
  began = 0;

  constructor(limits: FlowLimits = LIMITS) {
    this.table = new FlowTable<Flow>(
      PORTS,
      {
        create: (_: Endpoints, id: number, at: number) => {
          this.began++;
          return new Flow(id, at);
        },
        ended: (flow) => this.ended.push(`${flow.id} ${flow.ending}`),
      },
      limits,
    );
  }

  take(fields: TcpFields, at: number): Flow | undefined {
    const octets = tcpFrame(fields);
    const view = new DataView(octets.buffer);
    assert.equal(this.#segment.parse(octets, view, 0, octets.length, LINKTYPE.ethernet), 0);
    return this.table.find(this.#segment, at);
  }

  get open(): number {
    return [...this.table.flows()].length;
  }
}

/** The nth of many clients' ends. */
const ends = (n: number) => ({
  client: `10.${1 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`,
  clientPort: 40_000,
});
const syn = (n: number, seq = 1000): TcpFields => ({ ...ends(n), fromClient: true, seq, flags: CTL.syn });
const synAck = (n: number): TcpFields => ({
  ...ends(n),
  fromClient: false,
  seq: 5000,
  ack: 1001,
  flags: CTL.syn | CTL.ack,
});
const ack = (n: number): TcpFields => ({ ...ends(n), fromClient: true, seq: 1001, ack: 5001 });
const DATA = Uint8Array.of(1);
const says = (n: number, fromClient: boolean, flags = 0): TcpFields => ({
  ...ends(n),
  fromClient,
  seq: 1,
  ack: 1,
  payload: DATA,
  flags: flags | CTL.ack,
});
const greeting = (n: number): TcpFields => ({
  ...ends(n),
  fromClient: false,
  seq: 5001,
  ack: 1001,
  payload: GREETING,
});

describe('limits', () => {
  test('half-open connections end after a minute without a packet, others after two hours and an eighth', () => {
    const followed = new Followed();
    followed.take(syn(0), 0);
    followed.take(syn(1), 0);
    followed.take(synAck(1), 0);
    followed.take(syn(2), 0);
    followed.take(synAck(2), 0);
    followed.take(ack(2), 0);
    // Its SYN is sent again.
    followed.take(syn(0), 32 * SECOND);
    followed.take(ack(9), 71 * SECOND);
    assert.deepEqual(followed.ended, ['1 half-open']);
    followed.take(ack(9), 103 * SECOND);
    assert.deepEqual(followed.ended, ['1 half-open', '0 half-open']);
    followed.take(ack(9), 7_300 * SECOND);
    assert.equal(followed.ended.length, 2);
    followed.take(ack(9), 8_111 * SECOND);
    assert.deepEqual(followed.ended.slice(2), ['2 unseen-end']);
    assert.equal(followed.open, 1);
  });

  test('a flood of SYNs costs no more than the bound, and is counted', () => {
    for (const reused of [false, true]) {
      const followed = new Followed();
      for (let n = 0; n < 20_000; n++) followed.take(reused ? syn(0, 7_919 * n) : syn(n), n * 1e5);
      assert.ok(followed.began <= 50, `${followed.began} connections`);
      assert.equal(followed.table.flooded, 20_000 - followed.began);
      assert.equal(followed.table.floodedData, 0);
    }
  });

  test('so does one that is answered, and reset', () => {
    const followed = new Followed();
    for (let n = 0; n < 20_000; n++) {
      followed.take(syn(n), n * 1e5);
      followed.take(synAck(n), n * 1e5);
      followed.take({ ...syn(n), seq: 1001, flags: CTL.rst }, n * 1e5);
    }
    assert.ok(followed.began <= 50 && followed.open <= 50);
    assert.equal(followed.table.flooded, 3 * (20_000 - followed.began));
  });

  test('there is room again when a minute has passed', () => {
    const followed = new Followed();
    for (let n = 0; n < 100; n++) followed.take(syn(n), 0);
    assert.equal(followed.began, 50);
    for (let n = 100; n < 200; n++) followed.take(syn(n), 75 * SECOND);
    assert.equal(followed.began, 100);
    assert.equal(followed.open, 50);
  });

  test('who greets his client in a flood has a session, whole, without its SYN', () => {
    const followed = new Followed();
    for (let n = 0; n < 100; n++) followed.take(syn(n), 0);
    assert.equal(followed.take(syn(200), 1), undefined);
    assert.equal(followed.take(synAck(200), 2), undefined);
    const flow = followed.take(ack(200), 3);
    followed.take(greeting(200), 4);
    assert.equal(flow?.fromStart, true);
    assert.equal(flow?.coverage, 'whole');
  });

  test('with no room at all, connections that closed go first, then such as only one side was seen of', () => {
    const followed = new Followed();
    for (let n = 0; n < 200; n++) followed.take(says(n, false), 0);
    for (let n = 0; n < 100; n++) followed.take(says(n, true, n < 10 ? CTL.rst : 0), 0);
    assert.equal(followed.take(says(300, false), SECOND), undefined);
    assert.deepEqual([followed.table.flooded, followed.table.floodedData], [1, 1]);
    for (let n = 300; n < 320; n++) followed.take(says(n, false), 3 * SECOND);
    assert.equal(followed.ended.length, 10);
    assert.ok(followed.ended.every((told) => told.endsWith('closed')));
    assert.equal(followed.open, 200);
    for (let n = 400; n < 520; n++) followed.take(says(n, false), 62 * SECOND);
    assert.equal(followed.ended.filter((told) => told.endsWith('unseen-end')).length, 100);
    assert.ok(followed.open <= 200);
    // Those that both sides were seen of are there.
    for (let n = 10; n < 100; n++) assert.ok(followed.take(says(n, true), 63 * SECOND)!.id < 200);
  });

  describe('connections that no server answered', () => {
    /** What one forged client sends, and the server to it, in one flood. */
    const FLOODS: Record<string, (n: number) => TcpFields[]> = {
      'SYN, data': (n) => [syn(n), says(n, true, CTL.psh)],
      'data alone': (n) => [says(n, true, CTL.psh)],
      'ACK alone': (n) => [ack(n)],
      'SYN, FIN': (n) => [syn(n), says(n, true, CTL.fin)],
      'SYN, data, RST': (n) => [syn(n), says(n, true), { ...syn(n), seq: 1002, flags: CTL.rst }],
      'SYN, data, the RST of a closed port': (n) => [
        syn(n),
        { ...ends(n), fromClient: false, seq: 0, ack: 1001, flags: CTL.rst | CTL.ack },
        says(n, true),
      ],
      'SYN, SYN-ACK, data that acknowledges another number': (n) => [
        syn(n),
        synAck(n),
        { ...says(n, true), seq: 1001, ack: 77 },
        // The server's challenge.
        { ...ends(n), fromClient: false, seq: 5001, ack: 1001 },
      ],
      'ports used anew at each SYN': (n) => [
        syn(0, 7_919 * n),
        { ...ends(0), fromClient: true, seq: 7_919 * n + 1, ack: 9, payload: DATA },
      ],
    };
    const real = (followed: Followed, n: number, at: number) => {
      const taken = [syn(n), synAck(n), ack(n), greeting(n), says(n, true)].map((each) =>
        followed.take({ ...each, ...(each.payload === DATA ? { seq: 1001, ack: 5001 } : {}) }, at),
      );
      return taken.at(-1);
    };

    for (const [name, flood] of Object.entries(FLOODS)) {
      test(`have no place of a real session: ${name}`, () => {
        const followed = new Followed();
        // One that is there before, and one that begins amid the flood.
        const before = real(followed, 60_000, 0);
        let at = 1;
        for (let n = 0; n < 5_000; n++) {
          for (const fields of flood(n)) followed.take(fields, (at += 1e5));
          if (n === 2_500) assert.equal(real(followed, 60_001, at)?.coverage, 'whole');
        }
        assert.equal(followed.began - 2, LIMITS.mostHalfOpen, 'kept of the flood');
        assert.equal(real(followed, 60_002, at)?.coverage, 'whole');
        assert.equal(followed.take({ ...says(60_000, true), seq: 1002, ack: 5001 }, at), before);
      });

      test(`leave half of the places where they came before all others: ${name}`, () => {
        const followed = new Followed();
        for (let n = 0; n < 5_000; n++) for (const fields of flood(n)) followed.take(fields, n * 1e5);
        assert.ok(followed.began <= LIMITS.mostFlows / 2, `${followed.began}`);
        for (let n = 0; n < LIMITS.mostFlows / 2; n++)
          assert.equal(real(followed, 60_000 + n, SECOND)?.coverage, 'whole');
        // Two minutes later no more are there than there may be beside others.
        followed.take(ack(60_000), 200 * SECOND);
        assert.ok(followed.open <= LIMITS.mostFlows / 2 + LIMITS.mostHalfOpen, `${followed.open}`);
      });
    }

    test('stay as long as any where there is no crowd, also when their capture lacks the servers', () => {
      for (const hasServers of [false, true]) {
        const followed = new Followed();
        if (hasServers) real(followed, 60_000, 0);
        const kept = hasServers ? 40 : 90;
        const flows = Array.from({ length: kept }, (_, n) => followed.take(says(n, true), 0));
        for (let n = 0; n < kept; n++)
          assert.equal(followed.take({ ...says(n, true), seq: 2 }, 3_600 * SECOND), flows[n]);
        assert.deepEqual([followed.ended.length, followed.table.flooded], [0, 0]);
      }
    });

    test('of a capture that lacks the servers: beyond half of the places, those silent for a minute go', () => {
      const followed = new Followed();
      for (let n = 0; n < 100; n++) followed.take(says(n, true), 0);
      assert.equal(followed.take(says(200, true), 30 * SECOND), undefined);
      for (let n = 0; n < 50; n++) followed.take({ ...says(n, true), seq: 2 }, 30 * SECOND);
      for (let n = 200; n < 250; n++) assert.ok(followed.take(says(n, true), 62 * SECOND), `${n}`);
      assert.equal(followed.ended.length, 50);
    });
  });

  test('connections that the server makes itself are not remembered without end', () => {
    const followed = new Followed();
    for (let n = 0; n < 200_000; n++) followed.take({ ...syn(n), fromClient: false }, n);
    assert.equal(followed.table.outgoing, 200_000);
    // The newest are known, the first are not.
    assert.equal(followed.take({ ...ends(199_999), fromClient: true, seq: 1, ack: 1 }, 2e5), undefined);
    assert.notEqual(followed.take({ ...ends(0), fromClient: true, seq: 1, ack: 1 }, 2e5), undefined);
  });

  test('first packets that come in pieces take no more than they may in all', () => {
    const index = new SessionIndex(PORTS, { ...LIMITS, mostFlows: 10_000 });
    const piece = Buffer.alloc(40_000, 1);
    // A first packet of 60,000 octets, of which two thirds come.
    piece.writeUInt32LE(60_000 | (1 << 24), 0);
    const packets: Packet[] = [];
    for (let n = 0; n < 1_000; n++) {
      packets.push({
        octets: tcpFrame({ ...ends(n), fromClient: false, seq: 5001, ack: 1001, payload: GREETING }),
        at: n,
      });
      packets.push({
        octets: tcpFrame({ ...ends(n), fromClient: true, seq: 1001, ack: 5001, payload: piece }),
        at: n,
      });
    }
    index.add(blockOf(packets), 0);
    const held = index.takeChanged().reduce((sum, { hello }) => sum + (hello?.length ?? 0), 0);
    assert.ok(held > 8e6 && held < 17e6, `${held} octets`);
  });

  test('ids of the index are those of the decoder, flood or not', () => {
    for (const limits of [LIMITS, NO_LIMITS]) {
      const packets: Packet[] = [];
      let at = 0;
      const push = (octets: Uint8Array) => packets.push({ octets, at: (at += 20e6) });
      for (let session = 0; session < 20; session++) {
        const client = { client: '10.0.0.1', clientPort: 41_000 + session };
        const frames = sessionFrames(client.client, client.clientPort, 3, 1000, { letsIn: true });
        frames.splice(2, 0, tcpFrame({ ...client, fromClient: true, seq: 1001, ack: 5001 }));
        for (const octets of frames) {
          push(octets);
          for (let n = 0; n < 7; n++) push(tcpFrame(syn(packets.length)));
        }
      }
      const index = new SessionIndex(PORTS, limits);
      const decoder = new SessionDecoder({ serverPorts: PORTS, ...limits });
      const events: FlowEvent[] = [];
      for (let i = 0; i < packets.length; i += 100) {
        index.add(blockOf(packets.slice(i, i + 100)), i / 100);
        events.push(...decoder.block(blockOf(packets.slice(i, i + 100))));
      }
      events.push(...decoder.finish());
      const logins = index.takeChanged().filter(({ user }) => user === 'app');
      const opened = events.flatMap((event) => (event.type === 'open' ? [event.session] : []));
      assert.equal(logins.length, 20);
      assert.deepEqual(
        opened.map(({ id, clientPort, login }) => [id, clientPort, login?.user]),
        logins.map(({ id, clientPort }) => [id, clientPort, 'app']),
      );
      assert.equal(index.flooded, decoder.counters.flooded);
      assert.equal(index.flooded > 0, limits === LIMITS);
    }
  });
});

test('what is to be looked at is looked at in its slot, however far time jumps', () => {
  const ring = new AgeRing<string>();
  const due = (at: number) => {
    const seen: string[] = [];
    ring.advance(at, (item) => seen.push(item));
    return seen;
  };
  ring.add('soon', 0, 12 * SECOND);
  ring.add('late', 0, 1e6 * SECOND);
  assert.deepEqual(due(9 * SECOND), []);
  assert.deepEqual(due(12 * SECOND), ['soon']);
  // A minute from now at the latest.
  assert.deepEqual(due(61 * SECOND), ['late']);
  ring.add('far', 61 * SECOND, Number.POSITIVE_INFINITY);
  assert.deepEqual(due(1e9 * SECOND), ['far']);
  // Back in time: it waits until time has caught up.
  ring.add('past', 0, 5 * SECOND);
  assert.deepEqual(due(10 * SECOND), []);
  assert.deepEqual(due(1e9 * SECOND), ['past']);
});
