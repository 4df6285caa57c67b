import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LocalFile } from '../../src/mysql/command.ts';
import { HEADER_OCTETS, payloadLength } from '../../src/mysql/packet.ts';
import { filePackets } from '../../src/replay/session/file-packets.ts';
import { packets } from '../mysql/support/packets.ts';
import type { FakeTarget } from '../transport/fake.ts';
import { sent, USERS } from './support/killed.ts';
import { localFile, Tape } from './support/tape.ts';
import { replay, START_MS } from './support/world.ts';

const SQL = 'LOAD DATA LOCAL INFILE "x" INTO TABLE t';
const INFILE = { reply: { kind: 'infile', affected: 2 } } as const;
const MAX_PAYLOAD = 0xff_ffff;

/** A target that asks for the file, by a packet with that sequence id. */
const asks = (asksFile = 1): FakeTarget => ({
  users: USERS,
  reacts: ({ sql }) => (sql === SQL ? { reply: INFILE.reply, asksFile } : undefined),
});

/** Octets of the packets with these payloads. */
const octets = (first: number, ...payloads: string[]) =>
  Buffer.from(packets(first, ...payloads.map((one) => Buffer.from(one))));

const file = () => localFile([Buffer.from('1,a\n'), Buffer.from('2,b\n')]);

/** The sequence ids of all packets in `octets`, inner ones too. */
function sequenceIds(octets: Uint8Array): number[] {
  const ids: number[] = [];
  for (let at = 0; at < octets.length; at += HEADER_OCTETS + payloadLength(octets, at))
    ids.push(octets[at + 3]);
  return ids;
}

