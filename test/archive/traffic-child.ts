/** So many sessions on loopback that look like MySQL, each with so many commands: `traffic-child PORT SESSIONS COMMANDS`. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { GREETING, handshakeResponse, mysqlPacket } from './support.ts';

const [port, sessions, commands] = process.argv.slice(2).map(Number);
const OK = mysqlPacket(1, Buffer.from([0, 0, 0, 2, 0, 0, 0]));
/** Long enough to come in packets of up to loopback's MTU, 64 KiB. */
const LONG_COMMAND = mysqlPacket(0, Buffer.alloc(100_000, 3));
const PING = mysqlPacket(0, Buffer.from([0x0e]));

const server = createServer((socket) => {
  socket.write(GREETING);
  socket.on('data', () => socket.write(OK));
  socket.on('end', () => socket.end());
}).listen(port, '127.0.0.1');
await once(server, 'listening');

async function session(): Promise<void> {
  const socket = connect(port, '127.0.0.1').setNoDelay();
  await once(socket, 'data');
  socket.write(handshakeResponse('app', 'shop'));
  await once(socket, 'data');
  for (let i = 0; i < commands; i++) {
    socket.write(i === 0 ? LONG_COMMAND : PING);
    await once(socket, 'data');
  }
  socket.end();
  await once(socket.resume(), 'close');
}

await Promise.all(Array.from({ length: sessions }, session));
server.close();
