import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecordedSession } from '../../src/replay/recorded.ts';
import { Tape } from './support/tape.ts';

test('a command is held until the last copy is through with it, however long the session is', () => {
  const count = 5000;
  const made = new Tape().session();
  for (let i = 0; i < count; i++) made.query(i);
  const recorded = new RecordedSession(made.meta);
  for (const command of made.commands) recorded.add(command, 2);
  const lag = 700;
  for (let i = 0; i < count + lag; i++) {
    if (i < count) assert.equal(recorded.letGo(i), false);
    if (i < lag) continue;
    assert.equal(recorded.at(i - lag), made.commands[i - lag]);
    assert.equal(recorded.letGo(i - lag), true);
    assert.equal(recorded.at(i - lag), undefined);
    assert.equal(recorded.at(i - lag + 1), made.commands[i - lag + 1]);
  }
  assert.equal(recorded.end, count);
  assert.equal(recorded.at(count), undefined);
});
