import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Command } from '../../../src/mysql/command.ts';
import { STATUS } from '../../../src/mysql/packet.ts';
import { CommitOrder } from '../../../src/replay/engine/commit-order.ts';
import type { FakeTarget, Received } from '../../transport/fake.ts';
import { USERS } from '../support/killed.ts';
import { Tape, type TapeSession } from '../support/tape.ts';
import { type Run, replay, type Setup, START_MS } from '../support/world.ts';

const MAX = Number.POSITIVE_INFINITY;

const IN_TRANSACTION = { reply: { status: STATUS.inTransaction } };

/** A transaction of two commands that commits at `ms`, answered a millisecond later. */
function commits(session: TapeSession, ms: number, name: string): TapeSession {
  return session.query(ms - 10, `UPDATE ${name}`, IN_TRANSACTION).query(ms, `COMMIT /* ${name} */`);
}

function byCommit(tape: Tape, setup: Setup = {}): Promise<Run> {
  return replay(tape, {
    speed: MAX,
    fineMs: 60_000,
    order: 'commit',
    ...setup,
  });
}

/** Answers `text` late, everything else at once. */
const late = (text: RegExp, afterMs: number): FakeTarget => ({
  users: USERS,
  reacts: ({ sql }) => (text.test(sql) ? { reply: {}, afterMs } : undefined),
});

/** When a statement came, and when it was answered, ms of the run. */
function times({ book, transport }: Run, text: string): { sent: number; answered: number }[] {
  const sqls = transport.connections.flatMap(({ received }) => received.map(({ sql }) => sql));
  assert.ok(sqls.includes(text), `${text} was never sent`);
  return book.fates
    .filter(({ outcome }) => outcome !== undefined && textOf(outcome.command.packet) === text)
    .map(({ outcome }) => ({ sent: outcome!.sent - START_MS, answered: outcome!.answered - START_MS }));
}

function textOf(packet: Uint8Array): string {
  return Buffer.from(packet.subarray(5)).toString();
}

/** What was answered before this moment, ns, it waits for. */
function behind({ packet, at, reply }: Command): number {
  return textOf(packet).startsWith('UPDATE') ? reply!.at : at;
}

