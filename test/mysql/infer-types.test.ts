import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { binaryValueLength } from '../../src/mysql/binary-value.ts';
import { typesOf, withTypes } from '../../src/mysql/execute.ts';
import { TypeInference } from '../../src/mysql/infer-types.ts';
import { OctetWriter } from '../../src/mysql/packet.ts';
import { packets } from './support/packets.ts';
import { bound } from './support/values.ts';

const TYPE = {
  tiny: 0x01,
  short: 0x02,
  long: 0x03,
  float: 0x04,
  double: 0x05,
  null: 0x06,
  timestamp: 0x07,
  longlong: 0x08,
  date: 0x0a,
  time: 0x0b,
  datetime: 0x0c,
  newDecimal: 0xf6,
  blob: 0xfc,
  varString: 0xfd,
} as const;

/** Octets of a value; undefined: NULL. */
type Sent = Uint8Array | undefined;

function execute(values: readonly Sent[], named = false): Uint8Array {
  const writer = new OctetWriter()
    .uint(0x17, 1)
    .uint(7, 4)
    .uint(named ? 8 : 0, 1)
    .uint(1, 4);
  if (named) writer.lenenc(values.length);
  const parameters = values.map((octets) => ({
    type: 0,
    name: '',
    octets: octets ?? new Uint8Array(0),
    fate: octets === undefined ? ('null' as const) : ('sent' as const),
  }));
  return packets(0, writer.octets(bound(parameters, { named, typed: false })).all());
}

const text = (value: string | Uint8Array) => {
  const octets = Buffer.from(value as string);
  return new OctetWriter().lenenc(octets.length).octets(octets).all();
};
const int = (size: 1 | 2 | 4 | 8, value: bigint | number) => {
  const octets = Buffer.alloc(8);
  octets.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return new Uint8Array(octets.subarray(0, size));
};
const float = (value: number) => new Uint8Array(new Float32Array([value]).buffer);
const double = (value: number) => new Uint8Array(new Float64Array([value]).buffer);

/** The types' octets, without flags. */
function infer(inference: TypeInference, values: readonly Sent[], named = false): number[] | undefined {
  const types = inference.read(execute(values, named), named);
  return types && [...types.filter((_, i) => i % 2 === 0)];
}

const once = (...values: Sent[]) => infer(new TypeInference(values.length), values);

describe('types of one execution', () => {
  test('are told where its values can be read in one way', () => {
    assert.deepEqual(once(int(4, 50_234)), [TYPE.long], 'as a float it would be nearer to 0 than floats are');
    assert.deepEqual(once(int(8, 50_234)), [TYPE.longlong]);
    assert.deepEqual(once(int(1, 7)), [TYPE.tiny]);
    assert.deepEqual(once(text('hello')), [TYPE.varString]);
    assert.deepEqual(
      once(Uint8Array.of(7, 0xe4, 7, 2, 29, 23, 59, 59)),
      undefined,
      'seven octets of text, too',
    );
    assert.deepEqual(once(int(4, 1000), int(4, 50_234), text('c'.repeat(119)), text('p'.repeat(59))), [
      TYPE.long,
      TYPE.long,
      TYPE.varString,
      TYPE.varString,
    ]);
    assert.deepEqual(once(undefined, undefined), [TYPE.null, TYPE.null]);
    assert.deepEqual(once(undefined, text('hello')), [TYPE.null, TYPE.varString]);
  });

  test('are not where they can be read in two', () => {
    assert.equal(once(float(1.5)), undefined, 'or a LONG');
    assert.equal(once(double(0)), undefined, 'or a LONGLONG');
    assert.equal(once(int(4, -1)), undefined, 'or 4294967295');
    assert.equal(once(int(1, 0)), undefined, 'or an empty text, or no date');
    assert.equal(once(text('abc')), undefined, 'or a LONG');
    assert.equal(once(Uint8Array.of(4, 0xe4, 7, 2, 29)), undefined, 'a DATE, or a DATETIME at midnight');
    assert.equal(
      once(text(Uint8Array.of(0xff, 1, 2, 3, 4))),
      undefined,
      'binary, or text of another character set',
    );
    assert.equal(once(text('a'), text('b'), text('c')), undefined);
  });

  test('nor where they can be read in none', () => {
    assert.equal(once(Uint8Array.of(1, 2, 3)), undefined);
    const inference = new TypeInference(1);
    assert.deepEqual(infer(inference, [text('hello')]), [TYPE.varString]);
    assert.equal(infer(inference, [int(4, 50_234)]), undefined);
    assert.equal(infer(inference, [text('hello')]), undefined, 'types were sent in between that nobody saw');
  });

  test('of more parameters, or more ways to read them, than are looked into, are not', () => {
    assert.equal(once(...Array(1_001).fill(int(4, 5000))), undefined);
    assert.equal(once(...Array(900).fill(Uint8Array.of(1, 65))), undefined);
  });
});

