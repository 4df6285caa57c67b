/**
 * A MySQL server that costs nothing, as a process: takes frames off an interface and answers them past the kernel, which must be
 * kept from answering, too (`NullTarget` does so).
 *
 *     node null-responder.js --iface eth0 --port 3308 --gateway 10.77.0.4 [--iface eth2] [--out eth1] [--rows 1]
 */
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { MytapeError } from '../../src/errors.ts';
import { openRing } from '../../src/net/capture/ring.ts';
import { Neighbours } from '../../src/net/neighbour.ts';
import { pathTo } from '../../src/net/route.ts';
import { type Address, ipv4Number, parseAddress } from '../../src/wire/address.ts';
import { FrameSender } from './frame-sender.ts';
import { NullMysql } from './null-mysql.ts';
import { NullServer } from './null-server.ts';

const RING_OCTETS = 64 << 20;

/** So many frames in a block are a crowd: let more gather before the next look. Ten times cheaper than a wake-up each. */
const CROWD = 8;
const REST_MS = 0.1;

const TICK_MS = 50;
const GATEWAY_MS = 5_000;
/** The hosts of one link are told apart by their last octet. */
const LINK_MASK = 0xffffff00;

/** The gateway's Ethernet address: whatever is sent there makes the kernel ask for it. */
async function hardwareAddress(gateway: Address): Promise<Uint8Array> {
  const poke = createSocket('udp4');
  const neighbours = new Neighbours();
  try {
    for (const begun = performance.now(); performance.now() - begun < GATEWAY_MS; await sleep(50)) {
      const neighbour = neighbours.next(gateway);
      if (neighbour !== undefined) return neighbour.mac;
      // Discard (RFC 863).
      poke.send('', 9, gateway.text);
    }
  } finally {
    poke.close();
    neighbours.close();
  }
  throw new MytapeError('system-call', `null responder: ${gateway.text} is not on this link`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      iface: { type: 'string', multiple: true, default: [] },
      port: { type: 'string' },
      gateway: { type: 'string' },
      out: { type: 'string' },
      rows: { type: 'string', default: '1' },
    },
  });
  const { iface: ifaces, port } = values;
  const gateway = parseAddress(values.gateway ?? '');
  if (gateway === undefined) throw new MytapeError('usage', 'null responder: --gateway ADDRESS');
  const mac = await hardwareAddress(gateway);
  const link = ipv4Number(pathTo(gateway).source) & LINK_MASK;
  const sender = new FrameSender(values.out ?? ifaces[0]);
  const hopOf = (client: number) => ((client & LINK_MASK) === link ? undefined : mac);
  const server = new NullServer(sender, new NullMysql(Number(values.rows)), hopOf);
  let crowded = false;
  const openOn = (iface: string) =>
    openRing({
      iface,
      filter: `tcp and dst port ${port}`,
      mode: 'latency',
      incomingOnly: true,
      bufferOctets: RING_OCTETS,
      restMs: () => (crowded ? REST_MS : 0),
    });
  const sources = ifaces.map(openOn);
  process.once('SIGINT', () => {
    for (const source of sources) source.close();
  });
  const ticks = setInterval(() => server.tick(performance.now()), TICK_MS);
  process.stderr.write(`null responder on ${ifaces.join(', ')}, port ${port}\n`);
  await Promise.all(
    sources.map(async (source) => {
      for await (const block of source) {
        crowded = block.count >= CROWD;
        server.take(block, performance.now());
      }
    }),
  );
  clearInterval(ticks);
  let packets = 0;
  let dropped = 0;
  for (const source of sources) {
    const stats = source.stats();
    packets += stats.packets;
    dropped += stats.dropped;
  }
  const { connections, commands } = server;
  const { sent, givenUp } = sender;
  sender.close();
  process.stdout.write(`${JSON.stringify({ connections, commands, packets, dropped, sent, givenUp })}\n`);
}

main().catch((error: Error) => {
  process.stderr.write(`null responder: ${error.message}\n`);
  process.exitCode = 1;
});
