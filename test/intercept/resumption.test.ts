/** Receivers that take up what others had: orphans and their lease, checkpoints, resumption (docs/relay-protocol.md). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Attachment, AttachOptions } from '../../src/intercept/attachment.ts';
import { LEASE_MS } from '../../src/intercept/flows.ts';
import type { Resumption } from '../../src/intercept/ports.ts';
import { Receiver } from '../../src/intercept/receiver.ts';
import { EXPECT } from '../../src/mysql/command.ts';
import type { Reply } from '../../src/mysql/reply.ts';
import { ManualClock } from '../../src/time.ts';
import { ipv4Address } from '../../src/wire/address.ts';
import { CTL } from '../../src/wire/segment.ts';
import { Tuple } from '../../src/wire/tuple.ts';
import { column, eof, ok, packets, payload, row } from '../mysql/support/packets.ts';
import { blockOf, FakeInjector, makePacket, RecordingOwner } from './support.ts';

const TARGET = 0xc0a80001;
const CLIENT = 0x0a010203;
const TUPLE = new Tuple(ipv4Address(CLIENT), 40_000, ipv4Address(TARGET), 3307);
const ISS = 1000;
const IRS = 5000;
const TICK_MS = 8;
const ROWS = packets(
  1,
  payload(1),
  column('a'),
  eof(),
  ...Array.from({ length: 40 }, (_, i) => row(`row ${i}`.repeat(20))),
  eof(),
);
const PEER = { mss: 1460, shift: 7, sackPermitted: false, timestamps: false };

class Bed {
  readonly clock = new ManualClock(100);
  readonly injector = new FakeInjector(128);
  receiver = new Receiver(this.injector, this.clock);
  owner = new RecordingOwner();
  port!: Attachment;

  constructor() {
    this.attach();
  }

  /** A channel anew: another owner as far as the receiver can see. */
  attach(delivered: AttachOptions['delivered'] = (then) => then()): void {
    this.owner = new RecordingOwner();
    this.port = this.receiver.attach(this.owner, { delivered });
  }

  /** The channel of another replay. */
  attachAs(replay: string): { owner: RecordingOwner; port: Attachment } {
    const owner = new RecordingOwner();
    const port = this.receiver.attach(owner, {
      delivered: (then) => then(),
    });
    port.replay = replay;
    return { owner, port };
  }

  /** Another intercept, that knows nothing. */
  restart(): void {
    this.receiver = new Receiver(this.injector, this.clock);
    this.attach();
  }

  /** Segments of the target's. */
  take(
    ...fields: { seq: number; ack: number; flags?: number; data?: Uint8Array; mss?: number; shift?: number }[]
  ): void {
    const ends = { src: TARGET, dst: CLIENT, srcPort: 3307, dstPort: 40_000 };
    const made = fields.map((one) => makePacket({ ...ends, flags: CTL.ack, ...one }));
    this.receiver.take(blockOf(...made), 0);
  }

  establish(): void {
    this.port.register(1, TUPLE, ISS);
    this.take({ seq: IRS, ack: ISS + 1, flags: CTL.syn | CTL.ack, mss: 1460, shift: 7 });
    this.port.commandPhase(1, 0, 0);
    this.sent();
    this.owner.take();
  }

  /** What it sent: flags, SEG.SEQ and SEG.ACK. */
  sent(): string[] {
    return this.injector.take().map(({ flags, seq, ack }) => `${flags & CTL.rst ? 'R' : '.'} ${seq} ${ack}`);
  }

  wait(ms: number): void {
    for (let i = 0; i < ms; i += TICK_MS) {
      this.clock.advance(TICK_MS);
      this.receiver.tick();
    }
  }
}

function resumption(fields: Partial<Resumption>): Resumption {
  return {
    iss: ISS,
    rcvNxt: IRS + 1,
    ack: ISS + 1,
    tsVal: 0,
    tsRecent: 0,
    peer: PEER,
    commandPhase: { capabilities: 0, extendedCapabilities: 0 },
    expect: undefined,
    state: undefined,
    ...fields,
  };
}

