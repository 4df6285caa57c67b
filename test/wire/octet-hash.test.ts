import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { hashOctets, joinHashes } from '../../src/wire/octet-hash.ts';

const hashOf = (octets: Uint8Array) => hashOctets(octets, 0, octets.length);

describe('hash of octets', () => {
  test('of pieces joined is that of the whole, wherever it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }), (pieces) => {
        const joined = pieces.reduce((hash, piece) => joinHashes(hash, hashOf(piece), piece.length), 0);
        assert.equal(joined, hashOf(Buffer.concat(pieces)));
      }),
    );
  });

  test('reads no more than [from, to)', () => {
    const octets = Buffer.from('before, within, behind');
    assert.equal(hashOctets(octets, 8, 14), hashOf(Buffer.from('within')));
  });

  test('tells octets of another value, order or number, zeros, too', () => {
    const texts = ['', '\0', '\0\0', 'a', 'b', 'ab', 'ba', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 500 OK\r\n'];
    assert.equal(new Set(texts.map((text) => hashOf(Buffer.from(text)))).size, texts.length);
    assert.equal(hashOf(Buffer.from('')), 0);
  });

  test('joins pieces of more octets than fit in 32 bits', () => {
    const half = 2 ** 32;
    const [a, b, c] = ['first', 'second', 'third'].map((text) => hashOf(Buffer.from(text)));
    const leftFirst = joinHashes(joinHashes(a, b, half), c, half + 3);
    const rightFirst = joinHashes(a, joinHashes(b, c, half + 3), 2 * half + 3);
    assert.equal(leftFirst, rightFirst);
    assert.ok(leftFirst >= 0 && leftFirst < 2 ** 32);
  });
});
