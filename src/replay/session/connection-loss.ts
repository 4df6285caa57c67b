/** How connections end before their sessions, and what that means for these. */
import {
  HOST_IS_BLOCKED,
  saysNoRoom,
  saysUnavailable,
  TOO_MANY_CONNECTIONS,
  TOO_MANY_USER_CONNECTIONS,
  USER_LIMIT_REACHED,
} from '../../mysql/login-errors.ts';
import type { CloseCause } from '../../transport/transport.ts';
import type { Stage } from '../engine/contact.ts';
import type { LostCause } from '../outcome.ts';

/** Ends after which another connection may do better. All others are ours, or would come again. */
export const RETRIED: ReadonlySet<CloseCause> = new Set([
  'fin',
  'reset',
  'refused',
  'timeout',
  'no-descriptor',
  'no-port',
]);

/** Whether a login met want of room: others have to go first. Limits by the hour are none of that. */
export function isNoRoom(errno: number, message: string): boolean {
  if (errno === USER_LIMIT_REACHED) return message.includes("'max_user_connections'");
  return errno === TOO_MANY_CONNECTIONS || errno === TOO_MANY_USER_CONNECTIONS;
}

/**
 * Whether production refused a login by an error that says how production was at that moment, and nothing of the login: it was
 * full, or shutting down. The target need not be.
 */
export function wasOfTheMoment(errno: number | undefined): boolean {
  return errno !== undefined && (saysNoRoom(errno) || saysUnavailable(errno));
}

/** What a session is lost by whose login met the error `errno` (0: none of the server's). */
export function loginLostBy(errno: number): LostCause {
  return errno === HOST_IS_BLOCKED ? 'host-blocked' : 'auth';
}

/** What is lost with a connection that ended so. */
export function lostBy(cause: CloseCause, stage: Stage): LostCause {
  switch (cause) {
    case 'fin':
    case 'reset':
    case 'aborted':
      return stage === 'commands' ? 'reset' : 'connect';
    case 'refused':
      return 'connect';
    case 'timeout':
      return stage === 'commands' ? 'timeout' : 'connect';
    default:
      return cause;
  }
}

/** What a connection that did not come about tells whoever has to mend it. */
export function connectHint(cause: CloseCause, stage: Stage): string | undefined {
  if (stage === 'commands') return undefined;
  if (cause === 'refused')
    return 'the target refuses connections on that port: does its server run, and is -x right?';
  if (cause !== 'timeout') return undefined;
  return stage === 'login'
    ? 'the target took the connection, and its login came to no end: does its server hang?'
    : "no answer came: does the target listen there? By packets: does it route the clients' addresses to the " +
        'assistant (ip route), and does the -F of intercept match its port?';
}
