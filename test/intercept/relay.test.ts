import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { MytapeError } from '../../src/errors.ts';
import {
  MESSAGE,
  MessageReader,
  MessageWriter,
  RELAY_MAGIC,
  RELAY_VERSION,
} from '../../src/intercept/messages.ts';
import { Receiver } from '../../src/intercept/receiver.ts';
import { RelayClient } from '../../src/intercept/relay-client.ts';
import { type FlowLimits, RelayChannel } from '../../src/intercept/relay-server.ts';
import { connectRelay, listenRelay, readKeyFile } from '../../src/intercept/relay-socket.ts';
import { EXPECT } from '../../src/mysql/command.ts';
import type { Reply } from '../../src/mysql/reply.ts';
import { ManualClock } from '../../src/time.ts';
import { ipv4Address } from '../../src/wire/address.ts';
import { CTL } from '../../src/wire/segment.ts';
import { Tuple } from '../../src/wire/tuple.ts';
import { column, eof, packets, payload, row } from '../mysql/support/packets.ts';
import { blockOf, FakeInjector, makePacket, RecordingOwner } from './support.ts';

const KEY = Buffer.alloc(32, 7);
const TARGET = 0xc0a80001;
const CLIENT = 0xfa010203;
const ISS = 0xffff_fff0;
const IRS = 0xffff_ff00;

const tupleOf = (clientPort: number) => new Tuple(ipv4Address(CLIENT), clientPort, ipv4Address(TARGET), 3307);

