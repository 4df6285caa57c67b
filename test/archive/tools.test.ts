import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { exportCommand } from '../../src/verbs/export.ts';
import { interleave, recordArchive, sessionFrames, temporaryFolder } from './support.ts';

/** Why a test that needs the tool can't run here, or false. */
function without(...tools: string[]): string | false {
  const missing = tools.filter((tool) => spawnSync(tool, ['--version']).error !== undefined);
  return missing.length > 0 && `needs ${missing.join(' and ')}`;
}

function sample() {
  const frames = Array.from({ length: 10 }, (_, i) => sessionFrames(`10.0.0.${i + 1}`, 40_000, 200));
  return interleave(frames);
}

interface ParsedPacket {
  header: { timestampSeconds: number; timestampMicroseconds: number; originalLength: number };
  data: Buffer;
}

/** The packets of a pcap file as npm pcap-parser, which is not ours, reads them. */
function parseIndependently(path: string): Promise<ParsedPacket[]> {
  const { parse } = createRequire(import.meta.url)('pcap-parser');
  return new Promise((resolve, reject) => {
    const packets: ParsedPacket[] = [];
    parse(path)
      .on('packet', (packet: ParsedPacket) => packets.push(packet))
      .on('end', () => resolve(packets))
      .on('error', reject);
  });
}

async function runExport(...args: string[]): Promise<void> {
  await exportCommand().parseAsync(args, { from: 'user' });
}

describe('stock tools', () => {
  test('lz4 and tcpdump read every segment whole', { skip: without('lz4', 'tcpdump') }, (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const packets = sample();
    const { segments } = recordArchive(dir, packets, { rotateOctets: 20_000 });
    assert.ok(segments > 1);
    let lines = 0;
    for (let i = 0; i < segments; i++) {
      const path = join(dir, `${String(i).padStart(6, '0')}.pcap.lz4`);
      const pcap = execFileSync('lz4', ['-dc', path], { maxBuffer: 1 << 28 });
      const text = execFileSync('tcpdump', ['-nttr', '-'], { input: pcap, encoding: 'utf8', stdio: 'pipe' });
      lines += text.split('\n').length - 1;
    }
    assert.equal(lines, packets.length);
  });

  test('tshark opens a segment as it is', { skip: without('tshark') }, (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const packets = sample();
    recordArchive(dir, packets);
    const args = ['-r', join(dir, '000000.pcap.lz4'), '-T', 'fields', '-e', 'frame.number'];
    const text = execFileSync('tshark', args, { encoding: 'utf8', stdio: 'pipe' });
    assert.equal(text.trim().split('\n').length, packets.length);
  });

  test('pcap-parser reads what we export in microseconds', async (t) => {
    const folder = temporaryFolder(t);
    const packets = sample();
    recordArchive(join(folder, 'a'), packets);
    const out = join(folder, 'out.pcap');
    await runExport(join(folder, 'a'), '-o', out, '--precision', 'us');
    const found = await parseIndependently(out);
    assert.deepEqual(
      found.map((packet) => new Uint8Array(packet.data)),
      packets.map((packet) => packet.octets),
    );
    assert.equal(found[1].header.timestampMicroseconds, 1000);
    await runExport(join(folder, 'a'), '-o', out, '--precision', 'us', '--session', '3', '--session', '4');
    assert.equal((await parseIndependently(out)).length, packets.length / 5);
  });

  test('an export is the segments without their packing', { skip: without('lz4') }, async (t) => {
    const folder = temporaryFolder(t);
    recordArchive(join(folder, 'a'), sample());
    await runExport(join(folder, 'a'), '-o', join(folder, 'out.pcap'));
    const segment = execFileSync('lz4', ['-dc', join(folder, 'a', '000000.pcap.lz4')], {
      maxBuffer: 1 << 28,
    });
    assert.ok(readFileSync(join(folder, 'out.pcap')).equals(segment));
  });

  test('exporting a session that is not there says where to look', async (t) => {
    const folder = temporaryFolder(t);
    recordArchive(join(folder, 'a'), sample());
    const run = runExport(join(folder, 'a'), '-o', join(folder, 'out.pcap'), '--session', '10');
    await assert.rejects(run, { code: 'usage', message: /has no session 10 \(see: mytape ls/ });
  });
});
