/**
 * Lines of JSON that end with a sum: `{"v":1,…,"sum":N}`. N is the xxHash (32 bits) of the line's octets before `,"sum":`. A line
 * without one was written by an earlier mytape. docs/archive-format.md.
 */
import { xxh32 } from './xxh32.ts';

/** What stands behind the octets that are summed. */
const TAIL = /,"sum":(\d{1,10})\}$/;

/** No tail has more octets. */
const MOST_TAIL_OCTETS = 20;

export interface SummedLine {
  /** Without the sum. */
  fields: Record<string, unknown>;
  /** It has a sum, and that is right. */
  isSummed: boolean;
}

/** The line of an object that has fields, without a line feed. */
export function summedLine(fields: object): string {
  const content = JSON.stringify(fields).slice(0, -1);
  return `${content},"sum":${sumOf(Buffer.from(content))}}`;
}

/** What a line says; undefined: it is damaged. For one without a sum, also check `hasOnly`: its `sum` may be what is damaged. */
export function readSummedLine(octets: Buffer): SummedLine | undefined {
  const [tail, sum] =
    TAIL.exec(octets.toString('latin1', Math.max(0, octets.length - MOST_TAIL_OCTETS))) ?? [];
  if (tail !== undefined && sumOf(octets.subarray(0, octets.length - tail.length)) !== Number(sum))
    return undefined;
  let value: unknown;
  try {
    value = JSON.parse(octets.toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const fields = value as Record<string, unknown>;
  if (tail !== undefined) delete fields.sum;
  return { fields, isSummed: tail !== undefined };
}

/** Whether a line has no other fields than `names`. */
export function hasOnly(fields: object, names: readonly string[]): boolean {
  return Object.keys(fields).every((name) => names.includes(name));
}

function sumOf(octets: Uint8Array): number {
  return xxh32(new DataView(octets.buffer, octets.byteOffset, octets.length), 0, octets.length);
}
