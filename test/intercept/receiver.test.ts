import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Receiver } from '../../src/intercept/receiver.ts';
import { EXPECT } from '../../src/mysql/command.ts';
import type { Reply } from '../../src/mysql/reply.ts';
import { ManualClock } from '../../src/time.ts';
import { ipv4Address, parseAddress } from '../../src/wire/address.ts';
import { CTL } from '../../src/wire/segment.ts';
import { Tuple } from '../../src/wire/tuple.ts';
import { column, eof, ok, packets, payload, row } from '../mysql/support/packets.ts';
import { gre, ipv4 } from '../wire/frames.ts';
import { blockOf, FakeInjector, makePacket, makeSegment, type Parsed, RecordingOwner } from './support.ts';

const TARGET = 0xc0a80001;
const CLIENT = 0x0a010203;
const tupleOf = (clientPort: number) => new Tuple(ipv4Address(CLIENT), clientPort, ipv4Address(TARGET), 3307);
const TUPLE = tupleOf(40_000);
const ISS = 1000;
const IRS = 5000;
const DELAYED_ACK_MS = 40;
const LINGER_MS = 15_000;
const TSVAL = 4_000_000_000;

type Fields = {
  seq: number;
  ack: number;
  flags?: number;
  data?: Uint8Array;
  mss?: number;
  shift?: number;
  dstPort?: number;
  window?: number;
  tsVal?: number;
  tsEcr?: number;
  sack?: readonly number[];
};

/** A segment of the target's. */
function answer({ dstPort = 40_000, flags = CTL.ack, ...fields }: Fields): Uint8Array {
  return makePacket({ src: TARGET, dst: CLIENT, srcPort: 3307, dstPort, flags, ...fields });
}

const synAck = (dstPort = 40_000) =>
  answer({ seq: IRS, ack: ISS + 1, flags: CTL.syn | CTL.ack, mss: 1460, shift: 7, dstPort });

/** Where, what it acknowledges, and what it is. */
function brief(sent: Parsed[]): string[] {
  return sent.map(({ flags, seq, ack, dst, dstPort, src, srcPort }) => {
    assert.deepEqual([dst, dstPort, src], [TARGET, 3307, CLIENT]);
    const letters = `${flags & CTL.rst ? 'R' : ''}${flags & CTL.ack ? '.' : ''}`;
    return `${letters} ${seq}${flags & CTL.ack ? ` ack ${ack}` : ''}${srcPort === 40_000 ? '' : ` from ${srcPort}`}`;
  });
}

function setUp() {
  const clock = new ManualClock(100);
  const injector = new FakeInjector(128);
  const receiver = new Receiver(injector, clock);
  const owner = new RecordingOwner();
  const attach = (whose: RecordingOwner) => receiver.attach(whose, { delivered: (then) => then() });
  const port = attach(owner);
  return {
    clock,
    injector,
    receiver,
    owner,
    port,
    attach,
    take: (...segments: Uint8Array[]) => receiver.take(blockOf(...segments), 0),
    sent: () => brief(injector.take()),
    /** Lets the time go by as intercept's own timer would. */
    wait: (ms: number) => {
      for (let i = 0; i < ms; i += 8) {
        clock.advance(8);
        receiver.tick();
      }
    },
  };
}

/** An established flow with nothing owed. */
function established(commandPhase = true) {
  const all = setUp();
  all.port.register(1, TUPLE, ISS);
  all.take(synAck());
  if (commandPhase) all.port.commandPhase(1, 0, 0);
  all.sent();
  all.owner.take();
  return all;
}

const OK = packets(1, ok(3));

