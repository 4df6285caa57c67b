import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { printable, printableJson } from '../src/printable.ts';

describe('printable text', () => {
  test('letters of any script, and what was made of several code points, stay', () => {
    const text = "SELECT 'Grüße, 世界 👩‍🚀 שלום' \\n";
    assert.equal(printable(text), text);
  });

  test('whatever moves the cursor, turns text around or ends the line is named', () => {
    assert.equal(printable('a\x1b]0;x\x07b'), 'a\\x1b]0;x\\x07b');
    assert.equal(printable('\r\n\t\0\x7f'), '\\r\\n\\t\\x00\\x7f');
    assert.equal(printable('\x9b2J\x85'), '\\x9b2J\\x85');
    assert.equal(printable('\u202eabc\u2066\u200f\u061c\u2028'), '\\u202eabc\\u2066\\u200f\\u061c\\u2028');
  });

  test('half of a surrogate pair is named, a whole pair stays', () => {
    assert.equal(printable('\ud83d \ude00 \u{1f600}'), '\\ud83d \\ude00 \u{1f600}');
  });

  test('JSON is equal to what it was, and has nothing a terminal would obey', () => {
    const value = { 'k\x9b': 'a\x1b\n\x7f\x85\u202e\u2069\u2028\ud800\u{1f600}' };
    for (const indent of [undefined, 2]) {
      const json = printableJson(value, indent);
      assert.deepEqual(JSON.parse(json), value);
      assert.doesNotMatch(json.replaceAll('\n', ''), /[\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029]/u);
    }
  });
});
