import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ServerEnds } from '../../src/flow/server-ends.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { Segment } from '../../src/wire/segment.ts';
import { tcpFrame } from '../archive/support.ts';

/** Both directions between a client and `server`. */
function segments(server: string, serverPort: number, client: string): Segment[] {
  return [true, false].map((fromClient) => {
    const octets = tcpFrame({ client, clientPort: 40_000, server, serverPort, fromClient, seq: 1 });
    const segment = new Segment();
    segment.parse(octets, new DataView(octets.buffer), 0, octets.length, LINKTYPE.ethernet);
    return segment;
  });
}

describe('the ends of servers', () => {
  const ends = new ServerEnds([
    { port: 3306 },
    { address: parseAddress('10.0.0.5'), port: 3307 },
    { address: parseAddress('fd00::5'), port: 3307 },
  ]);

  function has(server: string, port: number): boolean {
    const client = server.includes(':') ? 'fd00::99' : '10.0.0.99';
    const [there, back] = segments(server, port, client).map((segment) => ends.has(segment));
    assert.equal(there, back, 'the two directions differ');
    return there;
  }

  test('a port without address is that of any server', () => {
    assert.ok(has('10.0.0.7', 3306));
    assert.ok(has('fd00::7', 3306));
  });

  test('a port with addresses is theirs only', () => {
    assert.ok(has('10.0.0.5', 3307));
    assert.ok(!has('10.0.0.6', 3307));
    assert.ok(has('fd00::5', 3307));
    assert.ok(!has('fd00::6', 3307));
    assert.ok(!has('10.0.0.5', 3308));
  });
});
