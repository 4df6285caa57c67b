/** Which packets a table counts as captured twice: copies, and no retransmissions. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Endpoints, Flow } from '../../src/flow/flow.ts';
import { FlowTable } from '../../src/flow/table.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { CTL, Segment } from '../../src/wire/segment.ts';
import { SERVER_PORT, type TcpFields, tcpFrame } from '../archive/support.ts';

const MS = 1e6;

/** How many of these segments count as copies, each with the time that it came at. */
function copiesOf(segments: readonly [at: number, fields: Partial<TcpFields>][], family: 4 | 6 = 4): number {
  const table = new FlowTable<Flow>(new Set([SERVER_PORT]), {
    create: (_: Endpoints, id: number, at: number) => new Flow(id, at),
    ended: () => {},
  });
  const segment = new Segment();
  const ends = { client: family === 4 ? '10.0.0.1' : 'fd00::1', clientPort: 40_000, fromClient: true };
  for (const [at, fields] of segments) {
    const octets = tcpFrame({ ...ends, seq: 1000, ack: 5000, ...fields });
    assert.equal(segment.parse(octets, new DataView(octets.buffer), 0, octets.length, LINKTYPE.ethernet), 0);
    assert.notEqual(table.find(segment, at), undefined);
  }
  return table.copies;
}

const payload = Uint8Array.of(9, 9, 9);
const KINDS: Record<string, Partial<TcpFields>> = {
  SYN: { flags: CTL.syn, ack: 0 },
  'data that is the first': { payload },
  FIN: { flags: CTL.fin | CTL.ack },
  'data and FIN': { payload, flags: CTL.fin | CTL.ack },
  'data of the server': { payload, fromClient: false },
};

describe('a packet that comes again 4 ms later', () => {
  for (const [name, fields] of Object.entries(KINDS)) {
    const first: Partial<TcpFields> = { ...fields, ipId: 0x4de4, tsVal: 7 };

    test(`with the same identification is a copy: ${name}`, () => {
      assert.equal(
        copiesOf([
          [0, first],
          [4 * MS, first],
        ]),
        1,
      );
    });

    test(`with another is a retransmission: ${name}`, () => {
      assert.equal(
        copiesOf([
          [0, first],
          [4 * MS, { ...first, ipId: 0x4de5 }],
        ]),
        0,
      );
      // And a copy of that is one.
      const again = { ...first, ipId: 0x4de5 };
      assert.equal(
        copiesOf([
          [0, first],
          [0, first],
          [4 * MS, again],
          [4 * MS, again],
        ]),
        2,
      );
    });

    test(`without identification: the time stamps tell: ${name}`, () => {
      for (const [family, ipId] of [
        [4, 0],
        [6, 0],
      ] as const) {
        const packet = { ...fields, ipId, tsVal: 7 };
        assert.equal(
          copiesOf(
            [
              [0, packet],
              [4 * MS, packet],
            ],
            family,
          ),
          1,
        );
        assert.equal(
          copiesOf(
            [
              [0, packet],
              [4 * MS, { ...packet, tsVal: 11 }],
            ],
            family,
          ),
          0,
        );
        const without = { ...fields, ipId };
        assert.equal(
          copiesOf(
            [
              [0, without],
              [4 * MS, without],
            ],
            family,
          ),
          1,
        );
      }
    });
  }

  test('in the midst of a connection, where each packet is the next of its direction', () => {
    const data = (n: number, ipId: number): [number, Partial<TcpFields>] => [
      n * MS,
      { payload, seq: 1000 + 3 * n, ipId },
    ];
    assert.equal(copiesOf([data(0, 1), data(1, 2), data(2, 3), data(2, 4)]), 0);
    assert.equal(copiesOf([data(0, 1), data(1, 2), data(2, 3), data(2, 3)]), 1);
    // What comes again is not the newest.
    assert.equal(copiesOf([data(0, 1), data(1, 2), data(2, 3), data(1, 9), data(2, 3)]), 1);
  });

  test('with another address of the server is a copy, whatever its identification', () => {
    const translated: Partial<TcpFields> = { server: '10.0.0.77', ipId: 99 };
    const syn: Partial<TcpFields> = { flags: CTL.syn, ack: 0, ipId: 1 };
    assert.equal(
      copiesOf([
        [0, syn],
        [1 * MS, { ...syn, ...translated }],
      ]),
      1,
    );
    const data: Partial<TcpFields> = { payload, ipId: 2 };
    assert.equal(
      copiesOf([
        [0, syn],
        [1 * MS, { ...syn, ...translated }],
        [2 * MS, { ...data, seq: 1001 }],
        [3 * MS, { ...data, seq: 1001, ...translated }],
      ]),
      2,
    );
  });
});
