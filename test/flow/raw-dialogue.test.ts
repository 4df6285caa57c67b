import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RawDialogue, type Turn } from '../../src/flow/raw-dialogue.ts';
import { hashOctets } from '../../src/wire/octet-hash.ts';

const MS = 1e6;

/** What happens on a connection: `>` the client says, `<` the server says; '' is the client's FIN. Times are ms. */
type Step = [at: number, fromClient: '>' | '<', text: string] | [at: number, 'fin' | 'settle'];

/** What is told, in order: `turn 0 @5 "GET"`, `reply 0 @9 3 octets`. */
function told(steps: readonly Step[]): string[] {
  const lines: string[] = [];
  const dialogue = new RawDialogue(
    {
      command: ({ ordinal, at, isLast, packet }) =>
        lines.push(
          `${isLast ? 'last' : 'turn'} ${ordinal} @${at / MS} ${Buffer.from(packet).toString()}`.trimEnd(),
        ),
      reply: ({ ordinal, reply }) =>
        lines.push(`reply ${ordinal} @${reply!.at / MS} ${reply!.octets}, paused ${reply!.pauseMs}`),
    },
    0,
  );
  run(dialogue, steps);
  return lines;
}

function run(dialogue: RawDialogue, steps: readonly Step[]): void {
  for (const step of steps) {
    const [at, what, text = ''] = step;
    const octets = Buffer.from(text);
    if (what === '>') dialogue.fromClient(octets, 0, octets.length, at * MS);
    else if (what === '<') dialogue.fromServer(octets, 0, octets.length, at * MS);
    else if (what === 'fin') dialogue.clientEnded(at * MS);
    else dialogue.settle(at * MS);
  }
  dialogue.finish();
}

