/** Targets that mean no good, by packets of our own: in virtual time, and without the wire (test/transport/bed.ts). */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { CLIENT } from '../../../src/mysql/capabilities.ts';
import { Logins } from '../../../src/replay/accounts/logins.ts';
import { Engine } from '../../../src/replay/engine/engine.ts';
import { SummaryObserver } from '../../../src/report/counter.ts';
import { greeting, OFFERED } from '../../mysql/support/mysql8.ts';
import { column, eof, ok, packets, payload, row } from '../../mysql/support/packets.ts';
import type { SimulatedServer } from '../../tcp/server.ts';
import { type Bed, setUp, TICK_MS } from '../../transport/bed.ts';
import { Tape } from '../support/tape.ts';
import { Book } from '../support/world.ts';
import { summaryOf } from './run.ts';
import { cycle, OTHER_FILE } from './targets.ts';

const CONNECT_TIMEOUT_MS = 3_000;
const REPLY_TIMEOUT_MS = 5_000;

/** A login, an answer, and the connection's end take their time-outs at most; each is looked at once a second. */
const MOST_MS = CONNECT_TIMEOUT_MS + 2 * REPLY_TIMEOUT_MS + 4_000;

const GREETING = greeting('mysql_native_password', OFFERED & ~CLIENT.ssl);
const LOGIN_OK = packets(2, ok());
const OK = packets(1, ok());
const ROWS = cycle(4, row('x'));
const COM_QUIT = 1;

/** What the target does. `count`: the client's segments so far, this one included. */
interface Target {
  open(server: SimulatedServer): void;
  data(server: SimulatedServer, octets: Uint8Array, count: number): void;
  /** What it says in each turn, from the client's segment `talksFrom` on; default: once the connection stands. */
  talks?: Uint8Array;
  talksFrom?: number;
}

const greets = (server: SimulatedServer) => server.write(GREETING);

/** Lets the client in, and answers its first command so. */
const answers = (octets: Uint8Array, talks?: Uint8Array): Target => ({
  open: greets,
  data: (server, _octets, count) => {
    if (count === 1) server.write(LOGIN_OK);
    else if (count === 2) server.write(octets);
  },
  ...(talks === undefined ? {} : { talks, talksFrom: 2 }),
});

/** Answers all in order, and never closes. */
const neverCloses = (talks?: Uint8Array): Target => ({
  open: greets,
  data: (server, octets, count) => {
    if (count === 1) server.write(LOGIN_OK);
    else if (octets[4] !== COM_QUIT) server.write(OK);
  },
  ...(talks === undefined ? {} : { talks, talksFrom: 4 }),
});

const TARGETS: Readonly<Record<string, Target>> = {
  'says nothing': { open: () => {}, data: () => {} },
  'greets with garbage': { open: (server) => server.write(new Uint8Array(500).fill(0x9b)), data: () => {} },
  'greets without end': { open: greets, data: () => {}, talks: GREETING },
  'does not answer': answers(new Uint8Array(0)),
  'answers with rows without end': answers(packets(1, payload(1), column('a'), eof()), ROWS),
  'answers with garbage': answers(new Uint8Array(500).fill(0x9b)),
  'asks for a file': answers(packets(1, payload(0xfb, OTHER_FILE))),
  'never closes': neverCloses(),
  'never closes, and talks without end': neverCloses(OK),
};

async function replayOnto(t: TestContext, target: Target): Promise<Bed> {
  const bed = setUp(t);
  const counts = new Map<SimulatedServer, number>();
  bed.onOpen = (server) => target.open(server);
  bed.onData = (server, octets) => {
    const count = (counts.get(server) ?? 0) + 1;
    counts.set(server, count);
    target.data(server, octets, count);
  };
  bed.onFin = () => {};
  const { clock, transport } = bed;
  const book = new Book(1, clock);
  const summed = new SummaryObserver(1, false);
  let wake = () => {};
  const engine = new Engine(
    {
      copies: 1,
      speed: Number.POSITIVE_INFINITY,
      clock,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      replyTimeoutMs: REPLY_TIMEOUT_MS,
      logins: new Logins({ users: new Map([['app', 'secret']]) }),
      openAlarm: (fire) => {
        wake = fire;
        return { set: () => {}, clear: () => {}, close: () => {} };
      },
    },
    transport,
    [book, summed],
  );
  const tape = new Tape();
  tape.session(0).query(1).query(2).quit(3);
  const began = clock.now();
  let isOver = false;
  const done = engine.run(tape.batches(100)).finally(() => {
    isOver = true;
  });
  done.catch(() => {});
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  await turn();
  // A session that lost its connection has one more try, which is to end as the first did.
  let tries = 1;
  while (!isOver) {
    bed.run(TICK_MS);
    const { talks, talksFrom = 0 } = target;
    for (const server of bed.servers.values())
      if (talks !== undefined && server.state === 'open' && (counts.get(server) ?? 0) >= talksFrom)
        server.write(talks);
    wake();
    await turn();
    if (bed.servers.size > 1 && tries === 1) {
      tries++;
      engine.stop();
    }
    const elapsedMs = clock.now() - began;
    assert.ok(elapsedMs <= tries * MOST_MS, `the run goes on after ${elapsedMs} ms`);
  }
  await done;
  book.balance(summaryOf(summed, transport));
  return bed;
}

describe('by packets, a target that', () => {
  for (const [name, target] of Object.entries(TARGETS)) {
    test(name, async (t) => {
      const bed = await replayOnto(t, target);
      assert.ok(bed.servers.size > 0, 'nobody came');
      const sent = Buffer.concat(bed.toTarget.map(({ data }) => data));
      assert.equal(sent.includes('root:') || sent.includes('secret'), false);
    });
  }
});
