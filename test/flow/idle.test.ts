import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { findIdle, IdleGaps } from '../../src/flow/idle.ts';
import { CTL } from '../../src/wire/segment.ts';
import { Script, type Scripted, SERVER_PORT, scriptedSource } from './support/wire.ts';

const DATA = Uint8Array.of(1);

/** Segments with data, or what else is asked for, at these moments; some from the server. */
async function found(mostNs: number, moments: readonly [at: number, what?: Partial<Scripted>][]) {
  const script = new Script();
  for (const [i] of moments.entries()) (i % 2 ? script.client(DATA) : script.server(DATA)).segments.at(-1)!;
  const segments = script.segments.map((segment, i) => ({ ...segment, ...moments[i][1] }));
  const source = scriptedSource(segments);
  const timed = {
    ...source,
    async *[Symbol.asyncIterator]() {
      for await (const block of source) {
        moments.forEach(([at], i) => {
          block.at[i] = at;
        });
        yield block;
      }
    },
  };
  const { from, until } = (await findIdle(timed, [{ port: SERVER_PORT }], mostNs)).data;
  return [...from].map((at, i) => [at, until[i]]);
}

describe('finding', () => {
  test('what is longer than allowed is cut down to that', async () => {
    assert.deepEqual(await found(100, [[50], [150], [251], [300], [1_000]]), [
      [250, 251],
      [400, 1_000],
    ]);
  });

  test('before the first packet and behind the last there is nothing to cut', async () => {
    assert.deepEqual(await found(100, [[5_000], [5_050]]), []);
    assert.deepEqual(await found(100, []), []);
  });

  test('segments without data say nothing, those whose data was not captured do', async () => {
    const none = { data: new Uint8Array(0), flags: CTL.ack };
    assert.deepEqual(await found(100, [[0], [90, none], [180, { captured: 0 }], [250, none], [300]]), [
      [100, 180],
      [280, 300],
    ]);
  });

  test('packets a little out of order make no gap', async () => {
    assert.deepEqual(await found(100, [[0], [90], [60], [180], [290]]), [[280, 290]]);
  });

  test('other ports do not count, either way', async () => {
    const source = scriptedSource(new Script().client(DATA).server(DATA).client(DATA).segments);
    assert.equal((await findIdle(source, [{ port: SERVER_PORT + 1 }], 10)).count, 0);
    assert.equal((await findIdle(source, [{ port: SERVER_PORT }], 10)).count, 2);
    assert.equal((await findIdle(source, [{ port: 40_000 }], 10)).count, 2);
  });
});

describe('cutting', () => {
  const gaps = IdleGaps.from({ from: Float64Array.of(100, 500), until: Float64Array.of(300, 1_500) });

  test('a moment loses what was cut before it; within a cut it is where that begins', () => {
    assert.deepEqual(
      [0, 100, 101, 299, 300, 301, 500, 900, 1_500, 2_000].map((at) => gaps.cut(at)),
      [0, 100, 100, 100, 100, 101, 300, 300, 300, 800],
    );
    assert.deepEqual([gaps.count, gaps.cutNs], [2, 1_200]);
  });

  test('nothing to cut cuts nothing', () => {
    const none = IdleGaps.from({ from: new Float64Array(0), until: new Float64Array(0) });
    assert.deepEqual([none.cut(7), none.count, none.cutNs], [7, 0, 0]);
  });

  test('another thread gets the same', () => {
    assert.equal(IdleGaps.from(structuredClone(gaps.data)).cut(2_000), 800);
  });

  test('moments stay in order, and no further apart than recorded, or than allowed where nothing was said', async () => {
    const steps = fc.array(fc.integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 500 }), async (stepsNs, mostNs) => {
        let at = 0;
        const moments = stepsNs.map((step): [number] => [(at += step)]);
        const pairs = await found(mostNs, moments);
        const cuts = IdleGaps.from({
          from: Float64Array.from(pairs, ([from]) => from),
          until: Float64Array.from(pairs, ([, until]) => until),
        });
        for (let i = 1; i < moments.length; i++) {
          const gap = cuts.cut(moments[i][0]) - cuts.cut(moments[i - 1][0]);
          assert.equal(gap, Math.min(stepsNs[i], mostNs));
        }
      }),
      { numRuns: 50 },
    );
  });
});
