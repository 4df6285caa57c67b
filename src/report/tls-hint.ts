/** What is said of sessions under TLS, in every verb that meets them. */
import { counted, formatCount } from '../counted.ts';

/** How many sessions are under TLS, of all, and of how many the keys are there. */
export interface TlsFacts {
  sessions: number;
  tls: number;
  keyed: number;
}

/** A sentence on sessions under TLS without keys, and what to do about them; undefined where there are none. */
export function tlsHint({ sessions, tls, keyed }: TlsFacts): string | undefined {
  if (tls <= keyed) return undefined;
  const are = `${formatCount(tls)} of ${counted(sessions, 'session')} ${tls === 1 ? 'is' : 'are'} under TLS`;
  const but = keyed === 0 ? '' : `, with keys for ${formatCount(keyed)}`;
  const it = keyed > 0 ? "the others can't" : tls === 1 ? "it can't" : "they can't";
  return `${are}${but}: ${it} be replayed without keys (${NEXT_MOVE})`;
}

const NEXT_MOVE =
  'give the keys with --keylog FILE, the file that the clients wrote through SSLKEYLOGFILE; or have the clients connect without TLS, and record again';
