import type { SessionMeta } from '../../flow/events.ts';
import { CLIENT } from '../../mysql/capabilities.ts';
import { parseChangeUser, UserChange } from '../../mysql/change-user.ts';
import { charsetFor } from '../../mysql/charsets.ts';
import { COM, type Command } from '../../mysql/command.ts';
import type { LoginDone } from '../../mysql/login.ts';
import { refusesPassword, sameRefusal } from '../../mysql/login-errors.ts';
import type { Reply } from '../../mysql/reply.ts';
import { changedWithPassword, type LoginPlan, type Logins } from '../accounts/logins.ts';

/** A COM_CHANGE_USER under way. */
export interface ChangeUnderWay {
  exchange: UserChange;
  /** As whom the session logs in from here on, should it succeed. */
  plan: LoginPlan;
}

interface ChangedFrom {
  plan: LoginPlan;
  done: LoginDone;
  logins: Logins;
  /** The target's name of a schema. */
  schemaName(schema: string | undefined): string | undefined;
  secure: boolean;
}

/**
 * Begins what `command`, a COM_CHANGE_USER of `session`, asks for, on a connection that logged in by `plan` and was told
 * `done` last. `secure`: it is in TLS. undefined where the password of the user is not known.
 */
export function beginUserChange(
  command: Command,
  session: SessionMeta,
  { plan, done, logins, schemaName, secure }: ChangedFrom,
): ChangeUnderWay | undefined {
  const { packet } = command;
  const change = parseChangeUser(packet, 0, packet.length, session.capabilities);
  const wrong = refusesPassword(command.reply?.errno);
  const account = change && logins.change(change, command.withPassword, wrong);
  if (change === undefined || account === undefined) return undefined;
  const schema = schemaName(change.schema);
  const exchange = new UserChange({
    ...done,
    ...account,
    change: {
      ...change,
      ...(schema === undefined ? {} : { schema }),
      ...(change.charset === undefined ? {} : { charset: charsetFor(change.charset, done.isMariaDb) }),
      withPassword: changedWithPassword(change, command.withPassword),
    },
    secure,
    wrong,
  });
  const { schema: _before, ...before } = plan.recorded;
  const recorded = {
    ...before,
    user: account.user,
    ...(schema === undefined || schema === '' ? {} : { schema }),
    capabilities: (before.capabilities | CLIENT.connectWithDb) >>> 0,
    charset: change.charset ?? before.charset,
  };
  return { exchange, plan: { ...account, wrong: false, recorded, adoption: undefined } };
}

/** Whether `command` is a COM_CHANGE_USER that production refused, and that the target refused for the same reason, by whatever error. */
export function isRefusedAgain({ com, reply: recorded }: Command, replayed: Reply | undefined): boolean {
  if (com !== COM.changeUser || recorded === undefined || replayed === undefined) return false;
  return sameRefusal(recorded.errno, replayed.errno);
}
