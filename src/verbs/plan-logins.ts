/** Who the recorded users are on the target: from a replay's options to plain data. */
import { MytapeError } from '../errors.ts';
import type { Adopter } from '../replay/accounts/adoption.ts';
import { parseRemap } from '../replay/accounts/remap.ts';
import { readUsersFile } from '../replay/accounts/users.ts';
import type { LoginJob } from '../run/logins.ts';
import { readPassword } from './passwords.ts';
import { serverKeyOf } from './server-key.ts';

/** What the command line says of users and schemas. */
export interface LoginChoices {
  users?: string | undefined;
  as?: string | undefined;
  passwordFile?: string | undefined;
  adopt?: Adopter | undefined;
  remapUser?: string[] | undefined;
  remapSchema?: string[] | undefined;
  getServerPublicKey?: boolean | undefined;
  serverPublicKey?: string | undefined;
}

/** Reads files, and asks for a password, where one is needed. */
export async function planLogins(choices: LoginChoices): Promise<LoginJob> {
  const { as, adopt, passwordFile } = choices;
  if (as !== undefined && (choices.remapUser ?? []).length > 0) {
    throw new MytapeError('usage', '--as has everybody log in as one user: leave out --remap-user');
  }
  const users = choices.users === undefined ? new Map<string, string>() : readUsersFile(choices.users);
  const asked = as ?? adopt?.user;
  if (passwordFile !== undefined && asked === undefined) {
    throw new MytapeError(
      'usage',
      '--password-file is for the user of --as or --adopt (others have theirs in the file of --users)',
    );
  }
  let everybody: LoginJob['as'];
  if (asked !== undefined) {
    const password = await passwordOf(asked, users, passwordFile);
    if (as === undefined) users.set(asked, password);
    else everybody = { user: as, password };
  }
  return {
    users,
    as: everybody,
    adopt,
    remapUser: parseRemap('--remap-user', choices.remapUser ?? []),
    remapSchema: parseRemap('--remap-schema', choices.remapSchema ?? []),
    serverKey: serverKeyOf(choices),
  };
}

async function passwordOf(
  user: string,
  users: ReadonlyMap<string, string>,
  file: string | undefined,
): Promise<string> {
  const known = file === undefined ? users.get(user) : undefined;
  if (known !== undefined) return known;
  const password = await readPassword({
    prompt: `password of ${user} on the target: `,
    ...(file === undefined ? {} : { file }),
  });
  if (password !== undefined) return password;
  throw new MytapeError(
    'usage',
    `the password of ${user} is not known: name ${user} in the file of --users, say --password-file, or set MYTAPE_PASSWORD`,
  );
}
