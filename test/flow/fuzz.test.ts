/** Golden captures cut anew, and damaged: the same events, and then nothing that is not accounted for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FlowEvent } from '../../src/flow/events.ts';
import { CTL } from '../../src/wire/segment.ts';
import { type Dice, randomFrom } from '../support/random.ts';
import { type Decoded, decode, describe, sessionTurns, type Turn } from './support/capture.ts';
import { decodeGolden, GOLDEN, openTlsOf } from './support/golden.ts';
import { Script, type Scripted, SERVER_PORT, scriptedSource } from './support/wire.ts';

/** A stream of octets up to this length is cut at every octet, a longer one at so many of them. */
const EVERY_SPLIT_OCTETS = 6000;
const SPLITS = 60;
/** No segment may be longer: an IPv4 packet tells its length in 16 bits. */
const SEGMENT_OCTETS = 65_000;
const MUTANTS = 2000;
/** What reading a mutant of a few hundred kB may allocate, all in all: a length that is believed would cost 16 MiB or more. */
const MOST_OCTETS = 12 * 1024 * 1024;

/** Whole numbers below `limit`: the same in every run. */
function dice(seed: number): Dice {
  const random = randomFrom(seed);
  return (limit) => (random() * 2 ** 32) % limit;
}

interface Conversation {
  capture: string;
  session: number;
  turns: Turn[];
}

const CONVERSATIONS: Conversation[] = [];
for (const capture of GOLDEN) {
  for (let session = 0; ; session++) {
    const turns = await sessionTurns(capture, session);
    if (turns.length === 0) break;
    CONVERSATIONS.push({ capture, session, turns });
  }
}

/** A connection that says this, from the SYN to both FINs. */
function segmentsOf(turns: Turn[]): Scripted[] {
  const script = new Script().handshake();
  for (const { fromClient, octets } of turns) {
    if (octets.length === 0) continue;
    if (fromClient) script.client(octets);
    else script.server(octets);
  }
  return script.clientSays(CTL.fin | CTL.ack).serverSays(CTL.fin | CTL.ack).segments;
}

function read(capture: string, segments: Scripted[]): Promise<Decoded> {
  return decode(scriptedSource(segments), [SERVER_PORT], openTlsOf(capture));
}

/** An event with all that it tells but the times, and whose session it is. */
function tale(event: FlowEvent): string {
  const line = describe(event).replace(/^\d+/, '');
  if (event.type === 'command') return `${line} ${Buffer.from(event.command.packet).toString('latin1')}`;
  if (event.type !== 'reply') return line;
  return `${line} ${JSON.stringify({ ...event.command.reply, at: 0 })}`;
}

/** `turns` with the one at `index` cut in two at `at`. */
function split(turns: Turn[], index: number, at: number): Turn[] {
  const { fromClient, octets } = turns[index];
  const parts = [octets.subarray(0, at), octets.subarray(at)];
  return turns.toSpliced(index, 1, ...parts.map((part) => ({ fromClient, octets: part })));
}

function place(turns: Turn[], octet: number): [index: number, at: number] {
  let index = 0;
  while (octet >= turns[index].octets.length) octet -= turns[index++].octets.length;
  return [index, octet];
}

const lengthOf = (turns: Turn[]) => turns.reduce((sum, { octets }) => sum + octets.length, 0);

for (const { capture, session, turns } of CONVERSATIONS) {
  test(`${capture}, session ${session}: cut anywhere, it tells the same`, async () => {
    const { events } = await decodeGolden(capture);
    const whole = (await read(capture, segmentsOf(turns))).events.map(tale);
    const recorded = events.filter((event) => event.session.id === session).map(tale);
    // How it closed is not the script's; a RST may leave out a FIN.
    assert.deepEqual(whole.slice(0, -1), recorded.slice(0, -1));
    const total = lengthOf(turns);
    const throwDice = dice(total);
    const every = total <= EVERY_SPLIT_OCTETS;
    for (let i = 0; i < (every ? total : SPLITS); i++) {
      const [index, at] = place(turns, every ? i : throwDice(total));
      const told = (await read(capture, segmentsOf(split(turns, index, at)))).events.map(tale);
      assert.deepEqual(told, whole, `turn ${index} cut at ${at}`);
    }
  });
}

