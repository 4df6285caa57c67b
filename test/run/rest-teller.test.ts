import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RestTeller } from '../../src/run/rest-teller.ts';

const NOW = Date.UTC(2026, 0, 31, 12);

function teller(skipsIdle = false) {
  const lines: string[] = [];
  const rests = new RestTeller({ originSec: 1_700_000_000, skipsIdle, say: (line) => lines.push(line) });
  return {
    lines,
    look: (leftS: number, restsTo?: number) => rests.look({ restsUntilMs: NOW + leftS * 1000, restsTo }, NOW),
  };
}

test('a time in which nothing is due is told once, and the next one again', () => {
  const { lines, look } = teller();
  look(3_600, 3_600e9);
  for (let left = 3_599; left >= 0; left--) look(left);
  assert.equal(lines.length, 1);
  assert.match(
    lines[0],
    /^nothing is due for 3,600 s: the recording goes on at \S+ \S+; waiting until 2026-01-31 \S+ \(--skip-idle 5s cuts such times\)$/,
  );
  look(61);
  assert.equal(lines.length, 2);
  assert.doesNotMatch(lines[1], /recording/);
});

test('a short one is not, nor one in which something is under way, or nothing is left', () => {
  const { lines, look } = teller();
  look(59);
  look(-Infinity);
  look(Infinity);
  assert.deepEqual(lines, []);
});

test('whoever cuts idle times is not told to', () => {
  const { lines, look } = teller(true);
  look(100);
  assert.doesNotMatch(lines[0], /skip-idle/);
});