describe('order by commit', () => {
  test('what was said behind the answer to a commit waits for it; what was said before does not', async () => {
    const tape = new Tape();
    commits(tape.session(0), 50, 'a').quit(100);
    tape.session(1).query(20, 'SELECT before').query(60, 'SELECT behind').quit(101);
    const run = await byCommit(tape, { target: late(/COMMIT/, 300) });
    const [{ answered }] = times(run, 'COMMIT /* a */');
    assert.equal(answered, 300);
    assert.equal(times(run, 'SELECT before')[0].sent, 0);
    assert.equal(times(run, 'SELECT behind')[0].sent, 300);
    const { by, held, held_ms, released } = run.summary.order;
    assert.deepEqual([by, held, Math.round(held_ms.p50), released], ['commit', 1, 300, 0]);
    const loose = await replay(tape, { speed: MAX, target: late(/COMMIT/, 300) });
    assert.equal(times(loose, 'SELECT behind')[0].sent, 0);
    assert.equal(loose.summary.order.held, 0);
  });

  test('a write waits for what committed while it was under way, a read does not', async () => {
    for (const text of ['UPDATE same', 'SELECT same']) {
      const tape = new Tape();
      commits(tape.session(0), 50, 'a').quit(100);
      tape.session(1).query(20, text, { replyMs: 32 }).quit(101);
      const run = await byCommit(tape, { target: late(/COMMIT/, 300) });
      assert.equal(times(run, text)[0].sent, text.startsWith('UPDATE') ? 300 : 0);
      assert.equal(run.summary.order.released, 0);
    }
  });

  test('by a clock that goes on between two looks at it, too', async () => {
    const tape = new Tape();
    for (let i = 0; i < 4; i++) commits(tape.session(i), 50 + 20 * i, `t${i}`).quit(200 + i);
    let ticks = 0;
    let clock: { now(): number } = { now: () => START_MS };
    const run = await byCommit(tape, {
      engine: { clock: { now: () => clock.now() + ++ticks * 1e-6 } },
      at: [[0, (under) => (clock = under.clock)]],
      target: late(/COMMIT/, 100),
    });
    assert.equal(run.summary.sessions.completed, 4);
    assert.ok(run.elapsedMs >= 400 && run.elapsedMs < 600, `${run.elapsedMs}`);
    assert.equal(run.summary.order.released, 0);
  });

  test('a write waits for a commit that the same batch of events tells behind it', async () => {
    const tape = new Tape();
    tape.session(0).query(11, 'UPDATE a', { answered: 'later', replyMs: 5 }).quit(100);
    tape.session(1).query(12, 'UPDATE b', { answered: 'later', replyMs: 5 }).quit(101);
    for (const batch of [1, 2, 3, 4, 100]) {
      const run = await byCommit(tape, { batch, target: late(/UPDATE a/, 300) });
      assert.equal(times(run, 'UPDATE b')[0].sent, 300, `${batch}`);
    }
  });

  test('so does a write whose client goes on before it is answered', async () => {
    const tape = new Tape();
    tape.session(0).query(11, 'UPDATE a', { answered: 'later', replyMs: 5 }).quit(100);
    const pipelines = tape.session(1).query(12, 'UPDATE b', { answered: 'later', replyMs: 5 });
    pipelines.query(13, 'SELECT 1', { answered: 'later', replyMs: 5 }).quit(101);
    const run = await byCommit(tape, { batch: 1, target: late(/UPDATE a/, 300) });
    assert.equal(times(run, 'UPDATE b')[0].sent, 300);
    assert.equal(run.summary.order.released, 0);
  });

  for (const end of ['COMMIT', 'ROLLBACK']) {
    test(`a write that was answered before the ${end} that gave up its lock does not take it first`, async () => {
      const tape = new Tape();
      const holder = tape.session(0).query(10, 'UPDATE row 1', IN_TRANSACTION);
      holder.query(50, end, { replyMs: 5 }).quit(100);
      const waiter = tape.session(1).query(20, 'UPDATE row 2', { ...IN_TRANSACTION, replyMs: 32 });
      waiter.query(60, 'COMMIT').quit(101);
      for (const batch of [1, 100]) {
        const run = await byCommit(tape, { batch, target: late(/row 1|^COMMIT$|ROLLBACK/, 300) });
        assert.equal(times(run, 'UPDATE row 2')[0].sent, 300, 'with the lock taken, not yet given up');
        assert.equal(run.summary.order.released, 0);
      }
    });
  }

  test('only what commits is waited for', async () => {
    for (const text of ['SELECT a', 'ROLLBACK', 'SET @a = 1']) {
      const tape = new Tape();
      tape.session(0).query(10, text).quit(100);
      tape.session(1).query(60, 'SELECT behind').quit(101);
      const run = await byCommit(tape, { target: late(new RegExp(text), 300) });
      assert.equal(times(run, 'SELECT behind')[0].sent, 0, text);
    }
    const failed = new Tape();
    failed
      .session(0)
      .query(10, 'UPDATE t', { reply: { kind: 'err', errno: 1213 } })
      .quit(100);
    failed.session(1).query(60, 'SELECT behind').quit(101);
    const run = await byCommit(failed, { target: late(/UPDATE/, 300) });
    assert.equal(times(run, 'SELECT behind')[0].sent, 0);
  });

  test('copies do not wait for one another', async () => {
    const tape = new Tape();
    commits(tape.session(0), 50, 'a').quit(100);
    tape.session(1).query(60, 'SELECT behind').quit(101);
    const target: FakeTarget = {
      users: USERS,
      reacts: ({ sql }, { identity }) =>
        sql.startsWith('COMMIT') ? { reply: {}, afterMs: 100 + 200 * identity.copy } : undefined,
    };
    for (const shares of [1, 2, 3]) {
      const run = await byCommit(tape, { target, copies: 3, shares });
      assert.deepEqual(
        times(run, 'SELECT behind').map(({ sent }) => sent),
        [100, 300, 500],
      );
    }
  });

  test('whoever is lost, or skipped, is not waited for', async () => {
    const reset: FakeTarget['reacts'] = ({ sql }: Received) =>
      sql.startsWith('COMMIT') ? 'desync' : undefined;
    const tape = new Tape();
    commits(tape.session(0), 50, 'a').quit(100);
    tape.session(1).query(60, 'SELECT behind').quit(101);
    const lost = await byCommit(tape, { target: { users: USERS, reacts: reset } });
    assert.ok(times(lost, 'SELECT behind')[0].sent < 5);

    // Its connection never comes about: its commands are lost as they are read.
    const never = await byCommit(tape, {
      target: { users: USERS, meets: ({ id }) => (id === 0 ? 1045 : 'greets') },
    });
    assert.ok(times(never, 'SELECT behind')[0].sent < 5);

    const filtered = new Tape();
    commits(filtered.session(0, { user: 'stranger' }), 50, 'a').quit(100);
    filtered.session(1).query(60, 'SELECT behind').quit(101);
    const skipped = await byCommit(filtered);
    assert.deepEqual(skipped.summary.sessions.skipped, { 'unknown-user': 1 });
    assert.equal(times(skipped, 'SELECT behind')[0].sent, 0);
  });

  test('a commit that was answered before its recorded answer was read is not waited for', async () => {
    const tape = new Tape();
    tape.session(0).query(10, 'UPDATE a', { answered: 'later', replyMs: 40 }).quit(100);
    tape.session(1).query(60, 'SELECT behind').quit(101);
    const run = await byCommit(tape, {
      batch: 1,
      made: () => new Promise((resolve) => setImmediate(resolve)),
    });
    assert.ok(times(run, 'SELECT behind')[0].sent < 20);
    assert.equal(run.summary.order.released, 0);
  });

  test('nothing stands still for longer than a second: who holds the lock goes on, until the commit came', async () => {
    const tape = new Tape();
    commits(tape.session(0), 50, 'a').quit(200);
    const holder = tape.session(1).query(5, 'UPDATE lock', IN_TRANSACTION);
    holder.query(60, 'SELECT 1', IN_TRANSACTION).query(70, 'COMMIT /* holder */').quit(201);
    tape.session(2).query(80, 'SELECT behind both').quit(202);
    const run = await byCommit(tape, { target: late(/COMMIT .. a/, 2_500) });
    assert.equal(times(run, 'SELECT 1')[0].sent, 1_000);
    assert.equal(times(run, 'COMMIT /* holder */')[0].sent, 1_000, 'and no second wait for the next command');
    // Released, all of them: what else it was that waited nobody knows.
    assert.equal(run.summary.sessions.completed, 3);
    assert.ok(run.summary.order.released >= 2);
  });

  test('a write that waits too long for a lock frees those who are in a transaction, and nobody else', async () => {
    const tape = new Tape();
    commits(tape.session(0), 50, 'a').quit(200);
    const holder = tape.session(1).query(5, 'SELECT lock', IN_TRANSACTION);
    holder.query(60, 'SELECT 1', IN_TRANSACTION).query(70, 'COMMIT /* holder */').quit(201);
    tape.session(2).query(80, 'SELECT behind both').quit(202);
    const target: FakeTarget = {
      users: USERS,
      reacts: ({ sql }) => {
        const status = /lock|SELECT 1/.test(sql) ? STATUS.inTransaction : 0;
        return { reply: { status }, afterMs: sql === 'UPDATE a' ? 700 : 0 };
      },
    };
    const run = await byCommit(tape, { target });
    assert.equal(times(run, 'SELECT 1')[0].sent, 100);
    assert.equal(times(run, 'COMMIT /* holder */')[0].sent, 100);
    assert.equal(times(run, 'SELECT behind both')[0].sent, 700);
    // Its COM_QUIT, too.
    assert.equal(run.summary.order.released, 3);
  });

  test('who waits for what took long in the recording, too, waits so long', async () => {
    const tape = new Tape();
    tape.session(0).query(10, 'UPDATE slow', { replyMs: 2_000 }).quit(3_000);
    tape.session(1).query(2_500, 'SELECT behind').quit(3_001);
    const run = await byCommit(tape, { target: late(/UPDATE slow/, 4_000) });
    assert.equal(times(run, 'SELECT behind')[0].sent, 4_000);
    assert.equal(run.summary.order.released, 0);
  });

  test('what is held is not late, and a stopped run loses it as interrupted', async () => {
    const tape = new Tape();
    commits(tape.session(0), 50, 'a').quit(400);
    tape.session(1).query(60, 'SELECT behind').quit(401);
    const held = await byCommit(tape, { speed: 1, target: late(/COMMIT/, 200) });
    assert.equal(held.summary.lateness_ms.max, 0);
    assert.equal(times(held, 'SELECT behind')[0].sent, 250);
    const stopped = await byCommit(tape, {
      target: late(/COMMIT/, 200),
      at: [[50, ({ engine }) => engine.stop()]],
    });
    assert.deepEqual(stopped.book.story(1), ['lost interrupted', 'lost interrupted']);
  });

  test('whatever is recorded, and however slow the target: nothing goes before the commits it waits for', async () => {
    const transaction = fc.record({
      session: fc.nat(5),
      gap: fc.integer({ min: 1, max: 30 }),
      afterMs: fc.nat(60),
      writes: fc.boolean(),
    });
    const runs = fc.asyncProperty(
      fc.array(transaction, { maxLength: 40 }),
      fc.integer({ min: 1, max: 30 }),
      async (all, batch) => {
        const tape = new Tape();
        const sessions = Array.from({ length: 6 }, (_, i) => tape.session(i));
        let ms = 10;
        const after: number[] = [];
        for (const [n, { session, gap, writes, afterMs }] of all.entries()) {
          ms += gap;
          sessions[session].query(ms, `${writes ? 'UPDATE' : 'SELECT'} ${n}`, {
            replyMs: 5,
            answered: 'later',
          });
          after.push(afterMs);
        }
        for (const [i, session] of sessions.entries()) session.quit(ms + 100 + i);
        const run = await byCommit(tape, {
          batch,
          target: {
            users: USERS,
            reacts: ({ sql }) => ({ reply: {}, afterMs: after[Number(sql.split(' ')[1])] ?? 0 }),
          },
        });
        const outcomes = run.book.fates.map(({ outcome }) => outcome!);
        for (const earlier of outcomes) {
          if (!textOf(earlier.command.packet).startsWith('UPDATE')) continue;
          for (const later of outcomes)
            if (earlier.command.reply!.at < behind(later.command))
              assert.ok(earlier.answered <= later.sent, 'a command went before a commit');
        }
        assert.equal(run.summary.order.released, 0);
        assert.equal(run.summary.sessions.completed, 6);
      },
    );
    await fc.assert(runs, { numRuns: 60 });
  });
});

