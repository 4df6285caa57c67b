import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { readKeys } from '../../src/archive/keys.ts';
import { openArchive } from '../../src/archive/reader.ts';
import { decodeSessions } from '../../src/flow/decode.ts';
import { PcapParser } from '../../src/wire/pcap.ts';
import { collect, temporaryFolder } from '../archive/support.ts';
import { ROOT } from '../support/root.ts';
import { noSmallDisk, onSmallDisk } from '../support/small-disk.ts';

const CHILD = fileURLToPath(new URL('./import-child.js', import.meta.url));
const PCAP = join(ROOT, 'fixtures/mysql2.pcap');
/** The port of the server that it was made with (fixtures/make-captures.sh). */
const PORT = '33917';
const KEY_LINE = `CLIENT_RANDOM ${'0a'.repeat(32)} ${'0b'.repeat(48)}\n`;

const skip = spawnSync('editcap', ['--version']).error === undefined ? false : 'needs editcap';

function run(args: string[], input?: Uint8Array) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CHILD, ...args], {
    input: input ?? '',
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, stdout, stderr };
}

/** Packets of the fixture, as a parser that knows no archive reads them. */
function packetsOfFixture(): number {
  const parser = new PcapParser();
  parser.push(readFileSync(PCAP));
  let packets = 0;
  while (parser.pull()) packets += parser.block.count;
  return packets;
}

/** How many packets an archive has that is being made; 0 where it is not there yet. */
function durablePackets(dir: string): number {
  try {
    const archive = openArchive(dir);
    archive.close();
    return archive.info.packets;
  } catch {
    return 0;
  }
}

/** An import of stdin that has all of the fixture, and whose input stays open: only a signal ends it. */
async function importUnderWay(t: TestContext) {
  const dir = join(temporaryFolder(t), 'a');
  const child = spawn(process.execPath, [CHILD, 'import', '-', '-o', dir, '-p', PORT], { stdio: 'pipe' });
  t.after(() => child.kill('SIGKILL'));
  const ended = once(child, 'close');
  child.stdin.on('error', () => {});
  child.stdin.write(readFileSync(PCAP));
  while (durablePackets(dir) < packetsOfFixture()) await new Promise((resolve) => setTimeout(resolve, 20));
  return { dir, child, ended };
}

/** What an archive holds: its packets, and what the decoder tells of them. */
async function contents(dir: string): Promise<{ packets: unknown[]; events: string[]; sessions: number }> {
  const archive = openArchive(dir);
  try {
    assert.equal(archive.info.complete, true);
    const events: string[] = [];
    const serverPorts = new Set(archive.info.serverPorts);
    for await (const batch of decodeSessions(archive.packets(), { serverPorts })) {
      for (const event of batch) events.push(`${event.session.id} ${event.type} ${event.at}`);
    }
    return { packets: await collect(archive.packets()), events, sessions: [...archive.sessions()].length };
  } finally {
    archive.close();
  }
}

