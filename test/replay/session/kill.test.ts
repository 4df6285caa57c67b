import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { processKillId, withKillId, withProcessKillId } from '../../../src/replay/session/kill.ts';
import { type Kill, killOf } from '../../../src/sql/kill.ts';
import { command } from '../../mysql/support/packets.ts';

describe('another number in its place', () => {
  const withId = (packet: Uint8Array, from: number, id: number) =>
    withKillId(packet, killOf(packet, from, false, 0) as Extract<Kill, { id: number }>, id);

  test('longer or shorter', () => {
    assert.deepEqual(
      withId(command(3, 'KILL QUERY 17; -- x'), 5, 123_456),
      command(3, 'KILL QUERY 123456; -- x'),
    );
    assert.deepEqual(withId(command(3, 'KILL 1234567'), 5, 8), command(3, 'KILL 8'));
  });

  test('behind query attributes', () => {
    const packet = command(3, 1, 1, 0, 1, 0xfe, 0, 1, 'a', 1, '1', 'KILL 17');
    assert.deepEqual(withId(packet, 15, 1), command(3, 1, 1, 0, 1, 0xfe, 0, 1, 'a', 1, '1', 'KILL 1'));
  });

  test('of a COM_PROCESS_KILL', () => {
    const packet = command(0x0c, 1, 0, 0, 0x80);
    assert.equal(processKillId(packet), 0x8000_0001);
    const other = withProcessKillId(packet, 0xfedc_ba98);
    assert.deepEqual(other, command(0x0c, 0x98, 0xba, 0xdc, 0xfe));
    assert.equal(processKillId(packet), 0x8000_0001, 'the packet is as it was');
    assert.equal(processKillId(command(0x0c, 1, 0, 0)), undefined);
  });
});
