import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { openMmsgInjector } from '../../src/net/mmsg.ts';
import { macOf, nextHop } from '../../src/net/neighbour.ts';
import { openRing } from '../../src/net/ring.ts';
import { ipv4Number, parseAddress } from '../../src/wire/address.ts';
import { HERE, Pair, skip, THERE } from './namespaces.ts';
import { numbersOf, sendNumbers } from './traffic.ts';

const number = (text: string) => ipv4Number(parseAddress(text)!);

/** As the kernel prints it: eth0 has 10.77.0.0/24, 10.78.0.0/16 via 10.77.0.9 and a default via 10.77.0.1. */
const ROUTES = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	01004D0A	0003	0	0	0	00000000	0	0	0
eth0	00004D0A	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth0	00004E0A	09004D0A	0003	0	0	0	0000FFFF	0	0	0
eth0	00004F0A	00000000	0201	0	0	0	0000FFFF	0	0	0
eth1	0000500A	00000000	0001	0	0	0	0000FFFF	0	0	0
`;

const TABLE = `IP address       HW type     Flags       HW address            Mask     Device
10.77.0.3        0x1         0x2         02:00:0a:4d:00:03     *        eth0
10.77.0.4        0x1         0x0         00:00:00:00:00:00     *        eth0
10.77.0.5        0x1         0x2         02:00:0a:4d:00:05     *        eth1
10.77.0.6        0x20        0x2         02:00:0a:4d:00:06     *        eth0
`;

describe('next hop', () => {
  test('a host on the link is its own next hop', () => {
    assert.equal(nextHop(ROUTES, 'eth0', number('10.77.0.3')), number('10.77.0.3'));
  });

  test('the most specific route tells the gateway', () => {
    assert.equal(nextHop(ROUTES, 'eth0', number('10.78.1.1')), number('10.77.0.9'));
    assert.equal(nextHop(ROUTES, 'eth0', number('192.168.1.1')), number('10.77.0.1'));
  });

  test('another interface’s routes, and none, tell nothing', () => {
    assert.equal(nextHop(ROUTES, 'eth1', number('10.77.0.3')), undefined);
    assert.equal(nextHop('', 'eth0', number('10.77.0.3')), undefined);
  });
});

describe('neighbour', () => {
  test('its Ethernet address, where the entry is complete, on that interface, and Ethernet', () => {
    assert.deepEqual(macOf(TABLE, 'eth0', number('10.77.0.3')), Uint8Array.of(2, 0, 10, 77, 0, 3));
    for (const ip of ['10.77.0.4', '10.77.0.5', '10.77.0.6', '10.77.0.7']) {
      assert.equal(macOf(TABLE, 'eth0', number(ip)), undefined, ip);
    }
  });
});

describe('sending by the link', { skip, timeout: 60_000 }, () => {
  let pair: Pair;
  before(() => {
    pair = new Pair();
  });
  after(() => pair?.close());

  /** Sends `count` numbered packets in one go with this thread in the sender's namespace; answers what arrived. */
  async function sent(count: number, target: string, prepare = () => {}): Promise<number[]> {
    const source = await pair.on('there', () =>
      openRing({ iface: THERE.iface, filter: 'udp dst port 9000', mode: 'latency' }),
    );
    const injector = await pair.on('here', () => {
      const opened = openMmsgInjector({ target: parseAddress(target)! });
      prepare();
      sendNumbers(opened, 9000, 0, count);
      return opened;
    });
    assert.deepEqual(injector.stats(), { sent: count, refused: {} });
    injector.close();
    source.close();
    const got: number[] = [];
    for await (const block of source) got.push(...numbersOf(block));
    return got;
  }

  const all = Array.from({ length: 200 }, (_, i) => i);

  test('a known neighbour gets every packet, past the kernel’s own output', async () => {
    const nft = (...args: string[]) =>
      execFileSync('ip', ['netns', 'exec', pair.name('here'), 'nft', ...args]);
    nft('add table ip t; add chain ip t out { type filter hook output priority 0; }; add rule ip t out drop');
    try {
      assert.deepEqual(await sent(200, THERE.address), all);
    } finally {
      nft('delete table ip t');
    }
  });

  test('one that the kernel does not know is left to the kernel', async () => {
    pair.ip('here', 'neigh', 'del', THERE.address, 'dev', HERE.iface);
    assert.deepEqual(await sent(200, THERE.address), all);
  });
});
