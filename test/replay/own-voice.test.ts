import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import type { SessionMeta } from '../../src/flow/events.ts';
import {
  markLine,
  markStatement,
  OwnVoice,
  type VoiceJob,
  type VoiceProof,
} from '../../src/replay/own-voice.ts';
import { type Address, parseAddress } from '../../src/wire/address.ts';

const MARK = 'mytape mirror 0123456789abcdef';
const TARGET = '10.0.0.9';
const CLIENT = '10.1.0.7';

function session(client: string, nonce?: Uint8Array): SessionMeta {
  return { client: parseAddress(client) as Address, ...(nonce && { nonce }) } as SessionMeta;
}

function query(sql: string): Uint8Array {
  const text = Buffer.from(sql);
  return Buffer.concat([Buffer.from([text.length + 1, 0, 0, 0, 3]), text]);
}

/** A thread of a mirror, whose clock is `time`. */
function thread(job: VoiceJob, time = { now: 1_800_000_000_000 }): { voice: OwnVoice; found: VoiceProof[] } {
  const found: VoiceProof[] = [];
  return {
    voice: new OwnVoice(
      job,
      () => time.now,
      (proof) => found.push(proof),
    ),
    found,
  };
}

describe('a mirror knows its own voice', () => {
  for (const first of ['ours', 'captured'] as const) {
    test(`by one connection that comes back, ${first} seen first, in whichever thread`, () => {
      const job = OwnVoice.job(MARK, [TARGET]);
      const [one, other] = [thread(job), thread(job)];
      const nonce = randomBytes(20);
      const greet = () => one.voice.greeted(nonce);
      const hear = () => other.voice.heardSession(session(CLIENT, Uint8Array.from(nonce)));
      if (first === 'ours') [greet, hear].map((step) => step());
      else [hear, greet].map((step) => step());
      assert.equal(OwnVoice.found(job), 'greeting');
      one.voice.said(query('SELECT 1'));
      other.voice.said(query('SELECT 1'));
      assert.deepEqual([one.found, other.found], [['greeting'], ['greeting']], 'each thread is told, once');
    });
  }

  test('by its mark, with query attributes and without', () => {
    for (const prefix of ['', '\0\x01']) {
      const job = OwnVoice.job(MARK, []);
      const { voice, found } = thread(job);
      voice.heard(session(CLIENT), query(prefix + markStatement(MARK)));
      assert.deepEqual(found, ['mark']);
    }
  });

  test('by its mark where no protocol is known, from whichever address', () => {
    const { voice, found } = thread(OwnVoice.job(MARK, []));
    voice.heard(session('127.0.0.1'), Buffer.from(markLine(MARK)));
    assert.deepEqual(found, ['mark']);
  });

  test("by statements that come back from the target's address, before a hundred", () => {
    const time = { now: 0 };
    const { voice, found } = thread(OwnVoice.job(MARK, [TARGET]), time);
    let returned = 0;
    for (; found.length === 0 && returned < 1_000; returned++) {
      const insert = query(`INSERT INTO t VALUES (${returned % 5})`);
      voice.said(insert);
      time.now += 3;
      voice.heard(session(TARGET), insert);
    }
    assert.deepEqual([found, returned < 100], [['statements'], true]);
  });
});

describe('a mirror takes no one else for itself', () => {
  test('clients that say the same at a rate that grows', () => {
    const time = { now: 0 };
    const { voice, found } = thread(OwnVoice.job(MARK, [TARGET]), time);
    const select = query('SELECT 1');
    for (let second = 1; second <= 20; second++)
      for (let i = 0; i < second * 50; i++) {
        time.now += 1000 / (second * 50);
        voice.heardSession(session(CLIENT, randomBytes(20)));
        voice.heard(session(CLIENT), select);
        voice.greeted(randomBytes(20));
        voice.said(select);
      }
    assert.deepEqual(found, []);
  });

  test('clients at the address of a target that the mark was said to', () => {
    const job = OwnVoice.job(MARK, [TARGET]);
    OwnVoice.marked(job);
    const { voice, found } = thread(job);
    for (let i = 0; i < 500; i++) {
      voice.said(query('COMMIT'));
      voice.heard(session(TARGET), query('COMMIT'));
    }
    assert.deepEqual(found, []);
  });

  test("a client at the target's address that says other things, or the same once in a while", () => {
    const time = { now: 0 };
    const { voice, found } = thread(OwnVoice.job(MARK, [TARGET]), time);
    for (let i = 0; i < 500; i++) {
      voice.said(query(`SELECT ${i}`));
      voice.heard(session(TARGET), query(`SELECT ${i} + 1`));
      voice.said(query('SELECT 1'));
      time.now += 500;
      voice.heard(session(TARGET), query('SELECT 1'));
      time.now += 1_001;
      voice.heard(session(TARGET), query('SELECT 1'));
    }
    assert.deepEqual(found, []);
  });

  test('sessions whose greeting was not captured, and servers that send no nonce', () => {
    const { voice, found } = thread(OwnVoice.job(MARK, []));
    for (const nonce of [new Uint8Array(0), new Uint8Array(20)]) {
      voice.greeted(nonce);
      voice.heardSession(session(CLIENT, nonce));
    }
    voice.heardSession(session(CLIENT));
    assert.deepEqual(found, []);
  });
});
