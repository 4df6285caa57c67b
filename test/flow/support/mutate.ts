/** What happens to captures in the field, done to one on purpose: packets in, packets out. The same seed does the same. */

import { type Dice, diceFrom } from '../../support/random.ts';
import { FLAG, type Frame, type Packet, parseFrame, resetOf } from './frames.ts';

export const KINDS = [
  'drop',
  'duplicate',
  'swap',
  'swap-across',
  'delay',
  'reorder',
  'cut',
  'cut-all',
  'reset',
  'stray-reset',
  'start',
  'end',
  'one-sided',
] as const;
export type Kind = (typeof KINDS)[number];

/** One change of a capture. */
export interface Mutation {
  kind: Kind;
  seed: number;
  /** Where, in place of somewhere: for the kinds of EACH. */
  at?: number;
}

/** Kinds that can be done at each packet in turn: it is dropped, or what is before it, or it and what is behind it. */
export const EACH = ['drop', 'start', 'end'] as const satisfies readonly Kind[];

/** What it is done to. */
export interface Setting {
  linkType: number;
  ports: ReadonlySet<number>;
}

export interface Mutated {
  packets: Packet[];
  /** What was done, for people: packet numbers are those of `packets` before it. */
  note: string;
}

type Change = (packets: readonly Packet[], dice: Dice, setting: Setting) => Mutated;

/** `packets` with this done to them; those given are left alone. */
export function mutate(packets: readonly Packet[], { kind, seed, at }: Mutation, setting: Setting): Mutated {
  if (packets.length < 2) return { packets: [...packets], note: `${kind}: nothing left` };
  if (at !== undefined) {
    const [from, count] = kind === 'drop' ? [at, 1] : kind === 'start' ? [0, at] : [at, packets.length];
    return { packets: packets.toSpliced(from, count), note: `${kind}: at packet ${at}` };
  }
  const { packets: changed, note } = CHANGES[kind](packets, diceFrom(seed), setting);
  return { packets: changed, note: `${kind}: ${note}` };
}

/** A few in a row are lost most often: a burst. */
const MOST_DROPPED = 4;
const MOST_PLACES = 12;
/** What is captured later than this is told as lost: src/flow/decoder.ts waits no longer. */
const MOST_LATE_NS = 0.9e9;

/** How far one direction's clock, or its way to the capture, may be from the other's: up to some 65 ms. */
const DELAYS_NS = 17;
const LEAST_DELAY_NS = 1000;

const CHANGES: Readonly<Record<Kind, Change>> = {
  drop(packets, dice, setting) {
    const from = pick(packets, dice, setting);
    const count = 1 + dice(dice(MOST_DROPPED) + 1);
    return { packets: packets.toSpliced(from, count), note: `${count} from packet ${from}` };
  },

  duplicate(packets, dice, setting) {
    const which = pick(packets, dice, setting);
    let to = which + 1;
    for (let left = dice(MOST_PLACES); left > 0 && isNear(packets[to], packets[which]); left--) to++;
    const copy = { ...packets[which], at: packets[to - 1].at };
    return { packets: packets.toSpliced(to, 0, copy), note: `packet ${which} again before ${to}` };
  },

  swap: (packets, dice, setting) => swap(packets, dice, setting, true),
  'swap-across': (packets, dice, setting) => swap(packets, dice, setting, false),

  /** The clock of one direction's capture is off: packets keep their order only within it. */
  delay(packets, dice, setting) {
    const { picked, note } = pickDirection(packets, dice, setting);
    const by = LEAST_DELAY_NS * 2 ** dice(DELAYS_NS) * (dice(2) === 0 ? 1 : -1);
    const shifted = packets.map((packet, i) => (picked[i] ? { ...packet, at: packet.at + by } : packet));
    // Stable, so that packets of one moment stay in order.
    return { packets: shifted.sort((a, b) => a.at - b.at), note: `${note} by ${by} ns` };
  },

  /** One direction's packets come from a queue that is read later: they keep their times, but not their places. */
  reorder(packets, dice, setting) {
    const { picked, note } = pickDirection(packets, dice, setting);
    const places = 1 + dice(MOST_PLACES);
    const order = packets.map((packet, i) => {
      if (!picked[i]) return { packet, place: i };
      let place = i;
      while (place < i + places && isNear(packets[place + 1], packet)) place++;
      return { packet, place: place + 0.5 };
    });
    order.sort((a, b) => a.place - b.place);
    return { packets: order.map(({ packet }) => packet), note: `${note} ${places} places later` };
  },

  cut(packets, dice, setting) {
    const which = pick(packets, dice, setting);
    const frame = frameOf(packets[which], setting);
    if (frame === undefined || frame.length === 0) return { packets: [...packets], note: 'no data' };
    const left = dice(frame.length);
    const octets = packets[which].octets.subarray(0, frame.data + left);
    return {
      packets: packets.with(which, { ...packets[which], octets }),
      note: `packet ${which} to ${left} octets`,
    };
  },

  'cut-all'(packets, dice, setting) {
    const left = 2 ** dice(11);
    const cut = packets.map((packet) => {
      const frame = frameOf(packet, setting);
      if (frame === undefined || frame.length <= left) return packet;
      return { ...packet, octets: packet.octets.subarray(0, frame.data + left) };
    });
    return { packets: cut, note: `to ${left} octets of data` };
  },

  reset: (packets, dice, setting) => insertReset(packets, dice, setting, () => 0),
  'stray-reset': (packets, dice, setting) =>
    insertReset(packets, dice, setting, () => (dice(2) === 0 ? -100_000 - dice(1e6) : 1e6 + dice(2 ** 30))),

  start(packets, dice) {
    const count = 1 + dice(Math.ceil(packets.length * 0.6));
    return { packets: packets.slice(count), note: `the first ${count}` };
  },

  end(packets, dice) {
    const count = 1 + dice(Math.ceil(packets.length * 0.6));
    return { packets: packets.slice(0, -count), note: `the last ${count}` };
  },

  'one-sided'(packets, dice, setting) {
    const { picked, note } = pickDirection(packets, dice, setting);
    return { packets: packets.filter((_, i) => !picked[i]), note: `without ${note}` };
  },
};