describe('types of several executions', () => {
  test('are narrowed by each of them', () => {
    const inference = new TypeInference(2);
    assert.equal(infer(inference, [text('abc'), int(8, 0)]), undefined);
    assert.equal(infer(inference, [text('hello'), int(8, 0)]), undefined);
    assert.deepEqual(infer(inference, [text('hello'), int(8, 5)]), [TYPE.varString, TYPE.longlong]);
    assert.deepEqual(infer(inference, [text('abc'), int(8, 0)]), [TYPE.varString, TYPE.longlong]);
    assert.equal(infer(inference, [text('abc'), int(8, -1)]), undefined, 'or unsigned');
    assert.deepEqual(infer(inference, [undefined, int(8, 5)]), [TYPE.varString, TYPE.longlong]);
  });

  test('of what was NULL so far are told when it is not', () => {
    const inference = new TypeInference(2);
    assert.deepEqual(infer(inference, [undefined, text('hello')]), [TYPE.null, TYPE.varString]);
    assert.equal(infer(inference, [int(1, 0), text('hello')]), undefined);
    assert.deepEqual(infer(inference, [int(1, 3), text('hello')]), [TYPE.tiny, TYPE.varString]);
  });

  test('a DATE is known by nothing, a DATETIME by its time', () => {
    const inference = new TypeInference(1);
    assert.equal(infer(inference, [Uint8Array.of(4, 0xe4, 7, 2, 29)]), undefined);
    assert.deepEqual(
      infer(inference, [Uint8Array.of(11, 0xe4, 7, 2, 29, 23, 59, 59, 0, 0xff, 1, 0)]),
      undefined,
    );
    const known = new TypeInference(1);
    assert.equal(infer(known, [Uint8Array.of(0)]), undefined);
  });
});

/** Values as clients of a type send them, and the types that mean the same. */
const sentBy: Readonly<Record<string, fc.Arbitrary<Uint8Array>>> = {
  tiny: fc.oneof(fc.constantFrom(0, 1), fc.nat(255)).map((n) => int(1, n)),
  short: fc.oneof(fc.nat(300), fc.nat(0xffff)).map((n) => int(2, n)),
  long: fc.oneof(fc.nat(1000), fc.nat(0xffff_ffff)).map((n) => int(4, n)),
  longlong: fc.oneof(fc.nat(1000), fc.bigInt(0n, 2n ** 64n - 1n)).map((n) => int(8, n)),
  float: fc
    .oneof(fc.integer({ min: -5, max: 5 }), fc.float({ noNaN: true, noDefaultInfinity: true }))
    .filter((n) => n === 0 || Math.abs(n) >= 2 ** -126)
    .map(float),
  double: fc
    .oneof(fc.integer({ min: -5, max: 5 }), fc.double({ noNaN: true, noDefaultInfinity: true }))
    .filter((n) => n === 0 || Math.abs(n) >= 2 ** -1022)
    .map(double),
  varString: fc.oneof(fc.string({ maxLength: 15 }), fc.uint8Array({ maxLength: 15 })).map(text),
  blob: fc.uint8Array({ maxLength: 15 }).map(text),
  newDecimal: fc.integer().map((n) => text(String(n))),
  date: fc
    .tuple(fc.nat(9999), fc.nat(12), fc.nat(31))
    .map(([year, month, day]) =>
      year + month + day === 0 ? Uint8Array.of(0) : Uint8Array.of(4, year, year >> 8, month, day),
    ),
  datetime: fc
    .tuple(
      fc.nat(9999),
      fc.nat(12),
      fc.nat(31),
      fc.nat(23),
      fc.nat(59),
      fc.constantFrom(0, 4, 7, 11),
      fc.nat(999_999),
    )
    .map(([year, month, day, hour, minute, length, micro]) =>
      Uint8Array.of(
        length,
        ...[year, year >> 8, month, day, hour, minute, 5, ...int(4, micro)].slice(0, length),
      ),
    ),
  time: fc
    .tuple(fc.nat(1), fc.nat(34), fc.nat(23), fc.constantFrom(0, 8, 12), fc.nat(999_999))
    .map(([sign, days, hour, length, micro]) =>
      Uint8Array.of(length, ...[sign, ...int(4, days), hour, 59, 0, ...int(4, micro)].slice(0, length)),
    ),
};

