import { certificateAdvice } from './target-tls.ts';
import { type CloseCause, isHostLimit } from './transport.ts';

/** How a connection ended; `detail`: why, in words, where the cause alone does not say it. */
export interface End {
  cause: CloseCause;
  detail?: string;
}

/** How far a connection had come when it failed. */
export type Reached = 'nothing' | 'established' | 'tls';

const CAUSES: Readonly<Record<string, CloseCause>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  ECONNABORTED: 'reset',
  EPIPE: 'reset',
  ETIMEDOUT: 'timeout',
  EHOSTUNREACH: 'timeout',
  EHOSTDOWN: 'timeout',
  ENETUNREACH: 'timeout',
  EMFILE: 'no-descriptor',
  ENFILE: 'no-descriptor',
  ENOBUFS: 'no-descriptor',
  ENOMEM: 'no-descriptor',
  EADDRNOTAVAIL: 'no-port',
};

/** What the error of a socket, or of TLS over one, means for its connection. */
export function endBy(error: NodeJS.ErrnoException, reached: Reached): End {
  const isSystems = error.syscall !== undefined;
  // TLS says so where the target closes before the handshake is done: no reset has come.
  if (reached === 'tls' && !isSystems && error.code === 'ECONNRESET')
    return { cause: 'fin', detail: 'the target closed while TLS was being set up' };
  const cause = CAUSES[error.code ?? ''];
  if (cause !== undefined) return isHostLimit(cause) ? { cause, detail: error.message } : { cause };
  if (reached === 'tls' && !isSystems) return { cause: 'tls', detail: `TLS: ${reasonOf(error)}` };
  // The target's name is not known, say.
  return { cause: reached === 'nothing' ? 'refused' : 'reset', detail: error.message };
}

/** Node says it in words, or OpenSSL as `code:error:number:library:function:reason:file:line:…`. */
function reasonOf({ message }: Error): string {
  const [, reason] = /:error:[0-9A-F]+:[^:]*:[^:]*:([^:\n]+)/.exec(message) ?? [];
  const said = (reason ?? message).trim();
  const advice = certificateAdvice(said);
  return advice === undefined ? said : `${said} (${advice})`;
}
