/**
 * Whole connections over a link that loses, delays, reorders and repeats packets: our two halves at one end, a server that
 * shares no code with them (server.ts) at the other, on a clock of its own. Every octet must arrive once and in order, each
 * way, and every connection end.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RECEIVE_SHIFT, ReceiveHalf, type ReceiveSink, windowField } from '../../src/tcp/receive.ts';
import { type SegmentOut, SendHalf } from '../../src/tcp/send.ts';
import { ManualClock } from '../../src/time.ts';
import { HEADERS_OCTETS, SegmentWriter } from '../../src/wire/emit.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { CTL, PARSE, Segment } from '../../src/wire/segment.ts';
import { seqDiff, seqLt } from '../../src/wire/sequence.ts';
import { SimulatedServer } from './server.ts';

const CLIENT = 0x0a010203;
const SERVER = 0xc0a80001;

/** Simulated time after which a connection counts as hung, ms: well above ten doublings of RTO. */
const PATIENCE_MS = 3_600_000;

/** Longest piece that a client writes at once. */
const WRITE_OCTETS = 777;

/** So that no connection meets more losses in a row than retransmission is made for. */
const MOST_LOST_IN_A_ROW = 3;

interface Link {
  loss: number;
  delayMs: number;
  seed: number;
}

interface Case extends Link {
  mss: number;
  window: number;
  shift: number;
  workload: keyof typeof WORKLOADS;
}

/** What a client does: `next` answers the octets to write now, or undefined when all is said. */
const WORKLOADS = {
  /** Like a MySQL session: a command, its whole answer, the next command. The client closes. */
  requests: {
    requests: 25,
    requestOctets: 90,
    answerOctets: 4000,
    upOctets: 0,
    downOctets: 0,
    serverCloses: false,
  },
  /** Both sides send all they have at once. The client closes. */
  bulk: {
    requests: 0,
    requestOctets: 0,
    answerOctets: 0,
    upOctets: 60_000,
    downOctets: 80_000,
    serverCloses: false,
  },
  /** A large command and answer at once, and the server closes first. */
  cut: {
    requests: 1,
    requestOctets: 20_001,
    answerOctets: 30_001,
    upOctets: 0,
    downOctets: 0,
    serverCloses: true,
  },
} as const;

/** mulberry32: small, seeded, good enough to lose packets by. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Octets `from` to `from + length` of a stream; `salt` tells the two directions apart. */
function streamOctets(salt: number, from: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => ((from + i) * 7 + ((from + i) >> 8) * 3 + salt) & 255);
}

function checkStream(salt: number, from: number, octets: Uint8Array): void {
  if (Buffer.compare(octets, streamOctets(salt, from, octets.length)) === 0) return;
  assert.fail(`octets ${from} to ${from + octets.length} are not the ones that were sent`);
}

/** Packets under way, by when they arrive. */
class Wire {
  readonly #events: { at: number; deliver: () => void }[] = [];
  readonly #random: () => number;
  readonly #link: Link;
  readonly #lostInARow = [0, 0];
  packets = 0;
  lost = 0;

  constructor(link: Link) {
    this.#link = link;
    this.#random = random(link.seed);
  }

  get nextAt(): number {
    return this.#events[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  send(now: number, direction: 0 | 1, deliver: () => void): void {
    const { loss, delayMs } = this.#link;
    this.packets++;
    if (this.#random() < loss && this.#lostInARow[direction] < MOST_LOST_IN_A_ROW) {
      this.#lostInARow[direction]++;
      this.lost++;
      return;
    }
    this.#lostInARow[direction] = 0;
    // A lossy link also reorders and repeats.
    const copies = loss > 0 && this.#random() < 0.02 ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const late = loss > 0 && this.#random() < 0.1 ? this.#random() * 4 * delayMs : 0;
      this.#insert(now + delayMs + late, deliver);
    }
  }

  deliverNext(): void {
    this.#events.shift()!.deliver();
  }

  #insert(at: number, deliver: () => void): void {
    let i = this.#events.length;
    while (i > 0 && this.#events[i - 1].at > at) i--;
    this.#events.splice(i, 0, { at, deliver });
  }
}

