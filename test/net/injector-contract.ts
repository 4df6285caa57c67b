import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Injector } from '../../src/net/injector.ts';
import { openRing } from '../../src/net/ring.ts';
import { HERE, Pair, skip, THERE } from './namespaces.ts';
import {
  ETHERNET_OCTETS,
  numbersFrom,
  putUdp,
  STRANGER,
  sendNumbers,
  sizeOf,
  THERE_NUMBER,
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

    test('sends exactly these octets, from addresses that are not ours', async () => {
      const injector = await open();
      const source = await capture();
      const sent: Buffer[] = [];
      for (let number = 0; number < 300; number++) {
        const at = putUdp(injector, 9000, sizeOf(number), number, STRANGER + number);
        sent.push(Buffer.from(injector.octets.subarray(at, at + sizeOf(number))));
        injector.commit(sizeOf(number), THERE_NUMBER);
      }
      injector.flush();
      await settle(injector, 300);
      assert.deepEqual(injector.stats(), { sent: 300, refused: {} });
      source.close();
      const got: Buffer[] = [];
      for await (const block of source) {
        for (let i = 0; i < block.count; i++) {
          const at = block.offset[i];
          got.push(Buffer.from(block.octets.subarray(at + ETHERNET_OCTETS, at + block.length[i])));
        }
      }
      assert.deepEqual(got, sent);
      injector.close();
    });

    test('keeps slots on a multiple of four octets', async () => {
      const injector = await open(1501);
      assert.ok(injector.slotOctets >= 1501);
      for (let i = 0; i < 3; i++) {
        assert.equal((injector.octets.byteOffset + injector.slot()) % 4, 0);
        assert.equal(injector.view.byteOffset, injector.octets.byteOffset);
        putUdp(injector, 9000, 40, i);
        injector.commit(40, THERE_NUMBER);
      }
      injector.close();
    });

    test('counts what the kernel refuses by its name, and sends the rest', async () => {
      const injector = await open(4096);
      const source = await capture();
      const put = (number: number, length: number, to: number) => {
        putUdp(injector, 9000, length, number);
        injector.commit(length, to);
      };
      put(0, sizeOf(0), THERE_NUMBER);
      put(1, 2000, THERE_NUMBER);
      put(2, sizeOf(2), THERE_NUMBER);
      // 198.51.100.1 (TEST-NET-2): there is no route.
      put(3, sizeOf(3), 0xc633_6401);
      put(4, 1600, THERE_NUMBER);
      put(5, sizeOf(5), THERE_NUMBER);
      injector.flush();
      await settle(injector, 6);
      assert.deepEqual(injector.stats(), { sent: 3, refused: { EMSGSIZE: 2, ENETUNREACH: 1 } });
      source.close();
      assert.deepEqual(await numbersFrom(source), [0, 2, 5]);
      injector.close();
    });

    test('survives an interface that went away', async () => {
      const injector = await open();
      pair.ip('here', 'link', 'set', HERE.iface, 'down');
      sendNumbers(injector, 9000, 0, 3);
      await settle(injector, 3);
      assert.deepEqual(injector.stats(), { sent: 0, refused: { ENETUNREACH: 3 } });
      injector.close();
      pair.ip('here', 'link', 'del', HERE.iface);
      pair.addLink();
    });

    test('sends what was committed before close', async () => {
      const injector = await open();
      const source = await capture();
      for (let number = 0; number < 10; number++) {
        putUdp(injector, 9000, sizeOf(number), number);
        injector.commit(sizeOf(number), THERE_NUMBER);
      }
      injector.close();
      await settle(injector, 10);
      source.close();
      assert.deepEqual(await numbersFrom(source), upTo(10));
    });
  });
}
