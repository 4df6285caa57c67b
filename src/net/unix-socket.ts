/** Unix sockets of files that only their owner may connect to (unix(7)). */
import { createConnection, type Server } from 'node:net';

/** Longest path that sockaddr_un has room for, without the NUL. */
export const MOST_PATH_OCTETS = 107;

/** Listens at `path` with mode 0600 from its first moment. Errors are the server's own. */
export function listenPrivately(server: Server, path: string, listening: () => void): void {
  // The socket's file is made within the call.
  const before = process.umask(0o177);
  try {
    server.listen(path, listening);
  } finally {
    process.umask(before);
  }
}

/** Whether a process listens at `path`. One that does not keep up with its connections does, too (EAGAIN). */
export function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'EAGAIN'));
  });
}