test('octet by octet, and both neighbours of one side in one segment: the same', async () => {
  for (const { capture, turns } of CONVERSATIONS) {
    const whole = (await read(capture, segmentsOf(turns))).events.map(tale);
    const joined: Turn[] = [];
    for (const { fromClient, octets } of turns) {
      const last = joined.at(-1);
      if (last?.fromClient === fromClient && last.octets.length + octets.length < SEGMENT_OCTETS)
        last.octets = Buffer.concat([last.octets, octets]);
      else joined.push({ fromClient, octets });
    }
    assert.deepEqual((await read(capture, segmentsOf(joined))).events.map(tale), whole, capture);
    if (lengthOf(turns) > EVERY_SPLIT_OCTETS) continue;
    const octets = turns.flatMap(({ fromClient, octets }) =>
      Array.from(octets, (octet) => ({ fromClient, octets: Uint8Array.of(octet) })),
    );
    assert.deepEqual((await read(capture, segmentsOf(octets))).events.map(tale), whole, capture);
  }
});

/** Segments of the handshake, before the first turn. */
const HANDSHAKE = 3;

const MUTATIONS: Record<
  string,
  (turns: Turn[], index: number, throwDice: (limit: number) => number) => Scripted[]
> = {
  flip: (turns, index, throwDice) =>
    change(turns, index, (octets) => {
      octets[throwDice(octets.length)] ^= 1 << throwDice(8);
      return octets;
    }),
  insert: (turns, index, throwDice) =>
    change(turns, index, (octets) => {
      const at = throwDice(octets.length + 1);
      const more = Uint8Array.from({ length: 1 + throwDice(5) }, () => throwDice(256));
      return Buffer.concat([octets.subarray(0, at), more, octets.subarray(at)]);
    }),
  remove: (turns, index, throwDice) =>
    change(turns, index, (octets) => {
      const at = throwDice(octets.length);
      return Buffer.concat([octets.subarray(0, at), octets.subarray(at + 1 + throwDice(5))]);
    }),
  repeat: (turns, index, throwDice) =>
    change(turns, index, (octets) => {
      const at = throwDice(octets.length);
      return Buffer.concat([octets, octets.subarray(at)]);
    }),
  truncate: (turns, index, throwDice) => {
    const segments = segmentsOf(turns);
    const segment = segments[index + HANDSHAKE];
    segment.captured = throwDice(segment.data.length);
    return segments;
  },
  swap: (turns, index) => {
    const segments = segmentsOf(turns);
    const at = index + HANDSHAKE;
    return segments.with(at, segments[at + 1]).with(at + 1, segments[at]);
  },
  lose: (turns, index) => segmentsOf(turns).toSpliced(index + HANDSHAKE, 1),
};

/** What happens to captures in the field; the others change what was said. */
const PHYSICAL: readonly string[] = ['truncate', 'swap', 'lose'];

/** The turn at `index` says something else: a change of the stream, not of the capture. */
function change(turns: Turn[], index: number, how: (octets: Uint8Array) => Uint8Array): Scripted[] {
  const { fromClient, octets } = turns[index];
  return segmentsOf(turns.with(index, { fromClient, octets: how(new Uint8Array(octets)) }));
}

const packetsOf = (events: FlowEvent[]) =>
  events.flatMap((event) =>
    event.type === 'command' ? [Buffer.from(event.command.packet).toString('latin1')] : [],
  );

/** How many of `whole` are not in `rest`, each as often as it is there. */
function missing(whole: string[], rest: string[]): number {
  const left = [...rest];
  return whole.filter((each) => {
    const at = left.indexOf(each);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  }).length;
}

test(`${MUTANTS} damaged conversations: none throws, none costs memory, and what is missing is accounted for`, async () => {
  const throwDice = dice(20);
  const kinds = Object.keys(MUTATIONS);
  const bad: string[] = [];
  for (let i = 0; i < MUTANTS; i++) {
    const kind = kinds[i % kinds.length];
    const { capture, session, turns } = CONVERSATIONS[throwDice(CONVERSATIONS.length)];
    const index = throwDice(turns.length);
    const { fromClient } = turns[index];
    const named = `mutant ${i}: ${kind} of turn ${index} (${fromClient ? 'client' : 'server'}) of ${capture}, session ${session}`;
    const whole = await read(capture, segmentsOf(turns));
    const segments = MUTATIONS[kind](turns, index, throwDice);
    const before = process.memoryUsage().arrayBuffers;
    const { events, counters } = await read(capture, segments);
    const took = process.memoryUsage().arrayBuffers - before;
    if (took > MOST_OCTETS) bad.push(`${named}: ${took} octets`);
    const count = (type: string) => events.filter((event) => event.type === type).length;
    assert.equal(count('open'), count('close'), named);
    assert.equal(count('close') + count('skip'), counters.sessions, named);
    assert.equal(count('command'), counters.commands, named);
    assert.equal(count('reply'), counters.answered, named);
    const at = (index + HANDSHAKE) * 1000;
    const hit = whole.events.filter((event) => event.type === 'command' && event.command.at === at).length;
    const gone = missing(packetsOf(whole.events), packetsOf(events));
    if (gone <= hit || count('skip') > 0) continue;
    if (count('lost') === 0) bad.push(`${named}: ${gone} commands are gone without a word`);
    else if (PHYSICAL.includes(kind) && gone > hit + counters.lost)
      bad.push(`${named}: ${gone} commands are gone, ${counters.lost} lost`);
  }
  assert.deepEqual(bad, []);
});

