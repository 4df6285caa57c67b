import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  HEADER_OCTETS,
  LEAST_OCTETS,
  MESSAGE,
  MessageReader,
  MessageWriter,
  VARIABLE,
} from '../../src/intercept/messages.ts';

const types = Object.values(MESSAGE);

const messages = fc.array(
  fc.record({
    type: fc.constantFrom(...types),
    argument: fc.integer({ min: 0, max: 255 }),
    flow: fc.integer({ min: 0, max: 0xffff_ffff }),
    beyond: fc.oneof({ weight: 9, arbitrary: fc.nat(40) }, { weight: 1, arbitrary: fc.constant(65_000) }),
    fill: fc.integer({ min: 0, max: 255 }),
  }),
  { maxLength: 8 },
);

interface Message {
  type: number;
  argument: number;
  flow: number;
  body: string;
}

/** Feeds a stream in the pieces that `cuts` makes; what a reader told, and whether it took all for messages. */
function read(stream: Uint8Array, cuts: number[]): { told: Message[]; fine: boolean } {
  const told: Message[] = [];
  const reader = new MessageReader((type, view, octets, at, length) => {
    assert.equal(view.getUint8(at + 2), octets[at + 2], 'view and octets are over the same memory');
    const body = Buffer.from(octets.subarray(at + HEADER_OCTETS, at + length)).toString('hex');
    told.push({ type, argument: octets[at + 3], flow: view.getUint32(at + 4), body });
  });
  const ends = [...new Set(cuts.map((cut) => Math.min(cut, stream.length)))].sort((a, b) => a - b);
  let from = 0;
  for (const end of [...ends, stream.length]) {
    // Own memory, at an odd place, and overwritten afterwards: the reader may keep nothing of it.
    const piece = new Uint8Array(end - from + 1).subarray(1);
    piece.set(stream.subarray(from, end));
    const fine = reader.feed(piece);
    piece.fill(0xee);
    if (!fine) return { told, fine };
    from = end;
  }
  return { told, fine: true };
}

function write(list: { type: number; argument: number; flow: number; beyond: number; fill: number }[]) {
  const writer = new MessageWriter(32);
  const wanted: Message[] = [];
  for (const { type, argument, flow, beyond, fill } of list) {
    const length = LEAST_OCTETS[type] + (VARIABLE.has(type) ? beyond : 0);
    const body = new Uint8Array(length - HEADER_OCTETS).fill(fill);
    const at = writer.begin(type, argument, flow, length);
    writer.octets(at + HEADER_OCTETS, body);
    wanted.push({ type, argument, flow, body: Buffer.from(body).toString('hex') });
  }
  return { stream: writer.take(), wanted, writer };
}

describe('relay messages', () => {
  test('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(messages, fc.array(fc.nat(300), { maxLength: 12 }), (list, cuts) => {
        const { stream, wanted, writer } = write(list);
        assert.ok(writer.empty);
        assert.deepEqual(read(stream, cuts), { told: wanted, fine: true });
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test('one of each type, cut at every octet', () => {
    const list = types.map((type, i) => ({
      type,
      argument: i,
      flow: 0xffff_ff00 + i,
      beyond: i % 3,
      fill: i,
    }));
    const { stream, wanted } = write(list);
    for (let cut = 0; cut <= stream.length; cut++) assert.deepEqual(read(stream, [cut]).told, wanted);
    const everywhere = Array.from(stream.keys());
    assert.deepEqual(read(stream, everywhere), { told: wanted, fine: true });
  });

  test('a writer taken from begins anew, and what was taken is its own', () => {
    const writer = new MessageWriter(16);
    writer.begin(MESSAGE.stale, 0, 1, 8);
    const first = writer.take();
    writer.begin(MESSAGE.stale, 0, 2, 8);
    assert.deepEqual([first[7], writer.take()[7], writer.take().length], [1, 2, 0]);
  });

  test('garbage is answered false: it neither throws nor is it gathered', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 30 }),
        (pieces) => {
          const reader = new MessageReader((type, _view, octets, at, length) => {
            assert.ok(length >= LEAST_OCTETS[type] && at + length <= octets.length);
          });
          for (const piece of pieces) if (!reader.feed(piece)) return;
        },
      ),
      { seed: 2, numRuns: 500 },
    );
    const fed = (octets: number[]) =>
      new MessageReader(() => assert.fail('no message')).feed(Uint8Array.from(octets));
    assert.equal(fed([...Buffer.from('GET / HTTP/1.1\r\n')]), false);
    assert.equal(fed([0, 8, 200, 0, 0, 0, 0, 0]), false, 'a type that is none');
    assert.equal(fed([0, 8, MESSAGE.hello, 0, 0, 0, 0, 0]), false, 'shorter than its type');
    assert.equal(fed([0, 9, MESSAGE.stale, 0, 0, 0, 0, 0, 0]), false, 'longer than its type');
    assert.equal(fed([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]), false, 'a TLS ClientHello');
    assert.equal(fed([0, 0, MESSAGE.stale, 0, 0, 0, 0, 0]), false, 'no length: would never end');
    assert.equal(fed([0xff, 0xff, MESSAGE.packet, 0, 0, 0, 0]), true, 'a header that is not whole yet');
  });

  test('what waits for its rest is less than one message, however much was read', () => {
    const { stream } = write(
      Array.from({ length: 400 }, () => ({ type: MESSAGE.reply, argument: 0, flow: 1, beyond: 0, fill: 0 })),
    );
    let longest = 0;
    const reader = new MessageReader((_type, _view, octets) => {
      longest = Math.max(longest, octets.length);
    });
    for (let at = 0; at < stream.length; at += 100) reader.feed(stream.slice(at, at + 100));
    assert.ok(longest < 21 + 100, `${longest} octets were gathered`);
  });
});
