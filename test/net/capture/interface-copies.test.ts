import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InterfaceCopies } from '../../../src/net/capture/interface-copies.ts';
import { makePacket } from '../../intercept/support.ts';

const MS = 1e6;
const [ETH0, BR0] = [4, 6];

const packet = (seq: number, more: object = {}) =>
  makePacket({ src: 1, dst: 2, srcPort: 40_000, dstPort: 3307, seq, flags: 16, tsVal: 7, ...more });

/** Says what becomes of packets, each shown at a place at a time. */
function shown(...packets: [octets: Uint8Array, place: number, at: number][]): string[] {
  const copies = new InterfaceCopies();
  return packets.map(([octets, place, at]) => {
    const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
    return copies.isCopy(view, 0, octets.length, place, at) ? 'copy' : 'new';
  });
}

/** As a hop changes it: TTL and the header's checksum; and as a card does, TCP's. */
function changed(octets: Uint8Array): Uint8Array {
  const other = octets.slice();
  other[8]--;
  other[10] ^= 0x55;
  other[36] ^= 0x55;
  return other;
}

test('a packet that another interface shows is a copy, also with another TTL and checksum', () => {
  assert.deepEqual(shown([packet(1), ETH0, 0], [packet(1), BR0, MS]), ['new', 'copy']);
  assert.deepEqual(shown([packet(1), ETH0, 0], [changed(packet(1)), BR0, MS]), ['new', 'copy']);
  const third: [Uint8Array, number, number] = [packet(1), BR0 + 1, MS];
  assert.deepEqual(shown([packet(1), ETH0, 0], [packet(1), BR0, MS], third), ['new', 'copy', 'copy']);
});

test('a packet that comes again by the same interface, much later, or is another one is new', () => {
  assert.deepEqual(shown([packet(1), ETH0, 0], [packet(1), ETH0, MS]), ['new', 'new']);
  assert.deepEqual(shown([packet(1), ETH0, 0], [packet(1), BR0, 200 * MS]), ['new', 'new']);
  for (const other of [
    packet(2),
    packet(1, { ack: 9 }),
    packet(1, { tsVal: 8 }),
    packet(1, { data: new Uint8Array(4) }),
  ]) {
    assert.deepEqual(shown([packet(1), ETH0, 0], [other, BR0, MS]), ['new', 'new']);
  }
});

test('what is no IP packet, or cut short, is new', () => {
  const arp = Uint8Array.from({ length: 28 }, (_, i) => i);
  assert.deepEqual(shown([arp, ETH0, 0], [arp, BR0, MS]), ['new', 'new']);
  assert.deepEqual(shown([new Uint8Array(6).fill(0x45), ETH0, 0], [new Uint8Array(0), BR0, 0]), [
    'new',
    'new',
  ]);
});
