/** Conversations of two replays with an intercept, and the target's segments between. */
import {
  LEAST_OCTETS,
  MESSAGE,
  MessageWriter,
  RELAY_MAGIC,
  RELAY_VERSION,
} from '../../../src/intercept/messages.ts';
import { writeAim, writeRegister, writeResume } from '../../../src/intercept/relayed-flow.ts';
import { EXPECT } from '../../../src/mysql/command.ts';
import { addressFromOctets, ipv4Address } from '../../../src/wire/address.ts';
import { CTL } from '../../../src/wire/segment.ts';
import { Tuple } from '../../../src/wire/tuple.ts';
import { column, eof, ok, packets, payload, row } from '../../mysql/support/packets.ts';
import type { Dice } from '../../support/random.ts';
import { makePacket } from '../support.ts';

export const TARGET = 0xc0a80001;
export const PORT = 3307;
const CLIENT = 0x0a010203;
const ISS = 1000;
/** Below the numbers of a conversation's flows. */
export const FIRST_NUMBER = 100;
const IRS = 5000;

/** Two channels of one intercept. */
export const CHANNELS = 2;

export type Step =
  /** A replay says something. */
  | { kind: 'says'; channel: number; octets: Uint8Array }
  /** The capture sees a packet. */
  | { kind: 'sees'; packet: Uint8Array }
  | { kind: 'waits'; ms: number }
  /** The channel ends without a word, and the next thing said on it is on a new one. */
  | { kind: 'cut'; channel: number }
  /** The replay does not read any more; or reads again. */
  | { kind: 'stalls' | 'reads'; channel: number };

const tupleOf = (clientPort: number, target = TARGET, port = PORT) =>
  new Tuple(ipv4Address(CLIENT), clientPort, ipv4Address(target), port);

function message(write: (writer: MessageWriter) => void): Uint8Array {
  const writer = new MessageWriter(64);
  write(writer);
  return writer.take();
}

const short = (type: number, argument: number, flow: number) =>
  message((writer) => writer.begin(type, argument, flow, LEAST_OCTETS[type]));

function hello(): Uint8Array {
  return message((writer) => {
    const at = writer.begin(MESSAGE.hello, 0, 0, 16);
    writer.view.setUint32(at + 8, RELAY_MAGIC);
    writer.view.setUint16(at + 12, RELAY_VERSION);
  });
}

function ping(): Uint8Array {
  return message((writer) => writer.begin(MESSAGE.ping, 0, 0, 8));
}

function correct(flow: number, una: number): Uint8Array {
  return message((writer) => {
    const at = writer.begin(MESSAGE.correct, 0, flow, 24);
    writer.view.setUint32(at + 8, una);
    writer.view.setUint32(at + 12, una + 50);
    writer.view.setUint32(at + 20, 1_000);
  });
}

function resume(flow: number, tuple: Tuple, rcvNxt: number, state: Uint8Array | undefined): Uint8Array {
  const peer = { mss: 1460, shift: 7, sackPermitted: true, timestamps: false };
  const isLogin = state !== undefined && state[0] === 0;
  const commandPhase = isLogin ? undefined : { capabilities: 0, extendedCapabilities: 0 };
  const from = {
    iss: ISS,
    rcvNxt,
    ack: ISS + 20,
    tsVal: 0,
    tsRecent: 0,
    peer,
    commandPhase,
    expect: undefined,
    state,
  };
  return message((writer) => writeResume(writer, flow, tuple, from));
}

/** A state of a reader in the midst of rows, as `checkpoint` tells one. */
const STATE = Uint8Array.from([
  2, 2, 0, 4, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 3, 200, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0,
]);

/** The same of one in the midst of a packet of the login, of which 600 octets came. */
const LONG_STATE = Uint8Array.from([
  0,
  0xfc,
  0x58,
  0x02,
  0xff,
  0xff,
  0,
  0,
  ...new Array<number>(596).fill(1),
  0,
]);

const ROWS = packets(1, payload(1), column('a'), eof(), row('x'), row('y'.repeat(300)), eof());

