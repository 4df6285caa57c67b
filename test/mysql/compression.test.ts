import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { Compressor, compress as compressZstd } from 'zstd-napi';
import { PacketAssembler } from '../../src/mysql/assembler.ts';
import { inBoth } from '../../src/mysql/capabilities.ts';
import { EXPECT, expectOf } from '../../src/mysql/command.ts';
import { type CompressionMethod, Decompressor, isCompressed } from '../../src/mysql/compression.ts';
import { parseClientHello, parseGreeting } from '../../src/mysql/handshake.ts';
import type { Reply } from '../../src/mysql/reply.ts';
import { ReplyReader } from '../../src/mysql/reply-reader.ts';
import { sessionTurns } from '../flow/support/capture.ts';
import { packets } from './support/packets.ts';

const METHODS: CompressionMethod[] = ['zlib', 'zstd'];

/** One compressed packet as it goes on the wire; `lengthBefore` 0: `payload` is not compressed. */
function packet(sequenceId: number, payload: Uint8Array, lengthBefore: number): Uint8Array {
  const header = [payload.length, lengthBefore].map((n) => [n & 0xff, (n >> 8) & 0xff, n >> 16]);
  return new Uint8Array(Buffer.concat([Uint8Array.of(...header[0], sequenceId, ...header[1]), payload]));
}

const pack = { zlib: deflateSync, zstd: compressZstd };

/** What a sender makes of `plain`. */
function compressed(method: CompressionMethod, sequenceId: number, plain: Uint8Array): Uint8Array {
  return packet(sequenceId, pack[method](plain), plain.length);
}

const stored = (sequenceId: number, plain: Uint8Array) => packet(sequenceId, plain, 0);

interface Read {
  /** Copies of what `plain` was told, call by call. */
  pieces: Buffer[];
  answers: boolean[];
  decompressor: Decompressor;
}

/** What comes out when `octets` go in, cut at `cuts`. Fed octets are spoilt afterwards, as a capture's block is. */
function read(method: CompressionMethod, octets: Uint8Array, cuts: number[] = []): Read {
  const pieces: Buffer[] = [];
  const decompressor = new Decompressor(method, (plain, from, to) => {
    pieces.push(Buffer.from(plain.subarray(from, to)));
  });
  const answers: boolean[] = [];
  let from = 0;
  for (const to of [...cuts, octets.length]) {
    const block = new Uint8Array(octets.length + 8).fill(0xee);
    block.set(octets.subarray(from, to), 5);
    answers.push(decompressor.feed(block, 5, 5 + to - from));
    block.fill(0xee);
    from = to;
  }
  return { pieces, answers, decompressor };
}

const same = (pieces: Buffer[], expected: Uint8Array[]) =>
  assert.deepEqual(
    pieces,
    expected.map((one) => Buffer.from(one)),
  );

test('any payloads, compressed or not, cut anywhere, come back one for one', () => {
  const payloads = fc.array(
    fc.record({
      plain: fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 400 }),
        fc.nat(200_000).map((n) => new Uint8Array(n + 1).fill(n)),
      ),
      compress: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...METHODS),
      payloads,
      fc.array(fc.nat(), { maxLength: 8 }),
      (method, list, points) => {
        const each = list.map(({ plain, compress }, i) =>
          compress ? compressed(method, i, plain) : stored(i, plain),
        );
        const octets = new Uint8Array(Buffer.concat(each));
        const cuts = points.map((point) => point % (octets.length + 1)).sort((a, b) => a - b);
        const { pieces, answers, decompressor } = read(method, octets, cuts);
        same(
          pieces,
          list.map(({ plain }) => plain),
        );
        assert.ok(answers.every(Boolean));
        assert.equal(decompressor.heldOctets, 0);
      },
    ),
    { numRuns: 60 },
  );
});

test('every cut into two and every octet alone', () => {
  const plain = [Buffer.from('select 1'), Buffer.alloc(300, 'row'), Buffer.from('x'), Buffer.alloc(90, 7)];
  for (const method of METHODS) {
    const octets = new Uint8Array(
      Buffer.concat([
        stored(0, plain[0]),
        compressed(method, 1, plain[1]),
        stored(2, plain[2]),
        compressed(method, 3, plain[3]),
      ]),
    );
    for (let cut = 0; cut <= octets.length; cut++) same(read(method, octets, [cut]).pieces, plain);
    const all = Array.from({ length: octets.length }, (_, i) => i);
    same(read(method, octets, all).pieces, plain);
  }
});

test('what is not compressed and came whole is passed without a copy', () => {
  const octets = new Uint8Array(
    Buffer.concat([stored(0, Buffer.from('first')), stored(1, Buffer.from('2'))]),
  );
  const told: [Uint8Array, number, number][] = [];
  new Decompressor('zlib', (...piece) => told.push(piece)).feed(octets, 0, octets.length);
  assert.deepEqual(told, [
    [octets, 7, 12],
    [octets, 19, 20],
  ]);
  assert.equal(told[0][0], octets);
});

