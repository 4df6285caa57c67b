import { fileURLToPath } from 'node:url';
import { PORT, USERS } from '../lab/server.ts';
import { timed } from './cpu.ts';
import { median, round } from './figures.ts';
import { NULL_PORT, NullTarget } from './null-target.ts';
import { type Bench, mustBeWhole, type Path, runReplay, tapeOf } from './replay-run.ts';
import { makeLoop } from './synthetic.ts';
import { type Turnaround, watchTurnaround } from './turnaround.ts';

const COMMANDS = 20_000;
const ROUNDS = 3;
const PLAIN_CLIENT = fileURLToPath(new URL('plain-client.js', import.meta.url));

type Client = 'plain' | Path;
const CLIENTS: readonly Client[] = ['plain', 'intercept', 'local'];

export interface LatencyFigures {
  target: 'mariadb' | 'null';
  client: Client;
  rate: number;
  /** `rate` over the plain client's. */
  share: number;
  turnaround_p50_us: number;
  turnaround_p99_us: number;
  /** Over the plain client's. */
  added_p50_us: number;
  added_p99_us: number;
}

function run(bench: Bench, client: Client, port: number): Promise<Turnaround> {
  const { lab } = bench;
  return watchTurnaround(lab, port, async () => {
    if (client === 'plain') {
      const where = [lab.addresses.target, String(port), 'app', USERS.app, String(COMMANDS)];
      await timed(lab, 'online', [process.execPath, PLAIN_CLIENT, ...where]);
      return;
    }
    const tape = tapeOf(bench, `loop-1-${COMMANDS}`, (folder) => makeLoop(folder, 1, COMMANDS));
    const { summary } = await runReplay(bench, { path: client, tape, port });
    mustBeWhole(summary);
  });
}

/** One connection, a closed loop: by the path, and by an ordinary socket. */
export async function benchLatency(bench: Bench): Promise<LatencyFigures[]> {
  const all: LatencyFigures[] = [];
  const responder = await NullTarget.start(bench.lab);
  for (const [target, port] of [
    ['mariadb', PORT],
    ['null', NULL_PORT],
  ] as const) {
    const runs = new Map<Client, Turnaround[]>(CLIENTS.map((client) => [client, []]));
    for (let i = 0; i < ROUNDS; i++) {
      for (const client of CLIENTS) runs.get(client)!.push(await run(bench, client, port));
    }
    const of = (client: Client, field: (run: Turnaround) => number) => median(runs.get(client)!.map(field));
    for (const client of CLIENTS) {
      const added = (field: (run: Turnaround) => number) => round(of(client, field) - of('plain', field), 1);
      const p50 = (each: Turnaround) => each.p50_us;
      const p99 = (each: Turnaround) => each.p99_us;
      const rate = of(client, (each) => each.rate);
      const figures = {
        target,
        client,
        rate,
        share: round(rate / of('plain', (each) => each.rate)),
        turnaround_p50_us: of(client, p50),
        turnaround_p99_us: of(client, p99),
        added_p50_us: added(p50),
        added_p99_us: added(p99),
      };
      all.push(figures);
      bench.say(
        `  ${target}, ${client}: ${rate} commands/s (${figures.share} of the plain socket's), turnaround p50 ${figures.turnaround_p50_us} p99 ${figures.turnaround_p99_us} µs`,
      );
    }
  }
  await responder.stop();
  return all;
}
