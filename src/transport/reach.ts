import net from 'node:net';
import type { Reach } from './diagnosis.ts';

/** Whether an ordinary connection from this host's own address comes about within `timeoutMs`; it is closed at once. */
export function reach(host: string, port: number, timeoutMs: number): Promise<Reach> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const end = (answer: Reach) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end('silent'), timeoutMs);
    socket.once('connect', () => end('open'));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      end(error.code === 'ECONNREFUSED' ? 'refused' : 'silent');
    });
  });
}
