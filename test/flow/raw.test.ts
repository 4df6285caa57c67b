import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { FlowEvent } from '../../src/flow/events.ts';
import { decodeRawSessions, RawDecoder } from '../../src/flow/raw.ts';
import type { Turn } from '../../src/flow/raw-dialogue.ts';
import { CTL } from '../../src/wire/segment.ts';
import { Script, type Scripted, SERVER_PORT, scriptedSource } from './support/wire.ts';

const text = (said: string) => new Uint8Array(Buffer.from(said));

/** An event in a line. */
function line(event: FlowEvent<Turn>): string {
  switch (event.type) {
    case 'command': {
      const { isLast, packet, ordinal } = event.command;
      return `${isLast ? 'last' : 'turn'} ${ordinal} ${Buffer.from(packet)}`.trimEnd();
    }
    case 'reply':
      return `reply ${event.command.ordinal} ${event.command.reply?.octets}`;
    case 'lost':
    case 'skip':
      return `${event.type} ${event.cause} ${event.commands}`;
    case 'close':
      return `close ${event.how}`;
    case 'open':
      return 'open';
  }
}

async function eventsOf(segments: Scripted[], family: 4 | 6 = 4): Promise<FlowEvent<Turn>[]> {
  const events: FlowEvent<Turn>[] = [];
  const sessions = decodeRawSessions(scriptedSource(segments, family), {
    serverPorts: new Set([SERVER_PORT]),
  });
  for await (const batch of sessions) events.push(...batch);
  return events;
}

async function told(segments: Scripted[], family: 4 | 6 = 4): Promise<string[]> {
  return (await eventsOf(segments, family)).map(line);
}

/** A connection of two turns, closed by its client. */
function twoTurns(): Script {
  return new Script()
    .handshake()
    .client(text('PING'))
    .server(text('PONG'))
    .client(text('GET'))
    .server(text('VAL'))
    .server(text('UE'))
    .clientSays(CTL.fin | CTL.ack)
    .serverSays(CTL.fin | CTL.ack)
    .clientSays(CTL.ack);
}
const TWO_TURNS = ['open', 'turn 0 PING', 'reply 0 4', 'turn 1 GET', 'reply 1 5', 'close fin'];

