import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Divergence, Outcome } from '../../src/replay/outcome.ts';
import { SummaryObserver } from '../../src/report/counter.ts';
import type { RunFacts } from '../../src/report/run-facts.ts';
import { type Summary, summarize } from '../../src/report/summary.ts';
import { summaryLines } from '../../src/report/terminal.ts';
import { Tape } from '../replay/support/tape.ts';
import { makeReply } from '../transport/fake.ts';

const session = new Tape()
  .session()
  .query(0, 'SELECT 1', { replyMs: 4 })
  .query(1, 'SELECT 2', { answered: 'never' })
  .quit(2);
const { meta } = session;
const [answered, unanswered, quit] = session.commands;

const FACTS: RunFacts = {
  packets: 5000,
  dropped: 0,
  copies: 2,
  speed: 4,
  elapsedMs: 2000,
  transport: { packetsOut: 2400, packetsIn: 1300, retransmitted: 7, captureDropped: 0 },
  orderBy: 'commit',
  interrupted: false,
};

interface Times {
  lateMs?: number;
  slipMs?: number;
  latencyMs?: number;
  oursMs?: number;
}

function outcome(
  { lateMs = 0, slipMs = 0, latencyMs = 2, oursMs = 0 }: Times = {},
  command = answered,
): Outcome {
  const reply = command.expect === 0 ? undefined : makeReply();
  const due = 1000 + slipMs;
  const sent = due + lateMs;
  const times = { paced: 1000, due, sent, oursMs, answered: sent + latencyMs };
  return { session: meta, copy: 0, command, text: command, reply, ...times };
}

/** A run of two copies with something of everything. */
function eventful(): SummaryObserver {
  const observer = new SummaryObserver(2, true);
  for (let id = 0; id < 10; id++) {
    for (let copy = 0; copy < 2; copy++) {
      observer.scheduled(meta, copy);
      if (id === 9) observer.sessionLost(meta, copy, 'connect');
      else observer.opened();
      if (id === 8) observer.sessionLost(meta, copy, 'reset');
      if (id < 8) observer.completed(id === 7 ? { ...meta, refused: copy === 0 ? 1045 : 1040 } : meta);
    }
  }
  observer.reconnected(meta, 0, new Set(['transaction', 'lock'] as const), 4);
  observer.reconnected(meta, 1, new Set(['transaction'] as const), 0);
  observer.reconnected(meta, 0, new Set(), 1);
  for (const ms of [10, 20, 300]) observer.waited(meta, 0, ms);
  for (const errno of [1040, 1203, 1040]) observer.turnedAway(meta, 0, errno);
  for (const ms of [4, 9]) observer.held(ms);
  observer.released();
  observer.adopted(meta, 0, new Set(['prepared-statement'] as const), 3, 'recording');
  for (const commands of [2, 0]) observer.adopted(meta, 1, new Set(), commands, 'window');
  observer.stalled(400);
  for (const coverage of ['gaps', 'whole', 'cut', 'whole', 'one-sided', 'cut'] as const)
    observer.covered({ ...meta, coverage });
  observer.covered(meta);
  observer.sessionSkipped(meta, 'tls', 0);
  observer.sessionSkipped(meta, 'joined-late', 30);
  observer.unreadable(meta, 'gap', 2);
  for (let i = 0; i < 600; i++) observer.captured();
  observer.skipped(meta, answered, 'kill', 2);
  const told: [number, Divergence][] = [
    [1000, 'none'],
    [50, 'error'],
    [30, 'rows'],
    [20, 'data'],
    [7, 'unknown'],
    [3, 'not-comparable'],
  ];
  for (const [n, divergence] of told) {
    for (let i = 0; i < n; i++) observer.answered(outcome({ latencyMs: i === 0 ? 80 : 2 }), divergence);
  }
  for (let i = 0; i < 60; i++) observer.answered(outcome({}, quit), 'none');
  for (let i = 0; i < 28; i++) observer.lost(meta, 0, unanswered, i < 20 ? 'connect' : 'reset', i >= 25);
  return observer;
}

