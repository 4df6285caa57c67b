import type { CloseHow, FlowEvent, RecordedRequest, SessionMeta } from '../../flow/events.ts';
import { SessionTimes } from '../../flow/timetable.ts';
import { type Command, EXPECT } from '../../mysql/command.ts';
import type { CaptureNs } from '../../time.ts';
import type { LoginPlan } from '../accounts/logins.ts';
import { type Destination, ONLY } from '../mappings.ts';
import { MYSQL, type Protocol } from '../protocol.ts';
import { RecordedSession } from '../recorded.ts';
import type { ReplayedSession } from '../replayed-session.ts';
import { SessionBeforeWindow } from '../session/before-window.ts';
import { remappedPacket, rewrittenPacket } from '../session/rewrite.ts';
import { counts, type Share } from '../share.ts';
import type { Observers } from './observers.ts';
import type { EngineOptions } from './options.ts';

/** What becomes of what is taken in. */
export interface IntakeOwner {
  /** Why no connection to its target can carry `session`, now. */
  refuses(session: SessionMeta, target: number): string | undefined;
  /** The part of the recording to replay begins. */
  windowBegins(from: CaptureNs): void;
  /** `recorded` is to run, in copies that log in by `plan`; undefined: nobody logs in. */
  begin(recorded: RecordedSession<ReplayedSession>, plan: LoginPlan | undefined): void;
  /** `command` is in the session's queue. */
  read(recorded: RecordedSession<ReplayedSession>, command: RecordedRequest): void;
  /** Its recorded answer was read. */
  replied(recorded: RecordedSession<ReplayedSession>, command: RecordedRequest): void;
  /** Recorded answers were missed. */
  missed(recorded: RecordedSession<ReplayedSession>): void;
  /** The session's end was read. */
  ended(recorded: RecordedSession<ReplayedSession>): void;
}

/** Why a session of a server that no mapping names is skipped. */
const OTHER_SERVER = 'other-server';

/** Where a session begins in the replayed part of the recording; `before`: what it had by then. */
interface Beginning {
  at: CaptureNs;
  loggedInAt: CaptureNs;
  destination: Destination;
  before?: SessionBeforeWindow | undefined;
}

/**
 * Takes in what a decoder tells: decides what of it this run replays, once for all copies, and says of the rest by what name it is
 * left out. Of several that share a run, exactly one tells of each recorded session and command as such.
 */
export class Intake {
  readonly #options: EngineOptions;
  readonly #protocol: Protocol;
  readonly #share: Share;
  readonly #observers: Observers;
  readonly #owner: IntakeOwner;
  readonly #recorded = new Map<number, RecordedSession<ReplayedSession>>();
  /** Recorded sessions of which no copy runs. */
  readonly #skipped = new Map<number, { meta: SessionMeta; cause: string }>();
  /** Those that began before the window, and have not reached it. */
  readonly #beforeWindow = new Map<number, SessionBeforeWindow>();
  #windowBegun: boolean;

  constructor(options: EngineOptions, share: Share, observers: Observers, owner: IntakeOwner) {
    this.#options = options;
    this.#protocol = options.protocol ?? MYSQL;
    this.#share = share;
    this.#observers = observers;
    this.#owner = owner;
    this.#windowBegun = options.window?.from === undefined;
  }

  /** Whether what is read is to be replayed, or comes before that. */
  get windowBegun(): boolean {
    return this.#windowBegun;
  }

  /** Sessions that run, whose end was not read. */
  get recorded(): Iterable<RecordedSession<ReplayedSession>> {
    return this.#recorded.values();
  }

