/**
 * One whole connection on a clock of its own: our two halves at one end of a link, at the other a server that shares no
 * code with them (server.ts).
 */
import assert from 'node:assert/strict';
import type { PeerOptions } from '../../src/tcp/progress.ts';
import { RECEIVE_SHIFT, ReceiveHalf, type ReceiveSink, windowField } from '../../src/tcp/receive.ts';
import { type SegmentOut, SendHalf } from '../../src/tcp/send.ts';
import { ManualClock } from '../../src/time.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { headersOctets, SegmentWriter } from '../../src/wire/emit.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { CTL, PARSE, Segment } from '../../src/wire/segment.ts';
import { seqDiff, seqLt } from '../../src/wire/sequence.ts';
import { Tuple } from '../../src/wire/tuple.ts';
import { Forger, type ForgerOptions, type Standing } from './forger.ts';
import { Link, type LinkOptions } from './link.ts';
import { SimulatedServer } from './server.ts';

const CLIENT = parseAddress('10.1.2.3')!;
const SERVER = parseAddress('192.168.0.1')!;
const TUPLE = new Tuple(CLIENT, 40_000, SERVER, 3307);

/** Simulated time after which a connection counts as hung, ms: well above ten doublings of RTO. */
const PATIENCE_MS = 3_600_000;

/** TSval of all our segments: wraps with the next tick. */
const TSVAL = 0xffff_ffff;

/** Longest piece that a client writes at once. */
const WRITE_OCTETS = 777;

export interface Workload {
  /** Commands, each sent when the last was answered whole. */
  requests: number;
  requestOctets: number;
  answerOctets: number;
  /** What either side sends at once and unasked. */
  upOctets: number;
  downOctets: number;
  serverCloses: boolean;
}

export interface Case extends LinkOptions {
  mss: number;
  window: number;
  /** The server's window shift, or -1. */
  shift: number;
  /** Whether the server takes SACK and timestamps, and delays its ACKs. */
  modern: boolean;
  workload: Workload;
  forger?: ForgerOptions;
}

export interface Outcome {
  forged: number;
  /** SYNs beyond the first: they may go again at once, and count among `retransmitted`. */
  synsAgain: number;
  packets: number;
  lost: number;
  /** Segments that our end sent again. */
  retransmitted: number;
  /** Octets that came to the server twice. */
  repeated: number;
  /** Until the last octet was where it should be, ms. */
  elapsedMs: number;
}

/** Streams are a function of the place, and of the direction. */
const STREAM_OCTETS = 1 << 20;
const UP = stream(11);
const DOWN = stream(99);

function stream(salt: number): Uint8Array {
  return Uint8Array.from({ length: STREAM_OCTETS }, (_, i) => (i * 7 + (i >> 8) * 3 + salt) & 255);
}

function checkStream(wanted: Uint8Array, from: number, octets: Uint8Array): void {
  if (Buffer.compare(octets, wanted.subarray(from, from + octets.length)) === 0) return;
  assert.fail(`octets ${from} to ${from + octets.length} are not the ones that were sent`);
}

/** Our end: both halves joined by function calls, as in `replay --local`; `relayed`, as far as their knowledge goes, as over a relay. */
class Client implements SegmentOut, ReceiveSink {
  readonly send: SendHalf;
  readonly receive: ReceiveHalf;
  readonly #clock: ManualClock;
  readonly #out: (packet: Uint8Array) => void;
  readonly #workload: Workload;
  readonly #octets = new Uint8Array(2048);
  readonly #writer = new SegmentWriter(this.#octets, new DataView(this.#octets.buffer));
  readonly #segment = new Segment();
  readonly #blocks = new Uint32Array(8);
  readonly #relayed: boolean;
  /** SEG.WND and TS.Recent of the last segment that was right. */
  #right = { window: 0, tsRecent: 0 };
  written = 0;
  read = 0;
  syns = 0;
  #requests = 0;
  broken = false;

  constructor(case_: Case, clock: ManualClock, out: (packet: Uint8Array) => void) {
    // Wraps soon, as the server's does.
    const iss = 0xffff_f000;
    this.send = new SendHalf(iss, TSVAL, case_.mss);
    this.receive = new ReceiveHalf(iss);
    this.#workload = case_.workload;
    this.#relayed = case_.forger?.relayed === true;
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
    this.#emit(receive.ack, CTL.ack, 0, true);
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
    if (flags & CTL.syn) this.syns++;
    this.#emit(seq, flags, length, false);
    if (flags & CTL.ack) this.receive.ackSent(this.receive.rcvNxt);
  }

