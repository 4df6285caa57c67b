import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { bulkToExecutes, bulkTypesOf } from '../../src/mysql/bulk-execute.ts';
import { OctetWriter } from '../../src/mysql/packet.ts';
import { command, packets } from './support/packets.ts';
import { binaryValue, bound, type Parameter } from './support/values.ts';

const SEND_TYPES = 128;
const UNIT_RESULTS = 64;

test('octet by octet: (7, "x"), (NULL, "")', () => {
  const bulk = command(
    ...[0xfa, 1, 0, 0, 0, SEND_TYPES | UNIT_RESULTS, 0, 1, 0, 0xfe, 0],
    ...[0, 7, 0, 1, 'x', 1, 0, 0],
  );
  const head = [0x17, 4, 3, 2, 1, 0, 1, 0, 0, 0];
  assert.deepEqual(bulkToExecutes(bulk, 2, 0x01020304), [
    command(...head, 0, 1, 1, 0, 0xfe, 0, 7, 1, 'x'),
    command(...head, 1, 1, 1, 0, 0xfe, 0, 0),
  ]);
});

/** Rows of values of the same types, some of them NULL. */
const rows = fc
  .array(binaryValue, { minLength: 1, maxLength: 12 })
  .chain((first) =>
    fc
      .array(fc.tuple(...first.map(() => fc.boolean())), { minLength: 1, maxLength: 5 })
      .map((nulls) =>
        nulls.map((row) =>
          row.map((isNull, i): Parameter => ({ ...first[i], name: '', fate: isNull ? 'null' : 'sent' })),
        ),
      ),
  );

function bulk(all: Parameter[][], sendsTypes: boolean): Uint8Array {
  const writer = new OctetWriter()
    .uint(0xfa, 1)
    .uint(9, 4)
    .uint(sendsTypes ? SEND_TYPES : 0, 2);
  if (sendsTypes) for (const { type } of all[0]) writer.uint(type, 1).uint(0x80, 1);
  for (const { fate, octets } of all.flat()) {
    if (fate === 'null') writer.uint(1, 1);
    else writer.uint(0, 1).octets(octets);
  }
  return packets(0, writer.all());
}

test('each row is the execution that a client without bulk operations would send', () => {
  fc.assert(
    fc.property(rows, fc.boolean(), (all, sendsTypes) => {
      const params = all[0].length;
      const types = bulkTypesOf(bulk(all, true), params);
      const expected = all.map((row) => {
        const head = new OctetWriter().uint(0x17, 1).uint(5, 4).uint(0, 1).uint(1, 4);
        return packets(0, head.octets(bound(row, { named: false })).all());
      });
      assert.deepEqual(
        bulkToExecutes(bulk(all, sendsTypes), params, 5, sendsTypes ? undefined : types),
        expected,
      );
    }),
    { numRuns: 200 },
  );
});

describe('what COM_STMT_EXECUTE cannot say', () => {
  const types = Uint8Array.of(1, 0);
  const of = (...octets: number[]) => bulkToExecutes(command(0xfa, 1, 0, 0, 0, 0, 0, ...octets), 1, 1, types);

  test('DEFAULT, IGNORE, and indicators that are none', () => {
    assert.equal(of(0, 7)?.length, 1);
    assert.equal(of(0, 7, 2), undefined);
    assert.equal(of(0, 7, 3), undefined);
    assert.equal(of(0, 7, 9), undefined);
  });

  test('no row, half a row, no parameters, no types', () => {
    assert.equal(of(), undefined);
    assert.equal(of(0), undefined);
    assert.equal(of(0, 7, 0), undefined);
    const one = command(0xfa, 1, 0, 0, 0, 0, 0, 0, 7);
    assert.equal(bulkToExecutes(one, 0, 1, types), undefined);
    assert.equal(bulkToExecutes(one, 1, 1), undefined);
    assert.equal(bulkToExecutes(one, 1, 1, Uint8Array.of(1)), undefined);
    assert.equal(bulkTypesOf(one, 1), undefined);
  });

  test('more rows than are expanded', () => {
    const nulls = command(0xfa, 1, 0, 0, 0, 0, 0, new Uint8Array(0x10_0001).fill(1));
    assert.equal(bulkToExecutes(nulls, 1, 1, types), undefined);
  });

  test('octets of any kind are an answer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(20), (octets, params) => {
        bulkToExecutes(octets, params, 1);
        bulkToExecutes(packets(0, octets), params, 1, new Uint8Array(params * 2).fill(1));
      }),
      { numRuns: 1000 },
    );
  });
});