const kinds = (told: unknown[][]) => told.map(([what]) => what);

describe('lease', () => {
  test('an owner gone without a word: the target is left to wait, and reset when the lease is over', () => {
    const bed = new Bed();
    bed.establish();
    bed.port.abandon();
    assert.deepEqual(bed.sent(), []);
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: ROWS.subarray(0, 1000) });
    bed.wait(LEASE_MS - 100);
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: ROWS.subarray(0, 1000) });
    assert.deepEqual([bed.sent(), bed.owner.take()], [[], []], 'neither acknowledged nor told');
    bed.wait(200);
    assert.deepEqual(bed.sent(), [`R ${ISS + 1} ${IRS + 1}`]);
    // Whatever it says to that.
    bed.take({ seq: IRS + 1, ack: ISS + 20 });
    assert.deepEqual(bed.sent(), [`R ${ISS + 20} 0`]);
  });

  test('a SYN that was never answered needs no reset, and its late answer gets one', () => {
    const bed = new Bed();
    bed.port.register(1, TUPLE, ISS);
    bed.port.abandon();
    bed.wait(LEASE_MS + 100);
    assert.deepEqual(bed.sent(), []);
    bed.take({ seq: IRS, ack: ISS + 1, flags: CTL.syn | CTL.ack, mss: 1460, shift: 7 });
    assert.deepEqual(bed.sent(), [`R ${ISS + 1} 0`]);
  });

  test('a receiver that stops resets its orphans, and leaves the flows of others alone', () => {
    const bed = new Bed();
    bed.establish();
    bed.receiver.close();
    assert.deepEqual(bed.sent(), []);
    bed.port.abandon();
    bed.receiver.close();
    assert.deepEqual(bed.sent(), [`R ${ISS + 1} ${IRS + 1}`]);
  });
});