describe('receiver', () => {
  test('registers, and acknowledges the SYN-ACK', () => {
    const { port, owner, take, sent } = setUp();
    port.register(1, TUPLE, ISS);
    assert.deepEqual(owner.take(), [['registered', 1]]);
    assert.deepEqual(sent(), []);
    take(synAck());
    assert.deepEqual(owner.take(), [['established', 1, ISS + 1, 60_000, IRS + 1, 1460, '7']]);
    assert.deepEqual(sent(), [`. ${ISS + 1} ack ${IRS + 1}`]);
  });

  test('the ACK of the SYN-ACK goes again after 1, 3, 7 … s while no greeting comes, and no more once it does', () => {
    const silent = setUp();
    silent.port.register(7, TUPLE, ISS);
    silent.take(synAck());
    const bare = `. ${ISS + 1} ack ${IRS + 1}`;
    assert.deepEqual(silent.sent(), [bare]);
    const times: number[] = [];
    for (let s = 1; s <= 80; s++) {
      silent.wait(1_000);
      const sent = silent.sent();
      if (sent.length > 0) times.push(s);
      assert.deepEqual(sent, sent.length > 0 ? [bare] : []);
    }
    assert.deepEqual(times, [1, 3, 7, 15, 31, 63]);

    const greeted = setUp();
    greeted.port.register(7, TUPLE, ISS);
    greeted.take(synAck());
    greeted.wait(1_100);
    assert.equal(greeted.sent().length, 2);
    greeted.take(answer({ seq: IRS + 1, ack: ISS + 1, data: packets(0, payload(10)) }));
    greeted.wait(100);
    assert.deepEqual(greeted.sent(), [`. ${ISS + 1} ack ${IRS + 6}`]);
    greeted.wait(10_000);
    assert.deepEqual(greeted.sent(), []);
  });

  test('a RST to the SYN is a refusal', () => {
    const { port, owner, take, sent } = setUp();
    port.register(1, TUPLE, ISS);
    take(answer({ seq: 0, ack: ISS + 1, flags: CTL.rst | CTL.ack }));
    assert.deepEqual(owner.take().slice(1), [['reset', 1, true]]);
    assert.deepEqual(sent(), []);
  });

  test('before the command phase MySQL packets are told one by one, whole, from segments cut anywhere', () => {
    const { owner, take } = established(false);
    const greeting = packets(0, payload(10, 'server', 0));
    const next = packets(1, payload('x'));
    take(answer({ seq: IRS + 1, ack: ISS + 1, data: greeting.subarray(0, 5) }));
    assert.deepEqual(owner.take(), [], 'no news: neither a packet nor an ACK');
    take(
      answer({
        seq: IRS + 6,
        ack: ISS + 1,
        data: new Uint8Array(Buffer.concat([greeting.subarray(5), next])),
      }),
    );
    const after = IRS + 1 + greeting.length + next.length;
    const between = after - next.length;
    assert.deepEqual(owner.take(), [
      ['packet', 1, ISS + 1, 60_000, between, Buffer.from(greeting).toString('hex')],
      ['packet', 1, ISS + 1, 60_000, after, Buffer.from(next).toString('hex')],
    ]);
  });

  test('an answer is told as what it amounts to', () => {
    const { owner, take } = established();
    const octets = packets(1, payload(1), column('a'), eof(), row('x'), row('yy'), eof());
    take(answer({ seq: IRS + 1, ack: ISS + 20, data: octets }));
    const [[what, id, ack, window, rcvNxt, reply], ...more] = owner.take();
    assert.deepEqual(
      [what, id, ack, window, rcvNxt, more],
      ['reply', 1, ISS + 20, 60_000, IRS + 1 + octets.length, []],
    );
    const { kind, rows, columns, octets: length } = reply as Reply;
    assert.deepEqual(
      { kind, rows, columns, length },
      { kind: 'rows', rows: 2, columns: 1, length: octets.length },
    );
  });

  test('an answer of a shape of its own is announced, and the announcement confirmed', () => {
    const { owner, port, take } = established();
    port.expect(1, EXPECT.prepare);
    assert.deepEqual(owner.take(), [['expecting', 1]]);
    const prepared = packets(1, payload(0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    take(answer({ seq: IRS + 1, ack: ISS + 9, data: prepared }));
    assert.equal((owner.take()[0][5] as Reply).statementId, 7);
    // The next one is an answer like any other again.
    take(answer({ seq: IRS + 1 + prepared.length, ack: ISS + 20, data: OK }));
    assert.equal((owner.take()[0][5] as Reply).statementId, 0);
  });

  test('an answer that overtakes the word of the login’s end waits for it', () => {
    const { owner, port, take } = established(false);
    take(answer({ seq: IRS + 1, ack: ISS + 1, data: packets(2, payload(0, 0, 0, 2, 0, 0, 0)) }));
    assert.equal(owner.take()[0][0], 'packet');
    take(answer({ seq: IRS + 12, ack: ISS + 9, data: OK }));
    assert.equal(owner.take()[0][0], 'acked');
    port.commandPhase(1, 0, 0);
    assert.equal(owner.take()[0][0], 'reply');
  });

  test('what is no answer is told as desync, once', () => {
    const { owner, take } = established();
    take(answer({ seq: IRS + 1, ack: ISS + 1, data: Uint8Array.of(0, 0, 0, 77, 1, 2, 3) }));
    take(answer({ seq: IRS + 8, ack: ISS + 1, data: Uint8Array.of(9, 9, 9, 9, 9, 9) }));
    assert.equal(owner.take().filter(([what]) => what === 'desync').length, 1);
  });

  test('the ACK rides on the command that the answer sets off, as the next answer shows', () => {
    const { take, sent, wait } = established();
    take(answer({ seq: IRS + 1, ack: ISS + 1, data: OK }));
    wait(DELAYED_ACK_MS - 8);
    take(answer({ seq: IRS + 1 + OK.length, ack: ISS + 20, data: OK }));
    wait(16);
    assert.deepEqual(
      sent(),
      [],
      'the second answer acknowledged a command, which carried the ACK of the first',
    );
    wait(DELAYED_ACK_MS);
    assert.deepEqual(sent(), [`. ${ISS + 20} ack ${IRS + 1 + 2 * OK.length}`]);
  });

  test('an ACK that is due at once is not taken to have gone', () => {
    const { take, sent } = established();
    take(
      answer({ seq: IRS + 1, ack: ISS + 1, flags: CTL.fin | CTL.ack }),
      answer({ seq: IRS + 2, ack: ISS + 20 }),
    );
    assert.deepEqual(sent(), [`. ${ISS + 20} ack ${IRS + 2}`]);
  });

  test('two full segments are acknowledged at the end of the turn, with one ACK; less waits 40 ms', () => {
    const { take, sent, wait } = established();
    const data = new Uint8Array(1460);
    take(
      answer({ seq: IRS + 1, ack: ISS + 1, data }),
      answer({ seq: IRS + 1461, ack: ISS + 1, data }),
      answer({ seq: IRS + 2921, ack: ISS + 1, data: data.subarray(0, 10) }),
    );
    assert.deepEqual(sent(), [`. ${ISS + 1} ack ${IRS + 2931}`]);
    take(answer({ seq: IRS + 2931, ack: ISS + 1, data: data.subarray(0, 10) }));
    wait(DELAYED_ACK_MS - 8);
    assert.deepEqual(sent(), []);
    wait(24);
    assert.deepEqual(sent(), [`. ${ISS + 1} ack ${IRS + 2941}`]);
  });

  test('what came before its turn is kept, and asked for at once', () => {
    const { take, sent, owner } = established();
    take(answer({ seq: IRS + 5, ack: ISS + 1, data: OK.subarray(4) }));
    assert.deepEqual(sent(), [`. ${ISS + 1} ack ${IRS + 1}`]);
    take(answer({ seq: IRS + 1, ack: ISS + 1, data: OK.subarray(0, 4) }));
    assert.deepEqual(sent(), [`. ${ISS + 1} ack ${IRS + 1 + OK.length}`]);
    assert.equal(owner.take().at(-1)![0], 'reply');
  });

  test('octets that the capture cut off are not acknowledged', () => {
    const { receiver, sent, wait } = established();
    const block = blockOf(answer({ seq: IRS + 1, ack: ISS + 1, data: new Uint8Array(1000) }));
    block.length[0] = 40 + 300;
    receiver.take(block, 0);
    wait(100);
    assert.deepEqual(sent(), [`. ${ISS + 1} ack ${IRS + 301}`]);
  });

  test('a SYN that met an old connection: RST first, then the word to send it again', () => {
    const { owner, port, take, injector } = setUp();
    port.register(1, TUPLE, ISS);
    let sentBefore = -1;
    owner.stale = (id) => {
      sentBefore = injector.packets.length;
      owner.told.push(['stale', id]);
    };
    take(answer({ seq: 77_000, ack: 66_000 }));
    assert.deepEqual(owner.take().slice(1), [['stale', 1]]);
    assert.equal(sentBefore, 1, 'the RST had left');
    assert.deepEqual(brief(injector.take()), ['R 66000']);
    take(synAck());
    assert.equal(owner.take()[0][0], 'established');
  });

  test('a released flow still answers the FIN, and is forgotten 15 s later', () => {
    const { owner, port, receiver, take, sent, wait } = established();
    const fin = answer({ seq: IRS + 1, ack: ISS + 2, flags: CTL.fin | CTL.ack });
    take(fin);
    assert.deepEqual(owner.take(), [['fin', 1, ISS + 2, 60_000, IRS + 2]]);
    assert.deepEqual(sent(), [`. ${ISS + 2} ack ${IRS + 2}`]);
    port.release(1, false);
    wait(LINGER_MS - 1000);
    take(fin);
    assert.deepEqual(sent(), [`. ${ISS + 2} ack ${IRS + 2}`], 'the first ACK was lost');
    assert.equal(receiver.foreign, 0);
    wait(1100);
    take(fin);
    assert.deepEqual([sent(), receiver.foreign], [[], 1]);
    assert.deepEqual(owner.take(), [], 'nobody is told of a flow that was released');
  });

  test('an aborted flow answers with RST where the target waits for it, until the target resets', () => {
    const { owner, port, receiver, take, sent } = established();
    port.release(1, true);
    take(answer({ seq: IRS + 1, ack: ISS + 50, data: OK }), answer({ seq: IRS + 1, ack: ISS + 60 }));
    assert.deepEqual(sent(), [`R ${ISS + 50}`, `R ${ISS + 60}`]);
    take(answer({ seq: IRS + 1, ack: ISS + 60, flags: CTL.rst }));
    take(answer({ seq: IRS + 1, ack: ISS + 60 }));
    assert.deepEqual([sent(), receiver.foreign, owner.take()], [[], 1, []]);
  });

  test('a SYN-ACK to a flow that was given up meanwhile is reset', () => {
    const { port, take, sent } = setUp();
    port.register(1, TUPLE, ISS);
    port.release(1, false);
    take(synAck());
    assert.deepEqual(sent(), [`R ${ISS + 1}`]);
  });

  test('a tuple used again belongs to the newer flow, also when the older is forgotten', () => {
    const { owner, port, take, sent, wait } = established();
    port.release(1, true);
    port.register(2, TUPLE, ISS + 50_000);
    take(answer({ seq: 9000, ack: ISS + 50_001, flags: CTL.syn | CTL.ack, mss: 1460, shift: 7 }));
    wait(LINGER_MS + 100);
    owner.take();
    sent();
    take(answer({ seq: 9001, ack: ISS + 50_001, flags: CTL.fin | CTL.ack }));
    assert.deepEqual(owner.take(), [['fin', 2, ISS + 50_001, 60_000, 9002]]);
  });

  test('packets of nobody are counted, not answered', () => {
    const { receiver, take, sent } = established();
    const before = receiver.packets;
    take(
      answer({ seq: 1, ack: 1, dstPort: 40_001 }),
      makePacket({ src: TARGET, dst: CLIENT, srcPort: 3308, dstPort: 40_000, seq: 1, flags: CTL.ack }),
      Uint8Array.from({ length: 60 }, () => 0x60),
      Uint8Array.from({ length: 10 }, () => 1),
    );
    assert.deepEqual([receiver.packets - before, receiver.foreign, sent()], [0, 4, []]);
  });

  test('owners have flows of their own; one that disconnects has its open flows reset, the other keeps its own', () => {
    const { owner, port, attach, take, sent, injector } = established();
    const other = new RecordingOwner();
    const otherPort = attach(other);
    otherPort.register(1, tupleOf(40_001), ISS);
    port.register(2, tupleOf(40_002), ISS);
    take(synAck(40_001));
    assert.deepEqual(
      other.take().map(([what]) => what),
      ['registered', 'established'],
    );
    assert.deepEqual(
      owner.take().map(([what]) => what),
      ['registered'],
    );
    injector.take();
    assert.equal(port.flows, 2);
    port.disconnect();
    // The second has not been answered yet, so there is nothing to reset …
    assert.deepEqual(sent(), [`R. ${ISS + 1} ack ${IRS + 1}`]);
    // … until it is.
    take(synAck(40_002));
    assert.deepEqual(sent(), [`R ${ISS + 1} from 40002`]);
    // What the target says of a command that was under way is answered with RST at the place that it waits for.
    take(answer({ seq: IRS + 1, ack: ISS + 90 }));
    assert.deepEqual(sent(), [`R ${ISS + 90}`]);
    take(answer({ seq: IRS + 1, ack: ISS + 1, flags: CTL.fin | CTL.ack, dstPort: 40_001 }));
    assert.equal(other.take().at(-1)![0], 'fin');
    assert.deepEqual([port.flows, otherPort.flows, owner.take()], [0, 1, []]);
  });

  test('IPv6: the same, by the addresses that stand in the packets', () => {
    const { port, owner, receiver, injector } = setUp();
    const target = parseAddress('2001:db8::83')!;
    const tuples = ['2001:db8:1::1', '2001:db8:1::2'].map(
      (client) => new Tuple(parseAddress(client)!, 40_000, target, 3307),
    );
    tuples.forEach((tuple, i) => {
      port.register(i + 1, tuple, ISS);
    });
    owner.take();
    const back = new Tuple(target, 3307, tuples[1].client, 40_000);
    const stranger = new Tuple(target, 3307, parseAddress('2001:db8:1::3')!, 40_000);
    const fields = { seq: IRS, ack: ISS + 1, flags: CTL.syn | CTL.ack, mss: 1440, shift: 7 };
    receiver.take(blockOf(makeSegment(back, fields), makeSegment(stranger, fields)), 0);
    assert.deepEqual(owner.take(), [['established', 2, ISS + 1, 60_000, IRS + 1, 1440, '7']]);
    assert.equal(receiver.foreign, 1);
    const [ack] = injector.packets;
    const octets = Buffer.from(ack);
    assert.equal(octets[0] >> 4, 6);
    assert.ok(octets.subarray(8, 24).equals(tuples[1].client.octets));
    assert.ok(octets.subarray(24, 40).equals(target.octets));
  });

  test('an answer in a tunnel is none: who sends it need not be the target', () => {
    const { port, owner, receiver, injector } = setUp();
    port.register(1, TUPLE, ISS);
    owner.take();
    const forged = answer({ seq: IRS, ack: ISS + 1, flags: CTL.syn | CTL.ack, mss: 1460 });
    receiver.take(blockOf(ipv4(4, forged), ipv4(47, gre(forged, 0x0800))), 0);
    assert.deepEqual(owner.take(), []);
    assert.equal(receiver.foreign, 2);
    assert.equal(injector.packets.length, 0);
    receiver.take(blockOf(forged), 0);
    assert.equal(injector.packets.length, 1);
  });

  test('the TSval that the SYN-ACK echoes, however late it comes, on all that follows, and SACK blocks both ways', () => {
    const { port, owner, take, injector, clock } = setUp();
    port.register(1, TUPLE, ISS);
    clock.advance(700);
    const stamps = { tsVal: 7000, tsEcr: TSVAL };
    take(answer({ seq: IRS, ack: ISS + 1, flags: CTL.syn | CTL.ack, mss: 1460, shift: 7, ...stamps }));
    assert.deepEqual(owner.take()[1].slice(5), [1460, '7 sackOK TS']);
    const [synAcked] = injector.take();
    assert.deepEqual([synAcked.tsVal, synAcked.tsEcr, synAcked.sack], [TSVAL, 7000, []]);
    port.commandPhase(1, 0, 0);
    clock.advance(30);
    take(
      // Whoever forges an echo moves nothing.
      answer({ seq: IRS + 101, ack: ISS + 1, tsVal: 7005, tsEcr: TSVAL + 9, data: new Uint8Array(50) }),
      answer({ seq: IRS + 1, ack: ISS + 1, tsVal: 7006, sack: [ISS + 100, ISS + 200] }),
    );
    const [gap] = injector.take();
    assert.deepEqual(
      [gap.ack, gap.tsVal, gap.tsEcr, gap.sack],
      [IRS + 1, TSVAL, 7006, [IRS + 101, IRS + 151]],
    );
    const acked = ['acked', 1, ISS + 1, 60_000, IRS + 1];
    assert.deepEqual(owner.take(), [acked]);
    // A duplicate ACK is news although neither SEG.ACK nor SEG.WND changed.
    take(answer({ seq: IRS + 1, ack: ISS + 1, tsVal: 7006 }));
    assert.deepEqual(owner.take(), [acked]);
  });

  test('a router’s word that a packet was too long is told, if that packet can be on its way', () => {
    const { owner, receiver } = established();
    const packet = makePacket({
      src: CLIENT,
      dst: TARGET,
      srcPort: 40_000,
      dstPort: 3307,
      seq: ISS + 1,
      flags: CTL.ack,
      data: new Uint8Array(1400),
    });
    const told = (mtu: number, seq: number) => {
      new DataView(packet.buffer).setUint32(24, seq);
      receiver.take(blockOf(fragmentationNeeded(packet, mtu)), 0);
      return owner.take();
    };
    assert.deepEqual(told(1400, ISS + 1), [['tooLong', 1, 1400]]);
    assert.deepEqual(told(1300, ISS - 1), [], 'acknowledged long ago');
    assert.deepEqual(told(1300, ISS + 2 ** 31), [], 'further ahead than any window');
    assert.deepEqual(told(1300, ISS + 1 + 100_000_000), [], 'further ahead than the window lets us send');
  });
});

/** ICMP type 3, code 4 (RFC 1191 4), from a router to the client. */
function fragmentationNeeded(packet: Uint8Array, mtu: number): Uint8Array {
  const octets = new Uint8Array(28 + 28);
  const view = new DataView(octets.buffer);
  view.setUint32(0, (0x4500 << 16) | octets.length);
  octets[9] = 1;
  view.setUint32(12, 0x0a000001);
  view.setUint32(16, CLIENT);
  octets[20] = 3;
  octets[21] = 4;
  view.setUint16(26, mtu);
  octets.set(packet.subarray(0, 28), 28);
  return octets;
}
