/** What relay messages carry comes out as it went in: states, answers, flows. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MESSAGE, MessageReader, MessageWriter } from '../../src/intercept/messages.ts';
import type { Resumption } from '../../src/intercept/ports.ts';
import { FlowFields, writeRegister, writeResume } from '../../src/intercept/relayed-flow.ts';
import { beginState, RelayedProgress } from '../../src/intercept/relayed-progress.ts';
import { ReplyFields, writeReply } from '../../src/intercept/relayed-reply.ts';
import { REPLY_KINDS, type Reply } from '../../src/mysql/reply.ts';
import type { Progress } from '../../src/tcp/progress.ts';
import { addressFromOctets } from '../../src/wire/address.ts';
import { Tuple } from '../../src/wire/tuple.ts';
import { PROGRESS } from './relay-bed.ts';

/** As literals have it, a prototype. */
const record = <T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>;
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
/** Mostly 0, small, or at an edge of the encoding. */
const count = fc.oneof(
  fc.constant(0),
  fc.nat(300),
  fc.constantFrom(252, 253, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, Number.MAX_SAFE_INTEGER),
  fc.maxSafeNat(),
);

const progresses = record<Progress>({
  ack: u32,
  window: u16,
  rcvNxt: u32,
  tsRecent: fc.oneof(fc.constant(0), u32),
  pure: fc.boolean(),
  sackCount: fc.nat(4),
  sack: fc.uint32Array({ minLength: 8, maxLength: 8 }),
});

const replies = record<Reply>({
  kind: fc.constantFrom(...REPLY_KINDS),
  errno: fc.oneof(fc.constant(0), u16),
  affected: count,
  columns: fc.oneof(fc.constant(0), u16),
  rows: count,
  octets: count,
  hash: fc.oneof(fc.constant(0), u32),
  hashUnordered: fc.oneof(fc.constant(0), u32),
  statementId: fc.oneof(fc.constant(0), u32),
  params: fc.oneof(fc.constant(0), u16),
  status: fc.oneof(fc.constant(0), u16),
  insertId: count,
  at: fc.constant(0),
});

const messages = fc.option(fc.string({ unit: 'binary', maxLength: 128 }), { nil: undefined });

/** The one message in `writer`, read. */
function only<T>(
  writer: MessageWriter,
  read: (type: number, view: DataView, octets: Uint8Array, at: number, length: number) => T,
): T {
  const told: T[] = [];
  const reader = new MessageReader((...message) => told.push(read(...message)));
  assert.ok(reader.feed(writer.take()));
  assert.equal(told.length, 1);
  return told[0];
}

