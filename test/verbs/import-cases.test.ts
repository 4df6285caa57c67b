/** Captures in tunnels, in fragments, of several link types: imported, and decoded. Also of import-census.ts and import-filter.ts. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openArchive } from '../../src/archive/reader.ts';
import { decodeSessions } from '../../src/flow/decode.ts';
import { LINKTYPE } from '../../src/wire/link-types.ts';
import { PcapParser, writePcapHeader, writePcapRecord } from '../../src/wire/pcap.ts';
import { temporaryFolder } from '../archive/support.ts';
import { ROOT } from '../support/root.ts';
import {
  ethernet,
  fragmentsOf,
  fragmentsOfIpv6,
  ipv4,
  ipv6,
  join as joinOctets,
  u32,
  udp,
  vxlan,
} from '../wire/frames.ts';

const CHILD = fileURLToPath(new URL('./import-child.js', import.meta.url));
const CASES = join(ROOT, 'fixtures/cases');
const GOLDEN = join(ROOT, 'fixtures/mysql2.pcap');
const GOLDEN_PORT = 33_917;

interface Frame {
  octets: Uint8Array;
  /** ns since 2023. */
  at: number;
  linkType?: number;
  wireLength?: number;
}

function run(args: string[], input: Uint8Array | string = '') {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CHILD, ...args], {
    input,
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, stdout, stderr };
}

function importOctets(octets: Uint8Array, dir: string, port: number) {
  const { status, stdout, stderr } = run(['import', '-', '-o', dir, '-p', `${port}`, '--json'], octets);
  return { status, stderr, summary: JSON.parse(stdout) };
}

/** What the decoder tells of an archive: who, commands as text, kinds of replies. */
async function eventsOf(dir: string, port: number): Promise<string[]> {
  const archive = openArchive(dir);
  const events: string[] = [];
  for await (const batch of decodeSessions(archive.packets(), { serverPorts: new Set([port]) })) {
    for (const event of batch) {
      const { client, clientPort } = event.session;
      const who = `${event.session.id} ${client.text}:${clientPort} ${event.type}`;
      if (event.type === 'command')
        events.push(`${who} ${Buffer.from(event.command.packet).toString('latin1')}`);
      else if (event.type === 'reply')
        events.push(`${who} ${event.command.reply?.kind} ${event.command.reply?.rows}`);
      else events.push(who);
    }
  }
  archive.close();
  return events;
}

function pcapOf(frames: readonly Frame[], linkType: number = LINKTYPE.ethernet): Uint8Array {
  const records = frames.map(({ octets, at, wireLength = octets.length }) => {
    const record = new Uint8Array(16 + octets.length);
    const sec = Math.floor(at / 1e9);
    writePcapRecord(
      new DataView(record.buffer),
      0,
      1_700_000_000 + sec,
      at - sec * 1e9,
      octets.length,
      wireLength,
    );
    record.set(octets, 16);
    return record;
  });
  const header = new Uint8Array(24);
  writePcapHeader(new DataView(header.buffer), 0, linkType);
  return Buffer.concat([header, ...records]);
}

function pcapngOf(frames: readonly Frame[], linkTypes: readonly number[]): Uint8Array {
  const word = (value: number) => u32(value).reverse();
  const block = (type: number, body: Uint8Array) => {
    const padded = joinOctets(body, Array<number>(-body.length & 3).fill(0));
    return joinOctets(word(type), word(12 + padded.length), padded, word(12 + padded.length));
  };
  return Buffer.concat([
    block(0x0a0d0d0a, joinOctets(word(0x1a2b3c4d), word(1), word(0xffffffff), word(0xffffffff))),
    ...linkTypes.map((linkType) => block(1, joinOctets(word(linkType), word(0)))),
    ...frames.map(({ octets, at, linkType = linkTypes[0] }) => {
      const us = Math.floor(at / 1000);
      const times = [...word(Math.floor(us / 2 ** 32)), ...word(us % 2 ** 32)];
      const length = word(octets.length);
      return block(6, joinOctets(word(linkTypes.indexOf(linkType)), times, length, length, octets));
    }),
  ]);
}

/** The golden capture's frames. */
function goldenFrames(): Frame[] {
  const parser = new PcapParser();
  parser.push(readFileSync(GOLDEN));
  const frames: Frame[] = [];
  while (parser.pull()) {
    const { octets, offset, length, at, count } = parser.block;
    for (let i = 0; i < count; i++) {
      frames.push({ octets: new Uint8Array(octets.subarray(offset[i], offset[i] + length[i])), at: at[i] });
    }
  }
  return frames;
}

