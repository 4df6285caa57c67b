import type { FlowEvent, SessionMeta } from '../flow/events.ts';
import { Pacer } from '../flow/pacer.ts';
import { COM, type Command, type LocalFile } from '../mysql/command.ts';
import type { Reply } from '../mysql/reply.ts';
import type { CaptureNs, Clock, MonotonicMs } from '../time.ts';
import type { CloseCause, Connection, Transport } from '../transport/transport.ts';
import { Admission } from './admission.ts';
import { notComparable } from './comparable.ts';
import type { ConnectionIds } from './connection-ids.ts';
import { Contact, type Stage } from './contact.ts';
import type { Filters } from './filters.ts';
import { DueHeap } from './heap.ts';
import type { Logins } from './logins.ts';
import { divergenceOf, type LostCause, type Observer, type Outcome } from './outcome.ts';
import { Pins } from './pins.ts';
import { RecordedSession } from './recorded.ts';
import type { SchemaRemap } from './remap.ts';
import { look, remapCommand } from './rewrite.ts';
import { type InFlight, type SessionOwner, SessionReplay } from './session.ts';
import type { StateLost } from './session-state.ts';
import { counts, hasCopy, type Share, WHOLE } from './share.ts';
import { sqlAt } from './sql.ts';

/** How far ahead of what is due the recording is read, ms of the replay's own time. */
const READ_AHEAD_MS = 2_000;

/** Bounds on what is read and not yet sent by every copy: memory stays flat however slow the target is. */
const MAX_BUFFERED_COMMANDS = 20_000;
const MAX_BUFFERED_OCTETS = 128 << 20;

/** An answer may take as long as this, or as this many times the recorded one, whichever is more. */
export const REPLY_TIMEOUT_MS = 300_000;
const REPLY_TIMEOUT_FACTOR = 20;

/** How long a connection with its login may take, ms … */
export const CONNECT_TIMEOUT_MS = 60_000;

/** … and the end of one. */
const CLOSE_TIMEOUT_MS = 60_000;

const SWEEP_MS = 1_000;

/** The longest that a timer of Node's can wait; one that is told to wait longer fires at once. */
const MAX_TIMER_MS = 0x7fffffff;

export interface EngineOptions {
  copies: number;
  /** Infinity: as fast as the target takes it. */
  speed: number;
  clock: Clock;
  /** Who the recorded users are on the target. */
  logins: Logins;
  /** Which connections of the target are in the place of the recorded ones, as KILL names them; undefined: none is known. */
  connections?: ConnectionIds | undefined;
  /** Which recorded sessions run; undefined: all. */
  filters?: Filters | undefined;
  /** Schemas that have other names on the target. */
  remapSchema?: SchemaRemap | undefined;
  /** Statements are told the time, insert ids and random seeds: `originSec` is that of the recording. */
  pinTime?: { originSec: number } | undefined;
  /** Default CONNECT_TIMEOUT_MS. */
  connectTimeoutMs?: number | undefined;
  /** Default REPLY_TIMEOUT_MS. */
  replyTimeoutMs?: number | undefined;
  /** What this engine has of the run; default: all. */
  share?: Share;
  /** What is recorded `at` is due `now`: the same for every share of a run. Default: the first session, when it is read. */
  anchor?: { at: CaptureNs; now: MonotonicMs };
}

/** Whether an answer that differs need not have. */
function isComparable({ command, text }: Outcome): boolean {
  return command.com !== COM.processInfo && notComparable(text.packet, sqlAt(text.packet)) === undefined;
}

/**
 * Replays what a decoder tells (FlowEvents) onto a transport: N copies of each session, each paced from one anchor,
 * every command accounted for to the observers. Of several engines that share a run, exactly one tells of each
 * recorded session and command as such.
 */