describe('what relay messages carry', () => {
  test('answers, with their state and age', () => {
    const fields = new ReplyFields();
    const progress = new RelayedProgress();
    fc.assert(
      fc.property(progresses, replies, messages, fc.nat(0xffff_ffff), (state, found, message, ageUs) => {
        const reply = message === undefined ? found : { ...found, message };
        const writer = new MessageWriter(16);
        writeReply(writer, 7, state, reply, ageUs / 1000);
        only(writer, (type, view, _octets, at, length) => {
          assert.equal(type, MESSAGE.reply);
          const from = progress.read(view, at, length);
          assert.deepEqual(fields.read(view, from, at + length, progress.own), reply);
          assert.equal(Math.round(fields.ageMs * 1000), ageUs);
          const { sack, ...rest } = state;
          assert.deepEqual(
            { ...rest, sack: [...sack.subarray(0, 2 * state.sackCount)] },
            {
              ack: progress.ack,
              window: progress.window,
              rcvNxt: progress.rcvNxt,
              tsRecent: progress.tsRecent,
              pure: progress.pure,
              sackCount: progress.sackCount,
              sack: [...progress.sack.subarray(0, 2 * progress.sackCount)],
            },
          );
        });
      }),
      { seed: 3, numRuns: 1000 },
    );
  });

  test('an everyday answer is short', () => {
    const state = { ...PROGRESS, tsRecent: 4 };
    const reply: Reply = {
      kind: 'rows',
      errno: 0,
      affected: 0,
      columns: 1,
      rows: 1,
      octets: 190,
      hash: 1,
      hashUnordered: 2,
      statementId: 0,
      params: 0,
      status: 2,
      insertId: 0,
      at: 0,
    };
    const writer = new MessageWriter();
    writeReply(writer, 7, state, reply, 0.05);
    assert.equal(writer.take().length, 38);
    writeReply(
      writer,
      7,
      state,
      { ...reply, kind: 'ok', columns: 0, rows: 0, hash: 0, hashUnordered: 0 },
      0.05,
    );
    assert.equal(writer.take().length, 27);
  });

  test('an answer or a state that is cut short is none, and never throws', () => {
    const progress = new RelayedProgress();
    const fields = new ReplyFields();
    fc.assert(
      fc.property(
        progresses,
        replies,
        fc.nat(40),
        fc.uint8Array({ maxLength: 8 }),
        (state, reply, cut, noise) => {
          const writer = new MessageWriter();
          writeReply(writer, 7, state, reply, 1);
          const whole = writer.take();
          const octets = whole.slice(0, Math.max(21, whole.length - cut - 1));
          const view = new DataView(octets.buffer);
          const from = progress.read(view, 0, octets.length);
          if (from >= 0) assert.equal(fields.read(view, from, octets.length, progress.own), undefined);
          octets.set(noise.subarray(0, octets.length - 8), 8);
          octets[3] = noise[0] ?? 0xff;
          const again = progress.read(view, 0, octets.length);
          if (again >= 0) fields.read(view, again, octets.length, progress.own);
        },
      ),
      { seed: 4, numRuns: 1000 },
    );
  });

  test('flows of both IP versions, and where they stand', () => {
    const addresses = (family: 4 | 6) =>
      fc
        .uint8Array({ minLength: family === 4 ? 4 : 16, maxLength: family === 4 ? 4 : 16 })
        .map((octets) => addressFromOctets(octets, 0, family));
    const tuples = fc
      .constantFrom(4 as const, 6 as const)
      .chain((family) => fc.tuple(addresses(family), u16, addresses(family), u16))
      .map(([client, clientPort, target, targetPort]) => new Tuple(client, clientPort, target, targetPort));
    const resumptions = record<Resumption>({
      iss: u32,
      rcvNxt: u32,
      ack: u32,
      tsVal: u32,
      tsRecent: u32,
      peer: record({
        mss: fc.oneof(fc.constant(-1), fc.integer({ min: 1, max: 0xffff })),
        shift: fc.integer({ min: -1, max: 14 }),
        sackPermitted: fc.boolean(),
        timestamps: fc.boolean(),
      }),
      commandPhase: fc.option(record({ capabilities: u32, extendedCapabilities: u32 }), {
        nil: undefined,
      }),
      expect: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
      state: fc.option(fc.uint8Array({ minLength: 1, maxLength: 300 }), { nil: undefined }),
    });
    const fields = new FlowFields();
    const parts = ({ client, clientPort, target, targetPort }: Tuple) => [
      client.text,
      clientPort,
      target.text,
      targetPort,
    ];
    fc.assert(
      fc.property(tuples, resumptions, (tuple, from) => {
        const writer = new MessageWriter(16);
        writeRegister(writer, 1, tuple, from.iss);
        only(writer, (type, view, octets, at) => {
          assert.equal(type, MESSAGE.register);
          assert.deepEqual(parts(fields.tuple(view, octets, at)!), parts(tuple));
          assert.equal(fields.iss(view, at), from.iss);
        });
        writeResume(writer, 1, tuple, from);
        only(writer, (type, view, octets, at, length) => {
          assert.equal(type, MESSAGE.resume);
          assert.deepEqual(parts(fields.tuple(view, octets, at)!), parts(tuple));
          const read = fields.resumption(view, octets, at, length);
          assert.deepEqual({ ...read, state: read.state && new Uint8Array(read.state) }, from);
        });
      }),
      { seed: 5, numRuns: 500 },
    );
  });

  test('a state alone takes 18 octets, and timestamps 4 more', () => {
    const writer = new MessageWriter();
    beginState(writer, MESSAGE.acked, 0, 1, PROGRESS, 0);
    assert.equal(writer.take().length, 18);
    beginState(writer, MESSAGE.acked, 0, 1, { ...PROGRESS, tsRecent: 9 }, 0);
    assert.equal(writer.take().length, 22);
  });
});
