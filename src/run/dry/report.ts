/** What `replay --dry-run` tells: the object that --json prints, and its lines for people. */
import { counted, formatCount, shortened } from '../../counted.ts';
import type { ClockStepJson, OnClockStep } from '../../report/clock-steps.ts';
import { coverageLines } from '../../report/coverage.ts';
import { formatDuration } from '../../report/output.ts';
import type { Picked } from '../../report/run-facts.ts';
import type { Summary } from '../../report/summary.ts';
import { tlsHint } from '../../report/tls-hint.ts';

/** Commands of one statement, but for its literals, that would not be sent for one cause. */
export interface UnsentStatement {
  cause: string;
  /** The hash of its digest, as --exclude-digest takes it; '' where it has no text. */
  hash: string;
  digest: string;
  commands: number;
  /** The session of the first of them. */
  session: number;
  /** With --with-text: the text of that one, if it has any. */
  text?: string;
}

/** A statement that would be sent otherwise than recorded. */
export interface ChangedStatement {
  /** Digests: alike, where other values would be sent. */
  recorded: string;
  sent: string;
  /** With --with-text. */
  recorded_text?: string;
  sent_text?: string;
}

/** What one target would be sent. */
export interface DryPlace {
  /** `HOST:PORT`. */
  target: string;
  /** `10.0.0.5:3307 -> 10.1.0.5:3307`. */
  mappings: string[];
  /** Copies included. */
  sessions: number;
  commands: number;
  most_connections: number;
  addresses: string[] | 'this host';
  /** Lines for it. */
  routes: string[];
}

export interface DryReport {
  dry_run: true;
  captured: Summary['captured'];
  /** Left out without --sample and --share. */
  picked?: Picked;
  copies: number;
  /** `skipped` counts copies, by cause. */
  sessions: { scheduled: number; skipped: Record<string, number>; refused_as_recorded: number };
  /** `lost`: a run would begin with them, and could not send them. `kinds`: of those it would send. */
  commands: {
    scheduled: number;
    skipped: Record<string, number>;
    lost: Record<string, number>;
    kinds: Record<string, number>;
  };
  /** Statements that would be, most frequent first; `hash` is what --include-digest and --exclude-digest take. */
  sent: { hash: string; digest: string; commands: number }[];
  /** What would not be sent, most frequent first. */
  unsent: UnsentStatement[];
  /** Sessions under TLS whose keys are not known: nothing of them can be read. */
  tls_without_keys: number;
  /** Recorded users, and whether their passwords are known, where they need one. */
  users: Record<string, { sessions: number; password: boolean }>;
  everybody_as: string | undefined;
  /** `addresses` and `targets`: with -x. */
  clients: { recorded: number; addresses?: string[] | 'this host' };
  targets: DryPlace[];
  /** Lines for the targets, those of all of them. */
  routes: string[];
  /** Statements that would be sent otherwise than recorded: the first ones. */
  changes: ChangedStatement[];
  schedule: {
    speed: number | 'max' | 'live';
    /** undefined: at once. */
    begins: string | undefined;
    /** Until the last command is due; 0 at speed max. */
    lasts_s: number;
    most_connections: number;
    on_clock_step: OnClockStep;
  };
  /** What a run would ask the targets before it begins, and what it would be refused for already; lines. */
  interlock: string[];
  /** What the recording lacks, which makes every run of it invalid: sentences. */
  invalid_by: string[];
  /** Where the clock that stamped the recording was set: the first 100 times. */
  clock_steps: ClockStepJson[];
  /** Why the recording could not be read to its end, if it could not. */
  unread: string | undefined;
}

/** Of each list, so many lines are for people. */
const MOST_LINES = 10;
const MOST_CHARACTERS = 100;

/** So many of a digest's digits tell it from all others of a recording. */
const HASH_DIGITS = 12;

