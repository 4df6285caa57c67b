import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { typesOf, withoutAttributes, withTypes } from '../../src/mysql/execute.ts';
import { OctetWriter } from '../../src/mysql/packet.ts';
import { command, packets } from './support/packets.ts';
import { bound, type Parameter, parameter } from './support/values.ts';

const PARAMETER_COUNT_AVAILABLE = 8;
const READ_ONLY = 1;

function execute(
  parameters: readonly Parameter[],
  form: { named: boolean; typed?: boolean; flags?: number; count?: number },
): Uint8Array {
  const writer = new OctetWriter()
    .uint(0x17, 1)
    .uint(0x01020304, 4)
    .uint(form.flags ?? 0, 1)
    .uint(1, 4);
  if (form.named) writer.lenenc(form.count ?? parameters.length);
  if (parameters.length > 0) writer.octets(bound(parameters, form));
  return packets(0, writer.all());
}

const typesOfAll = (parameters: readonly Parameter[]) =>
  Uint8Array.from(parameters.flatMap(({ type }) => [type, 0x80]));

const some = fc.array(parameter, { minLength: 1, maxLength: 20 });

/** A COM_STMT_EXECUTE of mysql --binary-as-… kind: statement 1, one LONGLONG of 7. */
const PLAIN = command(0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0);
/** The same, with a count and a name. */
const NAMED = command(0x17, 1, 0, 0, 0, 8, 1, 0, 0, 0, 1, 0, 1, 8, 0, 1, 'n', 7, 0, 0, 0, 0, 0, 0, 0);
/** And an attribute more: a='b'. */
const ATTRIBUTED = command(
  ...[0x17, 1, 0, 0, 0, 8, 1, 0, 0, 0, 2, 0, 1, 8, 0, 1, 'n', 0xfe, 0, 1, 'a'],
  ...[7, 0, 0, 0, 0, 0, 0, 0, 1, 'b'],
);

describe('an execution, octet by octet', () => {
  test('its types', () => {
    assert.deepEqual(typesOf(PLAIN, 1, false), Uint8Array.of(8, 0));
    assert.deepEqual(typesOf(NAMED, 1, true), Uint8Array.of(8, 0));
    assert.deepEqual(typesOf(ATTRIBUTED, 1, true), Uint8Array.of(8, 0, 0xfe, 0));
    assert.equal(typesOf(command(0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0), 0, false), undefined);
  });

  test('without its attributes', () => {
    assert.deepEqual(withoutAttributes(NAMED, 1), PLAIN);
    assert.deepEqual(withoutAttributes(ATTRIBUTED, 1), PLAIN);
    const bare = command(0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0);
    assert.deepEqual(withoutAttributes(ATTRIBUTED, 0), bare);
    assert.deepEqual(withoutAttributes(bare, 0), bare);
    assert.deepEqual(withoutAttributes(command(0x17, 1, 0, 0, 0, 8, 1, 0, 0, 0, 0), 0), bare);
  });

  test('with types', () => {
    const again = command(0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0);
    assert.deepEqual(withTypes(again, 1, Uint8Array.of(8, 0), false), PLAIN);
    const named = command(0x17, 1, 0, 0, 0, 8, 1, 0, 0, 0, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0);
    assert.deepEqual(
      withTypes(named, 1, Uint8Array.of(8, 0), true),
      command(0x17, 1, 0, 0, 0, 8, 1, 0, 0, 0, 1, 0, 1, 8, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0),
    );
  });
});

describe('any execution', () => {
  test('its types are those it was made with, in either form', () => {
    fc.assert(
      fc.property(some, fc.boolean(), (parameters, named) => {
        const count = parameters.length;
        assert.deepEqual(typesOf(execute(parameters, { named }), count, named), typesOfAll(parameters));
        assert.equal(typesOf(execute(parameters, { named, typed: false }), count, named), undefined);
      }),
    );
  });

  test('given its types again it is what it was with them; given twice, no more', () => {
    fc.assert(
      fc.property(some, fc.boolean(), (raw, named) => {
        const parameters = raw.map((each) => ({ ...each, name: '' }));
        const count = parameters.length;
        const types = typesOfAll(parameters);
        const typed = withTypes(execute(parameters, { named, typed: false }), count, types, named);
        assert.deepEqual(typed, execute(parameters, { named }));
        assert.equal(withTypes(typed, count, types, named), typed);
      }),
    );
  });

  test('without attributes it is what a client without them would send', () => {
    fc.assert(
      fc.property(some, fc.nat(19), fc.boolean(), (parameters, attributes, isCursor) => {
        const params = Math.max(1, parameters.length - attributes);
        const own = parameters.slice(0, params);
        const cursor = isCursor ? READ_ONLY : 0;
        const longData = new Set(own.flatMap(({ fate }, i) => (fate === 'long' ? [i] : [])));
        const packet = execute(parameters, { named: true, flags: cursor | PARAMETER_COUNT_AVAILABLE });
        const before = packet.slice();
        assert.deepEqual(
          withoutAttributes(packet, params, longData),
          execute(own, { named: false, flags: cursor }),
        );
        assert.deepEqual(packet, before, 'the packet is as it was');
      }),
    );
  });
});

test('larger than a packet', () => {
  const value = new OctetWriter().lenenc(0x1000010).zeros(0x1000010).all();
  const large: Parameter = { type: 0xfc, octets: value, name: '', fate: 'sent' };
  const typed = withTypes(execute([large], { named: false, typed: false }), 1, typesOfAll([large]), false);
  assert.ok(Buffer.from(typed.buffer).equals(execute([large], { named: false })));
});

describe('what cannot be', () => {
  test('fewer parameters than the statement has, or attributes of unknown types', () => {
    const number: Parameter = { type: 8, octets: new Uint8Array(8), name: 'n', fate: 'sent' };
    assert.equal(withoutAttributes(execute([number], { named: true }), 2), undefined);
    const longer = { ...number, octets: new Uint8Array(12) };
    assert.equal(withoutAttributes(execute([longer], { named: true }), 2), undefined);
    assert.equal(withoutAttributes(execute([number, number], { named: true, typed: false }), 1), undefined);
    assert.notEqual(
      withoutAttributes(execute([number, number], { named: true, typed: false }), 2),
      undefined,
    );
  });

  test('fewer types than parameters: it stays as it is', () => {
    const again = execute([{ type: 1, octets: Uint8Array.of(1), name: '', fate: 'sent' }], {
      named: false,
      typed: false,
    });
    assert.equal(withTypes(again, 1, Uint8Array.of(1), false), again);
  });

  test('octets of any kind, and any part of an execution, are an answer', () => {
    const hostile = fc.uint8Array({ maxLength: 40 }).map((octets) => packets(0, octets));
    const cut = fc
      .tuple(some, fc.boolean(), fc.nat(200))
      .map(([parameters, named, length]) => execute(parameters, { named }).slice(0, length));
    fc.assert(
      fc.property(fc.oneof(hostile, cut), fc.nat(30), fc.boolean(), (packet, params, named) => {
        const types = new Uint8Array(60);
        typesOf(packet, params, named);
        withTypes(packet, params, types, named);
        withoutAttributes(packet, params);
      }),
      { numRuns: 2000 },
    );
  });
});
