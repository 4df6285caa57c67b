/**
 * TSval (RFC 7323) of a connection that begins at `epochMs`, ms since 1970: all its segments carry this one, whichever half sends them
 * (docs/decisions/0047-one-tsval-a-connection.md). Ticks of 1 ms, as Linux's, of the wall clock: a tuple that is used again, also by the
 * next run, gets a larger one, and so a target with the old connection in TIME_WAIT takes the new SYN (RFC 6191).
 */
export function connectionTimestamp(epochMs: number): number {
  return Math.floor(epochMs) >>> 0;
}
