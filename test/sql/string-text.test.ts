import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DIALECT } from '../../src/sql/dialect.ts';
import { stringText } from '../../src/sql/string-text.ts';

function read(
  statement: string,
  from = 0,
  to = statement.length,
  dialect = 0,
): { text: string; at: number[] } {
  const { octets, at } = stringText(Buffer.from(statement), from, to, dialect);
  return { text: Buffer.from(octets).toString(), at: [...at] };
}

describe('what a string stands for', () => {
  const cases: [string, string][] = [
    [`'SELECT 1'`, 'SELECT 1'],
    [`"it''s"`, "it''s"],
    [`'it''s'`, "it's"],
    [`'it\\'s \\\\'`, "it's \\"],
    [`'a\\nb\\%'`, 'a b%'],
    [`'a""b'`, 'a""b'],
    [`"a""b''c"`, `a"b''c`],
    [`'a\\'b\\\\c\\nd'`, "a'b\\c d"],
    [`''`, ''],
    [`'no end`, 'no end'],
    [`'`, ''],
    [`N'it''s'`, "it's"],
    [`n'a\\'b'`, "a'b"],
  ];
  for (const [string, text] of cases) test(string, () => assert.equal(read(string).text, text));

  test('a backslash is itself where sql_mode says so', () => {
    const { noBackslashEscapes } = DIALECT;
    assert.equal(read(`'it''s \\\\n'`, 0, 10, noBackslashEscapes).text, "it's \\\\n");
  });

  test('each octet is told where it stands, and the end, too', () => {
    assert.deepEqual(read(`SET 'a''b'`, 4), { text: "a'b", at: [5, 6, 8, 9] });
  });
});

test('whatever is quoted is read again, each octet from where it stands', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (octets) => {
      const quoted = [0x27];
      const stands: number[] = [];
      for (const octet of octets) {
        stands.push(quoted.length);
        // Doubled, both of them.
        if (octet === 0x27 || octet === 0x5c) quoted.push(octet);
        quoted.push(octet);
      }
      quoted.push(0x27);
      const read = stringText(Uint8Array.from(quoted), 0, quoted.length, 0);
      assert.deepEqual([...read.octets], [...octets]);
      assert.deepEqual([...read.at], [...stands, quoted.length - 1]);
    }),
  );
});
