/** Captures of clients that nobody here wrote (fixtures/README.md), read to the last packet. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { FlowEvent } from '../../src/flow/events.ts';
import { COM } from '../../src/mysql/command.ts';
import { HEADER_OCTETS } from '../../src/mysql/packet.ts';
import { describe, fixture, pcapSource, rearranged } from './support/capture.ts';
import { decodeGolden, decodePackets, GOLDEN, goldenPath } from './support/golden.ts';

/** What cannot be read, and why; everything else is. */
const UNREADABLE: Record<string, string[]> = {
  'mariadb-binlog': ['0 lost replication 1', '0 lost replication 1'],
  'mariadb-tls': ['0 skip tls 0'],
  // CBC: records whose length nobody should still trust.
  'mysql2-tls12': ['4 skip tls 0'],
};

/** Commands that a client may send, and none of these does. */
const UNSEEN = [
  // They would end the server, or nobody implements them.
  COM.shutdown,
  COM.tableDump,
  // Replicas: a server that runs as one would send them.
  COM.registerSlave,
  COM.binlogDumpGtid,
  COM.clone,
  COM.subscribeGroupReplication,
];

const isLost = ({ type }: FlowEvent) => type === 'lost' || type === 'skip';

for (const name of GOLDEN) {
  test(`golden capture ${name}: the events that stand in ${name}.events.txt, and nothing lost`, async () => {
    const { events, counters } = await decodeGolden(name);
    const lines = events.map(describe);
    assert.deepEqual(lines, readFileSync(goldenPath(name, '.events.txt'), 'utf8').trimEnd().split('\n'));
    assert.deepEqual(events.filter(isLost).map(describe), UNREADABLE[name] ?? []);
    assert.equal(counters.unreadable, 0);
    const commands = events.filter(({ type }) => type === 'command');
    assert.equal(counters.commands, commands.length);
    assert.equal(counters.answered, events.filter(({ type }) => type === 'reply').length);
  });

  test(`golden capture ${name}: who expects an answer has one, and a file came whole`, async () => {
    const { events } = await decodeGolden(name);
    for (const event of events) {
      if (event.type === 'open') assert.ok(event.session.connectionId > 0, describe(event));
      if (event.type !== 'command') continue;
      const { command } = event;
      assert.equal(command.reply !== undefined, command.expect !== 0, describe(event));
      assert.equal(command.file !== undefined, command.reply?.kind === 'infile', describe(event));
      if (command.file === undefined) continue;
      assert.ok(command.file.whole, describe(event));
      const octets = command.file.packets.reduce((sum, packet) => sum + packet.length, 0);
      assert.equal(octets, command.file.octets);
      assert.equal(command.file.packets.at(-1)?.length, HEADER_OCTETS);
    }
  });

  test(`golden capture ${name}: every packet twice is the same sessions`, async () => {
    const once = await decodeGolden(name);
    const source = rearranged(pcapSource(fixture(name)), (numbers) => numbers.flatMap((i) => [i, i]));
    const twice = await decodePackets(name, source);
    assert.deepEqual(twice.events.map(describe), once.events.map(describe));
  });
}

test('between them, golden captures have every command but those that end or copy a server', async () => {
  const seen = new Set<number>([COM.binlogDump]);
  for (const name of GOLDEN) {
    for (const event of (await decodeGolden(name)).events)
      if (event.type === 'command') seen.add(event.command.com);
  }
  assert.deepEqual(
    Object.values(COM).filter((com) => !seen.has(com)),
    UNSEEN,
  );
});

test('the files that LOCAL INFILE read are what the clients had', async () => {
  const { events } = await decodeGolden('mysql2-infile');
  const files = events.flatMap((event) =>
    event.type === 'command' && event.command.file !== undefined
      ? [
          event.command.file.packets
            .map((packet) => Buffer.from(packet.subarray(HEADER_OCTETS)).toString())
            .join(''),
        ]
      : [],
  );
  const many = Array.from({ length: 300 }, (_, i) => `${i + 10}\tline ${i}\n`).join('');
  assert.deepEqual(files, ['1\tone\n2\ttwo\n', many, '', '1\tagain\n', '']);
});

test('without its keys, a session under TLS is skipped by that name', async () => {
  const { events, counters } = await decodePackets('mariadb-tls', pcapSource(fixture('mysql2-tls13')));
  assert.deepEqual(
    events.map(describe),
    [0, 1, 2, 3, 4].map((id) => `${id} skip tls 0`),
  );
  assert.equal(counters.commands, 0);
});

test('two clients, TLS 1.2 and 1.3, compressed within or not: the same statements have the same answers', async () => {
  const answers = (events: FlowEvent[], id: number) =>
    events.flatMap((event) =>
      event.type === 'reply' && event.session.id === id ? [event.command.reply?.hash] : [],
    );
  const tls12 = (await decodeGolden('mysql2-tls12')).events;
  const tls13 = (await decodeGolden('mysql2-tls13')).events;
  const first = answers(tls12, 0);
  assert.equal(first.length, 5);
  for (const id of [1, 2, 3]) assert.deepEqual(answers(tls12, id), first);
  for (const id of [0, 1, 2]) assert.deepEqual(answers(tls13, id), first);
});