export class Engine implements SessionOwner {
  readonly #options: EngineOptions;
  readonly #transport: Transport;
  readonly #observers: readonly Observer[];
  readonly #share: Share;
  readonly #recorded = new Map<number, RecordedSession>();
  /** Recorded sessions of which no copy runs. */
  readonly #skipped = new Map<number, string>();
  readonly #live = new Set<SessionReplay>();
  readonly #due = new DueHeap<SessionReplay>();
  readonly #pins: Pins | undefined;
  readonly #admission: Admission | undefined;
  readonly #contact = new Contact();
  readonly #connectTimeoutMs: number;
  readonly #replyTimeoutMs: number;
  #pacer: Pacer | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerDue = Number.POSITIVE_INFINITY;
  #bufferedCommands = 0;
  #bufferedOctets = 0;
  #wakeReader: (() => void) | undefined;
  #readerUntil: MonotonicMs = Number.NEGATIVE_INFINITY;
  #wakeEnd: (() => void) | undefined;
  #stopped = false;

  constructor(options: EngineOptions, transport: Transport, observers: readonly Observer[]) {
    this.#options = options;
    this.#transport = transport;
    this.#observers = observers;
    this.#share = options.share ?? WHOLE;
    if (options.pinTime !== undefined) this.#pins = new Pins(options.pinTime.originSec);
    this.#connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    this.#replyTimeoutMs = options.replyTimeoutMs ?? REPLY_TIMEOUT_MS;
    if (!Number.isFinite(options.speed)) this.#admission = new Admission(options.copies);
    if (options.anchor !== undefined)
      this.#pacer = new Pacer(options.speed, options.anchor.at, options.anchor.now);
  }