test('a command or an answer that is told late waits for no commit that was answered behind it', () => {
  const watcher = { held: () => {}, released: () => {} };
  const order = new CommitOrder(1, watcher, { index: 0, of: 1 });
  const tape = new Tape();
  const [write] = tape.session(0).query(10, 'UPDATE a', { replyMs: 5 }).commands;
  const [commit, late] = tape.session(1).query(12, 'COMMIT', { replyMs: 8 }).query(18, 'SELECT').commands;
  const idle = { underWay: undefined, busySince: 0, inTransaction: false, patienceMs: () => 0 };
  const copy = { ...idle, copy: 0, openFrom: 0, advance: () => {} };
  order.read(write, true, false, [copy]);
  order.read(commit, false, false, [copy]);
  order.replied(commit, { commits: true, endedAt: undefined }, [copy], 0);
  // The commit was answered at 20 ms, the write at 15.
  order.replied(write, { commits: false, endedAt: undefined }, [{ ...copy }], 0);
  order.read(late, false, false, [copy]);
  assert.deepEqual(
    [write, late].map((one) => order.freeAt({ ...copy }, one, 0)),
    [-Infinity, -Infinity],
  );
  const [behind] = tape.session(2).query(21, 'SELECT').commands;
  order.read(behind, false, false, [copy]);
  assert.equal(order.freeAt({ ...copy }, behind, 0), Infinity);
});
