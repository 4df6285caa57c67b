import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLIENT, EXTENDED } from '../../src/mysql/capabilities.ts';
import { EXPECT } from '../../src/mysql/command.ts';
import type { Reply } from '../../src/mysql/reply.ts';
import { ReplyReader } from '../../src/mysql/reply-reader.ts';
import { column, eof, err, ok, okAsEof, packets, payload, readAnswers, row } from './support/packets.ts';

const MORE = 2 | 8;
const CURSOR = 2 | 0x40;

interface Script {
  name: string;
  octets: Uint8Array;
  shapes: number[];
  capabilities?: number;
  extendedCapabilities?: number;
  replies: Partial<Reply>[];
}

const twoRows = [row('1', 'a'), row('2', 'b')];

/** Byte sequences as the manual has them; the golden captures hold what MariaDB itself says (dialogue.test.ts). */
const SCRIPTS: Script[] = [
  {
    name: 'OK',
    octets: packets(1, ok(3)),
    shapes: [EXPECT.result],
    replies: [{ kind: 'ok', affected: 3, octets: 11, status: 2 }],
  },
  {
    name: 'ERR',
    octets: packets(1, err(1064)),
    shapes: [EXPECT.result],
    replies: [{ kind: 'err', errno: 1064, message: 'no', status: 0 }],
  },
  {
    name: 'an OK with large numbers and a message',
    octets: packets(1, payload(0, 0xfd, 1, 2, 3, 0xfe, new Uint8Array(8), 2, 0, 0, 0, 'Rows matched: 1')),
    shapes: [EXPECT.result],
    replies: [{ kind: 'ok', affected: 0x030201 }],
  },
  {
    name: 'rows, with EOF',
    octets: packets(1, payload(2), column('a'), column('b'), eof(), ...twoRows, eof(0x8021)),
    shapes: [EXPECT.result],
    replies: [{ kind: 'rows', columns: 2, rows: 2, status: 0x8021 }],
  },
  {
    name: 'rows, without EOF (scripted: CLIENT_DEPRECATE_EOF)',
    octets: packets(1, payload(2), column('a'), column('b'), ...twoRows, okAsEof(3)),
    shapes: [EXPECT.result],
    capabilities: CLIENT.deprecateEof,
    replies: [{ kind: 'rows', columns: 2, rows: 2, status: 3 }],
  },
  {
    name: 'several results, the last of them an error',
    octets: packets(
      1,
      payload(1),
      column('a'),
      eof(MORE),
      row('1'),
      eof(MORE),
      ok(4, MORE),
      ok(1, MORE),
      err(1146),
    ),
    shapes: [EXPECT.result],
    replies: [{ kind: 'err', errno: 1146, rows: 1, columns: 1, affected: 5, status: 0 }],
  },
  {
    name: 'an error among the rows',
    octets: packets(1, payload(1), column('a'), eof(), row('1'), err(1317)),
    shapes: [EXPECT.result],
    replies: [{ kind: 'err', errno: 1317, rows: 1 }],
  },
  {
    name: 'rows without definitions (scripted: MariaDB CACHE_METADATA), EOF kept',
    octets: packets(1, payload(2, 0), eof(), ...twoRows, eof()),
    shapes: [EXPECT.result],
    extendedCapabilities: EXTENDED.cacheMetadata,
    replies: [{ kind: 'rows', columns: 2, rows: 2 }],
  },
  {
    name: 'rows without definitions (scripted: MySQL optional metadata), no EOF',
    octets: packets(1, payload(2, 0), ...twoRows, okAsEof()),
    shapes: [EXPECT.result],
    capabilities: CLIENT.optionalResultsetMetadata | CLIENT.deprecateEof,
    replies: [{ kind: 'rows', columns: 2, rows: 2 }],
  },
  {
    name: 'rows with definitions where they are optional (scripted: MySQL)',
    octets: packets(1, payload(1, 1), column('a'), row('x'), okAsEof()),
    shapes: [EXPECT.result],
    capabilities: CLIENT.optionalResultsetMetadata | CLIENT.deprecateEof,
    replies: [{ kind: 'rows', columns: 1, rows: 1 }],
  },
  {
    name: 'a statement prepared: parameters and columns, with EOF',
    octets: packets(
      1,
      payload(0, 7, 0, 0, 1, 1, 0, 2, 0, 0, 0, 0),
      column('?'),
      column('?'),
      eof(),
      column('a'),
      eof(),
    ),
    shapes: [EXPECT.prepare],
    replies: [{ kind: 'ok', statementId: 0x01000007, columns: 1, params: 2, status: 0 }],
  },
  {
    name: 'a statement prepared, without EOF (scripted: CLIENT_DEPRECATE_EOF)',
    octets: packets(1, payload(0, 7, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0), column('?'), column('?'), column('a')),
    shapes: [EXPECT.prepare],
    capabilities: CLIENT.deprecateEof,
    replies: [{ kind: 'ok', statementId: 7, columns: 1, params: 2 }],
  },
  {
    name: 'a statement prepared, without definitions (scripted: MySQL optional metadata)',
    octets: packets(1, payload(0, 8, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0)),
    shapes: [EXPECT.prepare],
    capabilities: CLIENT.optionalResultsetMetadata,
    replies: [{ kind: 'ok', statementId: 8, columns: 1, params: 2 }],
  },
  {
    name: 'a statement prepared that has neither, and one that fails',
    octets: new Uint8Array([
      ...packets(1, payload(0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
      ...packets(1, err(1064)),
    ]),
    shapes: [EXPECT.prepare, EXPECT.prepare],
    replies: [
      { kind: 'ok', statementId: 9 },
      { kind: 'err', errno: 1064, statementId: 0 },
    ],
  },
  {
    name: 'a cursor, then rows fetched from it, with EOF',
    octets: new Uint8Array([
      ...packets(1, payload(2), column('a'), column('b'), eof(CURSOR)),
      ...packets(1, ...twoRows, eof(2 | 0x80)),
    ]),
    shapes: [EXPECT.result, EXPECT.fetch],
    replies: [
      { kind: 'rows', columns: 2, rows: 0 },
      { kind: 'rows', columns: 0, rows: 2 },
    ],
  },
  {
    name: 'a cursor, then rows fetched from it, without EOF (scripted: CLIENT_DEPRECATE_EOF)',
    octets: new Uint8Array([
      ...packets(1, payload(1), column('a'), okAsEof(CURSOR)),
      ...packets(1, payload(0, 0, 1, 'x'), okAsEof(2 | 0x80)),
    ]),
    shapes: [EXPECT.result, EXPECT.fetch],
    capabilities: CLIENT.deprecateEof,
    replies: [
      { kind: 'rows', columns: 1, rows: 0 },
      { kind: 'rows', rows: 1 },
    ],
  },
  {
    name: "a file asked for, MariaDB's reports of progress, then the OK in the client's sequence",
    octets: new Uint8Array([
      ...packets(1, payload(0xfb, '/tmp/items.tsv')),
      ...packets(4, payload(0xff, 0xff, 0xff, 1, 1, 1, 0, 0, 0, 0), ok(2)),
    ]),
    shapes: [EXPECT.result],
    replies: [{ kind: 'infile', errno: 0, affected: 2 }],
  },
  {
    name: 'COM_STATISTICS, COM_FIELD_LIST, COM_SET_OPTION',
    octets: new Uint8Array([
      ...packets(1, payload('Uptime: 1  Threads: 2')),
      ...packets(1, column('a'), column('b'), eof()),
      ...packets(1, eof()),
    ]),
    shapes: [EXPECT.text, EXPECT.fieldList, EXPECT.result],
    replies: [{ kind: 'text' }, { kind: 'rows', columns: 2, rows: 0 }, { kind: 'ok' }],
  },
  {
    name: 'COM_CHANGE_USER with an AuthSwitchRequest, whose answer takes a place in the sequence',
    octets: new Uint8Array([
      ...packets(1, payload(0xfe, 'mysql_native_password', 0, new Uint8Array(21))),
      ...packets(3, ok()),
    ]),
    shapes: [EXPECT.auth],
    replies: [{ kind: 'ok' }],
  },
];

test("an error's message, of a packet that comes whole; without SQLSTATE before the protocol of 4.1", () => {
  const messageOf = (packet: Uint8Array) => {
    const [reply] = readAnswers(packets(1, packet), [EXPECT.result]).replies;
    return reply.message;
  };
  assert.equal(
    messageOf(err(1146, "Table 'shop.bücher' doesn't exist")),
    "Table 'shop.bücher' doesn't exist",
  );
  assert.equal(messageOf(payload(0xff, 1, 4, 'Too many')), 'Too many');
  assert.equal(messageOf(payload(0xff, 1, 4)), undefined);
  assert.equal(messageOf(err(1105, 'x'.repeat(513))), undefined);
});

for (const { name, octets, shapes, replies, ...options } of SCRIPTS) {
  test(`${name}: read whole, and the same however it is cut`, () => {
    const whole = readAnswers(octets, shapes, options);
    assert.equal(whole.desyncs, 0);
    assert.equal(whole.pending, 0);
    const told = whole.replies.map((reply, i) =>
      Object.fromEntries(Object.keys(replies[i] ?? {}).map((key) => [key, reply[key as keyof Reply]])),
    );
    assert.deepEqual(told, replies);
    assert.equal(
      whole.replies.reduce((sum, reply) => sum + reply.octets, 0),
      octets.length,
    );
    for (let piece = 1; piece < octets.length; piece++) {
      assert.deepEqual(
        readAnswers(octets, shapes, { ...options, piece }).replies,
        whole.replies,
        `in ${piece}s`,
      );
    }
  });
}

test('a row of 16 MiB and one that ends on a packet boundary count once each', () => {
  const big = payload(0xfe, 3, 0, 0, 1, 0, 0, 0, 0, new Uint8Array(0x1000003).fill(120));
  const edge = payload(0xfd, new Uint8Array(0xffffff - 1).fill(121));
  const octets = packets(1, payload(1), column('a'), eof(), big, edge, row('z'), eof());
  const whole = readAnswers(octets, [EXPECT.result]);
  assert.equal(whole.replies[0].rows, 3);
  assert.equal(whole.replies[0].octets, octets.length);
  for (const piece of [1_000_003, 0xffffff, 0x1000003]) {
    assert.deepEqual(readAnswers(octets, [EXPECT.result], { piece }), whole);
  }
});

test('a hundred megabytes of rows cost no memory', () => {
  const replies: Reply[] = [];
  const reader = new ReplyReader({
    packet: () => {},
    reply: (reply) => replies.push(reply),
    desync: assert.fail,
  });
  reader.commandPhase(0, 0);
  reader.expect(EXPECT.result);
  const head = packets(1, payload(1), column('a'), eof());
  reader.feed(head, 0, head.length, 0);
  const value = payload(0xfc, 0x00, 0x40, new Uint8Array(0x4000).fill(97));
  let sequenceId = 4;
  const before = process.memoryUsage();
  for (let i = 0; i < 6400; i++) {
    const one = packets(sequenceId++ & 255, value);
    reader.feed(one, 0, 1000, 0);
    reader.feed(one, 1000, one.length, 0);
  }
  assert.equal(reader.heldOctets, 0);
  const last = packets(sequenceId & 255, eof());
  reader.feed(last, 0, last.length, 5);
  assert.equal(replies[0].rows, 6400);
  assert.ok(replies[0].octets > 100e6);
  assert.ok(process.memoryUsage().heapUsed - before.heapUsed < 30e6);
});

test('hashes: the same rows in another order differ in the one and agree in the other', () => {
  const answer = (...rows: Uint8Array[]) =>
    packets(1, payload(2), column('a'), column('b'), eof(), ...rows, eof());
  const [one] = readAnswers(answer(twoRows[0], twoRows[1]), [EXPECT.result]).replies;
  const [other] = readAnswers(answer(twoRows[1], twoRows[0]), [EXPECT.result]).replies;
  assert.notEqual(one.hash, other.hash);
  assert.equal(one.hashUnordered, other.hashUnordered);
  const [third] = readAnswers(answer(twoRows[0], twoRows[0]), [EXPECT.result]).replies;
  assert.notEqual(one.hashUnordered, third.hashUnordered);
});

test('octets ahead of their command are held for it; each answer has the time of its own last octet', () => {
  const replies: Reply[] = [];
  const reader = new ReplyReader({
    packet: () => {},
    reply: (reply) => replies.push(reply),
    desync: assert.fail,
  });
  reader.commandPhase(0, 0);
  const first = packets(1, payload(1), column('a'), eof(), row('1'), eof());
  const octets = new Uint8Array([...first, ...packets(1, ok())]);
  reader.feed(octets, 0, 10, 1);
  reader.feed(octets, 10, first.length + 4, 2);
  reader.feed(octets, first.length + 4, octets.length, 3);
  assert.equal(reader.heldOctets, octets.length);
  reader.expect(EXPECT.none);
  assert.equal(replies.length, 0);
  reader.expect(EXPECT.result);
  assert.deepEqual(
    replies.map(({ kind, at }) => [kind, at]),
    [['rows', 2]],
  );
  reader.expect(EXPECT.result);
  assert.deepEqual(
    replies.map(({ kind, at }) => [kind, at]),
    [
      ['rows', 2],
      ['ok', 3],
    ],
  );
  assert.equal(reader.heldOctets, 0);
  assert.equal(reader.pending, 0);
});

test('the sink may expect the next answer from within the one just told', () => {
  let told = 0;
  const reader = new ReplyReader({
    packet: () => {},
    reply: () => {
      if (++told < 3) reader.expect(EXPECT.result);
    },
    desync: assert.fail,
  });
  reader.commandPhase(0, 0);
  const octets = new Uint8Array([1, 2, 3].flatMap(() => [...packets(1, ok())]));
  reader.feed(octets, 0, octets.length, 0);
  reader.expect(EXPECT.result);
  assert.equal(told, 3);
  assert.equal(reader.heldOctets, 0);
});

test('before the command phase packets come whole; the rest of the same octets is read as answers', () => {
  const login = [packets(0, payload(10, 'greeting')), packets(2, ok())];
  const octets = new Uint8Array(Buffer.concat([...login, packets(1, ok(5))]));
  for (let piece = 1; piece <= octets.length; piece++) {
    const seen: Uint8Array[] = [];
    const replies: Reply[] = [];
    const reader = new ReplyReader({
      packet: (from, start, end) => {
        seen.push(from.slice(start, end));
        if (seen.length === 2) reader.commandPhase(0, 0);
      },
      reply: (reply) => replies.push(reply),
      desync: assert.fail,
    });
    for (let at = 0; at < octets.length; at += piece)
      reader.feed(octets, at, Math.min(octets.length, at + piece), 0);
    reader.expect(EXPECT.result);
    assert.deepEqual(seen, login);
    assert.deepEqual(
      replies.map(({ affected }) => affected),
      [5],
    );
  }
});

for (const [what, octets] of Object.entries({
  'a packet out of sequence': packets(1, payload(1), column('a')).with(payload(1).length + 4 + 3, 9),
  'an empty packet': packets(1, payload()),
  'a column count of the wrong length': packets(1, payload(1, 1, 1)),
  'an OK cut short': packets(1, payload(0, 0, 0)),
  'an ERR cut short': packets(1, payload(0xff, 1)),
  'no EOF behind the definitions': packets(1, payload(1), column('a'), row('x')),
})) {
  test(`${what} is a desync, told once; resync begins anew`, () => {
    let desyncs = 0;
    const replies: Reply[] = [];
    const reader = new ReplyReader({
      packet: () => {},
      reply: (reply) => replies.push(reply),
      desync: () => desyncs++,
    });
    reader.commandPhase(0, 0);
    reader.expect(EXPECT.result);
    reader.feed(octets, 0, octets.length, 0);
    reader.feed(octets, 0, octets.length, 0);
    reader.expect(EXPECT.result);
    assert.equal(desyncs, 1);
    assert.equal(reader.pending, 0);
    reader.resync();
    reader.expect(EXPECT.result);
    const next = packets(1, ok());
    reader.feed(next, 0, next.length, 0);
    assert.equal(replies.length, 1);
  });
}

for (const { name, octets, shapes, capabilities = 0, extendedCapabilities = 0, replies } of SCRIPTS) {
  test(`${name}: saved and restored at every octet, another reader goes on`, () => {
    for (let cut = 0; cut <= octets.length; cut++) {
      const told: Reply[] = [];
      const sink = {
        packet: () => {},
        reply: (reply: Reply) => told.push(reply),
        desync: () => assert.fail('desync'),
      };
      const first = new ReplyReader(sink);
      first.commandPhase(capabilities, extendedCapabilities);
      for (const shape of shapes) first.expect(shape);
      first.feed(octets, 0, cut, 7);
      const second = new ReplyReader(sink);
      assert.ok(second.restore(first.save(), 7));
      second.commandPhase(capabilities, extendedCapabilities);
      assert.deepEqual([second.pending, second.midway], [first.pending, first.midway], `at ${cut}`);
      second.feed(octets, cut, octets.length, 7);
      const whole = readAnswers(octets, shapes, { capabilities, extendedCapabilities });
      assert.deepEqual(told, whole.replies, `at ${cut}`);
    }
    assert.ok(replies.length > 0);
  });
}

test('a login is saved and restored at every octet, and so is what came behind it', () => {
  const login = packets(0, payload(10, 'greeting'));
  const last = packets(2, ok());
  const answer = packets(1, payload(1), column('a'), eof(), row('x'), eof());
  const stream = new Uint8Array(Buffer.concat([login, last, answer]));
  for (let cut = 0; cut < stream.length; cut++) {
    const told: string[] = [];
    const sink = {
      packet: (octets: Uint8Array, from: number, to: number) =>
        told.push(`packet ${octets[from + 4]} ${to - from}`),
      reply: ({ kind, rows, at }: Reply) => told.push(`${kind} ${rows} ${at}`),
      desync: () => assert.fail('desync'),
    };
    const first = new ReplyReader(sink);
    first.feed(stream, 0, cut, 1);
    const second = new ReplyReader(sink);
    assert.ok(second.restore(first.save(), 2));
    second.feed(stream, cut, stream.length, 3);
    second.commandPhase(0, 0, EXPECT.result);
    assert.deepEqual(told, [`packet 10 ${login.length}`, `packet 0 ${last.length}`, 'rows 1 3'], `at ${cut}`);
  }
});

test('what is no state is answered false, and never throws', () => {
  const reader = () => new ReplyReader({ packet: () => {}, reply: () => {}, desync: () => {} });
  const saved = reader();
  saved.commandPhase(0, 0, EXPECT.result);
  const octets = packets(1, payload(1), column('a'));
  saved.feed(octets, 0, octets.length - 3, 0);
  const state = saved.save();
  for (let cut = 0; cut < state.length; cut++)
    assert.equal(reader().restore(state.subarray(0, cut), 0), false);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 60 }), (bad, more) => {
      const one = reader();
      one.restore(bad, 0);
      one.commandPhase(0, 0, EXPECT.result);
      one.feed(more, 0, more.length, 0);
    }),
    { numRuns: 2000, seed: 21 },
  );
});