/** Whether a packet may be captured out of its place by that of `other`: nothing is, by more than this. */
function isNear(packet: Packet | undefined, other: Packet): boolean {
  return packet !== undefined && Math.abs(packet.at - other.at) < MOST_LATE_NS;
}

function frameOf(packet: Packet, { linkType, ports }: Setting): Frame | undefined {
  return parseFrame(packet.octets, linkType, ports);
}

/** A packet: most often one with data, since those without are half of a capture and matter less. */
function pick(packets: readonly Packet[], dice: Dice, setting: Setting): number {
  const from = dice(packets.length);
  if (dice(4) === 0) return from;
  for (let i = from; i < packets.length; i++) if (frameOf(packets[i], setting)?.length) return i;
  return from;
}

/** All packets of one connection's client or server; now and then of all connections' at once, as a tap has them. */
function pickDirection(
  packets: readonly Packet[],
  dice: Dice,
  setting: Setting,
): { picked: boolean[]; note: string } {
  const { client } = frameOf(packets[dice(packets.length)], setting) ?? {};
  const all = dice(3) === 0;
  const fromClient = dice(2) === 0;
  const picked = packets.map((packet) => {
    const frame = frameOf(packet, setting);
    return frame?.fromClient === fromClient && (all || frame.client === client);
  });
  const whose = all ? 'every connection' : client;
  return { picked, note: `${fromClient ? 'client' : 'server'} of ${whose}` };
}

/** Exchanges two packets of one connection that are near one another; times stay in their places. */
function swap(packets: readonly Packet[], dice: Dice, setting: Setting, sameDirection: boolean): Mutated {
  const first = Math.min(pick(packets, dice, setting), packets.length - 2);
  const frame = frameOf(packets[first], setting);
  const others: number[] = [];
  for (let i = first + 1; i < packets.length && i <= first + MOST_PLACES; i++) {
    const other = frameOf(packets[i], setting);
    if (frame === undefined || other?.client !== frame.client) continue;
    if (!isNear(packets[i], packets[first])) break;
    if ((other.fromClient === frame.fromClient) === sameDirection) others.push(i);
  }
  if (others.length === 0) return { packets: [...packets], note: 'no neighbour' };
  const second = others[dice(dice(others.length) + 1)];
  const swapped = packets
    .with(first, { ...packets[second], at: packets[first].at })
    .with(second, { ...packets[first], at: packets[second].at });
  return { packets: swapped, note: `packets ${first} and ${second}` };
}

/** Inserts a RST so far (`offset`) from the direction's next sequence number. */
function insertReset(
  packets: readonly Packet[],
  dice: Dice,
  setting: Setting,
  offset: () => number,
): Mutated {
  const before = 1 + dice(packets.length - 1);
  const like = packets[before - 1];
  const frame = frameOf(like, setting);
  if (frame === undefined) return { packets: [...packets], note: 'no connection' };
  const { flags, seq, wireLength } = frame;
  const next = seq + wireLength + ((flags & FLAG.syn) >> 1) + (flags & FLAG.fin);
  const by = offset();
  const octets = resetOf(like.octets, frame, next + by);
  const packet = { octets, wireLength: octets.length, at: like.at, source: -1 };
  return {
    packets: packets.toSpliced(before, 0, packet),
    note: `${frame.fromClient ? 'client' : 'server'} of ${frame.client} before ${before}, ${by} from its next`,
  };
}
