import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type Conversation,
  converse,
  Listener,
  PEM,
  type Piece,
  recordsOf,
  requestFor,
} from './support/conversation.ts';

type Version = 'TLSv1.2' | 'TLSv1.3';
const VERSIONS: Version[] = ['TLSv1.2', 'TLSv1.3'];

const only = (version: Version, more: { ciphers?: string; ecdhCurve?: string } = {}) => ({
  minVersion: version,
  maxVersion: version,
  ...more,
});

function heard(real: Conversation): { client: Buffer; server: Buffer; state: string } {
  return { client: real.client, server: real.server, state: 'ok' };
}

const SUITES: [version: Version, ciphers: string, standardName: string][] = [
  ['TLSv1.2', 'ECDHE-RSA-AES128-GCM-SHA256', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'],
  ['TLSv1.2', 'ECDHE-RSA-AES256-GCM-SHA384', 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384'],
  ['TLSv1.2', 'ECDHE-RSA-CHACHA20-POLY1305', 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256'],
  ['TLSv1.2', 'AES128-GCM-SHA256', 'TLS_RSA_WITH_AES_128_GCM_SHA256'],
  ['TLSv1.2', 'AES256-GCM-SHA384', 'TLS_RSA_WITH_AES_256_GCM_SHA384'],
  ['TLSv1.2', 'AES128-CCM', 'TLS_RSA_WITH_AES_128_CCM'],
  ['TLSv1.2', 'AES256-CCM', 'TLS_RSA_WITH_AES_256_CCM'],
  ['TLSv1.2', 'AES128-CCM8', 'TLS_RSA_WITH_AES_128_CCM_8'],
  ['TLSv1.2', 'AES256-CCM8', 'TLS_RSA_WITH_AES_256_CCM_8'],
  ['TLSv1.3', 'TLS_AES_128_GCM_SHA256', 'TLS_AES_128_GCM_SHA256'],
  ['TLSv1.3', 'TLS_AES_256_GCM_SHA384', 'TLS_AES_256_GCM_SHA384'],
  ['TLSv1.3', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_CHACHA20_POLY1305_SHA256'],
  ['TLSv1.3', 'TLS_AES_128_CCM_SHA256', 'TLS_AES_128_CCM_SHA256'],
  ['TLSv1.3', 'TLS_AES_128_CCM_8_SHA256', 'TLS_AES_128_CCM_8_SHA256'],
];

describe('what OpenSSL says to itself is read', () => {
  for (const [version, ciphers, standardName] of SUITES) {
    test(`${version}, ${standardName}`, async () => {
      const limits = only(version, { ciphers });
      const real = await converse({ client: limits, server: limits });
      assert.equal(real.suite, standardName);
      const listener = new Listener(real.keyLog).feedAll(real.pieces);
      assert.deepEqual(listener.said, heard(real));
      assert.equal(listener.stream.heldOctets, 0);
    });
  }

  for (const version of VERSIONS) {
    test(`${version}, a resumed session`, async () => {
      const server = { ...only(version), ticketKeys: randomBytes(48) };
      const first = await converse({ client: only(version), server });
      assert.ok(first.session);
      const real = await converse({ client: { ...only(version), session: first.session }, server });
      assert.equal(real.resumed, true);
      assert.deepEqual(new Listener(real.keyLog).feedAll(real.pieces).said, heard(real));
    });
  }

  test('TLSv1.3, a HelloRetryRequest', async () => {
    const real = await converse({
      client: only('TLSv1.3', { ecdhCurve: 'X25519:P-384' }),
      server: only('TLSv1.3', { ecdhCurve: 'P-384' }),
    });
    assert.equal(
      recordsOf(real.pieces, true).filter((record) => record[0] === 22 && record[5] === 1).length,
      2,
      'two ClientHellos',
    );
    assert.deepEqual(new Listener(real.keyLog).feedAll(real.pieces).said, heard(real));
    const clientFirst = real.pieces.toSorted((a, b) => Number(b.fromClient) - Number(a.fromClient));
    assert.deepEqual(new Listener(real.keyLog).feedAll(clientFirst).said, heard(real));
  });

  test('TLSv1.2, negotiated anew', async () => {
    const real = await converse({
      client: only('TLSv1.2'),
      server: only('TLSv1.2'),
      requests: [requestFor(10, 'a'), requestFor(10, 'b'), requestFor(10, 'c')],
      between: (client, request) =>
        request !== 1
          ? Promise.resolve()
          : new Promise((resolve, reject) => {
              client.renegotiate({ rejectUnauthorized: false }, (error) =>
                error ? reject(error) : resolve(),
              );
            }),
    });
    assert.equal(real.keyLog.match(/CLIENT_RANDOM/g)?.length, 2);
    assert.deepEqual(new Listener(real.keyLog).feedAll(real.pieces).said, heard(real));
  });
});

/** A conversation of some length: records as large as they come, and small ones. */
function longOne(version: Version): Promise<Conversation> {
  return converse({
    client: only(version),
    server: only(version),
    requests: [
      requestFor(60_000, 'a'),
      requestFor(1, 'b', 40_000),
      ...Array.from({ length: 30 }, (_, i) => requestFor(i * 7 + 1, 'c', i)),
      requestFor(20_000, 'd'),
    ],
  });
}

for (const version of VERSIONS) {
  describe(`pieces, ${version}`, () => {
    let short: Conversation;
    let long: Conversation;
    before(async () => {
      const limits = only(version);
      short = await converse({ client: limits, server: limits });
      long = await longOne(version);
    });

    test('cut in two anywhere, a stream says the same', () => {
      for (const cut of short.pieces) {
        for (let at = 1; at < cut.octets.length; at++) {
          const listener = new Listener(short.keyLog);
          for (const piece of short.pieces) {
            if (piece === cut) listener.feed({ ...piece, octets: piece.octets.subarray(0, at) });
            listener.feed(piece === cut ? { ...piece, octets: piece.octets.subarray(at) } : piece);
          }
          assert.deepEqual(listener.said, heard(short));
        }
      }
    });

    test('octet by octet, too', () => {
      const octets = function* (): Generator<Piece> {
        for (const { fromClient, octets } of long.pieces) {
          for (let i = 0; i < octets.length; i++) yield { fromClient, octets: octets.subarray(i, i + 1) };
        }
      };
      const listener = new Listener(long.keyLog).feedAll(octets());
      assert.deepEqual(listener.said, heard(long));
      assert.ok(listener.heldOctets < 17_000, 'no more than a record is held');
    });

    test('cut at random, and with the directions out of step', () => {
      const streams = [true, false].map((fromClient) => ({
        fromClient,
        octets: Buffer.concat(long.pieces.filter((p) => p.fromClient === fromClient).map((p) => p.octets)),
      }));
      const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 1 }), fc.integer({ min: 1, max: 40_000 })), {
        minLength: 10,
        maxLength: 60,
      });
      fc.assert(
        fc.property(steps, (turns) => {
          const listener = new Listener(long.keyLog);
          const at = [0, 0];
          // The rest of both, in the end.
          for (const [i, octets] of [...turns, [0, 1e9], [1, 1e9]]) {
            const { fromClient, octets: all } = streams[i];
            const piece = all.subarray(at[i], at[i] + octets);
            at[i] += piece.length;
            listener.feed({ fromClient, octets: piece });
          }
          assert.deepEqual(listener.said, heard(long));
          assert.equal(listener.stream.heldOctets, 0);
        }),
        { numRuns: 60 },
      );
    });

    test('one direction waits for the other, but not for ever', () => {
      const of = (wanted: boolean) => short.pieces.filter(({ fromClient }) => fromClient === wanted);
      assert.deepEqual(new Listener(short.keyLog).feedAll([...of(true), ...of(false)]).said, heard(short));
      assert.deepEqual(new Listener(short.keyLog).feedAll([...of(false), ...of(true)]).said, heard(short));

      for (const size of [100, 60_000]) {
        const listener = new Listener(short.keyLog).feedAll(of(false));
        for (let i = 0; i < 5000 && listener.state === 'ok'; i++) {
          listener.feed({ fromClient: false, octets: new Uint8Array(size) });
        }
        assert.equal(listener.state, 'broken');
        assert.ok(listener.heldOctets <= 1024 * 1024);
        assert.equal(listener.stream.heldOctets, 0, 'what was held is given back');
      }
    });
  });

  describe(`gaps, ${version}`, () => {
    let real: Conversation;
    /** Records of one direction: where in its octets they begin, and what each of them says. */
    let said: { from: number; to: number; text: Buffer }[][];
    let streams: Buffer[];
    before(async () => {
      real = await longOne(version);
      said = [true, false].map((fromClient) => {
        const listener = new Listener(real.keyLog).feedAll(
          real.pieces.filter((p) => p.fromClient !== fromClient),
        );
        const plain = fromClient ? listener.client : listener.server;
        let to = 0;
        return recordsOf(real.pieces, fromClient).map((octets) => {
          plain.length = 0;
          listener.feed({ fromClient, octets });
          to += octets.length;
          return { from: to - octets.length, to, text: Buffer.concat(plain) };
        });
      });
      streams = [true, false].map((wanted) =>
        Buffer.concat(real.pieces.filter((p) => p.fromClient === wanted).map((p) => p.octets)),
      );
    });

    /** What is heard where [from, to) of one direction is missing, and what should be. */
    function withGap(
      direction: number,
      from: number,
      to: number,
      pieceOctets: number,
      isLengthKnown: boolean,
    ) {
      const fromClient = direction === 0;
      const listener = new Listener(real.keyLog);
      listener.feedAll(real.pieces.filter((p) => p.fromClient !== fromClient));
      const feed = (octets: Buffer) => {
        for (let at = 0; at < octets.length; at += pieceOctets) {
          listener.feed({ fromClient, octets: octets.subarray(at, at + pieceOctets) });
        }
      };
      const all = streams[direction];
      feed(all.subarray(0, from));
      if (isLengthKnown) listener.stream.gap(fromClient, to - from);
      else listener.stream.gap(fromClient);
      feed(all.subarray(to));
      const whole = said[direction].filter((record) => record.to <= from || record.from >= to);
      const wanted = Buffer.concat(whole.map((record) => record.text));
      return { heard: Buffer.concat(fromClient ? listener.client : listener.server), wanted, listener };
    }

    test('any record may be missing but the hello, the next one is found', () => {
      for (const direction of [0, 1]) {
        for (const { from, to } of said[direction].slice(1)) {
          for (const isLengthKnown of [true, false]) {
            const { heard, wanted } = withGap(direction, from, to, 1e9, isLengthKnown);
            assert.ok(heard.equals(wanted), `${direction}: ${from} to ${to}`);
          }
        }
      }
    });

    test('any octets may be missing: every record that is whole is read, and nothing else is', () => {
      const places = fc.tuple(
        fc.integer({ min: 0, max: 1 }),
        fc.nat(),
        fc.nat({ max: 30_000 }),
        fc.boolean(),
      );
      fc.assert(
        fc.property(places, ([direction, place, length, isLengthKnown]) => {
          const all = streams[direction];
          const hello = said[direction][0].to;
          const from = hello + (place % (all.length - hello - 1));
          const to = Math.min(all.length, from + 1 + length);
          // Pieces that cut no header: those of segments that begin with a record, and behind it.
          const { heard, wanted, listener } = withGap(direction, from, to, 1e9, isLengthKnown);
          assert.ok(heard.equals(wanted), `${direction}: ${from} to ${to}`);
          assert.equal(listener.state, 'ok');
        }),
        { numRuns: 150 },
      );
    });

    test('segments that begin anywhere cost no more than the record whose header they cut', () => {
      const from = said[1][3].from + 10;
      for (let pieceOctets = 1400; pieceOctets < 1460; pieceOctets++) {
        const { heard, wanted, listener } = withGap(1, from, from + 3000, pieceOctets, true);
        assert.equal(listener.state, 'ok');
        assert.ok(wanted.length - heard.length <= 16_384, `${wanted.length - heard.length} octets were lost`);
        assert.ok(wanted.subarray(-10_000).equals(heard.subarray(-10_000)));
      }
    });

    test('a missed hello is the end of it', () => {
      for (const direction of [0, 1]) {
        const listener = new Listener(real.keyLog);
        if (direction === 1) listener.feedAll(real.pieces.filter((p) => p.fromClient));
        assert.equal(listener.stream.gap(direction === 0, 10), 'broken');
        assert.equal(listener.feedAll(real.pieces).state, 'broken');
        assert.equal(listener.client.length + listener.server.length, 0);
      }
    });
  });
}

