import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket, connect as tcpConnect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { openCapture } from '../../src/net/capture/drivers.ts';
import { ANY_INTERFACE } from '../../src/net/capture/ring.ts';
import type { PacketSource } from '../../src/wire/packets.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';
import { Pair, type Side, skip, THERE } from './namespaces.ts';

const BRIDGE = 'br0';
const OCTETS = 200_000;

/** What a source shows of TCP, a line a segment, until it is closed. */
async function segmentsOf(source: PacketSource): Promise<string[]> {
  const segment = new Segment();
  const lines: string[] = [];
  for await (const { octets, view, count, offset, length, linkType } of source) {
    for (let i = 0; i < count; i++) {
      assert.equal(segment.parse(octets, view, offset[i], length[i], linkType), PARSE.ok);
      const { srcPort, seq, ack, flags, dataLength } = segment;
      lines.push(`${srcPort} ${seq} ${ack} ${flags} ${dataLength}`);
    }
  }
  return lines;
}

describe('all interfaces at once', { skip, timeout: 60_000 }, () => {
  let pair: Pair;
  before(() => {
    pair = new Pair();
    // The server's side has its address on a bridge, of which the link is a port: two interfaces show each packet.
    const mac = /link\/ether (\S+)/.exec(pair.ip('there', 'link', 'show', THERE.iface))![1];
    pair.ip('there', 'addr', 'flush', 'dev', THERE.iface);
    pair.ip('there', 'link', 'add', BRIDGE, 'address', mac, 'type', 'bridge');
    pair.ip('there', 'link', 'set', THERE.iface, 'master', BRIDGE);
    pair.ip('there', 'addr', 'add', `${THERE.address}/24`, 'dev', BRIDGE);
    pair.ip('there', 'link', 'set', BRIDGE, 'up');
  });
  after(() => pair?.close());

  /** One connection to `address`, whose server sends a lot. */
  async function talk(from: Side, address: string): Promise<void> {
    const server = createServer((socket) => socket.end(Buffer.alloc(OCTETS, 'x')));
    await pair.on('there', () => new Promise<void>((done) => server.listen(9004, address, done)));
    const { port } = server.address() as AddressInfo;
    const client = await pair.on(from, async () => {
      const socket: Socket = tcpConnect(port, address);
      await new Promise((done) => socket.once('connect', done));
      return socket;
    });
    await new Promise((done) => client.resume().on('close', done));
    await new Promise((done) => server.close(done));
  }

  for (const mode of ['throughput', 'latency'] as const) {
    const open = (iface: string) =>
      pair.on('there', () =>
        openCapture('ring', { iface, filter: 'tcp port 9004', mode, promiscuous: true }),
      );

    for (const [what, iface, from, address] of [
      ['a bridge and its port', BRIDGE, 'here', THERE.address],
      ['loopback, both ways', 'lo', 'there', '127.0.0.1'],
    ] as const) {
      test(`each packet once: ${what} (${mode})`, async () => {
        const sources = [await open(iface), await open(ANY_INTERFACE)];
        const reading = sources.map(segmentsOf);
        await talk(from, address);
        for (const source of sources) source.close();
        const [one, any] = await Promise.all(reading);
        assert.ok(one.length > 8);
        assert.deepEqual([...any].sort(), [...one].sort());
        assert.deepEqual(sources[1].stats(), { packets: one.length, dropped: 0 });
      });
    }
  }
});
