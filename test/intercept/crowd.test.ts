import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Crowd, type Member } from '../../src/intercept/crowd.ts';

const members = (count: number): Member[] => Array.from({ length: count }, () => ({ seenIn: -1 }));

/** Rests of a crowd in which `flows` have traffic every half millisecond, from `from` to `to` ms. */
function rests(crowd: Crowd, flows: readonly Member[], from: number, to: number): number[] {
  const found: number[] = [];
  for (let now = from; now < to; now += 0.5) {
    for (const flow of flows) crowd.seen(flow);
    found.push(crowd.restMs(now));
  }
  return found;
}

describe('crowd', () => {
  test('few flows are read at once, however much traffic they have', () => {
    assert.deepEqual(new Set(rests(new Crowd(), members(7), 0, 50)), new Set([0]));
  });

  test('many flows allow a rest: more of them a longer one, up to half a millisecond', () => {
    const rest = (count: number) => rests(new Crowd(), members(count), 0, 20).at(-1)!;
    assert.ok(rest(8) > 0);
    assert.ok(rest(20) > rest(8));
    assert.equal(rest(50), rest(5000));
    assert.ok(rest(5000) <= 0.5);
  });

  test('one busy flow among many idle ones is no crowd', () => {
    const crowd = new Crowd();
    const all = members(100);
    rests(crowd, all, 0, 20);
    assert.equal(rests(crowd, all.slice(0, 1), 20, 30).at(-1), 0);
  });

  test('a crowd that came back after a silence is no crowd of before', () => {
    const crowd = new Crowd();
    rests(crowd, members(100), 0, 20);
    assert.equal(crowd.restMs(1000), 0);
  });
});
