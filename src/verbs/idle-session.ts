import { Option } from '@commander-js/extra-typings';
import { IDLE_SESSION_MS } from '../flow/flow-limits.ts';
import { parseDurationMs } from './options.ts';

/** For verbs that follow connections for as long as they run. */
export function idleSessionOption() {
  return new Option(
    '--idle-session <duration>',
    'end a session after this long without a packet, plus an eighth, e.g. 8h; if it speaks again it is a new session, joined late',
  )
    .default(IDLE_SESSION_MS, '2h')
    .argParser(parseDurationMs);
}
