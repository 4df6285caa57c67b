/** What two logins have in common, and what brings a connection from one session's state to the next one's login. */
import { CLIENT, has } from '../../mysql/capabilities.ts';
import { UserChange } from '../../mysql/change-user.ts';
import { charsetFor } from '../../mysql/charsets.ts';
import { COM } from '../../mysql/command.ts';
import { commandPacket } from '../../mysql/framing.ts';
import type { HandshakeResponse } from '../../mysql/handshake.ts';
import type { LoginDone } from '../../mysql/login.ts';
import { queryPacket } from '../../mysql/query-attributes.ts';
import type { LoginPlan } from '../accounts/logins.ts';

/** Flags that end with the login, or that ours never has or always has (Login). */
const OF_LOGIN_ONLY =
  CLIENT.connectWithDb |
  CLIENT.compress |
  CLIENT.zstdCompression |
  CLIENT.ssl |
  CLIENT.protocol41 |
  CLIENT.secureConnection |
  CLIENT.pluginAuth |
  CLIENT.pluginAuthLenencClientData;

export const QUIT = commandPacket([COM.quit], new Uint8Array(0));
export const RESET = commandPacket([COM.resetConnection], new Uint8Array(0));

/** Whether a connection that logged in with the one's flags can serve the other: nothing changes them later. */
export function sameCapabilities(a: HandshakeResponse, b: HandshakeResponse): boolean {
  const differ = (a.capabilities ^ b.capabilities) & ~OF_LOGIN_ONLY;
  return differ === 0 && a.extendedCapabilities === b.extendedCapabilities;
}

/**
 * Whether a session of `a` begins with what one of `b` begins with: user, schema, character set. Connection attributes are
 * left out of account: they name the client's process, and are shown nowhere but in performance_schema.
 */
export function sameLogin(a: LoginPlan, b: LoginPlan): boolean {
  return (
    a.user === b.user &&
    schemaOf(a.recorded) === schemaOf(b.recorded) &&
    a.recorded.charset === b.recorded.charset
  );
}

/** What a login names; '' for none. */
function schemaOf({ capabilities, schema = '' }: HandshakeResponse): string {
  return has(capabilities, CLIENT.connectWithDb) ? schema : '';
}

/** Begins the COM_CHANGE_USER that makes a connection what a login by `plan` would have made. `secure`: it is in TLS. */
export function changeTo(plan: LoginPlan, done: LoginDone, secure: boolean): UserChange {
  const { user, password, serverKey, recorded } = plan;
  const { charset, attributes } = recorded;
  return new UserChange({
    ...done,
    user,
    password,
    serverKey,
    change: {
      user,
      authResponse: new Uint8Array(0),
      schema: schemaOf(recorded),
      charset: charsetFor(charset, done.isMariaDb),
      ...(attributes === undefined ? {} : { attributes }),
    },
    secure,
  });
}

/**
 * COM_QUERYs that COM_CHANGE_USER needs to be sent behind. MariaDB's (10.11, measured) lets a user without default role keep
 * the role that was chosen last; older servers of MySQL's do not know the statement, and newer ones do not need it.
 */
export function beforeChange({ capabilities, isMariaDb }: LoginDone): Uint8Array[] {
  return isMariaDb ? [injected('SET ROLE NONE', capabilities)] : [];
}

/**
 * COM_QUERYs for what a login sets by its flags and MariaDB brings back by neither COM_RESET_CONNECTION nor COM_CHANGE_USER
 * (10.11, measured). MySQL does; there they change nothing.
 */
export function afterCleaning({ capabilities }: LoginDone): Uint8Array[] {
  const statements: string[] = [];
  if (has(capabilities, CLIENT.ignoreSpace))
    statements.push("SET sql_mode = CONCAT(@@sql_mode, ',IGNORE_SPACE')");
  if (has(capabilities, CLIENT.interactive)) statements.push('SET wait_timeout = @@interactive_timeout');
  return statements.map((sql) => injected(sql, capabilities));
}

/** Has a row where a login runs init_connect: that nothing but a login can bring back. */
export function asksForInitConnect({ capabilities }: LoginDone): Uint8Array {
  return injected("SELECT 1 FROM DUAL WHERE @@global.init_connect <> ''", capabilities);
}

function injected(sql: string, capabilities: number): Uint8Array {
  return queryPacket(Buffer.from(sql), has(capabilities, CLIENT.queryAttributes));
}
