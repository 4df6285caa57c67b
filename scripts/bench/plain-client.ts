/**
 * The client to measure against: one connection by an ordinary node socket, as fast as node has it (`onread`), a closed loop of
 * point selects.
 *
 *     node plain-client.js HOST PORT USER PASSWORD COMMANDS
 */
import { connect } from 'node:net';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { COM } from '../../src/mysql/command.ts';
import { Login } from '../../src/mysql/login.ts';
import { framePacket, HEADER_OCTETS, payloadLength } from '../../src/mysql/packet.ts';
import { ROWS } from './pointselect.ts';

const BUFFER_OCTETS = 64 << 10;
const STATEMENTS = 1_000;
const EOF_OCTETS = 5;
const EOF_MARK = 0xfe;
const ERR_MARK = 0xff;

const [host, port, user, password, commands] = process.argv.slice(2);

const login = new Login({
  recorded: {
    capabilities: CLIENT.mysql | CLIENT.protocol41 | CLIENT.secureConnection | CLIENT.connectWithDb,
    extendedCapabilities: 0,
    maxPacket: 1 << 24,
    charset: 33,
    user,
    authResponse: new Uint8Array(20),
    schema: 'sbtest',
  },
  user,
  password,
});
const statements = Array.from({ length: STATEMENTS }, (_, i) => {
  const text = `SELECT c FROM sbtest1 WHERE id=${1 + ((i * 7919) % ROWS)}`;
  return framePacket(0, Buffer.concat([Uint8Array.of(COM.query), Buffer.from(text)]));
});

let loggedIn = false;
let sent = 0;
/** EOF packets of the answer: the second ends it. */
let eofs = 0;
/** The beginning of a packet whose end has not come. */
let rest: Uint8Array = new Uint8Array(0);

function fail(why: string): never {
  process.stderr.write(`plain client: ${why}\n`);
  process.exit(1);
}

function next(): void {
  eofs = 0;
  if (sent < Number(commands)) {
    socket.write(statements[sent++ % STATEMENTS]);
    return;
  }
  socket.end(framePacket(0, Uint8Array.of(COM.quit)));
}

function onPacket(octets: Uint8Array, from: number, to: number): void {
  const mark = octets[from + HEADER_OCTETS];
  if (loggedIn) {
    if (mark === ERR_MARK) fail('the server answers with an error');
    if (mark === EOF_MARK && to - from === HEADER_OCTETS + EOF_OCTETS && ++eofs === 2) next();
    return;
  }
  const step = login.onPacket(octets.slice(from, to));
  if (step.type === 'send') socket.write(step.octets);
  else if (step.type === 'failed') fail(step.message);
  else if (step.type === 'done') {
    loggedIn = true;
    next();
  }
}

function onOctets(count: number, buffer: Uint8Array): boolean {
  const octets =
    rest.length === 0 ? buffer.subarray(0, count) : Buffer.concat([rest, buffer.subarray(0, count)]);
  let at = 0;
  while (octets.length - at >= HEADER_OCTETS) {
    const end = at + HEADER_OCTETS + payloadLength(octets, at);
    if (end > octets.length) break;
    onPacket(octets, at, end);
    at = end;
  }
  rest = at === octets.length ? new Uint8Array(0) : new Uint8Array(octets.subarray(at));
  return true;
}

const socket = connect({
  host,
  port: Number(port),
  noDelay: true,
  onread: { buffer: Buffer.alloc(BUFFER_OCTETS), callback: onOctets },
});
socket.on('error', (error) => fail(error.message));
