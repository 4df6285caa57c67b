import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { COM, type Command, EXPECT } from '../../src/mysql/command.ts';
import { Dialogue } from '../../src/mysql/dialogue.ts';
import { type HandshakeResponse, parseClientHello } from '../../src/mysql/handshake.ts';
import { Login } from '../../src/mysql/login.ts';
import { HEADER_OCTETS, payloadLength } from '../../src/mysql/packet.ts';
import { ReplyReader } from '../../src/mysql/reply-reader.ts';
import { filePackets } from '../../src/replay/session/file-packets.ts';
import { isSendable } from '../../src/replay/session/rewrite.ts';
import { CAPABILITIES, greeting, hello, Log, ready } from './support/conversation.ts';
import { command, err, ok, packets, payload } from './support/packets.ts';

/** What a Dialogue whose login is over tells, as it is. */
function commandsOf(): { dialogue: Dialogue; commands: Command[] } {
  const commands: Command[] = [];
  const dialogue = new Dialogue({
    login: () => {},
    refused: () => {},
    joined: () => {},
    command: (one) => commands.push(one),
    reply: () => {},
    lost: () => {},
  });
  const [hi, response, welcome] = [greeting(), hello(), packets(2, ok())];
  dialogue.fromServer(hi, 0, hi.length, 0);
  dialogue.fromClient(response, 0, response.length, 0);
  dialogue.fromServer(welcome, 0, welcome.length, 0);
  return { dialogue, commands };
}

/** Affected rows of the answers that a log has told, by ordinal. */
function affected(log: Log): Record<number, number> {
  const found: Record<number, number> = {};
  for (const line of log.lines) {
    const [, ordinal, reply] = /^reply (\d+) (.*)/.exec(line) ?? [];
    if (ordinal !== undefined) found[Number(ordinal)] = JSON.parse(reply).affected;
  }
  return found;
}

describe('a client that sends commands at once (MariaDB connectors pipeline), where the answers begin to be read', () => {
  const two = Buffer.concat([command(COM.query, 'update 1'), command(COM.query, 'update 2')]);
  const answers = Buffer.concat([packets(1, ok(1)), packets(1, ok(2))]);

  // The last command of the burst is the candidate, and takes the answer to the first: what is left over is then the answer to the
  // command after it, and so on for the rest of the session. Every outcome is compared with another command's answer, and the ids
  // of prepared statements go to the wrong statements.
  test('joined late: no command is given the answer of another', () => {
    const log = new Log({ joinedLate: true });
    log.client(two).server(answers);
    log.client(command(COM.query, 'update 3')).server(packets(1, ok(3)));
    log
      .client(command(COM.query, 'update 4'))
      .server(packets(1, ok(4)))
      .end();
    const told = affected(log);
    const last = Math.max(...Object.keys(told).map(Number));
    assert.equal(told[last], 4, JSON.stringify(log.lines));
  });

  test('behind a gap in the answers: no command is given the answer of another', () => {
    const log = ready();
    log.dialogue.gap(false, 100);
    log.client(two).server(answers);
    log.client(command(COM.query, 'update 3')).server(packets(1, ok(3)));
    log
      .client(command(COM.query, 'update 4'))
      .server(packets(1, ok(4)))
      .end();
    const told = affected(log);
    for (const [ordinal, rows] of Object.entries(told)) assert.equal(rows, Number(ordinal) + 1);
    assert.equal(told[3], 4);
  });
});

