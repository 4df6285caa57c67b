import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COM, type Command, expectOf } from '../../../src/mysql/command.ts';
import { RecordedIds } from '../../../src/replay/session/recorded-ids.ts';
import { command as packetOf } from '../../mysql/support/packets.ts';
import { makeReply } from '../../transport/fake.ts';
import { id4 } from '../support/tape.ts';

const LAST = 0xffffffff;

/** One session's conversation, by the texts that it prepares. */
class Conversation {
  readonly ids = new RecordedIds<string>();
  #ordinal = 0;

  command(com: number, rest: (string | Uint8Array)[]): Command {
    return { ordinal: this.#ordinal++, at: 0, com, expect: expectOf(com), packet: packetOf(com, ...rest) };
  }

  /** `id`: undefined where the answer is unknown, 0 where it is an error. */
  prepare(text: string, id?: number): Command {
    const prepare = this.command(COM.stmtPrepare, [text]);
    this.ids.prepared(prepare, text);
    if (id !== undefined) answer(prepare, id);
    return prepare;
  }

  close(id: number): void {
    this.ids.closed(this.command(COM.stmtClose, [id4(id)]));
  }

  /** The text that `id` stands for; unknown, or none. */
  text(id: number): string {
    const execute = this.command(COM.stmtExecute, [id4(id)]);
    return this.ids.named(execute) ?? (this.ids.isUnknown(execute) ? 'unknown' : 'none');
  }
}

function answer(prepare: Command, id: number): void {
  prepare.reply = makeReply(id === 0 ? { kind: 'err', errno: 1064 } : { statementId: id });
}

describe('a statement id stands for', () => {
  test('what the answer to a COM_STMT_PREPARE says, until it is closed', () => {
    const one = new Conversation();
    one.prepare('a', 1);
    one.prepare('b', 2);
    one.prepare('c', 0);
    assert.deepEqual(
      [1, 2, 3].map((id) => one.text(id)),
      ['a', 'b', 'none'],
    );
    one.close(1);
    assert.deepEqual(
      [1, 2].map((id) => one.text(id)),
      ['none', 'b'],
    );
    one.prepare('d', 1);
    assert.deepEqual(
      [1, 2].map((id) => one.text(id)),
      ['d', 'b'],
    );
  });

  test('nothing known, where that answer is not', () => {
    const one = new Conversation();
    one.prepare('a', 1);
    one.prepare('b');
    assert.deepEqual(
      [1, 2].map((id) => one.text(id)),
      ['a', 'unknown'],
    );
    one.prepare('c', 3);
    assert.deepEqual(
      [1, 2, 3].map((id) => one.text(id)),
      ['a', 'unknown', 'c'],
    );
  });

  test('what an answer says that is told late', () => {
    const one = new Conversation();
    const a = one.prepare('a');
    const b = one.prepare('b');
    a.onTrial = true;
    assert.equal(one.ids.isPending(one.command(COM.stmtExecute, [id4(1)])), true);
    answer(a, 1);
    a.onTrial = false;
    assert.deepEqual(
      [1, 2].map((id) => one.text(id)),
      ['a', 'unknown'],
    );
    assert.equal(one.ids.isPending(one.command(COM.stmtExecute, [id4(2)])), false);
    answer(b, 2);
    assert.equal(one.text(2), 'b');
  });
});

describe('where commands are missing', () => {
  test('ids known before stay, and others may be', () => {
    const one = new Conversation();
    one.prepare('a', 1);
    one.close(1);
    one.prepare('b', 2);
    one.ids.lost();
    assert.deepEqual(
      [1, 2, 3].map((id) => one.text(id)),
      ['unknown', 'b', 'unknown'],
    );
    one.prepare('c', 4);
    assert.deepEqual(
      [2, 3, 4].map((id) => one.text(id)),
      ['b', 'unknown', 'c'],
    );
  });

  test('an id given anew, or one below, shows that those before are void', () => {
    for (const id of [1, 2]) {
      const one = new Conversation();
      one.prepare('a', 1);
      one.prepare('b', 2);
      one.ids.lost();
      one.prepare('c', id);
      assert.deepEqual(
        [id, 3 - id].map((each) => one.text(each)),
        ['c', 'unknown'],
      );
      one.prepare('d', 3);
      assert.deepEqual(
        [id, 3].map((each) => one.text(each)),
        ['c', 'd'],
      );
    }
  });

  test('an answer that comes to be told no more names nothing', () => {
    const one = new Conversation();
    one.prepare('a');
    one.ids.lost();
    assert.deepEqual(
      [1, LAST].map((id) => one.text(id)),
      ['unknown', 'unknown'],
    );
  });

  test('the one prepared last is unknown until the next COM_STMT_PREPARE', () => {
    const one = new Conversation();
    one.prepare('a', 1);
    assert.equal(one.text(LAST), 'a');
    one.ids.lost();
    assert.equal(one.text(LAST), 'unknown');
    one.prepare('b');
    assert.equal(one.text(LAST), 'b');
  });
});

test('an id that is given though it is in use shows that the others are void', () => {
  const one = new Conversation();
  one.prepare('a', 1);
  one.prepare('b', 2);
  one.prepare('c', 1);
  assert.deepEqual(
    [1, 2].map((id) => one.text(id)),
    ['c', 'unknown'],
  );
});

test('the one prepared last, when it is closed under either name, is none', () => {
  for (const id of [LAST, 1]) {
    const one = new Conversation();
    one.prepare('a', 1);
    one.close(id);
    assert.deepEqual(
      [1, LAST].map((each) => one.text(each)),
      ['none', 'none'],
    );
  }
});

test('a copy goes its own way', () => {
  const one = new Conversation();
  const a = one.prepare('a');
  const copy = one.ids.copy((text) => `${text}'`);
  answer(a, 1);
  const execute = one.command(COM.stmtExecute, [id4(1)]);
  const last = one.command(COM.stmtExecute, [id4(LAST)]);
  assert.deepEqual([copy.named(execute), copy.named(last), one.text(1)], ["a'", "a'", 'a']);
  one.ids.lost();
  assert.deepEqual([copy.isUnknown(last), one.ids.isUnknown(last)], [false, true]);
});