/** One connection's life on a channel, its flow's number and client port being `n`. */
function life(channel: number, n: number, random: Dice): Step[] {
  const says = (octets: Uint8Array): Step => ({ kind: 'says', channel, octets });
  const sees = (seq: number, ack: number, flags: number, data?: Uint8Array): Step => {
    const ends = { src: TARGET, dst: CLIENT, srcPort: PORT, dstPort: n, seq, ack, flags };
    const syn = flags & CTL.syn ? { mss: 1460, shift: 7 } : {};
    return { kind: 'sees', packet: makePacket({ ...ends, ...syn, ...(data && { data }) }) };
  };
  const greeting = packets(0, payload(10, 'greeting'));
  const okOctets = packets(2, ok());
  const from = IRS + 1 + greeting.length + okOctets.length;
  const cut = 1 + random(ROWS.length - 1);
  return [
    says(message((writer) => writeRegister(writer, n, tupleOf(n), ISS))),
    sees(IRS, ISS + 1, CTL.syn | CTL.ack),
    sees(IRS + 1, ISS + 1, CTL.ack, greeting),
    sees(IRS + 1 + greeting.length, ISS + 20, CTL.ack, okOctets),
    says(
      message((writer) => {
        const at = writer.begin(MESSAGE.commandPhase, 0, n, 16);
        writer.view.setUint32(at + 8, 0);
      }),
    ),
    says(short(MESSAGE.expect, EXPECT.text, n)),
    sees(from + cut, ISS + 40, CTL.ack, ROWS.subarray(cut)),
    sees(from, ISS + 40, CTL.ack, ROWS.subarray(0, cut)),
    { kind: 'waits', ms: 48 },
    says(correct(n, ISS + 30)),
    ...(random(3) === 0
      ? [
          { kind: 'cut', channel } as const,
          says(resume(n, tupleOf(n), from + cut, random(2) === 0 ? STATE : undefined)),
        ]
      : []),
    sees(from + ROWS.length, ISS + 60, CTL.ack | CTL.fin),
    says(short(MESSAGE.release, random(2), n)),
    sees(from + ROWS.length, ISS + 60, random(2) === 0 ? CTL.rst : CTL.ack),
  ];
}

/** A number that stays as it is: a peer gives it to several connections. */
const AGAIN = 1;

/** What a hostile peer would name: a target that is none, an address that nobody saw, another replay's connection. */
function strangers(channel: number, random: Dice): Step[] {
  const says = (octets: Uint8Array): Step => ({ kind: 'says', channel, octets });
  const v6 = (last: number) => addressFromOctets(new Uint8Array(16).fill(last), 0, 6);
  const unseen = 30_000 + random(10_000);
  const elsewhere = {
    src: 0x08080808,
    dst: CLIENT,
    srcPort: 443,
    dstPort: 4_000,
    seq: IRS + 1,
    ack: ISS + 20,
  };
  const greedy = Array.from({ length: 4 }, (_, i) =>
    resume(20_000 + i, tupleOf(20_000 + i), IRS + 1, LONG_STATE),
  );
  const double = Array.from({ length: 4 }, (_, i) =>
    message((writer) => writeRegister(writer, AGAIN, tupleOf(25_000 + i), ISS)),
  );
  return [
    ...(random(3) === 0 ? greedy.map(says) : []),
    ...(random(6) === 0 ? double.map(says) : []),
    says(resume(unseen, tupleOf(unseen), IRS + 1, undefined)),
    says(resume(7, tupleOf(10_000 + random(20)), IRS + 1, STATE)),
    says(message((writer) => writeRegister(writer, 8, tupleOf(10_000 + random(20)), ISS))),
    ...(random(4) === 0
      ? [
          says(resume(9, tupleOf(4_000, 0x08080808, 443), IRS + 1, undefined)),
          { kind: 'sees', packet: makePacket({ ...elsewhere, flags: CTL.ack }) } as const,
        ]
      : []),
    ...(random(4) === 0
      ? [says(message((writer) => writeRegister(writer, 9, new Tuple(v6(1), 4_000, v6(2), PORT), ISS)))]
      : []),
  ];
}

/** What a replay begins each channel with. */
export function introduction(channel: number): Uint8Array[] {
  const target = { address: ipv4Address(TARGET), port: PORT };
  const aim = message((writer) => writeAim(writer, new Uint8Array(16).fill(channel), target));
  return [hello(), aim, ping()];
}

/** A whole conversation, as it should be but for what a peer should not name. */
export function conversation(random: Dice): Step[] {
  const steps: Step[] = [];
  for (let channel = 0; channel < CHANNELS; channel++) {
    const all: Step[][] = Array.from({ length: 2 + random(4) }, (_, i) =>
      life(channel, 10_000 + 10 * channel + i, random),
    );
    if (random(2) === 0) all.push(strangers(channel, random));
    for (const octets of introduction(channel)) steps.push({ kind: 'says', channel, octets });
    // Lives at the same time.
    while (all.some((one) => one.length > 0)) {
      const next = all[random(all.length)].shift();
      if (next !== undefined) steps.push(next);
      if (random(30) === 0) steps.push({ kind: random(2) === 0 ? 'stalls' : 'reads', channel });
    }
    if (random(3) > 0) steps.push({ kind: 'says', channel, octets: short(MESSAGE.bye, 0, 0) });
  }
  return numbered(steps);
}

/** Gives the flows numbers that grow, as a replay does: each time that one is registered or resumed the next. */
function numbered(steps: readonly Step[]): Step[] {
  const numbers = new Map<number, number>();
  let last = FIRST_NUMBER;
  return steps.map((step) => {
    if (step.kind !== 'says') return step;
    const octets = new Uint8Array(step.octets);
    const view = new DataView(octets.buffer);
    const flow = view.getUint32(4);
    if (flow === 0 || flow === AGAIN) return step;
    if (octets[2] === MESSAGE.register || octets[2] === MESSAGE.resume) numbers.set(flow, ++last);
    view.setUint32(4, numbers.get(flow) ?? flow);
    return { ...step, octets };
  });
}
