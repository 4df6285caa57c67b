/** Turns of an unknown protocol, replayed in virtual time onto a scripted service. */

import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import type { CloseHow, FlowEvent, SessionMeta } from '../../../src/flow/events.ts';
import { RawDialogue, type RawReply, type Turn } from '../../../src/flow/raw-dialogue.ts';
import { partOf } from '../../../src/intercept/raw-reader.ts';
import { Logins } from '../../../src/replay/accounts/logins.ts';
import { Engine } from '../../../src/replay/engine/engine.ts';
import type { EngineOptions } from '../../../src/replay/engine/options.ts';
import { RAW } from '../../../src/replay/protocol.ts';
import { SummaryObserver } from '../../../src/report/counter.ts';
import { type Summary, summarize } from '../../../src/report/summary.ts';
import { ManualClock } from '../../../src/time.ts';
import type {
  CloseCause,
  Connection,
  ConnectionHandler,
  Identity,
  Transport,
} from '../../../src/transport/transport.ts';
import { parseAddress } from '../../../src/wire/address.ts';
import { Book, START_MS } from '../support/world.ts';

const MS = 1e6;
const CLIENT = parseAddress('10.1.0.1')!;
const SERVER = parseAddress('10.2.0.1')!;

/** `>` the client says, `<` the server says, at so many ms of the recording. */
type Step = [at: number, what: '>' | '<', text: string] | [at: number, what: 'fin'];

/** Recorded answers that were not read yet. */
const unread = new WeakMap<Turn, RawReply>();

/** The events of one recorded session that begins at `beginMs`; each comes in a batch of its own. */
function recorded(steps: readonly Step[], close: [number, CloseHow], id = 0, beginMs = 0): FlowEvent<Turn>[] {
  const session: SessionMeta = {
    id,
    client: CLIENT,
    clientPort: 40_000 + id,
    server: SERVER,
    serverPort: 6379,
    at: beginMs * MS,
    connectionId: 0,
    capabilities: 0,
    extendedCapabilities: 0,
  };
  const events: FlowEvent<Turn>[] = [{ type: 'open', at: beginMs * MS, session }];
  let at = beginMs * MS;
  const dialogue = new RawDialogue(
    {
      command: (command) => events.push({ type: 'command', at, session, command }),
      reply: (command) => {
        unread.set(command, command.reply as RawReply);
        delete command.reply;
        events.push({ type: 'reply', at, session, command });
      },
    },
    at,
  );
  for (const [ms, what, text = ''] of steps) {
    // As a decoder does it while other sessions go on.
    at += Math.min(201 * MS, ms * MS - at);
    dialogue.settle(at);
    at = ms * MS;
    const octets = Buffer.from(text);
    if (what === '>') dialogue.fromClient(octets, 0, octets.length, at);
    else if (what === '<') dialogue.fromServer(octets, 0, octets.length, at);
    else dialogue.clientEnded(at);
  }
  at = close[0] * MS;
  dialogue.finish();
  events.push({ type: 'close', at, session, how: close[1] });
  return events;
}

/** What the service does `afterMs` later: says something, or ends the connection. */
type Deed = [afterMs: number, what: string] | [afterMs: number, end: { end: CloseCause }];

interface Service {
  onOpen?: Deed[];
  /** What it does with the octets that came in one write. */
  onData?: (text: string, connection: ServiceConnection) => Deed[];
  /** With the client's FIN; default: closes. */
  onFin?: (connection: ServiceConnection) => Deed[];
  /** How the nth connection meets its end before it stands; undefined: it stands. */
  refuses?: (nth: number) => CloseCause | undefined;
}

/** A connection's end at the service. */
class ServiceConnection implements Connection {
  readonly got: { at: number; text: string }[] = [];
  finAt = -1;
  aborted = false;
  over = false;
  readonly #service: Service;
  readonly #handler: ConnectionHandler;
  readonly #clock: ManualClock;

