import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FlowEvent, SessionMeta } from '../../../src/flow/events.ts';
import { COM, type Command, expectOf } from '../../../src/mysql/command.ts';
import { framePacket } from '../../../src/mysql/packet.ts';
import { NO_REPLY } from '../../../src/mysql/reply.ts';
import { ShownLines } from '../../../src/verbs/show/lines.ts';
import { parseAddress } from '../../../src/wire/address.ts';

const ADDRESS = parseAddress('10.0.0.1')!;

function sessionOf(id: number): SessionMeta {
  const ends = { client: ADDRESS, clientPort: 40_000, server: ADDRESS, serverPort: 3306 };
  return { id, ...ends, at: 0, connectionId: 0, capabilities: 0, extendedCapabilities: 0 };
}

/** Writes the events of one session; `printed` has the lines of all, in order. */
class Conversation {
  readonly session: SessionMeta;
  readonly #lines: ShownLines;
  #ordinal = 0;

  constructor(lines: ShownLines, id = 0) {
    this.#lines = lines;
    this.session = sessionOf(id);
  }

  tell(event: {
    type: 'open' | 'lost' | 'close' | 'skip' | 'command' | 'reply';
    [key: string]: unknown;
  }): this {
    this.#lines.add({ at: 0, session: this.session, ...event } as FlowEvent);
    return this;
  }

  says(com: number): Command {
    const command: Command = {
      ordinal: this.#ordinal++,
      at: 0,
      com,
      expect: expectOf(com),
      packet: framePacket(0, Uint8Array.of(com)),
    };
    this.tell({ type: 'command', command });
    return command;
  }

  answers(command: Command): void {
    command.reply = { ...NO_REPLY };
    this.tell({ type: 'reply', command });
  }

  loses(commands = 1): this {
    return this.tell({ type: 'lost', cause: 'gap', commands });
  }
}

function begin(): { printed: string[]; lines: ShownLines } {
  const printed: string[] = [];
  const lines = new ShownLines((line) => {
    const what = line.type === 'command' ? `command ${line.command.ordinal}` : line.type;
    printed.push(`${line.session.id} ${what}`);
  });
  return { printed, lines };
}

describe('lines of show', () => {
  test('a command is printed when its answer is there', () => {
    const { printed, lines } = begin();
    const session = new Conversation(lines).tell({ type: 'open' });
    const query = session.says(COM.query);
    assert.deepEqual(printed, ['0 session']);
    session.answers(query);
    assert.deepEqual(printed, ['0 session', '0 command 0']);
  });

  test('one without an answer is printed at once, and waits only for those before it', () => {
    const { printed, lines } = begin();
    const session = new Conversation(lines);
    session.says(COM.stmtClose);
    assert.deepEqual(printed, ['0 command 0']);
    const query = session.says(COM.query);
    session.says(COM.stmtClose);
    session.loses();
    const last = session.says(COM.query);
    assert.equal(printed.length, 1);
    session.answers(query);
    assert.deepEqual(printed.slice(1), ['0 command 1', '0 command 2', '0 lost']);
    session.answers(last);
    assert.deepEqual(printed.slice(4), ['0 command 3']);
  });

  test('an answer ends the wait for the answers before it', () => {
    const { printed, lines } = begin();
    const session = new Conversation(lines);
    session.says(COM.query);
    session.loses(0);
    session.answers(session.says(COM.query));
    assert.deepEqual(printed, ['0 command 0', '0 lost', '0 command 1']);
  });

  test('what still waits is printed when its session closes, and not before another closes', () => {
    const { printed, lines } = begin();
    const first = new Conversation(lines, 1);
    const second = new Conversation(lines, 2);
    first.says(COM.query);
    second.says(COM.query);
    first.tell({ type: 'close', how: 'rst' });
    assert.deepEqual(printed, ['1 command 0', '1 close']);
    lines.finish();
    assert.deepEqual(printed, ['1 command 0', '1 close', '2 command 0']);
  });

  test('a session that is skipped has its line', () => {
    const { printed, lines } = begin();
    new Conversation(lines).tell({ type: 'skip', cause: 'tls', commands: 0, how: 'fin' });
    assert.deepEqual(printed, ['0 session', '0 skipped', '0 close']);
  });
});
