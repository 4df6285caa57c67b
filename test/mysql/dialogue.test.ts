import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { COM, countCommands } from '../../src/mysql/command.ts';
import { sessionTurns, type Turn } from '../flow/support/capture.ts';
import { CAPABILITIES, greeting, hello, Log, ready } from './support/conversation.ts';
import { column, command, eof, err, ok, packets, payload, row } from './support/packets.ts';

function run(turns: Turn[], cut: (octets: Uint8Array, i: number) => number[]): string[] {
  const log = new Log();
  turns.forEach(({ fromClient, octets }, i) => {
    let from = 0;
    for (const to of [...cut(octets, i), octets.length]) {
      if (fromClient) log.dialogue.fromClient(octets, from, to, 0);
      else log.dialogue.fromServer(octets, from, to, 0);
      from = to;
    }
  });
  return log.lines;
}

for (const [name, session] of [
  ['sysbench-text', 0],
  ['sysbench-prepared', 0],
  ['mysql2', 0],
  ['mysql2', 1],
  ['mariadb-cli', 0],
] as const) {
  test(`golden capture ${name} (session ${session}): the same at every split point`, async () => {
    const turns = await sessionTurns(name, session);
    const whole = run(turns, () => []);
    assert.ok(whole.length > 15);
    assert.ok(whole.every((line) => !line.startsWith('lost')));
    for (let i = 0; i < turns.length; i++) {
      for (let at = 1; at < turns[i].octets.length; at++) {
        assert.deepEqual(
          run(turns, (_, turn) => (turn === i ? [at] : [])),
          whole,
          `turn ${i} cut at ${at}`,
        );
      }
    }
    for (const piece of [1, 2, 3, 5, 7]) {
      const cuts = (octets: Uint8Array) =>
        Array.from({ length: Math.floor(octets.length / piece) }, (_, k) => (k + 1) * piece);
      assert.deepEqual(run(turns, cuts), whole, `in pieces of ${piece}`);
    }
  });
}

test('flags that the client set and the server had not offered are not in force', () => {
  const eager = (CAPABILITIES | CLIENT.queryAttributes) >>> 0;
  const log = new Log().server(greeting()).client(hello(eager)).server(packets(2, ok()));
  assert.deepEqual(log.take(), [`login u ${CAPABILITIES.toString(16)}`]);
});

test('a client that was refused', async () => {
  const log = run(await sessionTurns('mariadb-cli', 1), () => []);
  assert.deepEqual(log, ['refused app 1045']);
});

test('commands sent at once are answered in their order; some have no answer', () => {
  const log = ready();
  const both = Buffer.concat([
    command(COM.query, 'select 1'),
    command(COM.stmtClose, 1, 0, 0, 0),
    command(COM.ping),
  ]);
  log.client(both).server(new Uint8Array([...packets(1, err(1064)), ...packets(1, ok())]));
  log.client(command(COM.quit));
  assert.deepEqual(log.take(), [
    'command 0 3',
    'command 1 25',
    'command 2 14',
    'reply 0 err',
    'reply 2 ok',
    'command 3 1',
  ]);
  assert.equal(log.dialogue.pending, 0);
});

test('what ends a conversation, and why', () => {
  const cases: [string, Log][] = [
    [
      'lost tls 0',
      new Log().server(greeting()).client(packets(1, payload(0, 0x0a, 0, 0, new Uint8Array(28)))),
    ],
    ['lost not-mysql 0', new Log().client(Buffer.from('GET / HTTP/1.1\r\n\r\n'))],
    ['lost not-mysql 0', new Log().server(packets(0, payload('SSH-2.0')))],
    ['lost login-failed 0', new Log().server(packets(0, err(1129)))],
    ['lost no-room 0', new Log().server(packets(0, err(1040)))],
    ['lost no-room 0', new Log().server(packets(0, err(1203)))],
    [
      'refused u 1045',
      new Log()
        .server(greeting())
        .client(hello())
        .server(packets(2, err(1045))),
    ],
  ];
  for (const [line, log] of cases) {
    log.client(command(COM.ping)).server(packets(1, ok()));
    log.dialogue.gap(true, 1);
    assert.deepEqual(log.take(), [line]);
  }
});

test('a replica is not a client', () => {
  const log = ready().client(command(COM.query, 'set @x=1')).server(packets(1, ok()));
  log
    .client(command(COM.registerSlave, 1, 0, 0, 0))
    .server(packets(1, ok()))
    .client(command(COM.ping));
  // Neither is what it says told: it is counted.
  assert.deepEqual(log.take(), ['command 0 3', 'reply 0 ok', 'lost replication 1', 'lost replication 1']);
});

