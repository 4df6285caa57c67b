/** One conversation with an intercept, damaged at random, and what must hold whatever is said. */
import assert from 'node:assert/strict';
import type { Guest } from '../../../src/intercept/lobby.ts';
import { Receiver } from '../../../src/intercept/receiver.ts';
import { RelayRoom } from '../../../src/intercept/relay-room.ts';
import { RelayChannel } from '../../../src/intercept/relay-server.ts';
import { parseTarget, TargetList } from '../../../src/intercept/target-list.ts';
import { ManualClock } from '../../../src/time.ts';
import { ipv4Address } from '../../../src/wire/address.ts';
import { CTL } from '../../../src/wire/segment.ts';
import { type Dice, diceFrom } from '../../support/random.ts';
import { blockOf, FakeInjector, parsePacket } from '../support.ts';
import { CHANNELS, conversation, introduction, type Step } from './conversation.ts';
import { damagedSteps } from './damage.ts';
import { FakeSocket } from './fake-socket.ts';

const TARGETS = new TargetList([parseTarget('192.168.0.1:3307')]);

const FLOWS = { lingering: 12, heldOctets: 1_500 };
const RELAY = {
  channelFlows: 10,
  flows: 16,
  channels: 3,
  channelWaitingOctets: 30_000,
  waitingOctets: 40_000,
};

/** As much as one turn adds before it is seen that too much waits. */
const TURN_OCTETS = 300_000;

const TICK_MS = 8;

export interface Outcome {
  /** Of the conversation as damaged. */
  steps: number;
  /** Segments that the intercept sent. */
  sent: number;
  failure: string | undefined;
}

class Intercept {
  readonly clock = new ManualClock(1);
  readonly injector = new FakeInjector(128);
  readonly receiver = new Receiver(this.injector, this.clock, FLOWS);
  readonly room = new RelayRoom(RELAY);
  readonly #sockets = new Map<number, FakeSocket>();
  readonly #all: FakeSocket[] = [];
  /** Channels that were cut, and are to be made anew. */
  readonly #cut = new Set<number>();
  /** `client:port` of which a segment was seen. */
  readonly #seen = new Set<string>();
  sent = 0;

