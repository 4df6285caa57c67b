import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  HeldBudget,
  WatchedConnection,
  type WatchedSegment,
  type WatchedSink,
  type WatchWaits,
} from '../../src/tcp/watched.ts';
import { CTL } from '../../src/wire/segment.ts';
import { seqAdd } from '../../src/wire/sequence.ts';

const WAITS: WatchWaits = { holeNs: 100, directionNs: 1000 };

interface SegmentOptions {
  fin?: boolean;
  /** Octets of it that the capture has. */
  captured?: number;
  /** Offset in the other direction's stream that it acknowledges. */
  ack?: number;
  at?: number;
}

/** `ack`: -1 where it acknowledges nothing. */
function segmentOf(
  octets: Uint8Array,
  dataOffset: number,
  dataLength: number,
  wireDataLength: number,
  seq: number,
  ack: number,
  fin = false,
): WatchedSegment {
  const flags = (ack < 0 ? 0 : CTL.ack) | (fin ? CTL.fin : 0);
  return { octets, dataOffset, dataLength, wireDataLength, seq, ack, flags };
}

/** A connection whose client sends text, and what was handed over: octets as text, gaps as `<n>`, an end as `.`. */
class Watched implements WatchedSink {
  /** The client's, then the server's; and both in the order that they were handed over in. */
  text = '';
  serverText = '';
  all = '';
  times: number[] = [];
  earlier: string[] = [];
  readonly connection: WatchedConnection;
  readonly #start: number;

  constructor(start = 1000, budget = new HeldBudget(1 << 30)) {
    this.#start = start;
    this.connection = new WatchedConnection(this, WAITS, budget);
    this.connection.client.start(start);
    this.connection.server.start(start);
    // Both directions are captured.
    this.server(0, '');
    this.client(0, '');
  }

  data(fromClient: boolean, octets: Uint8Array, from: number, to: number, at: number): void {
    this.times.push(at);
    this.#add(fromClient, Buffer.from(octets.subarray(from, to)).toString('latin1'));
  }

  gap(fromClient: boolean, octets: number): void {
    this.#add(fromClient, `<${octets}>`);
  }

  early(_fromClient: boolean, octets: Uint8Array, from: number, to: number): void {
    this.earlier.push(Buffer.from(octets.subarray(from, to)).toString('latin1'));
  }

  end(fromClient: boolean): void {
    this.#add(fromClient, '.');
  }

  #add(fromClient: boolean, text: string): void {
    if (fromClient) this.text += text;
    else this.serverText += text;
    this.all += text;
  }

  client(offset: number, text: string, options: SegmentOptions = {}): this {
    return this.#segment(true, offset, text, options);
  }

  server(offset: number, text: string, options: SegmentOptions = {}): this {
    return this.#segment(false, offset, text, options);
  }

  #segment(fromClient: boolean, offset: number, text: string, options: SegmentOptions): this {
    const { fin = false, captured = text.length, ack, at = 0 } = options;
    const octets = Buffer.from(`##${text}##`, 'latin1');
    const seq = seqAdd(this.#start, offset);
    const acked = ack === undefined ? -1 : seqAdd(this.#start, ack);
    this.connection.segment(
      segmentOf(octets, 2, captured, text.length, seq, acked, fin),
      fromClient,
      true,
      at,
      at,
    );
    return this;
  }

  /** The server acknowledges, and says nothing. */
  acknowledged(offset: number, at = 0): this {
    return this.server(0, '', { ack: offset, at });
  }

  settle(at: number): this {
    this.connection.settle(at);
    return this;
  }

  finish(): string {
    this.connection.finish(0);
    return this.text;
  }
}

test('in order, then repeated, then overlapping', () => {
  const watched = new Watched()
    .client(0, 'abc')
    .client(3, 'def')
    .client(0, 'abc')
    .client(2, 'cdefgh')
    .client(4, 'ef');
  assert.equal(watched.text, 'abcdefgh');
});

test('out of order waits for what is missing', () => {
  const watched = new Watched().client(3, 'def').client(6, 'ghi').client(3, 'de');
  assert.equal(watched.text, '');
  watched.client(0, 'abc');
  assert.equal(watched.text, 'abcdefghi');
  assert.equal(watched.connection.heldOctets, 0);
});

test('a hole that was acknowledged is waited for as long as queues of a card differ, then a gap', () => {
  const watched = new Watched().client(0, 'ab').client(5, 'fgh').acknowledged(8, 100);
  assert.equal(watched.text, 'ab');
  assert.equal(watched.settle(101).text, 'ab<3>fgh');
});

test('a hole that nobody acknowledged is not given up: it will be sent again', () => {
  const watched = new Watched().client(0, 'ab').client(5, 'fgh').settle(1e12);
  assert.equal(watched.text, 'ab');
  assert.equal(watched.client(2, 'cde', { at: 1e12 }).text, 'abcdefgh');
});

