/** What is held of commands and files that are not whole has one bound for all sessions that share it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PacketAssembler } from '../../src/mysql/assembler.ts';
import { COM } from '../../src/mysql/command.ts';
import { Decompressor } from '../../src/mysql/compression.ts';
import { Hold, type Room } from '../../src/mysql/room.ts';
import { ready } from './support/conversation.ts';
import { command, ok, packets, payload } from './support/packets.ts';

const KIB = 1024;

function roomFor(octets: number): Room {
  return { octets: 0, limit: octets };
}

/** The beginning of a command of so many octets, `there` of them. */
function begun(octets: number, there: number): Uint8Array {
  return command(COM.query, new Uint8Array(octets).fill(32)).subarray(0, there);
}

test('holders share a room: what one gives back another may take', () => {
  const room = roomFor(100);
  const [a, b] = [new Hold(room), new Hold(room)];
  assert.equal(a.set(60), true);
  assert.equal(b.set(41), false);
  assert.equal(b.set(40), true);
  assert.equal(a.set(61), false);
  assert.equal(a.set(10), true);
  assert.equal(b.set(90), true);
  b.close();
  assert.equal(b.set(1), false);
  assert.equal(room.octets, 10);
});

describe('an assembler with a room', () => {
  /** `octets` in pieces of 50 KiB. Returns how many packets were whole. */
  function feed(assembler: PacketAssembler, octets: Uint8Array): number {
    let whole = 0;
    for (let from = 0; from < octets.length; from += 50 * KIB) {
      const to = Math.min(octets.length, from + 50 * KIB);
      for (let p = from; p < to; ) {
        p = assembler.take(octets, p, to);
        if (assembler.whole) whole++;
      }
    }
    return whole;
  }

  test('takes what it holds from it, never more than the packet has, and gives it back', () => {
    const octets = begun(900 * KIB, 900 * KIB + 5);
    const room = roomFor(octets.length);
    const assembler = new PacketAssembler(2 ** 30, room);
    feed(assembler, octets.subarray(0, octets.length - 1));
    assert.equal(assembler.noRoom, false);
    assert.equal(room.octets, octets.length);
    assert.equal(feed(assembler, octets.subarray(octets.length - 1)), 1);
    assert.equal(room.octets, 0);
    feed(assembler, octets.subarray(0, 600 * KIB));
    assert.ok(room.octets >= 600 * KIB);
    assembler.reset();
    assert.equal(room.octets, 0);
    feed(assembler, octets.subarray(0, 600 * KIB));
    assembler.close();
    assert.equal(room.octets, 0);
    assert.equal(feed(assembler, octets.subarray(0, 600 * KIB)), 0);
    assert.equal(room.octets, 0);
  });

  test('reads no more of a packet that it has no room for', () => {
    const room = roomFor(500 * KIB);
    const assembler = new PacketAssembler(2 ** 30, room);
    assert.equal(feed(assembler, begun(900 * KIB, 900 * KIB + 5)), 0);
    assert.equal(assembler.tooLong, true);
    assert.equal(assembler.noRoom, true);
    assert.equal(room.octets, 0);
    assembler.reset();
    assert.equal(feed(assembler, begun(300 * KIB, 300 * KIB + 5)), 1);
  });

  test('holds a packet of several times 16 MiB once', () => {
    const octets = packets(
      0,
      new Uint8Array(2 * 0xffffff + 9).map((_, i) => i),
    );
    const room = roomFor(octets.length);
    const assembler = new PacketAssembler(2 ** 30, room);
    feed(assembler, octets.subarray(0, octets.length - 1));
    assert.equal(assembler.heldOctets, octets.length - 1);
    assert.equal(feed(assembler, octets.subarray(octets.length - 1)), 1);
    assert.ok(Buffer.from(assembler.owned()).equals(octets));
    assert.equal(room.octets, 0);
  });
});

test('a compressed packet that there is no room for breaks the stream until reset', () => {
  const room = roomFor(100 * KIB);
  const decompressor = new Decompressor('zlib', () => {}, room);
  // 200 KiB, not compressed.
  const octets = new Uint8Array(200 * KIB);
  octets.set([0, 0x20, 0x03, 0, 0, 0, 0]);
  assert.equal(decompressor.feed(octets, 0, 60 * KIB), true);
  assert.equal(decompressor.feed(octets, 60 * KIB, 150 * KIB), false);
  assert.equal(decompressor.noRoom, true);
  assert.equal(room.octets, 0);
  decompressor.reset();
  assert.equal(decompressor.feed(octets, 0, 60 * KIB), true);
  decompressor.close();
  assert.equal(room.octets, 0);
});

describe('sessions that share a room', () => {
  test('the one that asks for more loses that command, and goes on', () => {
    const room = roomFor(1000 * KIB);
    const [first, second] = [ready({ room }), ready({ room })];
    const whole = begun(700 * KIB, 700 * KIB + 5);
    first.client(whole.subarray(0, 650 * KIB));
    second.client(whole.subarray(0, 200 * KIB));
    assert.deepEqual(second.take(), []);
    second.client(whole.subarray(200 * KIB, 500 * KIB));
    second.client(whole.subarray(500 * KIB));
    assert.deepEqual(second.take(), ['lost no-room 1']);
    second.server(packets(1, ok()));
    second.client(command(COM.ping)).server(packets(1, ok()));
    assert.deepEqual(second.take(), ['command 0 14']);
    first.client(whole.subarray(650 * KIB)).server(packets(1, ok()));
    assert.deepEqual(first.take(), ['command 0 3', 'reply 0 ok']);
    assert.equal(room.octets, 0);
  });

  test('a file that there is no room for is not kept, and its command is', () => {
    const room = roomFor(100 * KIB);
    const log = ready({ room });
    log.client(command(COM.query, 'load data')).server(packets(1, payload(0xfb, 'f')));
    for (let id = 2; id < 6; id++) log.client(packets(id, new Uint8Array(20 * KIB)));
    assert.ok(room.octets > 80 * KIB);
    log.client(packets(6, new Uint8Array(20 * KIB)));
    assert.equal(room.octets, 0);
    log.client(packets(7, payload())).server(packets(8, ok()));
    const [{ file }] = log.commands;
    assert.deepEqual([file?.tooLong, file?.whole, file?.packets.length], [true, true, 0]);
    assert.deepEqual(log.take(), ['command 0 3', 'reply 0 infile']);
  });

  test('what a file took is there again when it is whole, or its session is over', () => {
    const room = roomFor(100 * KIB);
    for (const isOver of [true, false, true, true]) {
      const log = ready({ room });
      log.client(command(COM.query, 'load data')).server(packets(1, payload(0xfb, 'f')));
      log.client(packets(2, new Uint8Array(60 * KIB)));
      assert.ok(room.octets > 60 * KIB);
      if (isOver) log.dialogue.close();
      else log.client(packets(3, payload()));
      assert.equal(room.octets, 0);
      assert.equal(log.commands[0].file?.tooLong, false);
    }
  });
});
