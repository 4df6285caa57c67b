import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { counts, hasAny, hasCopy } from '../../src/replay/share.ts';

const shares = (of: number) => Array.from({ length: of }, (_, index) => ({ index, of }));

describe('share', () => {
  test('every copy of every session is in exactly one share, and one share counts the session', () => {
    fc.assert(
      fc.property(
        fc.nat(1000),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 9 }),
        (id, n, of) => {
          for (let copy = 0; copy < n; copy++)
            assert.equal(shares(of).filter((share) => hasCopy(share, id, copy)).length, 1);
          assert.equal(shares(of).filter((share) => counts(share, id)).length, 1);
        },
      ),
    );
  });

  test('who has no copy of a session is told so', () => {
    fc.assert(
      fc.property(
        fc.nat(1000),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 9 }),
        (id, n, of) => {
          for (const share of shares(of)) {
            const any = Array.from({ length: n }, (_, copy) => hasCopy(share, id, copy)).includes(true);
            assert.equal(hasAny(share, id, n), any);
          }
        },
      ),
    );
  });
});
