import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { COM } from '../../src/mysql/command.ts';
import { writeHandshakeResponse } from '../../src/mysql/handshake.ts';
import { CTL, PARSE, Segment } from '../../src/wire/segment.ts';
import { column, command, eof, ok, packets, payload, row } from '../mysql/support/packets.ts';
import {
  type Decoded,
  decode,
  describe,
  FIXTURE_PORT,
  fixture,
  pcapSource,
  rearranged,
} from './support/capture.ts';
import { Script, type Scripted, SERVER_PORT, scriptedSource } from './support/wire.ts';

const GOLDEN = ['sysbench-text', 'sysbench-prepared', 'mysql2', 'mariadb-cli'];

const lines = ({ events }: Decoded) => events.map(describe);
const countOf = ({ events }: Decoded, type: string) => events.filter((event) => event.type === type).length;

for (const name of GOLDEN) {
  test(`golden capture ${name}: the events that stand in ${name}.events.txt`, async () => {
    const expected = readFileSync(new URL(`../../../fixtures/${name}.events.txt`, import.meta.url), 'utf8');
    const decoded = await decode(pcapSource(fixture(name)));
    assert.deepEqual(lines(decoded), expected.trimEnd().split('\n'));
    assert.equal(decoded.counters.unreadable, 0);
    assert.equal(decoded.counters.lost, 0);
    assert.equal(decoded.counters.commands, countOf(decoded, 'command'));
    assert.equal(decoded.counters.answered, countOf(decoded, 'reply'));
  });

  test(`golden capture ${name}: every packet twice is the same sessions`, async () => {
    const once = await decode(pcapSource(fixture(name)));
    const twice = await decode(
      rearranged(pcapSource(fixture(name)), (numbers) => numbers.flatMap((i) => [i, i])),
    );
    assert.deepEqual(lines(twice), lines(once));
  });

  test(`golden capture ${name}: whichever packet is missing, what it held is lost and nothing else`, async () => {
    const whole = await decode(pcapSource(fixture(name)));
    for (let missing = 0; missing < whole.counters.packets; missing++) {
      const decoded = await decode(
        rearranged(pcapSource(fixture(name)), (numbers) => numbers.toSpliced(missing, 1)),
      );
      const { commands, answered, lost } = decoded.counters;
      const told = `packet ${missing}: ${commands} commands, ${answered} answers, ${lost} lost`;
      assert.equal(commands + lost, whole.counters.commands, told);
      const skipped = decoded.events.some((event) => event.type === 'skip' && event.cause === 'gap');
      if (!skipped) assert.ok(answered >= whole.counters.answered - 1, told);
      assert.ok(countOf(decoded, 'close') + countOf(decoded, 'skip') === whole.counters.sessions, told);
    }
  });
}

test('events come in order of time, each session from open to close, replies after their commands', async () => {
  for (const name of GOLDEN) {
    const { events } = await decode(pcapSource(fixture(name)));
    let last = 0;
    const state = new Map<number, string>();
    for (const event of events) {
      assert.ok(event.at >= last);
      last = event.at;
      const before = state.get(event.session.id);
      if (event.type === 'open' || event.type === 'skip') assert.equal(before, undefined);
      else assert.equal(before, 'open');
      if (event.type === 'reply') assert.ok((event.command.reply?.at ?? -1) >= event.command.at);
      if (event.type === 'command') assert.equal(event.command.packet.length >= 5, true);
      state.set(event.session.id, event.type === 'close' || event.type === 'skip' ? 'over' : 'open');
    }
  }
});

test('commands are owned: they outlive the packets that they came from', async () => {
  const octets = fixture('mysql2');
  const { events } = await decode(pcapSource(octets));
  const before = events.map(describe);
  octets.fill(0xee);
  assert.deepEqual(events.map(describe), before);
});

test('a capture that begins in the middle: joined late, from the first command on whose answer agrees', async () => {
  for (const name of ['sysbench-text', 'sysbench-prepared']) {
    const whole = lines(await decode(pcapSource(fixture(name))));
    for (const first of [5, 8, 9, 10, 17]) {
      const late = await decode(rearranged(pcapSource(fixture(name)), (numbers) => numbers.slice(first)));
      const told = lines(late);
      assert.match(told[0], /^0 open /);
      // The first answers are told once it shows whose they are, after the command behind them.
      for (const what of ['command', 'reply']) {
        const bare = (lines: string[]) =>
          lines.filter((line) => line.startsWith(`0 ${what} `)).map((line) => line.replace(/^0 \w+ \d+/, ''));
        const later = bare(told);
        const all = bare(whole);
        assert.deepEqual(later, all.slice(all.length - later.length), `${name} from packet ${first}`);
        assert.ok(later.length >= all.length - first, `${name} from packet ${first}: ${later.length}`);
      }
    }
  }
});

test('what is joined so late that no answer follows is skipped, with the commands that show', async () => {
  const whole = pcapSource(fixture('sysbench-text'));
  const late = await decode(rearranged(whole, (numbers) => numbers.slice(-4)));
  assert.deepEqual(
    lines(late).map((line) => line.replace(/\d+$/, 'n')),
    ['n skip joined-late n'].map((line) => line.replace(/^n/, '0')),
  );
});