test('while an answer is told, what came behind it is unread', () => {
  const octets = packets(1, ok(1));
  const three = new Uint8Array(Buffer.concat([octets, octets, octets]));
  const unread: number[] = [];
  const reader: ReplyReader = new ReplyReader({
    packet: () => {},
    reply: () => unread.push(reader.unread),
    desync: () => {},
  });
  reader.commandPhase(0, 0);
  reader.feed(three, 0, 5, 0);
  reader.feed(three, 5, three.length - 2, 0);
  reader.feed(three, three.length - 2, three.length, 0);
  for (let i = 0; i < 3; i++) reader.expect(EXPECT.result);
  assert.deepEqual(unread, [2 * octets.length, octets.length, 0], 'held for a command');
  unread.length = 0;
  for (let i = 0; i < 3; i++) reader.expect(EXPECT.result);
  reader.feed(three, 0, three.length - 2, 0);
  assert.deepEqual(unread, [2 * octets.length - 2, octets.length - 2], 'in one piece');
});

test('octets that nobody asked for are held up to a bound', () => {
  let desyncs = 0;
  const reader = new ReplyReader({ packet: () => {}, reply: () => {}, desync: () => desyncs++ });
  reader.commandPhase(0, 0);
  const octets = new Uint8Array(300_000);
  for (let i = 0; i < 10; i++) {
    reader.feed(octets, 0, octets.length, 0);
    assert.ok(reader.heldOctets <= 1024 * 1024);
  }
  assert.equal(desyncs, 1);
});

test('mutated answers never throw and never make it hold more than it may', () => {
  const scripts = fc.constantFrom(...SCRIPTS);
  const mutations = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(scripts, mutations, fc.integer({ min: 1, max: 50 }), (script, changes, piece) => {
      const octets = script.octets.slice();
      for (const [at, value] of changes) octets[at % octets.length] = value;
      const { heldOctets, desyncs } = readAnswers(octets, script.shapes, { ...script, piece });
      assert.ok(heldOctets <= octets.length);
      assert.ok(desyncs <= 1);
    }),
    { numRuns: 3000, seed: 20 },
  );
});