  do(step: Step, random: Dice): void {
    switch (step.kind) {
      case 'says': {
        const socket = this.#socket(step.channel);
        for (const part of inParts(step.octets, random)) if (!socket.destroyed) socket.emit('data', part);
        break;
      }
      case 'sees': {
        const { dst, dstPort } = parsePacket(step.packet);
        this.#seen.add(`${dst}:${dstPort}`);
        this.receiver.take(blockOf(step.packet), 0);
        break;
      }
      case 'waits':
        for (let ms = 0; ms < step.ms; ms += 1_000) {
          this.clock.advance(Math.min(1_000, step.ms - ms));
          this.receiver.tick();
        }
        break;
      case 'cut':
        if (this.#sockets.has(step.channel)) this.#cut.add(step.channel);
        this.#sockets.get(step.channel)?.destroy();
        this.#sockets.delete(step.channel);
        break;
      default:
        this.#socket(step.channel).reads = step.kind === 'reads';
    }
    for (const socket of this.#all) socket.pass();
    this.clock.advance(TICK_MS);
    this.receiver.tick();
    this.check();
  }

  /** What holds at any time. */
  check(): void {
    const { flows } = this.receiver;
    this.receiver.flush();
    for (const { src, srcPort, dst, dstPort, flags, data } of this.injector.take()) {
      this.sent++;
      assert.ok(TARGETS.has(ipv4Address(dst), dstPort), `a segment to ${dst}:${dstPort}, which is no target`);
      assert.ok(
        this.#seen.has(`${src}:${srcPort}`),
        `a segment as ${src}:${srcPort}, of which none was seen`,
      );
      assert.equal(data.length, 0, 'a segment with data');
      assert.equal(flags & ~(CTL.ack | CTL.rst), 0, 'a segment that is neither an ACK nor an RST');
    }
    assert.ok(flows.open <= RELAY.flows, `${flows.open} flows are open`);
    assert.ok(flows.lingering <= FLOWS.lingering, `${flows.lingering} flows linger`);
    assert.equal(flows.table.size, flows.open + flows.lingering, 'flows in the table');
    assert.ok(flows.heldOctets >= 0 && flows.heldOctets <= FLOWS.heldOctets, `${flows.heldOctets} held`);
    assert.ok(this.room.channels >= 0 && this.room.channels <= RELAY.channels, 'channels');
    const waiting = this.room.waitingOctets;
    assert.ok(waiting >= 0 && waiting <= RELAY.waitingOctets + TURN_OCTETS, `${waiting} octets wait`);
  }

  /** Everybody is gone, and so is all that was held for them, once the leases are over. */
  end(): void {
    for (const socket of this.#all) socket.destroy();
    this.check();
    assert.deepEqual([this.room.channels, this.room.waitingOctets], [0, 0], 'what the channels had');
    for (let ms = 0; ms < 30_000; ms += 1_000) {
      this.clock.advance(1_000);
      this.receiver.tick();
      this.check();
    }
    const { open, lingering, heldOctets, table } = this.receiver.flows;
    assert.deepEqual([open, lingering, heldOctets, table.size], [0, 0, 0, 0], 'what the flows had');
  }

  /** The channel's, made anew where it is over. */
  #socket(channel: number): FakeSocket {
    const known = this.#sockets.get(channel);
    if (known !== undefined && !known.destroyed) return known;
    const socket = new FakeSocket();
    const guest: Guest = { name: `peer ${channel}`, greeted: () => {}, onLate: () => {} };
    const stats = () => ({ packets: 1, dropped: 0 });
    const { receiver, room } = this;
    new RelayChannel(socket.socket, guest, { receiver, targets: TARGETS, room, stats, log: () => {} });
    this.#sockets.set(channel, socket);
    this.#all.push(socket);
    // One that comes back knows how to begin.
    if (known !== undefined || this.#cut.delete(channel)) {
      for (const octets of introduction(channel)) socket.emit('data', octets);
    }
    return socket;
  }
}

/** As a network cuts it: mostly whole. */
function inParts(octets: Uint8Array, random: Dice): Uint8Array[] {
  if (random(10) > 0 || octets.length < 2) return [octets];
  const at = 1 + random(octets.length - 1);
  return [octets.subarray(0, at), octets.subarray(at)];
}

/** The conversation of `seed`; `isDamaged` false: as it should be. */
export function interceptTrial(seed: number, isDamaged = true): Outcome {
  const random = diceFrom(seed);
  const whole = conversation(random);
  const steps = isDamaged ? damagedSteps(whole, random) : whole;
  const intercept = new Intercept();
  let at = 0;
  try {
    for (; at < steps.length; at++) intercept.do(steps[at], random);
    intercept.end();
    return { steps: steps.length, sent: intercept.sent, failure: undefined };
  } catch (error) {
    const { kind } = steps[at] ?? { kind: 'ends' };
    const failure = `at step ${at} (${kind}): ${(error as Error).stack}`;
    return { steps: steps.length, sent: intercept.sent, failure };
  }
}

/** What an intercept told a replay in the whole conversation of `seed`, message by message: for trials of the other end. */
export function toldIn(seed: number): Uint8Array[] {
  const random = diceFrom(seed);
  const told: Uint8Array[] = [];
  const receiver = new Receiver(new FakeInjector(128), new ManualClock(1));
  const sockets = Array.from({ length: CHANNELS }, () => new FakeSocket());
  for (const socket of sockets) {
    const guest: Guest = { name: 'peer', greeted: () => {}, onLate: () => {} };
    const stats = () => ({ packets: 1, dropped: 0 });
    const room = new RelayRoom();
    new RelayChannel(socket.socket, guest, { receiver, targets: TARGETS, room, stats, log: () => {} });
  }
  for (const step of conversation(random)) {
    if (step.kind === 'says') sockets[step.channel].emit('data', step.octets);
    else if (step.kind === 'sees') receiver.take(blockOf(step.packet), 0);
    for (const socket of sockets) socket.pass();
  }
  for (const socket of sockets) {
    for (const octets of socket.written) {
      const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
      for (let at = 0; at < octets.length; at += view.getUint16(at)) {
        told.push(octets.slice(at, at + view.getUint16(at)));
      }
    }
    socket.destroy();
  }
  return told;
}
