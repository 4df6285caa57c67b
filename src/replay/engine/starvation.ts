/** One copy of a recorded session. */
interface Copy {
  readonly recorded: { readonly end: number };
  readonly state: string;
}

/**
 * Whom to lose so that a run can go on, in which those who have a place wait for what is recorded next (nothing is due of
 * them), while nothing more can be read because of what those have to say who wait for a place. The latter, those with the
 * most of it first, until `commands` are let go; nobody where anybody has something to do.
 *
 * A replay with fewer connections than the recording had at once comes to this where sessions are long: one cannot end
 * before it has been read to its end, and what the others said meanwhile is more than is kept.
 */
export function starvers<T extends Copy>(live: Iterable<T>, commands: number): T[] {
  const waiting: T[] = [];
  for (const session of live) {
    if (session.state === 'waiting') waiting.push(session);
    else if (session.state !== 'ready' && session.state !== 'disconnected') return [];
  }
  waiting.sort((a, b) => b.recorded.end - a.recorded.end);
  let left = commands;
  // A command is let go when its last copy is: all copies of one session go together.
  let last: T['recorded'] | undefined;
  const chosen: T[] = [];
  for (const session of waiting) {
    if (session.recorded !== last) {
      if (left <= 0) break;
      left -= session.recorded.end;
      last = session.recorded;
    }
    chosen.push(session);
  }
  return chosen;
}
