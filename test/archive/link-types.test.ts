/** Archives whose packets have several link types; also of run-reader.ts and segment-scan.ts. */
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { makeCodec } from '../../src/archive/codec.ts';
import { openArchive } from '../../src/archive/reader.ts';
import { OLD_LIMITS } from '../../src/flow/flow-limits.ts';
import { LINKTYPE, type PacketSource } from '../../src/wire/packets.ts';
import { readPcapHeader } from '../../src/wire/pcap.ts';
import {
  blockOf,
  createWriter,
  editIndex,
  interleave,
  makeOld,
  noise,
  type Packet,
  recordArchive,
  SERVER_PORT,
  sessionFrames,
  temporaryFolder,
} from './support.ts';

interface Typed extends Packet {
  linkType: number;
}

/** Sessions whose clients' packets are Ethernet's and whose servers' are raw IP, as by two interfaces. */
function mixedPackets(sessions: number, exchanges: number): Typed[] {
  const lists = Array.from({ length: sessions }, (_, i) =>
    sessionFrames(`10.0.0.${i + 1}`, 40_000, exchanges),
  );
  return interleave(lists).map(({ octets, at }) => {
    const fromServer = octets[34] * 256 + octets[35] === SERVER_PORT;
    return fromServer
      ? { octets: octets.subarray(14), at, linkType: LINKTYPE.raw }
      : { octets, at, linkType: LINKTYPE.ethernet };
  });
}

function write(writer: ReturnType<typeof createWriter>, packets: readonly Typed[]): void {
  for (const packet of packets) writer.write(blockOf([packet], packet.linkType));
}

async function collectTyped(source: PacketSource): Promise<Typed[]> {
  const found: Typed[] = [];
  for await (const { linkType, octets, offset, length, at, count } of source) {
    for (let i = 0; i < count; i++) {
      found.push({ octets: octets.slice(offset[i], offset[i] + length[i]), at: at[i], linkType });
    }
  }
  return found;
}

function assertSame(found: readonly Typed[], wanted: readonly Typed[]): void {
  assert.equal(found.length, wanted.length);
  for (const [i, { octets, at, linkType }] of found.entries()) {
    assert.deepEqual([at, linkType], [wanted[i].at, wanted[i].linkType], `packet ${i}`);
    assert.equal(Buffer.compare(octets, wanted[i].octets), 0, `packet ${i}`);
  }
}

const segmentsIn = (dir: string) => readdirSync(dir).filter((name) => name.endsWith('.pcap.lz4'));

describe('an archive of several link types', () => {
  const packets = mixedPackets(5, 40);

  test('has a segment for each, and gives the packets back in order', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const writer = createWriter(dir);
    write(writer, packets);
    writer.close({ packets: packets.length, dropped: 0 });
    assert.equal(segmentsIn(dir).length, 2);
    const archive = openArchive(dir);
    t.after(() => archive.close());
    assertSame(await collectTyped(archive.packets()), packets);
    assert.deepEqual(archive.linkTypes(), [LINKTYPE.ethernet, LINKTYPE.raw]);
    for (const session of archive.sessions()) {
      assert.equal(session.commands, 40);
      const own = packets.filter(({ octets, linkType }) => {
        const ip = linkType === LINKTYPE.raw ? 0 : 14;
        return (
          `10.0.0.${octets[ip + 15]}` === session.client || `10.0.0.${octets[ip + 19]}` === session.client
        );
      });
      assertSame(await collectTyped(archive.packets({ sessions: [session.id] })), own);
    }
    const codec = makeCodec('lz4')!;
    const types = segmentsIn(dir).map((name) => {
      const octets = readFileSync(join(dir, name));
      const header = new Uint8Array(24);
      codec.unpack(octets, codec.prefix.length, octets.length, header);
      const format = readPcapHeader(header);
      return typeof format === 'object' && format.linkType;
    });
    assert.deepEqual(types, [LINKTYPE.ethernet, LINKTYPE.raw]);
  });

  test('rotates each link type by itself', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const writer = createWriter(dir, { rotateOctets: 4000 });
    const large = packets.map((packet, i) => ({
      ...packet,
      octets: Buffer.concat([packet.octets, noise(100, i + 1)]),
    }));
    write(writer, large);
    writer.close({ packets: large.length, dropped: 0 });
    const archive = openArchive(dir);
    t.after(() => archive.close());
    assert.ok(archive.info.segments > 6);
    assertSame(await collectTyped(archive.packets()), large);
  });

  test('a link type that no packet has is not exported', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const writer = createWriter(dir);
    write(
      writer,
      packets.filter(({ linkType }) => linkType === LINKTYPE.raw),
    );
    writer.close({ packets: 0, dropped: 0 });
    const archive = openArchive(dir);
    t.after(() => archive.close());
    assert.deepEqual(archive.linkTypes(), [LINKTYPE.raw]);
    assert.deepEqual(archive.linkTypes([0]), [LINKTYPE.raw]);
  });

  test('killed, and torn in either segment, it is repaired in order', async (t) => {
    const folder = temporaryFolder(t);
    const alive = join(folder, 'alive');
    const writer = createWriter(alive, { rotateOctets: 20_000 });
    t.after(() => writer.close({ packets: packets.length, dropped: 0 }));
    const known = 400;
    // A clock that is set back: what the index knows it knows by number, not by time.
    const shifted = packets.map((packet, i) => (i < 200 ? { ...packet, at: packet.at + 3600e9 } : packet));
    write(writer, shifted.slice(0, known));
    writer.tick();
    for (let i = 0; i < 300; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      const archive = openArchive(alive);
      archive.close();
      if (archive.info.packets >= known) break;
    }
    write(writer, shifted.slice(known));
    const dead = join(folder, 'dead');
    cpSync(alive, dead, { recursive: true });
    const archive = openArchive(dead);
    assert.equal(archive.info.repairedNow, true);
    const found = await collectTyped(archive.packets({ asCaptured: true }));
    assertSame(found, shifted.slice(0, found.length));
    assert.ok(found.length > shifted.length - 20); // The open block is lost.
    archive.close();

    for (const [i, name] of segmentsIn(alive).entries()) {
      const torn = join(folder, `torn${i}`);
      cpSync(alive, torn, { recursive: true });
      truncateSync(join(torn, name), readFileSync(join(torn, name)).length - 40);
      const mended = openArchive(torn);
      const left = await collectTyped(mended.packets());
      assert.ok(left.length < found.length);
      // Whatever is gone, the rest is in order.
      let next = 0;
      for (const packet of left) {
        while (next < shifted.length && Buffer.compare(shifted[next].octets, packet.octets) !== 0) next++;
        assert.ok(next < shifted.length, 'out of order');
        next++;
      }
      mended.close();
    }
  });
});

