import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openRing } from '../../src/net/capture/ring.ts';
import type { Injector } from '../../src/net/injector.ts';
import { parseAddress } from '../../src/wire/address.ts';
import type { PacketSource } from '../../src/wire/packets.ts';
import { HERE, Pair, skip, THERE } from './namespaces.ts';
import {
  ETHERNET_OCTETS,
  FAMILIES,
  type Family,
  numbersFrom,
  putUdp,
  sendNumbers,
  sizeOf,
  stranger,
  THEIRS,
  upTo,
} from './traffic.ts';

export interface SendDriver {
  name: string;
  open(options: { slotOctets?: number }): Promise<Injector>;
}

/** What every Injector must do. */
export function injectorContract(driver: SendDriver): void {
  describe(`sending by ${driver.name}`, { skip, timeout: 60_000 }, () => {
    let pair: Pair;
    before(() => {
      pair = new Pair();
    });
    after(() => pair?.close());

    const open = (slotOctets?: number) =>
      pair.on('here', () => driver.open(slotOctets === undefined ? {} : { slotOctets }));
    const capture = () =>
      pair.on('there', () => openRing({ iface: THERE.iface, filter: 'udp dst port 9000', mode: 'latency' }));

    /** Until every packet has been taken or refused. */
    async function settle(injector: Injector, count: number): Promise<void> {
      for (let tries = 0; tries < 500; tries++) {
        const { sent, refused } = injector.stats();
        if (Object.values(refused).reduce((sum, n) => sum + n, sent) === count) return;
        await sleep(5);
      }
      assert.fail(`not settled: ${JSON.stringify(injector.stats())}`);
    }

    /** What is behind the Ethernet headers of all that was captured. */
    async function packetsFrom(source: PacketSource): Promise<Buffer[]> {
      const got: Buffer[] = [];
      for await (const block of source) {
        for (let i = 0; i < block.count; i++) {
          const at = block.offset[i];
          got.push(Buffer.from(block.octets.subarray(at + ETHERNET_OCTETS, at + block.length[i])));
        }
      }
      return got;
    }

    /** Sends 300 numbered packets from addresses that are not ours, each of the version that `familyOf` says. */
    async function sendsExactly(familyOf: (number: number) => Family): Promise<[Buffer[], Buffer[]]> {
      const injector = await open();
      const source = await capture();
      const sent: Buffer[] = [];
      for (let number = 0; number < 300; number++) {
        const family = familyOf(number);
        const at = putUdp(injector, 9000, sizeOf(number), number, family, stranger(family, number % 200));
        sent.push(Buffer.from(injector.octets.subarray(at, at + sizeOf(number))));
        injector.commit(sizeOf(number));
      }
      injector.flush();
      await settle(injector, 300);
      assert.deepEqual(injector.stats(), { sent: 300, refused: {} });
      source.close();
      injector.close();
      return [await packetsFrom(source), sent];
    }

    for (const family of FAMILIES) {
      test(`sends exactly these octets, from addresses that are not ours, IPv${family}`, async () => {
        const [got, sent] = await sendsExactly(() => family);
        assert.deepEqual(got, sent);
      });
    }

    test('sends both versions as they come', async () => {
      const [got, sent] = await sendsExactly((number) => (number % 3 === 0 || number % 7 < 3 ? 6 : 4));
      // Each version in its order; a driver may have one queue for each.
      for (const version of FAMILIES) {
        const ofVersion = (packets: Buffer[]) => packets.filter((packet) => packet[0] >> 4 === version);
        assert.deepEqual(ofVersion(got), ofVersion(sent));
      }
    });

    test('keeps slots on a multiple of four octets', async () => {
      const injector = await open(1501);
      assert.ok(injector.slotOctets >= 1501);
      for (let i = 0; i < 3; i++) {
        assert.equal((injector.octets.byteOffset + injector.slot()) % 4, 0);
        assert.equal(injector.view.byteOffset, injector.octets.byteOffset);
        putUdp(injector, 9000, 60, i);
        injector.commit(60);
      }
      injector.close();
    });

    for (const family of FAMILIES) {
      test(`counts what the kernel refuses by its name, and sends the rest, IPv${family}`, async () => {
        const injector = await open(4096);
        const source = await capture();
        const put = (number: number, length: number, to = THEIRS[family]) => {
          putUdp(injector, 9000, length, number, family, undefined, to);
          injector.commit(length);
        };
        put(0, sizeOf(0));
        put(1, 2000);
        put(2, sizeOf(2));
        // TEST-NET-2, and the documentation's prefix: there is no route.
        put(3, sizeOf(3), parseAddress(family === 4 ? '198.51.100.1' : '2001:db8::1')!);
        put(4, 1600);
        put(5, sizeOf(5));
        injector.flush();
        await settle(injector, 6);
        assert.deepEqual(injector.stats(), { sent: 3, refused: { EMSGSIZE: 2, ENETUNREACH: 1 } });
        source.close();
        assert.deepEqual(await numbersFrom(source), [0, 2, 5]);
        injector.close();
      });
    }

    test('survives an interface that went away', async () => {
      const injector = await open();
      pair.ip('here', 'link', 'set', HERE.iface, 'down');
      for (const family of FAMILIES) sendNumbers(injector, 9000, 0, 3, family);
      await settle(injector, 6);
      assert.deepEqual(injector.stats(), { sent: 0, refused: { ENETUNREACH: 6 } });
      injector.close();
      pair.ip('here', 'link', 'del', HERE.iface);
      pair.addLink();
    });

    test('sends what was committed before close', async () => {
      const injector = await open();
      const source = await capture();
      for (let number = 0; number < 10; number++) {
        putUdp(injector, 9000, sizeOf(number), number);
        injector.commit(sizeOf(number));
      }
      injector.close();
      await settle(injector, 10);
      source.close();
      assert.deepEqual(await numbersFrom(source), upTo(10));
    });
  });
}
