import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COM } from '../../../src/mysql/command.ts';
import type { CloseCause } from '../../../src/transport/transport.ts';
import type { FakeTarget } from '../../transport/fake.ts';
import { id4, Tape } from '../support/tape.ts';
import { replay } from '../support/world.ts';

const USERS = { app: 'secret' };

/** The statement ids that a connection was sent with COM_STMT_EXECUTE. */
function executed(received: readonly { com: number; packet: Uint8Array }[]): number[] {
  return received
    .filter(({ com }) => com === COM.stmtExecute)
    .map(({ packet }) => new DataView(packet.buffer, packet.byteOffset).getUint32(5, true));
}

describe('statements', () => {
  test("recorded ids become the target's, each copy's own", async () => {
    const tape = new Tape();
    tape
      .session()
      .prepare(1, 7)
      .prepare(3, 8)
      .execute(5, 8)
      .execute(6, 7)
      .closeStatement(8, 7)
      .execute(9, 8)
      .quit(20);
    const run = await replay(tape, { copies: 2 });
    assert.deepEqual(run.book.story(), Array(7).fill('answered'));
    assert.deepEqual(
      run.transport.connections.map(({ received }) => executed(received)),
      [
        [1002, 1000, 1002],
        [1003, 1001, 1003],
      ],
    );
  });

  test('a statement prepared before its recorded answer was read has its id when it is used', async () => {
    const tape = new Tape();
    const prepare = { answered: 'later', replyMs: 30 } as const;
    tape.session().prepare(1, 7, prepare).prepare(2, 9, prepare).execute(40, 9).execute(41, 7).quit(50);
    // Batches of one: both are prepared on the target while the recording has not yet told their ids.
    const run = await replay(tape, { batch: 1, speed: Number.POSITIVE_INFINITY });
    assert.deepEqual(executed(run.transport.connections[0].received), [1001, 1000]);
    assert.deepEqual(run.book.story(), Array(5).fill('answered'));
  });

  test('COM_RESET_CONNECTION forgets them: what names one then fails on the target as it did in the recording', async () => {
    const unknown = { reply: { kind: 'err', errno: 1243 } } as const;
    const tape = new Tape();
    const session = tape.session().prepare(1, 7).command(3, COM.resetConnection).execute(5, 7, unknown);
    session.prepare(6, 7).execute(8, 7).closeStatement(9, 7).closeStatement(10, 7).quit(11);
    const run = await replay(tape);
    assert.deepEqual(run.book.story(), Array(8).fill('answered'));
    assert.deepEqual(executed(run.transport.connections[0].received), [0, 1001]);
  });

  test('0xffffffff is the one prepared last, by the number that the target gave it', async () => {
    const tape = new Tape();
    tape.session().prepare(1, 7).execute(3, 0xffffffff).quit(9);
    const run = await replay(tape);
    assert.deepEqual(executed(run.transport.connections[0].received), [1000]);
    assert.deepEqual(run.book.story(), ['answered', 'answered', 'answered']);
  });

  test('what names a statement that the target did not prepare is lost by name, and the session goes on', async () => {
    const tape = new Tape();
    tape
      .session()
      .prepare(1, 7)
      .execute(3, 7)
      .command(4, COM.stmtReset, [id4(7)])
      .closeStatement(5, 7)
      .query(6)
      .quit(9);
    const fails: FakeTarget['reacts'] = ({ com }) =>
      com === COM.stmtPrepare ? { reply: { kind: 'err', errno: 1146 } } : undefined;
    const run = await replay(tape, { target: { users: USERS, reacts: fails } });
    const gone = 'lost unprepared';
    assert.deepEqual(run.book.story(), ['answered error', gone, gone, gone, 'answered', 'answered']);
    assert.ok(run.book.fates.every(({ cause, sent }) => sent === (cause !== 'unprepared')));
    assert.deepEqual(run.book.endsOf(), [undefined]);
  });

  test('the recorded packet is not written to', async () => {
    const tape = new Tape();
    const session = tape.session().prepare(1, 7).execute(3, 7).quit(4);
    const before = Buffer.from(session.commands[1].packet).toString('hex');
    await replay(tape, { copies: 3 });
    assert.equal(Buffer.from(session.commands[1].packet).toString('hex'), before);
  });
});

