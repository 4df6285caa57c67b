import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { type AskLimits, askTarget } from '../../src/server/facts.ts';
import { certificate } from '../transport/certificate.ts';

async function listen(onSocket: (socket: Socket) => void): Promise<Server & { port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return Object.assign(server, { port: (server.address() as { port: number }).port });
}

const APP = [{ user: 'app', password: 'x' }];
const SHORT: AskLimits = { answerMs: 200, allMs: 400 };

const ask = (port: number, accounts = APP, limits = SHORT) =>
  askTarget({ host: '127.0.0.1', port, tls: undefined }, accounts, limits);

/** HandshakeV10, of a server that knows mysql_native_password only. */
function greeting(): Buffer {
  const payload = Buffer.concat([
    Buffer.from([10]),
    Buffer.from('8.4.2\0'),
    Buffer.from([7, 0, 0, 0]),
    Buffer.from('12345678\0'),
    Buffer.from([0xff, 0xf7, 45, 2, 0, 0xff, 0x81, 21]),
    Buffer.alloc(10),
    Buffer.from('123456789012\0'),
    Buffer.from('mysql_native_password\0'),
  ]);
  return packet(0, payload);
}

function packet(sequence: number, payload: Buffer): Buffer {
  const head = Buffer.from([0, 0, 0, sequence]);
  head.writeUIntLE(payload.length, 0, 3);
  return Buffer.concat([head, payload]);
}

const OK = Buffer.from([0, 0, 0, 2, 0, 0, 0]);

test('a target that says nothing, talks nonsense, or is not there leaves every question open', async () => {
  const sockets: Socket[] = [];
  const mute = await listen((socket) => sockets.push(socket.resume()));
  const odd = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const silent = await ask(mute.port);
  assert.equal(silent.open.length, 6);
  assert.match(silent.open[0].why, /^app: cannot log in: no answer in 0\.2 s$/);
  assert.equal((await ask(odd.port)).open.length, 6);
  odd.close();
  mute.close();
  for (const socket of sockets) socket.destroy();
  assert.match((await ask(mute.port)).noEntry?.says ?? '', /ECONNREFUSED/);
  assert.match((await ask(mute.port, [])).noEntry?.says ?? '', /no user and password/);
});

test('a target that answers a question by what is no answer is no MySQL server, and mytape says it in its own words', async () => {
  // Of a column count of 8 octets only the mark is there, and the packet has another's number.
  const nonsense = Buffer.from([4, 0, 0, 1, 0xfd, 0xff, 0xff, 0xff]);
  const server = await listen((socket) => {
    socket.write(greeting());
    socket.once('data', () => {
      socket.write(packet(2, OK));
      socket.on('data', () => socket.write(Buffer.concat([nonsense, nonsense])));
    });
  });
  const { open, noEntry } = await ask(server.port, APP, { answerMs: 5_000, allMs: 20_000 });
  assert.equal(noEntry, undefined, 'it let the user in');
  assert.deepEqual(
    [open.length, open[0].why],
    [6, 'app: got no answer: it answers what is not the MySQL protocol'],
  );
  server.close();
});

test('all users together have a limit: a slow target is not asked for ever', async () => {
  const sockets: Socket[] = [];
  const mute = await listen((socket) => sockets.push(socket.resume()));
  const many = Array.from({ length: 50 }, (_, i) => ({ user: `u${i}`, password: '' }));
  const { open } = await ask(mute.port, many);
  assert.ok(sockets.length < 10, `${sockets.length} connections`);
  assert.match(open[0].why, /no answer in/);
  for (const socket of sockets) socket.destroy();
  mute.close();
});

test('users who cannot log in bring no answer, and the next is asked', async () => {
  const tried: string[] = [];
  const server = await listen((socket) => {
    socket.write(greeting());
    socket.once('data', (hello) => {
      tried.push(hello.toString('latin1', 36, hello.indexOf(0, 36)));
      const text = Buffer.from('#28000no such user');
      socket.end(packet(2, Buffer.concat([Buffer.from([0xff, 0x15, 0x04]), text])));
    });
  });
  const users = ['a', 'b', 'c', 'd', 'e'].map((user) => ({ user, password: 'x' }));
  const { open } = await ask(server.port, users, { answerMs: 5_000, allMs: 20_000 });
  assert.deepEqual(tried, ['a', 'b', 'c', 'd', 'e']);
  assert.match(open[0].why, /^a, b, c and 2 more: cannot log in: no such user$/);
  server.close();
});

/** Lets anyone in, and answers the first question by one column and a row without end: packets of the greatest length. */
function pourRow(socket: Duplex, loginSequence: number, poured: (octets: number) => void): void {
  socket.once('data', () => {
    socket.write(packet(loginSequence, OK));
    socket.once('data', () => {
      const column = Buffer.from('036465660000000161000c2d00ffff0000fd0000000000', 'hex');
      socket.write(packet(1, Buffer.from([1])));
      socket.write(packet(2, column));
      socket.write(packet(3, Buffer.from([0xfe, 0, 0, 2, 0])));
      const part = packet(4, Buffer.alloc(0xff_ff_ff, 0x41));
      const pour = () => {
        do poured(part.length);
        while (socket.write(part));
        socket.once('drain', pour);
      };
      pour();
    });
  });
}

const PATIENT: AskLimits = { answerMs: 20_000, allMs: 20_000 };

test('an answer that never ends is cut off after a megabyte', async () => {
  let sent = 0;
  const server = await listen((socket) => {
    socket.write(greeting());
    pourRow(socket, 2, (octets) => {
      sent += octets;
    });
  });
  const { open } = await ask(server.port, APP, PATIENT);
  assert.match(open[0].why, /got no answer: it sent more than 1 MiB for an answer/);
  assert.ok(sent < 100e6, `${sent} octets were taken from it`);
  server.close();
});

test('so it is over TLS', async () => {
  const { key, cert } = certificate();
  const server = await listen((socket) => {
    const greets = greeting();
    // CLIENT_SSL: 0x800, in the second octet of the capabilities.
    greets[4 + 1 + '8.4.2\0'.length + 4 + '12345678\0'.length + 1] |= 0x08;
    socket.write(greets);
    socket.once('data', (octets) => {
      // An SSLRequest has 36 octets; what came with it is TLS already.
      socket.pause();
      socket.unshift(octets.subarray(36));
      const secure = new TLSSocket(socket, { isServer: true, key, cert });
      secure.on('error', () => {});
      pourRow(secure, 3, () => {});
    });
  });
  const tls = { verify: 'none', servername: 'db.example' } as const;
  const { open } = await askTarget({ host: '127.0.0.1', port: server.port, tls }, APP, PATIENT);
  assert.match(open[0].why, /got no answer: it sent more than 1 MiB for an answer/);
  server.close();
});
