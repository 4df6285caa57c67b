import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { ConnectionIds } from '../../../src/replay/session/connection-ids.ts';
import { LiveConnectionIds } from '../../../src/replay/session/live-connection-ids.ts';

test('a recorded id leads to the connection of its copy while that is open', () => {
  const ids = ConnectionIds.create(3, 2);
  ids.recorded(1, 17);
  assert.equal(ids.find(17, 0), undefined, 'not open');
  ids.opened(1, 0, 1001);
  ids.opened(1, 1, 1002);
  assert.deepEqual([ids.find(17, 0), ids.find(17, 1), ids.find(18, 0)], [1001, 1002, undefined]);
  ids.closed(1, 0);
  assert.deepEqual([ids.find(17, 0), ids.find(17, 1)], [undefined, 1002]);
  ids.opened(1, 0, 1003);
  assert.equal(ids.find(17, 0), 1003, 'on another connection');
});

test('of several sessions with one id it is the newest that is open', () => {
  const ids = ConnectionIds.create(4, 1);
  for (const session of [2, 0, 3]) ids.recorded(session, 17);
  for (const session of [0, 1, 2, 3]) ids.opened(session, 0, 100 + session);
  assert.equal(ids.find(17, 0), 103);
  ids.closed(3, 0);
  assert.equal(ids.find(17, 0), 102);
  ids.closed(2, 0);
  assert.equal(ids.find(17, 0), 100);
});

for (const [name, make] of [
  ['a recording', () => ConnectionIds.create(4, 2)],
  ['a live source', () => LiveConnectionIds.create(2)],
] as const)
  test(`of ${name}: a connection is awaited from when its session is scheduled until it is open or over`, () => {
    const ids = make();
    const MS = 1e6;
    ids.recorded(1, 17);
    ids.awaited(1, 0, 50 * MS);
    ids.awaited(1, 1, 50 * MS);
    assert.equal(ids.find(17, 0), undefined);
    const awaited = (copy: number, ms: number) => ids.isAwaited(17, copy, 0, ms * MS);
    assert.deepEqual(
      [awaited(0, 49), awaited(0, 50), awaited(1, 60), ids.isAwaited(18, 0, 0, 60 * MS)],
      [false, true, true, false],
    );
    ids.opened(1, 0, 1001);
    ids.closed(1, 1);
    assert.deepEqual([awaited(0, 60), awaited(1, 60), ids.find(17, 0)], [false, false, 1001]);
    ids.closed(1, 0);
    assert.deepEqual([awaited(0, 60), ids.find(17, 0)], [false, undefined]);
  });

test('an id is that of the recorded server that gave it', () => {
  const ids = ConnectionIds.create(2, 1);
  ids.recorded(0, 17, 3);
  ids.recorded(1, 17, 4);
  ids.opened(0, 0, 100);
  ids.opened(1, 0, 101);
  assert.deepEqual([ids.find(17, 0, 3), ids.find(17, 0, 4), ids.find(17, 0)], [100, 101, undefined]);
  ids.closed(0, 0);
  assert.equal(ids.find(17, 0, 3), undefined, 'that of the other server is another connection');
});

test('what is not known leads nowhere', () => {
  const ids = ConnectionIds.create(2, 1);
  ids.recorded(0, 0);
  ids.opened(0, 0, 5);
  assert.equal(ids.find(0, 0), undefined);
  ids.recorded(2, 17);
  ids.opened(2, 0, 6);
  ids.opened(1, 1, 7);
  assert.deepEqual([ids.find(17, 0), ids.find(17, 1), ids.find(17, 2)], [undefined, undefined, undefined]);
  assert.equal(ConnectionIds.create(0, 0).find(1, 0), undefined);
});

test('one that would be too large is not made', () => {
  const ids = ConnectionIds.create(1_000_000, 50);
  assert.equal(ids.available, false);
  ids.recorded(1, 17);
  ids.opened(1, 0, 1001);
  assert.equal(ids.find(17, 0), undefined);
  assert.ok(ids.buffer.byteLength < 100);
  assert.equal(ConnectionIds.create(1_000_000, 1).available, true);
  assert.equal(ConnectionIds.of(ids.buffer).available, false);
});

test('it is as a list that is searched from its end', () => {
  const step = fc.record({
    what: fc.constantFrom('recorded', 'opened', 'closed'),
    session: fc.nat(9),
    copy: fc.nat(2),
    id: fc.integer({ min: 1, max: 5 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const ids = ConnectionIds.create(10, 3);
      const other = ConnectionIds.of(ids.buffer);
      const recorded: number[] = [];
      const open = new Map<string, number>();
      for (const { what, session, copy, id } of steps) {
        if (what === 'recorded') {
          recorded[session] ??= id;
          ids.recorded(session, id);
        } else if (what === 'opened') {
          open.set(`${session} ${copy}`, id + 100);
          ids.opened(session, copy, id + 100);
        } else {
          open.delete(`${session} ${copy}`);
          other.closed(session, copy);
        }
      }
      for (let id = 1; id <= 5; id++) {
        for (let copy = 0; copy < 3; copy++) {
          let expected: number | undefined;
          for (let i = 0; i < 10; i++)
            if (recorded[i] === id) expected = open.get(`${i} ${copy}`) ?? expected;
          assert.equal(other.find(id, copy), expected);
        }
      }
    }),
  );
});

describe('threads', () => {
  test('that tell of the same sessions at once lose none', async () => {
    const sessions = 20_000;
    const ids = ConnectionIds.create(sessions, 2);
    const source = `
      import { workerData } from 'node:worker_threads';
      const { ConnectionIds } = await import(workerData.module);
      const ids = ConnectionIds.of(workerData.buffer);
      for (let i = 0; i < workerData.sessions; i++) {
        ids.recorded(i, 1 + (i % 5000));
        ids.opened(i, workerData.copy, 1 + i);
      }`;
    const module = new URL('../../../src/replay/session/connection-ids.js', import.meta.url).href;
    await Promise.all(
      [0, 1].map(
        (copy) =>
          new Promise<void>((done, failed) => {
            const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
            const worker = new Worker(url, { workerData: { buffer: ids.buffer, sessions, copy, module } });
            worker.once('error', failed).once('exit', () => done());
          }),
      ),
    );
    for (let id = 1; id <= 5000; id++) {
      assert.deepEqual([ids.find(id, 0), ids.find(id, 1)], [15_000 + id, 15_000 + id]);
    }
  });
});