// "LOAD DATA LOCAL … ; LOAD DATA LOCAL …" in one COM_QUERY: both files are gathered in one LocalFile, and the replay sends all of it
// at each of the target's requests. What is too much the target reads as commands: the file's content, as packets.
test('two files in one command are not sent as one', () => {
  const { dialogue, commands } = commandsOf();
  const client = (octets: Uint8Array) => dialogue.fromClient(octets, 0, octets.length, 0);
  const server = (octets: Uint8Array) => dialogue.fromServer(octets, 0, octets.length, 0);
  client(command(COM.query, 'load 1; load 2'));
  server(packets(1, payload(0xfb, 'a')));
  client(packets(2, payload('a'), payload()));
  // SERVER_MORE_RESULTS_EXISTS.
  server(packets(4, ok(1, 0x000a), payload(0xfb, 'b')));
  client(packets(6, payload('b'), payload()));
  server(packets(8, ok(1)));
  const [{ file, reply }] = commands;
  assert.equal(reply?.affected, 2);
  if (file === undefined || !isSendable(commands[0])) return;
  for (const nth of [0, 1]) {
    const sent = filePackets(file, nth, 2);
    assert.ok(sent !== undefined);
    let ends = 0;
    for (let at = 0; at < sent.length; at += HEADER_OCTETS + payloadLength(sent, at))
      if (payloadLength(sent, at) === 0) ends++;
    assert.equal(ends, 1, 'what answers one request holds one file');
  }
});

// A Statement keeps its COM_STMT_PREPARE as long as the session lives. Its packet is a view of a slab of 64 KiB that it shares with
// all commands read at about that time: 25,000 statements of 500 connections, prepared here and there, keep 1.6 GB.
test('a COM_STMT_PREPARE, which is kept for long, does not keep the commands beside it', () => {
  const { dialogue, commands } = commandsOf();
  const prepare = command(COM.stmtPrepare, 'select ?');
  dialogue.fromClient(prepare, 0, prepare.length, 0);
  assert.ok(commands[0].packet.buffer.byteLength <= 4096, `${commands[0].packet.buffer.byteLength} octets`);
});

// MySQL 8's own collations have numbers from 255 on, which its clients send (the command line, Connector/J, PHP, Python). A MariaDB
// without them falls back to its own character set without a word: latin1, measured with 10.11. Every literal beyond ASCII is then
// another one.
test('MySQL 8 recorded, MariaDB the target: the character set is one that it has', () => {
  const recorded: HandshakeResponse = {
    capabilities: CAPABILITIES,
    extendedCapabilities: 0,
    maxPacket: 0,
    charset: 255,
    user: 'u',
    authResponse: new Uint8Array(0),
  };
  const login = new Login({ recorded, user: 'u', password: '' });
  // A MariaDB does not set CLIENT_MYSQL.
  const step = login.onPacket(greeting((CAPABILITIES & ~CLIENT.mysql) >>> 0));
  assert.equal(step.type, 'send');
  const { octets } = step as { octets: Uint8Array };
  const said = parseClientHello(octets, 0, octets.length) as { response: HandshakeResponse };
  // utf8mb4_general_ci, utf8mb4_bin, utf8mb4_unicode_ci, utf8mb4_unicode_520_ci.
  assert.ok([45, 46, 224, 246].includes(said.response.charset), `charset ${said.response.charset}`);
});

// Sound as it is: held here because the relay leans on it. A flow is resumed in the midst of COM_CHANGE_USER with nothing but its
// shape, and in the midst of LOCAL INFILE with nothing at all.
describe('a reader that takes another one’s place in the midst of an answer that asked for more', () => {
  const after = (shape: number | undefined, octets: Uint8Array) => {
    const kinds: string[] = [];
    const sink = {
      packet: () => {},
      reply: ({ kind }: { kind: string }) => kinds.push(kind),
      desync: assert.fail,
    };
    const reader = new ReplyReader(sink);
    reader.commandPhase(CAPABILITIES, 0, EXPECT.result);
    if (shape !== undefined) reader.expect(shape);
    reader.feed(octets, 0, octets.length, 0);
    assert.equal(reader.midway, false);
    return kinds;
  };

  test('reads the end of an authentication, in success and failure', () => {
    assert.deepEqual(after(EXPECT.auth, packets(3, payload(1, 3), ok())), ['ok']);
    assert.deepEqual(after(EXPECT.auth, packets(3, err(1045))), ['err']);
  });

  test("reads a file's OK", () => assert.deepEqual(after(undefined, packets(9, ok(2))), ['ok']));
});
