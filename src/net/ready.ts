import { koffi } from './libc.ts';

/** libuv's eye on one file descriptor. */
export interface Ready {
  /** Stops looking; costs a system call or two. */
  pause(): void;
  /** Looks again, after `pause`. */
  resume(): void;
  /** Before the descriptor itself is closed. */
  close(): void;
}

/**
 * Calls `callback` whenever `fd` can be read, again and again until it no longer can; `failed` where the socket has an
 * error (SO_ERROR tells which): then libuv has stopped looking, and `resume` makes it look again. Keeps the process
 * alive while it looks.
 *
 * koffi.node.poll is a uv_poll, and undocumented: koffi 3 calls back with (status, events) where its declarations say
 * (events). It does so outside of any of node's callback scopes, so promises settled in it would wait for whatever
 * happens next on the loop: hence setImmediate, which runs in the same turn of the loop. Nothing else keeps the handle:
 * collected, it would fall silent.
 */
export function onReadable(fd: number, callback: (failed: boolean) => void): Ready {
  let watching = true;
  let scheduled = false;
  let failed = false;
  const run = () => {
    scheduled = false;
    if (watching) callback(failed);
  };
  const wake = (...args: unknown[]) => {
    failed = typeof args[0] === 'number' && args[0] < 0;
    if (scheduled) return;
    scheduled = true;
    setImmediate(run);
  };
  const handle = koffi().node.poll(fd, wake);
  return {
    pause: () => {
      watching = false;
      handle.stop();
    },
    resume: () => {
      watching = true;
      handle.start(wake);
    },
    close: () => {
      watching = false;
      handle.close();
    },
  };
}
