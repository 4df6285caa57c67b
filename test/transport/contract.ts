/** What every way to the target does: one suite for all of them. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { EXPECT } from '../../src/mysql/command.ts';
import type { Reply } from '../../src/mysql/reply.ts';
import type { Connection, ConnectionHandler, Transport } from '../../src/transport/transport.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { column, command, eof, err, ok, packets, payload, row } from '../mysql/support/packets.ts';

const CLIENT = parseAddress('10.1.2.3')!;
const GREETING = packets(0, payload(10, '10.11-simulated', 0));
const OK = packets(1, ok(7));
const RESPONSE = packets(1, payload('response'));
const LARGE_OCTETS = 20 << 20;
const MANY = 500;

/** What a login asks for TLS by: capabilities with CLIENT_SSL and CLIENT_PROTOCOL_41, and no more than the fixed fields. */
export const SSL_REQUEST = packets(1, payload(0, 0x0a, 0, 0, new Uint8Array(28)));

/** The target's end of one connection. */
export interface TargetConnection {
  /** Octets that came, in pieces. */
  readonly got: Uint8Array[];
  /** The client closed in order … */
  fin: boolean;
  /** … or reset. */
  reset: boolean;
  write(octets: Uint8Array): void;
  /** FIN, behind what was written. */
  close(): void;
  /** RST, behind what was written. */
  cut(): void;
}

/** A transport, and a target that does what the test says. */
export interface ContractBed {
  readonly transport: Transport;
  /** In the order in which they were taken. */
  readonly connections: TargetConnection[];
  /** What the target does with a connection that stands … */
  onOpen: (connection: TargetConnection) => void;
  /** … with octets (undefined: leaves them unread) … */
  onData: (connection: TargetConnection, octets: Uint8Array) => void;
  /** … and with the client's FIN. */
  onFin: (connection: TargetConnection) => void;
  /** SYNs are answered by RST from here on. */
  refuse(): Promise<void> | void;
  /** Lets things happen until `done`, and fails where they never are. */
  until(done: () => boolean): Promise<void>;
  /** Lets things happen for a while, of which nothing is expected. */
  settle(): Promise<void>;
}

/** What a bed's target does where the test does not say it. */
export const USUAL: Pick<ContractBed, 'onOpen' | 'onData' | 'onFin'> = {
  onOpen: (connection) => connection.write(GREETING),
  onData: (connection) => connection.write(OK),
  onFin: (connection) => connection.close(),
};

/**
 * A connection's owner: keeps what it is told, and notes what it is told at the wrong moment. Over a transport with TLS it
 * asks for TLS at the greeting, which is told when TLS stands.
 */
class Client implements ConnectionHandler {
  readonly told: string[] = [];
  /** The greeting, until TLS stands. */
  #greeting: Uint8Array | undefined;
  #isClear = true;
  onPacket: (octets: Uint8Array) => void = () => {};
  onReply: (reply: Reply) => void = () => {};
  /** What is being asked of the connection. */
  #asking: string | undefined;
  #connection: Connection | undefined;

  begin(bed: ContractBed): this {
    this.#isClear = bed.transport.tls !== true;
    this.#ask('connect', () => {
      this.#connection = bed.transport.connect({ client: CLIENT, copy: 0 }, this);
    });
    return this;
  }

  writeLogin(octets: Uint8Array): void {
    this.#ask('writeLogin', () => this.#connection!.writeLogin(octets));
  }

  commandPhase(): void {
    this.#ask('commandPhase', () => this.#connection!.commandPhase(0, 0));
  }

  query(text: string | Uint8Array): void {
    this.write(command(3, text), EXPECT.result);
  }

  write(packet: Uint8Array, expect: number): void {
    this.#ask('write', () => this.#connection!.write(packet, expect));
  }

  end(): void {
    this.#ask('end', () => this.#connection!.end());
  }

  /** May tell `closed` at once. */
  abort(): void {
    this.#connection!.abort();
  }

  established(): void {
    this.#tell('established');
  }

  secured(): void {
    this.#isClear = true;
    this.packet(this.#greeting!);
  }

  packet(octets: Uint8Array): void {
    if (!this.#isClear) {
      assert.equal(this.#greeting, undefined, 'nothing is told between the request for TLS and TLS');
      this.#greeting = new Uint8Array(octets);
      this.writeLogin(SSL_REQUEST);
      this.#ask('startTls', () => this.#connection!.startTls!());
      return;
    }
    this.#tell(`packet ${octets.length}`);
    this.onPacket(octets);
  }

  reply(reply: Reply): void {
    this.#tell(`reply ${reply.kind} ${reply.kind === 'rows' ? reply.rows : reply.affected || reply.errno}`);
    this.onReply(reply);
  }

  closed(cause: string): void {
    this.#tell(`closed ${cause}`);
  }

  get last(): string | undefined {
    return this.told.at(-1);
  }

  get isOver(): boolean {
    return this.told.some((line) => line.startsWith('closed'));
  }

  take(): string[] {
    return this.told.splice(0);
  }

  #tell(line: string): void {
    this.told.push(this.#asking === undefined ? line : `${line}, inside ${this.#asking}`);
  }

  #ask(what: string, ask: () => void): void {
    const before = this.#asking;
    this.#asking = what;
    ask();
    this.#asking = before;
  }
}