/** Conversations of one command after another, in the clear; and the turns of their command phase. */
const PLAIN: readonly [capture: string, session: number][] = [
  ['sysbench-text', 0],
  ['mariadb-restore', 0],
  ['dbd', 0],
  ['php', 0],
];
const LOGIN_TURNS = 3;

/** The first of these, which are all that makes an answer unreadable: its first sequence id may be any. */
const LENGTHS = 3;

/** What a packet's first octets may be made to say: a length a little off, one far off, a sequence id, a command. */
const HEADER_DAMAGE: readonly (readonly [what: string, at: number, flip: number])[] = [
  ['length', 0, 1],
  ['length', 0, 0x10],
  ['length in MiB', 2, 0x40],
  ['sequence id', 3, 1],
  ['command', 4, 0x60],
];

function turnsOf(capture: string, session: number): Turn[] {
  return CONVERSATIONS.find((each) => each.capture === capture && each.session === session)!.turns;
}

function damaged(turns: Turn[], index: number, at: number, flip: number): Scripted[] {
  return change(turns, index, (octets) => {
    octets[at] ^= flip;
    return octets;
  });
}

test("a command's header that lies is found out: it costs that command and the next, and reading goes on", async () => {
  for (const [capture, session] of PLAIN) {
    const turns = turnsOf(capture, session);
    const whole = await read(capture, segmentsOf(turns));
    const answered = whole.counters.answered;
    for (const [what, at, flip] of HEADER_DAMAGE) {
      const throwDice = dice(at * 256 + flip);
      for (let i = 0; i < 20; i++) {
        const index = LOGIN_TURNS + throwDice(turns.length - LOGIN_TURNS - 8);
        // A command that is answered, and that another one follows.
        if (!turns[index].fromClient || turns[index + 1].fromClient) continue;
        const { events, counters } = await read(capture, damaged(turns, index, at, flip));
        const named = `${capture}: ${what} of turn ${index}`;
        assert.ok(
          events.some((event) => event.type === 'lost' && event.cause === 'desync'),
          named,
        );
        const gone = missing(packetsOf(whole.events), packetsOf(events));
        assert.ok(gone <= 3, `${named}: ${gone} commands are gone`);
        assert.ok(
          counters.answered >= answered - 4,
          `${named}: ${answered - counters.answered} answers are gone`,
        );
        assert.equal(
          tale(events.at(-2)!),
          tale(whole.events.at(-2)!).replace(/\d+/, `${counters.commands - 1}`),
          named,
        );
      }
    }
  }
});

test("an answer's header that lies is found out: commands are all told, and later answers too", async () => {
  for (const [capture, session] of PLAIN) {
    const turns = turnsOf(capture, session);
    const whole = await read(capture, segmentsOf(turns));
    for (const [what, at, flip] of HEADER_DAMAGE.slice(0, LENGTHS)) {
      const throwDice = dice(at * 256 + flip);
      for (let i = 0; i < 20; i++) {
        const index = LOGIN_TURNS + throwDice(turns.length - LOGIN_TURNS - 8);
        if (turns[index].fromClient || !turns[index - 1].fromClient) continue;
        const { events, counters } = await read(capture, damaged(turns, index, at, flip));
        const named = `${capture}: ${what} of turn ${index}`;
        assert.ok(
          events.some((event) => event.type === 'lost' && event.cause === 'desync'),
          named,
        );
        assert.deepEqual(packetsOf(events), packetsOf(whole.events), named);
        const gone = whole.counters.answered - counters.answered;
        assert.ok(gone <= 3, `${named}: ${gone} answers are gone`);
      }
    }
  }
});
