import { counted, formatCount } from '../counted.ts';
import { coverageLines } from './coverage.ts';
import type { Percentiles } from './percentiles.ts';
import { replayedText } from './replayed.ts';
import type { Summary } from './summary.ts';

/** What has such sessions and commands replayed the next time. */
const nextMoves = (isLive: boolean): Readonly<Record<string, string>> => ({
  tls: 'give their keys: --keylog',
  'joined-late': `use --adopt, or ${isLive ? 'mirror' : 'record'} with --snapshot-from`,
  'other-server': 'of a server that no -x names',
  'unknown-user': 'add them to the file of --users, or use --as',
  'out-of-time': 'the run had ended',
  'damaged-block': 'replay an undamaged copy of the archive',
});

/** The lines of the summary as people read it: the same numbers as summary.json, and how they add up. */
export function summaryLines(summary: Summary, folder: string | undefined): string[] {
  const { captured, sessions, commands, copies } = summary;
  const skippedSessions = total(sessions.skipped);
  const skippedCommands = total(commands.skipped);
  const lostCommands = total(commands.lost);
  const incomparable = summary.divergence.unknown + summary.divergence['not-comparable'];
  return [
    '',
    `Replayed ${copies === 1 ? 'once' : `${copies} copies`} ${speed(summary.speed)} in ${summary.elapsed_s} s: ${formatCount(summary.qps)} commands/s`,
    ...(summary.mappings ?? []),
    ...course(summary),
    '',
    row('', 'sessions', 'commands'),
    row('captured', captured.sessions, captured.commands),
    ...(copies === 1
      ? []
      : [row(`  × ${copies} copies`, captured.sessions * copies, captured.commands * copies)]),
    row('  skipped', skippedSessions, skippedCommands),
    ...causes(sessions.skipped, commands.skipped, nextMoves(summary.speed === 'live')),
    row('scheduled', sessions.scheduled, commands.scheduled),
    row('  completed / answered', sessions.completed, commands.answered),
    row('  lost', sessions.lost, lostCommands),
    ...causes(sessions.lost_by, commands.lost),
    ...coverageLines(captured.coverage, captured.flood !== undefined),
    ...(captured.flood === undefined
      ? []
      : [
          `Flood        ${counted(captured.flood.packets, 'packet')} of connections beyond those that are kept`,
        ]),
    ...logins(sessions, summary.speed === 'live'),
    ...reconnections(sessions),
    ...waits(summary),
    '',
    `Answers      ${formatCount(summary.divergence.none)} as recorded; different: ${formatCount(summary.divergence.error)} errors, ` +
      `${formatCount(summary.divergence.rows)} row counts, ${formatCount(summary.divergence.data)} data` +
      (incomparable > 0 ? `; ${formatCount(incomparable)} not to compare` : ''),
    `Latency      recorded ${spread(summary.latency_ms.recorded)}`,
    `             replayed ${spread(summary.latency_ms.replayed)}`,
    ...(summary.speed === 'max' ? [] : [`Our lateness          ${spread(summary.lateness_ms)}`]),
    `Packets      ${formatCount(summary.packets.out)} out, ${formatCount(summary.packets.in)} in, ${formatCount(summary.packets.retransmitted)} sent again`,
    '',
    `Verdict: ${summary.verdict}; ${replayedText(summary.replayed)}`,
    ...summary.reasons.map((reason) => `  - ${reason}`),
    ...(folder === undefined ? [] : [`Written: ${folder}/summary.json`]),
  ];
}

/** Sessions that began in another way than by a login that succeeded. */
function logins(
  { refused, refused_for_room: byErrno, adopted, open_at_from }: Summary['sessions'],
  isLive: boolean,
): string[] {
  const forRoom = Object.values(byErrno).reduce((sum, n) => sum + n, 0);
  const errors = Object.keys(byErrno).join(', ');
  const said = [
    ...(refused > forRoom ? [`${counted(refused - forRoom, 'login')} refused, as recorded`] : []),
    ...(forRoom > 0
      ? [`${counted(forRoom, 'login')} that production had no room for (${errors}), each closed at once`]
      : []),
    ...(adopted > 0
      ? [`${counted(adopted, 'session')} adopted that began before the ${isLive ? 'mirror' : 'recording'}`]
      : []),
    ...(open_at_from > 0 ? [`${counted(open_at_from, 'session')} set up that began before --from`] : []),
  ];
  return said.length === 0 ? [] : ['', `Logins       ${said.join('; ')}`];
}

