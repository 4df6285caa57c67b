import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { openArchive } from '../../src/archive/reader.ts';
import { MytapeError } from '../../src/errors.ts';
import { until } from '../support/until.ts';
import {
  blockOf,
  collect,
  createWriter,
  interleave,
  noise,
  type Packet,
  recordArchive,
  sessionFrames,
  temporaryFolder,
} from './support.ts';

/** Twelve sessions at a time, in three waves, so that no block has packets of all of them. */
function threeWaves(): Packet[] {
  const waves = [0, 1, 2].map((wave) =>
    interleave(
      Array.from({ length: 12 }, (_, i) => sessionFrames(`10.0.${wave}.${i + 1}`, 40_000 + i, 60, 77_000)),
    ),
  );
  return waves.flat().map((packet, i) => ({ ...packet, at: i * 1_000_003 }));
}

function flip(path: string, offset: number): void {
  const octets = readFileSync(path);
  octets[offset] ^= 0x40;
  writeFileSync(path, octets);
}

describe('archive', () => {
  test('any packets come back as they were, in any sizes', async (t) => {
    const dir = temporaryFolder(t);
    const sizes = fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: 0, max: 1600 }) },
      { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 65_600 }) },
    );
    const packets = fc.array(
      fc.record({
        size: sizes,
        seed: fc.nat(),
        at: fc.integer({ min: 0, max: 9e15 }),
        extra: fc.integer({ min: 0, max: 3 }),
      }),
      { maxLength: 120 },
    );
    let run = 0;
    await fc.assert(
      fc.asyncProperty(packets, fc.integer({ min: 1, max: 50 }), async (samples, perBlock) => {
        const input = samples.map(({ size, seed, at, extra }) => ({
          octets: seed % 2 ? noise(size, seed) : new Uint8Array(size).fill(seed),
          at,
          wireLength: size + extra,
        }));
        const path = join(dir, String(run++));
        const writer = createWriter(path);
        for (let i = 0; i < input.length; i += perBlock) {
          writer.write(blockOf(input.slice(i, i + perBlock)));
          if (i % 3 === 0) writer.tick();
        }
        writer.close({ packets: input.length, dropped: 0 });
        const archive = openArchive(path);
        assert.deepEqual(await collect(archive.packets({ asCaptured: true })), input);
        assert.equal(archive.info.packets, input.length);
        archive.close();
      }),
      { numRuns: 60 },
    );
  });

  test('a packet larger than a block can be is cut, and says what it was', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    recordArchive(dir, [{ octets: noise(300_000), at: 5 }]);
    const archive = openArchive(dir);
    const [packet] = await collect(archive.packets());
    assert.equal(packet.octets.length, 256 * 1024 - 16);
    assert.equal(packet.wireLength, 300_000);
    archive.close();
  });

  test('a closed archive is one index and its segments, for their owner only', (t) => {
    const dir = join(temporaryFolder(t), 'a');
    recordArchive(dir, threeWaves());
    assert.deepEqual(readdirSync(dir), ['000000.pcap.lz4', 'index.db']);
    assert.equal(statSync(dir).mode & 0o777, 0o700);
    for (const name of readdirSync(dir)) assert.equal(statSync(join(dir, name)).mode & 0o777, 0o600, name);
  });

  test('says what was recorded', (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const packets = threeWaves();
    const writer = recordArchive(dir, packets);
    const archive = openArchive(dir);
    const { info } = archive;
    assert.equal(info.complete, true);
    assert.equal(info.live, false);
    assert.equal(info.repaired, null);
    assert.equal(info.packets, packets.length);
    assert.equal(
      info.octets,
      packets.reduce((sum, packet) => sum + packet.octets.length, 0),
    );
    assert.equal(info.sessions, 36);
    assert.equal(info.commands, 36 * 60);
    assert.equal(writer.commands, 36 * 60);
    assert.deepEqual(info.serverPorts, [3307]);
    const sessions = [...archive.sessions()];
    assert.deepEqual(
      sessions.map((session) => session.id),
      Array.from({ length: 36 }, (_, i) => i),
    );
    assert.equal(sessions[13].client, '10.0.1.2');
    assert.equal(sessions[13].clientPort, 40_001);
    assert.equal(sessions[13].user, 'app');
    assert.equal(sessions[13].schema, 'shop');
    assert.equal(sessions[13].coverage, 'whole');
    assert.equal(sessions[13].commands, 60);
    assert.equal(sessions[13].packets, 126);
    assert.deepEqual(archive.session(13), sessions[13]);
    assert.equal(archive.session(36), undefined);
    archive.close();
  });

  test('one session costs its own blocks: the others may be damaged', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const packets = threeWaves();
    recordArchive(dir, packets);
    const segment = join(dir, '000000.pcap.lz4');
    const size = statSync(segment).size;
    flip(segment, size - 100);
    const archive = openArchive(dir);
    const first = await collect(archive.packets({ sessions: [3] }));
    const expected = packets.slice(0, 12 * 126).filter((_, i) => i % 12 === 3);
    assert.deepEqual(
      first.map(({ octets, at }) => ({ octets, at })),
      expected,
    );
    await assert.rejects(collect(archive.packets({ sessions: [35] })), {
      code: 'bad-archive',
      message: /000000\.pcap\.lz4, block \d+ at offset \d+: damaged: its checksum is wrong/,
    });
    await assert.rejects(collect(archive.packets()), { code: 'bad-archive' });
    archive.close();
  });

  test('sessions that had the same ends one after another are told apart', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const frames = [1, 2, 3].flatMap((i) => sessionFrames('fd00::1', 40_000, 5, i * 100_000));
    const packets = frames.map((octets, i) => ({ octets, at: i }));
    recordArchive(dir, packets);
    const archive = openArchive(dir);
    assert.equal(archive.info.sessions, 3);
    const length = frames.length / 3;
    for (const id of [0, 1, 2]) {
      const found = await collect(archive.packets({ sessions: [id] }));
      assert.deepEqual(
        found.map((packet) => packet.octets),
        frames.slice(id * length, (id + 1) * length),
      );
    }
    assert.equal((await collect(archive.packets({ sessions: [2, 0] }))).length, 2 * length);
    assert.equal((await collect(archive.packets({ sessions: [] }))).length, 0);
    assert.equal((await collect(archive.packets({ sessions: [99] }))).length, 0);
    archive.close();
  });

  test('a span of time selects the packets in it, ends included', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const packets = threeWaves();
    recordArchive(dir, packets);
    const archive = openArchive(dir);
    const from = packets[1000].at;
    const to = packets[3000].at;
    const found = await collect(archive.packets({ from, to }));
    assert.equal(found.length, 2001);
    assert.equal(found[0].at, from);
    assert.equal(found.at(-1)!.at, to);
    archive.close();
  });

  test('rotates, and reads on from file to file', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const packets = Array.from({ length: 500 }, (_, i) => ({ octets: noise(1000, i + 1), at: i }));
    const writer = recordArchive(dir, packets, { rotateOctets: 100_000 });
    assert.equal(writer.segments, 4);
    const archive = openArchive(dir);
    assert.equal(archive.info.segments, 4);
    const files = readdirSync(dir).filter((name) => name.endsWith('.lz4'));
    assert.equal(
      archive.info.storedOctets,
      files.reduce((sum, name) => sum + statSync(join(dir, name)).size, 0),
    );
    assert.equal((await collect(archive.packets())).length, 500);
    archive.close();
  });

  test('a segment that is not the one the index was made with is refused', async (t) => {
    const dir = temporaryFolder(t);
    recordArchive(join(dir, 'a'), [{ octets: noise(1000, 1), at: 1 }]);
    recordArchive(join(dir, 'b'), [{ octets: noise(1000, 2), at: 1 }]);
    writeFileSync(join(dir, 'a', '000000.pcap.lz4'), readFileSync(join(dir, 'b', '000000.pcap.lz4')));
    const archive = openArchive(join(dir, 'a'));
    await assert.rejects(collect(archive.packets()), { message: /belongs to another archive/ });
    archive.close();
  });

  test('while it is recorded, what was made durable can be read, and nobody repairs it', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const packets = threeWaves();
    const writer = createWriter(dir);
    writer.write(blockOf(packets.slice(0, 1000)));
    writer.tick({ packets: 1000, dropped: 3 });
    await until('the packets are durable', () => {
      const archive = openArchive(dir);
      archive.close();
      return archive.info.packets === 1000;
    });
    writer.write(blockOf(packets.slice(1000)));
    const archive = openArchive(dir);
    assert.equal(archive.info.live, true);
    assert.equal(archive.info.dropped, 3);
    assert.equal((await collect(archive.packets())).length, 1000);
    archive.close();
    writer.close({ packets: packets.length, dropped: 3 });
    const closed = openArchive(dir);
    assert.equal(closed.info.complete, true);
    assert.equal((await collect(closed.packets())).length, packets.length);
    closed.close();
  });

  test('can be closed while somebody reads it', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const problems: string[] = [];
    const writer = createWriter(dir, { onProblem: (message) => problems.push(message) });
    writer.write(blockOf(threeWaves()));
    const reader = openArchive(dir);
    const begun = performance.now();
    writer.close({ packets: 1, dropped: 0 });
    assert.ok(performance.now() - begun < 4000);
    assert.deepEqual(problems, []);
    reader.close();
    const closed = openArchive(dir);
    assert.equal(closed.info.complete, true);
    assert.equal(closed.info.live, false);
    closed.close();
  });

  test('closing while a sync is under way loses nothing', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const packets = threeWaves();
    const writer = createWriter(dir, { rotateOctets: 2000 });
    for (let i = 0; i < packets.length; i += 500) {
      writer.write(blockOf(packets.slice(i, i + 500)));
      writer.tick();
    }
    writer.close({ packets: packets.length, dropped: 0 });
    const archive = openArchive(dir);
    assert.equal(archive.info.complete, true);
    assert.equal((await collect(archive.packets())).length, packets.length);
    archive.close();
  });

  test('is never written over what is there', (t) => {
    const dir = temporaryFolder(t);
    writeFileSync(join(dir, 'precious'), 'x');
    assert.throws(() => createWriter(dir), { code: 'archive-exists', message: /choose another folder/ });
    assert.deepEqual(readdirSync(dir), ['precious']);
    const empty = join(dir, 'empty');
    mkdirSync(empty);
    createWriter(empty).close({ packets: 0, dropped: 0 });
    assert.ok(existsSync(join(empty, 'index.db')));
  });

  test('an empty recording is an archive too', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    recordArchive(dir, []);
    const archive = openArchive(dir);
    assert.deepEqual(await collect(archive.packets()), []);
    assert.deepEqual([...archive.sessions()], []);
    archive.close();
  });

  test('what is no archive is refused with words', (t) => {
    const dir = temporaryFolder(t);
    assert.throws(() => openArchive(join(dir, 'none')), MytapeError);
    writeFileSync(join(dir, 'index.db'), 'this is no database, but long enough to look like one'.repeat(20));
    assert.throws(() => openArchive(dir), { code: 'bad-archive', message: /cannot read the index/ });
  });
});
