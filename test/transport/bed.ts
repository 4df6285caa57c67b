/**
 * The packet transport with everything but the wire: its own packets go to servers of test/tcp/server.ts, and what those
 * answer goes through a receiver in this process, as in `replay --local`.
 */

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { MYSQL_ANSWERS } from '../../src/intercept/answer-protocol.ts';
import type { Attachment } from '../../src/intercept/attachment.ts';
import { Receiver } from '../../src/intercept/receiver.ts';
import { EXPECT } from '../../src/mysql/command.ts';
import { ManualClock } from '../../src/time.ts';
import type { AnswerSource } from '../../src/transport/answers.ts';
import { RecordedClients } from '../../src/transport/clients.ts';
import { PacketTransport } from '../../src/transport/packet.ts';
import type { Connection } from '../../src/transport/transport.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { CTL } from '../../src/wire/segment.ts';
import { seqAdd } from '../../src/wire/sequence.ts';
import { blockOf, FakeInjector, makePacket, type Parsed, parsePacket } from '../intercept/support.ts';
import { command, ok, packets, payload } from '../mysql/support/packets.ts';
import { SimulatedServer } from '../tcp/server.ts';

export const TARGET = parseAddress('192.168.0.1')!;
export const CLIENT = parseAddress('10.1.2.3')!;
export const MTU = 1500;
export const TICK_MS = 8;
export const GREETING = packets(0, payload(10, '10.11-simulated', 0));

export interface Bed {
  clock: ManualClock;
  transport: PacketTransport;
  injector: FakeInjector;
  receiver: Receiver;
  /** The receive half's end of the port; undefined: nobody is there. */
  port: Attachment | undefined;
  servers: Map<number, SimulatedServer>;
  /** Every segment that the target was sent, also those that were lost. */
  toTarget: Parsed[];
  /** Answers whether a packet is lost on its way; the target's own are asked with `true`. */
  isLost: (packet: Parsed, fromTarget: boolean) => boolean;
  /** What the target does with a connection that stands, with octets it gets, and with the client's FIN. */
  onOpen: (server: SimulatedServer) => void;
  onData: (server: SimulatedServer, octets: Uint8Array) => void;
  onFin: (server: SimulatedServer) => void;
  /** Whether the target listens at all: `reset` answers SYNs with RST, `deaf` not at all. */
  target: 'up' | 'reset' | 'deaf';
  /** The channel is lost, and with it what was told since the last turn; its flows wait. */
  channelBreaks(): void;
  /** All that the receive half knows is lost. */
  interceptDies(): void;
  /** There is somebody at the port again. */
  comesBack(): void;
  /** A server that nobody has connected to yet. */
  makeServer(): SimulatedServer;
  /** Lets the time go by, and packets go to and fro. */
  run(ms: number): void;
}

/** A connection's life as its owner is told it. */
export class Handler {
  told: string[] = [];
  connection!: Connection;
  onReply: () => void = () => {};

  established(): void {
    this.told.push('established');
  }

  packet(octets: Uint8Array): void {
    this.told.push(`packet ${octets.length}`);
  }

  reply(reply: { kind: string; affected: number }): void {
    this.told.push(`reply ${reply.kind} ${reply.affected}`);
    this.onReply();
  }

  closed(cause: string): void {
    this.told.push(`closed ${cause}`);
  }

  take(): string[] {
    const { told } = this;
    this.told = [];
    return told;
  }
}

