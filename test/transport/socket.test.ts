import assert from 'node:assert/strict';
import type { Server, Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { EXPECT } from '../../src/mysql/command.ts';
import { Login } from '../../src/mysql/login.ts';
import { framePacket, HEADER_OCTETS } from '../../src/mysql/packet.ts';
import type { Reply } from '../../src/mysql/reply.ts';
import { realClock } from '../../src/time.ts';
import { SocketTransport } from '../../src/transport/socket.ts';
import type { TargetTls } from '../../src/transport/target-tls.ts';
import type { CloseCause, Connection, ConnectionHandler } from '../../src/transport/transport.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { commandObstacle } from '../e2e/support/capability.ts';
import { command, err, ok, packets, payload } from '../mysql/support/packets.ts';
import { certificate } from './certificate.ts';
import { SSL_REQUEST, transportContract } from './contract.ts';
import { PASSWORD, startMariaDb, USERS } from './mariadb.ts';
import { acceptTls, clearBed, listen, socketTransport, tlsBed, until } from './socket-bed.ts';

const GREETING = packets(0, payload(10, '10.11-scripted', 0));
const IDENTITY = { client: parseAddress('2001:db8::1')!, copy: 0 };

transportContract('socket transport', clearBed);
if (commandObstacle('openssl') === undefined) transportContract('socket transport in TLS', tlsBed);

/** Asks for TLS at the greeting, and keeps what it is told. */
class Client implements ConnectionHandler {
  readonly told: string[] = [];
  connection!: Connection;
  detail: string | undefined;
  #greeted = false;

  begin(transport: SocketTransport): this {
    this.connection = transport.connect(IDENTITY, this);
    return this;
  }

  established(): void {}

  packet(octets: Uint8Array): void {
    if (this.#greeted) this.told.push(`packet ${octets.length}`);
    else {
      this.#greeted = true;
      this.connection.writeLogin(SSL_REQUEST);
      this.connection.startTls!();
    }
  }

  secured(): void {
    this.told.push('secured');
  }

  reply(): void {}

  closed(cause: CloseCause, detail?: string): void {
    this.told.push(`closed ${cause}`);
    this.detail = detail;
  }
}

/** A target that greets, and does with the request for TLS what the test says. */
function greeter(t: TestContext, onRequest: (socket: Socket, octets: Uint8Array) => void): Promise<Server> {
  return listen(t, (socket) => {
    socket.once('data', (octets) => onRequest(socket, octets));
    socket.write(GREETING);
  });
}

async function meet(t: TestContext, server: Server, tls: TargetTls): Promise<Client> {
  const client = new Client().begin(socketTransport(t, server, tls));
  await until(() => client.told.length > 0);
  return client;
}

describe('socket transport', () => {
  test('carries every client, counts writes and reads, and has TLS where it was told of it', async (t) => {
    const server = await listen(t, (socket) => socket.write(GREETING));
    const transport = socketTransport(t, server);
    assert.deepEqual([transport.refuses(), transport.tls], [undefined, false]);
    assert.equal(socketTransport(t, server, { verify: 'none' }).tls, true);
    const client = new Client().begin(transport);
    client.connection.writeLogin(packets(1, payload('one')));
    client.connection.writeLogin(packets(2, payload('two')));
    transport.flush();
    await until(() => transport.stats().packetsIn === 1);
    const { packetsOut, retransmitted, captureDropped } = transport.stats();
    // Both of ours at once, and the request at the greeting.
    assert.deepEqual([packetsOut, retransmitted, captureDropped], [2, 0, 0]);
  });

  test('takes no descriptor that is not for connections, and gives back what it took', async (t) => {
    const server = await listen(t, (socket) => socket.write(GREETING));
    const { port } = server.address() as { port: number };
    const descriptors = { most: 1, used: 0 };
    const [one, other] = [1, 2].map(() => {
      const transport = new SocketTransport({ target: '127.0.0.1', port, clock: realClock, descriptors });
      t.after(() => transport.close());
      return transport;
    });
    const first = new Client().begin(one);
    const second = new Client().begin(other);
    await until(() => second.told.length > 0);
    assert.deepEqual(
      [second.told, second.detail],
      [['closed no-descriptor'], 'all 1 descriptors for connections are in use'],
    );
    first.connection.abort();
    await until(() => descriptors.used === 0);
    new Client().begin(other);
    await until(() => other.stats().packetsIn === 1);
  });

  test('a name for a target', async (t) => {
    const server = await listen(t, (socket) => socket.write(GREETING));
    const { port } = server.address() as { port: number };
    const transport = new SocketTransport({ target: 'localhost', port, clock: realClock });
    t.after(() => transport.close());
    new Client().begin(transport);
    await until(() => transport.stats().packetsIn === 1);
  });

  test('cut behind octets that the target does not take: nothing is left of it', async (t) => {
    for (const tls of [undefined, { verify: 'none' } as const]) {
      const server = await greeter(t, (socket, octets) => {
        if (tls) acceptTls(socket, octets, certificate()).pause();
        else socket.pause();
      });
      const transport = socketTransport(t, server, tls);
      const client = new Client().begin(transport);
      if (tls) await until(() => client.told.includes('secured'));
      else await until(() => transport.stats().packetsIn > 0);
      client.connection.writeLogin(new Uint8Array(20 << 20));
      client.connection.end();
      client.connection.abort();
      assert.equal(client.told.at(-1), 'closed aborted');
      await transport.close();
    }
  });
});

describe('TLS to the target', { skip: commandObstacle('openssl') ?? false }, () => {
  test('its certificate is held against authorities and name, as far as was asked', async (t) => {
    const { cert: ca } = certificate();
    const names: (string | false)[] = [];
    const server = await greeter(t, (socket, octets) => {
      const tls = acceptTls(socket, octets, certificate());
      tls.on('secure', () => names.push(tls.servername ?? false));
    });
    const cases: [tls: TargetTls, told: string, detail?: RegExp][] = [
      [{ verify: 'none' }, 'secured'],
      [{ verify: 'ca', ca }, 'secured'],
      [{ verify: 'ca', ca, servername: 'other.example' }, 'secured'],
      [{ verify: 'identity', ca }, 'secured'],
      [{ verify: 'identity', ca, servername: 'db.example' }, 'secured'],
      [{ verify: 'ca' }, 'closed tls', /^TLS: self-signed certificate/],
      [{ verify: 'identity' }, 'closed tls', /^TLS: self-signed certificate/],
      [{ verify: 'identity', ca, servername: 'other.example' }, 'closed tls', /^TLS: .*other\.example/],
    ];
    for (const [tls, told, detail] of cases) {
      const client = await meet(t, server, tls);
      assert.deepEqual(client.told, [told], JSON.stringify({ ...tls, ca: tls.ca !== undefined }));
      if (detail) assert.match(client.detail!, detail);
    }
    await until(() => names.length === 5);
    assert.deepEqual(names, [false, false, 'other.example', false, 'db.example'], 'no address is in SNI');
  });

  test('authorities that are none are refused, with what is wrong', () => {
    const options = { target: '127.0.0.1', port: 1, clock: realClock };
    const make = (ca: string) => new SocketTransport({ ...options, tls: { verify: 'ca', ca } });
    for (const text of ['none', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])
      assert.throws(() => make(text), { code: 'usage', message: /no certificate in PEM/ });
  });

  test('what the target says in clear behind the request is not believed', async (t) => {
    const injected = packets(2, ok());
    for (const octets of [injected, injected.subarray(0, 6)]) {
      // With the greeting: it was read by the time that TLS begins.
      const server = await listen(t, (socket) => {
        socket.once('data', (request) => acceptTls(socket, request, certificate()));
        socket.write(Buffer.concat([GREETING, octets]));
      });
      const client = await meet(t, server, { verify: 'none' });
      assert.deepEqual(client.told, ['closed desync']);
    }
    const refusing = await greeter(t, (socket) => socket.write(packets(2, err(1045))));
    const client = await meet(t, refusing, { verify: 'none' });
    assert.deepEqual(client.told, ['closed tls']);
    assert.match(client.detail!, /^TLS: /);
  });

  test('the target ends the connection within the handshake', async (t) => {
    const closing = await greeter(t, (socket) => socket.end());
    assert.deepEqual((await meet(t, closing, { verify: 'none' })).told, ['closed fin']);
    const resetting = await greeter(t, (socket) => socket.resetAndDestroy());
    assert.deepEqual((await meet(t, resetting, { verify: 'none' })).told, ['closed reset']);
  });

  test('ends with FIN and no close_notify, as MySQL’s clients do', async (t) => {
    let got = 0;
    let target: Socket | undefined;
    let ended = false;
    const server = await greeter(t, (socket, octets) => {
      target = socket;
      const tls = acceptTls(socket, octets, certificate());
      tls.on('data', ({ length }) => {
        got += length;
      });
      tls.on('end', () => {
        ended = true;
      });
    });
    const transport = socketTransport(t, server, { verify: 'none' });
    const client = new Client().begin(transport);
    await until(() => client.told.includes('secured'));
    client.connection.writeLogin(command(1));
    transport.flush();
    await until(() => got === command(1).length);
    const before = target!.bytesRead;
    client.connection.end();
    await until(() => ended);
    assert.equal(target!.bytesRead, before);
  });

  test('cut within the handshake: closed, once and last', async (t) => {
    let requests = 0;
    const server = await greeter(t, () => requests++);
    const client = new Client().begin(socketTransport(t, server, { verify: 'none' }));
    await until(() => requests === 1);
    client.connection.abort();
    await sleep(20);
    assert.deepEqual(client.told, ['closed aborted']);
  });
});

/** Logs in, asks for TLS where its transport has it, sends the commands one by one and quits. */
class RealClient implements ConnectionHandler {
  readonly replies: Reply[] = [];
  failure: string | undefined;
  cause: CloseCause | undefined;
  readonly #transport: SocketTransport;
  readonly #login: Login;
  readonly #commands: [packet: Uint8Array, expect: number][];
  readonly #connection: Connection;
  #response: Uint8Array | undefined;

  constructor(transport: SocketTransport, user: string, commands: [packet: Uint8Array, expect: number][]) {
    const capabilities = CLIENT.mysql | CLIENT.protocol41 | CLIENT.secureConnection | CLIENT.deprecateEof;
    const recorded = { capabilities, extendedCapabilities: 0, maxPacket: 1 << 24, charset: 33, user };
    this.#login = new Login({
      recorded: { ...recorded, authResponse: new Uint8Array(20) },
      user,
      password: PASSWORD,
    });
    this.#transport = transport;
    this.#commands = commands;
    this.#connection = transport.connect(IDENTITY, this);
  }

  established(): void {}

  packet(octets: Uint8Array): void {
    const step = this.#login.onPacket(octets);
    if (step.type === 'send') {
      if (!this.#transport.tls || octets[3] > 0) this.#connection.writeLogin(step.octets);
      else {
        // CLIENT_SSL, and the response's number one higher behind the request.
        this.#response = new Uint8Array(step.octets);
        this.#response[HEADER_OCTETS + 1] |= CLIENT.ssl >> 8;
        const request = this.#response.subarray(HEADER_OCTETS, HEADER_OCTETS + 32);
        this.#connection.writeLogin(framePacket(this.#response[3]++, request));
        this.#connection.startTls!();
      }
    } else if (step.type === 'done') {
      this.#connection.commandPhase(step.capabilities, step.extendedCapabilities);
      this.#next();
    } else if (step.type === 'failed') this.failure = `${step.errno}`;
  }

  secured(): void {
    this.#connection.writeLogin(this.#response!);
  }

  reply(reply: Reply): void {
    this.replies.push(reply);
    this.#next();
  }

  closed(cause: CloseCause): void {
    this.cause = cause;
  }

  #next(): void {
    const next = this.#commands.shift();
    if (next !== undefined) this.#connection.write(...next);
    else {
      this.#connection.write(command(1), EXPECT.none);
      this.#connection.end();
    }
  }
}

