import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { type ProbeResult, probe } from '../../src/transport/probe.ts';
import type { Connection, ConnectionHandler, Transport } from '../../src/transport/transport.ts';
import { type Address, parseAddress } from '../../src/wire/address.ts';
import { GREETING, mysqlPacket } from '../archive/support.ts';

const CLIENT = parseAddress('10.1.2.3') as Address;

/** A transport whose one connection does what the test says. */
class OneConnection implements Transport {
  handler: ConnectionHandler | undefined;
  client = '';
  readonly asked: string[] = [];

  connect(identity: { client: Address }, handler: ConnectionHandler): Connection {
    this.handler = handler;
    this.client = identity.client.text;
    const ask = (what: string) => () => this.asked.push(what);
    return {
      writeLogin: ask('login'),
      commandPhase: ask('command phase'),
      write: ask('write'),
      end: ask('end'),
      abort: ask('abort'),
    };
  }

  refuses(): undefined {}
  flush(): void {}
  stats() {
    return { packetsOut: 0, packetsIn: 0, retransmitted: 0, captureDropped: 0 };
  }
  async close(): Promise<void> {}
}

describe('probe', () => {
  let transport: OneConnection;
  let handler: ConnectionHandler;
  let controller: AbortController;
  let result: ProbeResult | undefined;

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    transport = new OneConnection();
    controller = new AbortController();
    result = undefined;
    let now = 0;
    void probe(transport, CLIENT, () => now++, controller.signal).then((seen) => {
      result = seen;
    });
    handler = transport.handler as ConnectionHandler;
  });

  afterEach(() => mock.timers.reset());

  async function is(expected: ProbeResult | undefined): Promise<void> {
    await Promise.resolve();
    await Promise.resolve();
    assert.deepEqual(result, expected);
  }

  test('a greeting: the version, after an end in order and no login', async () => {
    assert.equal(transport.client, '10.1.2.3');
    handler.established();
    handler.packet(GREETING);
    assert.deepEqual(transport.asked, ['end']);
    handler.closed('fin');
    await is({ seen: 'greeting', version: '11.0', afterMs: 1 });
  });

  test('a greeting to a server that never closes is one all the same', async () => {
    handler.established();
    handler.packet(GREETING);
    mock.timers.tick(1_000);
    assert.deepEqual(transport.asked, ['end', 'abort']);
    await is({ seen: 'greeting', version: '11.0', afterMs: 1 });
  });

  test('silence is told after 3 s, and no sooner', async () => {
    mock.timers.tick(2_999);
    assert.equal(result, undefined);
    mock.timers.tick(1);
    assert.deepEqual(transport.asked, ['abort']);
    await is({ seen: 'silent' });
  });

  test('refused', async () => {
    handler.closed('refused');
    await is({ seen: 'refused' });
  });

  test('reset in place of the greeting', async () => {
    handler.established();
    handler.closed('reset');
    await is({ seen: 'reset' });
  });

  test('no greeting: our end finds out whether the connection is still there', async () => {
    handler.established();
    mock.timers.tick(2_000);
    assert.deepEqual(transport.asked, ['end']);
    handler.closed('reset');
    await is({ seen: 'reset' });
  });

  test('a greeting, and then an end that meets nothing', async () => {
    handler.established();
    handler.packet(GREETING);
    handler.closed('reset');
    await is({ seen: 'reset' });
  });

  test('no greeting, and the connection is there', async () => {
    handler.established();
    mock.timers.tick(2_000);
    mock.timers.tick(1_000);
    assert.deepEqual(transport.asked, ['end', 'abort']);
    await is({ seen: 'mute' });
  });

  test('an error in place of the greeting, and something else', async () => {
    handler.established();
    handler.packet(mysqlPacket(0, Buffer.from('\xff\x6a\x04Host is not allowed', 'latin1')));
    handler.closed('fin');
    await is({ seen: 'error', errno: 1130, message: 'Host is not allowed' });
  });

  test('what is no MySQL', async () => {
    handler.established();
    handler.packet(mysqlPacket(0, Buffer.from('SSH-2.0')));
    handler.closed('fin');
    await is({ seen: 'not-mysql' });
  });

  test('the relay is gone', async () => {
    handler.closed('relay');
    await is({ seen: 'relay' });
  });

  test('aborted: the connection is cut at once', async () => {
    handler.established();
    controller.abort();
    assert.deepEqual(transport.asked, ['abort']);
    await is({ seen: 'silent' });
  });
});
