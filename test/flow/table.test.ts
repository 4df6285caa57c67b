import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Endpoints, Flow } from '../../src/flow/flow.ts';
import { FlowTable, type TableOptions } from '../../src/flow/table.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { CTL, PARSE, Segment } from '../../src/wire/segment.ts';
import { Script, type Scripted, SERVER_PORT, scriptedSource } from './support/wire.ts';

const SECOND = 1e9;

/** Puts segments into a table, each at its time; the ids of what began and ended, in order. */
async function follow(segments: [atNs: number, Scripted][], options?: TableOptions, family: 4 | 6 = 4) {
  const told: string[] = [];
  const table = new FlowTable<Flow>(
    new Set([SERVER_PORT]),
    {
      create: (_: Endpoints, id: number, at: number) => {
        told.push(`began ${id}`);
        return new Flow(id, at);
      },
      ended: ({ id }) => told.push(`ended ${id}`),
    },
    options,
  );
  const segment = new Segment();
  for await (const { octets, view, offset, length } of scriptedSource(
    segments.map(([, scripted]) => scripted),
    family,
  )) {
    segments.forEach(([at], i) => {
      assert.equal(segment.parse(octets, view, offset[i], length[i], LINKTYPE.raw), PARSE.ok);
      table.find(segment, at);
    });
  }
  return { told, open: [...table.flows()].map(({ id }) => id) };
}

const ping = (clientPort: number) => new Script(clientPort).client(Uint8Array.of(1)).segments[0];
const fins = (clientPort: number) => new Script(clientPort).clientSays(CTL.fin).serverSays(CTL.fin).segments;

describe('connections', () => {
  for (const family of [4, 6] as const) {
    test(`IPv${family}: one that was idle for too long ends, the others stay`, async () => {
      const { told, open } = await follow(
        [
          [0, ping(40_000)],
          [0, ping(40_001)],
          [50 * SECOND, ping(40_001)],
          [101 * SECOND, ping(40_002)],
          // It is back: a connection that was joined late.
          [102 * SECOND, ping(40_000)],
        ],
        { idleNs: 100 * SECOND },
        family,
      );
      assert.deepEqual(told, ['began 0', 'began 1', 'ended 0', 'began 2', 'began 3']);
      assert.deepEqual(open.sort(), [1, 2, 3]);
    });
  }

  test('unless told otherwise none is idle for too long; one that closed is forgotten a minute later', async () => {
    const [clientFin, serverFin] = fins(40_001);
    const { told } = await follow([
      [0, ping(40_000)],
      [0, clientFin],
      [0, serverFin],
      [59 * SECOND, ping(40_002)],
      [1e6 * SECOND, ping(40_000)],
    ]);
    assert.deepEqual(told, ['began 0', 'began 1', 'began 2', 'ended 1']);
  });

  test('ids of one of several tables that share a capture', async () => {
    const { told } = await follow(
      [
        [0, ping(40_000)],
        [0, ping(40_001)],
        [0, ping(40_002)],
      ],
      { firstId: 1, idStep: 4 },
    );
    assert.deepEqual(told, ['began 1', 'began 5', 'began 9']);
  });
});
