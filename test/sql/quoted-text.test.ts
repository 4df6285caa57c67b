import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { quotedText } from '../../src/sql/quoted-text.ts';

function read(statement: string, from = 0, to = statement.length): { text: string; at: number[] } {
  const { octets, at } = quotedText(Buffer.from(statement), from, to);
  return { text: Buffer.from(octets).toString(), at: [...at] };
}

describe('what a string stands for', () => {
  const cases: [string, string][] = [
    [`'SELECT 1'`, 'SELECT 1'],
    [`"it''s"`, "it''s"],
    [`'it''s'`, "it's"],
    [`'it\\'s \\\\'`, "it's \\"],
    [`'a\\nb\\%'`, 'a b%'],
    [`''`, ''],
    [`'no end`, 'no end'],
    [`'`, ''],
  ];
  for (const [string, text] of cases) test(string, () => assert.equal(read(string).text, text));

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
      const read = quotedText(Uint8Array.from(quoted), 0, quoted.length);
      assert.deepEqual([...read.octets], [...octets]);
      assert.deepEqual([...read.at], [...stands, quoted.length - 1]);
    }),
  );
});
