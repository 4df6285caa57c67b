import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasOnly, readSummedLine, type SummedLine, summedLine } from '../../src/archive/summed-line.ts';

const NAMES = ['v', 'name'];

function read(octets: string | Buffer): SummedLine | undefined {
  const line = readSummedLine(Buffer.from(octets));
  return line !== undefined && (line.isSummed || hasOnly(line.fields, NAMES)) ? line : undefined;
}

test('a line is read as it was written, with its sum or from before there were sums', () => {
  const fields = { v: 1, name: 'vm ü' };
  assert.deepEqual(read(summedLine(fields)), { fields, isSummed: true });
  assert.deepEqual(read(JSON.stringify(fields)), { fields, isSummed: false });
});

test('no flipped bit makes another line of it, or one without a sum', () => {
  const line = Buffer.from(summedLine({ v: 1, name: 'vm' }));
  for (let bit = 0; bit < 8 * line.length; bit++) {
    const damaged = Buffer.from(line);
    damaged[bit >> 3] ^= 1 << (bit & 7);
    assert.equal(read(damaged), undefined, damaged.toString('latin1'));
  }
});

test('what is no object of these fields is damaged', () => {
  for (const line of ['', 'null', '[]', '1', '{"v":1', '{"w":1}', '{"sum":1,"v":1}', '{"v":1,"sum":"x"}'])
    assert.equal(read(line), undefined, line);
});
