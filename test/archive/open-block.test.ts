import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenBlock } from '../../src/archive/open-block.ts';
import { LINKTYPE, makeBlock } from '../../src/wire/packets.ts';
import { readPcapRecords, segmentFormat } from '../../src/wire/pcap.ts';
import { blockOf, noise, ORIGIN_SEC } from './support.ts';

test('packets are added until there is no room, and the rest after it was cleared', () => {
  const packets = [10, 127, 128, 30_000, 30_000, 30_000].map((length, i) => ({
    octets: noise(length, i + 1),
    // Forth and back over whole seconds.
    at: [0, 1e9 - 1, 2e9, 1e9, 5e8, 7e9][i],
  }));
  const source = blockOf(packets);
  const open = new OpenBlock(LINKTYPE.ethernet, ORIGIN_SEC);
  const first = open.add(source, 0);
  assert.equal(first, 5);
  assert.equal(open.block.count, 5);
  const read = makeBlock(open.block.octets, 16, LINKTYPE.ethernet);
  const format = segmentFormat(LINKTYPE.ethernet);
  assert.equal(readPcapRecords(read, 0, open.filled, format, ORIGIN_SEC), open.filled);
  for (let i = 0; i < first; i++) {
    assert.equal(read.at[i], packets[i].at);
    assert.equal(open.block.at[i], packets[i].at);
    const octets = read.octets.subarray(read.offset[i], read.offset[i] + read.length[i]);
    assert.deepEqual(Buffer.from(octets), Buffer.from(packets[i].octets));
  }
  open.clear();
  assert.equal(open.add(source, first), packets.length);
  assert.equal(open.block.count, 1);
});

test('a packet larger than a block is filled to has a block of its own', () => {
  const open = new OpenBlock(LINKTYPE.ethernet, ORIGIN_SEC);
  const source = blockOf([100_000, 1].map((length) => ({ octets: noise(length), at: 0 })));
  assert.equal(open.add(source, 0), 1);
  assert.equal(open.block.length[0], 100_000);
});
