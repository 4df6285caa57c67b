import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskTrouble } from '../../src/archive/trouble.ts';

test('trouble is reported once for each spell of each kind, with what follows', () => {
  const said: string[] = [];
  const trouble = new DiskTrouble('/a.tape', (message) => said.push(message));
  const full = new Error('ENOSPC');
  trouble.note('write', full);
  trouble.note('write', full);
  trouble.note('sync', full);
  trouble.note('write', null);
  trouble.note('write', full);
  assert.deepEqual(said, [
    'cannot write to /a.tape: ENOSPC; packets are dropped, and counted, until it can be written to again',
    'cannot write to /a.tape: ENOSPC; what was just recorded may not survive a power cut',
    'cannot write to /a.tape: ENOSPC; packets are dropped, and counted, until it can be written to again',
  ]);
});

test('work that fails is trouble, and is told from work that does not', () => {
  const said: string[] = [];
  const trouble = new DiskTrouble('/a.tape', (message) => said.push(message));
  const fail = () => {
    throw new Error('EIO');
  };
  assert.deepEqual([trouble.guard('close', fail), trouble.guard('close', fail)], [false, false]);
  assert.equal(
    trouble.guard('close', () => {}),
    true,
  );
  assert.deepEqual(said, ['cannot write to /a.tape: EIO; the next mytape that opens the archive repairs it']);
  new DiskTrouble('/a.tape', undefined).note('sync', new Error('EIO'));
});
