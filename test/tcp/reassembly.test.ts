import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Reassembly } from '../../src/tcp/reassembly.ts';
import { seqAdd } from '../../src/wire/sequence.ts';

/** What a stream told: its octets as text, gaps as `<n>`, its end as `.`. */
class Stream {
  text = '';
  readonly #start: number;
  readonly reassembly = new Reassembly({
    data: (octets, from, to) => {
      this.text += Buffer.from(octets.subarray(from, to)).toString('latin1');
    },
    gap: (octets) => {
      this.text += `<${octets}>`;
    },
    end: () => {
      this.text += '.';
    },
  });

  constructor(start = 1000) {
    this.#start = start;
    this.reassembly.start(start);
  }

  /** A segment with `text` at `offset` of the stream, of which the capture has all or the first `captured` octets. */
  segment(offset: number, text: string, options: { fin?: boolean; captured?: number } = {}): this {
    const octets = Buffer.from(`##${text}##`, 'latin1');
    const captured = options.captured ?? text.length;
    const seq = seqAdd(this.#start, offset);
    this.reassembly.segment(octets, 2, captured, text.length, seq, options.fin ?? false, 0);
    return this;
  }

  acknowledged(offset: number, answers = false): this {
    this.reassembly.acknowledged(seqAdd(this.#start, offset), answers, 0);
    return this;
  }

  finish(): string {
    this.reassembly.finish(0);
    return this.text;
  }
}

test('in order, then repeated, then overlapping', () => {
  const stream = new Stream()
    .segment(0, 'abc')
    .segment(3, 'def')
    .segment(0, 'abc')
    .segment(2, 'cdefgh')
    .segment(4, 'ef');
  assert.equal(stream.text, 'abcdefgh');
});

test('out of order waits for what is missing', () => {
  const stream = new Stream().segment(3, 'def').segment(6, 'ghi').segment(3, 'de');
  assert.equal(stream.text, '');
  assert.equal(stream.reassembly.heldOctets, 6);
  stream.segment(0, 'abc');
  assert.equal(stream.text, 'abcdefghi');
  assert.equal(stream.reassembly.heldOctets, 0);
});

test('a hole that was acknowledged with what is behind it is a gap', () => {
  const stream = new Stream().segment(0, 'ab').segment(5, 'fgh').acknowledged(4);
  assert.equal(stream.text, 'ab');
  assert.equal(stream.acknowledged(8).text, 'ab<3>fgh');
});

test('what an answer acknowledges is past: missing octets are a gap at once', () => {
  assert.equal(new Stream().segment(0, 'ab').acknowledged(5).segment(5, 'fg').text, 'ab<3>fg');
  assert.equal(new Stream().segment(0, 'ab').acknowledged(5, true).text, 'ab<3>');
});

test('an ACK that overtakes the segment which it acknowledges costs nothing', () => {
  assert.equal(new Stream().acknowledged(3).segment(0, 'abc').text, 'abc');
});

test('a packet that the capture cut leaves a gap', () => {
  assert.equal(new Stream().segment(0, 'abcdef', { captured: 4 }).segment(6, 'gh').text, 'abcd<2>gh');
  assert.equal(
    new Stream().segment(3, 'def', { captured: 1 }).segment(0, 'abc').segment(6, 'g').text,
    'abcd<2>g',
  );
});

test('the FIN ends the stream once all before it is there; it may be sent again, or hold data', () => {
  const stream = new Stream().segment(3, '', { fin: true }).segment(0, 'abc');
  assert.equal(stream.text, 'abc.');
  stream.segment(3, '', { fin: true }).segment(3, 'junk').acknowledged(4);
  assert.equal(stream.finish(), 'abc.');
  assert.equal(new Stream().segment(0, 'abc', { fin: true }).text, 'abc.');
});

test('an acknowledged FIN that was not captured is no gap', () => {
  assert.equal(new Stream().segment(0, 'abc').acknowledged(4).finish(), 'abc');
});

test('at the end, what waits is told with its holes', () => {
  assert.equal(new Stream().segment(2, 'c').segment(5, 'f').acknowledged(9).finish(), '<2>c<2>f<3>');
});

test('a keep-alive probe and a segment from nowhere change nothing', () => {
  const stream = new Stream()
    .segment(0, 'abc')
    .segment(2, 'c')
    .segment(2, '')
    .segment(2 ** 31 - 5, 'x')
    .segment(3, 'd');
  assert.equal(stream.text, 'abcd');
  assert.equal(stream.reassembly.heldOctets, 0);
});

test('what waits behind a hole is bounded', () => {
  const stream = new Stream();
  const piece = 'x'.repeat(10_000);
  for (let i = 1; i < 300; i++) {
    stream.segment(i * 10_000, piece);
    assert.ok(stream.reassembly.heldOctets <= 1024 * 1024 + 10_000);
  }
  assert.ok(stream.text.startsWith('<10000>xxx'));
});

test('nothing is told before the start of the stream is known', () => {
  let told = 0;
  const reassembly = new Reassembly({ data: () => told++, gap: () => told++, end: () => told++ });
  reassembly.segment(Buffer.from('abc'), 0, 3, 3, 5, false, 0);
  reassembly.acknowledged(8, true, 0);
  reassembly.finish(0);
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
      const stream = new Stream(start);
      for (const { segment } of shuffled) {
        const [from, to] = segment;
        stream.segment(from, text.slice(from, to), { fin: to === text.length });
      }
      assert.equal(stream.text, `${text}.`);
      assert.equal(stream.reassembly.heldOctets, 0);
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
        const reassembly = new Reassembly({
          data: (_, from, to) => {
            length += to - from;
          },
          gap: (octets) => {
            length += octets;
          },
          end: () => {},
        });
        reassembly.start(start);
        const octets = new Uint8Array(100);
        arrives.forEach((arrived, i) => {
          if (arrived) reassembly.segment(octets, 0, 100, 100, seqAdd(start, i * 100), false, 0);
          reassembly.acknowledged(seqAdd(start, (i + 1) * 100), false, 0);
        });
        reassembly.finish(0);
        assert.equal(length, arrives.length * 100);
      },
    ),
  );
});
