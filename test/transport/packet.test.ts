/** The packet transport with everything but the wire (bed.ts). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EXPECT } from '../../src/mysql/command.ts';
import type { PacketConnection } from '../../src/transport/packet-connection.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { CTL } from '../../src/wire/segment.ts';
import { makePacket, type Parsed } from '../intercept/support.ts';
import { column, command, eof, ok, packets, payload, row } from '../mysql/support/packets.ts';
import { type Bed, CLIENT, connect, GREETING, Handler, loggedIn, MTU, query, setUp, TICK_MS } from './bed.ts';
import { transportContract } from './contract.ts';
import { packetBed } from './packet-bed.ts';

const onlyServer = (bed: Bed) => [...bed.servers.values()][0];
const isData = ({ data }: Parsed) => data.length > 0;

transportContract('packet transport', packetBed);

describe('packet transport', () => {
  test('login, commands, QUIT and FIN: all told in order, nothing sent twice', (t) => {
    const bed = setUp(t);
    const handler = loggedIn(bed);
    for (let i = 0; i < 3; i++) {
      query(handler, `select ${i}`);
      bed.run(TICK_MS);
      assert.deepEqual(handler.take(), ['reply ok 7']);
    }
    bed.onData = () => {};
    handler.connection.write(command(1), EXPECT.none);
    handler.connection.end();
    bed.run(TICK_MS);
    assert.deepEqual(handler.take(), ['closed fin']);
    const [server] = bed.servers.values();
    assert.deepEqual(
      [server.peerClosed, server.finAcked, server.counts.syn, server.counts.rst],
      [true, true, 1, 0],
    );
    assert.deepEqual([bed.transport.stats().retransmitted, bed.receiver.foreign], [0, 0]);
    assert.ok(bed.toTarget.every(({ src, dst }) => src === 0x0a010203 && dst === 0xc0a80001));
    bed.run(2000);
    assert.deepEqual(handler.take(), [], 'closed is the last that is told');
    const { pollAt } = handler.connection as PacketConnection;
    assert.equal(pollAt, Number.POSITIVE_INFINITY, 'no timer holds it any more');
  });

  test('a command in answer to an answer carries its ACK: one packet out a query', (t) => {
    const bed = setUp(t);
    const handler = loggedIn(bed);
    // Long enough to be due an ACK at once.
    const rows = Array.from({ length: 20 }, () => row('x'.repeat(200)));
    bed.onData = (server) => server.write(packets(1, payload(1), column('a'), eof(), ...rows, eof()));
    let left = 20;
    handler.onReply = () => {
      if (left-- > 0) query(handler, 'select 1');
    };
    bed.toTarget = [];
    query(handler, 'select 1');
    bed.run(200);
    assert.equal(handler.told.length, 21);
    // 21 queries, and an ACK of its own for the last answer, which no query followed.
    assert.deepEqual([bed.toTarget.filter(isData).length, bed.toTarget.length], [21, 22]);
  });

  test('a command whose answer has a shape of its own goes when the receive half knows it', (t) => {
    const bed = setUp(t);
    const handler = loggedIn(bed);
    const expect = bed.port!.expect.bind(bed.port);
    let announce = () => {};
    bed.port!.expect = (id, shape) => {
      assert.equal(shape, EXPECT.prepare);
      announce = () => expect(id, shape);
    };
    bed.injector.take();
    handler.connection.write(command(0x16, 'select 1'), EXPECT.prepare);
    bed.transport.flush();
    assert.equal(bed.injector.take().length, 0);
    announce();
    bed.transport.flush();
    assert.equal(bed.injector.take().length, 1);
  });

  test('a packet that the kernel refuses as too long: what follows is cut smaller, and goes again', (t) => {
    const bed = setUp(t);
    const handler = loggedIn(bed);
    const got: number[] = [];
    bed.onData = (_server, octets) => got.push(octets.length);
    bed.injector.refused.EMSGSIZE = 1;
    bed.run(TICK_MS);
    handler.connection.write(command(3, 'x'.repeat(5000)), EXPECT.result);
    bed.run(TICK_MS);
    const longest = Math.max(...bed.toTarget.slice(-6).map(({ data }) => data.length));
    assert.equal(longest, 1492 - 40, 'the next plateau below 1500, RFC 1191 (7.1)');
    assert.equal(
      got.reduce((sum, length) => sum + length, 0),
      5005,
    );
  });

  test('the SYN goes when the receive half knows the flow, with our options and the path’s MSS', (t) => {
    const bed = setUp(t);
    bed.target = 'deaf';
    const register = bed.port!.register.bind(bed.port);
    let known = 0;
    bed.port!.register = (...flow) => {
      assert.deepEqual([bed.toTarget.length, bed.injector.packets.length], [0, 0]);
      known++;
      register(...flow);
    };
    connect(bed);
    bed.run(TICK_MS);
    const [syn] = bed.toTarget;
    assert.deepEqual(
      [known, syn.flags, syn.mss, syn.windowShift, syn.dstPort],
      [1, CTL.syn, MTU - 40, 7, 3307],
    );
  });

  test('a relay that has not said “registered” yet holds the SYN back', (t) => {
    const bed = setUp(t);
    let say = () => {};
    bed.port!.register = (id) => {
      say = () => bed.transport.registered(id);
    };
    const handler = connect(bed);
    bed.run(1500);
    handler.connection.writeLogin(packets(1, payload('early')));
    bed.run(1500);
    assert.equal(bed.toTarget.length, 0);
    say();
    bed.run(TICK_MS);
    assert.equal(bed.toTarget.length, 1);
  });

  test('a long command is cut to the MSS and arrives whole', (t) => {
    const bed = setUp(t);
    const handler = loggedIn(bed);
    const got: Uint8Array[] = [];
    const long = command(3, 'x'.repeat(50_000));
    bed.onData = (server, octets) => {
      got.push(new Uint8Array(octets));
      if (Buffer.concat(got).length === long.length) server.write(packets(1, ok(9)));
    };
    handler.connection.write(long, EXPECT.result);
    bed.run(1000);
    assert.deepEqual(handler.take(), ['reply ok 9']);
    assert.ok(Buffer.concat(got).equals(long));
    assert.ok(bed.toTarget.every(({ data }) => data.length <= MTU - 40));
  });

  test('loss either way delays and loses nothing', (t) => {
    const bed = setUp(t);
    let n = 0;
    bed.isLost = () => n++ % 4 === 3;
    const handler = connect(bed);
    bed.run(5000);
    handler.connection.writeLogin(packets(1, payload('response')));
    bed.run(5000);
    handler.connection.commandPhase(0, 0);
    assert.deepEqual(handler.take(), [
      'established',
      `packet ${GREETING.length}`,
      `packet ${packets(1, ok(7)).length}`,
    ]);
    for (let i = 0; i < 10; i++) query(handler, `select ${i}`);
    let answered = 0;
    bed.onData = (server, octets) => {
      // Ten commands of one length, cut anywhere.
      const before = Math.floor(answered / 13);
      answered += octets.length;
      for (let i = before; i < Math.floor(answered / 13); i++) server.write(packets(1, ok(i)));
    };
    assert.equal(command(3, 'select 0').length, 13);
    bed.run(20_000);
    assert.deepEqual(
      handler.take(),
      Array.from({ length: 10 }, (_, i) => `reply ok ${i}`),
    );
    handler.connection.end();
    bed.run(20_000);
    assert.deepEqual(handler.take(), ['closed fin']);
    assert.ok(bed.transport.stats().retransmitted > 0);
    assert.ok(onlyServer(bed).finAcked);
  });

  test('one TSval a connection, whichever half sends, also after intercept died; a later connection has a larger one', (t) => {
    const bed = setUp(t, { resumable: true, timestamps: true });
    const rows = Array.from({ length: 20 }, () => row('x'.repeat(200)));
    const live = () => {
      bed.toTarget = [];
      const handler = loggedIn(bed);
      bed.run(500);
      query(handler, 'select 1');
      bed.run(500);
      bed.interceptDies();
      bed.comesBack();
      // The receive half that took the connection up acknowledges this by itself.
      const server = [...bed.servers.values()].at(-1)!;
      server.write(packets(1, payload(1), column('a'), eof(), ...rows, eof()));
      server.pump(bed.clock.now());
      bed.run(500);
      handler.connection.end();
      bed.run(500);
      const stamps = new Set(bed.toTarget.map(({ tsVal }) => tsVal));
      assert.equal(stamps.size, 1, `${[...stamps]}`);
      assert.ok(bed.toTarget.length > 8);
      return [...stamps][0];
    };
    const first = live();
    assert.equal(first, (1.7e12 + 0) % 2 ** 32);
    assert.ok(live() >= first + 2_000);
  });

  test('the target resets', (t) => {
    const bed = setUp(t);
    const handler = loggedIn(bed);
    query(handler, 'select 1');
    bed.onData = (server) => server.reset();
    bed.run(TICK_MS);
    assert.deepEqual(handler.take(), ['closed reset']);
    bed.toTarget = [];
    query(handler, 'select 2');
    handler.connection.end();
    handler.connection.abort();
    bed.run(3000);
    assert.deepEqual([handler.take(), bed.toTarget], [[], []], 'nothing comes of it afterwards');
  });

  test('nobody answers: SYNs after 0, 1, 3, 7 and 15 s, given up at 31 s', (t) => {
    const bed = setUp(t);
    bed.target = 'deaf';
    const handler = connect(bed);
    bed.run(30_900);
    assert.deepEqual([handler.take(), bed.toTarget.length], [[], 5]);
    bed.run(300);
    assert.deepEqual(handler.take(), ['closed timeout']);
  });

  test('abort resets at once, and a lost RST is made up for', (t) => {
    const bed = setUp(t);
    const handler = loggedIn(bed);
    query(handler, 'select 1');
    let resets = 0;
    bed.isLost = ({ flags }, fromTarget) => !fromTarget && (flags & CTL.rst) !== 0 && resets++ === 0;
    handler.connection.abort();
    bed.run(TICK_MS);
    assert.deepEqual(handler.take(), ['closed aborted']);
    bed.run(1000);
    assert.equal(onlyServer(bed).state, 'reset', 'its answer was answered with RST');
    assert.equal(resets, 2);
  });

  test('a SYN that meets an old connection is sent again behind a RST, and goes through', (t) => {
    const bed = setUp(t);
    // The target still has a connection of the port that comes next: made by hand, and forgotten by us.
    const [src, dst, dstPort] = [0x0a010203, 0xc0a80001, 3307];
    loggedIn(bed);
    const srcPort = bed.toTarget[0].srcPort + 1;
    const old = bed.makeServer();
    bed.isLost = () => true;
    old.take(makePacket({ src, dst, srcPort, dstPort, seq: 500, flags: CTL.syn, mss: 1460, shift: 7 }), 0);
    old.take(makePacket({ src, dst, srcPort, dstPort, seq: 501, ack: 0xffff_ff02, flags: CTL.ack }), 0);
    bed.isLost = () => false;
    assert.equal(old.state, 'open');
    bed.servers.set(srcPort, old);
    bed.toTarget = [];
    const handler = connect(bed);
    bed.run(TICK_MS);
    assert.deepEqual(
      bed.toTarget.filter(({ flags }) => flags & (CTL.syn | CTL.rst)).map(({ flags }) => flags),
      [CTL.syn, CTL.rst, CTL.syn],
    );
    assert.equal(old.state, 'reset');
    assert.deepEqual(handler.take(), ['established', `packet ${GREETING.length}`]);
  });

  test('a lost relay ends its connections, and those that would begin on it', async (t) => {
    const bed = setUp(t);
    const handler = loggedIn(bed);
    bed.transport.lost();
    assert.deepEqual(handler.take(), ['closed relay']);
    bed.run(TICK_MS);
    assert.equal(onlyServer(bed).state, 'reset');
    const late = connect(bed);
    await Promise.resolve();
    assert.deepEqual(late.take(), ['closed relay']);
  });

  test('clients of the other IP version are refused by name; one out of ports is closed', async (t) => {
    const bed = setUp(t);
    assert.equal(bed.transport.refuses({ client: parseAddress('2001:db8::1')!, copy: 0 }), 'ip-version');
    assert.equal(bed.transport.refuses({ client: CLIENT, copy: 0 }), undefined);
    bed.target = 'deaf';
    for (let i = 0; i < 55_000; i++) bed.transport.connect({ client: CLIENT, copy: i }, new Handler());
    const handler = connect(bed);
    await Promise.resolve();
    assert.deepEqual(handler.take(), ['closed no-port']);
  });

  test('close resets what is open, and the numbers add up', async (t) => {
    const bed = setUp(t);
    const handler = loggedIn(bed);
    bed.run(100);
    const closing = bed.transport.close();
    assert.deepEqual(handler.take(), ['closed aborted']);
    const last = bed.injector.take();
    assert.deepEqual(
      last.map(({ flags }) => flags & CTL.rst),
      [CTL.rst],
    );
    await closing;
    assert.ok(bed.injector.closed);
    const { packetsIn, captureDropped } = bed.transport.stats();
    assert.deepEqual([packetsIn, captureDropped], [bed.receiver.packets, 2]);
  });
});