  established(half: ReceiveHalf, peer: PeerOptions): void {
    this.#right = { window: half.window, tsRecent: half.tsRecent };
    this.send.established(peer, half, this.#clock.now());
    if (this.#workload.upOctets > 0) this.#write(this.#workload.upOctets);
    this.#goOn();
  }

  acked(half: ReceiveHalf): void {
    const { window, tsRecent } = half;
    if (this.send.acked(half, this.#clock.now())) this.#right = { window, tsRecent };
    else if (this.#relayed) half.correct({ una: this.send.una, max: this.send.max, ...this.#right });
    else assert.fail('the receive half knows SND.MAX, and took an ACK beyond it');
  }

  sndMax(): number {
    return this.#relayed ? -1 : this.send.max;
  }

  get standing(): Standing {
    const { state, rcvNxt } = this.receive;
    return { rcvNxt, max: state === 'syn-sent' ? undefined : this.send.max };
  }

  data(_half: ReceiveHalf, octets: Uint8Array, from: number, to: number): void {
    checkStream(DOWN, this.read, octets.subarray(from, to));
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

  stale(_half: ReceiveHalf, seq: number): void {
    this.#emit(seq, CTL.rst, 0, false);
    this.send.synAgain(this.#clock.now());
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
      this.send.write(UP.subarray(this.written, this.written + piece));
      this.written += piece;
    }
  }

  #emit(seq: number, flags: number, length: number, own: boolean): void {
    const { rcvNxt, tsRecent } = this.receive;
    const window = windowField(this.send.windowScaled);
    const stamp = own ? this.receive.tsVal : this.send.tsVal;
    let end = this.#writer.begin(0, TUPLE, seq, flags & CTL.ack ? rcvNxt : 0, flags, window);
    if (flags & CTL.syn) end = this.#writer.synOptions(0, end, this.send.mss, RECEIVE_SHIFT, stamp);
    else {
      if (this.send.timestamps) end = this.#writer.timestamps(0, end, stamp, tsRecent);
      const count = own ? this.receive.ackBlocks(this.#blocks) : 0;
      if (count > 0) end = this.#writer.sack(0, end, this.#blocks, count);
    }
    if (length > 0) {
      assert.ok(!seqLt(seq, this.send.una), 'what was acknowledged is sent again');
      this.send.copyPayload(seq, length, this.#octets, end);
      checkStream(UP, seqDiff(seq, this.send.iss) - 1, this.#octets.subarray(end, end + length));
    }
    this.#out(this.#octets.slice(0, this.#writer.finish(0, end + length)));
  }
}

/** Runs one connection from SYN to the last FIN's ACK; throws where an octet is lost, repeated or wrong, or nothing moves. */
export function simulate(case_: Case): Outcome {
  const clock = new ManualClock(1);
  const link = new Link(case_);
  const { requests, requestOctets, answerOctets, upOctets, downOctets, serverCloses } = case_.workload;
  const up = upOctets + requests * requestOctets;
  const down = downOctets + requests * answerOctets;
  let received = 0;
  let sent = 0;
  let elapsedMs = 0;
  const write = (server: SimulatedServer, length: number) => {
    server.write(DOWN.subarray(sent, sent + length));
    sent += length;
  };
  const client: Client = new Client(case_, clock, (packet) => {
    assert.ok(packet.length <= headersOctets(4) + case_.mss, 'a packet larger than the path takes');
    link.send(clock.now(), 0, () => server.take(packet, clock.now()));
  });
  const server: SimulatedServer = new SimulatedServer(
    {
      ...case_,
      iss: 0xffff_fe00,
      rtoMs: 300,
      sack: case_.modern,
      timestamps: case_.modern,
      ackDelayMs: case_.modern ? 40 : 0,
      onOpen: (self) => write(self, downOctets),
      onData: (self, octets) => {
        checkStream(UP, received, octets);
        const answered = requests > 0 ? Math.floor(received / requestOctets) : 0;
        received += octets.length;
        if (requests === 0) return;
        const whole = Math.floor(received / requestOctets);
        for (let i = answered; i < whole; i++) write(self, answerOctets);
        if (serverCloses && whole === requests) self.close();
      },
      onFin: (self) => self.close(),
    },
    (packet) => link.send(clock.now(), 1, () => client.take(packet)),
  );
  client.dispatch();
  const { forger: forgerOptions } = case_;
  const forger = forgerOptions && new Forger(forgerOptions);
  const everyMs = forgerOptions?.everyMs ?? Number.POSITIVE_INFINITY;
  let forgesAt = clock.now() + everyMs;
  while (!(client.over && (client.broken || server.finAcked))) {
    const next = Math.min(link.nextAt, client.pollAt, server.pollAt, forgesAt);
    assert.ok(
      next < PATIENCE_MS,
      `hung: ${client.send.state}, ${client.receive.state}, server ${server.state}`,
    );
    clock.set(Math.max(clock.now(), next));
    if (forger !== undefined && forgesAt <= clock.now()) {
      forgesAt += everyMs;
      client.take(forger.next(client.standing, { source: SERVER.octets, destination: CLIENT.octets }));
    } else if (link.nextAt <= clock.now()) link.deliverNext();
    else if (client.pollAt <= clock.now()) client.dispatch();
    else server.poll(clock.now());
    if (elapsedMs === 0 && received === up && client.read === down) elapsedMs = clock.now();
  }
  const { broken, written, read } = client;
  const { drained, retransmitted } = client.send;
  assert.deepEqual(
    { broken, written, received, sent, read, drained },
    { broken: false, written: up, received: up, sent: down, read: down, drained: true },
  );
  return {
    forged: forger?.sent ?? 0,
    synsAgain: client.syns - 1,
    packets: link.packets,
    lost: link.lost,
    retransmitted,
    repeated: server.repeated,
    elapsedMs,
  };
}
