/**
 * Sessions on loopback that look like MySQL and never end: `steady-child PORT SESSIONS`. Each command has a number, which counts up from 0
 * within its session. Every few milliseconds a line of JSON on stdout says how far each session has come: what is answered was on the wire.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { GREETING, handshakeResponse, mysqlPacket } from '../support.ts';

/** What a line says. */
export interface SteadyReport {
  /** Ms since 1970. */
  at: number;
  /** By client port: the number of the last command that was answered. */
  answered: Record<string, number>;
}

const REPORT_MS = 10;
const PAUSE_MS = 3;
/** One command in so many is long. */
const LONG_EACH = 50;
const LONG_OCTETS = 60_000;

const [port, sessions] = process.argv.slice(2).map(Number);
const OK = mysqlPacket(1, Buffer.from([0, 0, 0, 2, 0, 0, 0]));
const answered: Record<string, number> = {};

const server = createServer((socket) => {
  socket.write(GREETING);
  let left = 0;
  let greeted = false;
  socket.on('data', (octets) => {
    // Packets come whole, or begin with their length.
    if (!greeted || left === 0) left = 4 + octets.readUIntLE(0, 3);
    greeted = true;
    left -= octets.length;
    if (left === 0) socket.write(OK);
  });
  socket.on('error', () => socket.destroy());
}).listen(port, '127.0.0.1');
await once(server, 'listening');

async function session(): Promise<never> {
  const socket = connect(port, '127.0.0.1').setNoDelay();
  await once(socket, 'data');
  socket.write(handshakeResponse('app', 'shop'));
  await once(socket, 'data');
  const { port: own } = socket.address() as AddressInfo;
  for (let number = 0; ; number++) {
    const text = `\x03select ${String(number).padStart(10, '0')}`;
    const padding = number % LONG_EACH === LONG_EACH - 1 ? LONG_OCTETS : 0;
    socket.write(mysqlPacket(0, Buffer.from(text.padEnd(text.length + padding))));
    await once(socket, 'data');
    answered[own] = number;
    await sleep(PAUSE_MS);
  }
}

setInterval(
  () => process.stdout.write(`${JSON.stringify({ at: Date.now(), answered } satisfies SteadyReport)}\n`),
  REPORT_MS,
);
await Promise.all(Array.from({ length: sessions }, session));
