import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { endsHere, interfaceWith, listenersOn } from '../../../src/net/host/listeners.ts';
import { parseAddress } from '../../../src/wire/address.ts';

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const LISTEN = '0A';
const ESTABLISHED = '01';

function line(n: number, local: string, remote: string, state: string): string {
  return `   ${n}: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 1 1\n`;
}

describe('who listens on a port', () => {
  const proc = mkdtempSync(join(tmpdir(), 'mytape-proc-'));
  after(() => rmSync(proc, { recursive: true }));
  const none4 = '00000000:0000';
  const none6 = `${'0'.repeat(32)}:0000`;
  /** As Linux writes them on a little-endian host. */
  const write = (tcp: string[], tcp6: string[]) => {
    mkdirSync(join(proc, 'net'), { recursive: true });
    writeFileSync(join(proc, 'net/tcp'), HEAD + tcp.join(''));
    writeFileSync(join(proc, 'net/tcp6'), HEAD + tcp6.join(''));
  };
  const texts = (port: number) => {
    const found = listenersOn(port, proc);
    return found && { any: found.any, addresses: found.addresses.map(({ text }) => text).sort() };
  };

  test('its own addresses, IPv4, IPv6 and IPv4 in IPv6; who is connected there does not listen', () => {
    write(
      [
        line(1, '0100007F:0CEB', none4, LISTEN),
        line(2, '0200010A:0CEB', '0300010A:9C40', ESTABLISHED),
        line(3, '0300010A:0CEC', none4, LISTEN),
      ],
      [
        line(0, '000000FD000000000000000002000000:0CEB', none6, LISTEN),
        line(1, '0000000000000000FFFF00005306800A:0CEB', none6, LISTEN),
      ],
    );
    assert.deepEqual(texts(3307), { any: false, addresses: ['10.128.6.83', '127.0.0.1', 'fd00::2'] });
    assert.deepEqual(texts(3308), { any: false, addresses: ['10.1.0.3'] });
    assert.equal(texts(3306), undefined);
  });

  test('all addresses of the host, of either family', () => {
    write([line(0, '00000000:0CEB', none4, LISTEN)], []);
    assert.deepEqual(texts(3307), { any: true, addresses: [] });
    write([], [line(0, `${'0'.repeat(32)}:0CEB`, none6, LISTEN)]);
    assert.deepEqual(texts(3307), { any: true, addresses: [] });
  });

  test('this host as it is', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const found = listenersOn(port);
    server.close();
    assert.deepEqual(found && { ...found, addresses: found.addresses.map(({ text }) => text) }, {
      any: false,
      addresses: ['127.0.0.1'],
    });
  });

  test('the interface that has an address; all of 127.0.0.0/8 is loopback', () => {
    const loopback = Object.entries(networkInterfaces()).find(([, all]) =>
      all?.some((one) => one.internal),
    )?.[0];
    assert.equal(interfaceWith(parseAddress('127.0.0.1')!), loopback);
    assert.equal(interfaceWith(parseAddress('127.3.2.1')!), loopback);
    assert.equal(interfaceWith(parseAddress('192.0.2.77')!), undefined);
  });
});

describe("the server's end of a connection", () => {
  const proc = mkdtempSync(join(tmpdir(), 'mytape-proc-'));
  after(() => rmSync(proc, { recursive: true }));

  test("is found among this host's sockets, whatever its address", () => {
    const end = (address: string, port: number) =>
      `${address}:${port.toString(16).padStart(4, '0').toUpperCase()}`;
    // 10.128.6.7 and ::ffff:10.128.6.7, in words of the host's order.
    const v4 = '0706800A';
    const mapped = `0000000000000000FFFF0000${v4}`;
    const found = (peer: string, ...ends: [local: string, remote: string][]) => {
      mkdirSync(join(proc, 'net'), { recursive: true });
      writeFileSync(join(proc, 'net/tcp'), HEAD + ends.map((pair) => line(1, ...pair, ESTABLISHED)).join(''));
      return endsHere(3307, peer, proc);
    };
    const peer = '10.128.6.7:40001';
    assert.ok(found(peer, [end('0100007F', 22), end(v4, 1)], [end('0800000A', 3307), end(v4, 40_001)]));
    assert.ok(found(peer, [end(mapped, 3307), end(mapped, 40_001)]));
    assert.ok(!found(peer, [end(v4, 3308), end(v4, 40_001)]), 'another port of ours');
    assert.ok(!found(peer, [end(v4, 3307), end(v4, 40_002)]), 'another port of theirs');
    assert.ok(!found(peer, [end(v4, 3307), end('0606800A', 40_001)]), 'another client');
    assert.ok(found('client.example:40001', [end(v4, 3307), end(v4, 40_001)]), 'a name has no octets');
    const v6 = '000077FD000000000000000001000000';
    assert.ok(found('fd77::1:40001', [end(v6, 3307), end(v6, 40_001)]));
    assert.ok(!found(peer));
  });

  test('is found in the very tables of this kernel', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const client = connect(port, '127.0.0.1');
    await once(server, 'connection');
    assert.equal(endsHere(port, `127.0.0.1:${client.localPort}`), process.platform === 'linux');
    assert.ok(!endsHere(port, `127.0.0.2:${client.localPort}`));
    client.destroy();
    server.close();
  });
});