  constructor(service: Service, handler: ConnectionHandler, clock: ManualClock, nth: number) {
    this.#service = service;
    this.#handler = handler;
    this.#clock = clock;
    setTimeout(() => {
      if (this.over) return;
      const cause = service.refuses?.(nth);
      if (cause !== undefined) {
        this.#close(cause);
        return;
      }
      handler.established();
      this.#do(service.onOpen ?? []);
    }, 1);
  }

  get texts(): string[] {
    return this.got.map(({ text }) => text);
  }

  write(packet: Uint8Array): void {
    assert.ok(packet.length > 0, 'nothing was written');
    assert.ok(this.finAt < 0, 'said behind the FIN');
    const text = Buffer.from(packet).toString();
    this.got.push({ at: this.#clock.now() - START_MS, text });
    this.#do(this.#service.onData?.(text, this) ?? []);
  }

  writeLogin(): void {
    assert.fail('nobody logs in');
  }

  commandPhase(): void {
    assert.fail('nobody logs in');
  }

  end(): void {
    if (this.finAt >= 0) return;
    this.finAt = this.#clock.now() - START_MS;
    this.#do(this.#service.onFin?.(this) ?? [[1, { end: 'fin' }]]);
  }

  abort(): void {
    this.aborted = true;
    this.#close('aborted');
  }

  #close(cause: CloseCause): void {
    if (this.over) return;
    this.over = true;
    this.#handler.closed(cause);
  }

  #do(deeds: Deed[]): void {
    for (const [afterMs, what] of deeds) {
      setTimeout(() => {
        if (this.over) return;
        if (typeof what !== 'string') this.#close(what.end);
        else {
          const octets = Buffer.from(what);
          this.#handler.reply(partOf(octets, 0, octets.length, 0), this.#clock.now());
        }
      }, afterMs);
    }
  }
}

class ServiceTransport implements Transport {
  readonly connections: ServiceConnection[] = [];
  readonly #service: Service;
  readonly #clock: ManualClock;

  constructor(service: Service, clock: ManualClock) {
    this.#service = service;
    this.#clock = clock;
  }

  refuses(): undefined {}

