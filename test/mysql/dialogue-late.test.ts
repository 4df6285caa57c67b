/** Conversations whose beginning was not captured. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { COM } from '../../src/mysql/command.ts';
import { sessionTurns } from '../flow/support/capture.ts';
import { greeting, hello, Log } from './support/conversation.ts';
import { column, command, eof, ok, okAsEof, packets, payload, row } from './support/packets.ts';

const late = () => new Log({ joinedLate: true });

test('the first command whose answer agrees is the first that is told', () => {
  const log = late()
    .server(Buffer.from('the rest of some long answer'))
    .client(command(COM.query, 'select 1'))
    .server(packets(1, payload(1), column('a'), eof(), row('x'), eof()));
  log.client(command(COM.ping)).server(packets(1, ok()));
  assert.deepEqual(log.take(), ['joined 0', 'command 0 3', 'command 1 14', 'reply 0 rows', 'reply 1 ok']);
});

test('a command that nobody answers as one is not told, but counted', () => {
  const log = late()
    .client(command(COM.query, 'a row of a file that looks like a command'))
    .server(packets(7, row('x')))
    .client(command(COM.stmtClose, 1, 0, 0, 0))
    .client(Buffer.from('no command at all'))
    .server(packets(7, row('y')))
    .client(command(COM.ping))
    .server(packets(1, ok()))
    .end();
  assert.deepEqual(log.take(), ['joined 3', 'command 0 14', 'reply 0 ok']);
});

test('commands that were sent at once are told, but of the answers nobody can say whose they are', () => {
  const log = late()
    .client(command(COM.ping))
    .client(command(COM.ping))
    .server(packets(1, ok()))
    .client(command(COM.ping))
    .server(packets(1, ok()));
  assert.deepEqual(log.end().take(), ['joined 0', 'command 0 14', 'command 1 14', 'command 2 14']);
  assert.equal(log.dialogue.unanswered, 3);
});

test('an answer that the client does not wait for is no answer to its command', () => {
  const log = late()
    .client(command(COM.query, 'the second of two'))
    .server(packets(1, ok(1)))
    .server(packets(1, ok(2)));
  assert.deepEqual(log.end().take(), ['joined 0', 'command 0 3']);
});

test('a command whose answer was missed is told without one', () => {
  const log = late().client(command(COM.stmtPrepare, 'drop table a'));
  log.dialogue.gap(false, 12);
  log.dialogue.gap(true, 20);
  log.server(packets(1, ok()));
  log.client(command(COM.ping)).server(packets(1, ok())).client(command(COM.quit)).end();
  assert.deepEqual(log.take(), [
    'joined 0',
    'command 0 22',
    'lost gap 1',
    'command 1 14',
    'command 2 1',
    'reply 1 ok',
  ]);
});

test('one that never agrees says how many commands it saw', () => {
  const log = late().client(command(COM.ping)).client(command(COM.ping));
  assert.deepEqual(log.take(), []);
  assert.equal(log.dialogue.unanswered, 2);
});

test('whether EOFs are deprecated is learnt from the first answer that shows it', () => {
  const select = command(COM.query, 'select 1');
  const classic = packets(1, payload(1), column('a'), eof(), row('x'), row('y'), eof());
  const deprecated = packets(1, payload(1), column('a'), row('x'), row('y'), okAsEof());
  for (const answer of [classic, deprecated]) {
    const log = late().client(select).server(answer).client(select).server(answer);
    const rows = log.lines.filter((line) => line.includes('"rows":2'));
    assert.equal(rows.length, 2, log.lines.join('\n'));
    assert.equal(log.dialogue.pending, 0);
  }
  const empty = packets(1, payload(1), column('a'), okAsEof());
  const log = late().client(select).server(empty).end();
  assert.deepEqual(log.take().slice(1), ['command 0 3', 'reply 0 rows']);
});

test('a PREPARE with parameters only: its end is known with the next command where EOFs are deprecated', () => {
  const prepared = payload(0, 7, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0);
  const log = late()
    .client(command(COM.stmtPrepare, 'insert into t values (?, ?)'))
    .server(packets(1, prepared, column('?'), column('?')));
  assert.deepEqual(log.take(), ['joined 0', 'command 0 22']);
  log.client(command(COM.stmtExecute, 7, 0, 0, 0, 0, 1, 0, 0, 0)).server(packets(1, ok(1)));
  assert.deepEqual(log.take(), ['command 1 23', 'reply 0 ok', 'reply 1 ok']);
});

test('optional metadata: a count with its flag is one that stands for no definitions', () => {
  const log = late()
    .client(command(COM.query, 'select 1'))
    .server(packets(1, payload(1, 0), eof(), row('x'), eof()))
    .end();
  assert.deepEqual(log.take(), ['joined 0', 'command 0 3', 'reply 0 rows']);
});

test('a capture that begins between the SYN and the greeting has missed nothing', () => {
  const log = late().server(greeting()).client(hello()).server(packets(2, ok()));
  log.client(command(COM.ping)).server(packets(1, ok()));
  assert.equal(log.take()[0].slice(0, 7), 'login u');
});

test('a client of compressed packets is never taken for one that sends commands', () => {
  const log = late().client(payload(12, 0, 0, 0, 0, 0, 0, command(COM.query, 'select 1')));
  log.server(payload(11, 0, 0, 1, 0, 0, 0, packets(1, ok())));
  assert.deepEqual(log.take(), []);
});

for (const name of ['sysbench-text', 'sysbench-prepared', 'mysql2'] as const) {
  test(`golden capture ${name}: joined at any turn, what follows is told as in the whole`, async () => {
    const turns = await sessionTurns(name, name === 'mysql2' ? 1 : 0);
    const replies = (log: Log) =>
      log.lines
        .splice(0)
        .filter((line) => line.startsWith('reply'))
        .map((line) => line.replace(/ \d+/, ''));
    const tell = (log: Log, from: number) => {
      const told: string[][] = [];
      for (const { fromClient, octets } of turns.slice(from)) {
        if (fromClient) log.client(octets);
        else log.server(octets);
        told.push(replies(log));
      }
      log.end();
      return [...told, replies(log)];
    };
    const whole = tell(new Log(), 0);
    for (let from = 3; from < turns.length; from++) {
      const told = tell(late(), from).flat();
      const possible = whole.slice(from).flat();
      assert.deepEqual(told, possible.slice(possible.length - told.length), `from turn ${from}`);
      // What was under way when the capture began is lost.
      assert.ok(
        told.length >= possible.length - 1,
        `${told.length} answers of ${possible.length}, from ${from}`,
      );
    }
  });
}

test('a replica that is joined late is a replica', () => {
  const log = late().client(command(COM.registerSlave, 1, 0, 0, 0));
  assert.deepEqual(log.take(), ['lost replication 1']);
});

test('query attributes and the rest of what was agreed on do not matter to the answers', () => {
  const flags = CLIENT.queryAttributes;
  assert.ok(flags > 0);
  const log = late()
    .client(command(COM.query, 0, 1, 'select 1'))
    .server(packets(1, ok()))
    .end();
  assert.deepEqual(log.take(), ['joined 0', 'command 0 3', 'reply 0 ok']);
});
