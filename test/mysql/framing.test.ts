import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { framePayload, payloadOf } from '../../src/mysql/framing.ts';
import { packets } from './support/packets.ts';

describe('a payload and its packets', () => {
  for (const length of [0, 1, 0xfffffe, 0xffffff, 0x1000000, 2 * 0xffffff, 2 * 0xffffff + 5]) {
    test(`of ${length} octets`, () => {
      const payload = new Uint8Array(length).map((_, i) => i ^ (i >> 8));
      const packet = framePayload(payload);
      assert.ok(Buffer.from(packet.buffer).equals(packets(0, payload)));
      assert.ok(Buffer.from(payloadOf(packet)).equals(payload));
    });
  }

  test('a single packet is not copied', () => {
    const packet = packets(0, Uint8Array.of(1, 2, 3));
    assert.equal(payloadOf(packet).buffer, packet.buffer);
  });

  test('what is cut short ends where its octets do', () => {
    const payload = new Uint8Array(0xffffff + 9).fill(5);
    const packet = framePayload(payload);
    assert.equal(payloadOf(packet.subarray(0, packet.length - 3)).length, payload.length - 3);
    assert.equal(payloadOf(packet.subarray(0, 4 + 0xffffff + 2)).length, 0xffffff);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6 }), (octets) => {
        assert.equal(payloadOf(octets).length, Math.max(0, octets.length - 4));
      }),
    );
  });
});
