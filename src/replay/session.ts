import { COM, type Command, EXPECT } from '../mysql/command.ts';
import { Login } from '../mysql/login.ts';
import type { Reply } from '../mysql/reply.ts';
import type { MonotonicMs } from '../time.ts';
import type { CloseCause, Connection, ConnectionHandler } from '../transport/transport.ts';
import type { LostCause } from './outcome.ts';
import type { RecordedSession } from './recorded.ts';
import { StatementIds, skipCauseOf } from './rewrite.ts';

const TOO_MANY_CONNECTIONS = 1040;

/** What a connection that did not come about tells whoever has to mend it. */
const CONNECT_HINTS: { readonly [cause in CloseCause]?: string } = {
  refused: 'the target refuses connections on that port: does its server run, and is -x right?',
  timeout:
    "no answer came: does the target listen there, does it route the clients' addresses to the assistant " +
    '(ip route), and does the -F of intercept match its port?',
};

/** A command under way on one copy. */
export interface InFlight {
  command: Command;
  paced: MonotonicMs;
  due: MonotonicMs;
  sent: MonotonicMs;
}

/** What a copy asks of the engine, and tells it. */
export interface SessionOwner {
  now(): MonotonicMs;
  /** When the recorded moment `at` is due. */
  due(at: number): MonotonicMs;
  /** Wake me (`advance`) at `due`. */
  wakeAt(due: MonotonicMs, session: SessionReplay): void;
  connect(session: SessionReplay): Connection;
  opened(session: SessionReplay, connectMs: number): void;
  answered(session: SessionReplay, inFlight: InFlight, reply: Reply | undefined, at: MonotonicMs): void;
  lost(session: SessionReplay, command: Command, cause: LostCause, sent: boolean): void;
  skipped(session: SessionReplay, command: Command, cause: string): void;
  /** This copy is through with the command at `position`. */
  letGo(session: SessionReplay, position: number): void;
  /** Over: `cause` is undefined where it ran to its end. */
  over(session: SessionReplay, cause: LostCause | undefined, detail?: string): void;
}

/** `over` has two faces: with #lostCause set, commands still to come are lost, too. */
type State = 'waiting' | 'connecting' | 'ready' | 'busy' | 'closing' | 'over';

/**
 * One copy of a recorded session: logs in, sends its commands in order, each when it is due and the one before it was
 * answered, and ends as the recorded one did.
 */
export class SessionReplay implements ConnectionHandler {
  readonly recorded: RecordedSession;
  readonly copy: number;
  readonly password: string;
  state: State = 'waiting';
  /** Whether `open` was called. */
  begun = false;
  /** Since when the command under way waits for its answer. */
  busySince: MonotonicMs = 0;
  readonly #owner: SessionOwner;
  #connection: Connection | undefined;
  #login: Login | undefined;
  readonly #statements = new StatementIds();
  /** Position of the next command to send. */
  #next = 0;
  #current: InFlight | undefined;
  /** Commands without an answer, sent since the last answer: known to have arrived when the next answer comes. */
  #unanswered: InFlight[] = [];
  /** Since when the next command could have gone. */
  #readyAt: MonotonicMs = 0;
  #connectAt: MonotonicMs = 0;
  #wakeDue: MonotonicMs = -1;
  #quit = false;
  #stopping = false;
  #lostCause: LostCause | undefined;
  #lostDetail: string | undefined;

  constructor(recorded: RecordedSession, copy: number, password: string, owner: SessionOwner) {
    this.recorded = recorded;
    this.copy = copy;
    this.password = password;
    this.#owner = owner;
  }

  /** Connects. */
  open(): void {
    this.begun = true;
    this.state = 'connecting';
    this.#connectAt = this.#owner.now();
    this.busySince = this.#connectAt;
    this.#connection = this.#owner.connect(this);
  }