/** Waits until `seen` is, or fails. */
async function until(seen: () => boolean, what: string, withinMs = 2_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (performance.now() < deadline) {
    if (seen()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`in ${withinMs} ms, not seen: ${what}`);
}

interface Intercept {
  port: number;
  injector: FakeInjector;
  receiver: Receiver;
  channels: RelayChannel[];
  log: string[];
  /** As a process that ends: all that it has is gone, and the port is free. */
  stop(): void;
}

/** An intercept on loopback, without a capture. */
async function startIntercept(
  t: TestContext,
  key: Buffer | undefined,
  { port = 0, limits }: { port?: number; limits?: FlowLimits } = {},
): Promise<Intercept> {
  const injector = new FakeInjector(128);
  const receiver = new Receiver(injector, new ManualClock(1));
  const channels: RelayChannel[] = [];
  const log: string[] = [];
  const onChannel = (socket: Socket) => {
    const stats = () => ({ packets: 2 ** 40 + 1, dropped: 5 });
    channels.push(
      new RelayChannel(socket, receiver, stats, (event, detail) => log.push(`${event}: ${detail}`), limits),
    );
  };
  const onRefused = (from: string, why: string) => log.push(`refused: ${from} ${why}`);
  const server = await listenRelay({ host: '127.0.0.1', port }, key, onChannel, onRefused);
  const stop = () => {
    server.close();
    for (const channel of channels) channel.close();
  };
  t.after(stop);
  return { port: (server.address() as AddressInfo).port, injector, receiver, channels, log, stop };
}

interface Replay {
  client: RelayClient;
  owner: RecordingOwner;
  /** What became of the channel. */
  events: string[];
}

async function connect(t: TestContext, port: number, key: Buffer | undefined): Promise<Replay> {
  const owner = new RecordingOwner();
  const events: string[] = [];
  const client = await RelayClient.open({
    address: { host: '127.0.0.1', port },
    key,
    owner,
    timestampMs: () => 5_000,
    events: {
      lost: (why) => events.push(`lost: ${why}`),
      back: () => events.push('back'),
      gone: (why) => events.push(`gone: ${why}`),
    },
  });
  t.after(() => client.close());
  return { client, owner, events };
}

interface Wire {
  port: number;
  /** Ends all that is connected, without a word of either end's. */
  cut(): void;
  /** Lets nothing through any more, and ends nothing. */
  hold(): void;
}

/** What lies between a replay and an intercept at `to`. */
async function startWire(t: TestContext, to: number): Promise<Wire> {
  const sockets: Socket[] = [];
  const port = await startStranger(t, (near) => {
    const far = net.connect(to, '127.0.0.1');
    far.on('error', () => {});
    for (const [from, onto] of [
      [near, far],
      [far, near],
    ]) {
      from.pipe(onto);
      from.on('close', () => onto.destroy());
    }
    sockets.push(near, far);
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  return {
    port,
    cut: () => {
      for (const socket of sockets.splice(0)) socket.destroy();
    },
    hold: () => {
      for (const socket of sockets) socket.removeAllListeners('close').unpipe().pause();
    },
  };
}

/** A server that is no intercept: runs `onSocket` for whoever comes. */
async function startStranger(t: TestContext, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Sends `octets` to an intercept and answers the messages that come back until it closes: type and text. */
function talk(port: number, octets: Uint8Array): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const said: string[] = [];
    const reader = new MessageReader((type, _view, all, at, length) => {
      said.push(`${type} ${Buffer.from(all.subarray(at + 8, at + length)).toString()}`);
    });
    const socket = net.connect(port, '127.0.0.1', () => socket.write(octets));
    socket.on('data', (part) => assert.ok(reader.feed(part)));
    socket.on('close', () => resolve(said));
    socket.on('error', reject);
  });
}

function hello(version: number, magic = RELAY_MAGIC): Uint8Array {
  const writer = new MessageWriter();
  const at = writer.begin(MESSAGE.hello, 0, 0, 16);
  writer.view.setUint32(at + 8, magic);
  writer.view.setUint16(at + 12, version);
  return writer.take();
}

function relayError(pattern: RegExp) {
  return (error: MytapeError) => {
    assert.equal(error.code, 'relay');
    assert.match(error.message, pattern);
    return true;
  };
}

function answer(clientPort: number, seq: number, ack: number, flags: number, data?: Uint8Array): Uint8Array {
  const syn = flags & CTL.syn ? { mss: 1400, shift: 9 } : {};
  const fields = {
    src: TARGET,
    dst: CLIENT,
    srcPort: 3307,
    dstPort: clientPort,
    seq,
    ack,
    flags,
    window: 51_000,
    ...syn,
  };
  return makePacket(data === undefined ? fields : { ...fields, data });
}

describe('relay', { concurrency: true }, () => {
  for (const key of [KEY, undefined]) {
    test(`a flow from SYN to FIN, ${key === undefined ? 'in the clear on loopback' : 'with the key'}`, async (t) => {
      const { port, receiver, injector, log } = await startIntercept(t, key);
      const { client, owner } = await connect(t, port, key);
      const take = (...segments: Uint8Array[]) => receiver.take(blockOf(...segments), 0);
      const told = async (count: number) => {
        await until(() => owner.told.length >= count, `${count} messages`);
        return owner.take();
      };
      const flow = 0xffff_fffe;
      client.register(flow, tupleOf(65_000), ISS);
      assert.deepEqual(owner.told, [], 'nothing goes before flush');
      client.flush();
      assert.deepEqual(await told(1), [['registered', flow]]);
      const after = (octets: number) => (IRS + 1 + octets) >>> 0;
      take(answer(65_000, IRS, ISS + 1, CTL.syn | CTL.ack));
      assert.deepEqual(await told(1), [['established', flow, ISS + 1, 51_000, after(0), 1400, '9']]);
      const greeting = packets(0, payload(10, 'greeting'));
      take(answer(65_000, after(0), ISS + 1, CTL.ack, greeting));
      let read = greeting.length;
      assert.deepEqual(await told(1), [
        ['packet', flow, ISS + 1, 51_000, after(read), Buffer.from(greeting).toString('hex')],
      ]);
      client.commandPhase(flow, 0, 0);
      client.flush();
      // Answered behind all that went before it: the end of the login is known.
      await client.stats();
      const rows = packets(1, payload(1), column('a'), eof(), row('x'), row('y'), row('z'), eof());
      const prepared = packets(1, payload(0, 0xf0, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0));
      take(answer(65_000, after(read), ISS + 5, CTL.ack, rows));
      read += rows.length;
      const [one] = await told(1);
      assert.deepEqual(one.slice(0, 5), ['reply', flow, (ISS + 5) >>> 0, 51_000, after(read)]);
      client.expect(flow, EXPECT.prepare);
      client.flush();
      assert.deepEqual(await told(1), [['expecting', flow]]);
      take(answer(65_000, after(read), ISS + 5, CTL.ack, prepared));
      read += prepared.length;
      const [two] = await told(1);
      const [first, second] = [one, two].map((each) => each[5] as Reply);
      assert.deepEqual(
        [first.kind, first.rows, first.columns, first.octets, second.kind, second.statementId, second.octets],
        ['rows', 3, 1, rows.length, 'ok', 0xffff_fff0, prepared.length],
      );
      assert.ok(first.hash !== 0 && first.hashUnordered !== 0);
      injector.take();
      take(answer(65_000, after(read), ISS + 6, CTL.fin | CTL.ack));
      assert.equal(injector.packets.length, 0, 'no ACK before what it presupposes has left');
      assert.deepEqual(await told(1), [['fin', flow, (ISS + 6) >>> 0, 51_000, after(read + 1)]]);
      await until(() => injector.take().length === 1, 'the FIN’s ACK');
      client.release(flow, false);
      client.flush();
      assert.deepEqual(await client.stats(), { packets: 2 ** 40 + 1, dropped: 5 });
      await client.close();
      await until(() => log.length === 2, 'the channel’s end');
      assert.match(log[0], /^open: 127\.0\.0\.1:\d+$/);
      assert.match(log[1], /^closed: 127\.0\.0\.1:\d+$/);
      assert.deepEqual(injector.take(), [], 'a flow that is over is not reset');
    });
  }

  test('refusals, resets, stale SYNs and absent options come through', async (t) => {
    const { port, receiver } = await startIntercept(t, undefined);
    const { client, owner } = await connect(t, port, undefined);
    for (let i = 1; i <= 4; i++) client.register(i, tupleOf(100 + i), 10);
    client.flush();
    await until(() => owner.told.length === 4, 'four registered');
    owner.take();
    const bare = { src: TARGET, dst: CLIENT, srcPort: 3307, dstPort: 104, seq: 0, ack: 11, window: 1 };
    receiver.take(
      blockOf(
        answer(101, 0, 11, CTL.rst | CTL.ack),
        answer(102, 0, 99, CTL.ack),
        answer(103, 0, 11, CTL.syn | CTL.ack),
        answer(103, 1, 11, CTL.rst),
        makePacket({ ...bare, flags: CTL.syn | CTL.ack }),
      ),
      0,
    );
    await until(() => owner.told.length === 5, 'five messages');
    assert.deepEqual(owner.take(), [
      ['reset', 1, true],
      ['stale', 2],
      ['established', 3, 11, 51_000, 1, 1400, '9'],
      ['reset', 3, false],
      ['established', 4, 11, 1, 1, -1, '-1'],
    ]);
  });

  test('an ACK of what was never sent is taken back: ACKs stand again where the target takes them', async (t) => {
    const { port, receiver, injector } = await startIntercept(t, undefined);
    const { client, owner } = await connect(t, port, undefined);
    client.register(1, tupleOf(150), 10);
    client.flush();
    await until(() => owner.told.length === 1, 'registered');
    receiver.take(blockOf(answer(150, 0, 11, CTL.syn | CTL.ack), answer(150, 1, 40_000, CTL.ack)), 0);
    await until(() => owner.told.length === 3, 'established, and an ACK that only the send half can judge');
    assert.deepEqual(owner.take()[2], ['acked', 1, 40_000, 51_000, 1]);
    client.correct(1, { una: 11, max: 31, window: 51_000, tsRecent: 0 });
    client.flush();
    await client.stats();
    injector.take();
    // A keepalive, which is to be answered.
    receiver.take(blockOf(answer(150, 0, 11, CTL.ack)), 0);
    await until(() => injector.packets.length === 1, 'the ACK');
    assert.deepEqual(
      injector.take().map(({ seq, ack }) => [seq, ack]),
      [[11, 1]],
    );
  });

  test('several channels at once: each is told of its own flows', async (t) => {
    const { port, receiver } = await startIntercept(t, KEY);
    const ends = await Promise.all([1, 2, 3, 4].map(() => connect(t, port, KEY)));
    ends.forEach(({ client }, i) => {
      client.register(1, tupleOf(200 + i), 10);
      client.flush();
    });
    for (const { owner } of ends) await until(() => owner.told.length === 1, 'registered');
    receiver.take(blockOf(answer(202, 0, 11, CTL.syn | CTL.ack)), 0);
    await until(() => ends[2].owner.told.length === 2, 'established');
    assert.deepEqual(
      ends.map(({ owner }) => owner.told.length),
      [1, 1, 2, 1],
    );
  });

  test('a replay that says goodbye has its open flows reset at once', async (t) => {
    const { port, receiver, injector, log } = await startIntercept(t, KEY);
    const { client, owner } = await connect(t, port, KEY);
    client.register(1, tupleOf(300), 10);
    client.flush();
    await until(() => owner.told.length === 1, 'registered');
    receiver.take(blockOf(answer(300, 0, 11, CTL.syn | CTL.ack)), 0);
    await until(() => injector.take().length === 1, 'the ACK');
    await client.close();
    await until(() => injector.packets.length === 1, 'a packet');
    const [{ flags, seq, dst, src, srcPort }] = injector.take();
    assert.deepEqual([flags, seq, dst, src, srcPort], [CTL.rst | CTL.ack, 11, TARGET, CLIENT, 300]);
    await until(() => log.some((line) => /1 connections left open were reset/.test(line)), 'the log');
  });

  test('a channel that is cut is made again, and its flows are taken up where they were', async (t) => {
    const { port, receiver, injector, log } = await startIntercept(t, KEY);
    const wire = await startWire(t, port);
    const { client, owner, events } = await connect(t, wire.port, KEY);
    client.register(1, tupleOf(300), 10);
    client.flush();
    await until(() => owner.told.length === 1, 'registered');
    receiver.take(blockOf(answer(300, 0, 11, CTL.syn | CTL.ack)), 0);
    await until(() => owner.told.length === 2, 'established');
    owner.take();
    const asked = client.stats();
    wire.cut();
    await assert.rejects(asked, relayError(/the channel to intercept is gone/));
    // Neither may throw nor wait, and nothing of it may come through later.
    client.register(2, tupleOf(301), 5);
    client.flush();
    await until(() => events.length === 2, 'back');
    assert.match(events[0], /^lost: (closed the channel|is not to be reached any more)/);
    assert.equal(events[1], 'back');
    assert.match(
      log[1],
      /^closed: .* without a goodbye.*, 1 connections wait for it to come back within 10 s$/,
    );
    injector.take();
    const peer = { mss: 1400, shift: 9, sackPermitted: false, timestamps: false };
    const commandPhase = { capabilities: 0, extendedCapabilities: 0 };
    const from = {
      iss: 10,
      rcvNxt: 1,
      ack: 11,
      tsRecent: 0,
      peer,
      commandPhase,
      expect: undefined,
      state: undefined,
    };
    client.resume(1, tupleOf(300), from);
    client.flush();
    await until(() => owner.told.length === 1, 'registered');
    assert.deepEqual(owner.take(), [['registered', 1]]);
    receiver.take(blockOf(answer(300, 1, 20, CTL.ack, packets(1, payload(0, 3, 0, 2, 0, 0, 0)))), 0);
    await until(() => owner.told.some(([what]) => what === 'reply'), 'a reply');
    assert.deepEqual(injector.take(), [], 'nothing was reset');
    assert.equal(receiver.flows, 1);
  });

  test('an intercept that was started again is found again', async (t) => {
    const before = await startIntercept(t, KEY);
    const { client, owner, events } = await connect(t, before.port, KEY);
    before.stop();
    await until(() => events.length === 1, 'lost');
    await new Promise((resolve) => setTimeout(resolve, 600));
    await startIntercept(t, KEY, { port: before.port });
    await until(() => events.length === 2, 'back');
    assert.deepEqual(events.slice(1), ['back']);
    client.register(1, tupleOf(300), 10);
    client.flush();
    await until(() => owner.told.length === 1, 'registered');
  });

  test('where another program has taken the intercept’s place the channel is lost for good', async (t) => {
    const before = await startIntercept(t, undefined);
    const { client, events } = await connect(t, before.port, undefined);
    before.stop();
    await until(() => events.length === 1, 'lost');
    const stranger = net.createServer((socket) =>
      socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9.2\r\n'),
    );
    stranger.listen(before.port, '127.0.0.1');
    t.after(() => stranger.close());
    await until(() => events.length === 2, 'gone');
    assert.match(events[1], /^gone: .*, and then: intercept at .* does not speak the relay protocol$/);
    await assert.rejects(client.stats(), relayError(/gone/));
  });

  test('a wire that carries nothing any more is noticed at both ends after ten seconds', async (t) => {
    const { port, log, receiver } = await startIntercept(t, undefined);
    const wire = await startWire(t, port);
    const { client, owner, events } = await connect(t, wire.port, undefined);
    client.register(1, tupleOf(300), 10);
    client.flush();
    await until(() => owner.told.length === 1, 'registered');
    const startedAt = performance.now();
    wire.hold();
    await new Promise((resolve) => setTimeout(resolve, 8_000));
    assert.deepEqual([events, log.length, receiver.flows], [[], 1, 1]);
    const closed = () => log.find((line) => line.startsWith('closed'));
    await until(() => events.length > 0 && closed() !== undefined, 'the loss', 4_000);
    assert.ok(performance.now() - startedAt > 9_000);
    assert.equal(events[0], 'lost: was not heard for 10 s');
    assert.match(closed()!, /without a goodbye \(nothing was heard of it for 10 s\), 1 connections wait/);
  });

  test('a replay that does not read is cut off, when so much waits for it', async (t) => {
    const { port, channels, log } = await startIntercept(t, undefined);
    const socket = net.connect(port, '127.0.0.1', () => socket.write(hello(RELAY_VERSION)));
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    await until(() => log.length === 1, 'open');
    const progress = {
      ack: 1,
      window: 2,
      rcvNxt: 3,
      tsRecent: 0,
      pure: false,
      sackCount: 0,
      sack: new Uint32Array(8),
    };
    const octets = new Uint8Array(60_000);
    let written = 0;
    while (log.length === 1 && written < 200) {
      for (let i = 0; i < 16; i++) channels[0].packet(1, progress, octets);
      channels[0].turnEnded();
      written++;
    }
    assert.match(log[1], /^refused: .* reads too slowly: \d+ octets were waiting$/);
    assert.ok(written > 64 && written < 100, `${written} MB`);
  });

  test('more flows than the limits of a channel and of all: refused in words, and reset', async (t) => {
    const { port, receiver, injector, log } = await startIntercept(t, undefined, {
      limits: { channel: 2, all: 3 },
    });
    const one = await connect(t, port, undefined);
    one.client.register(1, tupleOf(300), 10);
    one.client.register(2, tupleOf(301), 10);
    one.client.flush();
    await until(() => one.owner.told.length === 2, 'two registered');
    const two = await connect(t, port, undefined);
    two.client.register(1, tupleOf(302), 10);
    two.client.flush();
    await until(() => two.owner.told.length === 1, 'a third');
    two.client.register(2, tupleOf(303), 10);
    two.client.flush();
    await until(() => two.events.length === 1, 'gone');
    assert.match(two.events[0], /^gone: cut us off: wants one more connection than .*: 3, of all/);
    assert.match(log.at(-1)!, /^refused: .* one more connection than this intercept has room for/);
    assert.equal(receiver.flows, 2);
    one.client.register(3, tupleOf(304), 10);
    one.client.flush();
    await until(() => one.events.length === 1, 'gone, too');
    assert.match(one.events[0], /cut us off: has more than 2 connections open/);
    assert.deepEqual([receiver.flows, injector.take()], [0, []]);
  });

  test('two replays with two channels each, one of which goes: the others’ flows go on', async (t) => {
    const { port, receiver, injector } = await startIntercept(t, KEY);
    const ends = await Promise.all([1, 2, 3, 4].map(() => connect(t, port, KEY)));
    ends.forEach(({ client }, i) => {
      client.register(7, tupleOf(400 + i), 10);
      client.flush();
    });
    for (const { owner } of ends) await until(() => owner.told.length === 1, 'registered');
    receiver.take(blockOf(...ends.map((_, i) => answer(400 + i, 0, 11, CTL.syn | CTL.ack))), 0);
    for (const { owner } of ends) await until(() => owner.told.length === 2, 'established');
    await until(() => injector.packets.length === 4, 'four ACKs');
    injector.take();
    await Promise.all([ends[0].client.close(), ends[1].client.close()]);
    await until(() => injector.packets.length === 2, 'two resets');
    assert.deepEqual(
      injector.take().map(({ srcPort, flags }) => [srcPort, flags & CTL.rst]),
      [
        [400, CTL.rst],
        [401, CTL.rst],
      ],
    );
    receiver.take(blockOf(answer(402, 1, 11, CTL.fin | CTL.ack), answer(403, 1, 11, CTL.fin | CTL.ack)), 0);
    for (const { owner } of ends.slice(2)) await until(() => owner.told.at(-1)![0] === 'fin', 'fin');
  });

  test('a wrong key is refused, at both ends in words that help', async (t) => {
    const { port, log } = await startIntercept(t, KEY);
    await assert.rejects(
      connectRelay({ host: '127.0.0.1', port }, Buffer.alloc(32, 8), () => {}),
      relayError(/cannot reach intercept at 127\.0\.0\.1:\d+: .*do both ends have the same key file\?$/),
    );
    await until(() => log.length > 0, 'the log');
    assert.match(log[0], /^refused: 127\.0\.0\.1:\d+ failed the key check \(.+\)$/);
  });

  test('no key where one is wanted, and a key where none is', async (t) => {
    const guarded = await startIntercept(t, KEY);
    await assert.rejects(
      connect(t, guarded.port, undefined),
      relayError(/does it have the same --key-file\?|not to be reached/),
    );
    const open = await startIntercept(t, undefined);
    await assert.rejects(connect(t, open.port, KEY), relayError(/do both ends have the same key file\?/));
  });

  test('without a key only loopback will do', async () => {
    const usage = (error: MytapeError) => error.code === 'usage' && /--key-file/.test(error.message);
    for (const host of ['0.0.0.0', '10.128.6.84', '::']) {
      assert.throws(
        () =>
          listenRelay(
            { host, port: 0 },
            undefined,
            () => {},
            () => {},
          ),
        usage,
      );
      assert.throws(() => connectRelay({ host, port: 1 }, undefined, () => {}), usage);
    }
  });

  test('nothing listens, or something else does', async (t) => {
    const port = await startStranger(t, () => {});
    await assert.rejects(
      listenRelay(
        { host: '127.0.0.1', port },
        undefined,
        () => {},
        () => {},
      ),
      relayError(/EADDRINUSE.*another intercept runs there/),
    );
    const closed = await new Promise<number>((resolve) => {
      const server = net.createServer().listen(0, '127.0.0.1', () => {
        const { port: free } = server.address() as AddressInfo;
        server.close(() => resolve(free));
      });
    });
    await assert.rejects(connect(t, closed, KEY), relayError(/nothing listens there: run `mytape intercept/));
  });

  test('another version is refused in words', async (t) => {
    const { port, log } = await startIntercept(t, undefined);
    const said = await talk(port, hello(RELAY_VERSION + 1));
    const words = `speaks relay version ${RELAY_VERSION + 1}, this intercept speaks ${RELAY_VERSION}: use the same mytape on both`;
    assert.deepEqual(said, [`${MESSAGE.refused} ${words}`]);
    assert.match(log[0], /^refused: .* speaks relay version/);

    const newer = await startStranger(t, (socket) => {
      const writer = new MessageWriter();
      const text = Buffer.from('speaks relay version 1, this intercept speaks 2');
      const at = writer.begin(MESSAGE.refused, 0, 0, 8 + text.length);
      writer.octets(at + 8, text);
      socket.write(writer.take());
    });
    await assert.rejects(connect(t, newer, undefined), relayError(/refused us: speaks relay version 1/));
  });

  test('garbage is refused, whoever sends it', async (t) => {
    const { port, receiver } = await startIntercept(t, undefined);
    const refused = [`${MESSAGE.refused} sent what is not the relay protocol`];
    assert.deepEqual(await talk(port, Buffer.from('GET / HTTP/1.1\r\nHost: there\r\n\r\n')), refused);
    assert.deepEqual(await talk(port, hello(RELAY_VERSION, 0x12345678)), refused);
    const early = new MessageWriter();
    early.begin(MESSAGE.askStats, 0, 0, 8);
    assert.deepEqual(await talk(port, early.take()), [`${MESSAGE.refused} said no hello`]);
    const backwards = new MessageWriter();
    backwards.begin(MESSAGE.stale, 0, 1, 8);
    const both = Buffer.concat([hello(RELAY_VERSION), backwards.take()]);
    const said = await talk(port, both);
    assert.match(
      said.at(-1)!,
      new RegExp(`${MESSAGE.refused} sent a message of type ${MESSAGE.stale}, which is not for intercept`),
    );
    assert.equal(receiver.packets, 0);

    const stranger = await startStranger(t, (socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n'));
    await assert.rejects(connect(t, stranger, undefined), relayError(/does not speak the relay protocol/));
  });

  test('garbage after the greeting ends the channel', async (t) => {
    const port = await startStranger(t, (socket) => {
      const writer = new MessageWriter();
      const at = writer.begin(MESSAGE.welcome, 0, 0, 16);
      writer.view.setUint32(at + 8, RELAY_MAGIC);
      socket.write(writer.take());
      setTimeout(() => socket.write('what now, my love?'), 20);
    });
    const { events } = await connect(t, port, undefined);
    await until(() => events.length > 0, 'lost');
    assert.equal(events[0], 'lost: sent what is not the relay protocol');
  });

  test('silent peers time out after five seconds, at both ends, with and without a key', async (t) => {
    const silent = await startStranger(t, () => {});
    const guarded = await startIntercept(t, KEY);
    const open = await startIntercept(t, undefined);
    const startedAt = performance.now();
    const closed = (port: number) =>
      new Promise<void>((resolve) => {
        const socket = net.connect(port, '127.0.0.1');
        socket.on('error', () => {});
        socket.on('close', () => resolve());
      });
    await Promise.all([
      assert.rejects(
        connect(t, silent, undefined),
        relayError(/does not answer hello: is it `mytape intercept`/),
      ),
      assert.rejects(connect(t, silent, KEY), relayError(/cannot reach intercept at .*: no answer/)),
      closed(guarded.port),
      talk(open.port, new Uint8Array(0)).then((said) => {
        assert.deepEqual(said, [`${MESSAGE.refused} said no hello in time`]);
      }),
    ]);
    const elapsed = performance.now() - startedAt;
    assert.ok(elapsed > 4500 && elapsed < 8000, `${elapsed} ms`);
    assert.match(guarded.log[0], /failed the key check/);
  });
});

describe('key file', () => {
  test('is read, or refused with what to do', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'mytape-key-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'key');
    const refused = (pattern: RegExp) =>
      assert.throws(
        () => readKeyFile(path),
        (error: MytapeError) => error.code === 'bad-key' && pattern.test(error.message),
      );
    refused(/cannot read the key file .*openssl rand -hex 32/);
    writeFileSync(path, `${'0f'.repeat(32)}\n`, { mode: 0o600 });
    assert.deepEqual(readKeyFile(path), Buffer.alloc(32, 0x0f));
    chmodSync(path, 0o640);
    refused(/can be read by others \(run: chmod 600/);
    chmodSync(path, 0o600);
    for (const text of ['', 'secret', '0f'.repeat(15), '0f'.repeat(16) + '0']) {
      writeFileSync(path, text);
      refused(/holds no key/);
    }
  });
});