for (const version of VERSIONS) {
  test(`${version}: a certificate of several records may be missing in any part`, async () => {
    const server = { ...only(version), cert: PEM.repeat(60) };
    const real = await converse({ client: only(version), server });
    const records = recordsOf(real.pieces, false);
    assert.ok(records.filter((record) => record.length > 16_000).length >= 2);
    for (const missed of records.slice(1)) {
      const listener = new Listener(real.keyLog).feedAll(real.pieces.filter((p) => p.fromClient));
      const whole = new Listener(real.keyLog).feedAll(real.pieces.filter((p) => p.fromClient));
      let wanted = Buffer.alloc(0);
      for (const octets of records) {
        whole.server.length = 0;
        whole.feed({ fromClient: false, octets });
        if (octets === missed) {
          listener.stream.gap(false, octets.length);
        } else {
          listener.feed({ fromClient: false, octets });
          wanted = Buffer.concat([wanted, ...whole.server]);
        }
      }
      assert.deepEqual(listener.said, { client: real.client, server: wanted, state: 'ok' });
    }
  });
}

describe('long gaps', () => {
  test('4,000 records may be missing; of 9,000 missing records without a known length it is said', async () => {
    const limits = only('TLSv1.3');
    const requests = Array.from({ length: 9100 }, () => requestFor(1, 'x'));
    const real = await converse({ client: limits, server: limits, requests });
    const records = recordsOf(real.pieces, true);
    const answers = Buffer.concat(real.pieces.filter((p) => !p.fromClient).map((p) => p.octets));
    const hear = (missing: number, length: number) => {
      const listener = new Listener(real.keyLog).feed({ fromClient: false, octets: answers });
      for (const [i, octets] of records.entries()) {
        if (i === 10) listener.stream.gap(true, length);
        if (i < 10 || i >= 10 + missing) listener.feed({ fromClient: true, octets });
      }
      return { ...listener.said, client: Buffer.concat(listener.client).length / 5 };
    };
    const missed = (missing: number) =>
      records.slice(10, 10 + missing).reduce((sum, record) => sum + record.length, 0);
    const all = hear(0, 0);
    assert.equal(all.client, 9100);
    assert.deepEqual([hear(4000, 0).state, hear(4000, 0).client], ['ok', 9100 - 4000]);
    assert.deepEqual([hear(4000, missed(4000)).state, hear(4000, missed(4000)).client], ['ok', 9100 - 4000]);
    assert.equal(hear(9000, 0).state, 'broken');
  });

  test('of large records any number, where the length is known', async () => {
    const limits = only('TLSv1.2');
    // 5,000 records of 16 KiB would be 80 MB; what is searched is their number, and so the gap alone may be large.
    const real = await converse({ client: limits, server: limits, requests: [requestFor(100_000, 'y')] });
    const listener = new Listener(real.keyLog).feedAll(real.pieces.filter((p) => p.fromClient));
    const records = recordsOf(real.pieces, false);
    const large = records.findIndex((record) => record.length > 16_000);
    for (const [i, octets] of records.entries()) {
      if (i === large + 1) listener.stream.gap(false, 3 * octets.length);
      if (i <= large || i > large + 3) listener.feed({ fromClient: false, octets });
    }
    assert.equal(listener.state, 'ok');
    assert.equal(Buffer.concat(listener.server).length, 100_000 - 3 * 16_384);
  });
});

