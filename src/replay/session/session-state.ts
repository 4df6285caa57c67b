import type { SessionMeta } from '../../flow/events.ts';
import { CLIENT, has } from '../../mysql/capabilities.ts';
import { COM, type Command, EXPECT } from '../../mysql/command.ts';
import { commandPacket } from '../../mysql/framing.ts';
import { STATUS } from '../../mysql/packet.ts';
import { queryPacket, sqlAt } from '../../mysql/query-attributes.ts';
import { NO_REPLY, type Reply } from '../../mysql/reply.ts';
import { type Effect, effectsOf, type HeldKind, type SetEffect } from '../../sql/effects.ts';
import { type Adoption, adoptedDialect } from '../accounts/adoption.ts';
import { readId } from './recorded-ids.ts';
import { NOT_YET_PREPARED, type Statement, Statements } from './statements.ts';

/** What a session had and its next connection has not. */
export type StateLost = HeldKind | 'transaction' | 'schema' | 'prepared-statement';

/** What matters of a session: what its commands were recorded with, and what its login chooses. */
export type SessionFacts = Pick<SessionMeta, 'capabilities' | 'login'>;

/** Bounds on the SETs that are kept for a session. What does not fit counts as lost when it would be needed. */
const MOST_SETTINGS = 64;
const MOST_SETTINGS_OCTETS = 64 * 1024;

/** A SET that is to be sent again. */
interface Setting {
  packet: Uint8Array;
  effect: SetEffect;
}

/** A command of ours that gives a new connection something of its session's state; `lost`: what is missing if it fails. */
export interface RebuildStep {
  packet: Uint8Array;
  com: number;
  lost: StateLost;
  /** The statement that this prepares. */
  statement?: Statement;
}

/**
 * What one replayed session has set up on its connection beside data: enough to set it up again on another. Learnt from
 * commands that were carried out; made with the first of them that leaves something behind, because most leave nothing.
 */
export class SessionState {
  /** Prepared statements. */
  readonly statements: Statements;
  /** The session tells its statements the time, or random seeds, itself. */
  setsTime = false;
  readonly #facts: SessionFacts;
  /** Chosen since the login. */
  #schema: string | undefined;
  #option: Uint8Array | undefined;
  #settings: Setting[] = [];
  #settingsOctets = 0;
  /** Settings before this one stay as they are: a later one read variables. */
  #sealed = 0;
  /** What cannot be given back: its kind, under kind and name. */
  #held: Map<string, HeldKind> | undefined;

  constructor(facts: SessionFacts, statements = new Statements()) {
    this.#facts = facts;
    this.statements = statements;
  }

  get schema(): string | undefined {
    return this.#schema;
  }

