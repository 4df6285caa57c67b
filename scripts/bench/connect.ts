import { CTL } from '../../src/wire/segment.ts';
import { PORT } from '../lab/server.ts';
import { median, percentile, round } from './figures.ts';
import { type Bench, type Path, runReplay, tapeOf } from './replay-run.ts';
import { captureAtSwitch, eachSegment } from './switch-capture.ts';
import { makeShort } from './synthetic.ts';

const SESSIONS = 1_000;
const AT_ONCE = 8;
const ROUNDS = 3;
const PATHS: readonly Path[] = ['socket', 'local', 'intercept'];

/** A login that takes so long has waited for a segment that went again after a second, ms. */
const WAITED_MS = 900;

/** What the server says first, and when the password was right (with mysql_native_password). */
const GREETING = 1;
const LOGGED_IN = 2;

interface Logins {
  /** From a connection's first SYN to the server's greeting, and to the end of its login, ms. */
  greeting: Float64Array;
  login: Float64Array;
  /** Of the whole run, by its own word. */
  elapsedSec: number;
}

export interface ConnectFigures {
  path: Path;
  greeting_p50_ms: number;
  greeting_p99_ms: number;
  login_p50_ms: number;
  login_p99_ms: number;
  login_max_ms: number;
  /** Logins of all runs that waited for a retransmission. */
  waited: number;
  /** Over the sockets'. */
  login_p50_share: number;
  login_p99_share: number;
  elapsed_s: number;
}

/** 1,000 sessions of one query: how long their logins take by each path onto MariaDB, in turns. */
export async function benchConnect(bench: Bench): Promise<ConnectFigures[]> {
  const runs = new Map<Path, Logins[]>(PATHS.map((path) => [path, []]));
  for (let i = 0; i < ROUNDS; i++) for (const path of PATHS) runs.get(path)!.push(await run(bench, path));
  const of = (path: Path, field: (run: Logins) => number) => round(median(runs.get(path)!.map(field)));
  const p = (percent: number) => (run: Logins) => percentile(run.login, percent);
  return PATHS.map((path) => {
    const figures = {
      path,
      greeting_p50_ms: of(path, (each) => percentile(each.greeting, 50)),
      greeting_p99_ms: of(path, (each) => percentile(each.greeting, 99)),
      login_p50_ms: of(path, p(50)),
      login_p99_ms: of(path, p(99)),
      login_max_ms: of(path, (each) => Math.max(...each.login)),
      waited: runs
        .get(path)!
        .reduce((sum, each) => sum + each.login.filter((ms) => ms > WAITED_MS).length, 0),
      login_p50_share: round(of(path, p(50)) / of('socket', p(50))),
      login_p99_share: round(of(path, p(99)) / of('socket', p(99))),
      elapsed_s: of(path, (each) => each.elapsedSec),
    };
    bench.say(
      `  ${path}: login p50 ${figures.login_p50_ms} p99 ${figures.login_p99_ms} max ${figures.login_max_ms} ms (${figures.login_p50_share} and ${figures.login_p99_share} times the sockets'), ${figures.waited} of ${SESSIONS * ROUNDS} waited a second; ${SESSIONS} sessions in ${figures.elapsed_s} s`,
    );
    return figures;
  });
}

async function run(bench: Bench, path: Path): Promise<Logins> {
  const tape = tapeOf(bench, `connect-${SESSIONS}`, (folder) => makeShort(folder, SESSIONS, AT_ONCE));
  let elapsedSec = 0;
  const pcap = await captureAtSwitch(bench.lab, PORT, async () => {
    const { summary } = await runReplay(bench, { path, tape, port: PORT });
    const { completed, scheduled } = summary.sessions;
    if (completed !== scheduled) throw new Error(`${scheduled - completed} sessions were lost by ${path}`);
    elapsedSec = summary.elapsed_s;
  });
  return { ...loginsOf(pcap), elapsedSec };
}

/** Of all connections in the capture that logged in. */
function loginsOf(pcap: Uint8Array): Pick<Logins, 'greeting' | 'login'> {
  const open = new Map<string, { iss: number; at: number; said: number }>();
  const times: Record<number, number[]> = { [GREETING]: [], [LOGGED_IN]: [] };
  eachSegment(pcap, (segment, at) => {
    const { flags, srcPort, dstPort, src, dst } = segment;
    const isClient = dstPort === PORT;
    const key = isClient ? `${src} ${srcPort}` : `${dst} ${dstPort}`;
    const known = open.get(key);
    if (isClient) {
      // A SYN that goes again is of the same connection.
      if (flags & CTL.syn && known?.iss !== segment.seq) open.set(key, { iss: segment.seq, at, said: 0 });
    } else if (known !== undefined && segment.dataLength > 0) {
      times[++known.said]?.push((at - known.at) / 1e6);
    }
  });
  return { greeting: Float64Array.from(times[GREETING]), login: Float64Array.from(times[LOGGED_IN]) };
}