const EVENTFUL: Summary = {
  captured: {
    packets: 5000,
    dropped: 0,
    dropped_by: {},
    sessions: 12,
    commands: 632,
    coverage: { whole: 2, gaps: 1, cut: 2, 'one-sided': 1 },
  },
  sessions: {
    scheduled: 20,
    opened: 18,
    completed: 16,
    lost: 4,
    lost_by: { connect: 2, reset: 2 },
    skipped: { 'joined-late': 2, tls: 2 },
    refused: 2,
    refused_for_room: { 1040: 1 },
    adopted: 1,
    open_at_from: 2,
    reconnected: 3,
    rebuild_commands: 10,
    state_lost: { lock: 1, 'prepared-statement': 1, transaction: 2 },
  },
  commands: {
    scheduled: 1198,
    sent: 1173,
    answered: 1170,
    lost: { connect: 20, reset: 8 },
    skipped: { gap: 4, 'joined-late': 60, kill: 2 },
  },
  admission: { waited: 3, wait_ms: { p50: 20, p99: 300, max: 300 }, turned_away: { 1040: 2, 1203: 1 } },
  order: { by: 'commit', held: 2, held_ms: { p50: 4, p99: 9, max: 9 }, released: 1 },
  lateness_ms: { p50: 0, p99: 0, max: 0 },
  behind_ms: { target: 0, host: 0 },
  stalls: { count: 1, seconds: 0.4, longest_s: 0.4 },
  latency_ms: { recorded: { p50: 4, p99: 4, max: 4 }, replayed: { p50: 2, p99: 2, max: 80 } },
  divergence: { error: 50, rows: 30, data: 20, none: 1060, unknown: 7, 'not-comparable': 3 },
  copies: 2,
  speed: 4,
  elapsed_s: 2,
  qps: 585,
  packets: { out: 2400, in: 1300, retransmitted: 7, capture_dropped: 0 },
  errors: {},
  replayed: { percent: 84.8, commands: 1170, chosen: 1264, unread_sessions: 2, of: 'recording' },
  verdict: 'invalid',
  reasons: [
    '20 commands were lost: connect',
    '8 commands were lost: reset',
    '2 sessions were lost: connect',
    '2 sessions were lost: reset',
    "a session's state was not set up again on its new connection 1 time: lock",
    "a session's state was not set up again on its new connection 1 time: prepared-statement",
    "a session's state was not set up again on its new connection 2 times: transaction",
    'only 84.8 % was replayed, and --min-replayed is 90% (94 commands left out: joined-late 60, connect 20, reset 8, gap 4, kill 2; 2 sessions under TLS; remove the causes, or accept less with a lower --min-replayed)',
    'the target closed connections early: sessions went on over 3 new ones',
  ],
};

/** Times are right to 1 in 1,000, as the histograms are. */
function rounded(summary: Summary): Summary {
  const whole = ({ p50, p99, max }: Summary['lateness_ms']) => ({
    p50: Math.round(p50),
    p99: Math.round(p99),
    max: Math.round(max),
  });
  const { recorded, replayed } = summary.latency_ms;
  return {
    ...summary,
    lateness_ms: whole(summary.lateness_ms),
    latency_ms: { recorded: whole(recorded), replayed: whole(replayed) },
    admission: { ...summary.admission, wait_ms: whole(summary.admission.wait_ms) },
    order: { ...summary.order, held_ms: whole(summary.order.held_ms) },
  };
}

describe('summary.json', () => {
  test('has the shape of DESIGN §4, and adds up', () => {
    const summary = rounded(summarize(eventful().tally, FACTS));
    assert.deepEqual(summary, EVENTFUL);
    assert.deepEqual(Object.keys(summary), Object.keys(EVENTFUL));
    assert.deepEqual(JSON.parse(JSON.stringify(summary)), EVENTFUL);
  });

  test('a run of nothing has numbers, too', () => {
    const summary = summarize(new SummaryObserver(1, false).tally, {
      ...FACTS,
      copies: 1,
      speed: Infinity,
      elapsedMs: 0,
    });
    assert.equal(summary.speed, 'max');
    assert.equal(summary.qps, 0);
    assert.deepEqual(summary.latency_ms.replayed, { p50: 0, p99: 0, max: 0 });
    assert.equal(summary.verdict, 'invalid');
    assert.deepEqual(summary.reasons, ['nothing was replayed: no session could be scheduled']);
    assert.ok(!JSON.stringify(summary).includes('null'));
  });

  test('what was answered before its recorded answer was known counts as latency of the replay alone', () => {
    const observer = new SummaryObserver(1, true);
    observer.captured();
    observer.answered(outcome({}, unanswered), 'unknown');
    const { latency_ms: latency } = summarize(observer.tally, { ...FACTS, copies: 1 });
    assert.equal(Math.round(latency.replayed.max), 2);
    assert.equal(latency.recorded.max, 0);
  });
});