describe('one conversation in every encapsulation', () => {
  const wanted = [
    'open',
    'command select 1',
    'reply rows 1',
    'command select 2',
    'reply rows 1',
    'command quit',
    'close',
  ];
  for (const name of readdirSync(CASES).filter((file) => file.startsWith('enc-'))) {
    test(name, async (t) => {
      const dir = join(temporaryFolder(t), 'a');
      const { status, summary, stderr } = importOctets(readFileSync(join(CASES, name)), dir, 3307);
      assert.equal(status, 0, stderr);
      assert.deepEqual([summary.packets, summary.leftOut, summary.sessions, summary.commands], [14, 0, 1, 3]);
      const events = (await eventsOf(dir, 3307)).map((event) => {
        const what = event.replace(/^0 \S+ /, '');
        if (!what.startsWith('command')) return what;
        const text = /select \d/.exec(what);
        return `command ${text === null ? 'quit' : text[0]}`;
      });
      assert.deepEqual(events, wanted);
      const [line] = run(['ls', dir, '--json']).stdout.split('\n');
      assert.equal(JSON.parse(line).coverage, 'whole');
    });
  }
});

describe('a real capture', () => {
  const frames = goldenFrames();
  const expected = async (folder: string) => {
    const dir = join(folder, 'plain');
    assert.equal(run(['import', GOLDEN, '-o', dir, '-p', `${GOLDEN_PORT}`]).status, 0);
    return eventsOf(dir, GOLDEN_PORT);
  };

  test('in VXLAN whose packets came in fragments, out of order', async (t) => {
    const folder = temporaryFolder(t);
    const wrapped = frames.flatMap(({ octets, at }, i) => {
      const inner = udp(vxlan(octets), 4789);
      const id = (i * 7) & 0xffff;
      const pieces =
        i % 2 === 0
          ? fragmentsOf(ipv4(17, inner, { id }), 104, id)
          : fragmentsOfIpv6(ipv6(17, inner), 104, id);
      return pieces.reverse().map((piece) => ({ octets: ethernet(piece), at }));
    });
    const dir = join(folder, 'a');
    const { status, summary } = importOctets(pcapOf(wrapped), dir, GOLDEN_PORT);
    assert.equal(status, 0);
    assert.equal(summary.packets, frames.length);
    assert.deepEqual(summary.unwrapped, { VXLAN: frames.length });
    const whole = frames.filter(({ octets }) => octets.length + 16 <= 104).length;
    assert.equal(summary.joined.packets, frames.length - whole);
    assert.equal(summary.joined.fragments, wrapped.length - whole);
    assert.deepEqual(await eventsOf(dir, GOLDEN_PORT), await expected(folder));
  });

  test('by two interfaces of different link types, and a third that cannot be read', async (t) => {
    const folder = temporaryFolder(t);
    const dir = join(folder, 'a');
    const mixed = frames.flatMap(({ octets, at }, i): Frame[] => [
      i % 3 === 0 ? { octets, at } : { octets: octets.subarray(14), at, linkType: LINKTYPE.raw },
      { octets, at, linkType: 220 },
    ]);
    const types = [LINKTYPE.ethernet, LINKTYPE.raw, 220];
    const { status, summary, stderr } = importOctets(pcapngOf(mixed, types), dir, GOLDEN_PORT);
    assert.equal(status, 0);
    assert.equal(summary.packets, frames.length);
    assert.equal(summary.segments, 2);
    assert.ok(
      stderr.includes(`${frames.length} of interface 2, link type 220 (USB) that mytape does not read`),
      stderr,
    );
    assert.deepEqual(await eventsOf(dir, GOLDEN_PORT), await expected(folder));
  });

  test('of one file behind another', async (t) => {
    const folder = temporaryFolder(t);
    const dir = join(folder, 'a');
    const half = frames.length >> 1;
    const raw = frames.slice(half).map(({ octets, at }) => ({ octets: octets.subarray(14), at }));
    const octets = Buffer.concat([pcapOf(frames.slice(0, half)), pcapOf(raw, LINKTYPE.raw)]);
    assert.equal(importOctets(octets, dir, GOLDEN_PORT).summary.packets, frames.length);
    assert.deepEqual(await eventsOf(dir, GOLDEN_PORT), await expected(folder));
  });

  test('cut by a snaplen: said, with how many', (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const cut = frames.map(({ octets, at }) => ({
      octets: octets.subarray(0, 80),
      at,
      wireLength: octets.length,
    }));
    const { status, summary, stderr } = importOctets(pcapOf(cut), dir, GOLDEN_PORT);
    assert.equal(status, 0);
    const many = frames.filter(({ octets }) => octets.length > 80).length;
    assert.deepEqual(summary.cut, { packets: many, octets: 80 });
    assert.ok(stderr.includes(`${many} of ${frames.length} packets are cut to 80 octets (snaplen)`), stderr);
  });
});

