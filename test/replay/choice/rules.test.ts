import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RewriteRules } from '../../../src/replay/choice/rules.ts';

const rewritten = (rules: string, sql: string | Uint8Array) =>
  Buffer.from(RewriteRules.parse(rules, 'r').text(Buffer.from(sql)));

describe('a rule', () => {
  const cases: [rule: string, before: string, after: string][] = [
    ['s/a/b/', 'a a', 'b a'],
    ['s/a/b/g', 'a a', 'b b'],
    ['s/A/b/gi', 'a A', 'b b'],
    ['s/a.b/x/', 'a\nb', 'a\nb'],
    ['s/a.b/x/s', 'a\nb', 'x'],
    ['s/^b/x/m', 'a\nb', 'a\nx'],
    ['s/\\u{e9}/e/u', 'é', 'e'],
    ['s/(\\w+) = (\\w+)/$2 = $1/', 'a = b', 'b = a'],
    ['s/(?<name>\\w+)/`$<name>`/', 'a', '`a`'],
    ['s/a/[$&]/', 'a', '[a]'],
    ['s/a/$$1/', 'a', '$1'],
    ['s/a//g', 'banana', 'bnn'],
    ['s/a\\/b/c\\/d/', 'a/b', 'c/d'],
    ['s#a/b#c/d#', 'a/b', 'c/d'],
    ['s|a\\|b|x\\|y|', 'a|b', 'x|y'],
    ['s,a\\,b,x\\,y,u', 'a,b', 'x,y'],
    ['s/ /\\n/', 'a b', 'a\nb'],
    ['s/ /\\t/', 'a b', 'a\tb'],
    ['s/ /\\\\n/', 'a b', 'a\\nb'],
    ['s/\\\\/x/', 'a\\b', 'axb'],
    ['s/é/è/', 'café', 'cafè'],
    ['s/[é]/x/', 'café', 'cafx'],
    ['s/^.$/x/u', '😀', 'x'],
    ['  s/a/b/  ', 'a', 'b'],
  ];
  for (const [rule, before, after] of cases)
    test(`${rule} makes ${JSON.stringify(before)} ${JSON.stringify(after)}`, () =>
      assert.equal(rewritten(rule, before).toString(), after));
});

test('rules in their order, each on what the one before it made; comments and blank lines are none', () => {
  const rules = '# first\r\ns/a/b/\r\n\r\n   # second\ns/b/c/\n';
  assert.equal(rewritten(rules, 'a b').toString(), 'c b');
});

test('a rule with g matches from the beginning each time', () => {
  const rules = RewriteRules.parse('s/a/b/g', 'r');
  for (let i = 0; i < 3; i++) assert.equal(Buffer.from(rules.text(Buffer.from('xa'))).toString(), 'xb');
});

describe('octets', () => {
  test('that no rule changes are the same object', () => {
    const octets = Uint8Array.of(0x61, 0xff);
    assert.equal(RewriteRules.parse('s/b/c/', 'r').text(octets), octets);
    assert.equal(RewriteRules.parse('s/a/a/', 'r').text(octets), octets);
    assert.equal(RewriteRules.parse('', 'r').text(octets), octets);
  });

  test('that are no UTF-8 survive beside what is', () => {
    const before = Buffer.concat([
      Buffer.from("INSERT 'é' 😀, '"),
      Buffer.of(0xff, 0xe9, 0, 0xed, 0xa0, 0x80, 0xc3),
      Buffer.from("' é"),
    ]);
    const after = Buffer.from(before.toString('latin1').replaceAll('Ã©', 'x'), 'latin1');
    assert.deepEqual(rewritten('s/é/x/g', before), after);
  });

  test('survive whatever they are, in front of what is put behind them', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 8 }),
      fc.string({ unit: 'binary', maxLength: 8 }).map((text) => new Uint8Array(Buffer.from(text))),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const before = Buffer.concat(pieces);
        assert.deepEqual(rewritten('s/$/!/', before), Buffer.concat([before, Buffer.from('!')]));
      }),
      { numRuns: 500 },
    );
  });

  test('only those of the text given: not those around it', () => {
    const whole = Buffer.from('xxaxx');
    const text = RewriteRules.parse('s/x*a/b/', 'r').text(whole.subarray(2, 3));
    assert.equal(Buffer.from(text).toString(), 'b');
  });
});

test('rules that never matched', () => {
  const rules = RewriteRules.parse('# x\ns/a/b/\ns/z/y/g\ns/b/b/', 'my.rules');
  assert.equal(rules.unused().length, 3);
  rules.text(Buffer.from('a'));
  assert.deepEqual(rules.unused(), ['my.rules:3 s/z/y/g']);
});

describe('what is no rule is named by its line', () => {
  const cases: [string, RegExp][] = [
    ['a/b/', /^r:2: a\/b\/ is no rule \(a rule is s\/PATTERN\/REPLACEMENT\/FLAGS\)$/],
    ['s', /is no rule/],
    ['saxbxa', /is no rule/],
    ['s\\a\\b\\', /is no rule/],
    ['s/a/b', /lacks a \//],
    ['s/a', /lacks a \//],
    ['s/a\\/b/', /lacks a \//],
    ['s/a/b/c/', /has a \/ too many: write \\\/ within a part/],
    ['s//b/', /has no pattern/],
    ['s/a/b/y', /has flags y, and may have/],
    ['s/a/b/gg', /is not right: .*flags/i],
    ['s/(a/b/', /is not right: .*Unterminated group/],
    ['s/(a)/\\1/', /has \\1: write \$1/],
  ];
  for (const [line, message] of cases)
    test(line, () =>
      assert.throws(() => RewriteRules.parse(`# first\n${line}\ns/a/b/`, 'r'), { code: 'bad-file', message }),
    );
});