/** The value that a server takes: in a form that is the same for types that mean the same. */
function meaning(type: number, unsigned: boolean, octets: Uint8Array): string {
  const buffer = Buffer.from(octets);
  switch (type) {
    case TYPE.tiny:
    case TYPE.short:
    case TYPE.long:
    case TYPE.longlong: {
      const value = BigInt(`0x${Buffer.from(octets).reverse().toString('hex')}`);
      return `integer ${unsigned ? value : BigInt.asIntN(8 * octets.length, value)}`;
    }
    case TYPE.float:
      return `float ${buffer.readFloatLE()}`;
    case TYPE.double:
      return `double ${buffer.readDoubleLE()}`;
    case TYPE.date:
    case TYPE.time:
    case TYPE.datetime:
      return `${type} ${buffer.toString('hex')}`;
    default:
      return `octets ${buffer.toString('hex')}`;
  }
}

/** A statement's parameters, and rows of values for them. */
const executions = fc
  .array(fc.tuple(fc.constantFrom(...Object.keys(sentBy)), fc.boolean()), { minLength: 1, maxLength: 6 })
  .chain((columns) =>
    fc.record({
      columns: fc.constant(columns),
      rows: fc.array(
        fc.tuple(...columns.map(([name]) => fc.option(sentBy[name], { nil: undefined, freq: 6 }))),
        { minLength: 1, maxLength: 6 },
      ),
      named: fc.boolean(),
    }),
  );

describe('any rows of typed parameters', () => {
  test('are never sent with another value than their own', () => {
    let told = 0;
    let all = 0;
    fc.assert(
      fc.property(executions, ({ columns, rows, named }) => {
        const inference = new TypeInference(columns.length);
        for (const row of rows) {
          const packet = execute(row, named);
          const types = inference.read(packet, named);
          all++;
          if (types === undefined) continue;
          told++;
          // As the server reads what is sent: value by value, by the types that it was told.
          const again = withTypes(packet, columns.length, types, named);
          assert.deepEqual(typesOf(again, columns.length, named), types);
          const values = Buffer.concat(row.map((octets) => octets ?? new Uint8Array(0)));
          let at = 0;
          for (const [i, [name, unsigned]] of columns.entries()) {
            const octets = row[i];
            if (octets === undefined) continue;
            const type = types[2 * i];
            const length = binaryValueLength(values, at, values.length, type) ?? -1;
            const read = meaning(type, types[2 * i + 1] !== 0, values.subarray(at, at + length));
            assert.equal(read, meaning(TYPE[name as keyof typeof TYPE], unsigned, octets));
            at += length;
          }
          assert.equal(at, values.length);
        }
      }),
      { numRuns: 3000 },
    );
    assert.ok(told > all / 10, `${told} of ${all} were told`);
  });
});
