import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileFilter } from '../../../src/net/capture/bpf.ts';
import { LINKTYPE } from '../../../src/wire/packets.ts';

const skip = process.platform === 'linux' ? false : 'needs Linux';

test('compiles what tcpdump compiles', { skip }, () => {
  // tcpdump -dd ip: load the half word at 12; is it 0x0800?; take 262144 octets; take none.
  const expected = [
    [0x28, 0, 0, 0x0c],
    [0x15, 0, 1, 0x0800],
    [0x06, 0, 0, 262144],
    [0x06, 0, 0, 0],
  ];
  const octets = compileFilter('ip', LINKTYPE.ethernet);
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  const instructions = Array.from({ length: octets.length / 8 }, (_, i) => [
    view.getUint16(i * 8, true),
    view.getUint8(i * 8 + 2),
    view.getUint8(i * 8 + 3),
    view.getUint32(i * 8 + 4, true),
  ]);
  assert.deepEqual(instructions, expected);
});

test('knows that raw IP has no link-layer header', { skip }, () => {
  // The version is in the first octet.
  assert.equal(new DataView(compileFilter('ip', LINKTYPE.raw).buffer).getUint32(4, true), 0);
});

test('says what is wrong, in libpcap’s words', { skip }, () => {
  assert.throws(() => compileFilter('tcp port', LINKTYPE.ethernet), {
    code: 'bad-filter',
    message: /^bad filter 'tcp port': .*syntax error.* \(see man pcap-filter\)$/,
  });
});
