/** A worker thread of `mytape replay -C N`: one share of the run. Talks by messages to threads.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { MytapeError } from '../errors.ts';
import { shedRights } from '../net/host/run-as.ts';
import type { Share } from '../replay/share.ts';
import type { Lines } from '../report/output.ts';
import type { Anchor, OpeningJob, Progress, ReplayJob, ShareResult, Steering, StopCause } from './job.ts';
import { ReplayShare } from './share.ts';

export type ToWorker =
  | { type: 'prepare'; job: ReplayJob }
  | { type: 'run'; anchor: Anchor }
  /** No more sockets are opened. */
  | { type: 'shed' }
  | { type: 'end' }
  | { type: 'steer'; steering: Steering }
  | { type: 'lateness' }
  | { type: 'stop'; cause: StopCause }
  | { type: 'cut' }
  | { type: 'close' };

export type FromWorker =
  | { type: 'ready' }
  /** `code`: of a MytapeError; undefined where the fault is our own. */
  | { type: 'failed'; code: string | undefined; message: string; stack: string | undefined }
  | { type: 'progress'; progress: Progress }
  | { type: 'say'; lines: Lines }
  /** A histogram, encoded. */
  | { type: 'lateness'; lateness: string }
  /** What is under way may take so long at most, ms. */
  | { type: 'stopping'; leftMs: number | undefined }
  /** It has no capabilities any more. */
  | { type: 'shed' }
  /** Of a `run`. */
  | { type: 'ran'; unread: string | undefined }
  | { type: 'done'; result: ShareResult };

/** How often progress is told, ms. */
const PROGRESS_MS = 250;

const { job, share } = workerData as { job: OpeningJob; share: Share };
const port = parentPort as NonNullable<typeof parentPort>;
const tell = (message: FromWorker) => port.postMessage(message);

async function work(): Promise<void> {
  const replay = await ReplayShare.open(job, share, (lines) => tell({ type: 'say', lines }));
  const progress = setInterval(() => tell({ type: 'progress', progress: replay.progress }), PROGRESS_MS);
  const run = async (anchor: Anchor) => tell({ type: 'ran', unread: await replay.run(anchor) });
  try {
    const isWhole = await new Promise<boolean>((resolve, reject) => {
      port.on('message', (message: ToWorker) => {
        if (message.type === 'prepare') replay.prepare(message.job);
        else if (message.type === 'run') run(message.anchor).catch(reject);
        else if (message.type === 'shed') {
          shedRights();
          tell({ type: 'shed' });
        } else if (message.type === 'end') resolve(true);
        else if (message.type === 'close') resolve(false);
        else if (message.type === 'stop') tell({ type: 'stopping', leftMs: replay.stop(message.cause) });
        else if (message.type === 'steer') replay.steer(message.steering);
        else if (message.type === 'lateness') tell({ type: 'lateness', lateness: replay.lateness });
        else replay.cut();
      });
      tell({ type: 'ready' });
    });
    if (isWhole) tell({ type: 'done', result: await replay.end() });
    else await replay.close();
  } finally {
    clearInterval(progress);
  }
}

work()
  .catch((error: Error) => {
    const code = error instanceof MytapeError ? error.code : undefined;
    tell({ type: 'failed', code, message: error.message, stack: error.stack });
  })
  .finally(() => port.close());