test('a capture of one direction: the other is waited for once, and then taken for missing', () => {
  const watched = new Watched();
  watched.connection.server.seen = false;
  watched.client(0, 'ab', { ack: 5, at: 0 });
  assert.equal(watched.all, '');
  assert.equal(watched.settle(1001).all, '<5>ab');
  assert.equal(watched.client(2, 'cd', { ack: 9, at: 1002 }).all, '<5>ab<4>cd');
  // No acknowledgement can come: a hole is given up by time.
  assert.equal(watched.client(6, 'gh', { ack: 9, at: 1003 }).settle(2004).all, '<5>ab<4>cd<2>gh');
});

test('an answer that was captured before its question is handed over after it', () => {
  const watched = new Watched().server(0, 'OK1', { ack: 4 }).client(0, 'ask1').server(3, 'OK2', { ack: 8 });
  assert.equal(watched.all, 'ask1OK1');
  assert.equal(watched.client(4, 'ask2', { ack: 3 }).all, 'ask1OK1ask2OK2');
});

test('a whole direction that comes late is put in its places', () => {
  const watched = new Watched();
  for (let i = 0; i < 5; i++) watched.server(3 * i, `OK${i}`, { ack: 4 * (i + 1), at: i });
  for (let i = 0; i < 5; i++) watched.client(4 * i, `ask${i}`, { ack: 3 * i, at: 500 + i });
  assert.equal(watched.all, 'ask0OK0ask1OK1ask2OK2ask3OK3ask4OK4');
});

test('what an answer acknowledges and nobody captured is a gap, once it was waited for', () => {
  const watched = new Watched().client(0, 'ab').server(0, 'OK', { ack: 5 });
  assert.equal(watched.all, 'ab');
  assert.equal(watched.settle(1000).all, 'ab');
  assert.equal(watched.settle(1001).all, 'ab<3>OK');
});

test('… sooner where the capture has later octets of that direction', () => {
  const watched = new Watched()
    .client(0, 'ab')
    .server(0, 'OK', { ack: 5 })
    .client(5, 'fg', { ack: 2, at: 100 });
  assert.equal(watched.all, 'ab');
  assert.equal(watched.settle(200).all, 'ab');
  assert.equal(watched.settle(201).all, 'ab<3>OKfg');
});

test('a clock that is set back does not make anything wait for ever', () => {
  const watched = new Watched().client(0, 'ab').server(0, 'OK', { ack: 5, at: 1e12 }).settle(0);
  assert.equal(watched.all, 'ab<3>OK');
});

test('two segments that each acknowledge the other, which no TCP sends: as they were captured', () => {
  const watched = new Watched().server(0, 'OK', { ack: 3 }).client(0, 'ask', { ack: 2 }).settle(2000);
  assert.equal(watched.all, 'OKask');
});

test('an ACK that overtakes the segment which it acknowledges costs nothing', () => {
  assert.equal(new Watched().acknowledged(3).client(0, 'abc').text, 'abc');
});

test('a packet that the capture cut leaves a gap', () => {
  assert.equal(new Watched().client(0, 'abcdef', { captured: 4 }).client(6, 'gh').text, 'abcd<2>gh');
  assert.equal(
    new Watched().client(3, 'def', { captured: 1 }).client(0, 'abc').client(6, 'g').text,
    'abcd<2>g',
  );
  // Sent again, and whole this time, before its turn came.
  assert.equal(
    new Watched().client(3, 'def', { captured: 1 }).client(3, 'def').client(0, 'abc').text,
    'abcdef',
  );
});

test('the FIN ends the stream once all before it is there; it may be sent again, or hold data', () => {
  const watched = new Watched().client(3, '', { fin: true }).client(0, 'abc');
  assert.equal(watched.text, 'abc.');
  watched.client(3, '', { fin: true }).client(3, 'junk').acknowledged(4);
  assert.equal(watched.finish(), 'abc.');
  assert.equal(new Watched().client(0, 'abc', { fin: true }).text, 'abc.');
});

test('data that comes between a hole and a FIN that is known is handed over', () => {
  const watched = new Watched().client(0, 'ab').client(8, '', { fin: true }).acknowledged(9, 10);
  watched.client(5, 'fgh', { at: 20 }).settle(200);
  assert.equal(watched.text, 'ab<3>fgh.');
});

test('an acknowledged FIN that was not captured is no gap', () => {
  assert.equal(new Watched().client(0, 'abc').acknowledged(4).finish(), 'abc');
  const watched = new Watched().client(0, 'abc').server(0, 'bye', { ack: 4 }).settle(1001);
  assert.equal(watched.all, 'abcbye');
});

test('at the end, what waits is told with its holes', () => {
  assert.equal(new Watched().client(2, 'c').client(5, 'f').acknowledged(9).finish(), '<2>c<2>f<3>');
});

