import { InvalidArgumentError } from 'commander';
import { MytapeError } from '../errors.ts';
import { DEFAULT_PORT } from '../mysql/port.ts';
import { endpointText } from '../wire/address.ts';

export interface SnapshotServer {
  user: string;
  host: string;
  port: number;
}

/** `mysql://user@host:port`. Throws `usage` where it has a password. */
export function parseServerUrl(text: string): SnapshotServer {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.password) {
    // Not commander's own, which would say it again.
    throw new MytapeError(
      'usage',
      'everybody on this host can see a password in a URL: leave it out, and give --password-file FILE or set MYTAPE_PASSWORD',
    );
  }
  const user = url && decoded(url.username);
  const isServer = url?.protocol === 'mysql:' && user && url.hostname !== '';
  if (!isServer || url.pathname.replace('/', '') + url.search + url.hash !== '') {
    throw new InvalidArgumentError(
      'A server and its user are named by mysql://USER@HOST:PORT, as in mysql://monitor@10.1.0.7:3306.',
    );
  }
  return {
    user,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
  };
}

/** What %XX stand for, if they do. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** `monitor@10.1.0.7:3306`. */
export function nameOfServer({ user, host, port }: SnapshotServer): string {
  return `${user}@${endpointText(host, port)}`;
}
