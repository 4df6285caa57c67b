/**
 * Types of parameters that a client sent before anybody listened, from the values of its executions. A client that sends types with its first
 * execution only (libmysqlclient, libmariadb) means the same types by all that follow, so each of them narrows what they can be.
 *
 * A wrong type writes wrong data: an execution gets types only where all readings of it that are left have the same values.
 */
import { isUtf8 } from 'node:buffer';
import { binaryValueLength, TYPE } from './binary-value.ts';
import { isNull, TYPE_OCTETS } from './bound-parameters.ts';
import { untypedParameters } from './execute.ts';
import { lenenc, lenencSize } from './packet.ts';

/** What a client can mean by a parameter. All types that are a `string<lenenc>` have the same octets, and are one. */
const READINGS = [
  TYPE.tiny,
  TYPE.short,
  TYPE.long,
  TYPE.float,
  TYPE.longlong,
  TYPE.double,
  TYPE.varString,
  TYPE.date,
  TYPE.datetime,
  TYPE.time,
];

/** A set of readings, a bit for each of READINGS. */
const ANY = (1 << READINGS.length) - 1;

/** More parameters, ways to cut the values, or steps to find them, are not looked into. */
const MOST_PARAMETERS = 1_000;
const MOST_CUTS = 64;
const MOST_STEPS = 20_000;

/** What is known of the types of one statement's parameters. One for each time that a client may have set them anew. */
export class TypeInference {
  readonly #params: number;
  /** Each a way to cut the executions so far into values: what each parameter can be by it. None: they contradict each other. */
  #cuts: Uint16Array[];

  constructor(params: number) {
    this.#params = params;
    this.#cuts = params > MOST_PARAMETERS ? [] : [new Uint16Array(params).fill(ANY)];
  }

