import type { Snapshots } from '../archive/snapshots.ts';
import type { ServerKey } from '../mysql/auth/plugin.ts';
import { type Adopter, adopterOf } from '../replay/accounts/adoption.ts';
import { Logins } from '../replay/accounts/logins.ts';
import { SchemaRemap } from '../replay/accounts/remap.ts';

/** Who the recorded users are on the target. Plain data: it crosses to worker threads. */
export interface LoginJob {
  /** Passwords by user. */
  users: ReadonlyMap<string, string>;
  as: { user: string; password: string } | undefined;
  adopt: Adopter | undefined;
  remapUser: ReadonlyMap<string, string>;
  remapSchema: ReadonlyMap<string, string>;
  serverKey?: ServerKey | undefined;
}

/** In each thread of the run. `snapshots` tell of sessions that were joined late. */
export function openLogins(
  job: LoginJob,
  snapshots: Pick<Snapshots, 'find'>,
): { logins: Logins; remapSchema: SchemaRemap | undefined } {
  const { users, as, adopt, remapUser, serverKey } = job;
  const remapSchema = job.remapSchema.size > 0 ? new SchemaRemap(job.remapSchema) : undefined;
  const adoption = adopterOf({ snapshots, adopt });
  return {
    logins: new Logins({ users, as, serverKey, remapUser, remapSchema, adopt: adoption }),
    remapSchema,
  };
}