describe('resumption', () => {
  test('what is acknowledged within an answer was told before, and with it another receiver reads on', () => {
    for (let cut = 1; cut < ROWS.length; cut += 97) {
      const bed = new Bed();
      bed.establish();
      let toldFirst = false;
      bed.owner.onTurn = () => {
        toldFirst = kinds(bed.owner.told).includes('checkpoint') && bed.injector.packets.length === 0;
      };
      bed.take({ seq: IRS + 1, ack: ISS + 20, data: ROWS.subarray(0, cut) });
      bed.wait(48);
      assert.deepEqual(bed.sent(), [`. ${ISS + 20} ${IRS + 1 + cut}`]);
      assert.ok(toldFirst, 'the turn ended with the checkpoint told and the ACK not sent');
      const [, , , , rcvNxt, state] = bed.owner.take().find(([what]) => what === 'checkpoint')!;
      assert.equal(rcvNxt, IRS + 1 + cut);
      bed.restart();
      bed.port.resume(
        1,
        TUPLE,
        resumption({ rcvNxt: rcvNxt as number, ack: ISS + 20, state: state as Uint8Array }),
      );
      assert.deepEqual(bed.owner.take(), [['registered', 1]]);
      // The target sends again what was not acknowledged.
      bed.take({ seq: IRS + 1 + cut, ack: ISS + 20, data: ROWS.subarray(cut) });
      const [[what, , , , end, reply]] = bed.owner.take();
      assert.deepEqual(
        [what, end, (reply as Reply).rows, (reply as Reply).octets],
        ['reply', IRS + 1 + ROWS.length, 40, ROWS.length],
      );
    }
  });

  test('an ACK waits until what it presupposes has left, and acknowledges nothing that came since', () => {
    const bed = new Bed();
    const waiting: (() => void)[] = [];
    bed.attach((then) => waiting.push(then));
    bed.establish();
    waiting.shift()!();
    bed.sent();
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: ROWS.subarray(0, 3000) });
    bed.take({ seq: IRS + 3001, ack: ISS + 20, data: ROWS.subarray(3000, 3100) });
    bed.wait(16);
    assert.deepEqual([bed.sent(), waiting.length], [[], 2]);
    waiting.shift()!();
    assert.deepEqual(bed.sent(), [`. ${ISS + 20} ${IRS + 3001}`]);
    waiting.shift()!();
    assert.deepEqual(bed.sent(), [`. ${ISS + 20} ${IRS + 3101}`]);
    // Nor does it go when the owner is gone by then.
    bed.take({ seq: IRS + 3101, ack: ISS + 20, data: ROWS.subarray(3100) });
    bed.wait(48);
    bed.port.abandon();
    waiting.shift()!();
    assert.deepEqual(bed.sent(), []);
  });

  test('between answers there is nothing to tell before an ACK', () => {
    const bed = new Bed();
    bed.establish();
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: ROWS });
    bed.wait(48);
    assert.deepEqual(kinds(bed.owner.take()), ['reply']);
    assert.deepEqual(bed.sent(), [`. ${ISS + 20} ${IRS + 1 + ROWS.length}`]);
  });

  test('what is told with an answer is no more than what was told: the next one’s octets come again', () => {
    const bed = new Bed();
    bed.establish();
    const first = packets(1, ok(1));
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: new Uint8Array([...first, ...ROWS.subarray(0, 300)]) });
    const [[what, , , , rcvNxt]] = bed.owner.take();
    assert.deepEqual([what, rcvNxt], ['reply', IRS + 1 + first.length]);
    bed.restart();
    bed.port.resume(1, TUPLE, resumption({ rcvNxt: rcvNxt as number }));
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: new Uint8Array([...first, ...ROWS.subarray(0, 300)]) });
    bed.take({ seq: IRS + 1 + first.length + 300, ack: ISS + 20, data: ROWS.subarray(300) });
    assert.deepEqual(kinds(bed.owner.take()), ['registered', 'acked', 'reply']);
  });

  test('an answer that was announced is expected again; a login goes on', () => {
    const bed = new Bed();
    bed.port.resume(1, TUPLE, resumption({ expect: EXPECT.prepare }));
    bed.take({ seq: IRS + 1, ack: ISS + 9, data: packets(1, payload(0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)) });
    assert.equal((bed.owner.take()[1][5] as Reply).statementId, 7);
    bed.restart();
    bed.port.resume(1, TUPLE, resumption({ commandPhase: undefined }));
    bed.take({ seq: IRS + 1, ack: ISS + 9, data: packets(2, ok()) });
    assert.deepEqual(kinds(bed.owner.take()), ['registered', 'packet']);
  });

  test('the login’s OK and what came behind it, acknowledged before its end was known', () => {
    const bed = new Bed();
    bed.port.register(1, TUPLE, ISS);
    bed.take({ seq: IRS, ack: ISS + 1, flags: CTL.syn | CTL.ack, mss: 1460, shift: 7 });
    const both = new Uint8Array([...packets(2, ok()), ...ROWS]);
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: both });
    const told = bed.owner.take();
    assert.deepEqual(kinds(told), ['registered', 'established', 'packet', 'checkpoint']);
    bed.restart();
    const [, , , , rcvNxt, state] = told[3];
    bed.port.resume(1, TUPLE, resumption({ rcvNxt: rcvNxt as number, state: state as Uint8Array }));
    assert.deepEqual(kinds(bed.owner.take()), ['registered', 'reply']);
  });

  test('an owner that cannot outlive its receiver is told no checkpoints', () => {
    const bed = new Bed();
    bed.port = bed.receiver.attach(bed.owner, { delivered: undefined });
    bed.establish();
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: ROWS.subarray(0, 4000) });
    assert.deepEqual(bed.sent(), [`. ${ISS + 20} ${IRS + 4001}`]);
    assert.deepEqual(kinds(bed.owner.take()), ['acked']);
  });

  test('an orphan is taken up where it was, by its owner’s new channel, and its lease is forgotten', () => {
    const bed = new Bed();
    bed.establish();
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: packets(1, ok(1)) });
    bed.port.abandon();
    bed.attach();
    // The reply was lost with the channel, and was not acknowledged: it comes again.
    bed.port.resume(1, TUPLE, resumption({}));
    assert.deepEqual(bed.owner.take(), [['registered', 1]]);
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: packets(1, ok(1)) });
    assert.deepEqual(kinds(bed.owner.take()), ['reply']);
    bed.wait(48);
    assert.deepEqual(bed.sent(), [`. ${ISS + 20} ${IRS + 12}`]);
    bed.wait(LEASE_MS + 100);
    assert.deepEqual([bed.sent(), bed.port.flows], [[], 1]);
  });

  test('a flow that was acknowledged further than its owner knows cannot be resumed, and the target is reset', () => {
    const bed = new Bed();
    bed.establish();
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: packets(1, ok(1)) });
    bed.wait(48);
    assert.deepEqual(bed.sent(), [`. ${ISS + 20} ${IRS + 12}`]);
    bed.port.abandon();
    bed.attach();
    bed.port.resume(1, TUPLE, resumption({}));
    assert.deepEqual([bed.owner.take(), bed.port.flows], [[['unresumable', 1]], 0]);
    bed.take({ seq: IRS + 12, ack: ISS + 30 });
    assert.deepEqual(bed.sent(), [`R ${ISS + 30} 0`]);
  });

  test('nor can one whose lease was over, or whose state is none', () => {
    const bed = new Bed();
    bed.establish();
    bed.port.abandon();
    bed.wait(LEASE_MS + 100);
    bed.attach();
    bed.port.resume(1, TUPLE, resumption({}));
    assert.deepEqual(bed.owner.take(), [['unresumable', 1]]);
    bed.restart();
    bed.port.resume(1, TUPLE, resumption({ state: Uint8Array.of(9, 9) }));
    assert.deepEqual(bed.owner.take(), [['unresumable', 1]]);
  });

  test('a channel that is not known to be dead yet loses its flow to the new one', () => {
    const bed = new Bed();
    bed.establish();
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: ROWS.subarray(0, 100) });
    const before = { owner: bed.owner, port: bed.port };
    before.owner.take();
    bed.attach();
    bed.port.resume(1, TUPLE, resumption({}));
    assert.deepEqual([before.port.flows, bed.port.flows], [0, 1]);
    bed.wait(100);
    assert.deepEqual(bed.sent(), [], 'the ACK that the old one owed would have lost octets');
    before.port.abandon();
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: ROWS });
    assert.deepEqual([kinds(bed.owner.take()), before.owner.take()], [['registered', 'reply'], []]);
  });

  test('a SYN registered again whose answer was lost with the channel: the target is reset, and the SYN goes again', () => {
    const bed = new Bed();
    bed.establish();
    bed.port.abandon();
    bed.attach();
    bed.port.register(1, TUPLE, ISS);
    assert.deepEqual(bed.owner.take(), [
      ['registered', 1],
      ['stale', 1],
    ]);
    assert.deepEqual(bed.sent(), [`R ${ISS + 1} ${IRS + 1}`]);
    bed.take({ seq: IRS + 7000, ack: ISS + 1, flags: CTL.syn | CTL.ack, mss: 1460, shift: 7 });
    assert.deepEqual(kinds(bed.owner.take()), ['established']);
  });
});

