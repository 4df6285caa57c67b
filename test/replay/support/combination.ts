/** Recordings, targets, options and what happens meanwhile, all at random and together. */
import fc from 'fast-check';
import { IdleGaps } from '../../../src/flow/idle.ts';
import { Timetable } from '../../../src/flow/timetable.ts';
import { COM } from '../../../src/mysql/command.ts';
import { STATUS } from '../../../src/mysql/packet.ts';
import { SchemaPerCopy } from '../../../src/replay/accounts/schema-per-copy.ts';
import { CommandKinds } from '../../../src/replay/choice/command-kinds.ts';
import { Selection, type SelectionChoices } from '../../../src/replay/choice/selection.ts';
import { poolShare } from '../../../src/replay/pool/pool.ts';
import { partOf } from '../../../src/replay/share.ts';
import { type Answered, Tape, type TapeSession } from './tape.ts';
import { type Run, type Setup, START_MS } from './world.ts';

const MS = 1e6;
const DENIED = 1045;
const COPIES = 3;
/** What a session names that has prepared none. */
const NO_STATEMENT = 99;

/** Users of whom a password is known; the target does not know `gone`. Of anybody else none is. */
export const PASSWORDS = { app: 'secret', other: 'hidden', gone: 'lost' };
export const USERS = { app: 'secret', other: 'hidden' };

const WHAT = [
  'read',
  'write',
  'set',
  'begin',
  'commit',
  'prepare',
  'prepare-write',
  'execute',
  'close-statement',
  'use',
  'reset',
  'gap',
] as const;

interface Step {
  what: (typeof WHAT)[number];
  /** Behind the answer before it. */
  gapMs: number;
  replyMs: number;
  answered: Answered;
}

interface SessionPlan {
  at: number;
  user: string;
  how: 'login' | 'late' | 'refused';
  steps: Step[];
  lastsMs: number;
  end: 'quit' | 'fin' | 'rst' | 'cut';
}

interface TargetPlan {
  seed: number;
  /** Answers take up to this long. */
  slowMs: number;
  greetMs: number;
  /** One command in so many is not answered, or ends its connection; 0: none. */
  hangs: number;
  resets: number;
  /** It has room for so many connections, until this moment. */
  room: { most: number; untilMs: number } | undefined;
  /** It is not there. */
  down: { fromMs: number; toMs: number } | undefined;
}

type Act =
  | { do: 'pause'; forMs: number }
  | { do: 'speed'; speed: number }
  | { do: 'stop' | 'out-of-time' | 'cut' };

interface TimingPlan {
  connectScale: number;
  thinkScale: number;
  idle: boolean;
  catchUp: boolean;
}

export interface Combination {
  sessions: SessionPlan[];
  target: TargetPlan;
  live: boolean;
  copies: number;
  shares: number;
  batch: number;
  speed: number;
  maxConnections: number | undefined;
  connectRate: number | undefined;
  pool: number | undefined;
  order: 'commit' | undefined;
  spreadMs: number;
  timing: TimingPlan | undefined;
  window: { from: number | undefined; to: number | undefined } | undefined;
  selection: SelectionChoices | undefined;
  schemaPerCopy: boolean;
  /** Sessions counted by the run before; copies begun by it, as session * COPIES + copy. */
  done: { counted: number[]; begun: number[] } | undefined;
  acts: { at: number; act: Act }[];
}

const rarely = <T>(one: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: one });
const often = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined, freq: 2 });
const speeds = fc.constantFrom(1, Number.POSITIVE_INFINITY, 4, 0.5);

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom(...WHAT),
  gapMs: fc.oneof({ weight: 4, arbitrary: fc.nat(30) }, fc.nat(600)),
  replyMs: fc.integer({ min: 1, max: 40 }),
  answered: fc.oneof(
    { weight: 6, arbitrary: fc.constant('later' as const) },
    fc.constantFrom('at once' as const, 'never' as const),
  ),
});

const session: fc.Arbitrary<SessionPlan> = fc.record({
  at: fc.nat(600),
  user: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom('app', 'other') },
    fc.constantFrom('gone', 'stranger'),
  ),
  how: fc.oneof(
    { weight: 8, arbitrary: fc.constant('login' as const) },
    fc.constantFrom('late' as const, 'refused' as const),
  ),
  steps: fc.array(step, { maxLength: 9, size: 'max' }),
  lastsMs: fc.oneof({ weight: 4, arbitrary: fc.nat(20) }, fc.nat(800)),
  end: fc.constantFrom('quit', 'fin', 'rst', 'cut'),
});

