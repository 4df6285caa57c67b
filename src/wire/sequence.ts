/**
 * Arithmetic on TCP sequence numbers, modulo 2^32 (RFC 9293 3.4). A difference is a signed 32-bit number: right as long
 * as the two are less than 2^31 apart, which windows guarantee.
 */

/** a - b: negative where a comes before b. */
export function seqDiff(a: number, b: number): number {
  return (a - b) | 0;
}

export function seqAdd(a: number, octets: number): number {
  return (a + octets) >>> 0;
}

export function seqLt(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

export function seqLe(a: number, b: number): boolean {
  return ((a - b) | 0) <= 0;
}

export function seqMax(a: number, b: number): number {
  return ((a - b) | 0) < 0 ? b : a;
}
