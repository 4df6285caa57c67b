import type { SessionMeta } from '../../flow/events.ts';
import { CLIENT, has } from '../../mysql/capabilities.ts';
import { COM, type Command } from '../../mysql/command.ts';
import { STATUS } from '../../mysql/packet.ts';
import { type LoginPlan, Logins } from '../accounts/logins.ts';
import type { SchemaRemap } from '../accounts/remap.ts';
import { commandWithSchemas } from './rewrite.ts';
import { adoptedState, learnRecorded, SessionState, type StateLost } from './session-state.ts';
import { NOT_YET_PREPARED, namesStatement } from './statements.ts';

/**
 * A session that began before the part of the recording that a run replays: what it had set up on its connection by then,
 * learnt from its recorded commands, none of which is sent.
 */
export class SessionBeforeWindow {
  readonly meta: SessionMeta;
  readonly plan: LoginPlan;
  /** The names of each copy's schemas; undefined: all copies have the same. */
  readonly #schemas: readonly SchemaRemap[] | undefined;
  /** One for all copies, or one for each where they differ. */
  readonly #states: (SessionState | undefined)[];
  #inTransaction = false;
  #changedUser = false;

  /** `schemas`: the names of each copy's schemas, where they differ. */
  constructor(meta: SessionMeta, plan: LoginPlan, schemas?: readonly SchemaRemap[]) {
    this.meta = meta;
    this.plan = plan;
    this.#schemas = schemas;
    const plans = schemas?.map((names) => Logins.renamed(plan, names)) ?? [plan];
    this.#states = plans.map(({ adoption }) => adoption && adoptedState(meta, adoption));
  }

  /** Whether it can begin: not where it has become another user's. */
  get isKnown(): boolean {
    return !this.#changedUser;
  }

  /** `command` was answered, as far as its answer is ever known. */
  learn(command: Command): void {
    const { com, reply } = command;
    if (com === COM.changeUser && reply?.kind === 'ok') this.#changedUser = true;
    const states = this.#states;
    for (let i = 0; i < states.length; i++) {
      const schemas = this.#schemas?.[i];
      const sent = schemas === undefined ? command : commandWithSchemas(command, schemas);
      states[i] = this.#learnt(states[i], sent);
    }
    if (com === COM.stmtPrepare || reply === undefined || reply.kind === 'err' || reply.kind === 'text')
      return;
    this.#inTransaction = (reply.status & STATUS.inTransaction) !== 0;
  }

  /** Commands of it are missing. */
  lost(): void {
    const states = this.#states;
    for (let i = 0; i < states.length; i++) {
      const state = states[i] ?? new SessionState(this.meta);
      state.statements.lost();
      states[i] = state;
    }
  }

  /** What the connection of this copy is to be given; what of it cannot be is added to `lost`. */
  begin(copy: number, lost: Set<StateLost>): SessionState | undefined {
    if (this.#inTransaction) lost.add('transaction');
    const state = this.#states[this.#schemas === undefined ? 0 : copy]?.copy();
    state?.disconnected(lost);
    return state;
  }

  #learnt(state: SessionState | undefined, command: Command): SessionState | undefined {
    const { com, reply } = command;
    if (com === COM.stmtPrepare) {
      if (reply === undefined || reply.kind === 'err') return state;
      state ??= new SessionState(this.meta);
      state.statements.prepared(command, NOT_YET_PREPARED, reply.params, state.schema);
      return state;
    }
    // What it says of its statement: types of parameters, long data, its end.
    if (namesStatement(command)) {
      const attributes = has(this.meta.capabilities, CLIENT.queryAttributes);
      state?.statements.rewrite(command, attributes);
    }
    return learnRecorded(state, this.meta, command);
  }
}
