import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DropLog } from '../../src/intercept/drop-log.ts';

test('a line when packets were lost since the last look, with what to do; none otherwise', () => {
  let dropped = 0;
  const lines: string[] = [];
  const log = new DropLog(
    () => ({ packets: 1000, dropped }),
    (line) => lines.push(line),
  );
  log.look();
  dropped = 12;
  log.look();
  log.look();
  dropped = 15;
  log.look();
  assert.deepEqual(
    lines.map((line) => line.split(':')[0]),
    ['the capture dropped 12 packets, 12 in all', 'the capture dropped 3 packets, 15 in all'],
  );
  assert.match(lines[0], /narrow -F .*more CPU/);
});
