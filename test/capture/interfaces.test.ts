import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type CapturePlace, placeToCapture } from '../../src/capture/interfaces.ts';
import { HERE, Pair, skip, THERE } from '../net/namespaces.ts';

const VIP = '10.113.0.9';
const PORT = 9005;

describe('where a mirror captures', { skip }, () => {
  let pair: Pair;
  const servers: Server[] = [];
  before(() => {
    pair = new Pair();
    pair.ip('there', 'link', 'add', 'vip0', 'type', 'veth', 'peer', 'name', 'vip1');
    pair.ip('there', 'addr', 'add', `${VIP}/24`, 'dev', 'vip0');
    for (const iface of ['vip0', 'vip1']) pair.ip('there', 'link', 'set', iface, 'up');
    pair.ip('there', 'route', 'add', 'default', 'via', HERE.address);
  });
  after(() => {
    for (const server of servers) server.close();
    pair?.close();
  });

  /** Where, and why, with a server that listens on `address`. */
  async function place(
    address: string,
    port: number,
    named?: string,
    source?: string,
  ): Promise<CapturePlace> {
    const server = createServer();
    servers.push(server);
    return pair.on('there', async () => {
      await new Promise<void>((done) => server.listen(port, address, done));
      return placeToCapture(port, named, source);
    });
  }

  test('on all interfaces where the server listens on an address whose interface no stranger comes by', async () => {
    const { iface, why, isHere, servers } = await place(VIP, PORT);
    assert.deepEqual([iface, isHere, servers], ['any', true, [VIP]]);
    assert.equal(
      why,
      `vip0 has ${VIP}, which the server of port ${PORT} listens on, but its packets may come by another one`,
    );
  });

  test('the same where -x names the address, and the server listens on all', async () => {
    const { iface, servers } = await place('0.0.0.0', PORT + 1, undefined, VIP);
    assert.deepEqual([iface, servers], ['any', [VIP]]);
  });

  test('on the interface that strangers come by, and on loopback, as before', async () => {
    const eth = await place(THERE.address, PORT + 2);
    assert.deepEqual(
      [eth.iface, eth.why],
      [THERE.iface, `it has ${THERE.address}, which the server of port ${PORT + 2} listens on`],
    );
    assert.equal((await place('127.0.0.1', PORT + 3)).iface, 'lo');
  });

  test('-i any: what comes is for this host', async () => {
    const { iface, isHere, servers } = await place(VIP, PORT + 4, 'any');
    assert.deepEqual([iface, isHere, servers], ['any', true, [VIP]]);
  });
});
