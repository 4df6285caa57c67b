/** How connections end before their sessions, and what that means for these. */
import type { CloseCause } from '../transport/transport.ts';
import type { Stage } from './contact.ts';
import type { LostCause } from './outcome.ts';

const TOO_MANY_CONNECTIONS = 1040;
const SERVER_SHUTDOWN = 1053;
/** ER_CONNECTION_KILLED, MariaDB's and MySQL's. */
const CONNECTION_KILLED = 1927;
const SESSION_WAS_KILLED = 3169;

/** Ends after which another connection may do better. All others are ours, or would come again. */
export const RETRIED: ReadonlySet<CloseCause> = new Set(['fin', 'reset', 'refused', 'timeout']);

/** Errors that a login meets at the wrong moment only. */
export const RETRIED_LOGINS: ReadonlySet<number> = new Set([
  TOO_MANY_CONNECTIONS,
  SERVER_SHUTDOWN,
  CONNECTION_KILLED,
  SESSION_WAS_KILLED,
]);

/** What a session is lost by whose login met the error `errno` (0: none of the server's). */
export function loginLostBy(errno: number): LostCause {
  if (errno === TOO_MANY_CONNECTIONS) return 'too-many-connections';
  return RETRIED_LOGINS.has(errno) ? 'connect' : 'auth';
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