describe('what cannot be read is said', () => {
  for (const version of VERSIONS) {
    test(`${version}, no key: with the ServerHello`, async () => {
      const real = await converse({ client: only(version), server: only(version) });
      const listener = new Listener('');
      const states = real.pieces.map((piece) => listener.feed(piece).state);
      const first = real.pieces.findIndex((piece) => !piece.fromClient);
      assert.deepEqual(states.slice(0, first + 1), [...Array(first).fill('ok'), 'no-key']);
      assert.equal(states.at(-1), 'no-key');
      assert.equal(listener.stream.heldOctets, 0);

      const half = real.keyLog.replace(/^(CLIENT_RANDOM|SERVER_TRAFFIC_SECRET_0).*\n/gm, '');
      assert.equal(new Listener(half).feedAll(real.pieces).state, 'no-key');
    });

    test(`${version}, a wrong secret: broken, and nothing is heard`, async () => {
      const real = await converse({ client: only(version), server: only(version) });
      const wrong = real.keyLog.replace(/.$/gm, (digit) => (digit === '0' ? '1' : '0'));
      assert.deepEqual(new Listener(wrong).feedAll(real.pieces).said, {
        client: Buffer.alloc(0),
        server: Buffer.alloc(0),
        state: 'broken',
      });
    });
  }

  for (const [name, limits] of [
    ['CBC', { ...only('TLSv1.2'), ciphers: 'ECDHE-RSA-AES128-SHA256' }],
    ['TLS 1.1', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' }],
  ] as const) {
    test(`${name}: unsupported`, async () => {
      const real = await converse({ client: limits, server: limits });
      assert.deepEqual(new Listener(real.keyLog).feedAll(real.pieces).said, {
        client: Buffer.alloc(0),
        server: Buffer.alloc(0),
        state: 'unsupported',
      });
    });
  }

  test('what is not TLS: broken', () => {
    for (const fromClient of [true, false]) {
      const client = { fromClient: true, octets: Buffer.from('SELECT 1 FROM DUAL') };
      const listener = new Listener('').feed({ ...client, fromClient }).feed(client);
      assert.equal(listener.state, 'broken');
    }
  });
});

describe('damage', () => {
  for (const version of VERSIONS) {
    test(`${version}: octets changed anywhere make nobody throw, and nothing false is heard`, async () => {
      const real = await converse({
        client: only(version),
        server: only(version),
        requests: [requestFor(3000, 'a'), requestFor(5, 'b', 300), requestFor(700, 'c')],
      });
      const change = fc.tuple(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean());
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
          const pieces = real.pieces.map(({ fromClient, octets }) => ({
            fromClient,
            octets: octets.slice(),
          }));
          const listener = new Listener(real.keyLog);
          const gaps = new Set<number>();
          for (const [which, where, mask, isGap] of changes) {
            const { octets } = pieces[which % pieces.length];
            octets[where % octets.length] ^= mask;
            if (isGap) gaps.add(which % pieces.length);
          }
          let isWhole = true;
          for (const [i, piece] of pieces.entries()) {
            if (gaps.has(i)) listener.stream.gap(piece.fromClient, isWhole ? piece.octets.length : 0);
            else listener.feed(piece);
            isWhole = !isWhole;
          }
          assert.ok(listener.heldOctets <= 2 * 1024 * 1024);
          const { client, server } = listener.said;
          if (gaps.size > 0) return;
          assert.ok(real.client.subarray(0, client.length).equals(client));
          assert.ok(real.server.subarray(0, server.length).equals(server));
        }),
        { numRuns: 400 },
      );
    });
  }
});
