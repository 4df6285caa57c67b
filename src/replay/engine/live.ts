/** What is other in a run whose source is live: it cannot be made to wait, and its clock is the wall clock. */
import type { CaptureNs } from '../../time.ts';
import type { ReplayedSession } from '../replayed-session.ts';

/** A source that tells what happens as it happens. */
export interface LiveSource {
  /** What it would stamp on a packet at this moment. */
  now(): CaptureNs;
}

/**
 * Bounds on what is seen and not yet sent by every copy. Beyond them no session is begun; beyond LIVE_HARD times as much those that
 * are furthest behind are ended. For a second or two in which the target hangs there is to be room.
 */
export const LIVE_COMMANDS = 100_000;
export const LIVE_OCTETS = 128 << 20;
export const LIVE_HARD = 2;

/**
 * Threads read captures of their own, each a little late: what one of them has done on the target, a KILL, say, another may
 * see there before it has read the same of the recording. It waits for this long, ms.
 */
export const LIVE_SKEW_MS = 500;

/** A wall clock this far from where it was expected was set, ms. */
export const CLOCK_SET_MS = 5;

/** Sessions that have something left to send, the one with the oldest first. */
export function furthestBehind(sessions: Iterable<ReplayedSession>): ReplayedSession[] {
  const behind: { session: ReplayedSession; since: CaptureNs }[] = [];
  for (const session of sessions) {
    const since = session.behindSince;
    if (since !== undefined) behind.push({ session, since });
  }
  return behind.sort((a, b) => a.since - b.since).map(({ session }) => session);
}