const GREETED = ['established', `packet ${GREETING.length}`];
const LOGGED_IN = [...GREETED, `packet ${OK.length}`];

async function greeted(bed: ContractBed): Promise<Client> {
  const client = new Client().begin(bed);
  bed.transport.flush();
  await bed.until(() => client.told.length === GREETED.length);
  assert.deepEqual(client.take(), GREETED);
  return client;
}

/** In the command phase, with nothing under way. */
async function loggedIn(bed: ContractBed): Promise<Client> {
  const client = await greeted(bed);
  client.onPacket = () => client.commandPhase();
  client.writeLogin(RESPONSE);
  bed.transport.flush();
  await bed.until(() => client.told.length === 1);
  assert.deepEqual(client.take(), LOGGED_IN.slice(-1));
  return client;
}

/** What `client` is told until it is closed, and that nothing is told behind it. */
async function tellsToTheEnd(bed: ContractBed, client: Client): Promise<string[]> {
  await bed.until(() => client.isOver);
  await bed.settle();
  return client.take();
}

const gotOctets = ({ got }: TargetConnection) => got.reduce((sum, { length }) => sum + length, 0);

/** A result set of one column. */
const rows = (...values: Uint8Array[]) => packets(1, payload(1), column('c'), eof(), ...values, eof());

