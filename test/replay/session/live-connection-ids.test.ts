import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LiveConnectionIds } from '../../../src/replay/session/live-connection-ids.ts';

describe('connection ids of a live run', () => {
  test('found by every thread while the connection is open, in its own copy', () => {
    const one = LiveConnectionIds.create(3);
    const other = LiveConnectionIds.of(one.buffer);
    one.recorded(8, 77);
    one.opened(8, 1, 1001);
    assert.equal(other.find(77, 1), 1001);
    assert.equal(other.find(77, 0), undefined, 'a copy that has no connection');
    assert.equal(other.find(78, 1), undefined, 'an id that nobody has');
    one.closed(8, 1);
    assert.equal(other.find(77, 1), undefined);
  });

  test('a connection in the place of another has its id; the session that has it now is the newest', () => {
    const ids = LiveConnectionIds.create(1);
    ids.recorded(8, 77);
    ids.opened(8, 0, 1001);
    ids.closed(8, 0);
    ids.recorded(8, 77);
    ids.opened(8, 0, 1002);
    assert.equal(ids.find(77, 0), 1002);
    // A server that was restarted counts anew.
    ids.recorded(11, 77);
    ids.opened(11, 0, 1003);
    assert.equal(ids.find(77, 0), 1003);
    ids.closed(11, 0);
    assert.equal(ids.find(77, 0), 1002);
  });

  test('an id is that of the recorded server that gave it', () => {
    const ids = LiveConnectionIds.create(1);
    ids.recorded(8, 77, 3);
    ids.opened(8, 0, 1001);
    ids.recorded(9, 77, 4);
    ids.opened(9, 0, 1002);
    assert.deepEqual([ids.find(77, 0, 3), ids.find(77, 0, 4), ids.find(77, 0)], [1001, 1002, undefined]);
    ids.closed(9, 0);
    assert.equal(ids.find(77, 0, 4), undefined);
  });

  test('a session without a recorded id is in no table', () => {
    const ids = LiveConnectionIds.create(1);
    ids.recorded(8, 0);
    ids.opened(8, 0, 1001);
    assert.equal(ids.find(0, 0), undefined);
  });

  test('it forgets: a million sessions, one after the other, and the last is found as the first was', () => {
    const ids = LiveConnectionIds.create(2);
    let found = 0;
    for (let session = 0; session < 1_000_000; session++) {
      ids.recorded(session, session + 1);
      ids.opened(session, 0, session + 7);
      ids.opened(session, 1, session + 8);
      if (ids.find(session + 1, 1) === session + 8) found++;
      ids.closed(session, 1);
      ids.closed(session, 0);
    }
    assert.equal(found, 1_000_000);
  });

  test('of more connections than there is room for some are not found, and none is taken for another', () => {
    const ids = LiveConnectionIds.create(1);
    let found = 0;
    for (let session = 0; session < 100_000; session++) {
      ids.recorded(session, session + 1);
      ids.opened(session, 0, session + 500_000);
    }
    for (let session = 0; session < 100_000; session++) {
      const targetId = ids.find(session + 1, 0);
      if (targetId === undefined) continue;
      found++;
      assert.equal(targetId, session + 500_000);
    }
    assert.ok(found > 50_000, `${found}`);
    for (let session = 0; session < 100_000; session++) ids.closed(session, 0);
    ids.recorded(1, 5);
    ids.opened(1, 0, 6);
    assert.equal(ids.find(5, 0), 6, 'and there is room again');
  });

  test('as a plain map has it, whatever the order of events', () => {
    const step = fc.record({
      session: fc.nat(5),
      copy: fc.nat(1),
      opens: fc.boolean(),
      // The number after these says that a connection is awaited.
      targetId: fc.integer({ min: 1, max: 0xffff_fffe }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const ids = LiveConnectionIds.create(2);
        const model = new Map<string, number>();
        for (const { session, copy, opens, targetId } of steps) {
          if (opens) {
            ids.recorded(session, session + 100);
            ids.opened(session, copy, targetId);
            model.set(`${session}/${copy}`, targetId);
          } else {
            ids.closed(session, copy);
            model.delete(`${session}/${copy}`);
          }
          for (let each = 0; each <= 5; each++) {
            for (const of of [0, 1]) assert.equal(ids.find(each + 100, of), model.get(`${each}/${of}`));
          }
        }
      }),
    );
  });
});