const target: fc.Arbitrary<TargetPlan> = fc.record({
  seed: fc.nat(1000),
  slowMs: fc.constantFrom(0, 1, 30, 300),
  greetMs: fc.constantFrom(0, 4),
  hangs: fc.constantFrom(0, 0, 0, 0, 25),
  resets: fc.constantFrom(0, 0, 0, 10, 25),
  room: rarely(fc.record({ most: fc.nat(3), untilMs: fc.integer({ min: 100, max: 5_000 }) })),
  down: rarely(
    fc.tuple(fc.nat(800), fc.nat(3_000)).map(([fromMs, forMs]) => ({ fromMs, toMs: fromMs + forMs })),
  ),
});

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ do: fc.constant('pause' as const), forMs: fc.nat(700) }),
  fc.record({ do: fc.constant('speed' as const), speed: speeds }),
  fc.record({ do: fc.constantFrom('stop' as const, 'out-of-time' as const, 'cut' as const) }),
);

const selection: fc.Arbitrary<SelectionChoices> = fc.constantFrom<SelectionChoices[]>(
  { writes: 'first' },
  { writes: 'none' },
  { readOnly: true },
  { excludeSql: ['commit'] },
);

/** What does not go together on the command line is taken out again. */
export const combination: fc.Arbitrary<Combination> = fc
  .record({
    sessions: fc.array(session, { minLength: 1, maxLength: 8, size: 'max' }),
    target,
    live: fc.nat(5).map((n) => n === 0),
    copies: fc.integer({ min: 1, max: COPIES }),
    shares: fc.constantFrom(1, 1, 2),
    batch: fc.constantFrom(1, 7, 1000),
    speed: speeds,
    maxConnections: often(fc.integer({ min: 1, max: 5 })),
    connectRate: rarely(fc.constantFrom(5, 50, 400)),
    pool: often(fc.integer({ min: 1, max: 3 })),
    order: rarely(fc.constant('commit' as const)),
    spreadMs: fc.constantFrom(0, 0, 300),
    timing: rarely(
      fc.record({
        connectScale: fc.constantFrom(0, 0.5, 1, 2),
        thinkScale: fc.constantFrom(0, 0.5, 1, 2),
        idle: fc.boolean(),
        catchUp: fc.boolean(),
      }),
    ),
    window: rarely(
      fc
        .record({ from: often(fc.nat(700)), forMs: often(fc.nat(900)) })
        .map(({ from, forMs }) => ({ from, to: forMs && (from ?? 0) + forMs })),
    ),
    selection: rarely(selection),
    schemaPerCopy: fc.boolean(),
    done: rarely(fc.record({ counted: fc.array(fc.nat(7)), begun: fc.array(fc.nat(8 * COPIES)) })),
    acts: fc.array(fc.record({ at: fc.nat(1_500), act }), { maxLength: 3 }),
  })
  .map((all) => {
    const one: Combination = { ...all };
    if (one.live) {
      Object.assign(one, { speed: 1, timing: undefined, window: undefined, done: undefined, batch: 1 });
      one.acts = one.acts.filter(({ act }) => act.do === 'cut');
    }
    if (one.order === 'commit') one.shares = one.live ? 1 : Math.min(one.shares, one.copies);
    if (one.maxConnections !== undefined) one.maxConnections = Math.max(one.maxConnections, one.shares);
    if (one.pool !== undefined) one.pool = Math.max(one.pool, one.shares);
    return one;
  });

/** The recording, made anew for each share, as each decodes for itself. */
export function tapeOf({ sessions }: Combination): Tape {
  const tape = new Tape();
  for (const plan of sessions) record(tape, plan);
  return tape;
}

function record(tape: Tape, { at, user, how, steps, lastsMs, end }: SessionPlan): void {
  const session = tape.session(at, {
    user,
    late: how === 'late',
    ...(how === 'refused' ? { refused: DENIED } : {}),
  });
  if (how === 'refused') {
    session.close(at + 1, 'fin');
    return;
  }
  let ms = at + 1;
  let inTransaction = false;
  let statement = NO_STATEMENT;
  for (const { what, gapMs, replyMs, answered } of steps) {
    ms += gapMs;
    inTransaction = what === 'begin' || (inTransaction && what !== 'commit' && what !== 'reset');
    const status = inTransaction ? STATUS.inTransaction : 0;
    statement = say(session, ms, what, statement, { replyMs, answered, reply: { status } });
    ms += replyMs;
  }
  if (end === 'quit') session.quit(ms + lastsMs);
  else session.close(ms + lastsMs, end);
}