describe('verdict', () => {
  function judge(
    times: Times[],
    facts: Partial<RunFacts> = {},
    timed = true,
    stalls: readonly number[] = [],
  ): [string, ...string[]] {
    const observer = new SummaryObserver(1, timed);
    for (const ms of stalls) observer.stalled(ms);
    observer.scheduled(meta, 0);
    for (const one of times) {
      observer.captured();
      observer.answered(outcome(one), 'none');
    }
    const { verdict, reasons } = summarize(observer.tally, { ...FACTS, copies: 1, ...facts });
    return [verdict, ...reasons];
  }

  const many = (n: number, times: Times) => Array.from({ length: n }, () => times);

  test('valid', () => {
    assert.deepEqual(judge(many(100, { lateMs: 20, slipMs: 900 })), ['valid']);
    // One command in a thousand may be very late.
    assert.deepEqual(judge([...many(999, {}), { lateMs: 5000 }]), ['valid']);
  });

  test('replayer-bound: our own lateness', () => {
    const [verdict, reason] = judge([...many(90, {}), ...many(10, { lateMs: 150, slipMs: 5000 })]);
    assert.equal(verdict, 'replayer-bound');
    assert.match(reason, /^1 command in 100 went out 15\d(\.\d+)? ms late or more/);
  });

  test('server-bound: waiting for its answers; at full speed there is nothing to be behind of', () => {
    const behind = [...many(99, {}), { slipMs: 1500 }];
    assert.deepEqual(judge(behind), [
      'server-bound',
      'commands were up to 1500 ms behind the recording because they waited for the target',
    ]);
    assert.deepEqual(judge(behind, { speed: Infinity }, false), ['valid']);
  });

  test('replayer-bound, too, where a process that stood still made few commands late, and nobody is told that it was the target', () => {
    const stalls: [number, number] = [1500, 4000];
    const behind = [...many(998, {}), { slipMs: 5500, oursMs: 5400 }, { lateMs: 5500, oursMs: 5400 }];
    const [verdict, ...reasons] = judge(behind, {}, true, stalls);
    assert.deepEqual(
      [verdict, ...reasons],
      [
        'replayer-bound',
        'commands were up to 5400 ms behind the recording because the replay host stood still 2 times, for 5.5 s in all, the longest 4 s (its process was stopped, had no CPU, or waited for a disk)',
      ],
    );
    // It is said, though no command was late for it, or there are no times.
    const [valid, said] = judge(many(10, {}), {}, true, stalls);
    assert.equal(valid, 'valid');
    assert.match(said, /^the replay host stood still 2 times/);
    assert.equal(judge(many(10, {}), { speed: Infinity }, false, stalls)[0], 'valid');
  });

  test('bound by both: ours first, and the target is named', () => {
    const [verdict, ...reasons] = judge([{ slipMs: 9000, oursMs: 3000 }], {}, true, [3000]);
    assert.equal(verdict, 'replayer-bound');
    assert.match(
      reasons[1],
      /^commands were up to 6000 ms behind the recording because they waited for the target/,
    );
  });

  test('invalid: stopped, packets lost on either side, and before all else', () => {
    const [first, ...why] = judge(many(10, { lateMs: 500 }), {
      interrupted: true,
      dropped: 3,
      droppedByDisk: 4,
    });
    assert.equal(first, 'invalid');
    assert.equal(why.length, 3);
    assert.equal(why[0], 'the run was stopped before its end');
    assert.match(why[1], /^the recording lost 3 packets while it was made: the kernel/);
    assert.match(why[2], /^the recording lost 4 packets while it was made: its disk was full/);
    const [verdict, reason] = judge([{}], { transport: { ...FACTS.transport, captureDropped: 9 } });
    assert.equal(verdict, 'invalid');
    assert.match(reason, /^the capture of answers dropped 9 packets/);
  });

  test('invalid: a count that does not add up is told, not hidden', () => {
    const observer = new SummaryObserver(1, true);
    for (let i = 0; i < 3; i++) observer.captured();
    observer.answered(outcome(), 'none');
    observer.lost(meta, 0, unanswered, 'reset', false);
    const { verdict, reasons } = summarize(observer.tally, { ...FACTS, copies: 1 });
    assert.equal(verdict, 'invalid');
    assert.ok(reasons.includes('the count does not add up: 3 commands scheduled, 1 answered, 1 lost'));
  });
});

