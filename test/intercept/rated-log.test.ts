import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RatedLog } from '../../src/intercept/rated-log.ts';

test('of each kind the first lines of an interval are logged, and then how many more there were', () => {
  const lines: string[] = [];
  const log = new RatedLog((line) => lines.push(line), 0);
  for (let i = 0; i < 100_000; i++) log.say('refused', `refused ${i}`);
  log.say('open', 'open 0');
  assert.deepEqual(lines.splice(0), [
    'refused 0',
    'refused 1',
    'refused 2',
    'refused 3',
    'refused 4',
    'open 0',
  ]);
  log.look(59_999);
  assert.deepEqual(lines, []);
  log.look(60_000);
  assert.deepEqual(lines.splice(0), ['refused: 99995 more like these, not logged one by one']);
  log.say('refused', 'refused again');
  log.look(120_000);
  assert.deepEqual(lines.splice(0), ['refused again'], 'nothing was left out');
});

test('however many kinds there are, they are few to remember', () => {
  const lines: string[] = [];
  const log = new RatedLog((line) => lines.push(line), 0);
  for (let i = 0; i < 1_000; i++) log.say(`kind ${i}`, `line ${i}`);
  assert.equal(lines.length, 16 + 5);
  log.tellRest();
  assert.equal(lines.at(-1), 'other: 979 more like these, not logged one by one');
});