  connect(_identity: Identity, handler: ConnectionHandler): Connection {
    const connection = new ServiceConnection(this.#service, handler, this.#clock, this.connections.length);
    this.connections.push(connection);
    return connection;
  }

  flush(): void {}

  stats() {
    return { packetsOut: 0, packetsIn: 0, retransmitted: 0, captureDropped: 0 };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

interface Run {
  engine: Engine;
  book: Book;
  connections: ServiceConnection[];
  summary: Summary;
}

interface Setup extends Partial<EngineOptions> {
  /** What happens while it runs. */
  at?: [number, (run: Run) => void][];
}

const LIMIT_MS = 1_000_000;

/** Replays `events`, one a batch, in virtual time. */
async function replay(events: FlowEvent<Turn>[], service: Service, setup: Setup = {}): Promise<Run> {
  const { at = [], ...engine } = setup;
  const clock = new ManualClock(START_MS);
  const options: EngineOptions = {
    copies: 1,
    speed: 1,
    clock,
    protocol: RAW,
    logins: new Logins({ users: new Map() }),
    ...engine,
  };
  const { copies, speed } = options;
  const book = new Book(copies, clock);
  const summed = new SummaryObserver(copies, Number.isFinite(speed));
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const transport = new ServiceTransport(service, clock);
  const run = { book, connections: transport.connections } as Run;
  run.engine = new Engine(options, transport, [book, summed]);
  try {
    for (const [ms, act] of at) setTimeout(() => act(run), ms);
    let over = false;
    const batches = (async function* () {
      for (const event of events) {
        if (event.type === 'reply') event.command.reply = unread.get(event.command) as RawReply;
        yield [event];
      }
    })();
    const done = run.engine.run(batches).finally(() => {
      over = true;
    });
    done.catch(() => {});
    for (;;) {
      for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
      if (over) break;
      const ms = clock.now() - START_MS;
      assert.ok(ms < LIMIT_MS, 'the run did not end');
      const step = ms < 5_000 ? 1 : 100;
      clock.advance(step);
      mock.timers.tick(step);
    }
    await done;
  } finally {
    mock.timers.reset();
  }
  run.summary = summarize(summed.tally, {
    packets: 0,
    dropped: 0,
    copies,
    speed,
    elapsedMs: clock.now() - START_MS,
    transport: transport.stats(),
    interrupted: false,
  });
  book.balance(run.summary);
  return run;
}

/** PING and GET, answered after 2 ms each. */
const TWO: Step[] = [
  [10, '>', 'PING'],
  [12, '<', 'PONG'],
  [50, '>', 'GET'],
  [52, '<', 'VALUE'],
];
const ANSWERS: Readonly<Record<string, Deed[]>> = { PING: [[3, 'PONG']], GET: [[3, 'VALUE']] };
const usual: Service = { onData: (text) => ANSWERS[text] ?? [] };

describe('raw sessions replayed', () => {
  test('each turn when it is due, and the same answers', async () => {
    const { connections, book, summary } = await replay(recorded(TWO, [70, 'fin']), usual);
    assert.deepEqual(connections[0].got, [
      { at: 10, text: 'PING' },
      { at: 50, text: 'GET' },
    ]);
    assert.equal(connections[0].finAt, 70);
    assert.deepEqual(book.story(), ['answered', 'answered']);
    const [ping] = book.fates;
    assert.equal(ping.outcome!.answered - ping.outcome!.sent, 3);
    assert.equal(ping.outcome!.reply?.octets, 4);
    assert.equal(summary.sessions.completed, 1);
    assert.equal(summary.lateness_ms.max, 0);
  });

  test('three copies of each, at full speed', async () => {
    const events = [...recorded(TWO, [70, 'fin']), ...recorded(TWO, [70, 'fin'], 1)];
    const { connections, book } = await replay(events, usual, { copies: 3, speed: Infinity });
    assert.equal(connections.length, 6);
    for (const { texts } of connections) assert.deepEqual(texts, ['PING', 'GET']);
    for (const session of [0, 1])
      for (const copy of [0, 1, 2]) assert.deepEqual(book.story(session, copy), ['answered', 'answered']);
  });

  test('the next turn waits for all of the answer', async () => {
    const slow: Service = {
      onData: (text) =>
        text === 'PING'
          ? [
              [60, 'PO'],
              [150, 'NG'],
            ]
          : [[1, 'VALUE']],
    };
    const { connections, book } = await replay(recorded(TWO, [70, 'fin']), slow);
    assert.deepEqual(
      connections[0].got.map(({ at }) => at),
      [10, 160],
    );
    assert.deepEqual(book.story(), ['answered', 'answered']);
    const get = book.fates[1].outcome!;
    assert.equal(get.paced - START_MS, 50);
    assert.equal(get.due, get.sent, 'the target was late, not we');
  });

  test('a shorter answer: as data that differs, once it is quiet', async () => {
    const short: Service = { onData: (text) => (text === 'PING' ? [[1, 'NO']] : [[1, 'VALUE']]) };
    const { connections, book } = await replay(recorded(TWO, [70, 'fin']), short);
    assert.deepEqual(
      connections[0].got.map(({ at }) => at),
      [10, 11 + 200],
    );
    assert.deepEqual(book.story(), ['answered data', 'answered']);
    assert.equal(book.fates[0].outcome!.answered - START_MS, 11, 'when its last octet came');
  });

  test('… quiet for twice the longest silence in the recorded one', async () => {
    const steps: Step[] = [
      [10, '>', 'PING'],
      [12, '<', 'PO'],
      [312, '<', 'NG'],
      [320, '>', 'GET'],
      [322, '<', 'VALUE'],
    ];
    const short: Service = { onData: (text) => (text === 'PING' ? [[2, 'PO']] : [[1, 'VALUE']]) };
    const { connections } = await replay(recorded(steps, [330, 'fin']), short);
    assert.deepEqual(
      connections[0].got.map(({ at }) => at),
      [10, 12 + 600],
    );
  });

  test('a longer answer, and other octets: data that differs, without delay', async () => {
    const longer: Service = {
      onData: (text) =>
        text === 'PING'
          ? [
              [1, 'PONG'],
              [20, '!'],
            ]
          : [[1, 'OTHER']],
    };
    const { connections, book } = await replay(recorded(TWO, [70, 'fin']), longer);
    assert.equal(connections[0].got[1].at, 50);
    assert.deepEqual(book.story(), ['answered data', 'answered data']);
    assert.equal(book.fates[0].outcome!.reply?.octets, 5);
  });

  test('turns that were not answered are not waited for; what comes to them counts to the next answer', async () => {
    const steps: Step[] = [
      [10, '>', 'A'],
      [300, '>', 'B'],
      [600, '>', 'C'],
      [610, '<', 'abc'],
      [700, '>', 'D'],
      [701, '<', 'd'],
    ];
    const service: Service = {
      onData: (text) => (text === 'B' ? [] : text === 'C' ? [[10, 'bc']] : [[1, text.toLowerCase()]]),
    };
    const { connections, book } = await replay(recorded(steps, [710, 'fin']), service);
    assert.deepEqual(
      connections[0].got.map(({ at }) => at),
      [10, 300, 600, 700],
    );
    assert.deepEqual(book.story(), ['answered', 'answered', 'answered', 'answered']);
    assert.equal(book.fates.find(({ ordinal }) => ordinal === 2)!.outcome!.reply?.octets, 3);
  });

  test('a service that speaks first is heard first', async () => {
    const steps: Step[] = [
      [5, '<', '220 ready'],
      [8, '>', 'QUIT'],
      [9, '<', '221'],
    ];
    const late: Service = { onOpen: [[40, '220 ready']], onData: () => [[1, '221']] };
    const { connections, book, summary } = await replay(recorded(steps, [10, 'fin']), late);
    assert.deepEqual(connections[0].got, [{ at: 41, text: 'QUIT' }]);
    assert.deepEqual(book.story(), ['answered', 'answered']);
    assert.equal(book.fates[0].outcome!.answered - book.fates[0].outcome!.sent, 40);
    assert.equal(summary.lateness_ms.max, 0);
  });

  test('half closed: the FIN goes with the turn, and the answer behind it is heard', async () => {
    const steps: Step[] = [
      [10, '>', 'lines'],
      [11, 'fin'],
      [30, '<', '5'],
    ];
    const count: Service = {
      onFin: (connection) => [
        [20, String(connection.texts.join('').length)],
        [21, { end: 'fin' }],
      ],
    };
    const { connections, book, summary } = await replay(recorded(steps, [31, 'fin']), count);
    assert.equal(connections[0].finAt, 10);
    assert.deepEqual(book.story(), ['answered']);
    assert.equal(summary.sessions.completed, 1);
  });

  test('closed by RST as recorded, and cut where the recording ended', async () => {
    const rst = await replay(recorded(TWO, [70, 'rst']), usual);
    assert.ok(rst.connections[0].aborted);
    assert.equal(rst.summary.sessions.completed, 1);
    const cut = await replay(recorded(TWO, [70, 'cut']), usual);
    assert.equal(cut.connections[0].finAt, 70);
    assert.equal(cut.summary.sessions.completed, 1);
  });

  test('the service closes first: an end, if it was one in the recording, too', async () => {
    const closes: Service = {
      onData: (text) =>
        text === 'GET'
          ? [
              [1, 'VALUE'],
              [2, { end: 'fin' }],
            ]
          : [[1, 'PONG']],
    };
    // Its end is read long after the service has closed.
    const { book, summary } = await replay(recorded(TWO, [4_000, 'fin']), closes);
    assert.deepEqual(book.story(), ['answered', 'answered']);
    assert.equal(summary.sessions.completed, 1);
    const early: Service = {
      onData: () => [
        [1, 'PO'],
        [2, { end: 'fin' }],
      ],
    };
    const short = await replay(recorded(TWO, [70, 'fin']), early);
    assert.deepEqual(short.book.story(), ['answered data', 'lost reset']);
    assert.deepEqual(short.book.endsOf(), ['reset']);
    const mute: Service = { onData: () => [[2, { end: 'fin' }]] };
    assert.deepEqual((await replay(recorded(TWO, [70, 'fin']), mute)).book.story(), [
      'lost reset',
      'lost reset',
    ]);
  });

  test('reset under an answer: lost, and not connected again', async () => {
    const resets: Service = {
      onData: () => [
        [1, 'PO'],
        [2, { end: 'reset' }],
      ],
    };
    const { book, connections } = await replay(recorded(TWO, [70, 'fin']), resets);
    assert.deepEqual(book.story(), ['lost reset', 'lost reset']);
    assert.equal(connections.length, 1);
    // A short answer that was taken for whole stays one.
    const resetsLate: Service = {
      onData: () => [
        [1, 'PO'],
        [300, { end: 'reset' }],
      ],
    };
    const steps: Step[] = [TWO[0], TWO[1], [600, '>', 'GET']];
    const late = await replay(recorded(steps, [700, 'fin']), resetsLate);
    assert.deepEqual(late.book.story(), ['answered data', 'lost reset']);
  });

  test('no answer at all: lost by timeout', async () => {
    const { book } = await replay(recorded(TWO, [70, 'fin']), {}, { replyTimeoutMs: 3_000 });
    assert.deepEqual(book.story(), ['lost timeout', 'lost timeout']);
    assert.deepEqual(book.endsOf(), ['timeout']);
  });

  test('a turn that waits long for its recorded answer is no timeout', async () => {
    const steps: Step[] = [
      [10, '>', 'BLPOP'],
      [60_000, '<', 'item'],
      [60_001, '>', 'GET'],
      [60_002, '<', 'VALUE'],
    ];
    const blocks: Service = { onData: (text) => (text === 'BLPOP' ? [[60_000, 'item']] : [[1, 'VALUE']]) };
    // Of another session, and read before the answer.
    const other = recorded([[30_000, '>', 'GET']], [30_001, 'cut'], 1, 29_000);
    const events = [...recorded(steps, [60_010, 'fin']), ...other].sort((a, b) => a.at - b.at);
    const { book } = await replay(events, blocks, { replyTimeoutMs: 3_000 });
    assert.deepEqual(book.story(), ['answered', 'answered']);
  });

  test('a connection that does not come about is tried again once the service was reached', async () => {
    const events = [...recorded(TWO, [70, 'fin']), ...recorded(TWO, [170, 'fin'], 1, 100)];
    const service: Service = { ...usual, refuses: (nth) => (nth === 1 ? 'refused' : undefined) };
    const { book, connections } = await replay(events, service);
    assert.equal(connections.length, 3);
    assert.deepEqual(book.story(1), ['answered', 'answered']);
    const never = await replay(recorded(TWO, [70, 'fin']), { refuses: () => 'refused' });
    assert.deepEqual(never.book.story(), ['lost connect', 'lost connect']);
    assert.equal(never.connections.length, 1);
  });

  test('stopped: what is under way may finish; cut: nothing may', async () => {
    const slow: Service = { onData: (text) => (text === 'PING' ? [[30, 'PONG']] : []) };
    const stopped = await replay(recorded(TWO, [70, 'fin']), slow, {
      at: [[20, ({ engine }) => engine.stop()]],
    });
    assert.equal(stopped.book.story()[0], 'answered');
    assert.deepEqual(stopped.book.endsOf(), ['interrupted']);
    assert.ok(stopped.connections[0].finAt >= 40);
    const cut = await replay(recorded(TWO, [70, 'fin']), slow, { at: [[20, ({ engine }) => engine.cut()]] });
    assert.equal(cut.book.story()[0], 'lost interrupted');
    assert.ok(cut.connections[0].aborted);
  });

  test('paused and made faster, it keeps its times', async () => {
    const { connections } = await replay(recorded(TWO, [70, 'fin']), usual, {
      at: [
        [20, ({ engine }) => engine.pause()],
        [120, ({ engine }) => engine.resume()],
        [130, ({ engine }) => engine.setSpeed(2)],
      ],
    });
    assert.deepEqual(
      connections[0].got.map(({ at }) => at),
      [10, 140],
    );
  });
});
