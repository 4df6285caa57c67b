import type { SessionMeta } from '../../flow/events.ts';
import type { Timetable } from '../../flow/timetable.ts';
import type { Alarm } from '../../net/timer.ts';
import type { CaptureNs, Clock, MonotonicMs } from '../../time.ts';
import type { Logins } from '../accounts/logins.ts';
import type { SchemaRemap } from '../accounts/remap.ts';
import type { SchemaPerCopy } from '../accounts/schema-per-copy.ts';
import type { CommandKinds } from '../choice/command-kinds.ts';
import type { Filters } from '../choice/filters.ts';
import type { RewriteRules } from '../choice/rules.ts';
import type { Selection } from '../choice/selection.ts';
import type { Mappings } from '../mappings.ts';
import type { Voice } from '../own-voice.ts';
import type { Protocol } from '../protocol.ts';
import type { Done } from '../resume.ts';
import type { ConnectionTable } from '../session/live-connection-ids.ts';
import type { Share } from '../share.ts';
import type { LiveSource } from './live.ts';

/** How long an answer may take, ms, if not longer for that of a command whose recorded one took long. */
export const REPLY_TIMEOUT_MS = 300_000;

/** How long a connection with its login may take, ms. */
export const CONNECT_TIMEOUT_MS = 60_000;

/** When things are due, where that is not as recorded. */
export interface Timing {
  /** Scaled connect and think times, idle stretches cut; undefined: none of it. */
  timetable?: Timetable | undefined;
  /** A session that is late goes on at once, until it is back on time; else it thinks as long as it was recorded to. Default true. */
  catchUp?: boolean | undefined;
  /** The copies begin spread over so much of the replay's own time. */
  spreadMs?: number | undefined;
}

/** The part of the recording to replay. */
export interface Window {
  /** Sessions that are open then are set up as they were. */
  from?: CaptureNs | undefined;
  /** The recording ends there, for this run. */
  to?: CaptureNs | undefined;
}

export interface EngineOptions {
  copies: number;
  /** Infinity: as fast as the target takes it. */
  speed: number;
  clock: Clock;
  timing?: Timing | undefined;
  window?: Window | undefined;
  /** What wakes the engine: calls `fire` when it is time. Default: a timer of Node's. */
  openAlarm?: ((fire: () => void) => Alarm) | undefined;
  /** What part of the time since the last call this thread was at work, of 1; undefined: not known. */
  load?: (() => number) | undefined;
  /** What the recording and the target speak; default: MySQL. */
  protocol?: Protocol | undefined;
  /** Who the recorded users are on the target. */
  logins: Logins;
  /** Why the beginning of a session is missing that seems to have begun before the recording; undefined: it did. */
  lateBy?: ((session: SessionMeta) => string | undefined) | undefined;
  /** Which target each recorded server's sessions go to; undefined: all to the only one. */
  mappings?: Mappings | undefined;
  /** How many targets there are; default 1. */
  targets?: number | undefined;
  /** Which connections of the target are in the place of the recorded ones, as KILL names them; undefined: none is known. */
  connections?: ConnectionTable | undefined;
  /** Of a mirror: whether it hears itself. */
  voice?: Voice | undefined;
  /** The source is live: it does not wait, and whole sessions are shed where the target is too slow. Default: it waits. */
  live?: LiveSource | undefined;
  /** Which recorded sessions run; undefined: all. */
  filters?: Filters | undefined;
  /** Which of their commands are sent, and by which copies; undefined: all. */
  selection?: Selection | undefined;
  /** Statements that are sent with another text: that is the one that `selection` looks at. */
  rules?: RewriteRules | undefined;
  /** Schemas that have other names on the target. */
  remapSchema?: SchemaRemap | undefined;
  /** Each copy has schemas of its own, named by those that `remapSchema` gives. */
  schemaPerCopy?: SchemaPerCopy | undefined;
  /** Connections to each target at once, and new ones a second; undefined: any number. */
  maxConnections?: number | undefined;
  connectRate?: number | undefined;
  /** What tells commits, to go in their order; a share then has whole copies. Default: in the order of time alone. */
  orderBy?: CommandKinds | undefined;
  /** What need not be done, as the run before came so far; undefined: there was none. */
  done?: Done | undefined;
  /** Sessions have so many connections of each user of each target one after the other; undefined: each has its own. */
  pool?: number | undefined;
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