  /** Sends what is due. To be called when a command or the end was read, and when it is time. */
  advance(): void {
    while (this.state === 'ready') {
      if (this.#stopping) {
        this.#finish('interrupted');
        return;
      }
      const command = this.recorded.at(this.#next);
      if (command === undefined) {
        this.#closeIfDue();
        return;
      }
      const due = this.#owner.due(command.at);
      const now = this.#owner.now();
      if (due > now) {
        this.#wakeAt(due);
        return;
      }
      this.#send(command, due, now);
    }
    // It failed, or was stopped: what was read since is lost with it.
    if (this.state === 'over' && this.#lostCause !== undefined) this.#loseRest(this.#lostCause);
  }

  /** How long the answer under way may take: `leastMs`, or `factor` times the recorded one. */
  patienceMs(leastMs: number, factor: number): number {
    const command = this.#current?.command;
    const recordedMs = command?.reply === undefined ? 0 : (command.reply.at - command.at) / 1e6;
    return Math.max(leastMs, factor * recordedMs);
  }

  /** The run is being stopped: the command under way may finish, no other begins. */
  stop(): void {
    this.#stopping = true;
    if (this.state === 'waiting') this.#end('interrupted');
    else if (this.state === 'ready') this.advance();
    else if (this.state === 'connecting') this.cut('interrupted');
  }

  /** Ends at once, by RST. */
  cut(cause: LostCause): void {
    if (this.state === 'over') return;
    this.#lostCause ??= cause;
    if (this.#connection === undefined) this.#end(cause);
    else this.#connection.abort();
  }

  // ConnectionHandler

  established(): void {
    const { meta } = this.recorded;
    if (meta.login === undefined) throw new Error('a session without login was scheduled');
    this.#login = new Login({ recorded: meta.login, user: meta.login.user, password: this.password });
  }

  packet(octets: Uint8Array): void {
    const step = this.#login?.onPacket(octets);
    if (step === undefined || this.state !== 'connecting') return;
    if (step.type === 'send') this.#connection?.writeLogin(step.octets);
    else if (step.type === 'failed') {
      this.#lostDetail = `user ${this.recorded.meta.login?.user}: ${step.message}`;
      this.#finish(step.errno === TOO_MANY_CONNECTIONS ? 'too-many-connections' : 'auth');
    } else if (step.type === 'done') {
      this.#login = undefined;
      this.#connection?.commandPhase(step.capabilities, step.extendedCapabilities);
      const now = this.#owner.now();
      this.#readyAt = now;
      this.state = 'ready';
      this.#owner.opened(this, now - this.#connectAt);
      this.advance();
    }
  }

  reply(reply: Reply, receivedAt: MonotonicMs): void {
    const inFlight = this.#current;
    if (inFlight === undefined) return;
    this.#current = undefined;
    const { command } = inFlight;
    if (command.com === COM.stmtPrepare) this.#statements.prepared(command, reply.statementId);
    else if (command.com === COM.resetConnection && reply.kind === 'ok') this.#statements.clear();
    this.#confirm();
    this.#readyAt = receivedAt;
    this.#owner.answered(this, inFlight, reply, receivedAt);
    if (this.state === 'busy') {
      this.state = 'ready';
      this.advance();
    }
  }

  closed(cause: CloseCause): void {
    if (this.state === 'over') return;
    if (this.state === 'connecting') this.#lostDetail ??= CONNECT_HINTS[cause];
    // The server closed first, as the recorded one did: a little early is no loss.
    if (this.state === 'ready' && cause === 'fin' && this.#isIdleToTheEnd) this.state = 'closing';
    // A server that has read COM_QUIT, or answered all, closes in order or not; and our own RST is an end, where the
    // recorded one was.
    const inOrder =
      this.state === 'closing' &&
      (cause === 'fin' ||
        cause === 'aborted' ||
        (cause === 'reset' && (this.#quit || this.#unanswered.length === 0)));
    // An end that we cut short shows nothing of what arrived.
    if (inOrder && (cause !== 'aborted' || this.#lostCause === undefined)) this.#confirm();
    if (inOrder && this.#lostCause === undefined) this.#end(undefined);
    else this.#end(this.#lostCause ?? lostBy(cause, this.state === 'connecting'));
  }

  /** Nothing is left to send or to be answered, and the recorded session ended by FIN. */
  get #isIdleToTheEnd(): boolean {
    const { close, end } = this.recorded;
    return close?.how === 'fin' && this.#next === end && this.#unanswered.length === 0;
  }

  #send(command: Command, paced: MonotonicMs, now: MonotonicMs): void {
    const position = this.#next++;
    this.#owner.letGo(this, position);
    // Its answer was decoded since it was scheduled, and shows a command that we cannot carry out.
    const skip = skipCauseOf(command);
    if (skip !== undefined) {
      this.#owner.skipped(this, command, skip);
      return;
    }
    const packet = this.#statements.rewrite(command);
    if (packet === undefined) {
      this.#owner.lost(this, command, 'unprepared', false);
      return;
    }
    const inFlight = { command, paced, due: Math.max(paced, this.#readyAt), sent: now };
    const connection = this.#connection;
    if (command.expect !== EXPECT.none) {
      this.#current = inFlight;
      this.state = 'busy';
      this.busySince = now;
      connection?.write(packet, command.expect);
      return;
    }
    this.#unanswered.push(inFlight);
    if (command.com !== COM.quit) {
      connection?.write(packet, command.expect);
      return;
    }
    this.#quit = true;
    this.state = 'closing';
    this.busySince = now;
    connection?.write(packet, command.expect);
    connection?.end();
  }

  #closeIfDue(): void {
    const { close } = this.recorded;
    if (close === undefined) return;
    const due = this.#owner.due(close.at);
    const now = this.#owner.now();
    if (due > now) {
      this.#wakeAt(due);
      return;
    }
    this.state = 'closing';
    this.busySince = now;
    if (close.how === 'rst') this.#connection?.abort();
    else this.#connection?.end();
  }

  /** Asks to be woken; once is enough however often more of the recording is read meanwhile. */
  #wakeAt(due: MonotonicMs): void {
    if (due === this.#wakeDue) return;
    this.#wakeDue = due;
    this.#owner.wakeAt(due, this);
  }

  /** Closes in order, but as a session that is lost by `cause`. */
  #finish(cause: LostCause): void {
    this.#lostCause = cause;
    this.state = 'closing';
    this.busySince = this.#owner.now();
    this.#connection?.end();
  }

  /** What was sent without an answer to come is known to have arrived. */
  #confirm(): void {
    if (this.#unanswered.length === 0) return;
    const unanswered = this.#unanswered;
    this.#unanswered = [];
    const now = this.#owner.now();
    for (const inFlight of unanswered) this.#owner.answered(this, inFlight, undefined, now);
  }

  #end(cause: LostCause | undefined): void {
    this.state = 'over';
    this.#connection = undefined;
    this.#login = undefined;
    // Even a session that ended well loses what was recorded behind its end: the count must add up.
    const behind = cause ?? 'reset';
    this.#lostCause = behind;
    for (const { command } of this.#unanswered) this.#owner.lost(this, command, behind, true);
    this.#unanswered = [];
    if (this.#current !== undefined) this.#owner.lost(this, this.#current.command, behind, true);
    this.#current = undefined;
    const lostSome = this.#next < this.recorded.end;
    this.#loseRest(behind);
    this.#owner.over(this, cause ?? (lostSome ? 'reset' : undefined), this.#lostDetail);
  }

  #loseRest(cause: LostCause): void {
    while (this.#next < this.recorded.end) {
      const position = this.#next++;
      const command = this.recorded.at(position);
      if (command !== undefined) this.#owner.lost(this, command, cause, false);
      this.#owner.letGo(this, position);
    }
  }
}

function lostBy(cause: CloseCause, connecting: boolean): LostCause {
  switch (cause) {
    case 'fin':
    case 'reset':
    case 'aborted':
      return connecting ? 'connect' : 'reset';
    case 'refused':
      return 'connect';
    case 'timeout':
      return connecting ? 'connect' : 'timeout';
    default:
      return cause;
  }
}
