import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COM, type Command, expectOf } from '../../../src/mysql/command.ts';
import { framePacket } from '../../../src/mysql/packet.ts';
import { argumentOf, bodyOf, readable, sqlOf, statementOf } from '../../../src/verbs/show/values.ts';

function command(com: number, body: string | number[] = ''): Command {
  const payload = Buffer.concat([Buffer.from([com]), Buffer.from(body as string)]);
  return { ordinal: 0, at: 0, com, expect: expectOf(com), packet: framePacket(0, payload) };
}

const sql = (of: Command) => {
  const text = sqlOf(of);
  return text === undefined ? undefined : readable(text);
};

describe('values of show', () => {
  test('the text of commands that have one', () => {
    assert.equal(sql(command(COM.query, 'select 1')), 'select 1');
    assert.equal(sql(command(COM.stmtPrepare, 'select ?')), 'select ?');
    assert.equal(sql(command(COM.initDb, 'shop')), 'shop');
    assert.equal(sql(command(COM.createDb, 'shop')), 'shop');
    assert.equal(sql(command(COM.fieldList, 'item\0%')), 'item');
    assert.equal(sql(command(COM.query)), '');
    assert.equal(sql(command(COM.ping)), undefined);
    assert.equal(sql(command(COM.stmtExecute, [1, 0, 0, 0])), undefined);
  });

  test('query attributes are no part of it', () => {
    assert.equal(sql(command(COM.query, '\0\x01select 1')), 'select 1');
  });

  test('the statement that a command names', () => {
    for (const com of [COM.stmtExecute, COM.stmtFetch, COM.stmtClose, COM.stmtReset, COM.stmtSendLongData])
      assert.equal(statementOf(command(com, [0xfe, 0xff, 0xff, 0xff, 9])), 0xfffffffe);
    assert.equal(statementOf(command(COM.stmtBulkExecute, [7, 0, 0, 0, 0, 0])), 7);
    assert.equal(statementOf(command(COM.stmtClose, [7, 0, 0])), undefined, 'cut short');
    assert.equal(statementOf(command(COM.stmtPrepare, 'select')), undefined);
  });

  test('arguments that are numbers, and the rest of a command', () => {
    assert.equal(argumentOf(command(COM.processKill, [1, 1, 0, 0])), 257);
    assert.equal(argumentOf(command(COM.setOption, [1, 0])), 1);
    assert.equal(argumentOf(command(COM.ping)), undefined);
    assert.deepEqual([...bodyOf(command(COM.stmtExecute, [1, 0, 0, 0, 5, 6]))], [5, 6]);
    assert.deepEqual([...bodyOf(command(COM.refresh, [4]))], [4]);
  });

  test('octets that are not UTF-8 are written as such, and the characters around them stay', () => {
    const text = (octets: number[]) => readable(Uint8Array.from(octets));
    assert.equal(readable(Buffer.from('naïve €😀')), 'naïve €😀');
    assert.equal(text([0x61, 0xff, 0x62]), 'a\\xffb');
    assert.equal(text([0xc3, 0xa9, 0xc3]), 'é\\xc3');
    assert.equal(text([0xe2, 0x82, 0xe2, 0x82, 0xac]), '\\xe2\\x82€');
    assert.equal(text([0xf0, 0x9f, 0x98, 0x80, 0x80]), '😀\\x80');
    assert.equal(text([0xc0, 0x80]), '\\xc0\\x80', 'an overlong NUL');
    assert.equal(text([0xed, 0xa0, 0x80]), '\\xed\\xa0\\x80', 'half a surrogate pair');
    assert.equal(text([0xef, 0xbb, 0xbf, 0x61]), '\ufeffa', 'a byte order mark');
  });
});