describe('what is not sent', () => {
  test('KILL in all its forms, COM_PROCESS_KILL and COM_SHUTDOWN', async () => {
    const tape = new Tape();
    const session = tape.session();
    session
      .query(1, 'KILL 17')
      .query(2, 'kill query 5')
      .query(3, 'Kill\tCONNECTION 5')
      .query(4, 'SELECT killed FROM t');
    session
      .query(5, '  KILL 3')
      .query(6, '/* by hand */ KILL 4')
      .query(7, 'killer')
      .query(8, '-- x\n# y\nkill 4');
    session
      .command(9, COM.processKill, [id4(17)])
      .command(10, COM.shutdown)
      .quit(11);
    const run = await replay(tape, { copies: 2 });
    const kill = 'skipped kill';
    const story = [
      kill,
      kill,
      kill,
      'answered',
      kill,
      kill,
      'answered',
      kill,
      kill,
      'skipped shutdown',
      'answered',
    ];
    // A skipped command is told once for each copy.
    const twice = story.flatMap((one) => (one.startsWith('skipped') ? [one, one] : [one]));
    assert.deepEqual(run.book.story(), twice);
    assert.deepEqual(run.summary.commands.skipped, { kill: 14, shutdown: 2 });
    assert.deepEqual(
      run.transport.connections[0].received.map(({ sql }) => sql),
      ['SELECT killed FROM t', 'killer', ''],
    );
  });

  test('KILL behind the count of query attributes', async () => {
    const tape = new Tape();
    tape.session().query(1, '\0\x01KILL 17').query(2, '\0\x01SELECT 1').quit(3);
    const run = await replay(tape);
    assert.deepEqual(run.book.story(), ['skipped kill', 'answered', 'answered']);
  });

  test('COM_CHANGE_USER to one whose password is not known, and all behind it but COM_QUIT', async () => {
    const tape = new Tape();
    tape
      .session()
      .query(1)
      .command(2, COM.changeUser, ['other', 0, 20, new Uint8Array(20).fill(1), 0])
      .query(3)
      .query(4)
      .quit(5);
    const run = await replay(tape);
    const skipped = 'skipped unknown-user';
    assert.deepEqual(run.book.story(), ['answered', skipped, skipped, skipped, 'answered']);
    assert.deepEqual(run.book.endsOf(), [undefined]);
    assert.deepEqual(
      run.transport.connections[0].received.map(({ com }) => com),
      [COM.query, COM.quit],
    );
  });

  test('LOAD DATA LOCAL, known before it is sent or only then', async () => {
    const tape = new Tape();
    const infile = { reply: { kind: 'infile' } } as const;
    tape.session().query(1, 'LOAD DATA LOCAL', infile).query(5).quit(9);
    tape
      .session()
      .query(2000, 'LOAD DATA LOCAL', { ...infile, answered: 'later' })
      .query(2005)
      .quit(2009);
    const run = await replay(tape, { batch: 1 });
    const story = ['skipped local-infile', 'answered', 'answered'];
    assert.deepEqual(run.book.story(0), story);
    assert.deepEqual(run.book.story(1), story);
  });

  test('sessions of a user whose password is not known, by name; those without password need none', async () => {
    const tape = new Tape();
    tape.session(0, { user: 'stranger' }).query(1).query(2).quit(3);
    tape.session(1, { user: 'open', password: false }).query(2).quit(3);
    const run = await replay(tape, { copies: 2, target: { users: { open: '' } } });
    assert.deepEqual(run.book.skippedSessions, [{ session: 0, cause: 'unknown-user' }]);
    assert.deepEqual(run.summary.sessions.skipped, { 'unknown-user': 2 });
    assert.deepEqual(run.summary.commands.skipped, { 'unknown-user': 6 });
    assert.deepEqual(
      run.transport.connections.map(({ user }) => user),
      ['open', 'open'],
    );
    assert.deepEqual(run.book.story(1), ['answered', 'answered']);
  });

  test('what the decoder gave up is counted, for all copies', async () => {
    const tape = new Tape();
    tape.skipped(5, 'tls', 0);
    tape.skipped(6, 'joined-late', 4);
    tape.session(0).query(1).lost(2, 'gap', 3).query(4).quit(8);
    const run = await replay(tape, { copies: 3 });
    assert.deepEqual(run.summary.sessions.skipped, { 'joined-late': 3, tls: 3 });
    assert.deepEqual(run.summary.commands.skipped, { gap: 9, 'joined-late': 12 });
    assert.equal(run.summary.captured.commands, 10);
    assert.equal(run.summary.commands.answered, 9);
  });
});