const obstacle = commandObstacle('mariadbd') ?? commandObstacle('openssl');

test('MariaDB, in clear and in TLS', { skip: obstacle ?? false }, async (t) => {
  const server = await startMariaDb(certificate());
  t.after(() => server.stop());
  const reachable = async () => {
    const probe = new SocketTransport({ target: '127.0.0.1', port: server.port, clock: realClock });
    const client = new RealClient(probe, USERS.any, []);
    await until(() => client.cause !== undefined);
    await probe.close();
    return client.cause === 'fin';
  };
  for (let tries = 0; !(await reachable()); tries++) {
    assert.ok(tries < 300, 'MariaDB does not start');
    await sleep(100);
  }
  const tls: TargetTls = { verify: 'identity', ca: certificate().cert };
  for (const option of [{}, { tls }]) {
    const transport = new SocketTransport({
      target: '127.0.0.1',
      port: server.port,
      clock: realClock,
      ...option,
    });
    t.after(() => transport.close());
    const long = 'x'.repeat(3 << 20);
    const run = (user: string) =>
      new RealClient(transport, user, [
        [command(3, 'SELECT 1 UNION SELECT 2'), EXPECT.result],
        [command(3, `SELECT '${long}'`), EXPECT.result],
        [command(0x16, 'SELECT ? + 1'), EXPECT.prepare],
        [command(3, 'SELECT none'), EXPECT.result],
        [command(9), EXPECT.text],
      ]);
    const clients = [run(USERS.any), run(USERS.any), run(USERS.tls)];
    await until(() => clients.every(({ cause }) => cause !== undefined));
    for (const { replies, cause, failure } of clients.slice(0, 'tls' in option ? 3 : 2)) {
      assert.deepEqual([failure, cause], [undefined, 'fin'], `in ${'tls' in option}`);
      assert.deepEqual(
        replies.map(({ kind, rows, params, errno }) => [kind, rows, params, errno]),
        [
          ['rows', 2, 0, 0],
          ['rows', 1, 0, 0],
          ['ok', 0, 1, 0],
          ['err', 0, 0, 1054],
          ['text', 0, 0, 0],
        ],
      );
      assert.ok(replies[1].octets > long.length);
    }
    // Who has to come in TLS is denied without: 1045.
    assert.equal(clients[2].failure, 'tls' in option ? undefined : '1045');
  }
});
