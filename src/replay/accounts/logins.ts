import type { SessionMeta } from '../../flow/events.ts';
import type { ServerKey } from '../../mysql/auth/plugin.ts';
import { CLIENT } from '../../mysql/capabilities.ts';
import type { ChangeUser } from '../../mysql/change-user.ts';
import { type HandshakeResponse, isEmptyAuth } from '../../mysql/handshake.ts';
import { refusesPassword } from '../../mysql/login-errors.ts';
import { NATIVE_PASSWORD } from '../../mysql/native-password.ts';
import { type Adoption, adoptedDialect } from './adoption.ts';
import type { SchemaRemap } from './remap.ts';

/** utf8mb4_general_ci: every server since 5.5 has it. */
const UTF8MB4 = 45;

/** What a session says that was joined late: what most clients say, and what changes no answer. */
const ADOPTED_CAPABILITIES =
  CLIENT.mysql |
  CLIENT.longFlag |
  CLIENT.connectWithDb |
  CLIENT.localFiles |
  CLIENT.protocol41 |
  CLIENT.transactions |
  CLIENT.secureConnection |
  CLIENT.multiStatements |
  CLIENT.multiResults |
  CLIENT.psMultiResults |
  CLIENT.pluginAuth;

/** As whom a session logs in on the target. */
export interface LoginPlan {
  user: string;
  password: string;
  serverKey?: ServerKey | undefined;
  /** Production refused it for its password: so shall the target. */
  wrong: boolean;
  /** What the recorded client had said, or stands for it where the session was joined late. */
  recorded: HandshakeResponse;
  /** What a session joined late is given before its first command. */
  adoption: Adoption | undefined;
}

export interface LoginOptions {
  /** Passwords by user of the target. */
  users: ReadonlyMap<string, string>;
  /** Everybody logs in as this one. */
  as?: { user: string; password: string } | undefined;
  /** What may encrypt the password of whoever logs in. */
  serverKey?: ServerKey | undefined;
  /** Users of the recording that have other names on the target. */
  remapUser?: ReadonlyMap<string, string> | undefined;
  remapSchema?: SchemaRemap | undefined;
  /** What is known of a session joined late. */
  adopt?: ((session: SessionMeta) => Adoption | undefined) | undefined;
}

/** A user of the target and the password. */
interface Account {
  user: string;
  password: string;
  serverKey: ServerKey | undefined;
}

/** Decides who each recorded session is on the target. */
export class Logins {
  readonly #options: LoginOptions;

  constructor(options: LoginOptions) {
    this.#options = options;
  }

  /** How `session` logs in, or why it cannot, as a cause to skip it by. */
  plan(session: SessionMeta): LoginPlan | string {
    const { adopt } = this.#options;
    const { login, refused } = session;
    if (login === undefined) {
      const adoption = adopt?.(session);
      if (adoption === undefined) return 'joined-late';
      const account = this.#account(adoption.user, true);
      if (account === undefined) return 'unknown-user';
      const { schema } = adoption;
      const recorded: HandshakeResponse = {
        capabilities: ADOPTED_CAPABILITIES >>> 0,
        extendedCapabilities: 0,
        maxPacket: 1 << 30,
        charset: UTF8MB4,
        user: account.user,
        authResponse: new Uint8Array(0),
        ...(schema === undefined ? {} : { schema: this.schema(schema) }),
      };
      return { ...account, wrong: false, recorded, adoption: this.#remapped(adoption) };
    }
    const wrong = refusesPassword(refused);
    const account = wrong ? this.#refused(login.user) : this.#account(login.user, hasPassword(login));
    if (account === undefined) return 'unknown-user';
    const { schema } = login;
    const recorded = schema === undefined ? login : { ...login, schema: this.schema(schema) };
    return { ...account, wrong, recorded, adoption: undefined };
  }

  /**
   * Who a COM_CHANGE_USER changes to; undefined where the password is not known. `answered`: the client gave a password when
   * it was asked for one; `refused`: production did not believe it.
   */
  change(change: ChangeUser, answered: boolean | undefined, refused: boolean): Account | undefined {
    if (refused) return this.#refused(change.user);
    // The server's questions, and so the client's answers, are known with the answer to the command only.
    return this.#account(change.user, changedWithPassword(change, answered));
  }

  /** The same login with names of schemas of its own. */
  static renamed(plan: LoginPlan, remap: SchemaRemap): LoginPlan {
    const { recorded, adoption } = plan;
    const { schema } = recorded;
    return {
      ...plan,
      recorded: schema === undefined ? recorded : { ...recorded, schema: remap.name(schema) },
      adoption: adoption && renamedAdoption(adoption, remap),
    };
  }

  /** The target's name of a schema. */
  schema<Name extends string | undefined>(name: Name): Name | string {
    return name === undefined ? name : (this.#options.remapSchema?.name(name) ?? name);
  }

  /** With the target's names in its statements. */
  #remapped(adoption: Adoption): Adoption {
    const { remapSchema } = this.#options;
    return remapSchema === undefined ? adoption : renamedAdoption(adoption, remapSchema);
  }

  #account(recorded: string, withPassword: boolean): Account | undefined {
    const { users, as, serverKey } = this.#options;
    if (as !== undefined) return { ...as, serverKey };
    const user = this.#nameOf(recorded);
    const password = users.get(user) ?? (withPassword ? undefined : '');
    return password === undefined ? undefined : { user, password, serverKey };
  }

  /** Whom the target shall refuse: the password does not matter. */
  #refused(recorded: string): Account {
    const user = this.#options.as?.user ?? this.#nameOf(recorded);
    return { user, password: '', serverKey: undefined };
  }

  #nameOf(recorded: string): string {
    return this.#options.remapUser?.get(recorded) ?? recorded;
  }
}

function renamedAdoption(adoption: Adoption, remap: SchemaRemap): Adoption {
  const dialect = adoptedDialect(adoption);
  const renamed = (sql: string) => Buffer.from(remap.text(Buffer.from(sql), dialect)).toString();
  const statements = adoption.statements.map(({ id, sql }) => ({ id, sql: renamed(sql) }));
  return { ...adoption, statements };
}

/** Whether a COM_CHANGE_USER's client gave a password: with it, or, `answered`, when it was asked. */
export function changedWithPassword(change: ChangeUser, answered: boolean | undefined): boolean {
  return answered === true || !isEmptyAuth(change.authPlugin ?? NATIVE_PASSWORD, change.authResponse);
}

function hasPassword(login: HandshakeResponse): boolean {
  return login.withPassword ?? login.authResponse.length > 0;
}
