import assert from 'node:assert/strict';
import { type AddressInfo, createServer, connect as tcpConnect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RingOptions } from '../../src/net/capture/ring.ts';
import type { Injector } from '../../src/net/injector.ts';
import { openMmsgInjector } from '../../src/net/mmsg.ts';
import { type CaptureGap, LINKTYPE, type PacketSource } from '../../src/wire/packets.ts';
import { Segment } from '../../src/wire/segment.ts';
import { until } from '../support/until.ts';
import { HERE, Pair, skip, THERE } from './namespaces.ts';
import { numbersFrom, numbersOf, sendNumbers, upTo } from './traffic.ts';

export interface CaptureDriver {
  name: string;
  open(options: Omit<RingOptions, 'mode'>): Promise<PacketSource>;
  /** Whether it is one of our own rings: with kernel times, the kernel's drop count, packets of any size. */
  isRing: boolean;
}

/** What every PacketSource that captures must do. */
export function captureContract(driver: CaptureDriver): void {
  describe(`capture by ${driver.name}`, { skip, timeout: 60_000 }, () => {
    let pair: Pair;
    let injector: Injector;
    before(async () => {
      pair = new Pair();
      injector = await pair.on('here', () => openMmsgInjector());
    });
    after(() => {
      injector?.close();
      pair?.close();
    });
    const open = (options: Partial<RingOptions> = {}) =>
      pair.on('there', () => driver.open({ iface: THERE.iface, filter: 'udp dst port 9000', ...options }));

    test('tells every packet once, in order, whole, with its time', async () => {
      const source = await open();
      assert.equal(source.linkType, LINKTYPE.ethernet);
      const before = Date.now() - 1;
      const times: number[] = [];
      const seen: number[] = [];
      const reading = (async () => {
        for await (const block of source) {
          seen.push(...numbersOf(block));
          times.push(...block.at.subarray(0, block.count));
          if (seen.length >= 5000) source.close();
        }
      })();
      for (let sent = 0; sent < 5000; sent += 500) {
        sendNumbers(injector, 9000, sent, sent + 500);
        await sleep(2);
      }
      await reading;
      assert.deepEqual(seen, upTo(5000));
      assert.deepEqual(source.stats(), { packets: 5000, dropped: 0 });
      for (let i = 1; i < times.length; i++) assert.ok(times[i] >= times[i - 1]);
      const firstMs = source.originSec * 1000 + times[0] / 1e6;
      assert.ok(firstMs >= before && firstMs <= Date.now() + 1, `${firstMs} is not now`);
    });

    test('counts time from the origin that it was told', async () => {
      const source = await open({ originSec: Math.floor(Date.now() / 1000) - 1000 });
      sendNumbers(injector, 9000, 0, 1);
      for await (const block of source) {
        assert.ok(block.at[0] > 999e9 && block.at[0] < 1100e9);
        break;
      }
    });

    test('takes only what the filter lets through', async () => {
      const source = await open({ filter: 'udp dst port 9001' });
      sendNumbers(injector, 9000, 0, 50);
      sendNumbers(injector, 9001, 50, 60);
      sendNumbers(injector, 9002, 60, 90);
      setTimeout(() => source.close(), 50);
      assert.deepEqual(await numbersFrom(source), upTo(60).slice(50));
    });

    test('loses nothing that came before close', async () => {
      for (let round = 0; round < 5; round++) {
        const source = await open();
        const reading = numbersFrom(source);
        await sleep(5);
        sendNumbers(injector, 9000, 0, 700);
        source.close();
        assert.deepEqual(await reading, upTo(700));
      }
    });

    test('loses nothing while its reader is slow', async () => {
      const source = await open();
      setTimeout(() => sendNumbers(injector, 9000, 400, 800), 5);
      sendNumbers(injector, 9000, 0, 400);
      const numbers = await numbersFrom(source, async (all) => {
        await sleep(20);
        if (all.length === 800) source.close();
      });
      assert.deepEqual(numbers, upTo(800));
    });

    test('lets the process have its turn while packets keep coming', async () => {
      const source = await open();
      let turns = 0;
      const timer = setInterval(() => {
        turns++;
        sendNumbers(injector, 9000, 0, 64);
      }, 1);
      const end = performance.now() + 5000;
      for await (const block of source) {
        assert.ok(block.count > 0);
        sendNumbers(injector, 9000, 0, 64);
        if (turns > 10 || performance.now() > end) break;
      }
      clearInterval(timer);
      assert.ok(turns > 10, `${turns} turns in 5 s`);
    });

    test('ends when it was closed before it was read', async () => {
      const source = await open();
      source.close();
      source.close();
      assert.deepEqual(await numbersFrom(source), []);
      assert.equal(source.stats().packets, 0);
    });

    test('says what is wrong with a filter', async () => {
      await assert.rejects(open({ filter: 'udp prot 9000' }), {
        code: 'bad-filter',
        message: /syntax error/,
      });
    });

    test('says that there is no such interface', async () => {
      await assert.rejects(open({ iface: 'nowhere' }), { code: 'no-interface', message: /nowhere/ });
    });

    if (driver.isRing)
      ringContract(
        driver,
        () => pair,
        () => injector,
      );
  });
}

