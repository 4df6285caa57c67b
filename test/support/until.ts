import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

/** Ends what would otherwise hang. No machine, however loaded, comes near it where all is well. */
export const HANG_MS = 60_000;

/** Waits until `isSo`, which is asked every `everyMs`. Fails after HANG_MS, with `what` it waited for. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  everyMs = 20,
): Promise<void> {
  const deadline = performance.now() + HANG_MS;
  while (!(await isSo())) {
    assert.ok(performance.now() < deadline, `not within ${HANG_MS / 1000} s: ${what}`);
    await sleep(everyMs);
  }
}
