/** mysql2 logs in by our own plugins: its own encrypt the password for whoever sends a key. */
import type { AuthPlugin as Mysql2Plugin } from 'mysql2';
import type { AuthPlugin, ServerKey } from '../mysql/auth/plugin.ts';
import { PLUGINS } from '../mysql/auth/plugins.ts';
import { scrambleOf } from '../mysql/handshake.ts';
import { ServerTrouble } from './server-trouble.ts';

export interface Credentials {
  user: string;
  password: string;
  /** The connection is in TLS. */
  secure: boolean;
  serverKey: ServerKey | undefined;
}

/** For mysql2's `authPlugins`: all that mytape knows, those that it refuses among them. */
export function authPluginsFor(credentials: Credentials): Record<string, Mysql2Plugin> {
  return Object.fromEntries(PLUGINS.map((plugin) => [plugin.name, () => conversation(plugin, credentials)]));
}

/** One authentication. mysql2 hands over what follows the mark of AuthSwitchRequest, then of each AuthMoreData. */
function conversation(
  plugin: AuthPlugin,
  credentials: Credentials,
): (data: Buffer) => Promise<Buffer> | null {
  const { user } = credentials;
  let scramble: Uint8Array | undefined;
  return (data) => {
    const isFirst = scramble === undefined;
    scramble ??= scrambleOf(Uint8Array.from(data));
    const challenge = { ...credentials, scramble };
    const answer = isFirst ? plugin.first(challenge) : plugin.more?.(challenge, data);
    if (answer?.type === 'wait') return null;
    if (answer?.type === 'answer') return Promise.resolve(Buffer.from(answer.octets));
    const { why, advice } = answer ?? { why: 'and more than that plugin gives' };
    const what = `the server wants ${plugin.name} for ${user}: ${why}`;
    return Promise.reject(new ServerTrouble(what, { advice }));
  };
}
