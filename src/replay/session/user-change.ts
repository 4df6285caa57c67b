import { CLIENT } from '../../mysql/capabilities.ts';
import { parseChangeUser, UserChange } from '../../mysql/change-user.ts';
import { charsetFor } from '../../mysql/charsets.ts';
import { COM, type Command } from '../../mysql/command.ts';
import type { HandshakeResponse } from '../../mysql/handshake.ts';
import type { LoginDone } from '../../mysql/login.ts';
import { refusesPassword, sameRefusal } from '../../mysql/login-errors.ts';
import type { Reply } from '../../mysql/reply.ts';
import { changedWithPassword, type LoginPlan } from '../accounts/logins.ts';
import type { SchemaRemap } from '../accounts/remap.ts';
import type { SessionTarget } from './host.ts';
import type { Uplink } from './uplink.ts';

/** A COM_CHANGE_USER under way. */
interface ChangeUnderWay {
  exchange: UserChange;
  /** As whom the session logs in from here on, should it succeed. */
  plan: LoginPlan;
}

/** The COM_CHANGE_USERs of one session: made anew for the target's user, whose password is known, and its server's nonce. */
export class UserChanges {
  /** The session has become a user whose password is not known: what its commands would do nobody knows either. */
  isSomebodyElse = false;
  readonly #uplink: Uplink;
  readonly #target: SessionTarget;
  /** Names that only this copy has. */
  readonly #schemas: SchemaRemap | undefined;
  #underWay: ChangeUnderWay | undefined;

  constructor(uplink: Uplink, target: SessionTarget, schemas: SchemaRemap | undefined) {
    this.#uplink = uplink;
    this.#target = target;
    this.#schemas = schemas;
  }

  get isUnderWay(): boolean {
    return this.#underWay !== undefined;
  }

  /** The packet to send for `command`, a COM_CHANGE_USER; undefined where the password of the user is not known. */
  begin(command: Command): Uint8Array | undefined {
    this.#underWay = this.#changeFor(command);
    this.isSomebodyElse ||= this.#underWay === undefined;
    return this.#underWay?.exchange.packet;
  }

  /** The target asks for more. Returns why the change cannot be answered; undefined: it was, and its end comes as a reply. */
  packet(octets: Uint8Array): string | undefined {
    const step = this.#underWay?.exchange.onPacket(octets);
    if (step?.type === 'send') this.#uplink.connection?.writeLogin(step.octets);
    return step?.type === 'failed' ? `user ${this.#underWay?.plan.user}: ${step.message}` : undefined;
  }

  /** A command was answered by `reply`. Returns the login that this has changed to; undefined: none. */
  answered(reply: Reply): HandshakeResponse | undefined {
    const change = this.#underWay;
    if (change === undefined) return undefined;
    this.#underWay = undefined;
    const { scramble, authPlugin } = change.exchange;
    const { done } = this.#uplink;
    // What the connection's next one begins with.
    if (done !== undefined) this.#uplink.done = { ...done, scramble, authPlugin };
    return reply.kind === 'ok' ? this.#changed(change) : undefined;
  }

  /** The connection is gone, with `command` under way. Returns the same, by its recorded answer. */
  disconnected(command: Command | undefined): HandshakeResponse | undefined {
    const change = this.#underWay;
    this.#underWay = undefined;
    const hasChanged = command?.com === COM.changeUser && command.reply?.kind === 'ok';
    return change !== undefined && hasChanged ? this.#changed(change) : undefined;
  }

  #changed({ plan }: ChangeUnderWay): HandshakeResponse {
    this.#uplink.plan = plan;
    return plan.recorded;
  }

  #changeFor(command: Command): ChangeUnderWay | undefined {
    const { logins, tls: secure } = this.#target;
    const { plan, session } = this.#uplink;
    const done = this.#uplink.done as LoginDone;
    const { packet } = command;
    const change = parseChangeUser(packet, 0, packet.length, session.recorded.meta.capabilities);
    const wrong = refusesPassword(command.reply?.errno);
    const account = change && logins.change(change, command.withPassword, wrong);
    if (change === undefined || account === undefined) return undefined;
    const schema = this.#schemaName(change.schema);
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

  /** The target's name of a schema. */
  #schemaName(schema: string | undefined): string | undefined {
    const name = this.#target.logins.schema(schema);
    return name === undefined ? name : (this.#schemas?.name(name) ?? name);
  }
}

/** Whether `command` is a COM_CHANGE_USER that production refused, and that the target refused for the same reason, by whatever error. */
export function isRefusedAgain({ com, reply: recorded }: Command, replayed: Reply | undefined): boolean {
  if (com !== COM.changeUser || recorded === undefined || replayed === undefined) return false;
  return sameRefusal(recorded.errno, replayed.errno);
}