export function transportContract(
  name: string,
  setUp: (t: TestContext) => ContractBed | Promise<ContractBed>,
) {
  describe(`${name}, as every transport`, () => {
    test('login, commands, QUIT and FIN: told in order, and from a turn of its own', async (t) => {
      const bed = await setUp(t);
      const client = await loggedIn(bed);
      for (let i = 0; i < 3; i++) {
        client.query(`select ${i}`);
        bed.transport.flush();
        await bed.until(() => client.told.length > 0);
        assert.deepEqual(client.take(), ['reply ok 7']);
      }
      bed.onData = () => {};
      client.write(command(1), EXPECT.none);
      client.end();
      bed.transport.flush();
      assert.deepEqual(await tellsToTheEnd(bed, client), ['closed fin']);
      const [{ got, fin, reset }] = bed.connections;
      const selects = [0, 1, 2].map((i) => command(3, `select ${i}`));
      assert.deepEqual(Buffer.concat(got), Buffer.concat([RESPONSE, ...selects, command(1)]));
      assert.deepEqual([fin, reset], [true, false]);
    });

    test('what a handler writes goes out without a flush', async (t) => {
      const bed = await setUp(t);
      const client = await loggedIn(bed);
      let left = 20;
      client.onReply = () => {
        if (left-- > 0) client.query('select 1');
      };
      client.query('select 0');
      bed.transport.flush();
      await bed.until(() => client.told.length === 21);
    });

    test('a command of 20 MB arrives whole, and an answer of 20 MB is read', async (t) => {
      const bed = await setUp(t);
      const client = await loggedIn(bed);
      const long = new Uint8Array(LARGE_OCTETS).map((_, i) => i * 7 + (i >> 8));
      const packet = command(3, long);
      const answer = rows(payload(0xfe, 0, 0, 0x40, 1, 0, 0, 0, 0, long), row('end'));
      const [target] = bed.connections;
      target.got.length = 0;
      bed.onData = () => {
        if (gotOctets(target) === packet.length) target.write(answer);
      };
      let octets = 0;
      client.onReply = (reply) => {
        octets = reply.octets;
      };
      client.write(packet, EXPECT.result);
      bed.transport.flush();
      await bed.until(() => client.told.length > 0);
      assert.deepEqual([client.take(), octets], [['reply rows 2'], answer.length]);
      assert.ok(Buffer.concat(target.got).equals(packet));
    });

    test('what the target says is told the same, wherever it is cut', async (t) => {
      const bed = await setUp(t);
      const answers = Buffer.concat([OK, rows(row('a'), row('b'.repeat(200))), packets(1, err(1064))]);
      const all = Buffer.concat([OK, answers]);
      const cuts = fc.array(fc.nat(all.length), { maxLength: 12 });
      bed.onData = () => {};
      bed.onFin = () => {};
      await fc.assert(
        fc.asyncProperty(cuts, async (cuts) => {
          const client = await greeted(bed);
          const target = bed.connections.at(-1)!;
          client.onPacket = () => {
            client.commandPhase();
            for (let i = 0; i < 3; i++) client.query('select 1');
          };
          const places = [0, ...cuts.sort((a, b) => a - b), all.length];
          for (let i = 1; i < places.length; i++) {
            target.write(all.subarray(places[i - 1], places[i]));
            await bed.until(() => true);
          }
          await bed.until(() => client.told.length === 4);
          assert.deepEqual(client.take(), [
            `packet ${OK.length}`,
            'reply ok 7',
            'reply rows 2',
            'reply err 1064',
          ]);
          client.abort();
        }),
        { seed: 3, numRuns: 25 },
      );
    });

    test('commands one behind the other, some without an answer: answers in their order', async (t) => {
      const bed = await setUp(t);
      const client = await loggedIn(bed);
      const [target] = bed.connections;
      target.got.length = 0;
      const close = command(0x19, Uint8Array.of(1, 0, 0, 0));
      const sent: Uint8Array[] = [];
      for (let i = 0; i < 10; i++) {
        sent.push(command(3, `select ${i}`), close);
        client.write(sent[2 * i], EXPECT.result);
        client.write(close, EXPECT.none);
      }
      const expected = Buffer.concat(sent);
      bed.onData = () => {
        if (gotOctets(target) < expected.length) return;
        for (let i = 0; i < 10; i++) target.write(packets(1, ok(i + 1)));
      };
      bed.transport.flush();
      await bed.until(() => client.told.length === 10);
      assert.deepEqual(
        client.take(),
        Array.from({ length: 10 }, (_, i) => `reply ok ${i + 1}`),
      );
      assert.ok(Buffer.concat(target.got).equals(expected));
    });

    test('shapes of their own: PREPARE, STATISTICS, FIELD_LIST', async (t) => {
      const bed = await setUp(t);
      const client = await loggedIn(bed);
      const [target] = bed.connections;
      const conversation: [packet: Uint8Array, expect: number, answer: Uint8Array, told: string][] = [
        [
          command(0x16, 'select ?'),
          EXPECT.prepare,
          packets(1, payload(0, 7, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0), column('?'), eof()),
          'reply ok 0',
        ],
        [command(9), EXPECT.text, packets(1, payload('Uptime: 1')), 'reply text 0'],
        [command(4, 't', 0), EXPECT.fieldList, packets(1, column('a'), column('b'), eof()), 'reply rows 0'],
      ];
      for (const [packet, expect, answer, told] of conversation) {
        bed.onData = () => target.write(answer);
        client.write(packet, expect);
        bed.transport.flush();
        await bed.until(() => client.told.length > 0);
        assert.deepEqual(client.take(), [told]);
      }
    });

    test(`${MANY} connections at once keep their answers apart`, async (t) => {
      const bed = await setUp(t);
      const clients = Array.from({ length: MANY }, () => {
        const client = new Client();
        client.onPacket = (octets) => {
          if (octets.length === GREETING.length) client.writeLogin(RESPONSE);
          else {
            client.commandPhase();
            client.query(`${clients.indexOf(client)}`);
          }
        };
        return client.begin(bed);
      });
      bed.onData = (target, octets) => {
        if (octets.length === RESPONSE.length) target.write(OK);
        else target.write(packets(1, err(1000 + Number(Buffer.from(octets.subarray(5)).toString()))));
      };
      bed.transport.flush();
      await bed.until(() => clients.every(({ last }) => last?.startsWith('reply')));
      clients.forEach((client, i) => {
        assert.deepEqual(client.told, [...LOGGED_IN, `reply err ${1000 + i}`]);
      });
      for (const client of clients) client.end();
      bed.transport.flush();
      await bed.until(() => clients.every(({ isOver }) => isOver));
      assert.ok(clients.every(({ last }) => last === 'closed fin'));
    });

    test('the target closes first: our FIN follows', async (t) => {
      const bed = await setUp(t);
      const client = await loggedIn(bed);
      const [target] = bed.connections;
      target.close();
      assert.deepEqual(await tellsToTheEnd(bed, client), ['closed fin']);
      assert.deepEqual([target.fin, target.reset], [true, false]);
    });

    test('the target closes in place of the login: its last words are told', async (t) => {
      const bed = await setUp(t);
      const client = await greeted(bed);
      const last = packets(2, err(1045));
      bed.onData = (target) => {
        target.write(last);
        target.close();
      };
      client.writeLogin(RESPONSE);
      bed.transport.flush();
      assert.deepEqual(await tellsToTheEnd(bed, client), [`packet ${last.length}`, 'closed fin']);
    });

    test('an idle connection that the target ends with an error: an answer, though nobody asked', async (t) => {
      const bed = await setUp(t);
      const client = await loggedIn(bed);
      const [target] = bed.connections;
      target.write(packets(0, err(1927)));
      target.close();
      assert.deepEqual(await tellsToTheEnd(bed, client), ['reply err 1927', 'closed fin']);
    });

    test('half closed: what the target answers to our FIN is told', async (t) => {
      const bed = await setUp(t);
      const client = await loggedIn(bed);
      bed.onData = () => {};
      bed.onFin = (target) => {
        target.write(packets(1, ok(9)));
        target.close();
      };
      client.query('select 1');
      client.end();
      bed.transport.flush();
      assert.deepEqual(await tellsToTheEnd(bed, client), ['reply ok 9', 'closed fin']);
    });

    test('end: what is queued arrives, then FIN; what is written behind it does not', async (t) => {
      const bed = await setUp(t);
      const client = await loggedIn(bed);
      const [target] = bed.connections;
      target.got.length = 0;
      const sent = Array.from({ length: 100 }, (_, i) => command(3, 'x'.repeat(i * 300)));
      bed.onData = () => {};
      for (const packet of sent) client.write(packet, EXPECT.none);
      client.end();
      client.end();
      client.write(command(3, 'late'), EXPECT.none);
      bed.transport.flush();
      assert.deepEqual(await tellsToTheEnd(bed, client), ['closed fin']);
      assert.ok(target.fin);
      assert.ok(Buffer.concat(target.got).equals(Buffer.concat(sent)));
    });

    test('end before the connection stands: it stands, and closes', async (t) => {
      const bed = await setUp(t);
      const client = new Client().begin(bed);
      client.end();
      bed.transport.flush();
      const told = await tellsToTheEnd(bed, client);
      assert.deepEqual([told[0], told.at(-1)], ['established', 'closed fin']);
    });

    test('the target resets: idle, in the login, under a command, right behind an answer', async (t) => {
      const bed = await setUp(t);
      const idle = await loggedIn(bed);
      bed.connections.at(-1)!.cut();
      assert.deepEqual(await tellsToTheEnd(bed, idle), ['closed reset']);

      const busy = await loggedIn(bed);
      bed.onData = (target) => target.cut();
      busy.query('select 1');
      bed.transport.flush();
      assert.deepEqual(await tellsToTheEnd(bed, busy), ['closed reset']);

      const login = await greeted(bed);
      login.writeLogin(RESPONSE);
      bed.transport.flush();
      assert.deepEqual(await tellsToTheEnd(bed, login), ['closed reset']);

      bed.onData = USUAL.onData;
      const answered = await loggedIn(bed);
      bed.onData = (target) => {
        target.write(OK);
        target.cut();
      };
      answered.query('select 1');
      bed.transport.flush();
      assert.deepEqual(await tellsToTheEnd(bed, answered), ['reply ok 7', 'closed reset']);
    });

    test('a command that meets a closed connection: the target’s last words are told all the same', async (t) => {
      const bed = await setUp(t);
      const client = await loggedIn(bed);
      const [target] = bed.connections;
      target.write(packets(1, err(1927)));
      target.cut();
      client.query('select 1');
      bed.transport.flush();
      assert.deepEqual(await tellsToTheEnd(bed, client), ['reply err 1927', 'closed reset']);
    });

    test('nothing comes of a connection that is closed', async (t) => {
      const bed = await setUp(t);
      const client = await loggedIn(bed);
      bed.connections[0].cut();
      assert.deepEqual(await tellsToTheEnd(bed, client), ['closed reset']);
      client.query('select 2');
      client.writeLogin(RESPONSE);
      client.end();
      client.abort();
      bed.transport.flush();
      await bed.settle();
      assert.deepEqual(client.take(), []);
    });

    test('the target refuses', async (t) => {
      const bed = await setUp(t);
      await bed.refuse();
      const client = new Client().begin(bed);
      bed.transport.flush();
      assert.deepEqual(await tellsToTheEnd(bed, client), ['closed refused']);
    });

    test('abort before the connection stands: closed, once and last', async (t) => {
      const bed = await setUp(t);
      const client = new Client().begin(bed);
      client.abort();
      client.abort();
      bed.transport.flush();
      assert.deepEqual(await tellsToTheEnd(bed, client), ['closed aborted']);
    });

    test('abort in the login, under a command, behind a FIN: closed at once, and the target is reset', async (t) => {
      const bed = await setUp(t);
      bed.onFin = () => {};
      const login = await greeted(bed);
      // A server of node's that still writes its part of the handshake does not notice.
      await bed.settle();
      login.writeLogin(RESPONSE);
      login.abort();
      assert.deepEqual(login.told, ['closed aborted']);
      bed.onData = USUAL.onData;
      const busy = await loggedIn(bed);
      bed.onData = () => {};
      busy.query('select 1');
      bed.transport.flush();
      busy.abort();
      bed.onData = USUAL.onData;
      const ending = await loggedIn(bed);
      bed.onData = () => {};
      ending.write(command(1), EXPECT.none);
      ending.end();
      ending.abort();
      bed.onData = USUAL.onData;
      const ended = await loggedIn(bed);
      ended.end();
      await bed.until(() => bed.connections.at(-1)!.fin);
      ended.abort();
      bed.transport.flush();
      for (const client of [login, busy, ending, ended])
        assert.deepEqual(await tellsToTheEnd(bed, client), ['closed aborted']);
      // Behind a FIN, a server of the kernel's learns of RST when it writes.
      for (const target of bed.connections) if (target.fin) target.write(OK);
      await bed.until(() => bed.connections.every(({ reset }) => reset));
    });

    test('abort while a packet or an answer is told: nothing is told behind it', async (t) => {
      const bed = await setUp(t);
      const login = await greeted(bed);
      bed.onData = (target) => target.write(Buffer.concat([OK, OK]));
      login.onPacket = () => login.abort();
      login.writeLogin(RESPONSE);
      bed.transport.flush();
      assert.deepEqual(await tellsToTheEnd(bed, login), [`packet ${OK.length}`, 'closed aborted']);

      bed.onData = USUAL.onData;
      const client = await loggedIn(bed);
      bed.onData = (target) => target.write(Buffer.concat([OK, OK]));
      client.onReply = () => client.abort();
      client.query('select 1');
      client.query('select 2');
      bed.transport.flush();
      assert.deepEqual(await tellsToTheEnd(bed, client), ['reply ok 7', 'closed aborted']);
    });

    test('an answer that is none ends the connection, and the target is reset', async (t) => {
      const bed = await setUp(t);
      const client = await loggedIn(bed);
      bed.onData = (target) => target.write(Uint8Array.of(0, 0, 0, 1));
      client.query('select 1');
      bed.transport.flush();
      assert.deepEqual(await tellsToTheEnd(bed, client), ['closed desync']);
      await bed.until(() => bed.connections[0].reset);
    });

    test('close cuts what is open, and says so', async (t) => {
      const bed = await setUp(t);
      const clients = [await greeted(bed), await loggedIn(bed), new Client().begin(bed)];
      const closing = bed.transport.close();
      assert.deepEqual(
        clients.map((client) => client.take()),
        [['closed aborted'], ['closed aborted'], ['closed aborted']],
      );
      await closing;
      assert.ok(bed.transport.stats().packetsOut > 0);
    });
  });
}
