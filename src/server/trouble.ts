/** What goes wrong on a client's connection to a server that may say anything, in words for the operator. */
import { shortened } from '../counted.ts';
import { certificateAdvice } from '../transport/target-tls.ts';

/** Whether a login by another user may do better: not where there is no connection, or no MySQL server at its end. */
export type TroubleKind = 'no-connection' | 'not-mysql' | 'other';

/** An error whose message is ours, and is shown whole: why, and the advice in parentheses. */
export class ServerTrouble extends Error {
  readonly why: string;
  /** What to do about it. */
  readonly advice: string | undefined;
  readonly kind: TroubleKind;

  constructor(
    why: string,
    {
      kind = 'other',
      advice,
      cause,
    }: { kind?: TroubleKind; advice?: string | undefined; cause?: Error | undefined } = {},
  ) {
    super(advice === undefined ? why : `${why} (${advice})`, { cause });
    this.why = why;
    this.advice = advice;
    this.kind = kind;
  }
}

/** As mysql2, Node and the system throw them. */
interface RawError extends Error {
  code?: string;
  /** Of the server's ERR_Packet; the system's are negative. */
  errno?: number;
  syscall?: string;
}

/** What a server says in a message is shown up to here. */
export const MOST_TEXT = 200;

/** Errors of connecting: what is wrong, and what to do about it. */
const NO_CONNECTION: Readonly<Record<string, readonly [why: string, advice: string]>> = {
  ECONNREFUSED: ['nothing listens there', 'start the server, or mend its address and port'],
  ENETUNREACH: ['this host has no route to it', 'mend its address, or the routes of this host'],
  EHOSTUNREACH: [
    'this host has no way to it',
    'start that host, or mend its address or the routes of this one',
  ],
  ETIMEDOUT: ['it does not answer', 'start that host, or mend its address or what filters the way'],
  ENOTFOUND: ['there is no such host', 'mend its name'],
  EAI_AGAIN: ['its name cannot be looked up', "mend its name or this host's resolver"],
};

/** Codes of mysql2 for packets that have no place in the protocol. */
const OUT_OF_PROTOCOL: ReadonlySet<string | undefined> = new Set([
  'PROTOCOL_UNEXPECTED_PACKET',
  'PROTOCOL_ERROR',
  'HANDSHAKE_UNKNOWN_ERROR',
]);

/** mysql2's codes: TLS did not come about, and the server has none. */
const TLS_FAILED = 'HANDSHAKE_SSL_ERROR';
const NO_TLS = 'HANDSHAKE_NO_SSL_SUPPORT';

/** mysql2's, with a hint that is not meant for our users. */
const UNKNOWN_PLUGIN = /using unknown plugin (.{0,64}?)\. See /s;

/** Returns the server's own errors (with `errno` and `sqlState`) as they are, all others in plain words. */
export function plainTrouble(error: Error): Error {
  const { message, code, errno, syscall } = error as RawError;
  if (error instanceof ServerTrouble || isServers(error)) return error;
  if (syscall === 'connect' || syscall === 'getaddrinfo' || error instanceof AggregateError) {
    const [why, advice] = NO_CONNECTION[code ?? ''] ?? [
      'the system cannot connect to it',
      'mend its address',
    ];
    const name = code ?? `errno ${errno}`;
    return new ServerTrouble(`${why}: ${name}`, { kind: 'no-connection', advice, cause: error });
  }
  if (code === TLS_FAILED) {
    const advice = certificateAdvice(message) ?? 'correct its TLS settings, or leave out --target-tls';
    return new ServerTrouble(`TLS: ${message}`, { kind: 'no-connection', advice, cause: error });
  }
  if (code === NO_TLS) {
    const advice = 'set up TLS there, or leave out --target-tls';
    return new ServerTrouble('it does not offer TLS', { kind: 'no-connection', advice, cause: error });
  }
  if (syscall !== undefined) return new ServerTrouble(`the connection broke: ${code}`, { cause: error });
  const [, plugin] = UNKNOWN_PLUGIN.exec(message) ?? [];
  if (plugin !== undefined) {
    const why = `the server wants ${plugin}: mytape does not know it`;
    return new ServerTrouble(why, { advice: 'give the user another plugin there', cause: error });
  }
  // Where mysql2 cannot read a packet it throws whatever its reading of octets does: mostly errors without a code.
  const isUnread = code === undefined || error instanceof RangeError || error instanceof TypeError;
  if (isUnread || OUT_OF_PROTOCOL.has(code)) return notMysql(error);
  return new ServerTrouble(message, { cause: error });
}

export function notMysql(cause?: Error): ServerTrouble {
  return new ServerTrouble('it answers what is not the MySQL protocol', { kind: 'not-mysql', cause });
}

/** The message as part of a line: only the server's own text is cut. */
export function troubleText(error: Error): string {
  const { message } = error;
  return isServers(error) ? shortened(message, MOST_TEXT) : message;
}

function isServers(error: Error): boolean {
  const { errno } = error as RawError;
  return errno !== undefined && errno > 0;
}