describe('an archive of format 1', () => {
  /** As the mytape of that format left it. */
  function recordOld(dir: string, complete: boolean): void {
    recordArchive(dir, interleave([sessionFrames('10.0.0.1', 40_000, 5)]));
    makeOld(dir, 1);
    if (!complete) editIndex(dir, 'archive', 'true', { complete: 0 });
  }

  test('is read as it is', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    recordOld(dir, true);
    const before = readFileSync(join(dir, 'index.db'));
    const archive = openArchive(dir);
    assert.equal(archive.info.partial, null);
    // Its sessions' numbers are those of a table where nothing ends for being silent.
    assert.deepEqual(archive.info.limits, OLD_LIMITS);
    assert.equal(archive.session(0)?.ended, 'open');
    assert.deepEqual(archive.gaps(), []);
    const found = await collectTyped(archive.packets());
    assert.ok(found.length > 10 && found.every(({ linkType }) => linkType === LINKTYPE.ethernet));
    archive.close();
    assert.deepEqual(readFileSync(join(dir, 'index.db')), before);
  });

  test('is repaired, and is then of this format', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    recordOld(dir, false);
    const archive = openArchive(dir);
    assert.equal(archive.info.repairedNow, true);
    assert.deepEqual(archive.info.limits, OLD_LIMITS);
    assert.equal((await collectTyped(archive.packets())).length, archive.info.packets);
    archive.close();
  });

  test('of a newer one is refused', (t) => {
    const dir = join(temporaryFolder(t), 'a');
    recordOld(dir, true);
    const db = new Database(join(dir, 'index.db'));
    db.pragma('user_version = 99');
    db.close();
    assert.throws(() => openArchive(dir), /has format 99, this mytape reads formats 1 to \d+/);
  });
});

test('an archive says that it is partial until it is closed without', (t) => {
  const folder = temporaryFolder(t);
  const packets = interleave([sessionFrames('10.0.0.1', 40_000, 5)]);
  const options = { partial: 'the import of x did not finish' };
  for (const [i, said] of [null, 'the disk was full'].entries()) {
    const dir = join(folder, `${i}`);
    const writer = createWriter(dir, options);
    writer.write(blockOf(packets));
    const dead = join(folder, `dead${i}`);
    cpSync(dir, dead, { recursive: true });
    writer.close({ packets: 0, dropped: 0 }, said);
    for (const [path, partial] of [
      [dir, said],
      [dead, options.partial],
    ] as const) {
      const archive = openArchive(path);
      assert.equal(archive.info.partial, partial);
      archive.close();
    }
  }
});
