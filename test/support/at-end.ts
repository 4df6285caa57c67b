/** Calls `cleanUp` when this process ends, by Ctrl-C or SIGTERM as well. For what outlives a process: mounts, network namespaces. */
export function atEnd(cleanUp: () => void): void {
  process.once('exit', cleanUp);
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      cleanUp();
      process.off('exit', cleanUp);
      process.kill(process.pid, signal);
    });
}
