import assert from 'node:assert/strict';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { verifyArchive } from '../../../src/archive/check/verify.ts';
import { makeCodec } from '../../../src/archive/codec.ts';
import { type ArchiveInfo, openArchive, rebuildIndex } from '../../../src/archive/reader.ts';
import { segmentHead } from '../../../src/archive/segment.ts';
import { LINKTYPE } from '../../../src/wire/packets.ts';
import {
  blockOf,
  collect,
  createWriter,
  interleave,
  noise,
  ORIGIN_SEC,
  type Packet,
  sessionFrames,
} from '../support.ts';

const HEAD_OCTETS = segmentHead(makeCodec('lz4')!, LINKTYPE.ethernet).length;
const SEGMENT = '000000.pcap.lz4';

/** The end of block i, as the LZ4 frame says; [0] is the end of the head. */
function blockEnds(path: string): number[] {
  const octets = readFileSync(path);
  const ends = [HEAD_OCTETS];
  for (let at = HEAD_OCTETS; ; ) {
    const size = octets.readUInt32LE(at) & 0x7fffffff;
    if (size === 0) return ends;
    at += 4 + size + 4;
    ends.push(at);
  }
}

/** A recording that nobody closed: as a killed recorder leaves it, with a part that the index knows and a part that not. */
describe('repair', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
  const dead = join(folder, 'dead');
  const packets: Packet[] = [];
  let known = 0;
  let ends: number[];

  before(async () => {
    const frames = Array.from({ length: 20 }, (_, i) => sessionFrames(`10.0.0.${i + 1}`, 40_000, 300));
    packets.push(...interleave(frames));
    for (const [i, packet] of packets.entries()) {
      // Noise behind the IP packet, where Ethernet has its padding: so that the segment has many blocks.
      packet.octets = Buffer.concat([packet.octets, noise(200, i + 1)]);
    }
    const writer = createWriter(join(folder, 'alive'));
    writer.write(blockOf(packets.slice(0, 6000)));
    writer.tick({ packets: 6000, dropped: 5 });
    for (let i = 0; i < 300 && known === 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      const archive = openArchive(join(folder, 'alive'));
      known = archive.info.packets;
      archive.close();
    }
    writer.write(blockOf(packets.slice(6000)));
    // What a kill leaves behind is what is in the files at that moment.
    cpSync(join(folder, 'alive'), dead, { recursive: true });
    writer.close({ packets: packets.length, dropped: 5 });
    ends = blockEnds(join(dead, SEGMENT));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Packets in the first `blocks` blocks of the dead archive. */
  function packetsIn(path: string): Promise<number> {
    const archive = openArchive(path);
    return collect(archive.packets()).then((found) => {
      archive.close();
      assert.deepEqual(
        found.map((packet) => packet.octets.length),
        packets.slice(0, found.length).map((packet) => packet.octets.length),
      );
      return found.length;
    });
  }

  function copy(name: string): string {
    const dir = join(folder, name);
    cpSync(dead, dir, { recursive: true });
    return dir;
  }

  /** The frame must be whole for stock tools: it ends with the end mark, right behind a block. */
  function assertEnded(dir: string): void {
    const path = join(dir, SEGMENT);
    assert.equal(statSync(path).size, blockEnds(path).at(-1)! + 4);
  }

  test('the index knew less than the segment, and knows all of it after', async () => {
    assert.equal(known, 6000);
    const dir = copy('whole');
    const archive = openArchive(dir);
    const { info } = archive;
    assert.equal(info.repairedNow, true);
    assert.equal(info.complete, false);
    assert.match(info.repaired!, /of which the index knew 6000/);
    assert.ok(info.packets > 6000);
    assert.equal(info.dropped, 5);
    assert.equal(info.sessions, 20);
    const sessions = [...archive.sessions()];
    const commands = sessions.reduce((sum, session) => sum + session.commands!, 0);
    assert.equal(info.commands, commands);
    archive.close();
    assert.deepEqual(readdirSync(dir), [SEGMENT, 'index.db']);
    const again = openArchive(dir);
    assert.equal(again.info.repairedNow, false);
    assert.equal(again.info.repaired, info.repaired);
    assert.equal((await collect(again.packets({ sessions: [7] }))).length, sessions[7].packets);
    again.close();
    assertEnded(dir);
  });

  test('torn anywhere, keeps every whole block before the tear', async () => {
    const last = ends.at(-1)!;
    const beforeLast = ends.at(-2)!;
    const perBlock = new Map<number, number>();
    const cuts = [
      0,
      3,
      HEAD_OCTETS - 1,
      HEAD_OCTETS,
      HEAD_OCTETS + 2,
      HEAD_OCTETS + 4,
      ends[1] - 1,
      ends[1],
      ends[1] + 1,
      ends[3] + 5000,
      beforeLast + 3,
      beforeLast + 4,
      last - 4,
      last - 1,
      last,
      last + 2,
      last + 4,
    ];
    for (const cut of cuts) {
      const dir = copy(`cut-${cut}`);
      truncateSync(join(dir, SEGMENT), cut);
      const found = await packetsIn(dir);
      assertEnded(dir);
      const whole = ends.filter((end) => end <= cut).length - 1;
      const expected = perBlock.get(whole) ?? found;
      perBlock.set(whole, expected);
      assert.equal(found, expected, `cut at ${cut}`);
      assert.equal(found > 0, whole > 0, `cut at ${cut}`);
      rmSync(dir, { recursive: true });
    }
    assert.ok(perBlock.get(ends.length - 1)! > perBlock.get(ends.length - 2)!);
  });

  test('a tail of zeros or of garbage, as a power cut leaves it, is cut', async () => {
    const whole = await packetsIn(copy('reference'));
    const octets = readFileSync(join(dead, SEGMENT));
    const last = ends.at(-1)!;
    for (const tail of [new Uint8Array(10_000), noise(10_000), Buffer.alloc(9, 0xff)]) {
      const dir = copy(`tail-${tail.length}-${tail[0]}`);
      writeFileSync(join(dir, SEGMENT), Buffer.concat([octets.subarray(0, last), tail]));
      assert.equal(await packetsIn(dir), whole);
      assertEnded(dir);
    }
  });

  test('a damaged block that the index knows is left in place, with all that follows it', async () => {
    const dir = copy('damaged');
    const octets = readFileSync(join(dir, SEGMENT));
    octets[ends[1] + 100] ^= 1;
    writeFileSync(join(dir, SEGMENT), octets);
    const archive = openArchive(dir);
    const { repaired, lostByDamage } = archive.info;
    assert.match(
      repaired!,
      /000000\.pcap\.lz4: lost \d+ packets from 2023-\S+ to 2023-\S+: they are damaged/,
    );
    assert.equal(statSync(join(dir, SEGMENT)).size, octets.length);
    assert.ok(lostByDamage > 100);
    // What is known to be lost is passed over: the rest can be used.
    const found = await collect(archive.packets());
    assert.equal(found.length, archive.info.packets - lostByDamage);
    const { firstAt } = archive.session(0)!;
    assert.equal(firstAt, packets[0].at);
    assert.equal(found.at(-1)!.at, packets[archive.info.packets - 1].at);
    archive.close();
  });

  test('a damaged block that the index does not know ends the segment', async () => {
    const dir = copy('damaged-new');
    const octets = readFileSync(join(dir, SEGMENT));
    octets[ends.at(-2)! + 100] ^= 1;
    writeFileSync(join(dir, SEGMENT), octets);
    const archive = openArchive(dir);
    assert.match(archive.info.repaired!, /000000\.pcap\.lz4: cut \d+ octets/);
    archive.close();
    assert.equal(statSync(join(dir, SEGMENT)).size, ends.at(-2)! + 4);
  });

  test('a head that is damaged is written anew, and the blocks behind it kept', async () => {
    const whole = await packetsIn(copy('reference-2'));
    const dir = copy('head');
    const octets = readFileSync(join(dir, SEGMENT));
    octets.fill(0, 0, HEAD_OCTETS);
    writeFileSync(join(dir, SEGMENT), octets);
    assert.equal(await packetsIn(dir), whole);
  });

  test('an index that lost everything but its first row is made again', async () => {
    const dir = copy('old-index');
    rmSync(join(dir, 'index.db-wal'));
    rmSync(join(dir, 'index.db-shm'));
    assert.equal(await packetsIn(dir), await packetsIn(copy('reference-3')));
  });

  test('the tail that the recorder was writing is cut, and counts as no loss: there the recording ends', () => {
    const dir = copy('tail');
    truncateSync(join(dir, SEGMENT), ends.at(-1)! - 10);
    const { repaired, lostByDamage } = infoOf(dir);
    assert.match(repaired!, /000000\.pcap\.lz4: cut \d+ octets after the last whole block, and ended it/);
    assert.doesNotMatch(repaired!, /lost/);
    assert.equal(lostByDamage, 0);
  });

  test('blocks that the index knows and that are not there any more are lost: how many packets, and of when', () => {
    const dir = copy('gone');
    const before = infoOf(copy('gone-not'));
    truncateSync(join(dir, SEGMENT), ends[2] + 10);
    const { repaired, lostByDamage, packets: left } = infoOf(dir);
    assert.ok(lostByDamage > 0 && lostByDamage < before.packets);
    assert.equal(left + lostByDamage, 6000, 'of those that the index knew');
    const at = (i: number) => new Date(ORIGIN_SEC * 1000 + packets[i].at / 1e6).toISOString();
    const span = `lost ${lostByDamage} packets from ${at(left)} to ${at(5999)}: they are not in the file any more`;
    assert.ok(repaired!.includes(`${SEGMENT}: ${span}`), repaired!);
    // It stays so, whatever is made anew.
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(verified(dir), { findings: 0, losses: [`${SEGMENT}: ${span}`] });
      rebuildIndex(dir, () => {});
    }
    assert.equal(infoOf(dir).lostByDamage, lostByDamage);
  });

  test('a segment in the middle that is half cut is told as a loss, though nobody knows how many packets it had', () => {
    const dir = join(folder, 'halved');
    const writer = createWriter(`${dir}-alive`, { rotateOctets: 60_000 });
    for (let i = 0; i < packets.length; i += 200) writer.write(blockOf(packets.slice(i, i + 200)));
    cpSync(`${dir}-alive`, dir, { recursive: true });
    writer.close({ packets: packets.length, dropped: 0 });
    const middle = '000001.pcap.lz4';
    truncateSync(join(dir, middle), statSync(join(dir, middle)).size / 2);
    const { repaired, lostByDamage, segments } = infoOf(dir);
    assert.ok(segments > 3);
    assert.match(
      repaired!,
      /000001\.pcap\.lz4: lost packets whose number is not known, all from 2023-\S+ to 2023-\S+: /,
    );
    assert.equal(lostByDamage, 1);
    const { findings, losses } = verified(dir);
    assert.deepEqual([findings, losses.length], [0, 1]);
    assert.match(losses[0], /000001\.pcap\.lz4: lost packets .* from 2023-\S+ to 2023-\S+: they are not in/);
  });

  test('a damaged block that a whole one follows is passed over, though the index does not know it', async () => {
    const dir = copy('damaged-between');
    for (const suffix of ['-wal', '-shm']) rmSync(join(dir, `index.db${suffix}`));
    const octets = readFileSync(join(dir, SEGMENT));
    octets[ends[1] + 100] ^= 1;
    writeFileSync(join(dir, SEGMENT), octets);
    const archive = openArchive(dir);
    const { repaired, lostByDamage } = archive.info;
    assert.match(repaired!, /lost packets whose number is not known, all from .*: they are damaged/);
    assert.equal(lostByDamage, 1);
    assert.equal(statSync(join(dir, SEGMENT)).size, ends.at(-1)! + 4);
    const found = await collect(archive.packets());
    assert.ok(found.length > 11_000);
    archive.close();
  });

  function verified(dir: string): { findings: number; losses: string[] } {
    const { findings, losses } = verifyArchive(dir, { onFinding: () => {}, onProgress: () => {} });
    return { findings, losses };
  }

  function infoOf(dir: string): ArchiveInfo {
    const archive = openArchive(dir);
    archive.close();
    return archive.info;
  }
});