describe('what is left out', () => {
  const frames = goldenFrames();
  const tcp = frames[0].octets.subarray(14);
  const stray = (id: number) => fragmentsOf(ipv4(17, new Uint8Array(600), { id }), 400, id)[0];
  const others: Uint8Array[] = [
    ethernet(new Uint8Array(28), 0x0806),
    ethernet(ipv4(17, udp(tcp, 53))),
    ethernet(ipv4(17, udp(tcp, 53))),
    ethernet(ipv4(1, tcp)),
    ethernet(ipv4(50, tcp)),
    ethernet(ipv4(17, udp(tcp, 2152))),
    ethernet(stray(1)),
    ethernet(stray(2)),
    ethernet(stray(2)),
    ethernet(tcp).subarray(0, 40),
  ];
  const noise = others.map((octets, i) => ({ octets, at: i }));

  test('is counted by cause, in words and in JSON', (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const { status, summary, stderr } = importOctets(pcapOf([...noise, ...frames]), dir, GOLDEN_PORT);
    assert.equal(status, 0);
    assert.equal(summary.packets, frames.length);
    assert.equal(summary.leftOut, noise.length);
    const words =
      '10 packets left out: 3 not TCP (2 UDP, 1 ICMP), 1 not IP (1 ARP), ' +
      '2 in encapsulations that mytape does not read (1 ESP (IPsec), 1 GTP-U), 1 cut within their headers, ' +
      '2 fragments that never became whole, 1 fragment captured twice';
    for (const part of words.split(/, (?=\d)/)) assert.ok(stderr.includes(part), `${part}\n${stderr}`);
    assert.deepEqual(
      summary.leftOutBy.find(({ name }: { name?: string }) => name === 'GTP-U'),
      { cause: 'not-readable', name: 'GTP-U', packets: 1 },
    );
  });

  test('where nothing is kept, what there is in its place is said', (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const esp = pcapOf(frames.map(({ at }) => ({ octets: ethernet(ipv4(50, tcp)), at })));
    const sealed = importOctets(esp, dir, GOLDEN_PORT);
    assert.equal(sealed.status, 1);
    assert.match(
      sealed.stderr,
      new RegExp(
        `no packet is of port 33917. stdin has ${frames.length} in encapsulations that mytape does not read .*ESP`,
      ),
    );
    assert.equal(existsSync(dir), false);
    const usb = importOctets(pcapOf(frames, 220), dir, GOLDEN_PORT);
    assert.match(
      usb.stderr,
      new RegExp(`stdin has ${frames.length} of link type 220 \\(USB\\) that mytape does not read`),
    );
    const inVxlan = frames.map(({ octets, at }) => ({
      octets: ethernet(ipv4(17, udp(vxlan(octets), 4789))),
      at,
    }));
    const tunnelled = importOctets(pcapOf(inVxlan), dir, 3306);
    assert.match(tunnelled.stderr, new RegExp(`of other ports in tunnels: ${frames.length} VXLAN`));
    assert.match(tunnelled.stderr, /servers in it listen on 33917; try: -p 33917/);
    const late = frames.filter(({ octets }) => (octets[47] & 2) === 0);
    assert.match(importOctets(pcapOf(late), dir, 3306).stderr, /the busiest ports in it are 33917/);
    assert.match(importOctets(pcapOf([]), dir, 3306).stderr, /stdin has no packets/);
  });
});

test('export: one file for one link type, and which there are', (t) => {
  const folder = temporaryFolder(t);
  const dir = join(folder, 'a');
  const frames = goldenFrames().map(({ octets, at }, i) =>
    i % 2 === 0 ? { octets, at } : { octets: octets.subarray(14), at, linkType: LINKTYPE.raw },
  );
  importOctets(pcapngOf(frames, [LINKTYPE.ethernet, LINKTYPE.raw]), dir, GOLDEN_PORT);
  const out = join(folder, 'out.pcap');
  const refused = run(['export', dir, '-o', out]);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /link type 1 \(Ethernet\), link type 101 \(raw IP\) \(try: --link-type 1 for/);
  assert.equal(existsSync(out), false);
  let packets = 0;
  for (const type of ['1', '101']) {
    assert.equal(run(['export', dir, '-o', out, '--link-type', type]).status, 0);
    const parser = new PcapParser();
    parser.push(readFileSync(out));
    while (parser.pull()) packets += parser.block.count;
    assert.equal(parser.format!.linkType, Number(type));
  }
  assert.equal(packets, frames.length);
  assert.equal(run(['export', dir, '-o', out, '--link-type', '9']).status, 2);
});