describe('a file of the client', () => {
  for (const answered of ['at once', 'later'] as const) {
    test(`known ${answered}: the target gets it, each copy the same`, async () => {
      const tape = new Tape();
      tape
        .session()
        .query(1, SQL, { ...INFILE, file: file(), answered })
        .query(9)
        .quit(20);
      const run = await replay(tape, { copies: 2, batch: 1, target: asks() });
      for (const copy of [0, 1]) assert.deepEqual(run.book.story(0, copy), Array(3).fill('answered'));
      for (const { files } of run.transport.connections)
        assert.deepEqual(files.map(Buffer.from), [octets(2, '1,a\n', '2,b\n', '')]);
      assert.equal(run.summary.verdict, 'valid');
    });
  }

  test('known only while the target waits for it: it goes as soon as it is whole', async () => {
    const tape = new Tape();
    tape
      .session()
      .query(1, SQL, { ...INFILE, file: file(), answered: 'later', replyMs: 5 })
      .query(300)
      .quit(400);
    const [{ commands }] = tape.sessions;
    // A capture that is being made: the file's first packet comes to light at 100 ms, the rest with the answer.
    const run = await replay(tape, {
      copies: 2,
      batch: 1,
      target: asks(),
      at: [[60, () => Object.assign(commands[0], { file: localFile([Buffer.from('1,a\n')], false) })]],
      made: ([event]) =>
        event.type === 'reply' ? new Promise((resolve) => setTimeout(resolve, 100)) : undefined,
    });
    for (const { files } of run.transport.connections)
      assert.deepEqual(files.map(Buffer.from), [octets(2, '1,a\n', '2,b\n', '')]);
    assert.deepEqual(run.book.story(), Array(3).fill('answered'));
    const [{ outcome }] = run.book.fates.filter(({ ordinal }) => ordinal === 0);
    assert.deepEqual(
      [outcome?.sent, outcome?.answered].map((ms) => (ms as number) - START_MS),
      [1, 100],
    );
  });

  test('has sequence ids that follow the request of this target', async () => {
    for (const id of [1, 4, 254, 255]) {
      const tape = new Tape();
      tape
        .session()
        .query(1, SQL, { ...INFILE, file: file() })
        .quit(20);
      const run = await replay(tape, { target: asks(id) });
      const [whole] = run.transport.connections[0].files;
      assert.deepEqual(
        sequenceIds(whole),
        [1, 2, 3].map((n) => (id + n) & 255),
      );
    }
  });

  test('of 16 MiB and more keeps its headers within, numbered too', async () => {
    const long = new Uint8Array(MAX_PAYLOAD + 5).fill(0x78);
    const recorded = localFile([Buffer.from('first'), long, new Uint8Array(MAX_PAYLOAD)]);
    const before = recorded.packets.map((packet) => packet.slice());
    const tape = new Tape();
    tape
      .session()
      .query(1, SQL, { ...INFILE, file: recorded })
      .quit(20);
    const run = await replay(tape, { copies: 2, target: asks(7) });
    for (const { files } of run.transport.connections) {
      assert.deepEqual(sequenceIds(files[0]), [8, 9, 10, 11, 12, 13]);
      assert.equal(files[0].length, recorded.octets);
      assert.equal(
        files[0].subarray(9 + HEADER_OCTETS, 9 + HEADER_OCTETS + MAX_PAYLOAD).every((x) => x === 0x78),
        true,
      );
    }
    // What was recorded is not written to.
    assert.ok(recorded.packets.every((packet, i) => Buffer.compare(packet, before[i]) === 0));
  });

  test('any packets: what they hold stays, their ids run on', () => {
    const payload = fc.uint8Array({ minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(fc.array(payload, { maxLength: 300 }), fc.nat(255), (payloads, first) => {
        const recorded = localFile(payloads);
        const renumbered = packets(first, ...payloads, new Uint8Array(0));
        assert.deepEqual(Buffer.from(filePackets(recorded, 0, first) ?? []), Buffer.from(renumbered));
      }),
    );
  });
});

describe('a file that the capture lacks', () => {
  const lacks: [string, LocalFile | undefined][] = [
    ['whole', undefined],
    ['in part', localFile([Buffer.from('1,a\n')], false)],
    [
      'because it is too long',
      Object.assign(new LocalFile(), { octets: 2 ** 29, whole: true, tooLong: true }),
    ],
  ];
  for (const [name, lacking] of lacks) {
    const options = lacking === undefined ? INFILE : { ...INFILE, file: lacking };
    test(`${name}: known before, nothing is sent`, async () => {
      const tape = new Tape();
      tape.session().query(1, SQL, options).query(9).quit(20);
      const run = await replay(tape, { copies: 2, target: asks() });
      assert.deepEqual(run.transport.connections.map(sent), Array(2).fill(['SELECT 1', 'quit']));
      assert.deepEqual(run.summary.commands.skipped, { 'local-infile': 2 });
    });

    test(`${name}: known after, the target gets an empty one`, async () => {
      const tape = new Tape();
      tape
        .session()
        .query(1, SQL, { ...options, answered: 'later', replyMs: 50 })
        .query(300)
        .quit(400);
      const run = await replay(tape, {
        copies: 2,
        batch: 1,
        target: asks(3),
        made: ([event]) =>
          event.type === 'reply' ? new Promise((resolve) => setTimeout(resolve, 100)) : undefined,
      });
      for (const { files } of run.transport.connections)
        assert.deepEqual(files.map(Buffer.from), [octets(4, '')]);
      assert.deepEqual(run.book.story(), ['lost local-infile', 'answered', 'answered']);
      assert.deepEqual(run.summary.commands.lost, { 'local-infile': 2 });
      assert.deepEqual(run.book.endsOf(), [undefined, undefined]);
      assert.ok(run.book.fates.every(({ sent }) => sent));
    });
  }

  test('because it never answers: the target gets an empty one when the next command is known', async () => {
    const tape = new Tape();
    tape.session().query(1, SQL, { answered: 'never' }).query(50, 'SELECT 1', { answered: 'never' });
    tape.sessions[0].query(20_000).quit(20_001);
    const run = await replay(tape, { batch: 1, replyTimeoutMs: 5_000, target: asks() });
    assert.deepEqual(run.transport.connections[0].files.map(Buffer.from), [octets(2, '')]);
    assert.deepEqual(run.book.story(), ['lost local-infile', 'answered unknown', 'answered', 'answered']);
  });

  test('because it never answers: the target gets an empty one when the recording is over', async () => {
    const tape = new Tape();
    tape.session().query(1, SQL, { answered: 'never' }).close(100, 'cut');
    const run = await replay(tape, { batch: 1, target: asks() });
    assert.deepEqual(run.transport.connections[0].files.map(Buffer.from), [octets(2, '')]);
    assert.deepEqual(run.book.story(), ['lost local-infile']);
    assert.deepEqual(run.book.endsOf(), [undefined]);
  });
});

test('a run that is stopped while the target waits for a file does not wait on', async () => {
  const tape = new Tape();
  tape.session().query(1, SQL, { answered: 'never' }).query(30_000).quit(30_001);
  // What is read next is another session's.
  tape.session(10).query(15_000).quit(15_001);
  const run = await replay(tape, {
    batch: 1,
    target: asks(),
    at: [[100, ({ engine }) => engine.stop()]],
  });
  assert.deepEqual(run.book.story()[0], 'lost local-infile');
  assert.ok(run.elapsedMs < 1_000, `${run.elapsedMs}`);
});

describe('a file that the target alone asks for', () => {
  test('is an empty one, and the command is lost by that', async () => {
    const tape = new Tape();
    tape
      .session()
      .query(1, SQL, { reply: { kind: 'err', errno: 1148 } })
      .query(9)
      .quit(20);
    const run = await replay(tape, { copies: 2, target: asks() });
    for (const { files } of run.transport.connections)
      assert.deepEqual(files.map(Buffer.from), [octets(2, '')]);
    assert.deepEqual(run.book.story(), ['lost local-infile', 'answered', 'answered']);
  });

  test('is not waited for longer than until the recorded answer is known', async () => {
    const tape = new Tape();
    const refused = { reply: { kind: 'err', errno: 1148 }, answered: 'later', replyMs: 5 } as const;
    tape.session().query(1, SQL, refused).query(30_000).quit(30_001);
    // What is read next is another session's.
    tape.session(10).query(15_000).quit(15_001);
    const run = await replay(tape, {
      batch: 1,
      replyTimeoutMs: 5_000,
      target: asks(),
      made: ([event]) =>
        event.type === 'reply' ? new Promise((resolve) => setTimeout(resolve, 100)) : undefined,
    });
    assert.deepEqual(run.book.story(), ['lost local-infile', 'answered', 'answered']);
  });
});

describe('a connection that ends', () => {
  test('while the target waits for the file: the command is lost, the next one gets its own file', async () => {
    const tape = new Tape();
    tape
      .session()
      .query(1, SQL, { ...INFILE, file: file(), answered: 'later', replyMs: 50 })
      .query(400, SQL, { ...INFILE, file: localFile([Buffer.from('3,c\n')]) })
      .quit(500);
    const run = await replay(tape, {
      batch: 1,
      target: asks(),
      at: [[50, ({ transport }) => transport.connections[0].cut('reset')]],
      made: ([event]) =>
        event.type === 'reply' ? new Promise((resolve) => setTimeout(resolve, 100)) : undefined,
    });
    assert.deepEqual(run.book.story(), ['lost reset', 'answered', 'answered']);
    assert.deepEqual(
      run.transport.connections.map(({ files }) => files.map(Buffer.from)),
      [[], [octets(2, '3,c\n', '')]],
    );
  });

  test('while the target waits for the file: nobody else is sent it', async () => {
    const tape = new Tape();
    tape
      .session()
      .query(1, SQL, { ...INFILE, file: file(), answered: 'later', replyMs: 50 })
      .query(3_000, 'SLOW')
      // Read while the one before is under way.
      .query(5_050)
      .quit(5_100);
    const run = await replay(tape, {
      batch: 1,
      fineMs: 6_000,
      target: {
        users: USERS,
        reacts: ({ sql }) =>
          sql === SQL ? { reply: {}, asksFile: 1 } : sql === 'SLOW' ? { reply: {}, afterMs: 100 } : undefined,
      },
      at: [[50, ({ transport }) => transport.connections[0].cut('reset')]],
      made: ([event]) =>
        event.type === 'reply' && event.at < 1e9
          ? new Promise((resolve) => setTimeout(resolve, 100))
          : undefined,
    });
    assert.deepEqual(run.book.story(), ['lost reset', 'answered', 'answered', 'answered']);
    assert.deepEqual(
      run.transport.connections.map(({ files }) => files.length),
      [0, 0],
    );
  });

  test('behind the file, before its answer', async () => {
    const tape = new Tape();
    tape
      .session()
      .query(1, SQL, { ...INFILE, file: file() })
      .query(300)
      .quit(400);
    const run = await replay(tape, {
      target: {
        users: USERS,
        reacts: ({ sql }) => (sql === SQL ? { reply: {}, asksFile: 1, afterMs: 500 } : undefined),
      },
      at: [[50, ({ transport }) => transport.connections[0].cut('reset')]],
    });
    assert.deepEqual(run.book.story(), ['lost reset', 'answered', 'answered']);
    assert.deepEqual(
      run.transport.connections.map(({ files }) => files.length),
      [1, 0],
    );
  });

  test('behind an empty file: what comes next is not lost by it', async () => {
    const tape = new Tape();
    tape
      .session()
      .query(1, SQL, { reply: { kind: 'err', errno: 1148 } })
      .query(300)
      .quit(400);
    const run = await replay(tape, {
      target: {
        users: USERS,
        reacts: ({ sql }) => (sql === SQL ? { reply: {}, asksFile: 1, afterMs: 500 } : undefined),
      },
      at: [[50, ({ transport }) => transport.connections[0].cut('reset')]],
    });
    assert.deepEqual(run.book.story(), ['lost reset', 'answered', 'answered']);
  });
});
