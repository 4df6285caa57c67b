import { cachingSha2 } from './caching-sha2.ts';
import { clear } from './clear.ts';
import { ed25519 } from './ed25519.ts';
import { native } from './native.ts';
import { parsec } from './parsec.ts';
import type { AuthPlugin } from './plugin.ts';
import { sha256 } from './sha256.ts';

/** What servers before 4.1 wanted. */
export const OLD_PASSWORD = 'mysql_old_password';

/** Known, and not answered: its hash is undone in no time, with the password behind it. */
const old: AuthPlugin = {
  name: OLD_PASSWORD,
  first: () => ({
    type: 'refused',
    why: 'that is no protection for a password',
    advice: 'give the user another plugin there',
  }),
};

/** Those that mytape knows, the one that it refuses among them. */
export const PLUGINS: readonly AuthPlugin[] = [native, cachingSha2, sha256, ed25519, parsec, clear, old];

const BY_NAME: ReadonlyMap<string, AuthPlugin> = new Map(PLUGINS.map((plugin) => [plugin.name, plugin]));

/** The plugin of that name; undefined where it is none of ours. */
export function pluginOf(name: string): AuthPlugin | undefined {
  return BY_NAME.get(name);
}