test('MySQL packets may span compressed packets, and the reverse; the largest have 16 MiB', () => {
  const plain = packets(0, new Uint8Array(20_000_000).fill(3), Buffer.from('two'), Buffer.from('three'));
  const octets = Buffer.concat([
    stored(0, plain.subarray(0, 2)),
    compressed('zlib', 1, plain.subarray(2, 2 + 0xffffff)),
    stored(2, plain.subarray(2 + 0xffffff, 17_000_000)),
    compressed('zlib', 3, plain.subarray(17_000_000)),
  ]);
  const assembler = new PacketAssembler(1 << 26);
  const sizes: number[] = [];
  const decompressor = new Decompressor('zlib', (piece, from, to) => {
    for (let at = from; at < to; ) {
      at = assembler.take(piece, at, to);
      if (assembler.whole) sizes.push(assembler.end - assembler.start);
    }
  });
  assert.equal(decompressor.feed(octets, 0, octets.length), true);
  assert.deepEqual(sizes, [20_000_000 + 8, 3 + 4, 5 + 4]);
});

test('a zstd frame that does not say its size', () => {
  const compressor = new Compressor();
  compressor.setParameters({ contentSizeFlag: false });
  const plain = Buffer.alloc(5000, 'abc');
  same(read('zstd', packet(0, compressor.compress(plain), plain.length)).pieces, [plain]);
});

test('another length than the header says, damage, or nothing at all: false, and nothing more until reset', () => {
  const plain = Buffer.alloc(500, 'mytape');
  for (const method of METHODS) {
    const packed = new Uint8Array(pack[method](plain));
    const good = packet(0, packed, plain.length);
    const bad = {
      'more than it says': packet(0, packed, plain.length - 1),
      'less than it says': packet(0, packed, plain.length + 1),
      'a thousandth of what it makes': packet(0, pack[method](Buffer.alloc(10_000_000)), 10_000),
      'cut short': packet(0, packed.subarray(0, -5), plain.length),
      'not compressed': packet(0, plain, plain.length),
      'no payload': packet(0, new Uint8Array(0), 0),
      'no payload, but a length': packet(0, new Uint8Array(0), 9),
    };
    for (const [what, octets] of Object.entries(bad)) {
      for (const cuts of [[], [3], [7], [octets.length - 1]]) {
        const { pieces, answers, decompressor } = read(method, octets, cuts);
        assert.equal(answers.at(-1), false, `${method}: ${what}`);
        assert.equal(pieces.length, 0, `${method}: ${what}`);
        assert.equal(decompressor.heldOctets, 0);
        assert.equal(decompressor.feed(good, 0, good.length), false);
        assert.equal(pieces.length, 0);
        decompressor.reset();
        assert.equal(decompressor.feed(good, 0, good.length), true);
        same(pieces, [plain]);
      }
    }
  }
});

test('what makes more than its header says is not decompressed to its end', () => {
  for (const method of METHODS) {
    const bomb = packet(0, pack[method](Buffer.alloc(100_000_000)), 10_000);
    const decompressor = new Decompressor(method, () => assert.fail('told'));
    const before = process.memoryUsage().arrayBuffers;
    assert.equal(decompressor.feed(bomb, 0, bomb.length), false);
    assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
  }
});

test('reset forgets an unfinished packet, also while a packet is told', () => {
  const one = compressed('zlib', 0, Buffer.alloc(100, 1));
  const { pieces, decompressor } = read('zlib', one.subarray(0, 9));
  assert.equal(decompressor.heldOctets, 9);
  decompressor.reset();
  assert.equal(decompressor.heldOctets, 0);
  assert.equal(decompressor.feed(one, 0, one.length), true);
  assert.equal(pieces.length, 1);

  let told = 0;
  const resetting = new Decompressor('zlib', () => {
    told++;
    resetting.reset();
  });
  const two = Buffer.concat([one, one, one.subarray(0, 9)]);
  assert.equal(resetting.feed(two, 0, 10), true);
  assert.equal(resetting.feed(two, 10, two.length), true);
  assert.equal(told, 2, 'what follows in the same octets is read on');
  assert.equal(resetting.heldOctets, 9);
});

