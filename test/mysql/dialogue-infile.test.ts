/** The file of a LOCAL INFILE, where octets of its conversation are missing: it is whole, or not taken for whole. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COM } from '../../src/mysql/command.ts';
import { ready } from './support/conversation.ts';
import { command, ok, packets, payload } from './support/packets.ts';

type Step = 'request' | 'first' | 'second' | 'third' | 'end' | 'answer';
const STEPS: readonly Step[] = ['request', 'first', 'second', 'third', 'end', 'answer'];

/** LOAD DATA with a file of three packets, of which these steps are missing; then another command. */
function load(missing: readonly Step[]) {
  const log = ready();
  log.client(command(COM.query, 'load data'));
  const parts = {
    request: packets(1, payload(0xfb, 'f')),
    first: packets(2, payload('a line\n')),
    second: packets(3, payload('b line\n')),
    third: packets(4, payload('c line\n')),
    end: packets(5, payload()),
    answer: packets(6, ok(3)),
  };
  for (const step of STEPS) {
    const octets = parts[step];
    const fromClient = step !== 'request' && step !== 'answer';
    if (missing.includes(step)) log.dialogue.gap(fromClient, octets.length);
    else if (fromClient) log.client(octets);
    else log.server(octets);
  }
  log.client(command(COM.ping)).server(packets(1, ok()));
  return log;
}

for (let bits = 0; bits < 1 << STEPS.length; bits++) {
  const missing = STEPS.filter((_, i) => (bits >> i) & 1);
  test(`without ${missing.join(', ') || 'nothing'}`, () => {
    const { commands } = load(missing);
    const { file } = commands[0];
    const lacks = missing.some((step) => step !== 'request' && step !== 'answer');
    if (lacks) assert.notEqual(file?.whole, true);
    else if (file?.whole) assert.equal(file.packets.length, 4);
    // Nothing of the file is a command.
    for (const { com } of commands) assert.ok(com === COM.query || com === COM.ping);
  });
}