  /** Resolves when every session that was begun is over. Rejects where the recording cannot be read. */
  async run(events: AsyncIterable<readonly FlowEvent[]>): Promise<void> {
    const sweep = setInterval(() => this.#sweep(), SWEEP_MS);
    try {
      for await (const batch of events) {
        // Stopped while this batch was awaited: what it would begin, nobody would end.
        if (this.#stopped) break;
        for (const event of batch) this.#take(event);
        this.#transport.flush();
        const last = batch.at(-1);
        if (last !== undefined) await this.#room(last.at);
        if (this.#stopped) break;
      }
      await this.#allOver();
    } finally {
      clearInterval(sweep);
      clearTimeout(this.#timer);
    }
    for (const recorded of this.#recorded.values()) this.#tellParked(recorded);
  }

  /** Ends the run early: what is under way may finish, the rest is lost as interrupted. */
  stop(): void {
    this.#stopped = true;
    this.#wakeReader?.();
    for (const session of [...this.#live]) session.stop();
    this.#transport.flush();
  }

  /** Ends the run at once, by RST. */
  cut(): void {
    this.#stopped = true;
    this.#wakeReader?.();
    for (const session of [...this.#live]) session.cut('interrupted');
    this.#transport.flush();
  }

  // SessionOwner

  get logins(): Logins {
    return this.#options.logins;
  }

  get pins(): Pins | undefined {
    return this.#pins;
  }

  pinRefused({ recorded, copy }: SessionReplay): void {
    for (const observer of this.#observers) observer.pinRefused?.(recorded.meta, copy);
  }

  get tls(): boolean {
    return this.#transport.tls === true;
  }

  numbered({ recorded, copy }: SessionReplay, connectionId: number | undefined): void {
    const { connections } = this.#options;
    if (connectionId === undefined) connections?.closed(recorded.meta.id, copy);
    else connections?.opened(recorded.meta.id, copy, connectionId);
  }

  connectionOf(connectionId: number, copy: number): number | undefined {
    return this.#options.connections?.find(connectionId, copy);
  }

  now(): MonotonicMs {
    return this.#options.clock.now();
  }

  due(at: number): MonotonicMs {
    return (this.#pacer as Pacer).due(at);
  }

  wakeAt(due: MonotonicMs, session: SessionReplay): void {
    this.#due.push(due, session);
    this.#arm();
  }

  connect(session: SessionReplay): Connection {
    const { client } = session.recorded.meta;
    this.#contact.tried(this.now(), client.text);
    return this.#transport.connect({ client, copy: session.copy }, session);
  }

  accepted(): void {
    this.#contact.accepted();
  }

  greeted(): void {
    this.#contact.greeted();
  }

  failed(_session: SessionReplay, cause: CloseCause, stage: Stage): MonotonicMs {
    const until = this.#contact.failed(this.now(), cause, stage);
    this.#tellTrouble();
    return until;
  }

  reconnected(session: SessionReplay, lost: ReadonlySet<StateLost>, commands: number): void {
    this.#contact.reached();
    for (const observer of this.#observers)
      observer.reconnected?.(session.recorded.meta, session.copy, lost, commands);
  }

  adopted(session: SessionReplay, lost: ReadonlySet<StateLost>, commands: number): void {
    for (const observer of this.#observers)
      observer.adopted?.(session.recorded.meta, session.copy, lost, commands);
  }

  opened(session: SessionReplay, connectMs: number): void {
    this.#contact.reached();
    for (const observer of this.#observers) observer.opened?.(session.recorded.meta, session.copy, connectMs);
  }

  answered(
    session: SessionReplay,
    inFlight: InFlight,
    reply: Reply | undefined,
    answered: MonotonicMs,
  ): void {
    this.#contact.reached();
    const { command, text, paced, due, sent } = inFlight;
    const { meta, close, parked, repliedTo } = session.recorded;
    const outcome: Outcome = {
      session: meta,
      copy: session.copy,
      command,
      text,
      paced,
      due,
      sent,
      answered,
      reply,
    };
    const mayCome = close === undefined && command.ordinal > repliedTo && !this.#stopped;
    if (reply !== undefined && command.reply === undefined && mayCome) {
      const before = parked.get(command);
      if (before === undefined) parked.set(command, [outcome]);
      else before.push(outcome);
      return;
    }
    this.#tell(outcome);
  }

  lost(session: SessionReplay, command: Command, cause: LostCause, sent: boolean): void {
    const { meta } = session.recorded;
    for (const observer of this.#observers) observer.lost?.(meta, session.copy, command, cause, sent);
  }

  skipped(session: SessionReplay, command: Command, cause: string): void {
    for (const observer of this.#observers) observer.skipped?.(session.recorded.meta, command, cause, 1);
  }

  letGo(session: SessionReplay, position: number): void {
    const command = session.recorded.at(position);
    if (command === undefined || !session.recorded.letGo(position)) return;
    const wasFull = !this.#hasRoom();
    this.#bufferedCommands--;
    this.#bufferedOctets -= command.packet.length;
    if (session.recorded.countedFiles?.delete(command) === true)
      this.#bufferedOctets -= command.file?.octets ?? 0;
    if (wasFull && this.#hasRoom()) this.#wakeReader?.();
  }

  over(session: SessionReplay, cause: LostCause | undefined, detail?: string): void {
    const { meta } = session.recorded;
    for (const observer of this.#observers) {
      if (cause === undefined) observer.completed?.(meta, session.copy);
      else observer.sessionLost?.(meta, session.copy, cause, detail);
    }
    this.#live.delete(session);
    // Once stopped, no place is given to the next: it would connect only to be cut.
    if (session.begun && !this.#stopped) this.#admission?.left(session);
    if (this.#live.size === 0) this.#wakeEnd?.();
  }

  // What was read.

  #take(event: FlowEvent): void {
    const { session } = event;
    if (this.#pacer === undefined) this.#pacer = new Pacer(this.#options.speed, session.at, this.now());
    switch (event.type) {
      case 'open':
        this.#begin(session);
        break;
      case 'command':
        this.#command(session, event.command);
        break;
      case 'reply':
        this.#replied(session, event.command);
        break;
      case 'lost': {
        const lossy = this.#recorded.get(session.id);
        if (lossy !== undefined) this.#missed(lossy);
        if (!counts(this.#share, session.id)) break;
        for (const observer of this.#observers) observer.unreadable?.(session, event.cause, event.commands);
        break;
      }
      case 'skip':
        if (!counts(this.#share, session.id)) break;
        for (const observer of this.#observers)
          observer.sessionSkipped?.(session, event.cause, event.commands);
        break;
      case 'close': {
        this.#skipped.delete(session.id);
        const recorded = this.#recorded.get(session.id);
        if (recorded === undefined) break;
        this.#recorded.delete(session.id);
        recorded.close = { how: event.how, at: event.at };
        this.#tellParked(recorded);
        for (const copy of recorded.copies) {
          this.#admission?.ended(copy.copy);
          copy.advance();
        }
        break;
      }
    }
  }

  #begin(meta: SessionMeta): void {
    const { copies, logins, connections, filters } = this.#options;
    connections?.recorded(meta.id, meta.connectionId);
    const plan = filters?.has(meta) === false ? 'filtered' : logins.plan(meta);
    const cause = typeof plan === 'string' ? plan : this.#transport.refuses({ client: meta.client, copy: 0 });
    if (typeof plan === 'string' || cause !== undefined) {
      this.#skipped.set(meta.id, cause as string);
      if (!counts(this.#share, meta.id)) return;
      for (const observer of this.#observers) observer.sessionSkipped?.(meta, cause as string, 0);
      return;
    }
    // What it logs in with, where that was not captured.
    meta.login = plan.recorded;
    if (plan.adoption !== undefined) meta.capabilities = plan.recorded.capabilities;
    const recorded = new RecordedSession(meta);
    this.#recorded.set(meta.id, recorded);
    for (let copy = 0; copy < copies; copy++) {
      if (!hasCopy(this.#share, meta.id, copy)) continue;
      const session = new SessionReplay(recorded, copy, plan, this);
      recorded.copies.push(session);
      this.#live.add(session);
      for (const observer of this.#observers) observer.scheduled?.(meta, copy);
    }
    for (const session of recorded.copies) {
      if (this.#admission !== undefined) this.#admission.admit(session);
      else this.#openOrWait(session);
    }
  }

  #openOrWait(session: SessionReplay): void {
    const due = this.due(session.recorded.meta.at);
    if (due > this.now()) this.wakeAt(due, session);
    else session.open();
  }

  #command(meta: SessionMeta, command: Command): void {
    const counted = counts(this.#share, meta.id);
    if (counted) for (const observer of this.#observers) observer.captured?.(meta, command);
    const cause = this.#skipped.get(meta.id) ?? look(command);
    const recorded = this.#recorded.get(meta.id);
    if (cause !== undefined || recorded === undefined) {
      if (!counted) return;
      for (const observer of this.#observers) {
        observer.skipped?.(meta, command, cause as string, this.#options.copies);
      }
      return;
    }
    const { remapSchema } = this.#options;
    if (remapSchema !== undefined) remapCommand(command, remapSchema);
    recorded.add(command, recorded.copies.length);
    this.#bufferedCommands++;
    this.#bufferedOctets += command.packet.length;
    for (const copy of recorded.copies) copy.advance();
  }

  #replied(meta: SessionMeta, command: Command): void {
    const recorded = this.#recorded.get(meta.id);
    if (recorded === undefined) return;
    const { parked } = recorded;
    recorded.repliedTo = command.ordinal;
    // Answers come in the order of their commands: those that are still missing before this one do not come.
    if (parked.size > 0) {
      for (const [waiting, outcomes] of parked) {
        if (waiting.ordinal > command.ordinal) break;
        parked.delete(waiting);
        for (const outcome of outcomes) this.#tell(outcome);
      }
    }
    if (command.file !== undefined) this.#bufferFile(recorded, command, command.file);
    if (!recorded.awaitsReply) return;
    recorded.awaitsReply = false;
    for (const copy of recorded.copies) copy.advance();
  }

  /** Recorded answers were missed: of the commands so far none comes any more that is not there. */
  #missed(recorded: RecordedSession): void {
    recorded.missed();
    this.#tellParked(recorded);
    for (const copy of recorded.copies) copy.advance();
  }

  /** A file counts as what is read ahead as long as its command does. */
  #bufferFile(recorded: RecordedSession, command: Command, { octets }: LocalFile): void {
    if (!recorded.holds(command)) return;
    recorded.countedFiles ??= new Set();
    recorded.countedFiles.add(command);
    this.#bufferedOctets += octets;
  }

  /** The recorded answers that these waited for never came. */
  #tellParked({ parked }: RecordedSession): void {
    for (const outcomes of parked.values()) {
      for (const outcome of outcomes) this.#tell(outcome);
    }
    parked.clear();
  }

  /** Tells observers of `outcome`, now that the recorded answer is known, or known not to come. */
  #tell(outcome: Outcome): void {
    let divergence = divergenceOf(outcome.command.reply, outcome.reply);
    if ((divergence === 'data' || divergence === 'rows') && !isComparable(outcome))
      divergence = 'not-comparable';
    for (const observer of this.#observers) observer.answered?.(outcome, divergence);
  }

  // When to read on.

  #hasRoom(): boolean {
    return this.#bufferedCommands < MAX_BUFFERED_COMMANDS && this.#bufferedOctets < MAX_BUFFERED_OCTETS;
  }

  /** Waits until there is room, and until what was recorded `at` is not far ahead. */
  #room(at: number): Promise<void> | undefined {
    const until = this.due(at) - READ_AHEAD_MS;
    if (this.#hasRoom() && until <= this.now()) return undefined;
    return new Promise((resolve) => {
      this.#readerUntil = until;
      this.#wakeReader = () => {
        if (!this.#stopped && !(this.#hasRoom() && this.#readerUntil <= this.now())) {
          this.#arm();
          return;
        }
        this.#wakeReader = undefined;
        this.#readerUntil = Number.NEGATIVE_INFINITY;
        resolve();
      };
      this.#arm();
    });
  }

  #allOver(): Promise<void> | undefined {
    if (this.#live.size === 0) return undefined;
    return new Promise((resolve) => {
      this.#wakeEnd = resolve;
    });
  }

  // Time.

  #arm(): void {
    // A reader that waits for room is woken by `letGo`, at no time of its own.
    const readerDue = this.#wakeReader === undefined || !this.#hasRoom() ? Infinity : this.#readerUntil;
    const next = Math.min(this.#due.nextDue, readerDue);
    if (next >= this.#timerDue || next === Infinity) return;
    clearTimeout(this.#timer);
    this.#timerDue = next;
    const waitMs = Math.min(MAX_TIMER_MS, Math.max(0, next - this.now()));
    this.#timer = setTimeout(() => this.#wake(), waitMs);
  }

  #wake(): void {
    this.#timerDue = Number.POSITIVE_INFINITY;
    const now = this.now();
    while (this.#due.nextDue <= now) {
      const session = this.#due.pop();
      if (session.state === 'waiting') session.open();
      else session.advance();
    }
    if (this.#readerUntil <= now && this.#hasRoom()) this.#wakeReader?.();
    this.#transport.flush();
    this.#arm();
  }

  #sweep(): void {
    const now = this.now();
    for (const session of [...this.#live]) {
      if (now - session.busySince <= this.#patienceMs(session)) continue;
      if (session.state === 'connecting') session.giveUpConnecting();
      else session.cut('timeout');
    }
    this.#tellTrouble();
    this.#transport.flush();
  }

  /** How long `session` may be in the state that it is in. */
  #patienceMs(session: SessionReplay): number {
    switch (session.state) {
      case 'busy':
      case 'rebuilding':
        return session.patienceMs(this.#replyTimeoutMs, REPLY_TIMEOUT_FACTOR);
      case 'connecting':
        return this.#connectTimeoutMs;
      case 'closing':
        return CLOSE_TIMEOUT_MS;
      default:
        return Number.POSITIVE_INFINITY;
    }
  }

  #tellTrouble(): void {
    const trouble = this.#contact.trouble(this.now());
    if (trouble === undefined) return;
    for (const observer of this.#observers) observer.trouble?.(trouble);
  }
}