  /** Returns false where the window has ended with it. */
  take(batch: readonly FlowEvent<RecordedRequest>[]): boolean {
    const { from, to } = this.#options.window ?? {};
    for (const event of batch) {
      if (to !== undefined && event.at >= to) {
        this.#closeAll(to);
        return false;
      }
      if (!this.#windowBegun && event.at >= (from as CaptureNs)) this.#beginWindow(from as CaptureNs);
      this.#take(event);
    }
    return true;
  }

  /** Nothing more comes. */
  finish(): void {
    for (const { meta } of this.#beforeWindow.values()) this.#tellSkipped(meta, 'out-of-window');
    for (const { meta } of this.#skipped.values()) this.#tellCovered(meta);
  }

  /** With the sessions that are open. */
  #beginWindow(from: CaptureNs): void {
    this.#windowBegun = true;
    this.#owner.windowBegins(from);
    for (const before of this.#beforeWindow.values()) {
      if (this.#isCounted(before.meta)) continue;
      const destination = this.#destinationOf(before.meta);
      if (before.isKnown && destination !== undefined)
        this.#schedule(before.meta, before.plan, { at: from, loggedInAt: from, destination, before });
      else this.#tellSkipped(before.meta, 'out-of-window');
    }
    this.#beforeWindow.clear();
  }

  /** The recording ends for this run: so do all sessions that are open. */
  #closeAll(at: CaptureNs): void {
    for (const recorded of [...this.#recorded.values()]) this.#close(recorded, 'cut', at);
  }

  #take(event: FlowEvent<RecordedRequest>): void {
    const { session } = event;
    // What comes before the window is counted anew by each run.
    if (this.#windowBegun && this.#isCounted(session)) return;
    switch (event.type) {
      case 'open':
        this.#options.voice?.heardSession(session);
        this.#begin(session, event.at);
        break;
      case 'command':
        this.#command(session, event.command);
        break;
      case 'reply':
        this.#replied(session, event.command);
        break;
      case 'lost': {
        this.#missed(session);
        if (!counts(this.#share, session.id)) break;
        const cause = this.#isOther(session) ? OTHER_SERVER : event.cause;
        this.#observers.unreadable(session, cause, event.commands);
        break;
      }
      case 'skip': {
        this.#tellCovered(session);
        if (!counts(this.#share, session.id)) break;
        const cause = this.#isOther(session) ? OTHER_SERVER : event.cause;
        this.#observers.sessionSkipped(session, cause, event.commands);
        break;
      }
      case 'close': {
        if (this.#beforeWindow.delete(session.id)) this.#tellSkipped(session, 'out-of-window');
        if (this.#skipped.delete(session.id)) this.#tellCovered(session);
        const recorded = this.#recorded.get(session.id);
        if (recorded !== undefined) this.#close(recorded, event.how, event.at);
        break;
      }
    }
  }

  /** Commands or answers of it are missing. */
  #missed(meta: SessionMeta): void {
    this.#options.orderBy?.lost(meta);
    this.#options.selection?.lost(meta);
    const recorded = this.#recorded.get(meta.id);
    if (recorded !== undefined) this.#owner.missed(recorded);
    else this.#beforeWindow.get(meta.id)?.lost();
  }

  #close(recorded: RecordedSession<ReplayedSession>, how: CloseHow, at: CaptureNs): void {
    const { meta } = recorded;
    this.#recorded.delete(meta.id);
    recorded.closed(how, at);
    this.#tellCovered(meta);
    this.#options.orderBy?.closed(meta);
    this.#options.selection?.closed(meta);
    this.#owner.ended(recorded);
  }

  #tellCovered(meta: SessionMeta): void {
    if (!counts(this.#share, meta.id)) return;
    this.#observers.covered(meta);
  }

  /** No copy of it runs. */
  #tellSkipped(meta: SessionMeta, cause: string): void {
    this.#skipped.set(meta.id, { meta, cause });
    if (!counts(this.#share, meta.id)) return;
    this.#observers.sessionSkipped(meta, cause, 0);
  }

  #begin(meta: SessionMeta, loggedInAt: CaptureNs): void {
    const { logins, filters } = this.#options;
    const destination = this.#destinationOf(meta);
    if (destination === undefined) {
      this.#tellSkipped(meta, OTHER_SERVER);
      return;
    }
    const plan = filters?.has(meta) === false ? 'filtered' : this.#protocol.plan(meta, logins);
    let cause = typeof plan === 'string' ? plan : this.#owner.refuses(meta, destination.target);
    if (cause === 'joined-late') cause = this.#options.lateBy?.(meta) ?? cause;
    // What it had said before nobody can say again.
    if (plan === undefined && !this.#windowBegun) cause ??= 'out-of-window';
    if (typeof plan === 'string' || cause !== undefined) {
      this.#tellSkipped(meta, cause as string);
      return;
    }
    if (plan === undefined) {
      this.#schedule(meta, plan, { at: meta.at, loggedInAt, destination });
      return;
    }
    // What it logs in with, where that was not captured.
    meta.login = plan.recorded;
    if (plan.adoption !== undefined) meta.capabilities = plan.recorded.capabilities;
    if (this.#windowBegun) this.#schedule(meta, plan, { at: meta.at, loggedInAt, destination });
    else this.#beforeWindow.set(meta.id, this.#sessionBefore(meta, plan));
  }

  #sessionBefore(meta: SessionMeta, plan: LoginPlan): SessionBeforeWindow {
    const { schemaPerCopy, copies } = this.#options;
    if (schemaPerCopy === undefined) return new SessionBeforeWindow(meta, plan);
    const schemas = Array.from({ length: copies }, (_, copy) => schemaPerCopy.of(copy));
    return new SessionBeforeWindow(meta, plan, schemas);
  }

  /** `plan`: undefined where nobody logs in. */
  #schedule(meta: SessionMeta, plan: LoginPlan | undefined, beginning: Beginning): void {
    const { at, loggedInAt, before, destination } = beginning;
    const { timetable } = this.#options.timing ?? {};
    const times = timetable === undefined ? undefined : new SessionTimes(timetable, at, loggedInAt);
    const recorded = new RecordedSession<ReplayedSession>(
      meta,
      timetable?.openAt(at) ?? at,
      times,
      before,
      destination,
    );
    this.#recorded.set(meta.id, recorded);
    this.#owner.begin(recorded, plan);
  }

  #destinationOf(meta: SessionMeta): Destination | undefined {
    const { mappings } = this.#options;
    return mappings === undefined ? ONLY : mappings.of(meta);
  }

  #isOther(meta: SessionMeta): boolean {
    return this.#options.mappings?.isOther(meta) === true;
  }

  #isCounted({ id }: SessionMeta): boolean {
    return this.#options.done?.isCounted(id) === true;
  }

  #command(meta: SessionMeta, command: RecordedRequest): void {
    this.#options.voice?.heard(meta, command.packet);
    const counted = counts(this.#share, meta.id);
    if (counted) this.#observers.captured(meta, command);
    const recorded = this.#recorded.get(meta.id);
    const cause = this.#skipped.get(meta.id)?.cause ?? this.#leftOut(meta, command, recorded);
    if (cause !== undefined || recorded === undefined) {
      if (!counted) return;
      this.#observers.skipped(meta, command, cause as string, this.#options.copies);
      return;
    }
    const { remapSchema } = this.#options;
    if (remapSchema !== undefined) command.packet = remappedPacket(command as Command, remapSchema);
    recorded.add(command, recorded.copies.length);
    this.#owner.read(recorded, command);
  }

  /** Why no copy sends `command`; notes where only the first does, and what is learnt of it before the window. */
  #leftOut(
    meta: SessionMeta,
    request: RecordedRequest,
    recorded: RecordedSession<ReplayedSession> | undefined,
  ): string | undefined {
    const before = recorded === undefined ? this.#beforeWindow.get(meta.id) : undefined;
    if (before === undefined && recorded === undefined) return undefined;
    const { rules, orderBy, selection } = this.#options;
    // Those look at it that are there for MySQL alone.
    const command = request as Command;
    if (rules !== undefined) command.packet = rewrittenPacket(command, rules);
    orderBy?.of(meta, command);
    const verdict = selection?.select(meta, command);
    if (before === undefined) {
      if (verdict?.copies === 'not-first') command.onlyFirst = verdict.cause;
      return this.#protocol.screen(command) ?? (verdict?.copies === 'all' ? verdict.cause : undefined);
    }
    // No session is to be set up by what would not have been sent.
    command.onlyFirst = verdict?.cause;
    if (command.expect === EXPECT.none && verdict === undefined) before.learn(command);
    return 'out-of-window';
  }

  #replied(meta: SessionMeta, request: RecordedRequest): void {
    // Whoever looks at it is there for MySQL alone.
    const command = request as Command;
    const recorded = this.#recorded.get(meta.id);
    const before = recorded === undefined ? this.#beforeWindow.get(meta.id) : undefined;
    if (recorded === undefined && before === undefined) return;
    this.#options.selection?.replied(meta, command);
    if (recorded !== undefined) {
      this.#owner.replied(recorded, command);
      return;
    }
    this.#options.orderBy?.replied(meta, command);
    if (command.onlyFirst === undefined) before?.learn(command);
  }
}
