/** mysql2 logs in by our own plugins: its own encrypt the password for whoever sends a key. */
import type { EventEmitter } from 'node:events';
import type { Connection, AuthPlugin as Mysql2Plugin } from 'mysql2';
import { NEXT_FACTOR } from '../mysql/auth/exchange.ts';
import type { AuthPlugin, ServerKey } from '../mysql/auth/plugin.ts';
import { PLUGINS } from '../mysql/auth/plugins.ts';
import { lacksKey, NO_KEY } from '../mysql/auth/rsa.ts';
import { scrambleOf } from '../mysql/handshake.ts';
import { MARK } from '../mysql/packet.ts';
import { ServerTrouble } from './trouble.ts';

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

/** mysql2 hands over what follows the mark of AuthSwitchRequest, then of each AuthMoreData. */
interface Conversation {
  (data: Buffer): Promise<Buffer> | null;
  readonly plugin: string;
  readonly sendsUnmarked: boolean;
  /** Our last answer did. */
  asksForKey: boolean;
}

/** One authentication. */
function conversation(plugin: AuthPlugin, credentials: Credentials): Conversation {
  const { user } = credentials;
  let scramble: Uint8Array | undefined;
  const converse = (data: Buffer) => {
    const isFirst = scramble === undefined;
    scramble ??= scrambleOf(Uint8Array.from(data));
    const challenge = { ...credentials, scramble };
    const answer = isFirst ? plugin.first(challenge) : plugin.more?.(challenge, data);
    conversing.asksForKey = answer?.type === 'answer' && answer.asksForKey === true;
    if (answer?.type === 'wait') return null;
    if (answer?.type === 'answer') return Promise.resolve(Buffer.from(answer.octets));
    const { why, advice } = answer ?? { why: 'and more than that plugin gives' };
    const what = `the server wants ${plugin.name} for ${user}: ${why}`;
    return Promise.reject(new ServerTrouble(what, { advice }));
  };
  const { name, sendsUnmarked = false } = plugin;
  const conversing = Object.assign(converse, { plugin: name, sendsUnmarked, asksForKey: false });
  return conversing;
}

/** What mysql2's types leave out: who reads a packet, the plugin's conversation, and the command that is under way. */
interface Mysql2Inside {
  handlePacket(packet: { buffer: Buffer; offset: number } | undefined): void;
  _authPlugin?: Partial<Conversation>;
  _command?: EventEmitter;
  authorized: boolean;
}

/** Marks of the packets of a login that mysql2 reads itself. */
const READ_BY_MYSQL2: ReadonlySet<number> = new Set([
  MARK.ok,
  MARK.authMoreData,
  NEXT_FACTOR,
  MARK.eof,
  MARK.err,
]);

/**
 * Mends what mysql2 does in a login, of a `connection` that was just made: a plugin's packet without a mark is for the plugin, and
 * what goes wrong with TLS is told to `failed`, where mysql2 would wait, or tell that the connection was lost.
 */
export function mendLogin(connection: Connection, failed: (error: Error) => void): void {
  const inside = connection as unknown as Mysql2Inside;
  const handle = inside.handlePacket;
  inside.handlePacket = (packet) => {
    const isUnmarked =
      packet !== undefined &&
      !inside.authorized &&
      inside._authPlugin?.sendsUnmarked === true &&
      !READ_BY_MYSQL2.has(packet.buffer[packet.offset]);
    // In the place of the header's last octet, which has been read.
    if (isUnmarked) packet.buffer[--packet.offset] = MARK.authMoreData;
    handle.call(inside, packet);
  };
  inside._command?.on('error', failed);
}

/** What `error` means, by which a login of `user` on `connection` ended: it may say less than is known. */
export function loginTrouble(connection: Connection, user: string, error: Error): Error {
  const { asksForKey = false, plugin } = (connection as unknown as Mysql2Inside)._authPlugin ?? {};
  if (!lacksKey((error as { errno?: number }).errno ?? 0, asksForKey)) return error;
  const { why, advice } = NO_KEY;
  return new ServerTrouble(`the server wants ${plugin} for ${user}: ${why}`, { advice, cause: error });
}