test('a capture that ends in the middle: the session is cut', async () => {
  const decoded = await decode(
    rearranged(pcapSource(fixture('sysbench-text')), (numbers) => numbers.slice(0, 20)),
  );
  assert.equal(lines(decoded).at(-1), '0 close cut');
});

test('neighbouring packets of one direction in the wrong order are put right', async () => {
  const source = () => pcapSource(fixture('mariadb-cli'));
  const whole = lines(await decode(source()));
  const fromClient: boolean[] = [];
  const segment = new Segment();
  const capture = source();
  for await (const { octets, view, offset, length, count } of capture) {
    for (let i = 0; i < count; i++) {
      assert.equal(segment.parse(octets, view, offset[i], length[i], capture.linkType), PARSE.ok);
      fromClient.push(segment.dstPort === FIXTURE_PORT);
    }
  }
  let swaps = 0;
  for (let i = 4; i + 1 < fromClient.length; i++) {
    if (fromClient[i] !== fromClient[i + 1]) continue;
    swaps++;
    const swapped = rearranged(source(), (numbers) => numbers.with(i, i + 1).with(i + 1, i));
    assert.deepEqual(lines(await decode(swapped)), whole, `packets ${i} and ${i + 1}`);
  }
  assert.ok(swaps > 0);
});

// From here on the captures are scripted.

const CAPABILITIES = CLIENT.protocol41 | CLIENT.secureConnection;
const GREETING = packets(
  0,
  payload(
    10,
    '8.0.36',
    0,
    9,
    0,
    0,
    0,
    new Uint8Array(8),
    0,
    0,
    0x82,
    45,
    2,
    0,
    0,
    0,
    0,
    new Uint8Array(10),
    new Uint8Array(13),
  ),
);
const HELLO = writeHandshakeResponse(
  {
    capabilities: CAPABILITIES,
    extendedCapabilities: 0,
    maxPacket: 0,
    charset: 45,
    user: 'u',
    authResponse: new Uint8Array(0),
  },
  1,
);
const PING = command(COM.ping);
const OK = packets(1, ok());

const login = (script: Script) => script.handshake().server(GREETING).client(HELLO).server(packets(2, ok()));

async function scripted(segments: Scripted[], family: 4 | 6 = 4): Promise<string[]> {
  return lines(await decode(scriptedSource(segments, family), [SERVER_PORT]));
}

const OPEN = '0 open u -';
const PINGED = ['0 command 0 com 14', '0 reply 0 ok errno 0 affected 0 columns 0 rows 0 params 0'];

test('how a session closes: quit, fin of the client, of both, rst, cut', async () => {
  const begin = () => login(new Script()).client(PING).server(OK);
  const FIN = CTL.fin | CTL.ack;
  assert.deepEqual(await scripted(begin().client(command(COM.quit)).serverSays(FIN).segments), [
    OPEN,
    ...PINGED,
    '0 command 1 com 1',
    '0 close quit',
  ]);
  const cases: [string, Script][] = [
    ['fin', begin().clientSays(FIN)],
    ['fin', begin().serverSays(FIN).clientSays(FIN)],
    ['rst', begin().clientSays(CTL.rst)],
    [
      'rst',
      begin()
        .serverSays(FIN)
        .clientSays(CTL.rst | CTL.ack),
    ],
    ['cut', begin()],
  ];
  for (const [how, script] of cases)
    assert.deepEqual(await scripted(script.segments), [OPEN, ...PINGED, `0 close ${how}`]);
});

test('a session that ends in the midst of a command gives back what that took', async () => {
  const part = command(COM.query, new Uint8Array(40_000).fill(32)).subarray(0, 30_000);
  const begin = () => login(new Script()).client(part);
  for (const how of [0, CTL.fin | CTL.ack, CTL.rst]) {
    const script = how === 0 ? begin() : begin().clientSays(how);
    // decode() looks at the room.
    const told = await scripted(script.segments);
    assert.deepEqual(told[1], '0 lost desync 1', told.join());
  }
  // Nobody is logged in yet.
  await scripted(
    new Script()
      .handshake()
      .server(GREETING)
      .client(packets(1, new Uint8Array(40_000)).subarray(0, 30_000)).segments,
  );
});

test('answers that come after the FIN of the client still count', async () => {
  const script = login(new Script())
    .client(PING, CTL.fin)
    .server(OK)
    .serverSays(CTL.fin | CTL.ack);
  assert.deepEqual(await scripted(script.segments), [OPEN, ...PINGED, '0 close fin']);
});

test('a session without commands opens with its end', async () => {
  assert.deepEqual(await scripted(login(new Script()).clientSays(CTL.fin | CTL.ack).segments), [
    OPEN,
    '0 close fin',
  ]);
});