  /** The same, for another connection. */
  copy(): SessionState {
    const copy = new SessionState(this.#facts, this.statements.copy());
    copy.setsTime = this.setsTime;
    copy.#schema = this.#schema;
    copy.#option = this.#option;
    copy.#settings = [...this.#settings];
    copy.#settingsOctets = this.#settingsOctets;
    copy.#sealed = this.#sealed;
    if (this.#held !== undefined) copy.#held = new Map(this.#held);
    return copy;
  }

  /** `effect` came about; `octets` is the text that it was found in. */
  apply(effect: Effect, octets: Uint8Array, packet: Uint8Array | undefined): void {
    switch (effect.type) {
      case 'schema':
        this.#schema = effect.schema;
        break;
      case 'set':
        this.#set(effect, octets, packet);
        break;
      case 'hold':
        this.hold(effect.kind, effect.name);
        break;
      case 'free':
        this.free(effect.kind, effect.name);
    }
  }

  chose(schema: string): void {
    this.#schema = schema;
  }

  /** COM_SET_OPTION: multiple statements, on or off. */
  setOption(packet: Uint8Array): void {
    this.#option = packet;
  }

  hold(kind: HeldKind, name: string): void {
    this.#held ??= new Map();
    this.#held.set(`${kind} ${name}`, kind);
  }

  free(kind: HeldKind, name?: string): void {
    if (this.#held === undefined) return;
    if (name !== undefined) this.#held.delete(`${kind} ${name}`);
    else for (const key of [...this.#held.keys()]) if (key.startsWith(`${kind} (`)) this.#held.delete(key);
  }

  /** COM_RESET_CONNECTION: all but the schema (and COM_SET_OPTION) is gone. */
  afterReset(): SessionState | undefined {
    if (this.#schema === undefined && this.#option === undefined) return undefined;
    const state = new SessionState(this.#facts);
    state.#schema = this.#schema;
    state.#option = this.#option;
    return state;
  }

  /** The connection is gone. Adds what went with it to `lost`, and holds it no more. */
  disconnected(lost: Set<StateLost>): void {
    this.statements.disconnected();
    for (const kind of this.#held?.values() ?? []) lost.add(kind);
    this.#held = undefined;
    for (const { effect } of this.#settings) {
      if (effect.volatile) for (const key of effect.keys) lost.add(kindOf(key));
    }
  }

  /** What a new connection is to be sent before the session goes on: schema, SETs and statements, each in its order. */
  rebuildSteps(): RebuildStep[] {
    const steps: RebuildStep[] = [];
    const option = this.#option;
    if (option !== undefined) steps.push({ packet: option, com: COM.setOption, lost: 'setting' });
    let current: string | undefined;
    const choose = (schema: string | undefined) => {
      const name = schema ?? latin1Of(this.#facts.login?.schema);
      if (schema === current || name === undefined) return;
      current = schema;
      steps.push({
        packet: commandPacket([COM.initDb], Buffer.from(name, 'latin1')),
        com: COM.initDb,
        lost: 'schema',
      });
    };
    choose(this.#schema);
    for (const { packet, effect } of this.#settings)
      steps.push({ packet, com: COM.query, lost: kindOf(effect.keys[0]) });
    for (const statement of this.statements.open()) {
      choose(statement.schema);
      const { packet } = statement.prepare;
      steps.push({ packet, com: COM.stmtPrepare, lost: 'prepared-statement', statement });
    }
    choose(this.#schema);
    return steps;
  }

  #set(effect: SetEffect, octets: Uint8Array, whole: Uint8Array | undefined): void {
    const { keys, from, to } = effect;
    if (keys.some((key) => key === 'timestamp' || key.startsWith('rand_seed'))) this.setsTime = true;
    if (effect.reads) this.#sealed = this.#settings.length;
    const replaced = new Set(keys);
    this.#settings = this.#settings.filter((setting, i) => {
      if (i < this.#sealed || !setting.effect.keys.every((key) => replaced.has(key))) return true;
      this.#settingsOctets -= setting.packet.length;
      return false;
    });
    for (const key of keys) this.free(kindOf(key), key);
    const packet =
      effect.alone && whole !== undefined
        ? whole
        : queryPacket(octets.subarray(from, to), has(this.#facts.capabilities, CLIENT.queryAttributes));
    const fits = effect.complete && packet.length <= MOST_SETTINGS_OCTETS;
    if (effect.global || !fits) {
      for (const key of keys) this.hold(kindOf(key), key);
      return;
    }
    this.#settings.push({ packet, effect });
    this.#settingsOctets += packet.length;
    while (this.#settings.length > MOST_SETTINGS || this.#settingsOctets > MOST_SETTINGS_OCTETS) {
      const dropped = this.#settings.shift() as Setting;
      this.#settingsOctets -= dropped.packet.length;
      this.#sealed = Math.max(0, this.#sealed - 1);
      for (const key of dropped.effect.keys) this.hold(kindOf(key), key);
    }
  }
}

/** The octets of a name as characters, as those of chosen schemas are. */
function latin1Of(name: string | undefined): string | undefined {
  return name === undefined ? undefined : Buffer.from(name).toString('latin1');
}

function kindOf(key: string): 'user-variable' | 'setting' {
  return key.startsWith('@') ? 'user-variable' : 'setting';
}

/** What a session joined late had, as far as it is known, for `rebuildSteps`. */
export function adoptedState(facts: SessionFacts, adoption: Adoption): SessionState {
  const { statements, settings } = adoption;
  let state = new SessionState(facts);
  const dialect = adoptedDialect(adoption);
  const command = { ordinal: -1, at: 0, expect: EXPECT.result, dialect };
  for (const setting of settings) {
    const packet = queryPacket(Buffer.from(setting), has(facts.capabilities, CLIENT.queryAttributes));
    state = learn(state, facts, { ...command, com: COM.query, packet }, NO_REPLY) ?? state;
  }
  for (const { id, sql } of statements) {
    const packet = commandPacket([COM.stmtPrepare], Buffer.from(sql));
    const prepare = { ...command, com: COM.stmtPrepare, packet, reply: { ...NO_REPLY, statementId: id } };
    state.statements.prepared(prepare, NOT_YET_PREPARED, 0, undefined);
  }
  state.statements.lastIsUnknown();
  return state;
}

/**
 * Takes in that `command` was carried out with `reply`. Returns the state from here on: `state`, or one that is made now,
 * or none.
 */
export function learn(
  state: SessionState | undefined,
  facts: SessionFacts,
  command: Command,
  reply: Reply,
): SessionState | undefined {
  const { com, packet, dialect = 0 } = command;
  switch (com) {
    case COM.query: {
      const from = sqlAt(packet);
      const effects = effectsOf(packet, from, has(facts.capabilities, CLIENT.multiStatements), dialect);
      if (effects === undefined) return state;
      state ??= new SessionState(facts);
      for (const effect of effects) state.apply(effect, packet.subarray(from), packet);
      return state;
    }
    case COM.initDb:
      state ??= new SessionState(facts);
      state.chose(Buffer.from(packet.subarray(5)).toString('latin1'));
      return state;
    case COM.setOption:
      state ??= new SessionState(facts);
      state.setOption(packet);
      return state;
    case COM.stmtPrepare:
      state ??= new SessionState(facts);
      state.statements.prepared(command, reply.statementId, reply.params, state.schema);
      return state;
    case COM.stmtExecute:
      executed(state, command, reply);
      return state;
    case COM.stmtFetch:
      if ((reply.status & STATUS.lastRowSent) !== 0) state?.free('cursor', String(readId(packet)));
      return state;
    case COM.stmtReset:
      state?.free('cursor', String(readId(packet)));
      return state;
    case COM.resetConnection:
      return state?.afterReset();
    default:
      return state;
  }
}

/**
 * The same for a command that was under way when its connection ended. Whether the target carried it out nobody knows, and
 * it does not matter: what the recorded session had from here on is told by the recorded answer.
 */
export function learnRecorded(
  state: SessionState | undefined,
  facts: SessionFacts,
  command: Command,
): SessionState | undefined {
  const { reply } = command;
  if (command.com === COM.stmtPrepare) {
    state ??= new SessionState(facts);
    state.statements.prepared(command, NOT_YET_PREPARED, 0, state.schema);
    return state;
  }
  return reply === undefined || reply.kind === 'err' ? state : learn(state, facts, command, reply);
}

function executed(state: SessionState | undefined, command: Command, reply: Reply): void {
  if (state === undefined) return;
  const id = String(readId(command.packet));
  if ((reply.status & STATUS.cursorExists) !== 0) state.hold('cursor', id);
  else state.free('cursor', id);
  const statement = state.statements.named(command);
  if (statement?.effects === undefined) return;
  const text = statement.prepare.packet.subarray(5);
  for (const effect of statement.effects) {
    if (effect.type !== 'set' || !statement.hasParameters) state.apply(effect, text, undefined);
    // With the values of its parameters, which are not kept.
    else state.apply({ ...effect, complete: false }, text, undefined);
  }
}