function linesText(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}

describe('on the terminal', () => {
  test('of a mirror it speaks as of a mirror', () => {
    const { sessions } = EVENTFUL;
    const live: Summary = { ...EVENTFUL, speed: 'live', sessions: { ...sessions, adopted: 3 } };
    const said = linesText(summaryLines(live, undefined));
    assert.match(said, /joined-late .*\(use --adopt, or mirror with --snapshot-from\)/);
    assert.match(said, /3 sessions adopted that began before the mirror/);
    assert.doesNotMatch(said, /before the recording|record with/);
  });

  test('the same numbers, with how they add up', () => {
    assert.equal(
      linesText(summaryLines(EVENTFUL, 'runs/monday')),
      `
Replayed 2 copies at 4 times the recorded speed in 2 s: 585 commands/s

                                sessions      commands
captured                              12           632
  × 2 copies                          24         1,264
  skipped                              4            66
    gap                                0             4
    joined-late                        2            60  (use --adopt, or record with --snapshot-from)
    kill                               0             2
    tls                                2             0  (give their keys: --keylog)
scheduled                             20         1,198
  completed / answered                16         1,170
  lost                                 4            28
    connect                            2            20
    reset                              2             8

Coverage     sessions: 2 whole, 1 gaps, 2 cut, 1 one-sided
  - 2 sessions have packets that the capture cut short (snaplen): commands in them are lost; capture with tcpdump -s 0
  - 1 session was captured in one direction only: commands or answers are missing; where no server answered the client (a flood, a scan), that is all there was; else capture both directions of the traffic

Logins       1 login refused, as recorded; 1 login that production had no room for (1040), each closed at once; 1 session adopted that began before the recording; 2 sessions set up that began before --from

Reconnected  3 times, set up again by 10 commands; without: lock 1 time, prepared-statement 1 time, transaction 2 times

Admission    3 sessions waited for a place: p50 20 ms, p99 300 ms, max 300 ms
Turned away  3 connections, tried again: 1040 2 times, 1203 1 time
Order        2 commands waited for commits: p50 4 ms, p99 9 ms, max 9 ms; 1 sent out of order

Answers      1,060 as recorded; different: 50 errors, 30 row counts, 20 data; 10 not to compare
Latency      recorded p50 4 ms, p99 4 ms, max 4 ms
             replayed p50 2 ms, p99 2 ms, max 80 ms
Our lateness          p50 0 ms, p99 0 ms, max 0 ms
Packets      2,400 out, 1,300 in, 7 sent again

Verdict: invalid; replayed 84.8 % of the recording (1,170 of 1,264 commands; 2 sessions under TLS can't be read)
  - 20 commands were lost: connect
  - 8 commands were lost: reset
  - 2 sessions were lost: connect
  - 2 sessions were lost: reset
  - a session's state was not set up again on its new connection 1 time: lock
  - a session's state was not set up again on its new connection 1 time: prepared-statement
  - a session's state was not set up again on its new connection 2 times: transaction
  - only 84.8 % was replayed, and --min-replayed is 90% (94 commands left out: joined-late 60, connect 20, reset 8, gap 4, kill 2; 2 sessions under TLS; remove the causes, or accept less with a lower --min-replayed)
  - the target closed connections early: sessions went on over 3 new ones
Written: runs/monday/summary.json
`,
    );
  });

  test('one copy at full speed', () => {
    const observer = new SummaryObserver(1, false);
    observer.scheduled(meta, 0);
    const text = linesText(
      summaryLines(summarize(observer.tally, { ...FACTS, copies: 1, speed: Infinity }), 'r'),
    );
    assert.match(text, /^\nReplayed once at full speed in 2 s: 0 commands\/s\n/);
    assert.doesNotMatch(text, /copies|lateness|not to compare/);
    assert.match(
      text,
      /\nVerdict: valid; replayed 100 % of the recording \(0 of 0 commands\)\nWritten: r\/summary.json\n$/,
    );
    assert.match(
      linesText(summaryLines(summarize(observer.tally, { ...FACTS, copies: 1, speed: 1 }), 'r')),
      /Replayed once at the recorded speed/,
    );
  });
});