describe('what the capture has not seen', () => {
  test('a connection that was only named is not reset: not at goodbye, nor when its lease is over, nor at the end', () => {
    const goodbye = new Bed();
    goodbye.port.resume(1, TUPLE, resumption({}));
    assert.deepEqual(goodbye.owner.take(), [['registered', 1]]);
    goodbye.port.disconnect();
    assert.deepEqual(goodbye.sent(), []);

    const lease = new Bed();
    lease.port.resume(1, TUPLE, resumption({}));
    lease.port.abandon();
    lease.wait(LEASE_MS + 100);
    assert.deepEqual(lease.sent(), []);

    const end = new Bed();
    end.port.resume(1, TUPLE, resumption({}));
    end.port.abandon();
    end.receiver.close();
    assert.deepEqual(end.sent(), []);

    const replaced = new Bed();
    replaced.port.resume(1, TUPLE, resumption({}));
    replaced.attach();
    replaced.port.register(1, TUPLE, ISS);
    assert.deepEqual(replaced.sent(), []);

    const lost = new Bed();
    lost.port.resume(1, TUPLE, resumption({}));
    lost.port.release(1, true);
    lost.attach();
    lost.port.resume(1, TUPLE, resumption({}));
    assert.deepEqual([lost.owner.take(), lost.sent()], [[['unresumable', 1]], []]);
  });

  test('once the target has spoken on it, it is: as after an intercept was started again', () => {
    const bed = new Bed();
    bed.port.resume(1, TUPLE, resumption({}));
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: ROWS.subarray(0, 100) });
    bed.port.disconnect();
    assert.deepEqual(bed.sent(), [`R ${ISS + 20} ${IRS + 101}`]);
  });

  test('what was seen before a channel was made anew was seen', () => {
    const bed = new Bed();
    bed.establish();
    bed.port.abandon();
    bed.attach();
    bed.port.resume(1, TUPLE, resumption({}));
    bed.port.disconnect();
    assert.deepEqual(bed.sent(), [`R ${ISS + 1} ${IRS + 1}`]);
  });
});

