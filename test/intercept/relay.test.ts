import assert from 'node:assert/strict';
import net, { type AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import type { MytapeError } from '../../src/errors.ts';
import { Lobby } from '../../src/intercept/lobby.ts';
import { MESSAGE, MessageWriter, RELAY_MAGIC, RELAY_VERSION } from '../../src/intercept/messages.ts';
import type { RelayAddress } from '../../src/intercept/relay-address.ts';
import { connectRelay, listenRelay } from '../../src/intercept/relay-socket.ts';
import { writeRegister, writeResume } from '../../src/intercept/relayed-flow.ts';
import { EXPECT } from '../../src/mysql/command.ts';
import type { Reply } from '../../src/mysql/reply.ts';
import { ipv4Address } from '../../src/wire/address.ts';
import { CTL } from '../../src/wire/segment.ts';
import { Tuple } from '../../src/wire/tuple.ts';
import { column, eof, packets, payload, row } from '../mysql/support/packets.ts';
import {
  CLIENT,
  connect,
  greeting,
  hello,
  KEY,
  PROGRESS,
  startIntercept,
  startStranger,
  startWire,
  TARGET,
  talk,
  tupleOf,
  until,
} from './relay-bed.ts';
import { blockOf, makePacket } from './support.ts';

const ISS = 0xffff_fff0;
const IRS = 0xffff_ff00;

function relayError(pattern: RegExp) {
  return (error: MytapeError) => {
    assert.equal(error.code, 'relay');
    assert.match(error.message, pattern);
    return true;
  };
}

function usage(pattern: RegExp) {
  return (error: MytapeError) => error.code === 'usage' && pattern.test(error.message);
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
    test(`a flow from SYN to FIN, ${key === undefined ? 'in the clear at a path' : 'with the key'}`, async (t) => {
      const { address, receiver, injector, log } = await startIntercept(t, key);
      const { client, owner } = await connect(t, address, key);
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
      const name = key === undefined ? /local 1$/ : /127\.0\.0\.1:\d+$/;
      assert.match(log[0], /^open: /);
      assert.match(log[0], name);
      assert.match(log[1], /^closed: /);
      assert.match(log[1], name);
      assert.deepEqual(injector.take(), [], 'a flow that is over is not reset');
    });
  }

  test('refusals, resets, stale SYNs and absent options come through', async (t) => {
    const { address, receiver } = await startIntercept(t, undefined);
    const { client, owner } = await connect(t, address, undefined);
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
    const { address, receiver, injector } = await startIntercept(t, undefined);
    const { client, owner } = await connect(t, address, undefined);
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
    const { address, receiver } = await startIntercept(t, KEY);
    const ends = await Promise.all([1, 2, 3, 4].map(() => connect(t, address, KEY)));
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
    const { address, receiver, injector, log } = await startIntercept(t, KEY);
    const { client, owner } = await connect(t, address, KEY);
    client.register(1, tupleOf(300), 10);
    client.flush();
    await until(() => owner.told.length === 1, 'registered');
    receiver.take(blockOf(answer(300, 0, 11, CTL.syn | CTL.ack)), 0);
    await until(() => injector.take().length === 1, 'the ACK');
    await client.close();
    await until(() => injector.packets.length === 1, 'a packet');
    const [{ flags, seq, dst, src, srcPort }] = injector.take();
    assert.deepEqual([flags, seq, dst, src, srcPort], [CTL.rst | CTL.ack, 11, TARGET, CLIENT, 300]);
    await until(() => log.some((line) => /, 1 connection left open: reset$/.test(line)), 'the log');
  });

  test('a channel that is cut is made again, and its flows are taken up where they were', async (t) => {
    const { address, receiver, injector, log } = await startIntercept(t, KEY);
    const wire = await startWire(t, address);
    const { client, owner, events } = await connect(t, wire.address, KEY);
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
      /^closed: .* without a goodbye.*, 1 connection waits for it to come back within 10 s$/,
    );
    injector.take();
    const peer = { mss: 1400, shift: 9, sackPermitted: false, timestamps: false };
    const commandPhase = { capabilities: 0, extendedCapabilities: 0 };
    const from = {
      iss: 10,
      rcvNxt: 1,
      ack: 11,
      tsVal: 0,
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
    assert.equal(receiver.flows.open, 1);
  });

  test('what a goodbye leaves open is reset only where the target was seen to answer, and the log says so', async (t) => {
    const { address, receiver, injector, log } = await startIntercept(t, KEY);
    const { client, owner } = await connect(t, address, KEY);
    const unseen = {
      iss: 10,
      rcvNxt: 1,
      ack: 11,
      tsVal: 0,
      tsRecent: 0,
      peer: { mss: 1400, shift: 9, sackPermitted: false, timestamps: false },
      commandPhase: undefined,
      expect: undefined,
      state: undefined,
    };
    client.register(1, tupleOf(300), 10);
    client.resume(2, tupleOf(301), unseen);
    client.flush();
    await until(() => owner.told.length === 2, 'registered');
    receiver.take(blockOf(answer(300, 0, 11, CTL.syn | CTL.ack)), 0);
    await until(() => injector.take().length === 1, 'the ACK');
    await client.close();
    await until(() => log.some((line) => line.startsWith('closed')), 'the log');
    assert.match(
      log.at(-1) ?? '',
      /, 2 connections left open: 1 reset, 1 not \(the target was not seen to answer on them\)$/,
    );
    assert.deepEqual(
      injector.take().map(({ srcPort }) => srcPort),
      [300],
    );
  });

  test('an intercept that was started again is found again', async (t) => {
    const before = await startIntercept(t, KEY);
    const { client, owner, events } = await connect(t, before.address, KEY);
    before.stop();
    await until(() => events.length === 1, 'lost');
    await new Promise((resolve) => setTimeout(resolve, 600));
    await startIntercept(t, KEY, { address: before.address });
    await until(() => events.length === 2, 'back');
    assert.deepEqual(events.slice(1), ['back']);
    client.register(1, tupleOf(300), 10);
    client.flush();
    await until(() => owner.told.length === 1, 'registered');
  });

  test('where another program has taken the intercept’s place the channel is lost for good', async (t) => {
    const before = await startIntercept(t, undefined);
    const { client, events } = await connect(t, before.address, undefined);
    before.stop();
    await until(() => events.length === 1, 'lost');
    const stranger = net.createServer((socket) =>
      socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9.2\r\n'),
    );
    stranger.listen({ ...before.address });
    t.after(() => stranger.close());
    await until(() => events.length === 2, 'gone');
    assert.match(events[1], /^gone: .*, and then: intercept at .* does not speak the relay protocol$/);
    await assert.rejects(client.stats(), relayError(/gone/));
  });

  test('a replay that does not read is cut off, when so much waits for it', async (t) => {
    const { address, channels, log } = await startIntercept(t, undefined);
    const socket = net.connect({ ...address }, () => socket.write(hello(RELAY_VERSION)));
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    await until(() => log.length === 1, 'open');
    const octets = new Uint8Array(60_000);
    let written = 0;
    while (log.length === 1 && written < 200) {
      for (let i = 0; i < 16; i++) channels[0].packet(1, PROGRESS, octets);
      channels[0].turnEnded();
      written++;
    }
    assert.match(log[1], /^refused: .* reads too slowly: \d+ octets were waiting$/);
    assert.ok(written > 64 && written < 100, `${written} MB`);
  });

  test('more flows than the limits of a channel and of all: refused in words, and reset', async (t) => {
    const { address, receiver, injector, log } = await startIntercept(t, undefined, {
      limits: { channelFlows: 2, flows: 3 },
    });
    const one = await connect(t, address, undefined);
    one.client.register(1, tupleOf(300), 10);
    one.client.register(2, tupleOf(301), 10);
    one.client.flush();
    await until(() => one.owner.told.length === 2, 'two registered');
    const two = await connect(t, address, undefined);
    two.client.register(1, tupleOf(302), 10);
    two.client.flush();
    await until(() => two.owner.told.length === 1, 'a third');
    two.client.register(2, tupleOf(303), 10);
    two.client.flush();
    await until(() => two.events.length === 1, 'gone');
    assert.match(
      two.events[0],
      /^gone: cut us off: wants more than the 3 connections that this intercept allows, of all/,
    );
    assert.match(log.at(-1)!, /^refused: .* wants more than the \d+ connections that this intercept allows/);
    assert.equal(receiver.flows.open, 2);
    one.client.register(3, tupleOf(304), 10);
    one.client.flush();
    await until(() => one.events.length === 1, 'gone, too');
    assert.match(one.events[0], /cut us off: has more than 2 connections open/);
    assert.deepEqual([receiver.flows.open, injector.take()], [0, []]);
  });

  test('two replays with two channels each, one of which goes: the others’ flows go on', async (t) => {
    const { address, receiver, injector } = await startIntercept(t, KEY);
    const ends = await Promise.all([1, 2, 3, 4].map(() => connect(t, address, KEY)));
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
    const { address, log } = await startIntercept(t, KEY);
    await assert.rejects(
      connectRelay(address, Buffer.alloc(32, 8), () => {}),
      relayError(/cannot reach intercept at 127\.0\.0\.1:\d+: .*do both ends have the same key file\?$/),
    );
    await until(() => log.length > 0, 'the log');
    assert.match(log[0], /^refused: 127\.0\.0\.1:\d+ failed the key check \(.+\)$/);
  });

  test('no key where one is wanted, and another program where an intercept is', async (t) => {
    const guarded = await startIntercept(t, KEY);
    assert.throws(
      () => connectRelay(guarded.address, undefined, () => {}),
      usage(/a relay to .* needs --key-file/),
    );
    const open = await startStranger(t, (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'), 'tcp');
    await assert.rejects(connect(t, open, KEY), relayError(/do both ends have the same key file\?/));
  });

  test('by TCP there is no relay without a key, also on loopback', async () => {
    const listener = { key: undefined, onChannel: () => {}, onRefused: () => {} };
    for (const host of [
      '0.0.0.0',
      '10.128.6.84',
      '::',
      '127.0.0.1',
      '127.evil.example',
      'localhost',
      '::1',
    ]) {
      await assert.rejects(listenRelay({ host, port: 0 }, listener), usage(/needs --key-file: .*--new-key/));
      assert.throws(() => connectRelay({ host, port: 1 }, undefined, () => {}), usage(/--key-file/));
    }
  });

  test('nothing listens, or something else does', async (t) => {
    const address = await startStranger(t, () => {}, 'tcp');
    const listener = { key: KEY, onChannel: () => {}, onRefused: () => {} };
    await assert.rejects(
      listenRelay(address, listener),
      relayError(/EADDRINUSE.*another intercept listens there/),
    );
    const closed = await new Promise<RelayAddress>((resolve) => {
      const server = net.createServer().listen(0, '127.0.0.1', () => {
        const { port } = server.address() as AddressInfo;
        server.close(() => resolve({ host: '127.0.0.1', port }));
      });
    });
    const nobody = relayError(/nothing listens there: run `mytape intercept/);
    await assert.rejects(connect(t, closed, KEY), nobody);
    await assert.rejects(connect(t, { path: '/nonexistent/relay.sock' }, undefined), nobody);
  });

  test('another version is refused in words', async (t) => {
    const { address, log } = await startIntercept(t, undefined);
    const said = await talk(address, hello(RELAY_VERSION + 1));
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
    const { address, receiver } = await startIntercept(t, undefined);
    const refused = [`${MESSAGE.refused} sent what is not the relay protocol`];
    assert.deepEqual(await talk(address, Buffer.from('GET / HTTP/1.1\r\nHost: there\r\n\r\n')), refused);
    assert.deepEqual(await talk(address, hello(RELAY_VERSION, 0x12345678)), refused);
    const early = new MessageWriter();
    early.begin(MESSAGE.askStats, 0, 0, 8);
    assert.deepEqual(await talk(address, early.take()), [`${MESSAGE.refused} said no hello`]);
    const backwards = new MessageWriter();
    backwards.begin(MESSAGE.stale, 0, 1, 8);
    const both = Buffer.concat([hello(RELAY_VERSION), backwards.take()]);
    const said = await talk(address, both);
    assert.match(
      said.at(-1)!,
      new RegExp(`${MESSAGE.refused} sent a message of type ${MESSAGE.stale}, which is not for intercept`),
    );
    assert.equal(receiver.packets, 0);

    const stranger = await startStranger(t, (socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n'));
    await assert.rejects(connect(t, stranger, undefined), relayError(/does not speak the relay protocol/));
  });

  test('garbage after the greeting ends the channel', async (t) => {
    let strange = () => {};
    const address = await startStranger(t, (socket) => {
      const writer = new MessageWriter();
      const at = writer.begin(MESSAGE.welcome, 0, 0, 16);
      writer.view.setUint32(at + 8, RELAY_MAGIC);
      socket.write(writer.take());
      strange = () => socket.write('what now, my love?');
    });
    const { events } = await connect(t, address, undefined);
    strange();
    await until(() => events.length > 0, 'lost');
    assert.equal(events[0], 'lost: sent what is not the relay protocol');
  });

  test('a target that the intercept was not told is refused by name, at both ends', async (t) => {
    const { address, log } = await startIntercept(t, KEY);
    const other = { address: ipv4Address(0x0a000007), port: 3306 };
    const words =
      /wants connections to 10\.0\.0\.7:3306, which is no target of this intercept \(192\.168\.0\.0\/24:3307, .*\): start it with --target 10\.0\.0\.7:3306/;
    // Its word may come with the welcome, or a little later.
    const ask = async () => (await connect(t, address, KEY, other)).client.stats();
    await assert.rejects(ask, relayError(words));
    assert.match(log.at(-1)!, /^refused: /);
    assert.match(log.at(-1)!, words);
  });

  test('nor is a connection to one registered or resumed on a channel for another', async (t) => {
    for (const isResume of [false, true]) {
      const { address, injector, receiver, log } = await startIntercept(t, undefined);
      const writer = new MessageWriter();
      const tuple = new Tuple(ipv4Address(CLIENT), 300, ipv4Address(0x08080808), 443);
      const peer = { mss: 1400, shift: 9, sackPermitted: false, timestamps: false };
      const from = { iss: 10, rcvNxt: 1, ack: 11, tsVal: 0, tsRecent: 0, peer };
      const rest = { commandPhase: undefined, expect: undefined, state: undefined };
      if (isResume) writeResume(writer, 1, tuple, { ...from, ...rest });
      else writeRegister(writer, 1, tuple, 10);
      writer.begin(MESSAGE.bye, 0, 0, 8);
      const said = await talk(address, Buffer.concat([greeting(), writer.take()]));
      assert.match(said.at(-1)!, /wants connections to 8\.8\.8\.8:443, which is no target/);
      assert.match(log.at(-1)!, /wants connections to 8\.8\.8\.8:443/);
      assert.deepEqual([receiver.flows.table.size, injector.take()], [0, []]);
    }
  });

  test('a connection that was named and not seen is not reset by a goodbye', async (t) => {
    const { address, injector, receiver } = await startIntercept(t, undefined);
    const writer = new MessageWriter();
    const peer = { mss: 1400, shift: 9, sackPermitted: false, timestamps: false };
    const rest = { commandPhase: undefined, expect: undefined, state: undefined };
    writeResume(writer, 1, tupleOf(300), {
      iss: 10,
      rcvNxt: 1,
      ack: 11,
      tsVal: 0,
      tsRecent: 0,
      peer,
      ...rest,
    });
    writer.begin(MESSAGE.bye, 0, 0, 8);
    await talk(address, Buffer.concat([greeting(), writer.take()]));
    assert.deepEqual([receiver.flows.open, injector.take()], [0, []]);
  });

  test('a peer that gives one number to many connections is refused, and holds nothing', async (t) => {
    const { address, receiver } = await startIntercept(t, undefined);
    const writer = new MessageWriter();
    for (let port = 1; port <= 5_000; port++) writeRegister(writer, 7, tupleOf(port), 10);
    const said = await talk(address, Buffer.concat([greeting(), writer.take()]));
    assert.match(said.at(-1)!, /gave the number 7 to two connections/);
    assert.deepEqual([receiver.flows.open, receiver.flows.table.size], [0, 1]);
  });

  test('connections come after the word of what they are for, and that comes once', async (t) => {
    const { address } = await startIntercept(t, undefined);
    const writer = new MessageWriter();
    writeRegister(writer, 7, tupleOf(1), 10);
    const early = await talk(address, Buffer.concat([hello(RELAY_VERSION), writer.take()]));
    assert.match(early.at(-1)!, /did not say which target it is for/);
    const aim = greeting().subarray(16);
    const twice = await talk(address, Buffer.concat([greeting(), aim]));
    assert.match(twice.at(-1)!, /sent what is not the relay protocol/);
  });

  test('two replays with one key: what the one has the other cannot have, and is told so once', async (t) => {
    const { address, injector } = await startIntercept(t, KEY);
    const one = await connect(t, address, KEY);
    const two = await connect(t, address, KEY);
    one.client.register(1, tupleOf(300), 10);
    one.client.flush();
    await until(() => one.owner.told.length === 1, 'registered');
    for (const id of [5, 6]) two.client.register(id, tupleOf(300), 10 + id);
    two.client.flush();
    await until(() => two.owner.told.length === 2, 'two taken');
    assert.deepEqual(two.owner.take(), [
      ['taken', 5],
      ['taken', 6],
    ]);
    assert.deepEqual(two.events, ['taken']);
    await two.client.close();
    assert.deepEqual(injector.take(), []);
    assert.equal((await one.client.stats()).dropped, 5);
  });

  test('a peer that says goodbye and does not close is closed', async (t) => {
    const { address, room } = await startIntercept(t, undefined);
    const writer = new MessageWriter();
    writer.begin(MESSAGE.bye, 0, 0, 8);
    const socket = net.connect({ ...address, allowHalfOpen: true });
    t.after(() => socket.destroy());
    socket.on('error', () => {}).resume();
    socket.write(Buffer.concat([greeting(), writer.take()]));
    let isOver = false;
    socket.on('close', () => (isOver = true));
    // Writing is what shows that the other end is gone.
    const writes = setInterval(() => socket.write('x'), 50);
    t.after(() => clearInterval(writes));
    await until(() => isOver, 'the end');
    assert.equal(room.channels, 0);
  });

  test('channels have a bound, and what waits for all of them together', async (t) => {
    const limits = { channels: 2, channelWaitingOctets: 64 << 20, waitingOctets: 4 << 20 };
    const { address, room, channels, log } = await startIntercept(t, undefined, { limits });
    const slow = [1, 2].map(() => {
      const socket = net.connect({ ...address }).on('error', () => {});
      socket.write(greeting());
      t.after(() => socket.destroy());
      return socket;
    });
    await until(() => room.channels === 2, 'two channels');
    await assert.rejects(
      connect(t, address, undefined),
      relayError(/wants more than the 2 channels that this intercept allows/),
    );
    for (const socket of slow) socket.pause();
    const octets = new Uint8Array(60_000);
    for (let i = 0; i < 500 && log.every((line) => !/reads too slowly/.test(line)); i++) {
      for (const channel of channels.slice(0, 2)) {
        channel.packet(1, PROGRESS, octets);
        channel.turnEnded();
      }
      assert.ok(room.waitingOctets < 5 << 20);
    }
    assert.match(log.at(-1)!, /reads too slowly: \d+ octets were waiting, of \d+ for all replays together/);
    for (const socket of slow) socket.destroy();
    await until(() => room.channels === 0, 'none left');
    assert.equal(room.waitingOctets, 0);
  });

  test('an intercept that takes us and lets us go, again and again, is given up', async (t) => {
    const address = await startStranger(t, (socket) => {
      const writer = new MessageWriter();
      const at = writer.begin(MESSAGE.welcome, 0, 0, 16);
      writer.view.setUint32(at + 8, RELAY_MAGIC);
      socket.end(writer.take());
    });
    const { events } = await connect(t, address, undefined);
    await until(() => events.some((event) => event.startsWith('gone')), 'gone');
    assert.match(events.at(-1)!, /^gone: .*, for the 10th time within 30 s$/);
    assert.ok(events.length <= 20);
  });

  test('a silent intercept is given up, and a silent replay is let go, with and without a key', async (t) => {
    const silent = await startStranger(t, () => {});
    const deaf = await startStranger(t, () => {}, 'tcp');
    const guarded = await startIntercept(t, KEY, { lobby: new Lobby(300) });
    const open = await startIntercept(t, undefined, { lobby: new Lobby(300) });
    const closed = (address: RelayAddress) =>
      new Promise<void>((resolve) => {
        const socket = net.connect({ ...address });
        socket.on('error', () => {});
        socket.on('close', () => resolve());
      });
    await Promise.all([
      assert.rejects(
        connect(t, silent, undefined),
        relayError(/does not answer hello: is it `mytape intercept`/),
      ),
      assert.rejects(connect(t, deaf, KEY), relayError(/cannot reach intercept at .*: no answer/)),
      closed(guarded.address),
      talk(open.address, new Uint8Array(0)).then((said) => {
        assert.deepEqual(said, [`${MESSAGE.refused} said no hello in time`]);
      }),
    ]);
    assert.match(guarded.log[0], /^refused: 127\.0\.0\.1:\d+ said no hello in time$/);
    assert.equal(guarded.log.length, 1);
  });

  test('an octet now and then gives a peer no more time for its hello, in the TLS handshake or after it', async (t) => {
    const guarded = await startIntercept(t, KEY, { lobby: new Lobby(300) });
    const open = await startIntercept(t, undefined, { lobby: new Lobby(300) });
    // The first octets of a TLS record with a ClientHello that is long, and of a hello.
    const record = Buffer.concat([Buffer.from('16030102000100', 'hex'), Buffer.alloc(505)]);
    for (const [bed, octets] of [
      [guarded, record],
      [open, hello(RELAY_VERSION)],
    ] as const) {
      let sent = 0;
      const socket = net.connect({ ...bed.address });
      socket.on('error', () => {});
      const drip = setInterval(() => {
        if (sent < octets.length - 1) socket.write(octets.subarray(sent, ++sent));
      }, 50);
      await until(() => bed.log.length > 0, 'the end of its time');
      clearInterval(drip);
      assert.ok(sent < octets.length - 1, 'it had more to say');
      assert.match(bed.log[0], /said no hello in time$/);
      assert.equal(bed.lobby.size, 0);
      socket.destroy();
    }
  });

  test('of peers that said no hello there are only so many: the oldest makes room', async (t) => {
    const { address, lobby, log } = await startIntercept(t, undefined, { lobby: new Lobby(60_000, 3) });
    const sockets = Array.from({ length: 7 }, () => net.connect({ ...address }).on('error', () => {}));
    t.after(() => {
      for (const socket of sockets) socket.destroy();
    });
    await until(() => log.length === 4, 'four let go');
    assert.equal(lobby.size, 3);
    assert.match(log[0], /^refused: local 1 said no hello before 3 others came$/);
    const { client } = await connect(t, address, undefined);
    assert.equal((await client.stats()).dropped, 5);
  });
});
