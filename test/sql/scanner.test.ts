import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { statementsOf } from '../../src/sql/leading.ts';
import { KIND, SqlScanner } from '../../src/sql/scanner.ts';

/** Its tokens, but for the semicolons, which `statementsOf` cuts at. */
function scanned(text: string): { kind: string; raw: string; from: number }[] {
  const octets = Buffer.from(text, 'latin1');
  const scanner = new SqlScanner(octets);
  const tokens = [];
  for (scanner.next(); scanner.kind !== KIND.end; scanner.next()) {
    const { from, to } = scanner;
    const kind = Object.entries(KIND).find(([, value]) => value === scanner.kind)?.[0] as string;
    const raw = octets.toString('latin1', from, to);
    assert.equal(scanner.octet, octets[from]);
    if (raw !== ';') tokens.push({ kind, raw, from });
  }
  return tokens;
}

test('it cuts a text as statementsOf does', () => {
  const pieces = [
    ...'\'"`\\@;:=.,()*/-#!M \n\t\xa0\xff$_a7',
    ...[
      '/*',
      '*/',
      '/*!',
      '/*M!',
      '/*!50000',
      '--',
      '-- ',
      ':=',
      "''",
      '``',
      '""',
      '@@',
      '@`',
      'SELECT',
      'a.b',
    ],
  ];
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 30 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, (sql) => {
      const expected = statementsOf(sql).flat();
      assert.deepEqual(
        scanned(sql),
        expected.map(({ kind, raw, from }) => ({ kind, raw, from })),
      );
    }),
    { numRuns: 5000 },
  );
});

test('at the end it stays there', () => {
  const scanner = new SqlScanner(Buffer.from('x -- y'));
  scanner.next();
  for (let i = 0; i < 3; i++) {
    scanner.next();
    assert.deepEqual([scanner.kind, scanner.from, scanner.to], [KIND.end, 6, 6]);
  }
});