/** What it says has the session's number and its own in it. Answers which statement is prepared behind it. */
function say(
  session: TapeSession,
  ms: number,
  what: Step['what'],
  statement: number,
  options: Parameters<TapeSession['query']>[2],
): number {
  const n = session.commands.length;
  const tag = `/*${session.meta.id}.${n}*/`;
  switch (what) {
    case 'prepare':
    case 'prepare-write': {
      const verb = what === 'prepare' ? 'SELECT a' : 'DELETE';
      const reply = { statementId: n + 1, params: 1 };
      session.command(ms, COM.stmtPrepare, [`${verb} ${tag} FROM shop.t WHERE a = ?`], { ...options, reply });
      return n + 1;
    }
    case 'execute':
      session.execute(ms, statement, options);
      break;
    case 'close-statement':
      session.closeStatement(ms, statement);
      return NO_STATEMENT;
    case 'use':
      session.command(ms, COM.initDb, ['shop'], options);
      break;
    case 'reset':
      session.command(ms, COM.resetConnection, [], options);
      return NO_STATEMENT;
    case 'gap':
      session.lost(ms, 'gap', 2);
      break;
    default:
      session.query(ms, textOf(what, tag), options);
  }
  return statement;
}

function textOf(what: Step['what'], tag: string): string {
  switch (what) {
    case 'read':
      return `SELECT ${tag} a FROM shop.t`;
    case 'write':
      return `UPDATE ${tag} shop.t SET a = 1`;
    case 'set':
      return `SET ${tag} @a = 1`;
    default:
      return `${what} ${tag}`;
  }
}

/** All of `one` but what the target does. */
export function setupOf(one: Combination): Setup {
  const { copies, shares, speed, order, timing, spreadMs, window, live, schemaPerCopy, done } = one;
  const fromNs = window?.from === undefined ? undefined : window.from * MS;
  const timetable =
    timing &&
    new Timetable({
      anchorAt: fromNs ?? 0,
      connectScale: timing.connectScale,
      thinkScale: timing.thinkScale,
      idle: timing.idle
        ? IdleGaps.from({
            from: Float64Array.of(200 * MS, 700 * MS),
            until: Float64Array.of(300 * MS, 900 * MS),
          })
        : undefined,
    });
  let run: Run | undefined;
  return {
    copies,
    shares,
    speed,
    batch: one.batch,
    ...(order === undefined ? {} : { order }),
    passwords: PASSWORDS,
    connectTimeoutMs: 700,
    replyTimeoutMs: 600,
    logins: {
      adopt: ({ id }) =>
        id % 4 === 0 ? undefined : { user: 'app', schema: 'shop', settings: ['SET @a = 0'], statements: [] },
    },
    engine: {
      anchor: { at: fromNs ?? 0, now: START_MS },
      timing: { timetable, catchUp: timing?.catchUp, spreadMs },
      window: window && { from: fromNs, to: window.to === undefined ? undefined : window.to * MS },
      done: done && {
        isCounted: (id) => done.counted.includes(id),
        lostBy: (id, copy) => (done.begun.includes(id * COPIES + copy) ? 'interrupted' : undefined),
        wasOpened: (id, copy) => done.begun.includes(id * COPIES + copy) && id % 2 === 0,
      },
    },
    engineOf: (share) => {
      const kinds = new CommandKinds();
      return {
        orderBy: order === 'commit' ? kinds : undefined,
        selection: one.selection && new Selection(one.selection, kinds),
        schemaPerCopy: schemaPerCopy ? new SchemaPerCopy('{schema}_{copy}') : undefined,
        maxConnections: one.maxConnections && partOf(share, one.maxConnections),
        connectRate: one.connectRate && one.connectRate / share.of,
        pool: one.pool && poolShare(one.pool, share),
        live: live ? { now: () => ((run?.clock.now() ?? START_MS) - START_MS) * MS } : undefined,
      };
    },
    at: [[0, (begun) => (run = begun)]],
    ...(live
      ? {
          // Each comes when it happens, whatever becomes of the others.
          made: async ([{ at }]) => {
            const ms = at / MS - ((run?.clock.now() ?? START_MS) - START_MS);
            if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
          },
        }
      : {}),
  };
}
