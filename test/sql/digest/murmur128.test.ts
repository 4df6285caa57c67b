import assert from 'node:assert/strict';
import { test } from 'node:test';
import { murmur128 } from '../../../src/sql/digest/murmur128.ts';

function hash(text: string, before = 0): string {
  const words = new Int32Array(4);
  const octets = Buffer.from('x'.repeat(before) + text + 'yyyy');
  murmur128(octets, before, before + Buffer.byteLength(text), words);
  return Buffer.from(words.buffer).toString('hex');
}

test("is MurmurHash3's 128-bit variant for 32-bit machines with seed 0 (what another implementation gives)", () => {
  const known: [string, string][] = [
    ['', '00000000000000000000000000000000'],
    ['a', '3c9394a71bb056551bb056551bb05655'],
    ['test', '30ef026f687d0c55687d0c55687d0c55'],
    ['Hello, world!', 'a7dbac26fc8d63f063422b40c3d4fd0a'],
    ['0123456789abcde', '6dc4763cc018084dda33d4adfa7386a7'],
    ['0123456789abcdef', '09447dfb0ad3ae369b1dad48fd3b2b57'],
    ['0123456789abcdef0', '55388a1f060c92601c2f18b59c0b8c71'],
    ['The quick brown fox jumps over the lazy dog', 'c383152f672ceeec6cf67b5d2c1de9e5'],
  ];
  for (const [text, value] of known) assert.equal(hash(text), value, text);
});

test('hashes what lies between from and to, and nothing else', () => {
  for (let length = 0; length < 40; length++) {
    const text = 'statement of some length, or somewhat less'.slice(0, length);
    assert.equal(hash(text, 5), hash(text));
  }
});