describe('import', () => {
  test('a pcap file becomes an archive', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const { status, stdout, stderr } = run(['import', PCAP, '-o', dir, '-p', PORT, '--json']);
    assert.equal(status, 0, stderr);
    const { packets, events, sessions } = await contents(dir);
    const summary = JSON.parse(stdout);
    assert.equal(packets.length, packetsOfFixture());
    assert.equal(summary.packets, packets.length);
    assert.equal(summary.leftOut, 0);
    assert.equal(summary.secrets, 0);
    assert.equal(summary.sessions, sessions);
    assert.ok(sessions > 0);
    assert.ok(events.some((event) => event.includes('command')));
    assert.equal(existsSync(join(dir, 'keys.log')), false);
    assert.match(run(['ls', dir]).stdout, /app/);
  });

  test('a pcapng file makes the same archive, and its secrets come with it', { skip }, async (t) => {
    const folder = temporaryFolder(t);
    const keys = join(folder, 'keys');
    writeFileSync(keys, KEY_LINE);
    const pcapng = join(folder, 'in.pcapng');
    execFileSync('editcap', ['--inject-secrets', `tls,${keys}`, PCAP, pcapng]);
    const pcap = join(folder, 'a');
    assert.equal(run(['import', PCAP, '-o', pcap, '-p', PORT]).status, 0);
    for (const [name, args, input] of [
      ['b', [pcapng], undefined],
      ['c', ['-'], readFileSync(pcapng)],
    ] as const) {
      const dir = join(folder, name);
      const { status, stdout, stderr } = run(['import', ...args, '-o', dir, '-p', PORT], input);
      assert.equal(status, 0, stderr);
      assert.match(stdout, /secrets of 1 TLS session\b/);
      assert.deepEqual(await contents(dir), await contents(pcap));
      assert.ok(readKeys(dir)?.of('0a'.repeat(32)));
      assert.equal(statSync(join(dir, 'keys.log')).mode & 0o777, 0o600);
    }
  });

  test('--keylog: the secrets go into the archive; a file without any is refused', (t) => {
    const folder = temporaryFolder(t);
    const keys = join(folder, 'keys');
    writeFileSync(keys, `# NSS key log\n${KEY_LINE}`);
    const dir = join(folder, 'a');
    assert.equal(run(['import', PCAP, '-o', dir, '-p', PORT, '--keylog', keys]).status, 0);
    assert.equal(readKeys(dir)?.size, 1);
    const none = run(['import', PCAP, '-o', join(folder, 'b'), '--keylog', PCAP]);
    assert.equal(none.status, 1);
    assert.match(none.stderr, /^bad-file: .*mysql2\.pcap has no secret/);
    assert.equal(existsSync(join(folder, 'b')), false);
  });

  test('what is of other ports is left out, and the right port named', (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const { status, stdout, stderr } = run(['import', PCAP, '-o', dir]);
    assert.equal(status, 1);
    assert.equal(existsSync(dir), false, 'an empty archive is left');
    assert.match(stdout, new RegExp(`0 packets.* ${packetsOfFixture()} packets left out`));
    assert.match(
      stderr,
      new RegExp(`no packet is of port 3306. .*mysql2.pcap has ${packetsOfFixture()} of other ports`),
    );
    assert.match(stderr, /servers in it listen on 33917; try: -p 33917/);
  });

  test('a file that ends inside a packet gives what is before it', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const pcap = readFileSync(PCAP);
    const { status, stderr } = run(['import', '-', '-o', dir, '-p', PORT], pcap.subarray(0, pcap.length - 1));
    assert.equal(status, 0);
    assert.match(stderr, /ends inside a packet/);
    assert.equal((await contents(dir)).packets.length, packetsOfFixture() - 1);
  });

  test('a damaged file: what is before it is kept, marked as partial, and a retry told how', async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const damaged = Buffer.concat([readFileSync(PCAP), Buffer.alloc(16, 0xff)]);
    const { status, stdout, stderr } = run(['import', '-', '-o', dir, '-p', PORT, '--json'], damaged);
    assert.equal(status, 1);
    const partial = `stdin is damaged after its packet ${packetsOfFixture()}`;
    assert.ok(stderr.includes(`${dir} is partial: ${partial}`));
    assert.ok(stderr.includes(`rm -r ${dir}`));
    assert.equal(JSON.parse(stdout).partial, partial);
    assert.equal((await contents(dir)).packets.length, packetsOfFixture());
    assert.ok(run(['ls', dir]).stderr.includes(`${dir} is partial: ${partial}`));
    const again = run(['import', PCAP, '-o', dir, '-p', PORT]);
    assert.equal(again.status, 1);
    assert.ok(again.stderr.includes(`${dir} has a partial archive from an earlier try: ${partial}`));
    assert.ok(again.stderr.includes(`rm -r ${dir}`));
    rmSync(dir, { recursive: true });
    assert.equal(run(['import', PCAP, '-o', dir, '-p', PORT]).status, 0);
    assert.equal(run(['ls', dir]).stderr, '');
  });

  test('octets that were lost in the middle of a file are damage, and no packets dated 1970', async (t) => {
    const pcap = readFileSync(PCAP);
    const view = new DataView(pcap.buffer, pcap.byteOffset);
    let at = 24;
    for (let i = 0; i < 5; i++) at += 16 + view.getUint32(at + 8, true);
    const zeros = Buffer.concat([pcap.subarray(0, at), Buffer.alloc(300), pcap.subarray(at + 300)]);
    const tooLong = Buffer.from(pcap);
    tooLong.writeUInt32LE(60_000, at + 8);
    for (const damaged of [zeros, tooLong]) {
      const dir = join(temporaryFolder(t), 'a');
      const { status, stderr } = run(['import', '-', '-o', dir, '-p', PORT], damaged);
      assert.equal(status, 1);
      assert.ok(stderr.includes(`${dir} is partial: stdin is damaged after its packet 5`));
      assert.doesNotMatch(stderr, /a jump of|ends inside/);
      assert.equal((await contents(dir)).packets.length, 5);
    }
  });

  test('what is no capture is refused with the next move, before an archive is begun', (t) => {
    const folder = temporaryFolder(t);
    const packed = join(folder, 'in.pcap.gz');
    writeFileSync(packed, gzipSync(readFileSync(PCAP)));
    for (const [args, input, message] of [
      [[packed], undefined, /it is packed \(try: gzip -dc .* \| mytape import - /],
      [['-'], Buffer.alloc(0), /stdin is neither pcap nor pcapng/],
      [['-'], Buffer.alloc(5000, 0x41), /stdin is neither pcap nor pcapng/],
      [[join(folder, 'nothing')], undefined, /cannot read .*nothing: ENOENT/],
      [[folder], undefined, /cannot read .*: EISDIR/],
    ] as const) {
      const { status, stderr } = run(['import', ...args, '-o', join(folder, 'a')], input);
      assert.equal(status, 1);
      assert.match(stderr, /^bad-file: /);
      assert.match(stderr, message);
      assert.equal(existsSync(join(folder, 'a')), false);
    }
  });

  test('nothing is written over', (t) => {
    const dir = temporaryFolder(t);
    copyFileSync(PCAP, join(dir, 'other'));
    const { status, stderr } = run(['import', PCAP, '-o', dir, '-p', PORT]);
    assert.equal(status, 1);
    assert.match(stderr, /^archive-exists: /);
  });

  test('interrupted, it leaves a whole archive of what it read', { timeout: 20_000 }, async (t) => {
    const { dir, child, ended } = await importUnderWay(t);
    child.kill('SIGINT');
    const [code] = await ended;
    assert.equal(code, 130);
    assert.equal((await contents(dir)).packets.length, packetsOfFixture());
    assert.match(run(['ls', dir]).stderr, /is partial: the import of stdin was interrupted after/);
  });

  test('killed, it says so for ever after', { timeout: 20_000 }, async (t) => {
    const { dir, child, ended } = await importUnderWay(t);
    const during = run(['import', PCAP, '-o', dir, '-p', PORT]);
    assert.match(during.stderr, /another mytape is writing/);
    assert.doesNotMatch(run(['ls', dir]).stderr, /partial/);
    child.kill('SIGKILL');
    await ended;
    for (let i = 0; i < 2; i++) {
      assert.match(run(['ls', dir]).stderr, /is partial: the import of stdin did not finish/);
    }
  });

  test('a full disk: what was written is kept, marked as partial', { skip: noSmallDisk }, async (t) => {
    await onSmallDisk(temporaryFolder(t), '1m', (mount) => {
      const dir = join(mount, 'a');
      const ballast = join(mount, 'ballast');
      writeFileSync(ballast, new Uint8Array(400_000));
      const many = Buffer.concat(Array.from({ length: 1500 }, () => readFileSync(PCAP)));
      const { status, stderr } = run(['import', '-', '-o', dir, '-p', PORT], many);
      assert.equal(status, 1);
      assert.match(
        stderr,
        /a is partial: the import of stdin (did not finish|stopped: cannot write to .*ENOSPC)/,
      );
      rmSync(ballast);
      assert.match(
        run(['ls', dir]).stderr,
        /is partial: the import of stdin (did not finish|stopped: cannot write)/,
      );
    });
  });
});
