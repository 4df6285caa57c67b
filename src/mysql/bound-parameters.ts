import { binaryValueLength } from './binary-value.ts';
import { lenenc, lenencSize } from './packet.ts';

/** Octets of a parameter's type: one of enum_field_types, and flags. */
export const TYPE_OCTETS = 2;

/**
 * Where the parts of a block of bound parameters stand, as COM_STMT_EXECUTE has it and, before its text, COM_QUERY: NULL
 * bitmap, new_params_bind_flag, types (each with a name behind it, where there are query attributes), values. Offsets in
 * the octets that it was found in.
 */
export interface BoundParameters {
  count: number;
  nullsAt: number;
  /** new_params_bind_flag. */
  flagAt: number;
  /** TYPE_OCTETS each, without names; undefined where the flag is 0: they are those of the execution before. */
  types: Uint8Array | undefined;
  valuesAt: number;
}

/** The block of `count` (1 or more) parameters at [at, end), `named` or not. undefined where it is malformed. */
export function boundParametersAt(
  octets: Uint8Array,
  at: number,
  end: number,
  count: number,
  named: boolean,
): BoundParameters | undefined {
  const flagAt = at + nullOctets(count);
  const typesAt = flagAt + 1;
  if (typesAt > end || octets[flagAt] > 1) return undefined;
  if (octets[flagAt] === 0) return { count, nullsAt: at, flagAt, types: undefined, valuesAt: typesAt };
  const plainEnd = typesAt + count * TYPE_OCTETS;
  if (plainEnd > end) return undefined;
  if (!named) {
    return { count, nullsAt: at, flagAt, types: octets.subarray(typesAt, plainEnd), valuesAt: plainEnd };
  }
  const types = new Uint8Array(count * TYPE_OCTETS);
  let next = typesAt;
  for (let i = 0; i < types.length; i += TYPE_OCTETS) {
    types[i] = octets[next];
    types[i + 1] = octets[next + 1];
    next = lenencStringEnd(octets, next + TYPE_OCTETS, end);
    if (next < 0) return undefined;
  }
  return { count, nullsAt: at, flagAt, types, valuesAt: next };
}

/**
 * Where the values of the first `wanted` parameters end. Those in `longData` have none: COM_STMT_SEND_LONG_DATA brought
 * them. undefined where they are malformed, or of types unknown here.
 */
export function valuesEnd(
  octets: Uint8Array,
  bound: BoundParameters,
  wanted: number,
  end: number,
  longData: ReadonlySet<number> = NONE,
): number | undefined {
  const { types, nullsAt } = bound;
  if (types === undefined) return undefined;
  let at = bound.valuesAt;
  for (let i = 0; i < wanted; i++) {
    if (isNull(octets, nullsAt, i) || longData.has(i)) continue;
    const length = binaryValueLength(octets, at, end, types[i * TYPE_OCTETS]);
    if (length === undefined) return undefined;
    at += length;
  }
  return at;
}

const NONE: ReadonlySet<number> = new Set();

/** Whether parameter `index` is NULL, by the bitmap at `nullsAt`. */
export function isNull(octets: Uint8Array, nullsAt: number, index: number): boolean {
  return ((octets[nullsAt + (index >> 3)] >> (index & 7)) & 1) !== 0;
}

/** Octets of the NULL bitmap of `count` parameters. */
export function nullOctets(count: number): number {
  return Math.floor((count + 7) / 8);
}

/** Where the `string<lenenc>` at `at` ends; -1 where that is not before `end`. */
function lenencStringEnd(octets: Uint8Array, at: number, end: number): number {
  const size = at < end ? lenencSize(octets[at]) : 0;
  if (size === 0 || at + size > end) return -1;
  const stringEnd = at + size + lenenc(octets, at);
  return stringEnd <= end ? stringEnd : -1;
}