/** Our end: both halves joined by function calls, as in `replay --local`. */
class Client implements SegmentOut, ReceiveSink {
  readonly send: SendHalf;
  readonly receive: ReceiveHalf;
  readonly #clock: ManualClock;
  readonly #out: (packet: Uint8Array) => void;
  readonly #workload: (typeof WORKLOADS)[keyof typeof WORKLOADS];
  readonly #octets = new Uint8Array(2048);
  readonly #writer = new SegmentWriter(this.#octets, new DataView(this.#octets.buffer));
  readonly #segment = new Segment();
  written = 0;
  read = 0;
  #requests = 0;
  broken = false;

  constructor(case_: Case, clock: ManualClock, out: (packet: Uint8Array) => void) {
    // Wraps soon, as the server's does.
    const iss = 0xffff_f000;
    this.send = new SendHalf(iss, case_.mss);
    this.receive = new ReceiveHalf(iss);
    this.#workload = WORKLOADS[case_.workload];
    this.#clock = clock;
    this.#out = out;
  }

  get over(): boolean {
    return this.broken || (this.send.state === 'fin-acked' && this.receive.state === 'fin');
  }

  get pollAt(): number {
    return Math.min(this.send.pollAt, this.receive.pollAt);
  }

  dispatch(): void {
    this.send.dispatch(this.#clock.now(), this);
    if (this.send.state === 'failed') this.broken = true;
    const { receive } = this;
    if (!receive.ackNow && this.#clock.now() < receive.pollAt) return;
    this.#emit(receive.peerAck, CTL.ack, 0);
    receive.ackSent(receive.rcvNxt);
  }

  take(packet: Uint8Array): void {
    // A capture's memory: a Buffer, and overwritten as soon as the packet was processed.
    const octets = Buffer.from(packet);
    const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
    assert.equal(this.#segment.parse(octets, view, 0, octets.length, LINKTYPE.raw), PARSE.ok);
    this.receive.process(this.#segment, this.#clock.now(), this);
    octets.fill(0xee);
    this.dispatch();
  }

  segment(_half: SendHalf, seq: number, flags: number, length: number): void {
    this.#emit(seq, flags, length);
    if (flags & CTL.ack) this.receive.ackSent(this.receive.rcvNxt);
  }

  established(_half: ReceiveHalf, mss: number, shift: number, window: number): void {
    this.send.established(mss, shift, window, this.#clock.now());
    if (this.#workload.upOctets > 0) this.#write(this.#workload.upOctets);
    this.#goOn();
  }

  acked(_half: ReceiveHalf, ack: number, window: number): void {
    this.send.acked(ack, window, this.#clock.now());
  }

  data(_half: ReceiveHalf, octets: Uint8Array, from: number, to: number): void {
    checkStream(99, this.read, octets.subarray(from, to));
    this.read += to - from;
    this.#goOn();
  }

  fin(): void {
    this.send.close();
  }

  reset(): void {
    this.broken = true;
    this.send.dead();
  }

  stale(): void {
    this.broken = true;
  }

  /** The next request once the last was answered; FIN once everything was. */
  #goOn(): void {
    const { requests, requestOctets, answerOctets, downOctets, serverCloses } = this.#workload;
    if (this.read < this.#requests * answerOctets + downOctets) return;
    if (this.#requests < requests) {
      this.#requests++;
      this.#write(requestOctets);
    } else if (!serverCloses) this.send.close();
  }

  /** In pieces, so that those acknowledged are let go while others wait. */
  #write(length: number): void {
    for (let left = length; left > 0; left -= WRITE_OCTETS) {
      const piece = Math.min(left, WRITE_OCTETS);
      this.send.write(streamOctets(11, this.written, piece));
      this.written += piece;
    }
  }

  #emit(seq: number, flags: number, length: number): void {
    const { rcvNxt } = this.receive;
    const window = windowField(this.send.windowScaled);
    const ack = flags & CTL.ack ? rcvNxt : 0;
    let end = this.#writer.begin(0, CLIENT, SERVER, 40_000, 3307, seq, ack, flags, window);
    if (flags & CTL.syn) end = this.#writer.synOptions(0, this.send.mss, RECEIVE_SHIFT);
    else if (length > 0) {
      assert.ok(!seqLt(seq, this.send.una), 'what was acknowledged is sent again');
      this.send.copyPayload(seq, length, this.#octets, end);
      checkStream(11, seqDiff(seq, this.send.iss) - 1, this.#octets.subarray(end, end + length));
    }
    assert.ok(length <= this.send.mss);
    this.#out(this.#octets.slice(0, this.#writer.finish(0, end + length)));
  }
}

interface Outcome {
  packets: number;
  lost: number;
  retransmitted: number;
  elapsedMs: number;
}

function simulate(case_: Case): Outcome {
  const clock = new ManualClock(1);
  const wire = new Wire(case_);
  const { requests, requestOctets, answerOctets, upOctets, downOctets, serverCloses } =
    WORKLOADS[case_.workload];
  let received = 0;
  let sent = 0;
  const write = (server: SimulatedServer, length: number) => {
    server.write(streamOctets(99, sent, length));
    sent += length;
  };
  const client: Client = new Client(case_, clock, (packet) => {
    assert.ok(packet.length <= HEADERS_OCTETS + case_.mss, 'a packet larger than the path takes');
    wire.send(clock.now(), 0, () => server.take(packet, clock.now()));
  });
  const server: SimulatedServer = new SimulatedServer(
    {
      ...case_,
      iss: 0xffff_fe00,
      rtoMs: 300,
      onOpen: (self) => write(self, downOctets),
      onData: (self, octets) => {
        checkStream(11, received, octets);
        const answered = requests > 0 ? Math.floor(received / requestOctets) : 0;
        received += octets.length;
        if (requests === 0) return;
        const whole = Math.floor(received / requestOctets);
        for (let i = answered; i < whole; i++) write(self, answerOctets);
        if (serverCloses && whole === requests) self.close();
      },
      onFin: (self) => self.close(),
    },
    (packet) => wire.send(clock.now(), 1, () => client.take(packet)),
  );
  client.dispatch();
  while (!(client.over && (client.broken || server.finAcked))) {
    const next = Math.min(wire.nextAt, client.pollAt, server.pollAt);
    assert.ok(
      next < PATIENCE_MS,
      `hung: ${client.send.state}, ${client.receive.state}, server ${server.state}`,
    );
    clock.set(Math.max(clock.now(), next));
    if (wire.nextAt <= clock.now()) wire.deliverNext();
    else if (client.pollAt <= clock.now()) client.dispatch();
    else server.poll(clock.now());
  }
  const up = upOctets + requests * requestOctets;
  const down = downOctets + requests * answerOctets;
  assert.deepEqual(
    {
      broken: client.broken,
      written: client.written,
      received,
      sent,
      read: client.read,
      drained: client.send.drained,
    },
    { broken: false, written: up, received: up, sent: down, read: down, drained: true },
  );
  const { retransmitted } = client.send;
  return { packets: wire.packets, lost: wire.lost, retransmitted, elapsedMs: clock.now() };
}

/** Every combination, each with a seed of its own. */
function cases(loss: number): Case[] {
  const all: Case[] = [];
  let seed = 1000 * loss + 1;
  for (const delayMs of [0.05, 4, 60]) {
    for (const [window, shift] of [
      [700, -1],
      [9_000, 0],
      [1 << 20, 7],
    ]) {
      for (const mss of [536, 1460]) {
        for (const workload of ['requests', 'bulk', 'cut'] as const) {
          all.push({ loss, delayMs, seed: seed++, mss, window, shift, workload });
        }
      }
    }
  }
  return all;
}

function describeCase(case_: Case): string {
  return Object.entries(case_)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

describe('simulated connections', () => {
  for (const loss of [0, 0.01, 0.05, 0.2]) {
    test(`${loss * 100} % loss: every octet arrives once, in order, and every connection ends`, () => {
      let lost = 0;
      let retransmitted = 0;
      for (const case_ of cases(loss)) {
        try {
          const outcome = simulate(case_);
          lost += outcome.lost;
          retransmitted += outcome.retransmitted;
        } catch (error) {
          throw new Error(`with ${describeCase(case_)}: ${(error as Error).message}`, { cause: error });
        }
      }
      if (loss === 0) assert.deepEqual({ lost, retransmitted }, { lost: 0, retransmitted: 0 });
      else assert.ok(lost > 0 && retransmitted > 0, `${lost} lost, ${retransmitted} sent again`);
    });
  }

  test('without loss a request costs one packet out: the ACK rides on it', () => {
    const case_ = {
      loss: 0,
      delayMs: 1,
      seed: 1,
      mss: 1460,
      window: 1 << 20,
      shift: 7,
      workload: 'requests',
    } as const;
    const { packets } = simulate(case_);
    // Per request: the request, and an answer of 4,000 octets in three segments, two of which are due an ACK of their own.
    const { requests } = WORKLOADS.requests;
    assert.ok(packets <= requests * (1 + 3 + 1) + 8, `${packets} packets`);
  });
});