/** Nothing where no session reconnected, as in most runs. */
function reconnections({ reconnected, rebuild_commands, state_lost }: Summary['sessions']): string[] {
  if (reconnected === 0) return [];
  const lost = Object.entries(state_lost).map(([kind, n]) => `${kind} ${counted(n, 'time')}`);
  return [
    '',
    `Reconnected  ${counted(reconnected, 'time')}, set up again by ${counted(rebuild_commands, 'command')}` +
      (lost.length === 0 ? '' : `; without: ${lost.join(', ')}`),
  ];
}

/** Nothing where the run was neither repeated, nor interrupted, nor steered. */
function course({ loops, resumed, speed_changes: changes }: Summary): string[] {
  return [
    ...(loops === undefined ? [] : [`The recording ${counted(loops, 'time')}`]),
    ...(resumed === undefined
      ? []
      : [
          `Resumed ${resumed === 1 ? 'once' : `${formatCount(resumed)} times`}: what was under way each time is lost, interrupted`,
        ]),
    ...(changes === undefined
      ? []
      : [`Speed changed: ${changes.map((change) => `${change.speed} at ${change.at_s} s`).join(', ')}`]),
  ];
}

/** What waited for a place, a connection or a commit; nothing where nothing did. */
function waits({ admission, order, pool }: Summary): string[] {
  const turnedAway = total(admission.turned_away);
  const lines = [
    ...(admission.waited === 0
      ? []
      : [
          `Admission    ${counted(admission.waited, 'session')} waited for a place: ${spread(admission.wait_ms)}`,
        ]),
    ...(turnedAway === 0
      ? []
      : [
          `Turned away  ${counted(turnedAway, 'connection')}, tried again: ${byCause(admission.turned_away)}`,
        ]),
    ...(pool === undefined
      ? []
      : [
          `Pool         ${counted(pool.connections, 'connection')} for ${counted(pool.sessions, 'session')}, ${formatCount(pool.waited)} waited: ${spread(pool.wait_ms)}`,
        ]),
    ...(order.by === 'time'
      ? []
      : [
          `Order        ${counted(order.held, 'command')} waited for commits: ${spread(order.held_ms)}; ${formatCount(order.released)} sent out of order`,
        ]),
  ];
  return lines.length === 0 ? [] : ['', ...lines];
}

function byCause(causes: Record<string, number>): string {
  return Object.entries(causes)
    .map(([cause, n]) => `${cause} ${counted(n, 'time')}`)
    .join(', ');
}

function total(counts: Record<string, number>): number {
  let sum = 0;
  for (const n of Object.values(counts)) sum += n;
  return sum;
}

function row(name: string, left: number | string, right: number | string): string {
  const cell = (value: number | string) =>
    (typeof value === 'number' ? formatCount(value) : value).padStart(14);
  return `${name.padEnd(26)}${cell(left)}${cell(right)}`;
}

function causes(
  left: Record<string, number>,
  right: Record<string, number>,
  moves: Readonly<Record<string, string>> = {},
): string[] {
  const names = [...new Set([...Object.keys(left), ...Object.keys(right)])].sort();
  return names.map((name) => {
    const move = moves[name] === undefined ? '' : `  (${moves[name]})`;
    return row(`    ${name}`, left[name] ?? 0, right[name] ?? 0) + move;
  });
}

function speed(value: Summary['speed']): string {
  if (value === 'live') return 'as it happened';
  if (value === 'max') return 'at full speed';
  return value === 1 ? 'at the recorded speed' : `at ${value} times the recorded speed`;
}

function spread({ p50, p99, max }: Percentiles): string {
  return `p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`;
}
