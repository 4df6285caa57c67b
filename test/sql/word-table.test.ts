import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hashOctet, UPPER, WordTable } from '../../src/sql/word-table.ts';

function find(table: WordTable, word: string): number {
  const octets = Buffer.from(`x${word}y`, 'latin1');
  let hash = 0;
  for (let i = 1; i <= word.length; i++) hash = hashOctet(hash, UPPER[octets[i]]);
  return table.find(octets, 1, 1 + word.length, hash);
}

test('words are found in whatever case, and no others', () => {
  const table = new WordTable(
    new Map([
      ['SELECT', 5],
      ['SET', 6],
    ]),
  );
  assert.deepEqual(
    ['SELECT', 'select', 'Set', 'SE', 'SETS', '', 'S\xc9T'].map((word) => find(table, word)),
    [5, 5, 6, 0, 0, 0, 0],
  );
  assert.equal(find(new WordTable(new Map()), 'SET'), 0);
});

test('however many there are', () => {
  const words = fc.uniqueArray(fc.stringMatching(/^[A-Z_0-9]{1,12}$/), { maxLength: 200 });
  fc.assert(
    fc.property(words, words, (these, others) => {
      const table = new WordTable(new Map(these.map((word, i) => [word, i + 1])));
      for (const [i, word] of these.entries()) assert.equal(find(table, word.toLowerCase()), i + 1);
      for (const word of others) if (!these.includes(word)) assert.equal(find(table, word), 0);
    }),
    { numRuns: 200 },
  );
});
