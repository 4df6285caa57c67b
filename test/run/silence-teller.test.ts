import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SilenceTeller } from '../../src/run/silence-teller.ts';

test('that nothing has come for ten seconds is told once, with where else to look', () => {
  const said: string[] = [];
  const teller = new SilenceTeller('vip0', 'tcp port 3307', (line) => said.push(line));
  teller.look(0, 9_000);
  assert.deepEqual(said, []);
  teller.look(0, 10_000);
  teller.look(0, 11_000);
  assert.deepEqual(said, [
    'no packet has come on vip0 for 10 s (tcp port 3307): do clients come by another interface? (try: -i any, which captures on all of them)',
  ]);
});

test('nothing is told of a capture that packets come to, and -i any is not proposed to who has it', () => {
  const said: string[] = [];
  new SilenceTeller('eth0', 'tcp port 3307', (line) => said.push(line)).look(1, 20_000);
  assert.deepEqual(said, []);
  const ofAny: string[] = [];
  new SilenceTeller('any', 'tcp port 3307', (line) => ofAny.push(line)).look(0, 20_000);
  assert.deepEqual(ofAny, [
    'no packet has come on any for 10 s (tcp port 3307): check that clients reach this host at all',
  ]);
});
