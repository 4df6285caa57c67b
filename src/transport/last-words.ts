import type { Socket } from 'node:net';

type Callback = (error?: Error | null) => void;

/**
 * Lets `stream`, which is `socket` or TLS over it, be read to its end where a write finds out that the connection is gone.
 * Node ends it there, and with it what the target had said before it closed: "this connection was killed". The error goes to
 * `failed` in place of the stream, for which the write stays under way: reading comes to an end by itself.
 */
export function hearLastWords(stream: Socket, socket: Socket, failed: (error: Error) => void): void {
  const write = stream._write.bind(stream);
  const writev = stream._writev!.bind(stream);
  let given: Callback | undefined;
  let ours: Callback = () => {};
  // A stream gives the same callback each time: no closure a write.
  const guard = (callback: Callback): Callback => {
    if (callback === given) return ours;
    given = callback;
    ours = (error) => {
      if (error && !stream.readableEnded && socket.remoteAddress === undefined) failed(error);
      else callback(error);
    };
    return ours;
  };
  stream._write = (chunk, encoding, callback) => write(chunk, encoding, guard(callback));
  stream._writev = (chunks, callback) => writev(chunks, guard(callback));
}
