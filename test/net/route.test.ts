import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pathNow, pathTo } from '../../src/net/route.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { HERE, Pair, skip, THERE } from './namespaces.ts';

describe('the path to a host', { skip }, () => {
  let pair: Pair;
  before(() => {
    pair = new Pair();
    pair.ip('here', 'link', 'set', HERE.iface, 'mtu', '1400');
  });
  after(() => pair?.close());

  const path = async (to: string) => {
    const { source, iface, mtu } = await pair.on('here', () => pathTo(parseAddress(to)!));
    return { source: source.text, iface, mtu };
  };

  test('to a neighbour', async () => {
    assert.deepEqual(await path(THERE.address), { source: HERE.address, iface: HERE.iface, mtu: 1400 });
  });

  test('through a gateway', async () => {
    assert.deepEqual(await path('10.112.3.4'), { source: HERE.address, iface: HERE.iface, mtu: 1400 });
  });

  test('over IPv6', async () => {
    assert.deepEqual(await path('fd00:111::2'), { source: 'fd00:111::1', iface: HERE.iface, mtu: 1400 });
  });

  test('to ourselves is the loopback', async () => {
    assert.equal((await path('127.0.0.1')).iface, 'lo');
    assert.deepEqual(await path(HERE.address), { source: HERE.address, iface: 'lo', mtu: 65535 });
  });

  test('of which there is none now', async () => {
    assert.equal(await pair.on('here', () => pathNow(parseAddress('198.51.100.1')!)), undefined);
    assert.equal((await pair.on('here', () => pathNow(parseAddress(THERE.address)!)))?.mtu, 1400);
  });

  test('of which there is none', async () => {
    await assert.rejects(path('198.51.100.1'), {
      code: 'system-call',
      message: 'no route to 198.51.100.1 from here: ENETUNREACH (see: ip route get 198.51.100.1)',
    });
  });
});
