import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { PeerOptions } from '../../src/tcp/progress.ts';
import { RECEIVE_WINDOW, ReceiveHalf, type ReceiveSink } from '../../src/tcp/receive.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';
import { seqAdd, seqDiff } from '../../src/wire/sequence.ts';
import { ACK, FIN, type PeerSegment, PSH, RST, SYN, writePacket } from './packet.ts';

const ISS = 0xffff_ffc0;
const IRS = 0xffff_ff80;

/** A half, and what it told. */
class Bed implements ReceiveSink {
  readonly half: ReceiveHalf;
  readonly #segment = new Segment();
  octets: number[] = [];
  told: string[] = [];
  acks: [ack: number, window: number, pure: boolean][] = [];

  constructor(half = new ReceiveHalf(ISS)) {
    this.half = half;
  }

  /** A connection that stands. */
  static open(options: Partial<PeerSegment> = {}): Bed {
    const bed = new Bed();
    bed.take({ seq: 0, flags: SYN | ACK, ack: 1, mss: 1460, shift: 7, sackPermitted: true, ...options });
    bed.acknowledge();
    bed.told = [];
    return bed;
  }

  /** Numbers count from the initial ones. */
  take(fields: Partial<PeerSegment> & { seq: number }, now = 0): void {
    const packet = writePacket({
      source: Uint8Array.of(10, 0, 0, 2),
      destination: Uint8Array.of(10, 0, 0, 1),
      sourcePort: 3307,
      destinationPort: 40_000,
      flags: ACK,
      window: 500,
      data: new Uint8Array(0),
      ...fields,
      seq: seqAdd(IRS, fields.seq),
      ack: seqAdd(ISS, fields.ack ?? 1),
    });
    const view = new DataView(packet.buffer);
    assert.equal(this.#segment.parse(packet, view, 0, packet.length, LINKTYPE.raw), PARSE.ok);
    this.half.process(this.#segment, now, this);
    packet.fill(0xee);
  }

  /** Sends an ACK; answers its blocks, counted from IRS. */
  acknowledge(): [number, number][] {
    const target = new Uint32Array(8);
    const count = this.half.ackBlocks(target);
    this.half.ackSent(this.half.rcvNxt);
    const edges = [...target.subarray(0, 2 * count)].map((edge) => seqDiff(edge, IRS));
    return Array.from({ length: count }, (_, i) => [edges[2 * i], edges[2 * i + 1]]);
  }

  established(_half: ReceiveHalf, peer: PeerOptions): void {
    this.told.push(`established ${JSON.stringify(peer)}`);
  }

  acked({ ack, window, pure }: ReceiveHalf): void {
    this.acks.push([seqDiff(ack, ISS), window, pure]);
  }

  data(_half: ReceiveHalf, octets: Uint8Array, from: number, to: number): void {
    this.octets.push(...octets.subarray(from, to));
  }

  fin(): void {
    this.told.push('fin');
  }

  reset(_half: ReceiveHalf, refused: boolean): void {
    this.told.push(refused ? 'refused' : 'reset');
  }

  stale(_half: ReceiveHalf, seq: number): void {
    this.told.push(`stale ${seq}`);
  }
}

function stream(from: number, to: number): Uint8Array {
  return Uint8Array.from({ length: to - from }, (_, i) => (from + i) * 7);
}

/** Pieces of a stream of `octets`, overlapping and in any order. */
function piecesOf(octets: number) {
  const piece = fc
    .tuple(fc.nat(octets - 1), fc.integer({ min: 1, max: 60 }))
    .map(([from, length]) => [from, Math.min(octets, from + length)] as const);
  return fc.array(piece, { maxLength: 40 });
}

describe('receive half', () => {
  test('the stream comes whole, once and in order, however it is cut, repeated and shuffled', () => {
    fc.assert(
      fc.property(piecesOf(300), piecesOf(300), fc.boolean(), (first, second, sackPermitted) => {
        const bed = Bed.open({ sackPermitted });
        // Random pieces, then what may still be missing.
        const rest = Array.from({ length: 10 }, (_, i) => [30 * i, 30 * i + 30] as const).reverse();
        const held = new Set<number>();
        for (const [from, to] of [...first, ...rest, ...second]) {
          const fin = to === 300 ? FIN : 0;
          bed.take({ seq: 1 + from, flags: ACK | fin, data: stream(from, to) });
          for (let i = from; i < to; i++) held.add(i);
          if (fin) held.add(300);
          checkBlocks(bed, held, from, to, sackPermitted);
        }
        assert.deepEqual(Uint8Array.from(bed.octets), stream(0, 300));
        assert.deepEqual(bed.told, ['fin']);
        assert.equal(seqDiff(bed.half.rcvNxt, IRS), 302);
      }),
      { seed: 13, numRuns: 300 },
    );
  });

  test('a packet of 64 KiB, as a capture behind GRO has it, is one segment and acknowledged at once', () => {
    const bed = Bed.open();
    bed.take({ seq: 1, flags: ACK | PSH, data: new Uint8Array(65_000) });
    assert.equal(bed.octets.length, 65_000);
    assert.equal(bed.half.ackNow, true);
  });

  test('what is held before its turn is no more than the window, also in small pieces', () => {
    const bed = Bed.open();
    const one = Uint8Array.of(1);
    for (let i = 0; i < 40_000; i++) bed.take({ seq: 2 + 2 * i, data: one });
    bed.take({ seq: 1, data: one });
    for (let i = 0; i < 40_000; i++) bed.take({ seq: 1 + 2 * i, data: one });
    // All of it comes in the end; but of the first run, some was not kept, and would be sent again.
    assert.ok(bed.octets.length < 40_000 && bed.octets.length > 20_000, `${bed.octets.length}`);
  });

  test('the window that is offered is the one that is taken', () => {
    for (const [shift, window] of [
      [7, RECEIVE_WINDOW],
      [undefined, 64_240],
    ] as const) {
      const bed = new Bed();
      bed.take({ seq: 0, flags: SYN | ACK, ack: 1, sackPermitted: true, ...(shift && { shift }) });
      bed.acknowledge();
      assert.equal(bed.half.windowField * 2 ** (shift ?? 0), window);
      bed.take({ seq: 1 + window, data: Uint8Array.of(1) });
      assert.deepEqual(bed.acknowledge(), []);
      bed.take({ seq: window, data: Uint8Array.of(1) });
      assert.deepEqual(bed.acknowledge(), [[window, window + 1]]);
    }
  });

  test('what the peer offered is told as it came', () => {
    const bed = new Bed();
    bed.take({ seq: 0, flags: SYN | ACK, ack: 1, mss: 1200, timestamps: { val: 9, ecr: 0 } });
    assert.deepEqual(bed.told, [
      'established {"mss":1200,"shift":-1,"sackPermitted":false,"timestamps":true}',
    ]);
    assert.deepEqual([bed.half.timestamps, bed.half.tsRecent], [true, 9]);
  });

  test('RFC 9293 (3.10.7.4): SND.WL1 and SND.WL2: an ACK that was overtaken changes neither ACK nor window', () => {
    const bed = Bed.open();
    bed.take({ seq: 1, ack: 21, window: 300, data: stream(0, 10) });
    bed.take({ seq: 11, ack: 11, window: 900 });
    bed.take({ seq: 11, ack: 21, window: 200 });
    bed.take({ seq: 11, ack: 21, window: 0 });
    bed.take({ seq: 11, ack: 21, window: 400 });
    bed.take({ seq: 11, ack: 31, window: 100 });
    assert.deepEqual(bed.acks, [
      [21, 300, false],
      [21, 300, false],
      // The right edge never goes back: this one is older than the one before.
      [21, 300, true],
      [21, 0, true],
      [21, 400, true],
      [31, 100, true],
    ]);
  });

  test('a false ACK is found out by the next octets of the stream, or by lower ones in a row', () => {
    const bed = Bed.open();
    bed.take({ seq: 1, ack: 401 });
    bed.take({ seq: 1, ack: 21, data: stream(0, 10) });
    bed.take({ seq: 11, ack: 401 });
    for (let i = 0; i < 4; i++) bed.take({ seq: 11, ack: 31 });
    assert.deepEqual(
      bed.acks.map(([ack]) => ack),
      [401, 21, 401, 401, 401, 401, 31],
    );
  });

  test('RFC 9293 (3.10.7.4): an ACK beyond all that the window let us send takes nothing, and is answered', () => {
    const bed = Bed.open();
    // 500 << 7, an octet of a window probe, and a FIN.
    const limit = 1 + 500 * 128 + 2;
    bed.take({ seq: 1, ack: 1 });
    bed.take({ seq: 1, flags: ACK | FIN, ack: limit + 1, window: 7, data: stream(0, 10) });
    bed.take({ seq: 1, ack: 2 ** 31 - 1, window: 7, data: stream(0, 10) });
    assert.deepEqual([bed.acks, bed.octets, bed.told], [[[1, 500, true]], [], []]);
    assert.deepEqual([bed.half.ackNow, bed.half.ack], [true, seqAdd(ISS, 1)]);
    bed.take({ seq: 1, ack: limit });
    assert.equal(seqDiff(bed.half.ack, ISS), limit);
  });

  test('where the send half can be asked, nothing beyond SND.MAX is taken', () => {
    const bed = Bed.open();
    const sndMax = seqAdd(ISS, 21);
    const asked = Object.assign(bed, { sndMax: () => sndMax });
    asked.take({ seq: 1, ack: 22, data: stream(0, 10) });
    assert.deepEqual([bed.acks, bed.octets], [[], []]);
    asked.take({ seq: 1, ack: 21, data: stream(0, 10) });
    assert.deepEqual([bed.acks, bed.octets.length], [[[21, 500, false]], 10]);
  });

  test('what a false ACK brought along is forgotten once the send half was asked', () => {
    const bed = Bed.open({ timestamps: { val: 70, ecr: 0 } });
    const { half } = bed;
    bed.take({ seq: 1, ack: 21, timestamps: { val: 71, ecr: 0 } });
    bed.take({ seq: 1, ack: 401, window: 0, timestamps: { val: 900_000, ecr: 0 } });
    const correction = { una: seqAdd(ISS, 21), max: seqAdd(ISS, 61), window: 500, tsRecent: 71 };
    assert.equal(half.correct(correction), true);
    assert.deepEqual([seqDiff(half.ack, ISS), half.window, half.tsRecent], [21, 500, 71]);
    assert.equal(half.correct(correction), false, 'it is gone');
    // PAWS would drop it still, and its window is no wider than the last.
    bed.take({ seq: 1, ack: 61, window: 400, data: stream(0, 10), timestamps: { val: 72, ecr: 0 } });
    assert.deepEqual([bed.acks.at(-1), bed.octets.length], [[61, 400, false], 10]);
  });

  test('taken up in the middle, it goes on as if it had been there all the time', () => {
    const peer = { mss: 1460, shift: 7, sackPermitted: true, timestamps: true };
    const standing = { rcvNxt: seqAdd(IRS, 101), ack: seqAdd(ISS, 61), tsVal: 9, tsRecent: 70, peer };
    const bed = new Bed(ReceiveHalf.resume(standing));
    assert.deepEqual([bed.half.ackNow, bed.half.pollAt, bed.half.windowField], [false, Infinity, 8192]);
    const timestamps = (val: number) => ({ timestamps: { val, ecr: 0 } });
    // What the peer sends again, half of which was acknowledged, and by now of all that we sent; then PAWS, and SACK.
    bed.take({ seq: 51, ack: 81, window: 33, data: stream(50, 150), ...timestamps(80) });
    assert.deepEqual(bed.acks, [[81, 33, false]]);
    assert.deepEqual(Uint8Array.from(bed.octets), stream(100, 150));
    assert.equal(bed.half.tsRecent, 80);
    assert.deepEqual(bed.acknowledge(), [[51, 101]]);
    bed.take({ seq: 151, data: stream(150, 160), ...timestamps(60) });
    assert.equal(bed.octets.length, 50);
    bed.acknowledge();
    bed.take({ seq: 161, data: stream(160, 170), ...timestamps(81) });
    assert.deepEqual(bed.acknowledge(), [[161, 171]]);
    bed.take({ seq: 151, flags: RST });
    assert.deepEqual(bed.told, ['reset']);
  });

  test('after a reset nothing is said and nothing asked for', () => {
    const bed = Bed.open();
    bed.take({ seq: 11, data: stream(10, 20) });
    bed.take({ seq: 1, flags: RST | ACK });
    bed.take({ seq: 1, data: stream(0, 20) });
    assert.deepEqual([bed.told, bed.octets, bed.half.ackNow], [['reset'], [], false]);
    assert.deepEqual(bed.acknowledge(), []);
  });
});

/** RFC 2018 (4) and RFC 2883 (4): true, the newest first, none twice. */
function checkBlocks(bed: Bed, held: Set<number>, from: number, to: number, sackPermitted: boolean): void {
  const blocks = bed.acknowledge();
  const next = seqDiff(bed.half.rcvNxt, IRS) - 1;
  if (!sackPermitted) assert.deepEqual(blocks, []);
  const runs = blocks.filter(([left], i) => left - 1 > next && !(i === 0 && isRepeat(blocks)));
  assert.equal(new Set(runs.map(String)).size, runs.length);
  for (const [left, right] of runs) {
    // A whole run of what is held: no octet less on either side.
    for (let i = left; i < right; i++) assert.ok(held.has(i - 1));
    assert.ok(!held.has(left - 2) && !held.has(right - 1), `${left}:${right} is not all of it`);
  }
  if (sackPermitted && from > next) {
    assert.ok(
      runs.length > 0 && runs[0][0] - 1 <= from && to <= runs[0][1] - 1,
      'the newest is not the first',
    );
  }
}

/** Whether the first block is a D-SACK, within the second. */
function isRepeat(blocks: [number, number][]): boolean {
  return blocks.length > 1 && blocks[1][0] <= blocks[0][0] && blocks[0][1] <= blocks[1][1];
}
