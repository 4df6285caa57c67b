import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { OctetWriter } from '../../src/mysql/packet.ts';
import {
  queryPacket,
  queryTextAt,
  textOf,
  withoutQueryAttributes,
  withText,
} from '../../src/mysql/query-attributes.ts';
import { command, packets } from './support/packets.ts';
import { bound, type Parameter, parameter } from './support/values.ts';

const plain = command(3, 'SELECT 1');

/** The manual's own example: the attribute a='1', and a text. */
const EXAMPLE = command(3, 1, 1, 0, 1, 0xfe, 0, 1, 'a', 1, '1', 'select @@version_comment limit 1');

function attributed(parameters: readonly Parameter[], text: string): Uint8Array {
  const writer = new OctetWriter().uint(3, 1).lenenc(parameters.length).lenenc(1);
  if (parameters.length > 0) writer.octets(bound(parameters, { named: true }));
  return packets(0, writer.octets(Buffer.from(text)).all());
}

/** None is long: a query has no other command to bring its data. */
const attributes = fc.array(
  parameter.map((each): Parameter => ({ ...each, fate: each.fate === 'long' ? 'null' : each.fate })),
  { maxLength: 20 },
);

test("the manual's example", () => {
  assert.deepEqual(withoutQueryAttributes(EXAMPLE), command(3, 'select @@version_comment limit 1'));
  assert.deepEqual(withText(EXAMPLE, Buffer.from('x')), command(3, 1, 1, 0, 1, 0xfe, 0, 1, 'a', 1, '1', 'x'));
});

test('a text is found behind any attributes, and taken out alone', () => {
  fc.assert(
    fc.property(attributes, fc.constantFrom('', 'SELECT 1', '\tselect', '\xff'), (parameters, text) => {
      const packet = attributed(parameters, text);
      assert.equal(Buffer.from(textOf(packet)).toString(), text);
      assert.deepEqual(withoutQueryAttributes(packet), command(3, text));
      assert.deepEqual(withText(packet, Buffer.from('other')), attributed(parameters, 'other'));
      assert.equal(queryTextAt(packet, 5, packet.length), packet.length - Buffer.byteLength(text));
    }),
    { numRuns: 300 },
  );
});

test('more than 250 attributes', () => {
  const many = Array.from({ length: 300 }, (_, i): Parameter => {
    return { type: 1, octets: Uint8Array.of(i), name: `a${i}`, fate: 'sent' };
  });
  assert.equal(Buffer.from(textOf(attributed(many, 'DO 1'))).toString(), 'DO 1');
});

test('a query without attributes, and other commands, are as they are', () => {
  assert.equal(withoutQueryAttributes(plain), plain);
  assert.deepEqual(withText(plain, Buffer.from('DO 1')), command(3, 'DO 1'));
  const prepare = command(0x16, 0, 1, 'SELECT');
  assert.deepEqual(textOf(prepare), prepare.subarray(5));
  assert.deepEqual(withText(prepare, Buffer.from('DO 1')), command(0x16, 'DO 1'));
});

test('a query of ours', () => {
  assert.deepEqual(queryPacket(Buffer.from('SELECT 1'), false), plain);
  assert.deepEqual(queryPacket(Buffer.from('SELECT 1'), true), command(3, 0, 1, 'SELECT 1'));
});

test('larger than a packet', () => {
  const text = `SELECT '${'x'.repeat(0x1000000)}'`;
  const packet = attributed([{ type: 1, octets: Uint8Array.of(7), name: 'a', fate: 'sent' }], text);
  assert.ok(Buffer.from(withoutQueryAttributes(packet)).equals(command(3, text)));
});

test('attributes that are malformed are taken for text: the server will say so', () => {
  // Two sets, the count in one octet and in three; a flag of 0; values cut short.
  for (const head of [
    [0xfc, 0, 0, 2],
    [1, 2],
    [1, 1, 0, 0, 1, 0, 0],
    [1, 1, 0, 1, 8, 0, 0, 7],
  ]) {
    const packet = command(3, ...head);
    assert.equal(withoutQueryAttributes(packet), packet, String(head));
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), (octets) => {
      const at = queryTextAt(octets, 5, octets.length);
      assert.ok(at === 5 || (at > 5 && at <= octets.length));
      textOf(packets(0, octets));
      withoutQueryAttributes(packets(0, Uint8Array.of(3, 1, 1, ...octets)));
    }),
    { numRuns: 2000 },
  );
});
