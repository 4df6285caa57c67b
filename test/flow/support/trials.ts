/** Experiments: captures, what is done to them, and what of the property does not hold then. */

import { diceFrom } from '../../support/random.ts';
import type { Packet } from './frames.ts';
import { overlay, wrapped } from './lossless.ts';
import { KINDS, type Kind, type Mutation, mutate } from './mutate.ts';
import { type Checked, check, type Failure } from './property.ts';
import { readWhole, type Whole } from './reference.ts';
import { PORTS } from './told.ts';

/** One experiment: a capture, and what is done to it. The same seed makes the same one. */
export interface Trial {
  seed: number;
  whole: Whole;
  mutations: Mutation[];
}

const MOST_MUTATIONS = 3;
/** One of so many captures has another laid over it, or has its sequence numbers wrap. */
const OVERLAY = 8;
const WRAP = 8;
const MOST_AHEAD = 20_000;

/** Makes trials of the captures of these names. */
export class Trials {
  readonly #wholes: readonly Whole[];

  constructor(names: readonly string[]) {
    this.#wholes = names.map(readWhole);
  }

  get wholes(): readonly Whole[] {
    return this.#wholes;
  }

  make(seed: number): Trial {
    const dice = diceFrom(seed);
    let whole = this.#wholes[dice(this.#wholes.length)];
    if (dice(OVERLAY) === 0) {
      const others = this.#wholes.filter(({ linkType }) => linkType === whole.linkType);
      whole = overlay(whole, others[dice(others.length)]);
    }
    if (dice(WRAP) === 0) whole = wrapped(whole, 1 + dice(MOST_AHEAD));
    const mutations = Array.from({ length: 1 + dice(MOST_MUTATIONS) }, () => ({
      kind: KINDS[dice(KINDS.length)] as Kind,
      seed: dice(2 ** 31),
    }));
    return { seed, whole, mutations };
  }
}

/** Each packet of each capture in turn. */
export function* trialsOfEach(wholes: readonly Whole[], kinds: readonly Kind[]): Generator<Trial> {
  for (const whole of wholes) {
    for (const kind of kinds) {
      for (let at = 0; at < whole.packets.length; at++)
        yield { seed: 0, whole, mutations: [{ kind, seed: 0, at }] };
    }
  }
}

export interface Result extends Checked {
  /** What was done, step by step. */
  notes: string[];
}

export function run({ whole, mutations }: Pick<Trial, 'whole' | 'mutations'>): Result {
  const setting = { linkType: whole.linkType, ports: PORTS };
  const notes: string[] = [];
  let packets: Packet[] = whole.packets;
  for (const mutation of mutations) {
    const done = mutate(packets, mutation, setting);
    packets = done.packets;
    notes.push(done.note);
  }
  return { ...check(whole, packets), notes };
}

/** The trial with as few of its mutations as still fail in the same way. */
export function shrink(trial: Trial, kind: Failure['kind']): Trial {
  for (let i = 0; i < trial.mutations.length; i++) {
    const fewer = { ...trial, mutations: trial.mutations.toSpliced(i, 1) };
    if (run(fewer).failures.some((failure) => failure.kind === kind)) return shrink(fewer, kind);
  }
  return trial;
}

/** The capture, and the seed where one made it. */
export function nameOf({ seed, whole, mutations }: Trial): string {
  return mutations.some(({ at }) => at !== undefined) ? whole.name : `seed ${seed}, ${whole.name}`;
}

/** What failed, and how to see it again. */
export function report(trial: Trial): string {
  const { failures } = run(trial);
  const smallest = shrink(trial, failures[0].kind);
  const { failures: found, notes } = run(smallest);
  return [
    `${nameOf(smallest)}: ${notes.join('; ') || 'unchanged'}`,
    ...found.map(({ kind, what }) => `  ${kind}: ${what}`),
  ].join('\n');
}