describe('two replays on one receiver', () => {
  test('one cannot take a connection that is the other’s, whatever it knows of it, nor one that waits for the other', () => {
    const bed = new Bed();
    bed.port.replay = 'one';
    bed.establish();
    const two = bed.attachAs('two');
    two.port.register(7, TUPLE, ISS);
    two.port.register(8, TUPLE, ISS + 1);
    two.port.resume(9, TUPLE, resumption({}));
    const taken = [7, 8, 9].map((id) => ['taken', id]);
    assert.deepEqual(two.owner.take(), taken);
    two.port.release(7, true);
    two.port.disconnect();
    assert.deepEqual([bed.sent(), bed.port.flows], [[], 1]);
    bed.port.abandon();
    const three = bed.attachAs('three');
    for (const id of [7, 8]) three.port.register(id, TUPLE, ISS + id);
    three.port.resume(9, TUPLE, resumption({}));
    assert.deepEqual(three.owner.take(), taken);
    three.port.disconnect();
    // And it is still there for whose it is.
    const again = bed.attachAs('one');
    again.port.resume(1, TUPLE, resumption({}));
    assert.deepEqual([again.owner.take(), bed.sent()], [[['registered', 1]], []]);
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: packets(1, ok(1)) });
    assert.deepEqual(kinds(again.owner.take()), ['reply']);
  });

  test('a goodbye resets one’s own connections alone', () => {
    const bed = new Bed();
    bed.port.replay = 'one';
    bed.establish();
    const two = bed.attachAs('two');
    const other = new Tuple(ipv4Address(CLIENT), 41_000, ipv4Address(TARGET), 3307);
    two.port.register(1, other, 77);
    const synAck = { seq: IRS, ack: 78, flags: CTL.syn | CTL.ack, mss: 1460, shift: 7 };
    bed.receiver.take(
      blockOf(makePacket({ src: TARGET, dst: CLIENT, srcPort: 3307, dstPort: 41_000, ...synAck })),
      0,
    );
    bed.sent();
    two.port.disconnect();
    assert.deepEqual(bed.sent(), [`R 78 ${IRS + 1}`]);
    bed.take({ seq: IRS + 1, ack: ISS + 20, data: packets(1, ok(1)) });
    assert.deepEqual(kinds(bed.owner.take()), ['reply']);
  });

  test('a connection that is over is anybody’s', () => {
    const bed = new Bed();
    bed.port.replay = 'one';
    bed.establish();
    bed.port.release(1, false);
    const two = bed.attachAs('two');
    two.port.register(1, TUPLE, 77);
    assert.deepEqual(two.owner.take(), [['registered', 1]]);
    assert.deepEqual(
      [bed.receiver.flows.open, bed.receiver.flows.lingering, bed.receiver.flows.table.size],
      [1, 0, 1],
    );
  });
});
