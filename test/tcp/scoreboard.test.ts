import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DUP_THRESH, Scoreboard } from '../../src/tcp/scoreboard.ts';
import { seqAdd, seqDiff } from '../../src/wire/sequence.ts';

/** Wraps in the middle of what follows. */
const UNA = 0xffff_ffe0;
const MAX_OCTETS = 120;
const SEGMENT = 10;

/** RFC 6675 word by word, octet by octet, at offsets from UNA. */
class Naive {
  readonly sacked = new Set<number>();
  una = 0;

  add(left: number, right: number): boolean {
    const before = this.sacked.size;
    for (let i = left; i < right; i++) this.sacked.add(i);
    return this.sacked.size > before;
  }

  acknowledged(una: number): void {
    this.una = una;
    for (const octet of this.sacked) if (octet < una) this.sacked.delete(octet);
  }

  /** (4) "either DupThresh discontiguous SACKed sequences have arrived above SeqNum or more than (DupThresh - 1) * SMSS octets" */
  isLost(seq: number): boolean {
    let pieces = 0;
    let octets = 0;
    for (let i = seq; i < MAX_OCTETS; i++) {
      if (!this.sacked.has(i)) continue;
      octets++;
      if (!this.sacked.has(i - 1)) pieces++;
    }
    return pieces >= DUP_THRESH || octets > (DUP_THRESH - 1) * SEGMENT;
  }

  /** (4) SetPipe */
  pipe(max: number, highRxt: number): number {
    let octets = 0;
    for (let i = this.una; i < max; i++) {
      if (this.sacked.has(i)) continue;
      if (!this.isLost(i)) octets++;
      if (i < highRxt) octets++;
    }
    return octets;
  }
}

const block = fc
  .tuple(fc.integer({ min: 1, max: MAX_OCTETS - 1 }), fc.integer({ min: 1, max: 25 }))
  .map(([left, length]) => ({ left, right: Math.min(MAX_OCTETS, left + length) }));

const step = fc.oneof(
  { weight: 5, arbitrary: block },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 15 }).map((octets) => ({ octets })) },
);

describe('scoreboard (RFC 6675)', () => {
  test('is what an octet by octet reading of the RFC says, whatever blocks come', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), fc.nat(MAX_OCTETS), (steps, highRxt) => {
        const board = new Scoreboard();
        const naive = new Naive();
        const at = (offset: number) => seqAdd(UNA, offset);
        for (const each of steps) {
          if ('octets' in each) {
            naive.acknowledged(Math.min(MAX_OCTETS, naive.una + each.octets));
            board.acknowledged(at(naive.una));
          } else if (each.left > naive.una) {
            assert.equal(board.add(at(each.left), at(each.right)), naive.add(each.left, each.right));
          }
          check(board, naive, Math.max(naive.una, highRxt));
        }
      }),
      { seed: 11, numRuns: 400 },
    );
  });
});

function check(board: Scoreboard, naive: Naive, highRxt: number): void {
  const at = (offset: number) => seqAdd(UNA, offset);
  const una = at(naive.una);
  assert.equal(board.octets, naive.sacked.size);
  const highest = Math.max(naive.una, ...[...naive.sacked].map((octet) => octet + 1));
  assert.equal(seqDiff(board.highest(una), UNA), highest);
  const lostBelow = board.lostBelow(una, SEGMENT);
  for (let i = naive.una; i < MAX_OCTETS; i++) {
    assert.equal(board.covers(at(i)), naive.sacked.has(i), `octet ${i}`);
    if (naive.sacked.has(i)) continue;
    assert.equal(seqDiff(at(i), lostBelow) < 0, naive.isLost(i), `loss of ${i}`);
    let end = i;
    while (end < MAX_OCTETS && !naive.sacked.has(end)) end++;
    assert.equal(seqDiff(board.holeEnd(at(i), at(MAX_OCTETS)), UNA), end);
    assert.equal(board.below(at(i)), [...naive.sacked].filter((octet) => octet < i).length);
  }
  assert.equal(board.pipe(una, at(MAX_OCTETS), at(highRxt), lostBelow), naive.pipe(MAX_OCTETS, highRxt));
}
