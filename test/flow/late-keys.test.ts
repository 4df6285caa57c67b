/** Sessions under TLS whose keys come after their packets, as in a mirror. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decodeSessions } from '../../src/flow/decode.ts';
import { KeyLog } from '../../src/tls/key-log.ts';
import { TlsStream } from '../../src/tls/stream.ts';
import type { PacketSource } from '../../src/wire/packets.ts';
import { describe, FIXTURE_PORT, fixture, pcapSource } from './support/capture.ts';

const FIXTURES = ['mysql2-tls13', 'mysql2-tls12', 'pymysql-tls'];
const keysOf = (name: string) =>
  KeyLog.parse(readFileSync(new URL(`../../../fixtures/${name}.keys`, import.meta.url), 'latin1'));

/** A block for each packet, and an empty one at the end. */
function packetByPacket(source: PacketSource): PacketSource {
  return {
    linkType: source.linkType,
    originSec: source.originSec,
    stats: () => source.stats(),
    close: () => source.close(),
    async *[Symbol.asyncIterator]() {
      for await (const block of source) {
        const { count } = block;
        for (let i = 0; i < count; i++) {
          const one = {
            offset: block.offset,
            length: block.length,
            wireLength: block.wireLength,
            at: block.at,
          };
          const columns = Object.entries(one).map(([name, column]) => [name, column.subarray(i, i + 1)]);
          yield { ...block, ...Object.fromEntries(columns), count: 1 };
        }
        // Time goes on without packets.
        for (let i = 0; i < 50; i++) yield { ...block, count: 0 };
      }
    },
  };
}

/** What is told where the keys of each session are there when they were asked for `late` times; `gaveUp`: sessions whose keys came too late. */
async function told(name: string, late: number, most = Number.POSITIVE_INFINITY) {
  const keys = keysOf(name);
  const asked = new Map<string, number>();
  const waiting = new Set<string>();
  const secrets = {
    of(random: string) {
      const times = 1 + (asked.get(random) ?? 0);
      asked.set(random, times);
      return times > late ? keys.of(random) : undefined;
    },
    mayCome(random: string) {
      waiting.add(random);
      return (asked.get(random) ?? 0) < most;
    },
    settled: (random: string) => waiting.delete(random),
  };
  const lines: string[] = [];
  const source = packetByPacket(pcapSource(fixture(name)));
  const options = {
    serverPorts: new Set([FIXTURE_PORT]),
    openTls: (plain: ConstructorParameters<typeof TlsStream>[1]) => new TlsStream(secrets, plain),
  };
  for await (const events of decodeSessions(source, options)) lines.push(...events.map(describe));
  assert.equal(waiting.size, 0, 'a session waits for keys for ever');
  return lines;
}

for (const name of FIXTURES) {
  test(`${name}: keys that come later make the same sessions`, async () => {
    const atOnce = await told(name, 0);
    assert.ok(atOnce.some((line) => /select/i.test(line)));
    // Sessions that wait are told later than others; each for itself is the same.
    for (const late of [1, 2, 7, 40])
      assert.deepEqual((await told(name, late)).sort(), atOnce.toSorted(), `${late}`);
  });

  test(`${name}: keys that never come, or too late, leave their sessions out`, async () => {
    const never = await told(name, Number.POSITIVE_INFINITY, 5);
    assert.deepEqual(never, await told(name, 10, 5));
    assert.ok(
      never.every((line) => /skip.*tls/.test(line)),
      never.join('\n'),
    );
  });
}