test('hostile octets: no exception, no more output than the header says', () => {
  for (const method of METHODS) {
    const real = compressed(method, 0, Buffer.alloc(2000, 'hostile'));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc
            .array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
            .map((changes) => {
              const spoilt = real.slice();
              for (const [at, value] of changes) spoilt[at] = value;
              return spoilt;
            }),
        ),
        fc.nat(),
        (octets, point) => {
          const { pieces, decompressor } = read(method, octets, [point % (octets.length + 1)]);
          // Of one packet, that is; a second one's header is wherever the first one's length ends.
          if (pieces.length > 0) {
            const said = octets[4] | (octets[5] << 8) | (octets[6] << 16);
            assert.equal(pieces[0].length, said || octets[0] | (octets[1] << 8) | (octets[2] << 16));
          }
          assert.ok(decompressor.heldOctets <= octets.length);
        },
      ),
      { seed: 1, numRuns: 3000 },
    );
  }
});

test('isCompressed: whole packets only, with sequence ids that follow', () => {
  const plain = Buffer.from('select 1');
  const chain = (...ids: number[]) =>
    new Uint8Array(Buffer.concat([...ids.map((id) => stored(id, plain)), Buffer.alloc(3)]));
  const check = (octets: Uint8Array, sequenceId: number, spare = 3) =>
    isCompressed(octets, 0, octets.length - spare, sequenceId);
  assert.ok(check(chain(0), 0));
  assert.ok(check(chain(1), 1));
  assert.ok(check(chain(254, 255, 0, 1), 254), 'they go round');
  assert.ok(check(chain(1, 2, 1, 2, 3, 1), 1), 'the next command and answer begin anew');
  assert.ok(!check(chain(1), 0));
  assert.ok(!check(chain(1, 3), 1));
  assert.ok(!check(chain(0, 1), 0, 4), 'the last one is cut');
  assert.ok(!check(chain(0, 1), 0, 2), 'something stands behind it');
  assert.ok(!check(new Uint8Array(3), 0), 'nothing at all');
  assert.ok(!check(Buffer.concat([stored(0, new Uint8Array(0)), Buffer.alloc(3)]), 0), 'no payload');
});

test('real traffic: mariadb --compress, read to the last answer', async () => {
  const turns = await sessionTurns('mariadb-compressed');
  const [greetingTurn, responseTurn, okTurn, ...rest] = turns.map(({ octets }) => octets);
  assert.equal(okTurn[4], 0, 'the login is not compressed yet');
  const greeting = parseGreeting(greetingTurn, 0, greetingTurn.length)!;
  const hello = parseClientHello(responseTurn, 0, responseTurn.length);
  assert.ok(hello.type === 'response');

  const statements: string[] = [];
  const replies: Reply[] = [];
  const reader = new ReplyReader({
    packet: () => {},
    reply: (reply) => replies.push(reply),
    desync: () => assert.fail('an answer cannot be read'),
  });
  reader.commandPhase(
    inBoth(hello.response.capabilities, greeting.capabilities),
    inBoth(hello.response.extendedCapabilities, greeting.extendedCapabilities),
  );
  const assembler = new PacketAssembler(1 << 26);
  const client = new Decompressor('zlib', (octets, from, to) => {
    for (let at = from; at < to; ) {
      at = assembler.take(octets, at, to);
      if (!assembler.whole || reader.wantsData) continue;
      const command = assembler.owned();
      statements.push(Buffer.from(command.subarray(5)).toString());
      const shape = expectOf(command[4]);
      if (shape !== EXPECT.none) reader.expect(shape);
    }
  });
  const server = new Decompressor('zlib', (octets, from, to) => reader.feed(octets, from, to, 0));
  let begins = 0;
  rest.forEach((octets, i) => {
    const { fromClient } = turns[i + 3];
    if (isCompressed(octets, 0, octets.length, fromClient ? 0 : 1)) begins++;
    assert.equal((fromClient ? client : server).feed(octets, 0, octets.length), true);
  });

  assert.equal(client.heldOctets + server.heldOctets + assembler.heldOctets, 0);
  assert.deepEqual(
    statements.map((text) => text.slice(0, 12)),
    [
      ...Array(5).fill('select name '),
      'select seq, ',
      'select nonse',
      'insert into ',
      'load data lo',
      'select * fro',
      'select lengt',
      '',
    ],
  );
  assert.equal(statements[7].length, "insert into noise values (1, '')".length + 781 * 128);
  assert.deepEqual(
    replies.map(({ kind, errno, affected, rows }) => [kind, errno, affected, rows]),
    [
      ...Array(5).fill(['rows', 0, 0, 1]),
      ['rows', 0, 0, 1000],
      ['err', 1146, 0, 0],
      ['ok', 0, 1, 0],
      ['infile', 0, 2, 0],
      ['rows', 0, 0, 20],
      ['rows', 0, 0, 1],
    ],
  );
  assert.ok(replies[5].octets > 200_000);
  // Both sides' first segments of each exchange: 10 short commands, QUIT, and the answers that came in one piece.
  assert.ok(begins >= 18, `${begins} segments where reading could begin again`);
});