test('connections that never became sessions', async () => {
  const syn = new Script().clientSays(CTL.syn);
  const cases: [string, Script][] = [
    ['not-mysql', syn],
    ['not-mysql', new Script().clientSays(CTL.syn).serverSays(CTL.rst | CTL.ack)],
    [
      'not-mysql',
      new Script()
        .handshake()
        .server(GREETING)
        .clientSays(CTL.fin | CTL.ack),
    ],
    ['not-mysql', new Script().handshake().client(Buffer.from('GET / HTTP/1.1\r\n\r\n'))],
    ['login-failed', new Script().handshake().server(GREETING).client(HELLO)],
    [
      'tls',
      new Script()
        .handshake()
        .server(GREETING)
        .client(packets(1, payload(0, 0x0a, 0, 0, new Uint8Array(28)))),
    ],
  ];
  for (const [cause, script] of cases)
    assert.deepEqual(await scripted(script.segments), [`0 skip ${cause} 0`]);
});

test('either SYN may be missing from the capture', async () => {
  const { segments } = login(new Script())
    .client(PING)
    .server(OK)
    .clientSays(CTL.fin | CTL.ack);
  for (const missing of [0, 1]) {
    assert.deepEqual(await scripted(segments.toSpliced(missing, 1)), [OPEN, ...PINGED, '0 close fin']);
  }
});

test("a RST that answers an older connection's SYN does not end the new one", async () => {
  const { segments } = login(new Script())
    .client(PING)
    .server(OK)
    .clientSays(CTL.fin | CTL.ack);
  const stale = { ...segments[1], flags: CTL.ack, seq: 77_777, ack: 99 };
  const reset = { ...segments[0], flags: CTL.rst, seq: 99 };
  const again = [segments[0], stale, reset, ...segments];
  assert.deepEqual((await scripted(again)).slice(-4), [OPEN, ...PINGED, '0 close fin']);
});

test('ports used anew begin another session', async () => {
  const first = login(new Script()).client(PING).server(OK).segments;
  const second = login(new Script())
    .client(PING)
    .server(OK)
    .segments.map((segment) => ({
      ...segment,
      seq: segment.seq + (segment.fromClient ? 1e6 : 2e6),
      ack: segment.flags & CTL.ack ? segment.ack + (segment.fromClient ? 2e6 : 1e6) : 0,
    }));
  const told = await scripted([...first, ...second]);
  assert.deepEqual(told, [
    OPEN,
    ...PINGED,
    '0 close cut',
    ...[OPEN, ...PINGED, '0 close cut'].map((line) => line.replace(/^0/, '1')),
  ]);
});

test('a packet that the capture cut: the answer is lost, and the session goes on', async () => {
  const answer = packets(1, payload(1), column('a'), eof(), row('x'.repeat(100)), eof());
  const { segments } = login(new Script())
    .client(command(COM.query, 'select 1'))
    .server(answer)
    .client(PING)
    .server(OK);
  const cut = segments.findIndex(({ data }) => data === answer);
  segments[cut].captured = 60;
  assert.deepEqual(await scripted(segments), [
    OPEN,
    '0 command 0 com 3 select 1',
    '0 lost gap 0',
    '0 command 1 com 14',
    '0 reply 1 ok errno 0 affected 0 columns 0 rows 0 params 0',
    '0 close cut',
  ]);
});

test('a command and its answer that were both missed cost themselves only', async () => {
  const script = login(new Script()).client(PING).server(OK);
  script.client(command(COM.query, 'select 1')).missed().server(OK).missed();
  script
    .client(PING)
    .server(OK)
    .clientSays(CTL.fin | CTL.ack);
  const told = await scripted(script.segments);
  assert.deepEqual(
    told.filter((line) => / lost /.test(line)),
    ['0 lost gap 1'],
  );
  assert.equal(told.filter((line) => / reply /.test(line)).length, 2);
});

test('IPv6 is no different', async () => {
  const script = login(new Script())
    .client(PING)
    .server(OK)
    .clientSays(CTL.fin | CTL.ack);
  assert.deepEqual(await scripted(script.segments, 6), [OPEN, ...PINGED, '0 close fin']);
});

test('mutated captures never throw, and every connection is accounted for', async () => {
  const golden = fixture('mysql2');
  const mutations = fc.array(fc.tuple(fc.integer({ min: 24, max: golden.length - 1 }), fc.nat(255)), {
    minLength: 1,
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(mutations, async (changes) => {
      const octets = golden.slice();
      for (const [at, value] of changes) octets[at] = value;
      const decoded = await decode(pcapSource(octets));
      assert.equal(countOf(decoded, 'close') + countOf(decoded, 'skip'), decoded.counters.sessions);
      assert.equal(countOf(decoded, 'open'), countOf(decoded, 'close'));
    }),
    { numRuns: 600, seed: 22 },
  );
});

test('packets in any order and number never throw', async () => {
  const packetCount = (await decode(pcapSource(fixture('mariadb-cli')))).counters.packets;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(packetCount - 1), { maxLength: 120 }), async (order) => {
      const decoded = await decode(rearranged(pcapSource(fixture('mariadb-cli')), () => order));
      assert.equal(countOf(decoded, 'close') + countOf(decoded, 'skip'), decoded.counters.sessions);
    }),
    { numRuns: 300, seed: 23 },
  );
});
