import { connect, type Socket } from 'node:net';
import { PORT } from './server.ts';

/** For mysql2's `stream`: a connection to `host` from `localAddress`. mysql2 takes an option of that name, and does nothing with it. */
export function speakFrom(host: string, localAddress: string): () => Socket {
  return () => connect({ host, port: PORT, localAddress, noDelay: true });
}
