/** What is done at random to a conversation. */
import { HEADER_OCTETS, MESSAGE } from '../../../src/intercept/messages.ts';
import type { Dice } from '../../support/random.ts';
import { CHANNELS, FIRST_NUMBER, type Step } from './conversation.ts';

const TYPES = Object.values(MESSAGE);

/** Damages what is said in one of the ways that matter; returns what is said in its place. */
function damaged(octets: Uint8Array, random: Dice): Uint8Array {
  const copy = new Uint8Array(octets);
  const view = new DataView(copy.buffer);
  if (copy.length < HEADER_OCTETS) return copy;
  switch (random(6)) {
    case 0:
      for (let i = 1 + random(3); i > 0; i--) copy[random(copy.length)] ^= 1 << random(8);
      return copy;
    case 1:
      return copy.subarray(0, random(copy.length + 1));
    case 2:
      // Any type, with the length that it should have.
      copy[2] = TYPES[random(TYPES.length)];
      return copy;
    case 3:
      view.setUint16(0, random(4) === 0 ? random(65_536) : random(100));
      return copy;
    case 4:
      // A number that others have, or a large one.
      view.setUint32(4, random(3) === 0 ? 0xffff_ffff : FIRST_NUMBER + random(20));
      return copy;
    default: {
      // Extreme values in the fields.
      const at = HEADER_OCTETS + random(Math.max(1, copy.length - HEADER_OCTETS));
      copy.fill(random(2) === 0 ? 255 : 0, at, at + 1 + random(8));
      return copy;
    }
  }
}

/** Damages octets of messages, one after the other; for a stream that is not made of steps. */
export function damagedStream(messages: readonly Uint8Array[], random: Dice): Uint8Array[] {
  const stream = [...messages];
  for (let i = 1 + random(6); i > 0 && stream.length > 0; i--) {
    const at = random(stream.length);
    const other = random(stream.length);
    switch (random(5)) {
      case 0:
        stream.splice(at, 1);
        break;
      case 1:
        stream.splice(other, 0, ...new Array<Uint8Array>(1 + random(40)).fill(stream[at]));
        break;
      case 2:
        [stream[at], stream[other]] = [stream[other], stream[at]];
        break;
      default:
        stream[at] = damaged(stream[at], random);
    }
  }
  return stream;
}

/** Damages a conversation: steps left out, repeated, moved, on the other channel, cut anywhere, or with other octets in them. */
export function damagedSteps(steps: readonly Step[], random: Dice): Step[] {
  const all = [...steps];
  for (let i = 1 + random(8); i > 0 && all.length > 0; i--) {
    const at = random(all.length);
    const step = all[at];
    switch (random(7)) {
      case 0:
        all.splice(at, 1);
        break;
      case 1:
        all.splice(random(all.length), 0, ...new Array<Step>(1 + random(60)).fill(step));
        break;
      case 2:
        all.splice(random(all.length), 0, ...all.splice(at, 1 + random(5)));
        break;
      case 3:
        if ('channel' in step) all[at] = { ...step, channel: random(CHANNELS) };
        break;
      case 4:
        all.splice(at, 0, { kind: 'cut', channel: random(CHANNELS) });
        break;
      default:
        if (step.kind === 'says') all[at] = { ...step, octets: damaged(step.octets, random) };
        else if (step.kind === 'waits') all[at] = { kind: 'waits', ms: random(20_000) };
    }
  }
  return all;
}
