/** What an intercept tells a replay, damaged at random, and what must hold of the replay whatever it is told. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { MESSAGE, MessageReader, MessageWriter, RELAY_MAGIC } from '../../../src/intercept/messages.ts';
import { RelayClient } from '../../../src/intercept/relay-client.ts';
import { EXPECT } from '../../../src/mysql/command.ts';
import { ManualClock } from '../../../src/time.ts';
import { RecordedClients } from '../../../src/transport/clients.ts';
import { PacketTransport } from '../../../src/transport/packet.ts';
import type { Connection } from '../../../src/transport/transport.ts';
import { ipv4Address } from '../../../src/wire/address.ts';
import { diceFrom } from '../../support/random.ts';
import { FakeInjector, parsePacket } from '../support.ts';
import { PORT, TARGET } from './conversation.ts';
import { damagedStream } from './damage.ts';
import { type Outcome, toldIn } from './intercept-trial.ts';

const MTU = 1500;
const CONNECTIONS = 6;
/** Least packets that one message lets a connection send: a window's worth of its largest command, and more for each path MTU. */
const PACKETS_A_MESSAGE = 120;
const COMMAND_OCTETS = 4_000;

/** Messages that tell SEG.ACK, and the ISS of those who are told it. */
const WITH_STATE: ReadonlySet<number> = new Set([
  MESSAGE.established,
  MESSAGE.acked,
  MESSAGE.packet,
  MESSAGE.reply,
  MESSAGE.fin,
  MESSAGE.checkpoint,
]);
const OTHER_ISS = 1_000;

/** Serves the welcome, and then says nothing: what is told goes past the socket. */
export async function startPolite(path: string): Promise<net.Server> {
  const writer = new MessageWriter();
  const at = writer.begin(MESSAGE.welcome, 0, 0, 16);
  writer.view.setUint32(at + 8, RELAY_MAGIC);
  const welcome = writer.take();
  const server = net.createServer((socket) => {
    socket.on('error', () => {}).resume();
    socket.write(welcome);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

/** What was told to another replay, as if it were of this one's flows: their numbers, and acknowledgements by their ISS. */
function renumbered(told: readonly Uint8Array[], iss: readonly number[]): Uint8Array[] {
  return told.map((octets) => {
    const copy = new Uint8Array(octets);
    const view = new DataView(copy.buffer);
    const flow = view.getUint32(4) % CONNECTIONS;
    view.setUint32(4, 1 + flow);
    if (WITH_STATE.has(copy[2])) view.setUint32(8, view.getUint32(8) - OTHER_ISS + iss[flow]);
    return copy;
  });
}

/** The trial of `seed` against the server of `startPolite`. */
export async function replayTrial(seed: number, path: string, isDamaged = true): Promise<Outcome> {
  const random = diceFrom(seed);
  const clock = new ManualClock(50);
  const injector = new FakeInjector(MTU + 4);
  const target = ipv4Address(TARGET);
  const options = { target, targetPort: PORT, mtu: MTU, injector, clock, epochMs: 1.7e12, secret: 9 };
  const clients = new RecordedClients(4);
  const transport = new PacketTransport({ ...options, pathMtu: () => MTU, clients });
  const closed = new Array<number>(CONNECTIONS).fill(0);
  const client = await RelayClient.open({
    address: { path },
    key: undefined,
    owner: transport,
    target: transport.target,
    events: { lost: () => {}, back: () => {}, gone: () => {}, taken: () => {} },
  });
  let sent = 0;
  let messages = 0;
  const check = () => {
    transport.flush();
    for (const { dst, dstPort } of injector.take()) {
      sent++;
      assert.deepEqual([dst, dstPort], [TARGET, PORT], 'a segment to another than the target');
    }
    assert.ok(
      sent <= CONNECTIONS + PACKETS_A_MESSAGE * messages,
      `${sent} segments for ${messages} messages`,
    );
  };
  try {
    transport.use({ port: client, stats: () => client.stats(), close: () => client.close() });
    for (let i = 0; i < CONNECTIONS; i++) begin(transport, i, closed);
    // Known from the beginning: else nothing at all would go.
    for (let i = 1; i <= CONNECTIONS; i++) transport.registered(i);
    const told = renumbered(toldIn(seed), issOf(injector, transport));
    const stream = isDamaged ? damagedStream(damagedStream(told, random), random) : told;
    const reader = new MessageReader((...message) => {
      messages++;
      client.message(...message);
      if (random(3) === 0) transport.turnEnded();
      clock.advance(random(300));
      check();
    });
    for (const octets of stream) if (!reader.feed(octets)) break;
    transport.lost();
    check();
    assert.deepEqual(closed, new Array<number>(CONNECTIONS).fill(1), 'how often each was closed');
    return { steps: stream.length, sent, failure: undefined };
  } catch (error) {
    return { steps: messages, sent, failure: `after ${messages} messages: ${(error as Error).stack}` };
  } finally {
    await client.close();
    transport.dispose();
  }
}

function begin(transport: PacketTransport, i: number, closed: number[]): Connection {
  let said = 0;
  const command = new Uint8Array(COMMAND_OCTETS).fill(i);
  const connection: Connection = transport.connect(
    { client: ipv4Address(0x0a010203 + i), copy: 0 },
    {
      established: () => {},
      packet: () => connection.writeLogin(command.subarray(0, 100)),
      reply: () => {
        if (said++ === 0) connection.commandPhase(0, 0);
        connection.write(command, said % 3 === 0 ? EXPECT.prepare : EXPECT.result);
      },
      closed: () => {
        closed[i]++;
      },
    },
  );
  return connection;
}

/** The ISS of each connection, out of its SYN. */
function issOf(injector: FakeInjector, transport: PacketTransport): number[] {
  transport.flush();
  return injector.packets.map((packet) => parsePacket(packet).seq);
}