test('the data of LOCAL INFILE are no commands, even where their sequence ids come round to 0', () => {
  const log = ready()
    .client(command(COM.query, 'load data'))
    .server(packets(1, payload(0xfb, 'f')));
  for (let i = 0; i < 300; i++) log.client(packets((2 + i) & 255, payload(COM.query, 'a line of the file')));
  log.client(packets(302 & 255, payload())).server(packets(303 & 255, ok(300)));
  log.client(command(COM.ping)).server(packets(1, ok()));
  assert.deepEqual(log.take(), ['command 0 3', 'reply 0 infile', 'command 1 14', 'reply 1 ok']);
});

test("a gap in the server's octets costs the answers under way, and no command", () => {
  const log = ready()
    .client(command(COM.query, 'select 1'))
    .server(packets(1, payload(1), column('a')));
  log.dialogue.gap(false, 1);
  log.server(packets(9, row('x'), eof()));
  log.client(command(COM.query, 'select 2')).server(packets(1, ok())).end();
  assert.deepEqual(log.take(), ['command 0 3', 'lost gap 0', 'command 1 3', 'reply 1 ok']);
  assert.equal(log.dialogue.unanswered, 1);
});

test("a gap in the client's octets costs at least a command; the next whole one goes on", () => {
  const log = ready().client(command(COM.query, 'insert into t').subarray(0, 9));
  log.dialogue.gap(true, 1);
  log.client(Buffer.from('the tail of a long statement'));
  log.server(packets(1, ok()));
  log
    .client(command(COM.query, 'select 2'))
    .server(packets(1, payload(1), column('a'), eof(), row('x'), eof()))
    .end();
  assert.deepEqual(log.take(), ['lost gap 1', 'command 0 3', 'reply 0 rows']);
});

test('octets that are no command lose the way, and it is found again', () => {
  const log = ready().client(packets(0, payload(0x77, 1, 2, 3)));
  log.client(command(COM.ping)).server(packets(1, ok()));
  log.client(command(COM.ping)).server(packets(1, payload(0, 0)));
  log.client(command(COM.ping)).server(packets(1, ok())).end();
  assert.deepEqual(log.take(), [
    'lost desync 1',
    'command 0 14',
    'command 1 14',
    'reply 0 ok',
    'lost desync 0',
    'command 2 14',
    'reply 2 ok',
  ]);
});

test('a gap during the login ends it', () => {
  const log = new Log().server(greeting());
  log.dialogue.gap(true, 1);
  log.client(hello()).server(packets(2, ok())).client(command(COM.ping));
  assert.deepEqual(log.take(), ['lost gap 0']);
});

test('a login whose OK was missed has succeeded if a command follows', () => {
  const log = new Log().server(greeting()).client(hello());
  log.dialogue.gap(false, 1);
  log.client(command(COM.ping)).server(packets(1, ok())).end();
  assert.deepEqual(log.take(), [
    `login u ${CAPABILITIES.toString(16)}`,
    'lost gap 0',
    'command 0 14',
    'reply 0 ok',
  ]);
});

test('commands are recognised where they fill a segment exactly, and only there', () => {
  const two = new Uint8Array([...command(COM.ping), ...command(COM.query, 'select 1')]);
  assert.equal(countCommands(two, 0, two.length), 2);
  assert.equal(countCommands(two, 0, two.length - 1), 0);
  assert.equal(countCommands(two, 1, two.length), 0);
  assert.equal(countCommands(packets(1, payload(COM.ping)), 0, 5), 0);
});

test('mutated conversations with gaps never throw, and hold no more than they were given', async () => {
  const golden = await sessionTurns('mysql2', 1);
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat(255)), { maxLength: 5 });
  const gaps = fc.array(fc.tuple(fc.nat(golden.length), fc.boolean()), { maxLength: 3 });
  fc.assert(
    fc.property(changes, gaps, (mutations, holes) => {
      const turns = golden.map(({ fromClient, octets }) => ({ fromClient, octets: octets.slice() }));
      for (const [turn, at, value] of mutations) {
        const { octets } = turns[turn % turns.length];
        octets[at % octets.length] = value;
      }
      const log = new Log();
      turns.forEach(({ fromClient, octets }, i) => {
        for (const [turn, ofClient] of holes) if (turn === i) log.dialogue.gap(ofClient, 1);
        if (fromClient) log.client(octets);
        else log.server(octets);
      });
      assert.ok(log.lines.length < 3 * turns.length);
    }),
    { numRuns: 1500, seed: 21 },
  );
});