export function setUp(
  t: TestContext,
  { resumable = false, protocol = MYSQL_ANSWERS, timestamps = false } = {},
): Bed {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const clock = new ManualClock(50);
  const injector = new FakeInjector(MTU + 4);
  const options = {
    target: TARGET,
    targetPort: 3307,
    mtu: MTU,
    injector,
    clock,
    epochMs: 1.7e12,
    secret: 9,
    pathMtu: () => MTU,
    clients: new RecordedClients(4),
    protocol,
  };
  const transport = new PacketTransport(options);
  const receiver = new Receiver(injector, clock);
  const attach = (to: Receiver) =>
    to.attach(transport, {
      delivered: resumable ? (then) => then() : undefined,
      protocol,
    });
  const source: AnswerSource = {
    // What is asked of nobody is dropped, as a channel does that is being made anew.
    port: {
      register: (...flow) => bed.port?.register(...flow),
      resume: (...flow) => bed.port?.resume(...flow),
      commandPhase: (...flow) => bed.port?.commandPhase(...flow),
      expect: (...flow) => bed.port?.expect(...flow),
      acked: (...flow) => (resumable ? undefined : bed.port?.acked(...flow)),
      correct: (...flow) => bed.port?.correct(...flow),
      release: (...flow) => bed.port?.release(...flow),
      flush: () => bed.port?.flush(),
    },
    stats: () => Promise.resolve({ packets: bed.receiver.packets, dropped: 2 }),
    tick: () => bed.receiver.tick(),
    close: () => Promise.resolve(),
  };
  transport.use(source);
  const answers: Uint8Array[] = [];
  const bed: Bed = {
    clock,
    transport,
    injector,
    receiver,
    port: attach(receiver),
    servers: new Map(),
    toTarget: [],
    isLost: () => false,
    onOpen: (server) => server.write(GREETING),
    onData: (server) => server.write(packets(1, ok(7))),
    onFin: (server) => server.close(),
    target: 'up',
    channelBreaks: () => {
      bed.port?.abandon();
      bed.port = undefined;
    },
    interceptDies: () => {
      bed.port = undefined;
      bed.receiver = new Receiver(injector, clock);
    },
    comesBack: () => {
      bed.port = attach(bed.receiver);
      transport.resume();
    },
    makeServer: () =>
      new SimulatedServer(
        {
          iss: 0xffff_ff00 + bed.servers.size,
          mss: 1460,
          window: 100_000,
          shift: 7,
          rtoMs: 250,
          timestamps,
          onOpen: (server) => bed.onOpen(server),
          onData: (server, octets) => bed.onData(server, octets),
          onFin: (server) => bed.onFin(server),
        },
        send,
      ),
    run: (ms) => {
      for (let i = 0; i < ms; i += TICK_MS) {
        t.mock.timers.tick(TICK_MS);
        clock.advance(TICK_MS);
        for (const server of bed.servers.values()) server.poll(clock.now());
        exchange();
      }
    },
  };
  const send = (packet: Uint8Array) => {
    if (!bed.isLost(parsePacket(packet), true)) answers.push(packet);
  };
  const deliver = (packet: Uint8Array) => {
    const segment = parsePacket(packet);
    bed.toTarget.push(segment);
    if (bed.isLost(segment, false) || bed.target === 'deaf') return;
    const { src, dst, srcPort, dstPort, seq, flags } = segment;
    if (bed.target === 'reset') {
      const back = { src: dst, dst: src, srcPort: dstPort, dstPort: srcPort };
      send(makePacket({ ...back, seq: 0, ack: seqAdd(seq, 1), flags: CTL.rst | CTL.ack }));
      return;
    }
    const isOver = (bed.servers.get(srcPort)?.state ?? 'reset') === 'reset';
    if (isOver && flags & CTL.syn) bed.servers.set(srcPort, bed.makeServer());
    bed.servers.get(srcPort)?.take(packet, clock.now());
  };
  const exchange = () => {
    transport.flush();
    while (injector.packets.length > 0 || answers.length > 0) {
      const { packets: out } = injector;
      injector.packets = [];
      out.forEach(deliver);
      if (answers.length > 0) bed.receiver.take(blockOf(...answers.splice(0)), 0);
    }
  };
  t.after(() => transport.dispose());
  return bed;
}

export function connect(bed: Bed): Handler {
  const handler = new Handler();
  handler.connection = bed.transport.connect({ client: CLIENT, copy: 0 }, handler);
  return handler;
}

/** A connection in the command phase, with nothing under way. */
export function loggedIn(bed: Bed): Handler {
  const handler = connect(bed);
  bed.run(TICK_MS);
  assert.deepEqual(handler.take(), ['established', `packet ${GREETING.length}`]);
  handler.connection.writeLogin(packets(1, payload('response')));
  bed.run(TICK_MS);
  assert.deepEqual(handler.take(), [`packet ${packets(1, ok(7)).length}`]);
  handler.connection.commandPhase(0, 0);
  return handler;
}

export function query(handler: Handler, text: string): void {
  handler.connection.write(command(3, text), EXPECT.result);
}
