/** A worker thread of `mytape replay -C N`: one share of the run. Talks by messages to replay-threads.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { MytapeError } from '../errors.ts';
import type { Share } from '../replay/share.ts';
import { type Anchor, type Progress, type ReplayJob, ReplayShare, type ShareResult } from './replay-share.ts';

export type ToWorker =
  | { type: 'run'; anchor: Anchor }
  | { type: 'stop' }
  | { type: 'cut' }
  | { type: 'close' };

export type FromWorker =
  | { type: 'ready' }
  /** `code`: of a MytapeError; undefined where the fault is our own. */
  | { type: 'failed'; code: string | undefined; message: string; stack: string | undefined }
  | { type: 'progress'; progress: Progress }
  | { type: 'say'; line: string }
  | { type: 'done'; result: ShareResult };

/** How often progress is told, ms. */
const PROGRESS_MS = 250;

const { job, share } = workerData as { job: ReplayJob; share: Share };
const port = parentPort as NonNullable<typeof parentPort>;
const tell = (message: FromWorker) => port.postMessage(message);

async function work(): Promise<void> {
  const replay = await ReplayShare.open(job, share, (line) => tell({ type: 'say', line }));
  const anchor = await new Promise<Anchor | undefined>((resolve) => {
    port.on('message', (message: ToWorker) => {
      if (message.type === 'run') resolve(message.anchor);
      else if (message.type === 'close') resolve(undefined);
      else if (message.type === 'stop') replay.stop();
      else replay.cut();
    });
    tell({ type: 'ready' });
  });
  if (anchor === undefined) {
    await replay.close();
    return;
  }
  const progress = setInterval(() => tell({ type: 'progress', progress: replay.progress }), PROGRESS_MS);
  try {
    tell({ type: 'done', result: await replay.run(anchor) });
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