function ringContract(driver: CaptureDriver, pair: () => Pair, injector: () => Injector): void {
  const open = (options: Partial<RingOptions> = {}) =>
    pair().on('there', () => driver.open({ iface: THERE.iface, filter: 'udp dst port 9000', ...options }));

  test('counts what it had no room for', async () => {
    const source = await open({ bufferOctets: 1 << 19 });
    const sent = 4000;
    sendNumbers(injector(), 9000, 0, sent);
    const { dropped } = source.stats();
    assert.ok(dropped > 0);
    setTimeout(() => source.close(), 50);
    const numbers = await numbersFrom(source);
    assert.deepEqual(numbers, upTo(numbers.length));
    assert.deepEqual(source.stats(), { packets: sent - dropped, dropped });
    assert.equal(numbers.length, sent - dropped);
  });

  test('goes on after it had no room', async () => {
    const source = await open({ bufferOctets: 1 << 19 });
    sendNumbers(injector(), 9000, 0, 4000);
    let again = false;
    const numbers = await numbersFrom(source, (all) => {
      if (all.at(-1) === 9999) source.close();
      // Only when the ring is read empty: what is sent into a full one is dropped, also the number that ends this.
      else if (!again && all.length + source.stats().dropped === 4000) {
        again = true;
        setImmediate(() => sendNumbers(injector(), 9000, 9900, 10000));
      }
    });
    assert.deepEqual(numbers.slice(-100), upTo(10000).slice(9900));
    assert.equal(numbers.length + source.stats().dropped, 4100);
  });

  test('tells packets of offload size whole', async () => {
    const source = await open({ filter: 'tcp dst port 9003' });
    const sent = Buffer.alloc(8 << 20, 'any octets, as long as their number is odd.');
    const server = createServer((socket) => socket.resume().on('end', () => socket.end()));
    await pair().on('there', () => new Promise<void>((done) => server.listen(9003, THERE.address, done)));
    const { port } = server.address() as AddressInfo;
    const client = await pair().on('here', async () => {
      const socket = tcpConnect(port, THERE.address);
      await new Promise((done) => socket.once('connect', done));
      return socket;
    });
    client.end(sent);
    client.resume().on('close', () => source.close());
    const got = Buffer.alloc(sent.length);
    const segment = new Segment();
    let iss = -1;
    let largest = 0;
    for await (const block of source) {
      for (let i = 0; i < block.count; i++) {
        assert.equal(block.length[i], block.wireLength[i]);
        largest = Math.max(largest, block.length[i]);
        assert.equal(
          segment.parse(block.octets, block.view, block.offset[i], block.length[i], source.linkType),
          0,
        );
        if (iss < 0) iss = segment.seq;
        const { dataOffset, dataLength } = segment;
        if (dataLength === 0) continue;
        got.set(block.octets.subarray(dataOffset, dataOffset + dataLength), (segment.seq - iss - 1) >>> 0);
      }
    }
    server.close();
    assert.equal(source.stats().dropped, 0);
    assert.ok(largest > 16000, `the largest packet had ${largest} octets`);
    assert.ok(got.equals(sent));
  });

  test('tells each packet on the loopback once', async () => {
    const source = await open({ iface: 'lo' });
    const loop = await pair().on('there', () => openMmsgInjector());
    sendNumbers(loop, 9000, 0, 10);
    loop.close();
    setTimeout(() => source.close(), 30);
    assert.deepEqual(await numbersFrom(source), upTo(10));
  });

  for (const incomingOnly of [false, true]) {
    const what = incomingOnly
      ? 'leaves out what this host sends, if told to'
      : 'tells what this host sends, too';
    test(what, async () => {
      const source = await pair().on('here', () =>
        driver.open({ iface: HERE.iface, filter: 'udp dst port 9000', incomingOnly }),
      );
      sendNumbers(injector(), 9000, 0, 10);
      setTimeout(() => source.close(), 50);
      assert.deepEqual(await numbersFrom(source), incomingOnly ? [] : upTo(10));
    });
  }

  test('says that the interface is down', async () => {
    pair().ip('there', 'link', 'add', 'idle', 'type', 'veth', 'peer', 'name', 'idle2');
    await assert.rejects(open({ iface: 'idle' }), { code: 'no-interface', message: /idle: it is down/ });
    pair().ip('there', 'link', 'del', 'idle');
  });

  test('goes on when the interface that went down is up again, and tells the gap', async () => {
    const gaps: CaptureGap[] = [];
    const source = await open({ onGap: (gap) => gaps.push(gap) });
    const numbers: number[] = [];
    const reading = (async () => {
      for await (const block of source) numbers.push(...numbersOf(block));
    })();
    sendNumbers(injector(), 9000, 0, 20);
    await until('the packets came', () => numbers.length === 20);
    for (let flap = 1; flap <= 2; flap++) {
      pair().ip('there', 'link', 'set', THERE.iface, 'down');
      await until('the gap was told', () => gaps.length === 2 * flap - 1);
      pair().ip('there', 'link', 'set', THERE.iface, 'up');
      await until('the gap was told', () => gaps.length === 2 * flap);
      sendNumbers(injector(), 9000, 20 * flap, 20 * flap + 20);
      await until('the packets came', () => numbers.length === 20 * flap + 20);
    }
    source.close();
    await reading;
    assert.deepEqual(numbers, upTo(60));
    assert.ok(gaps.every(({ fromAt, toAt }, i) => (i % 2 === 0 ? toAt === undefined : toAt! > fromAt)));
    assert.equal(gaps[0].fromAt, gaps[1].fromAt);
    pair().ip('there', 'link', 'del', THERE.iface);
    pair().addLink();
  });

  test('ends in order while the interface is down, the gap with it', async () => {
    const gaps: CaptureGap[] = [];
    const source = await open({ onGap: (gap) => gaps.push(gap) });
    sendNumbers(injector(), 9000, 0, 20);
    pair().ip('there', 'link', 'set', THERE.iface, 'down');
    const reading = numbersFrom(source);
    await until('the gap was told', () => gaps.length === 1);
    source.close();
    assert.deepEqual(await reading, upTo(20));
    assert.ok(gaps.length === 2 && gaps[1].toAt! > gaps[1].fromAt);
    pair().ip('there', 'link', 'del', THERE.iface);
    pair().addLink();
  });

  test('tells what came before the interface was removed, then says so', async () => {
    const source = await open();
    sendNumbers(injector(), 9000, 0, 20);
    const numbers: number[] = [];
    const reading = (async () => {
      for await (const block of source) numbers.push(...numbersOf(block));
    })();
    pair().ip('there', 'link', 'del', THERE.iface);
    await assert.rejects(reading, { code: 'no-interface', message: /the interface there was removed/ });
    assert.deepEqual(numbers, upTo(20));
    pair().addLink();
  });
}
