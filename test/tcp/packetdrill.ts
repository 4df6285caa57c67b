/** Runs scripts (test/tcp/scenarios/README.md) against our own two halves. */
import assert from 'node:assert/strict';
import type { PeerOptions } from '../../src/tcp/progress.ts';
import { RECEIVE_SHIFT, ReceiveHalf, type ReceiveSink, windowField } from '../../src/tcp/receive.ts';
import { NEVER, type SegmentOut, SendHalf } from '../../src/tcp/send.ts';
import { ManualClock } from '../../src/time.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { SegmentWriter } from '../../src/wire/emit.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { CTL, PARSE, Segment } from '../../src/wire/segment.ts';
import { seqDiff } from '../../src/wire/sequence.ts';
import { Tuple } from '../../src/wire/tuple.ts';
import { Backend, runScript, streamOctet } from './script.ts';
import { readSegment, type ScriptSegment, writeSegment } from './script-segment.ts';

/** Both wrap soon, so that every scenario crosses 2^32. */
const ISS = 0xffffff80;
const IRS = 0xfffffff0;
const LOCAL_MSS = 1460;
const TUPLE = new Tuple(parseAddress('10.0.0.1')!, 40000, parseAddress('10.0.0.2')!, 3307);
/** How the peer's packets are addressed. */
const TO_US = {
  source: TUPLE.target,
  sourcePort: TUPLE.targetPort,
  destination: TUPLE.client,
  destinationPort: TUPLE.clientPort,
  sourceIss: IRS,
  destinationIss: ISS,
};
/** TSval of all our segments: the highest, because a comparison that forgets to wrap shows there. */
const TSVAL = 2 ** 32 - 1;

function streamOctets(from: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => streamOctet(from + i));
}

/** Both halves of our end joined by function calls, as in `replay --local`. */
class Halves extends Backend implements SegmentOut, ReceiveSink {
  readonly name = 'ours';
  readonly comparesWindows = true;
  readonly #clock = new ManualClock();
  readonly #send = new SendHalf(ISS, TSVAL, LOCAL_MSS);
  readonly #receive = new ReceiveHalf(ISS);
  #connected = false;
  #written = 0;
  #read = 0;
  readonly #octets = new Uint8Array(2048);
  readonly #view = new DataView(this.#octets.buffer);
  readonly #writer = new SegmentWriter(this.#octets, this.#view);
  readonly #segment = new Segment();
  readonly #blocks = new Uint32Array(8);

  now(): number {
    return this.#clock.now();
  }

  /** Runs timers up to `at`, ms. */
  sleepTo(at: number): void {
    for (;;) {
      const next = Math.min(this.#connected ? this.#send.pollAt : NEVER, this.#receive.pollAt);
      if (next > at) break;
      this.#clock.set(Math.max(next, this.now()));
      this.#dispatch();
      this.endTurn();
    }
    this.#clock.set(Math.max(at, this.now()));
  }

  expect(_kind: string, due: number): void {
    this.sleepTo(due);
  }

  tolerance(): number {
    return 0.5;
  }

  call(name: string, argument: number): void {
    if (name === 'connect') this.#connected = true;
    else if (name === 'write') {
      this.#send.write(streamOctets(this.#written, argument));
      this.#written += argument;
    } else if (name === 'close') this.#send.close();
    else if (name === 'abort') this.#send.abort(this);
    else if (name === 'limitMss') this.#send.limitMss(argument);
    else if (name === 'keepAlive') this.#send.keepAlive = true;
    else throw new Error(`nobody can ${name}()`);
    this.#dispatch();
  }

  /** Written to octets and parsed again, as off the wire. */
  network(wire: ScriptSegment): void {
    const octets = writeSegment(wire, TO_US, this.stamp, streamOctet);
    const view = new DataView(octets.buffer);
    assert.equal(this.#segment.parse(octets, view, 0, octets.length, LINKTYPE.raw), PARSE.ok);
    this.#receive.process(this.#segment, this.now(), this);
    this.#dispatch();
  }

  endTurn(): void {
    if (!this.#receive.ackNow && this.now() < this.#receive.pollAt) return;
    this.#emit(this.#receive.ack, CTL.ack, 0, this.#receive.tsVal);
    this.#receive.ackSent(this.#receive.rcvNxt);
  }

  finish(): void {
    this.endTurn();
  }

  #dispatch(): void {
    if (!this.#connected) return;
    const { state } = this.#send;
    this.#send.dispatch(this.now(), this);
    if (state !== 'failed' && this.#send.state === 'failed') this.told('failed');
  }

  segment(_half: SendHalf, seq: number, flags: number, length: number): void {
    this.#emit(seq, flags, length, this.#send.tsVal);
    if (flags & CTL.ack) this.#receive.ackSent(this.#receive.rcvNxt);
  }

  #emit(seq: number, flags: number, length: number, stamp: number): void {
    const { rcvNxt, tsRecent } = this.#receive;
    const syn = (flags & CTL.syn) !== 0;
    const window = syn ? windowField(false) : this.#receive.windowField;
    let end = this.#writer.begin(0, TUPLE, seq, flags & CTL.ack ? rcvNxt : 0, flags, window);
    if (syn) end = this.#writer.synOptions(0, end, this.#send.mss, RECEIVE_SHIFT, stamp);
    else {
      if (this.#send.timestamps) end = this.#writer.timestamps(0, end, stamp, tsRecent);
      const count = length === 0 ? this.#receive.ackBlocks(this.#blocks) : 0;
      if (count > 0) end = this.#writer.sack(0, end, this.#blocks, count);
    }
    if (length > 0) {
      this.#send.copyPayload(seq, length, this.#octets, end);
      const from = seqDiff(seq, ISS) - 1;
      for (let i = 0; i < length; i++) {
        assert.equal(this.#octets[end + i], streamOctet(from + i), `octet ${from + i} was sent wrong`);
      }
    }
    this.#sent(end + length);
  }

  /** Off the wire again, as the peer reads it. */
  #sent(end: number): void {
    const length = this.#writer.finish(0, end);
    assert.ok(length <= 40 + LOCAL_MSS, 'a packet longer than the path takes');
    assert.equal(this.#segment.parse(this.#octets, this.#view, 0, length, LINKTYPE.raw), PARSE.ok);
    this.sent(readSegment(this.#segment, ISS, IRS));
  }

  established(half: ReceiveHalf, peer: PeerOptions): void {
    this.#send.established(peer, half, this.now());
    this.told('established');
  }

  acked(half: ReceiveHalf): void {
    this.#send.acked(half, this.now());
  }

  sndMax(): number {
    return this.#send.max;
  }

  data(_half: ReceiveHalf, octets: Uint8Array, from: number, to: number): void {
    for (let i = from; i < to; i++) {
      assert.equal(octets[i], streamOctet(this.#read), `octet ${this.#read} arrived wrong`);
      this.#read++;
    }
    this.toldData(to - from);
  }

  fin(): void {
    this.told('fin');
  }

  reset(_half: ReceiveHalf, refused: boolean): void {
    this.#send.dead();
    this.told(refused ? 'refused' : 'reset');
  }

  /** RST with the number that the old connection waits for (RFC 9293 3.5.2), written by whoever owns the half. */
  stale(_half: ReceiveHalf, seq: number): void {
    this.#sent(this.#writer.begin(0, TUPLE, seq, 0, CTL.rst, 0));
    this.#send.synAgain(this.now());
  }
}

/** Rejects with an AssertionError that names the line. */
export function runScenario(script: string): Promise<void> {
  return runScript(script, new Halves());
}
