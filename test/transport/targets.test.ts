import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '../../src/time.ts';
import { sumStats, TargetsTransport } from '../../src/transport/targets.ts';
import type { ConnectionHandler, Transport } from '../../src/transport/transport.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { FakeTransport } from './fake.ts';

const client = parseAddress('10.1.0.1')!;
const HANDLER: ConnectionHandler = { established() {}, packet() {}, reply() {}, closed() {} };

describe('transports to several targets as one', () => {
  function pair() {
    const each = [0, 1].map(() => new FakeTransport({ meets: () => 'silent' }, new ManualClock(0)));
    return { each, both: new TargetsTransport(each, false) };
  }

  test('a connection goes to the target that it names, or to the first', () => {
    const { each, both } = pair();
    for (const target of [1, 0, 1]) both.connect({ client, copy: 0, target }, HANDLER).abort();
    both.connect({ client, copy: 0 }, HANDLER).abort();
    assert.deepEqual(
      each.map(({ connections }) => connections.length),
      [2, 2],
    );
  });

  test('one target may carry a client that the other one refuses', () => {
    const { each, both } = pair();
    each[1].refusal = 'ip-version';
    assert.equal(both.refuses({ client, copy: 0, target: 0 }), undefined);
    assert.equal(both.refuses({ client, copy: 0, target: 1 }), 'ip-version');
  });

  test('all are flushed and closed', async () => {
    const { each, both } = pair();
    both.flush();
    assert.deepEqual(
      each.map(({ flushes }) => flushes),
      [1, 1],
    );
    let open = 2;
    const closing = () => ({ close: async () => void open-- }) as unknown as Transport;
    await new TargetsTransport([closing(), closing()], false).close();
    assert.equal(open, 0);
  });

  test('what they counted is added, but for what several report of one capture', () => {
    const each = [
      { packetsOut: 1, packetsIn: 10, retransmitted: 100, captureDropped: 3 },
      { packetsOut: 2, packetsIn: 20, retransmitted: 200, captureDropped: 4 },
    ];
    assert.deepEqual(sumStats(each, false), {
      packetsOut: 3,
      packetsIn: 30,
      retransmitted: 300,
      captureDropped: 7,
    });
    assert.deepEqual(sumStats(each, true), {
      packetsOut: 3,
      packetsIn: 20,
      retransmitted: 300,
      captureDropped: 4,
    });
  });
});
