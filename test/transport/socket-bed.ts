/** The contract's bed for the socket transport: a server of node's in the same process, in clear or in TLS. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { realClock } from '../../src/time.ts';
import { SocketTransport } from '../../src/transport/socket.ts';
import type { TargetTls } from '../../src/transport/target-tls.ts';
import { until as untilSo } from '../support/until.ts';
import { type Certificate, certificate } from './certificate.ts';
import { type ContractBed, SSL_REQUEST, type TargetConnection, USUAL } from './contract.ts';

const HOST = '127.0.0.1';
/** Longest that anything may take, ms. */
/** Octets over loopback are there when the event loop has turned a few times. */
const SETTLE_MS = 20;
const BACKLOG = 1_000;

/** A server on a port of its own, until the test ends. */
export async function listen(t: TestContext, onConnection: (socket: Socket) => void): Promise<Server> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.listen(0, HOST, BACKLOG);
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return server;
}

export const portOf = (server: Server) => (server.address() as AddressInfo).port;

export function socketTransport(t: TestContext, server: Server, tls?: TargetTls): SocketTransport {
  const transport = new SocketTransport({
    target: HOST,
    port: portOf(server),
    clock: realClock,
    ...(tls === undefined ? {} : { tls }),
  });
  t.after(() => transport.close());
  return transport;
}

export async function until(done: () => boolean): Promise<void> {
  await turn();
  await untilSo('it came', done, 1);
}

/** The server's end of TLS over `socket`, of which `octets` were read: the request for TLS, and what may follow at once. */
export function acceptTls(socket: Socket, octets: Uint8Array, { key, cert }: Certificate): TLSSocket {
  assert.deepEqual(new Uint8Array(octets.subarray(0, SSL_REQUEST.length)), SSL_REQUEST);
  socket.pause();
  socket.unshift(octets.subarray(SSL_REQUEST.length));
  const tls = new TLSSocket(socket, { isServer: true, key, cert });
  tls.on('error', () => {});
  return tls;
}

export const clearBed = (t: TestContext) => socketBed(t, undefined);

/** The target takes the client's first packet for the request that goes before TLS, and tells the test nothing of it. */
export const tlsBed = (t: TestContext) => socketBed(t, certificate());

async function socketBed(t: TestContext, secret: Certificate | undefined): Promise<ContractBed> {
  const connections: TargetConnection[] = [];
  const server = await listen(t, (socket) => {
    let stream = socket;
    const connection: TargetConnection = {
      got: [],
      fin: false,
      reset: false,
      write: (octets) => stream.write(octets),
      close: () => stream.end(),
      cut: () => socket.resetAndDestroy(),
    };
    connections.push(connection);
    const ended = () => {
      connection.fin = true;
      bed.onFin(connection);
    };
    const use = () => {
      stream.on('end', ended);
      stream.on('data', (octets) => {
        connection.got.push(octets);
        bed.onData(connection, octets);
      });
      stream.on('error', () => {
        connection.reset = true;
      });
    };
    if (secret === undefined) use();
    else {
      socket.once('end', ended);
      socket.once('data', (octets) => {
        socket.off('end', ended);
        stream = acceptTls(socket, octets, secret);
        use();
      });
    }
    bed.onOpen(connection);
  });
  const tls: TargetTls | undefined = secret && { verify: 'identity', ca: secret.cert };
  const bed: ContractBed = {
    ...USUAL,
    transport: socketTransport(t, server, tls),
    connections,
    refuse: async () => {
      server.close();
      await once(server, 'close');
    },
    until,
    settle: () => sleep(SETTLE_MS),
  };
  return bed;
}
