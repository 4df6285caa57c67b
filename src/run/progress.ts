/** How far a run has come, on a terminal. */

import { formatTime, Progress } from '../report/output.ts';
import { realClock } from '../time.ts';
import { type RunControl, speedText } from './control/control.ts';
import { keysHelp, listenForKeys } from './control/keys.ts';
import type { ReplayThreads } from './threads.ts';

const PROGRESS_MS = 1_000;

/** A line a second on a terminal. Returns what ends it. */
export function showProgress(
  threads: ReplayThreads,
  control: RunControl,
  startMs: number = Number.NEGATIVE_INFINITY,
): () => void {
  if (!process.stderr.isTTY) return () => {};
  const keys = process.stdin.isTTY ? listenForKeys(process.stdin, control) : undefined;
  const help = keys === undefined ? '' : `  (${keysHelp(control)})`;
  const line = new Progress();
  const startedAt = realClock.now();
  let before = 0;
  const timer = setInterval(() => {
    if (Date.now() < startMs) {
      line.show(`begins at ${formatTime(startMs)}`);
      return;
    }
    const { answered, lost, open, reconnected } = threads.progress;
    const seconds = Math.round((realClock.now() - startedAt) / 1000);
    const rate = answered - before;
    before = answered;
    line.show(
      `${seconds} s  ${answered} commands answered (${rate}/s), ${lost} lost, ${open} sessions open` +
        (reconnected === 0 ? '' : `, ${reconnected} reconnections`) +
        (control.speed === undefined
          ? ''
          : `, ${control.paused ? 'paused' : `speed ${speedText(control.speed)}`}`) +
        help,
    );
  }, PROGRESS_MS);
  return () => {
    clearInterval(timer);
    keys?.();
    line.clear();
  };
}
