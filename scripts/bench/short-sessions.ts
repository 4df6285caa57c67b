import { alternate, type Cost, type UnitCost } from './figures.ts';
import { NULL_PORT, NullTarget } from './null-target.ts';
import { type Bench, cpuOf, type Path, runReplay, tapeOf } from './replay-run.ts';
import { makeShort } from './synthetic.ts';

const SESSIONS = 10_000;
const SHORT = 2_000;
const AT_ONCE = 20;
const COPIES = 10;
const ROUNDS = 3;

export interface ShortSessionFigures {
  sessions: number;
  at_once: number;
  intercept: UnitCost;
  local: UnitCost;
  /** Sessions and commands that did not arrive, of all runs. */
  lost: number;
}

/** Sessions of one query: connect, log in, ask, quit. A unit is a session. */
export async function benchShortSessions(bench: Bench): Promise<ShortSessionFigures> {
  const responder = await NullTarget.start(bench.lab);
  let lost = 0;
  const run = async (path: Path, sessions: number): Promise<Cost> => {
    const tape = tapeOf(bench, `short-${sessions}`, (folder) => makeShort(folder, sessions, AT_ONCE));
    const job = { path, tape, port: NULL_PORT, extra: ['-n', String(COPIES)] };
    const { summary, replayMs, interceptMs } = await runReplay(bench, job);
    const { completed, scheduled } = summary.sessions;
    lost += scheduled - completed + summary.commands.scheduled - summary.commands.answered;
    return {
      units: completed,
      cpuMs: cpuOf(job, replayMs, interceptMs),
      elapsedMs: summary.elapsed_s * 1000,
    };
  };
  const contender = (path: Path) => ({
    name: path,
    short: () => run(path, SHORT),
    long: () => run(path, SESSIONS),
  });
  const costs = await alternate([contender('intercept'), contender('local')], ROUNDS);
  await responder.stop();
  const figures = {
    sessions: SESSIONS * COPIES,
    at_once: AT_ONCE * COPIES,
    intercept: costs.get('intercept')!,
    local: costs.get('local')!,
    lost,
  };
  for (const path of ['intercept', 'local'] as const) {
    const { rate, total_us } = figures[path];
    bench.say(`  ${path}: ${rate} sessions/s, ${total_us} µs a session`);
  }
  bench.say(`  lost: ${lost}`);
  return figures;
}