describe('how a session ends', () => {
  test('by COM_QUIT, FIN or RST as recorded, or with the capture', async () => {
    const ends: ['fin' | 'rst' | 'cut', string][] = [
      ['fin', 'fin'],
      ['rst', 'rst'],
      ['cut', 'fin'],
    ];
    for (const [how, clientEnd] of ends) {
      const tape = new Tape();
      tape.session().query(1).close(50, how);
      const run = await replay(tape);
      assert.equal(run.transport.connections[0].clientEnd, clientEnd, how);
      assert.deepEqual(run.book.endsOf(), [undefined], how);
      assert.ok(run.elapsedMs >= 50, `${how} came early`);
    }
  });

  test('a server that resets what has said COM_QUIT has read it', async () => {
    const tape = new Tape();
    tape.session().query(1).quit(5);
    const resets: FakeTarget['reacts'] = ({ com }) => (com === COM.quit ? 'reset' : undefined);
    const run = await replay(tape, { target: { users: USERS, reacts: resets } });
    assert.deepEqual(run.book.story(), ['answered', 'answered']);
    assert.deepEqual(run.book.endsOf(), [undefined]);
  });

  test('commands without answer count once the next answer, or the end, shows that they came', async () => {
    const tape = new Tape();
    for (let i = 0; i < 2; i++) tape.session().prepare(1, 7).closeStatement(3, 7).query(4).close(9, 'fin');
    tape.session(2).closeStatement(3, 7).close(9, 'fin');
    tape.session().prepare(1, 7).closeStatement(3, 7).query(4).closeStatement(5, 8).close(90, 'fin');
    const run = await replay(tape, {
      target: {
        users: USERS,
        reacts: ({ com }, { id }) => (id === 1 && com === COM.query ? 'reset' : undefined),
      },
      at: [[50, ({ transport }) => transport.connections[2].cut('reset')]],
    });
    assert.deepEqual(run.book.story(0), ['answered', 'answered', 'answered']);
    assert.deepEqual(run.book.story(1), ['answered', 'lost reset', 'lost reset']);
    assert.deepEqual(run.book.story(2), ['answered']);
    assert.deepEqual(run.book.story(3), ['answered', 'answered', 'answered', 'lost reset']);
    assert.ok(run.book.fates.every(({ sent }) => sent));
  });
});

describe('what the target does', () => {
  const causes: [string, FakeTarget, string, boolean][] = [
    ['refuses the connection', { meets: () => 'refused' }, 'connect', false],
    ['resets before it greets', { meets: () => 'reset' }, 'connect', false],
    ['closes before it greets', { meets: () => 'fin' }, 'connect', false],
    ['never answers the SYN', { meets: () => 'timeout' }, 'connect', false],
    ['has too many connections', { users: USERS, meets: () => 1040 }, 'too-many-connections', false],
    ['has blocked the host', { users: USERS, meets: () => 1129 }, 'host-blocked', false],
    ['has another password', { users: { app: 'changed' } }, 'auth', false],
    ['does not know the user', { users: {} }, 'auth', false],
    ...(['desync', 'relay'] as CloseCause[]).map((cause): [string, FakeTarget, string, boolean] => [
      `ends by ${cause} with a command under way`,
      { users: USERS, reacts: () => cause },
      cause,
      true,
    ]),
  ];
  for (const [name, target, cause, sent] of causes) {
    test(`${name}: all is lost by ${cause}`, async () => {
      const tape = new Tape();
      tape.session().query(1).query(5).query(200).quit(300);
      const run = await replay(tape, { copies: 2, target, batch: 2 });
      assert.deepEqual(run.book.story(), Array(4).fill(`lost ${cause}`));
      assert.deepEqual(run.book.endsOf(), [cause, cause]);
      assert.equal(run.book.fates.filter((fate) => fate.sent).length, sent ? 2 : 0);
      assert.equal(run.summary.verdict, 'invalid');
    });
  }

  test('an answer that never comes is given up after five minutes, a greeting after one', async () => {
    const tape = new Tape();
    tape.session().query(1).query(2).quit(3);
    const deaf = await replay(tape, { target: { users: USERS, reacts: () => 'silent' } });
    assert.deepEqual(deaf.book.endsOf(), ['timeout']);
    assert.deepEqual(deaf.book.story(), Array(3).fill('lost timeout'));
    assert.ok(deaf.elapsedMs > 300_000 && deaf.elapsedMs < 303_000, `${deaf.elapsedMs}`);
    assert.equal(deaf.transport.connections[0].clientEnd, 'rst');

    const dumb = await replay(tape, { target: { meets: () => 'silent' } });
    assert.deepEqual(dumb.book.endsOf(), ['timeout']);
    assert.ok(dumb.elapsedMs > 60_000 && dumb.elapsedMs < 63_000, `${dumb.elapsedMs}`);
  });

  test('a command that took long when recorded is waited for as much longer', async () => {
    const tape = new Tape();
    tape.session().query(1, 'SELECT SLEEP(16)', { replyMs: 16_000 }).quit(17_000);
    const slow: FakeTarget['reacts'] = ({ com }) =>
      com === COM.query ? { reply: {}, afterMs: 310_000 } : undefined;
    const run = await replay(tape, { target: { users: USERS, reacts: slow } });
    assert.deepEqual(run.book.endsOf(), [undefined]);
  });

  test('a target that never closes is reset after a minute, and what was sent to it without answer is not called arrived', async () => {
    const tape = new Tape();
    tape.session().query(1).quit(5);
    const run = await replay(tape, { target: { users: USERS, keepsOpen: true } });
    assert.deepEqual(run.book.endsOf(), ['timeout']);
    assert.deepEqual(run.book.story(), ['answered', 'lost timeout']);
    assert.equal(run.transport.connections[0].clientEnd, 'rst');
  });
});
