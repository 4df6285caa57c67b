import assert from 'node:assert/strict';
import { type AddressInfo, createServer, connect as tcpConnect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Injector } from '../../src/net/injector.ts';
import { openMmsgInjector } from '../../src/net/mmsg.ts';
import { openRing, type RingOptions } from '../../src/net/ring.ts';
import { ipv4Number, parseAddress } from '../../src/wire/address.ts';
import { foldChecksum, sumWords } from '../../src/wire/checksum.ts';
import { LINKTYPE, type PacketBlock, type PacketSource } from '../../src/wire/packets.ts';
import { Segment } from '../../src/wire/segment.ts';
import { HERE, Pair, skip, THERE } from './namespaces.ts';

const ETHERNET_OCTETS = 14;
const IP_UDP_OCTETS = 28;
const HERE_NUMBER = ipv4Number(parseAddress(HERE.address)!);
const THERE_NUMBER = ipv4Number(parseAddress(THERE.address)!);
/** 10.112.7.9: nobody's. */
const STRANGER = 0x0a70_0709;

/** Writes a UDP packet into the injector's next slot: `length` octets in all, `number` as the first of its data. */
function putUdp(
  injector: Injector,
  port: number,
  length: number,
  number: number,
  source = HERE_NUMBER,
): number {
  const at = injector.slot();
  const { view, octets } = injector;
  octets.fill(number & 255, at, at + length);
  view.setUint32(at, 0x4500_0000 | length);
  // An identification of its own, or Linux would choose one. Don't fragment.
  view.setUint32(at + 4, ((((number & 0x7fff) + 1) << 16) | 0x4000) >>> 0);
  view.setUint32(at + 8, 0x4011_0000);
  view.setUint32(at + 12, source);
  view.setUint32(at + 16, THERE_NUMBER);
  view.setUint16(at + 10, foldChecksum(sumWords(octets, at, at + 20)));
  view.setUint16(at + 20, 1234);
  view.setUint16(at + 22, port);
  view.setUint16(at + 24, length - 20);
  // No UDP checksum.
  view.setUint16(at + 26, 0);
  view.setUint32(at + IP_UDP_OCTETS, number);
  return at;
}

/** Packet sizes that go through every remainder and stay within the MTU. */
const sizeOf = (number: number) => 32 + ((number * 37) % 1400);

function sendNumbers(injector: Injector, port: number, from: number, to: number): void {
  for (let number = from; number < to; number++) {
    putUdp(injector, port, sizeOf(number), number);
    injector.commit(sizeOf(number), THERE_NUMBER);
  }
  injector.flush();
}

/** Each packet's number, after a look at every octet of it. */
function numbersOf(block: PacketBlock): number[] {
  return Array.from({ length: block.count }, (_, i) => {
    const ip = block.offset[i] + ETHERNET_OCTETS;
    const number = block.view.getUint32(ip + IP_UDP_OCTETS);
    const size = ETHERNET_OCTETS + sizeOf(number);
    assert.equal(block.wireLength[i], size);
    assert.equal(block.length[i], size);
    const data = block.octets.subarray(ip + IP_UDP_OCTETS + 4, block.offset[i] + size);
    assert.ok(data.every((octet) => octet === (number & 255)));
    return number;
  });
}

async function numbersFrom(source: PacketSource, onBlock?: (all: number[]) => void | Promise<void>) {
  const numbers: number[] = [];
  for await (const block of source) {
    numbers.push(...numbersOf(block));
    await onBlock?.(numbers);
  }
  return numbers;
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

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
      const end = performance.now() + 100;
      for await (const block of source) {
        assert.ok(block.count > 0);
        sendNumbers(injector, 9000, 0, 64);
        if (performance.now() > end) break;
      }
      clearInterval(timer);
      assert.ok(turns > 10, `${turns} turns in 100 ms`);
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
    const told = false;
    const numbers = await numbersFrom(source, (all) => {
      if (all.at(-1) === 9999) source.close();
      else if (!told) setTimeout(() => sendNumbers(injector(), 9000, 9900, 10000), 30);
      told = true;
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

  test('says that the interface is down', async () => {
    pair().ip('there', 'link', 'add', 'idle', 'type', 'veth', 'peer', 'name', 'idle2');
    await assert.rejects(open({ iface: 'idle' }), { code: 'no-interface', message: /idle: it is down/ });
    pair().ip('there', 'link', 'del', 'idle');
  });

  for (const end of ['down', 'gone'] as const) {
    test(`tells what came before the interface went ${end}, then says so`, async () => {
      const source = await open();
      sendNumbers(injector(), 9000, 0, 20);
      const numbers: number[] = [];
      const reading = (async () => {
        for await (const block of source) numbers.push(...numbersOf(block));
      })();
      if (end === 'down') pair().ip('there', 'link', 'set', THERE.iface, 'down');
      else pair().ip('there', 'link', 'del', THERE.iface);
      await assert.rejects(reading, { code: 'no-interface', message: /there went down or away/ });
      assert.deepEqual(numbers, upTo(20));
      if (end === 'down') pair().ip('there', 'link', 'del', THERE.iface);
      pair().addLink();
    });
  }
}

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
