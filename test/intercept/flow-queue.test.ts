import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlowQueue, type Queued } from '../../src/intercept/flow-queue.ts';
import { diceFrom } from '../support/random.ts';

class Item implements Queued {
  queuedBefore: this | undefined;
  queuedAfter: this | undefined;
}

test('oldest first, whoever has left: as an array would have it', () => {
  const random = diceFrom(7);
  const queue = new FlowQueue<Item>();
  const expected: Item[] = [];
  for (let i = 0; i < 5_000; i++) {
    if (random(5) < 3) {
      const item = new Item();
      queue.add(item);
      expected.push(item);
    } else if (expected.length > 0) {
      const at = random(3) === 0 ? 0 : random(expected.length);
      queue.remove(expected[at]);
      expected.splice(at, 1);
    }
    assert.equal(queue.first, expected[0]);
    assert.equal(queue.size, expected.length);
  }
  while (queue.first !== undefined) {
    assert.equal(queue.first, expected.shift());
    queue.remove(queue.first);
  }
  assert.deepEqual([queue.size, expected], [0, []]);
});
