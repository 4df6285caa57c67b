import { alternate, round, type UnitCost } from './figures.ts';
import { NullTarget } from './null-target.ts';
import type { Bench, Path } from './replay-run.ts';
import { loopOnNull } from './saturation.ts';

const CHANNELS = [1, 2, 4];
const LOAD = { sessions: 50, copies: 10 };
const COMMANDS = 250_000;
const SHORT = 50_000;
const ROUNDS = 3;

export interface ChannelFigures {
  path: Path;
  channels: number;
  cost: UnitCost;
  /** Commands a second over those of one channel. */
  speedup: number;
}

/** The saturation of one replay with 1, 2 and 4 channels. Tells something only where there are cores for them. */
export async function benchChannels(bench: Bench): Promise<ChannelFigures[]> {
  const responder = await NullTarget.start(bench.lab);
  const all: ChannelFigures[] = [];
  for (const path of ['intercept', 'local'] as const) {
    const contenders = CHANNELS.map((channels) => {
      const extra = ['-C', String(channels)];
      return {
        name: String(channels),
        short: () => loopOnNull(bench, path, { ...LOAD, commands: SHORT }, extra),
        long: () => loopOnNull(bench, path, { ...LOAD, commands: COMMANDS }, extra),
      };
    });
    const costs = await alternate(contenders, ROUNDS);
    const one = costs.get('1')!.rate;
    for (const channels of CHANNELS) {
      const cost = costs.get(String(channels))!;
      all.push({ path, channels, cost, speedup: round(cost.rate / one) });
      bench.say(`  ${path} -C ${channels}: ${cost.rate} commands/s, ${cost.total_us} µs a command`);
    }
  }
  await responder.stop();
  return all;
}
