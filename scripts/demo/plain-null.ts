import { createServer, type Socket } from 'node:net';
import { COM } from '../../src/mysql/command.ts';
import { HEADER_OCTETS, payloadLength } from '../../src/mysql/packet.ts';
import { NullMysql } from '../bench/null-mysql.ts';

/** The bench's null responder behind ordinary sockets, on a port of its own of loopback: what there is where no server is installed. */
export async function startNull(): Promise<{ port: number; stop(): Promise<void> }> {
  const mysql = new NullMysql();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
    serve(socket, mysql);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

function serve(socket: Socket, mysql: NullMysql): void {
  let held = Buffer.alloc(0);
  let isIn = false;
  socket.write(mysql.greeting.octets);
  socket.on('data', (octets) => {
    held = Buffer.concat([held, octets]);
    while (held.length >= HEADER_OCTETS) {
      const end = HEADER_OCTETS + payloadLength(held, 0);
      if (held.length < end) break;
      if (!isIn) socket.write(mysql.welcome.octets);
      else if (held[HEADER_OCTETS] === COM.quit) socket.end();
      else {
        const answer = mysql.answer(held, HEADER_OCTETS, end);
        if (answer !== undefined) socket.write(answer.octets);
      }
      isIn = true;
      held = held.subarray(end);
    }
  });
}