describe('raw sessions of a capture', () => {
  test('open at the handshake, turns and answers, closed', async () => {
    const { segments } = twoTurns();
    assert.deepEqual(await told(segments), TWO_TURNS);
    assert.deepEqual(await told(segments, 6), TWO_TURNS);
    const events = await eventsOf(segments);
    const at = (type: string) => events.find((event) => event.type === type)?.at;
    assert.equal(events[0].session.at, 0);
    assert.equal(at('open'), 1000, 'the SYN-ACK');
    assert.equal(at('close'), 8000, "the client's FIN");
  });

  test('repeated segments, and those out of order, change nothing', async () => {
    const { segments } = twoTurns();
    const repeated = segments.flatMap((segment, i) => (i > 2 && i < 8 ? [segment, segment] : [segment]));
    assert.deepEqual(await told(repeated), TWO_TURNS);
    // VAL behind UE.
    const swapped = [...segments];
    [swapped[6], swapped[7]] = [swapped[7], swapped[6]];
    assert.deepEqual(await told(swapped), TWO_TURNS);
  });

  test('a SYN, a SYN-ACK or the last ACK of the handshake missed: the session is whole', async () => {
    const { segments } = twoTurns();
    assert.deepEqual(await told(segments.slice(1)), TWO_TURNS, 'SYN');
    assert.deepEqual(await told(segments.filter((_, i) => i !== 1)), TWO_TURNS, 'SYN-ACK');
    assert.deepEqual(await told(segments.filter((_, i) => i !== 2)), TWO_TURNS, 'ACK');
  });

  test('joined late: skipped, with its turns', async () => {
    const { segments } = twoTurns();
    assert.deepEqual(await told(segments.slice(2)), ['skip joined-late 2']);
    assert.deepEqual(await told(segments.slice(4, 7)), ['skip joined-late 1'], 'cut, too');
    const parts = new Script().handshake().client(text('in two')).client(text(' parts')).server(text('ok'));
    assert.deepEqual(await told(parts.segments.slice(3)), ['skip joined-late 1']);
  });

  test('a gap in what the client says ends the session; what follows is counted', async () => {
    const script = new Script()
      .handshake()
      .client(text('one'))
      .server(text('1'))
      .client(text('two'))
      .missed()
      .server(text('2'))
      .client(text('three'))
      .server(text('3'))
      .clientSays(CTL.fin | CTL.ack)
      .serverSays(CTL.fin | CTL.ack);
    assert.deepEqual(await told(script.segments), [
      'open',
      'turn 0 one',
      'lost gap 1',
      'close cut',
      'lost gap 1',
    ]);
  });

  test('so does one in an answer', async () => {
    const script = new Script()
      .handshake()
      .client(text('one'))
      .server(text('half of '))
      .server(text('the answer'))
      .missed()
      .client(text('two'))
      .server(text('2'));
    assert.deepEqual(await told(script.segments), [
      'open',
      'turn 0 one',
      'lost gap 0',
      'close cut',
      'lost gap 1',
    ]);
    const cut = new Script().handshake().client(text('one')).server(text('answer')).client(text('two'));
    cut.segments[4].captured = 3;
    assert.deepEqual(await told(cut.segments), [
      'open',
      'turn 0 one',
      'lost gap 0',
      'close cut',
      'lost gap 1',
    ]);
  });

  test('closed by RST, by nobody, by the server', async () => {
    const begin = () => new Script().handshake().client(text('a')).server(text('b'));
    const turn = ['open', 'turn 0 a', 'reply 0 1'];
    assert.deepEqual(await told(begin().clientSays(CTL.rst).segments), [...turn, 'close rst']);
    assert.deepEqual(await told(begin().serverSays(CTL.rst | CTL.ack).segments), [...turn, 'close rst']);
    assert.deepEqual(await told(begin().segments), [...turn, 'close cut']);
    assert.deepEqual(await told(begin().serverSays(CTL.fin | CTL.ack).segments), [...turn, 'close fin']);
  });

  test('half closed by the client: the last turn says so, and its answer counts', async () => {
    const script = new Script()
      .handshake()
      .client(text('lines'), CTL.fin)
      .serverSays(CTL.ack)
      .server(text('5 lines'), CTL.fin);
    assert.deepEqual(await told(script.segments), ['open', 'last 0 lines', 'reply 0 7', 'close fin']);
  });

  test('said behind the FIN of the server: unheard', async () => {
    const script = new Script()
      .handshake()
      .server(text('bye'), CTL.fin)
      .client(text('wait'))
      .clientSays(CTL.fin | CTL.ack);
    assert.deepEqual(await told(script.segments), [
      'open',
      'turn 0',
      'reply 0 3',
      'lost unheard 1',
      'close fin',
    ]);
  });

  test('refused, or not answered: skipped as unheard', async () => {
    const syn = () => new Script().clientSays(CTL.syn);
    assert.deepEqual(await told(syn().segments), ['skip unheard 0']);
    assert.deepEqual(await told(syn().serverSays(CTL.rst | CTL.ack).segments), ['skip unheard 0']);
  });

  test('ports used anew are another session', async () => {
    const first = new Script().handshake().client(text('a')).server(text('b'));
    const second = new Script().handshake().client(text('c')).server(text('d'));
    for (const segment of second.segments) {
      if (segment.fromClient) segment.seq += 100_000;
      else if (segment.flags & CTL.ack) segment.ack += 100_000;
    }
    const events = await eventsOf([...first.segments, ...second.segments]);
    assert.deepEqual(
      events.map((event) => `${event.session.id} ${line(event)}`),
      [
        '0 open',
        '0 turn 0 a',
        '0 reply 0 1',
        '0 close cut',
        '1 open',
        '1 turn 0 c',
        '1 reply 0 1',
        '1 close cut',
      ],
    );
  });

  test('what nobody wants is not told, and keeps its number', async () => {
    const other = new Script(40_001).handshake().client(text('x')).server(text('y'));
    const source = scriptedSource([...other.segments, ...twoTurns().segments]);
    const events: FlowEvent<Turn>[] = [];
    const options = { serverPorts: new Set([SERVER_PORT]), wants: (id: number) => id === 1 };
    for await (const batch of decodeRawSessions(source, options)) events.push(...batch);
    assert.deepEqual(events.map(line), TWO_TURNS);
    assert.ok(events.every(({ session }) => session.id === 1));
  });

  test('a turn is told at the end of its block once it is long enough ago', async () => {
    const script = new Script().handshake().client(text('BLPOP')).serverSays(CTL.ack);
    const source = scriptedSource(script.segments);
    const decoder = new RawDecoder({ serverPorts: new Set([SERVER_PORT]) });
    for await (const block of source) {
      block.at[4] = 150e6;
      assert.deepEqual(decoder.block(block).map(line), ['open']);
      assert.equal(decoder.counters.commands, 0);
    }
    // Of another connection, later.
    for await (const block of scriptedSource(new Script(40_001).handshake().segments)) {
      for (let i = 0; i < 3; i++) block.at[i] = 250e6 + i;
      assert.deepEqual(decoder.block(block).map(line), ['open', 'turn 0 BLPOP']);
    }
    assert.deepEqual(decoder.finish().map(line), ['close cut', 'close cut']);
    assert.deepEqual(
      { ...decoder.counters },
      {
        packets: 8,
        unreadable: 0,
        copies: 0,
        flooded: 0,
        floodedData: 0,
        sessions: 2,
        commands: 1,
        answered: 0,
        lost: 0,
      },
    );
  });

  test('whatever is missing, repeated or out of order: each session ends once, and no turn is told wrong', async () => {
    const change = fc.array(fc.tuple(fc.constantFrom('drop', 'twice', 'swap'), fc.nat(20)), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(change, async (changes) => {
        const segments = [...twoTurns().segments];
        for (const [what, where] of changes) {
          if (segments.length < 2) break;
          const i = where % (segments.length - 1);
          if (what === 'drop') segments.splice(i, 1);
          else if (what === 'twice') segments.splice(i, 0, segments[i]);
          else [segments[i], segments[i + 1]] = [segments[i + 1], segments[i]];
        }
        const lines = await told(segments);
        const ends = lines.filter((one) => /^(close|skip)/.test(one));
        const opens = lines.filter((one) => one === 'open');
        assert.ok(opens.length <= ends.length, lines.join('\n'));
        for (const one of lines.filter((each) => each.startsWith('turn')))
          assert.match(one, /^turn \d (PING|GET|PINGGET|)$/u, lines.join('\n'));
      }),
      { numRuns: 300 },
    );
  });
});
