import { COM, type Command } from '../../mysql/command.ts';
import type { HandshakeResponse } from '../../mysql/handshake.ts';
import { STATUS } from '../../mysql/packet.ts';
import type { Reply } from '../../mysql/reply.ts';
import { isRolledBack } from '../../mysql/rolled-back.ts';
import type { Adoption } from '../accounts/adoption.ts';
import type { SessionBeforeWindow } from './before-window.ts';
import {
  adoptedState,
  learn,
  learnRecorded,
  type RebuildStep,
  type SessionFacts,
  SessionState,
  type StateLost,
} from './session-state.ts';
import { namesStatement, type Statements } from './statements.ts';

/** What a session has on its connection, and its next connection must be given: learnt from each command that was answered. */
export class Holdings {
  #inTransaction = false;
  #facts: SessionFacts;
  /** undefined: it has set up nothing so far, as most do not. */
  #state: SessionState | undefined;

  constructor(facts: SessionFacts) {
    this.#facts = facts;
  }

  /** Whether the target has a transaction of it open. */
  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  get statements(): Statements {
    this.#state ??= new SessionState(this.#facts);
    return this.#state.statements;
  }

  /** The session tells its statements the time itself. */
  get setsTime(): boolean {
    return this.#state?.setsTime === true;
  }

  /** What holds the text that `command` executes. */
  textOf(command: Command): Command {
    return this.#state?.statements.textOf(command) ?? command;
  }

  /** Whether `command` names a statement of which the recording is about to tell which it is. */
  awaitsStatement(command: Command): boolean {
    return this.#state !== undefined && namesStatement(command) && this.#state.statements.isPending(command);
  }

  /** The session had this before the part of the recording that is replayed. What cannot be given to copy `copy` is added to `lost`. */
  beginFrom(before: SessionBeforeWindow, copy: number, lost: Set<StateLost>): void {
    this.#state = before.begin(copy, lost);
  }

  /** The session had this before the recording began. */
  adopt(adoption: Adoption): void {
    this.#state ??= adoptedState(this.#facts, adoption);
  }

  /** What a new connection is to be sent. */
  rebuildSteps(): RebuildStep[] {
    return this.#state?.rebuildSteps() ?? [];
  }

  /** `command` was carried out, or failed, with `reply`. `changedTo`: the login that it has changed to, if it did. */
  answered(command: Command, reply: Reply, changedTo: HandshakeResponse | undefined): void {
    if (changedTo !== undefined) this.#changeUser(changedTo);
    else if (reply.kind !== 'err' || command.com === COM.stmtPrepare)
      this.#state = learn(this.#state, this.#facts, command, reply);
    this.#noteTransaction(command, reply);
  }

  /** Our ROLLBACK was carried out. */
  rolledBack(): void {
    this.#inTransaction = false;
  }

  /**
   * The connection is gone; what went with it for good is added to `lost`. Whether `underWay`, which was not answered, was carried out
   * does not matter: what the recorded session had after it is told by the recorded answer. `changedTo` as for `answered`.
   */
  disconnected(
    underWay: Command | undefined,
    changedTo: HandshakeResponse | undefined,
    lost: Set<StateLost>,
  ): void {
    if (this.#inTransaction) lost.add('transaction');
    if (underWay !== undefined) {
      const { reply } = underWay;
      if (changedTo !== undefined) this.#changeUser(changedTo);
      else this.#state = learnRecorded(this.#state, this.#facts, underWay);
      if (reply !== undefined) this.#noteTransaction(underWay, reply);
      if (this.#inTransaction) lost.add('transaction');
    }
    this.#inTransaction = false;
    this.#state?.disconnected(lost);
  }

  /** Of what the session had on its connection nothing is left. */
  #changeUser(login: HandshakeResponse): void {
    this.#facts = { ...this.#facts, login };
    this.#state = undefined;
    this.#inTransaction = false;
  }

  #noteTransaction({ com }: Command, reply: Reply): void {
    const { kind, status } = reply;
    if (kind === 'err') {
      if (isRolledBack(reply)) this.#inTransaction = false;
    } else if (kind !== 'text' && com !== COM.stmtPrepare && com !== COM.fieldList) {
      this.#inTransaction = (status & STATUS.inTransaction) !== 0;
    }
  }
}
