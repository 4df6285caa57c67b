/** Recorded conversations whose server's octets are damaged by chance, played to a replay of the same recording. */
import { decodeSessions } from '../../../src/flow/decode.ts';
import { FIXTURE_PORT, fixture, pcapSource, sessionTurns } from '../../flow/support/capture.ts';
import { type Dice, randomFrom } from '../../support/random.ts';
import { type Hostile, type HostileRun, type Peer, replayOnto } from './run.ts';
import { OTHER_FILE } from './targets.ts';

/** Captures without TLS and compression, which a target can be made to answer by. */
export const CAPTURES = [
  'mariadb-cli',
  'mysql2',
  'sysbench-text',
  'sysbench-prepared',
  'connector',
  'php',
  'mysql2-infile',
  'dbd',
] as const;

/** The run is stopped then: else each command of a long recording may time out in turn. */
const MOST_CONNECTIONS = 3;

/** Sessions of a capture that are played; others get the last one's. */
const MOST_SESSIONS = 4;

export interface Trial {
  seed: number;
  capture: string;
}

/** What came of a trial: undefined where all that must hold does. */
export interface Result {
  trial: Trial;
  failure: string | undefined;
  damage: string[];
}

/** Whole numbers below `limit`: the same in every run. */
function dice(seed: number): Dice {
  const random = randomFrom(seed);
  return (limit) => (random() * 2 ** 32) % limit;
}

/** What the server says: at once, and behind each of the client's turns. */
type Script = Uint8Array[];

const scripts = new Map<string, Promise<Script[]>>();

function scriptsOf(capture: string): Promise<Script[]> {
  const known = scripts.get(capture) ?? readScripts(capture);
  scripts.set(capture, known);
  return known;
}

async function readScripts(capture: string): Promise<Script[]> {
  const all: Script[] = [];
  for (let session = 0; session < MOST_SESSIONS; session++) {
    const turns = await sessionTurns(capture, session);
    if (turns.length === 0) break;
    const script: Uint8Array[][] = [[]];
    let wasClient = false;
    for (const { fromClient, octets } of turns) {
      if (fromClient && !wasClient) script.push([]);
      if (!fromClient) script.at(-1)?.push(octets);
      wasClient = fromClient;
    }
    all.push(script.map((parts) => new Uint8Array(Buffer.concat(parts))));
  }
  return all;
}

const INFILE = Buffer.from(`\xfb${OTHER_FILE}`, 'latin1');

/** One change to what the server says in one turn. */
const DAMAGES: Readonly<Record<string, (octets: Uint8Array, roll: Dice) => Uint8Array>> = {
  'a bit flipped': (octets, roll) => {
    const changed = octets.slice();
    if (changed.length > 0) changed[roll(changed.length)] ^= 1 << roll(8);
    return changed;
  },
  'an octet set to an edge': (octets, roll) => {
    const changed = octets.slice();
    const edges = [0x00, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0x7f, 0x80];
    if (changed.length > 0) changed[roll(changed.length)] = edges[roll(edges.length)];
    return changed;
  },
  'a header changed': (octets, roll) => {
    const changed = octets.slice();
    if (changed.length >= 4) changed[roll(4)] = roll(256);
    return changed;
  },
  'some left out': (octets, roll) => {
    const from = roll(octets.length + 1);
    return spliced(octets, from, Math.min(octets.length, from + 1 + roll(40)), new Uint8Array(0));
  },
  'some said twice': (octets, roll) => {
    const from = roll(octets.length + 1);
    const to = Math.min(octets.length, from + 1 + roll(400));
    return spliced(octets, to, to, octets.slice(from, to));
  },
  'garbage put in': (octets, roll) => {
    const at = roll(octets.length + 1);
    return spliced(
      octets,
      at,
      at,
      Uint8Array.from({ length: 1 + roll(300) }, () => roll(256)),
    );
  },
  'cut short': (octets, roll) => octets.slice(0, roll(octets.length + 1)),
  'a file asked for': (octets, roll) => {
    const header = Uint8Array.of(INFILE.length, 0, 0, roll(4));
    return roll(2) === 0
      ? new Uint8Array(Buffer.concat([header, INFILE]))
      : spliced(octets, 0, 0, Buffer.concat([header, INFILE]));
  },
};

function spliced(octets: Uint8Array, from: number, to: number, put: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([octets.subarray(0, from), put, octets.subarray(to)]));
}

/** What the target does when it has nothing more to say. */
const ENDS: readonly ((peer: Peer, last: Uint8Array) => Promise<void>)[] = [
  async (peer) => peer.end(),
  async (peer) => peer.reset(),
  (peer) => peer.silence(),
  (peer, last) => (last.length === 0 ? peer.silence() : peer.forEver(last)),
];

/** Runs one trial. Never rejects. */
export async function attempt(trial: Trial): Promise<Result> {
  const damage: string[] = [];
  try {
    const roll = dice(trial.seed);
    const all = (await scriptsOf(trial.capture)).map((script) => damaged(script, roll, damage));
    const end = ENDS[roll(ENDS.length)];
    const hostile: Hostile = async (peer) => {
      const script = all[Math.min(peer.number, all.length - 1)];
      let last = new Uint8Array(0);
      for (const [i, octets] of script.entries()) {
        if (i > 0 && (await peer.next()) === undefined) break;
        last = octets.slice();
        await peer.send(octets);
      }
      await end(peer, last);
    };
    const decoded = decodeSessions(pcapSource(fixture(trial.capture)), {
      serverPorts: new Set([FIXTURE_PORT]),
    });
    const events = () => decoded[Symbol.asyncIterator]() as never;
    const run = await replayOnto(hostile, events, { stopAfter: MOST_CONNECTIONS });
    return { trial, failure: wrongIn(run), damage };
  } catch (error) {
    return { trial, failure: (error as Error).stack ?? String(error), damage };
  }
}

/** Two thirds of the scripts have one change, the others up to three. */
function damaged(script: Script, roll: Dice, damage: string[]): Script {
  const changed = [...script];
  const kinds = Object.keys(DAMAGES);
  for (let left = roll(3) > 0 ? 1 : 1 + roll(3); left > 0; left--) {
    const at = roll(changed.length);
    const kind = kinds[roll(kinds.length)];
    changed[at] = DAMAGES[kind](changed[at], roll);
    damage.push(`${kind} in turn ${at}`);
  }
  return changed;
}

/** Commands and sessions are accounted for by `replayOnto`. */
function wrongIn({ received }: HostileRun): string | undefined {
  if (received.includes('root:x:')) return 'a file of this host was sent';
  return received.includes(OTHER_FILE) ? 'the name of a file of this host was sent' : undefined;
}