/** For people. */
export function dryRunLines(report: DryReport): string[] {
  const { captured, copies, sessions, commands, schedule, clients, unread } = report;
  return [
    '',
    'A dry run: connected to nothing, sent nothing.',
    ...(report.targets.length === 0
      ? ['Without -x: what the archive holds, and nothing about a target or the way there.']
      : []),
    ...report.targets.flatMap(({ mappings }) => mappings),
    '',
    row('', 'sessions', 'commands'),
    row('captured', captured.sessions, captured.commands),
    ...(copies === 1
      ? []
      : [row(`  × ${copies} copies`, captured.sessions * copies, captured.commands * copies)]),
    ...causes('skipped', sessions.skipped, commands.skipped),
    row('would run', sessions.scheduled, commands.scheduled),
    ...causes('of them lost', {}, commands.lost),
    ...coverageLines(captured.coverage),
    ...tlsLines(report),
    ...invalidLines(report.invalid_by),
    ...list(
      'Would be sent',
      Object.entries(commands.kinds),
      ([kind, count]) => `${formatCount(count).padStart(12)}  ${kind}`,
    ),
    ...list(
      'Would be sent, by statement (its digest: for --include-digest, --exclude-digest)',
      report.sent,
      ({ hash, digest, commands }) =>
        `${formatCount(commands).padStart(12)}  ${hash.slice(0, HASH_DIGITS)}  ${cut(digest)}`,
    ),
    ...list(
      'Would not be sent, by statement',
      report.unsent,
      ({ cause, hash, digest, commands, text, session }) => {
        const example = text === undefined ? '' : `, as in session ${session}: ${text}`;
        const named = hash === '' ? cut(digest) : `${hash.slice(0, HASH_DIGITS)}  ${cut(digest)}`;
        return `${formatCount(commands).padStart(12)}  ${cause}: ${named}${example}`;
      },
    ),
    ...list('Statements that would be sent changed', report.changes, change),
    ...users(report),
    '',
    `Clients      ${formatCount(clients.recorded)} recorded${clients.addresses === undefined ? '' : `, from ${from(clients.addresses)}`}`,
    ...places(report),
    '',
    `Time         begins ${schedule.begins ?? 'at once'}, ${lasts(schedule)}`,
    `Connections  up to ${formatCount(schedule.most_connections)} at once`,
    ...list('Before it begins', report.interlock, (line) => `  ${line}`),
    ...(unread === undefined ? [] : ['', unread]),
  ];
}

function tlsLines({ captured: { sessions }, tls_without_keys: tls }: DryReport): string[] {
  const hint = tlsHint({ sessions, tls, keyed: 0 });
  return hint === undefined ? [] : ['', `TLS          ${hint}`];
}

function invalidLines(reasons: readonly string[]): string[] {
  return reasons.length === 0
    ? []
    : ['', 'A run would be invalid:', ...reasons.map((reason) => `  - ${reason}`)];
}

function change({ recorded, sent, recorded_text, sent_text }: ChangedStatement): string[] {
  if (recorded_text !== undefined) return [`  ${recorded_text}`, `    → ${sent_text}`];
  const other = sent === recorded ? 'the same digest with other values (--with-text shows them)' : cut(sent);
  return [`  ${cut(recorded)}`, `    → ${other}`];
}

/** A line's worth of a digest. */
function cut(text: string): string {
  return shortened(text, MOST_CHARACTERS);
}

function row(name: string, left: number | string, right: number | string): string {
  const cell = (value: number | string) =>
    (typeof value === 'number' ? formatCount(value) : value).padStart(14);
  return `${name.padEnd(26)}${cell(left)}${cell(right)}`;
}

function causes(what: string, left: Record<string, number>, right: Record<string, number>): string[] {
  const names = [...new Set([...Object.keys(left), ...Object.keys(right)])].sort();
  return names.map((name) => row(`  ${what}: ${name}`, left[name] ?? 0, right[name] ?? 0));
}

function list<T>(title: string, all: readonly T[], line: (one: T) => string | string[]): string[] {
  if (all.length === 0) return [];
  const more = all.length - MOST_LINES;
  const rest = more > 0 ? [`  … and ${formatCount(more)} more (--json has them)`] : [];
  return ['', `${title}:`, ...all.slice(0, MOST_LINES).flatMap(line), ...rest];
}

function users({ users, everybody_as: as }: DryReport): string[] {
  const title = as === undefined ? 'Users' : `Users, all of whom log in as ${as}`;
  return list(title, Object.entries(users), ([name, { sessions, password }]) => {
    const count = counted(sessions, 'session');
    const who = name === '' ? '(not known)' : name;
    return `  ${who}: ${count}${password ? '' : ', no password is known: add one to the file of --users'}`;
  });
}

/** What each target would get, where there are several, and the routes that each needs. */
function places({ targets }: DryReport): string[] {
  return targets.flatMap(({ target, sessions, commands, most_connections: most, addresses, routes }) => {
    if (targets.length === 1) return list('On the target', routes, (line) => `  ${line}`);
    const count = `${counted(sessions, 'session')}, ${counted(commands, 'command')}`;
    return [
      '',
      `Onto ${target}: ${count}, up to ${counted(most, 'connection')} at once, from ${from(addresses)}`,
      ...list(`On the target ${target}`, routes, (line) => `  ${line}`),
    ];
  });
}

function from(addresses: string[] | 'this host'): string {
  if (typeof addresses === 'string') return 'this host';
  const some = addresses.slice(0, 3).join(', ');
  return addresses.length > 3 ? `${formatCount(addresses.length)} addresses: ${some}, …` : some || 'none';
}

function lasts({ speed, lasts_s: seconds }: DryReport['schedule']): string {
  if (speed === 'max') return 'and goes as fast as the target answers';
  return `and lasts ${formatDuration(seconds * 1000)} at speed ${speed}`;
}