test('a stream that was joined somewhere begins with its first octets, and those before them are not passed over unseen', () => {
  const watched = new Watched();
  watched.connection.client.start(1010, true);
  watched.client(5, 'fgh', { ack: 0 }).client(0, 'abc').client(3, 'de').client(0, 'abc').client(8, 'i');
  assert.equal(watched.text, 'fghi');
  assert.deepEqual(watched.earlier, ['abc', 'de']);
});

test('what comes of a gap after all is not passed over unseen, once', () => {
  const watched = new Watched().client(0, 'ab').client(8, 'ij').acknowledged(10, 0).settle(101);
  assert.equal(watched.text, 'ab<6>ij');
  watched.client(2, 'cd').client(5, 'fg').client(2, 'cd').client(2, 'cdefgh').client(0, 'ab');
  assert.deepEqual(watched.earlier, ['cd', 'fg', 'cdefgh']);
});

test('a keep-alive probe and a segment from nowhere change nothing', () => {
  const watched = new Watched()
    .client(0, 'abc')
    .client(2, 'c')
    .client(2, '')
    .client(2 ** 31 - 5, 'x')
    .client(3, 'd');
  assert.equal(watched.text, 'abcd');
  assert.equal(watched.connection.heldOctets, 0);
});

test('what waits is bounded, for a connection and for all together', () => {
  const watched = new Watched();
  const piece = 'x'.repeat(10_000);
  for (let i = 1; i < 2000; i++) {
    watched.client(i * 10_000, piece);
    assert.ok(watched.connection.heldOctets <= 8 * 1024 * 1024 + 20_000);
  }
  assert.ok(watched.text.startsWith('<10000>xxx'));

  const budget = new HeldBudget(25_000);
  const two = [new Watched(0, budget), new Watched(0, budget)];
  for (let i = 1; i < 10; i++) for (const each of two) each.client(i * 10_000, piece);
  assert.ok(budget.octets <= 40_000, `${budget.octets}`);
  for (const each of two) each.finish();
  assert.equal(budget.octets, 0);
});

test('nothing is told before the start of the streams is known', () => {
  let told = 0;
  const sink = { data: () => told++, gap: () => told++, early: () => told++, end: () => told++ };
  const connection = new WatchedConnection(sink, WAITS, new HeldBudget(1 << 20));
  connection.segment(segmentOf(Buffer.from('abc'), 0, 3, 3, 5, 8), true, true, 0, 0);
  connection.finish(0);
  assert.equal(told, 0);
});

test('any cut, order and repetition across the wrap of sequence numbers gives the stream', () => {
  const scenario = fc.record({
    start: fc.oneof(fc.nat(0xffffffff), fc.integer({ min: 0xffffff00, max: 0xffffffff })),
    text: fc.string({ minLength: 1, maxLength: 400, unit: fc.constantFrom(...'abcdefgh') }),
    cuts: fc.array(fc.nat(), { maxLength: 12 }),
    again: fc.array(fc.tuple(fc.nat(), fc.nat(60)), { maxLength: 6 }),
    order: fc.array(fc.nat(), { minLength: 20, maxLength: 20 }),
  });
  fc.assert(
    fc.property(scenario, ({ start, text, cuts, again, order }) => {
      const bounds = [0, ...cuts.map((cut) => cut % text.length).sort((a, b) => a - b), text.length];
      const segments = bounds.slice(1).map((to, i) => [bounds[i], to]);
      for (const [at, length] of again)
        segments.push([at % text.length, Math.min(text.length, (at % text.length) + length)]);
      const shuffled = segments
        .map((segment, i) => ({ segment, key: order[i % 20] }))
        .sort((a, b) => a.key - b.key);
      const watched = new Watched(start);
      for (const { segment } of shuffled) {
        const [from, to] = segment;
        watched.client(from, text.slice(from, to), { fin: to === text.length });
      }
      assert.equal(watched.text, `${text}.`);
      assert.equal(watched.connection.heldOctets, 0);
    }),
    { numRuns: 500 },
  );
});

test('whatever is lost is a gap of its size: told octets and gaps add up to the stream', () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { minLength: 1, maxLength: 30 }),
      fc.nat(0xffffffff),
      (arrives, start) => {
        let length = 0;
        const sink: WatchedSink = {
          data: (_fromClient, _octets, from, to) => {
            length += to - from;
          },
          gap: (_fromClient, octets) => {
            length += octets;
          },
          early: () => assert.fail(),
          end: () => {},
        };
        const connection = new WatchedConnection(sink, WAITS, new HeldBudget(1 << 20));
        connection.client.start(start);
        connection.server.start(0);
        const octets = new Uint8Array(100);
        arrives.forEach((arrived, i) => {
          const seq = seqAdd(start, i * 100);
          if (arrived) connection.segment(segmentOf(octets, 0, 100, 100, seq, -1), true, true, i, i);
          connection.segment(segmentOf(octets, 0, 0, 0, 0, seqAdd(seq, 100)), false, true, i, i);
        });
        connection.finish(0);
        assert.equal(length, arrives.length * 100);
      },
    ),
  );
});
