import { setTimeout as sleep } from 'node:timers/promises';
import { losePackets } from '../lab/impair.ts';
import type { Lab } from '../lab/lab.ts';
import type { Recorded, Replayed, ReplayPlan } from '../lab/path.ts';
import { type ReplayFiles, startIntercept } from '../lab/tape.ts';
import { fact } from './narrator.ts';
import { replayStep } from './replays.ts';

const LOSS_PERCENT = 1;
/** Well into the replay. */
const KILL_MS = 3_000;

/** Step: a replay on a bad day. Packets are lost both ways, and intercept is killed and started again. */
export async function replayInTrouble(
  lab: Lab,
  start: string,
  recorded: Recorded,
  files: ReplayFiles,
  plan: ReplayPlan,
): Promise<Replayed> {
  const loss = await losePackets(lab, LOSS_PERCENT);
  try {
    const replayed = await replayStep(lab, start, recorded, files, {
      ...plan,
      meanwhile: async (intercept) => {
        await sleep(KILL_MS);
        await intercept.stop('SIGKILL');
        return startIntercept(lab, files);
      },
    });
    fact(
      `packets that the switch lost: ${await loss.met()}; sent again by us: ${replayed.summary.packets.retransmitted}`,
    );
    return replayed;
  } finally {
    await loss.stop();
  }
}