  /**
   * Takes in a COM_STMT_EXECUTE that sends no types, and has no long data. Returns types to send it with, TYPE_OCTETS each; undefined
   * where its values can be read in more than one way, or in none.
   */
  read(packet: Uint8Array, queryAttributes: boolean): Uint8Array | undefined {
    const found = untypedParameters(packet, this.#params, queryAttributes);
    if (found === undefined || found.count !== this.#params) return undefined;
    const values = new Values(found.payload, found.nullsAt, found.valuesAt, this.#params);
    const cuts: Uint16Array[] = [];
    for (const cut of this.#cuts) if (!values.cut(cut, cuts)) return undefined;
    this.#cuts = cuts;
    return cuts.length === 1 ? values.types(cuts[0]) : undefined;
  }
}

/** The values of one execution. */
class Values {
  readonly #octets: Uint8Array;
  readonly #nullsAt: number;
  readonly #valuesAt: number;
  readonly #params: number;
  #steps = 0;

  constructor(octets: Uint8Array, nullsAt: number, valuesAt: number, params: number) {
    this.#octets = octets;
    this.#nullsAt = nullsAt;
    this.#valuesAt = valuesAt;
    this.#params = params;
  }

  /** Adds to `into` all ways to cut the values that agree with `known`; false where there is too much to look into. */
  cut(known: Uint16Array, into: Uint16Array[]): boolean {
    const dead = new Set<number>();
    return this.#cutFrom(0, this.#valuesAt, known, known.slice(), dead, into) !== 'too much';
  }

  #cutFrom(
    index: number,
    at: number,
    known: Uint16Array,
    cut: Uint16Array,
    dead: Set<number>,
    into: Uint16Array[],
  ): 'some' | 'none' | 'too much' {
    const { length } = this.#octets;
    let i = index;
    while (i < this.#params && isNull(this.#octets, this.#nullsAt, i)) {
      cut[i] = known[i];
      i++;
    }
    if (i === this.#params) {
      if (at !== length) return 'none';
      if (into.length === MOST_CUTS) return 'too much';
      into.push(cut.slice());
      return 'some';
    }
    const place = i * (length + 1) + at;
    if (dead.has(place)) return 'none';
    if (++this.#steps > MOST_STEPS) return 'too much';
    let outcome: 'some' | 'none' = 'none';
    // Readings that take as many octets cut alike.
    for (let left = this.#fitting(known[i], at); left !== 0; ) {
      const end = this.#endAs(lowest(left), at);
      let alike = 0;
      for (let rest = left; rest !== 0; rest &= rest - 1) {
        if (this.#endAs(lowest(rest), at) === end) alike |= rest & -rest;
      }
      left &= ~alike;
      cut[i] = alike;
      const below = this.#cutFrom(i + 1, end, known, cut, dead, into);
      if (below === 'too much') return below;
      if (below === 'some') outcome = 'some';
    }
    if (outcome === 'none') dead.add(place);
    return outcome;
  }

  /** Those of `readings` that the value at `at` can be. */
  #fitting(readings: number, at: number): number {
    let fitting = 0;
    for (let rest = readings; rest !== 0; rest &= rest - 1) {
      if (this.#endAs(lowest(rest), at) > at) fitting |= rest & -rest;
    }
    return fitting;
  }

  /** Where the value at `at` ends, read as of a type; -1 where it is none. */
  #endAs(type: number, at: number): number {
    const { length } = this.#octets;
    const octets = binaryValueLength(this.#octets, at, length, type);
    return octets !== undefined && isPossible(type, this.#octets, at, octets) ? at + octets : -1;
  }

  /** What to send the values with, cut so; undefined where one of them can be read in two ways. */
  types(cut: Uint16Array): Uint8Array | undefined {
    const types = new Uint8Array(this.#params * TYPE_OCTETS);
    let at = this.#valuesAt;
    for (let i = 0; i < this.#params; i++) {
      const only = (cut[i] & (cut[i] - 1)) === 0 ? lowest(cut[i]) : undefined;
      if (isNull(this.#octets, this.#nullsAt, i)) {
        // NULL is NULL in every type.
        types[i * TYPE_OCTETS] = only ?? TYPE.null;
        continue;
      }
      const end = only === undefined ? -1 : this.#endAs(only, at);
      if (only === undefined || !isPlain(only, this.#octets, at, end)) return undefined;
      types[i * TYPE_OCTETS] = only;
      at = end;
    }
    return types;
  }
}

/** The type of the lowest reading in a set. */
function lowest(readings: number): number {
  return READINGS[31 - Math.clz32(readings & -readings)];
}

/** Whether `length` octets at `at` are a value that a client of this type can send, and a server takes as it is. */
function isPossible(type: number, octets: Uint8Array, at: number, length: number): boolean {
  switch (type) {
    case TYPE.float:
      return isNormal(view(octets).getFloat32(at, true), 2 ** -126);
    case TYPE.double:
      return isNormal(view(octets).getFloat64(at, true), 2 ** -1022);
    case TYPE.varString:
      return isShortest(octets, at);
    case TYPE.date:
      return length === 1 || (length === 5 && isDate(octets, at + 1));
    case TYPE.datetime:
      return isDateTime(octets, at, length);
    case TYPE.time:
      return isTime(octets, at, length);
    default:
      return true;
  }
}

/** Neither NaN, nor infinite, nor nearer to 0 than the manual's range ("Numeric Data Type Syntax"), where small integers are. */
function isNormal(value: number, least: number): boolean {
  return Number.isFinite(value) && (value === 0 || Math.abs(value) >= least);
}

/** Clients write lengths in the shortest form there is. */
function isShortest(octets: Uint8Array, at: number): boolean {
  const size = lenencSize(octets[at]);
  const length = lenenc(octets, at);
  return size === (length < 0xfb ? 1 : length < 0x1_0000 ? 3 : length < 0x100_0000 ? 4 : 9);
}

function isDate(octets: Uint8Array, at: number): boolean {
  return (octets[at] | (octets[at + 1] << 8)) <= 9999 && octets[at + 2] <= 12 && octets[at + 3] <= 31;
}

function isClock(octets: Uint8Array, at: number): boolean {
  return octets[at] <= 23 && octets[at + 1] <= 59 && octets[at + 2] <= 59;
}

const MOST_MICROSECONDS = 999_999;

function isDateTime(octets: Uint8Array, at: number, length: number): boolean {
  if (length === 1) return true;
  if (![5, 8, 12, 14].includes(length) || !isDate(octets, at + 1)) return false;
  if (length >= 8 && !isClock(octets, at + 5)) return false;
  return length < 12 || view(octets).getUint32(at + 8, true) <= MOST_MICROSECONDS;
}

/** Sign, days, clock, microseconds. */
function isTime(octets: Uint8Array, at: number, length: number): boolean {
  if (length === 1) return true;
  if (![9, 13].includes(length) || octets[at + 1] > 1 || !isClock(octets, at + 6)) return false;
  return length < 13 || view(octets).getUint32(at + 9, true) <= MOST_MICROSECONDS;
}

/** Whether the value in [at, end) is the same in all types that are of this reading: signed or not, text or binary. */
function isPlain(type: number, octets: Uint8Array, at: number, end: number): boolean {
  switch (type) {
    case TYPE.tiny:
    case TYPE.short:
    case TYPE.long:
    case TYPE.longlong:
      return octets[end - 1] < 0x80;
    case TYPE.varString:
      return isUtf8(octets.subarray(at + lenencSize(octets[at]), end));
    default:
      return true;
  }
}

function view(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}
