import fc from 'fast-check';
import { OctetWriter } from '../../../src/mysql/packet.ts';

/** A value as the binary protocol has it, with its type. */
export interface BinaryValue {
  type: number;
  octets: Uint8Array;
}

const fixed = (type: number, size: number) =>
  fc.uint8Array({ minLength: size, maxLength: size }).map((octets) => ({ type, octets }));

/** Dates and times: the octets that follow come first. */
const temporal = (type: number, sizes: number[]) =>
  fc.constantFrom(...sizes).map((size) => ({ type, octets: Uint8Array.of(size, ...Array(size).fill(7)) }));

const string = (type: number) =>
  fc
    .oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.constantFrom(0, 250, 251, 65_535, 65_536).map((n) => new Uint8Array(n)),
    )
    .map((value) => ({ type, octets: new OctetWriter().lenenc(value.length).octets(value).all() }));

/** Types that are strings: DECIMAL, VARCHAR, BIT, VECTOR, JSON, NEWDECIMAL … GEOMETRY. */
const STRINGS = [0, 0x0f, 0x10, 0xf2, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff];

/** Values of every type that the manuals name, but NULL, which has no octets. */
export const binaryValue: fc.Arbitrary<BinaryValue> = fc.oneof(
  fixed(0x01, 1),
  fixed(0x02, 2),
  fixed(0x0d, 2),
  fixed(0x03, 4),
  fixed(0x09, 4),
  fixed(0x04, 4),
  fixed(0x05, 8),
  fixed(0x08, 8),
  temporal(0x0a, [0, 4]),
  temporal(0x07, [0, 4, 7, 11, 13]),
  temporal(0x0c, [0, 4, 7, 11, 13]),
  temporal(0x0b, [0, 8, 12]),
  ...STRINGS.map(string),
);

/** A parameter: its value, which may be NULL or have gone before as long data. */
export interface Parameter extends BinaryValue {
  name: string;
  fate: 'sent' | 'null' | 'long';
}

export const parameter: fc.Arbitrary<Parameter> = fc
  .tuple(binaryValue, fc.string({ maxLength: 5 }), fc.constantFrom('sent', 'sent', 'sent', 'null', 'long'))
  .map(([value, name, fate]) => ({ ...value, name, fate: fate as Parameter['fate'] }));

/** The block of bound parameters, as COM_STMT_EXECUTE and COM_QUERY have it. */
export function bound(
  parameters: readonly Parameter[],
  { named, typed = true }: { named: boolean; typed?: boolean },
): Uint8Array {
  const writer = new OctetWriter();
  const nulls = new Uint8Array(Math.ceil(parameters.length / 8));
  parameters.forEach(({ fate }, i) => {
    if (fate === 'null') nulls[i >> 3] |= 1 << (i & 7);
  });
  writer.octets(nulls).uint(typed ? 1 : 0, 1);
  if (typed) {
    for (const { type, name } of parameters) {
      const octets = Buffer.from(name);
      writer.uint(type, 1).uint(0x80, 1);
      if (named) writer.lenenc(octets.length).octets(octets);
    }
  }
  for (const { octets, fate } of parameters) if (fate === 'sent') writer.octets(octets);
  return writer.all();
}