describe('turns of a raw dialogue', () => {
  test('all that the client says up to the answer, and all of that', () => {
    const steps: Step[] = [
      [1, '>', 'PO'],
      [2, '>', 'ST'],
      [5, '<', 'con'],
      [15, '<', 'tinue'],
      [20, '>', 'body'],
      [21, '<', 'ok'],
    ];
    assert.deepEqual(told(steps), [
      'turn 0 @2 POST',
      'reply 0 @15 8, paused 10',
      'turn 1 @20 body',
      'reply 1 @21 2, paused 1',
    ]);
  });

  test('the server speaks first: a turn of nothing, since the connection stood', () => {
    const steps: Step[] = [
      [7, '<', '220 ready'],
      [9, '>', 'QUIT'],
      [10, '<', '221'],
    ];
    assert.deepEqual(told(steps), [
      'turn 0 @0',
      'reply 0 @7 9, paused 7',
      'turn 1 @9 QUIT',
      'reply 1 @10 3, paused 1',
    ]);
  });

  test('a long silence ends a turn, whenever it is looked at', () => {
    const steps: Step[] = [
      [0, '>', 'a'],
      [200, '>', 'b'],
      [401, '>', 'c'],
      [700, '<', 'x'],
    ];
    const expected = ['turn 0 @200 ab', 'turn 1 @401 c', 'reply 1 @700 1, paused 299'];
    assert.deepEqual(told(steps), expected);
    for (const at of [0, 200, 390, 401, 500, 601, 602, 650]) {
      const looked = [...steps, [at, 'settle'] as Step].sort((a, b) => a[0] - b[0]);
      assert.deepEqual(told(looked), expected, `looked at ${at}`);
    }
  });

  test('a turn is told while its answer is still awaited', () => {
    const turns: Turn[] = [];
    const dialogue = new RawDialogue({ command: (turn) => turns.push(turn), reply: () => {} }, 0);
    dialogue.fromClient(Buffer.from('wait'), 0, 4, 0);
    dialogue.settle(200 * MS);
    assert.equal(turns.length, 0);
    assert.ok(dialogue.underWay);
    dialogue.settle(201 * MS);
    assert.equal(turns.length, 1);
    assert.ok(!dialogue.underWay);
    dialogue.fromServer(Buffer.from('at last'), 0, 7, 9000 * MS);
    dialogue.finish();
    assert.equal(turns[0].reply?.octets, 7);
  });

  test('turns without an answer, at the end', () => {
    const steps: Step[] = [
      [0, '>', 'a'],
      [1, '<', 'x'],
      [2, '>', 'bye'],
    ];
    assert.deepEqual(told(steps), ['turn 0 @0 a', 'reply 0 @1 1, paused 1', 'turn 1 @2 bye']);
  });

  test('a FIN that the server waits for goes with the turn, or is one', () => {
    const half: Step[] = [
      [0, '>', 'lines'],
      [1, 'fin'],
      [50, '<', '5'],
    ];
    assert.deepEqual(told(half), ['last 0 @0 lines', 'reply 0 @50 1, paused 50']);
    const late: Step[] = [
      [0, '>', 'lines'],
      [300, 'fin'],
      [350, '<', '5'],
    ];
    assert.deepEqual(told(late), ['turn 0 @0 lines', 'last 1 @300', 'reply 1 @350 1, paused 50']);
    const alone: Step[] = [
      [4, 'fin'],
      [5, '<', 'Monday'],
    ];
    assert.deepEqual(told(alone), ['last 0 @4', 'reply 0 @5 6, paused 1']);
  });

  test('a FIN under an answer that has begun is no turn', () => {
    const steps: Step[] = [
      [0, '>', 'GET'],
      [1, '<', 'begin'],
      [2, 'fin'],
      [3, '<', 'end'],
    ];
    assert.deepEqual(told(steps), ['turn 0 @0 GET', 'reply 0 @3 8, paused 2']);
  });

  test('an upload is cut, and what is kept of it with it', () => {
    const turns: Turn[] = [];
    const dialogue = new RawDialogue({ command: (turn) => turns.push(turn), reply: () => {} }, 0);
    const segment = new Uint8Array(60_000).fill(7);
    for (let i = 0; i < 40; i++) dialogue.fromClient(segment, 0, segment.length, i * MS);
    dialogue.finish();
    assert.equal(
      turns.reduce((sum, { packet }) => sum + packet.length, 0),
      40 * 60_000,
    );
    assert.ok(turns.every(({ packet }) => packet.length <= 1 << 20));
    assert.equal(turns.length, 3);
  });

  test('however the streams are cut into segments, turns and answers are the same', () => {
    const exchange = fc.record({
      ask: fc.string({ minLength: 1, maxLength: 40 }),
      answer: fc.string({ minLength: 1, maxLength: 40 }),
      cuts: fc.array(fc.nat(100), { maxLength: 6 }),
    });
    fc.assert(
      fc.property(fc.array(exchange, { maxLength: 6 }), (exchanges) => {
        const turns: Turn[] = [];
        const dialogue = new RawDialogue({ command: (turn) => turns.push(turn), reply: () => {} }, 0);
        let at = 0;
        for (const { ask, answer, cuts } of exchanges) {
          for (const [text, say] of [
            [ask, dialogue.fromClient],
            [answer, dialogue.fromServer],
          ] as const) {
            const octets = Buffer.from(`<${text}>`);
            const inside = cuts.map((cut) => cut % octets.length).filter((cut) => cut > 0);
            const bounds = [...new Set([0, ...inside, octets.length])].sort((a, b) => a - b);
            for (let i = 1; i < bounds.length; i++)
              say.call(dialogue, octets, bounds[i - 1], bounds[i], at++ * MS);
          }
        }
        dialogue.finish();
        const hashOf = (text: string) =>
          hashOctets(Buffer.from(`<${text}>`), 0, Buffer.byteLength(`<${text}>`));
        assert.deepEqual(
          turns.map(({ packet, reply }) => [Buffer.from(packet).toString(), reply?.hash]),
          exchanges.map(({ ask, answer }) => [`<${ask}>`, hashOf(answer)]),
        );
      }),
    );
  });

  test('octets are copied', () => {
    const turns: Turn[] = [];
    const dialogue = new RawDialogue({ command: (turn) => turns.push(turn), reply: () => {} }, 0);
    const octets = Buffer.from('....mine....');
    dialogue.fromClient(octets, 4, 8, 0);
    octets.fill(0);
    dialogue.finish();
    assert.equal(Buffer.from(turns[0].packet).toString(), 'mine');
  });
});
