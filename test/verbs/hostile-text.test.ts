/** A capture, a target and a file whose names and messages are made to be obeyed by a terminal, shown by every verb. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CTL } from '../../src/wire/segment.ts';
import { handshakeResponse, mysqlPacket, recordArchive, SERVER_PORT, tcpFrame } from '../archive/support.ts';
import { until } from '../support/until.ts';
import { CLI } from './mytape.ts';

const SKIP = process.getuid?.() === 0 && process.platform === 'linux' ? false : 'needs root on Linux';

/** Sets the title, empties the screen, overwrites the line, begins another, does so by C1, turns text around. */
const EVIL = '\x1b]0;owned\x07\x1b[2J\rgone\nmytape: all is well\x9b31m\x85\u202e';
/** The same as MySQL's NUL-terminated texts are read: in UTF-8. */
const EVIL_OCTETS = Buffer.from(EVIL);

/** Whatever a terminal may obey, but for the line ends that are ours. */
const OBEYED = /(?!\n)[\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029]/u;

/** A HandshakeV10. */
function greetingOf(version: string, plugin: string): Uint8Array {
  return Buffer.concat([
    Buffer.from(`\x0a${version}\0`),
    Buffer.from([1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0]),
    Buffer.from([0xff, 0xf7, 8, 2, 0, 0xff, 0xff, 21]),
    Buffer.alloc(10),
    Buffer.from(`abcdefghijkl\0${plugin}\0`),
  ]);
}

function evilGreeting(plugin: string): Uint8Array {
  return mysqlPacket(0, greetingOf(`8.0.36-${EVIL}`, plugin));
}

function evilError(sequenceId: number, errno: number): Uint8Array {
  const head = Buffer.from([0xff, errno & 0xff, errno >> 8]);
  return mysqlPacket(sequenceId, Buffer.concat([head, Buffer.from('#28000'), EVIL_OCTETS]));
}

const COM_QUERY = 3;
const OK = Buffer.from('\x00\x00\x00\x02\x00\x00\x00');

/** Two sessions: one whose login is refused, one that runs a statement which fails and one which does not. */
function evilSessions(): { octets: Uint8Array; at: number }[] {
  const packets: { octets: Uint8Array; at: number }[] = [];
  for (const [clientPort, isRefused] of [
    [40_000, true],
    [40_001, false],
  ] as const) {
    let client = 1000;
    let server = 5000;
    const says = (fromClient: boolean, payload: Uint8Array, flags: number = CTL.ack) => {
      const [seq, ack] = fromClient ? [client, server] : [server, client];
      const octets = tcpFrame({ client: '10.0.0.1', clientPort, fromClient, seq, ack, payload, flags });
      packets.push({ octets, at: packets.length * 1000 });
      const length = payload.length + (flags & (CTL.syn | CTL.fin) ? 1 : 0);
      if (fromClient) client += length;
      else server += length;
    };
    const query = (text: string) =>
      says(true, mysqlPacket(0, Buffer.concat([Buffer.from([COM_QUERY]), Buffer.from(text)])));
    says(true, new Uint8Array(0), CTL.syn);
    says(false, new Uint8Array(0), CTL.syn | CTL.ack);
    says(false, evilGreeting('mysql_native_password'));
    says(true, handshakeResponse(`app${EVIL}`, `shop${EVIL}`));
    if (isRefused) {
      says(false, evilError(2, 1045));
    } else {
      says(false, mysqlPacket(2, OK));
      query(`insert into t values ('${EVIL}')`);
      says(false, evilError(1, 1064));
      query(`update \`t${EVIL}\` set a = 1 /* ${EVIL} */`);
      says(false, mysqlPacket(1, OK));
      query(`use \`shop${EVIL}\``);
      says(false, mysqlPacket(1, OK));
    }
    says(true, new Uint8Array(0), CTL.fin | CTL.ack);
    says(false, new Uint8Array(0), CTL.fin | CTL.ack);
  }
  return packets;
}

interface Printed {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs mytape to its end, with a server of this process to speak with. */
function run(...args: string[]): Promise<Printed> {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  return new Promise((resolve) =>
    child.once('close', (status) => {
      const [stdout, stderr] = [out, err].map((chunks) => Buffer.concat(chunks).toString('utf8'));
      resolve({ status, stdout, stderr });
    }),
  );
}

/** A target that greets so, and answers all that comes with such an error. */
function evilTarget(plugin: string, errno: number): Promise<Server> {
  const server = createServer((socket: Socket) => {
    socket.on('error', () => {});
    socket.write(evilGreeting(plugin));
    socket.on('data', (octets) => socket.write(evilError(octets[3] + 1, errno)));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}

/** A stray line of the attacker's would begin so. */
function assertTame({ stdout, stderr }: Printed, what: string): string {
  for (const text of [stdout, stderr]) {
    const at = text.search(OBEYED);
    assert.equal(at, -1, `${what}: ${JSON.stringify(text.slice(Math.max(0, at - 60), at + 20))}`);
    assert.doesNotMatch(text, /^mytape: all is well/m, `${what}: a line that is not ours`);
  }
  assert.doesNotMatch(stderr, /fault of mytape's own|^ +at /m, what);
  return stdout + stderr;
}

describe('what comes off the wire, on a terminal', () => {
  let folder: string;
  let tape: string;
  let pcap: string;
  let users: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    tape = join(folder, 'tape');
    pcap = join(folder, 'evil.pcap');
    users = join(folder, 'users');
    recordArchive(tape, evilSessions());
    writeFileSync(users, '*: secret\n', { mode: 0o600 });
    assertTame(await run('export', tape, '-o', pcap), 'export');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** What `args` print holds no control octet; where it is to hold a name, that name stands there escaped. */
  async function tame(args: string[], expected?: RegExp): Promise<void> {
    const text = assertTame(await run(...args), args.join(' '));
    if (expected !== undefined) assert.match(text, expected, args.join(' '));
  }

  const NAMED = /\\x1b\]0;owned\\x07\\x1b\[2J\\rgone\\nmytape: all is well\\x9b31m\\x85\\u202e/;
  const IN_JSON = /\\u001b\]0;owned\\u0007\\u001b\[2J\\rgone\\nmytape: all is well\\u009b31m\\u0085\\u202e/;

  test('ls, show, import, verify and routes', async () => {
    await tame(['ls', tape], NAMED);
    await tame(['ls', tape, '--json'], IN_JSON);
    await tame(['show', tape, '0', '1', '--raw'], NAMED);
    await tame(['show', tape, '0', '1'], /\\x1b\]0;owned/);
    await tame(['show', tape, '--json'], IN_JSON);
    await tame(['import', pcap, '-p', String(SERVER_PORT), '-o', join(folder, 'imported')]);
    await tame(['import', pcap, '-p', String(SERVER_PORT), '-o', join(folder, 'again'), '--json']);
    await tame(['verify', tape]);
    await tame(['verify', tape, '--json']);
    await tame(['routes', tape, '--via', '10.0.0.8']);
    assert.ok(existsSync(join(folder, 'imported')));
  });

  test('ls and show of a partial import, whose file has such a name: JSON in each line', async () => {
    const cut = join(folder, `cut${EVIL}.pcap`);
    writeFileSync(cut, readFileSync(pcap).subarray(0, -1));
    const partial = join(folder, 'partial');
    await tame(['import', cut, '-p', String(SERVER_PORT), '-o', partial], NAMED);
    for (const verb of ['ls', 'show']) {
      const { stdout } = await run(verb, partial, '--json');
      const objects = stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      const { why } = objects.find(({ type }) => type === 'partial');
      assert.match(why, /cut.*owned.* ends inside a packet/s, verb);
      assert.ok(why.includes(EVIL), verb);
    }
  });

  test('a dry run, with statements that would be sent and some that would not', async () => {
    const dry = ['replay', tape, '--dry-run', '-x', `${SERVER_PORT}-10.9.9.9:3306`, '--users', users];
    const some = ['--transport', 'socket', '--exclude-sql', 'update'];
    await tame([...dry, ...some], /\\x1b\]0;owned/);
    await tame([...dry, ...some, '--json'], IN_JSON);
    await tame([...dry, '--transport', 'socket', '--remap-user', `x${EVIL}=y`], NAMED);
  });

  test('a target that answers by nonsense: mysql2 prints nothing of its own', async (t) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.write(mysqlPacket(0, greetingOf('8.4.2', 'mysql_native_password')));
      socket.once('data', () => {
        socket.write(mysqlPacket(2, OK));
        // A column count, and a column, of which the mark of a number of 8 octets is there, and 3 of them.
        const nonsense = mysqlPacket(1, Buffer.from('fdffffff', 'hex'));
        socket.on('data', () => socket.write(Buffer.concat([nonsense, nonsense])));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const way = ['-x', `3307-127.0.0.1:${portOf(server)}`, '--transport', 'socket', '--as', 'app'];
    const { stdout, stderr } = await run('doctor', ...way, '--password-file', users);
    assert.equal(stderr, '');
    assert.match(stdout, /failed +interlock .*app: got no answer: it answers what is not the MySQL protocol/);
    assert.doesNotMatch(stdout, /Warning|Trace|should not reach/i);
  });

  for (const [plugin, errno] of [
    ['mysql_native_password', 1045],
    [`evil_plugin${EVIL}`, 1129],
  ] as const) {
    test(`replay and doctor onto a target that speaks so: ${JSON.stringify(plugin)}, ${errno}`, async (t) => {
      const server = await evilTarget(plugin, errno);
      t.after(() => server.close());
      const onto = ['-x', `${SERVER_PORT}-127.0.0.1:${portOf(server)}`, '--transport', 'socket'];
      const out = join(folder, `run-${errno}`);
      await tame(['doctor', ...onto, '--archive', tape, '--users', users], /8\.0\.36|evil_plugin|owned/);
      await tame(['doctor', ...onto, '--archive', tape, '--users', users, '--json']);
      const given = ['--users', users, '--speed', 'max', '--allow-live-target', '--out', out];
      await tame(['replay', tape, ...onto, ...given]);
      for (const file of ['summary.json', 'run.json'].map((name) => join(out, name)))
        if (existsSync(file)) assert.doesNotMatch(readFileSync(file, 'utf8'), OBEYED);
      await tame(['replay', tape, ...onto, '--users', users, '--out', `${out}-asked`]);
    });
  }

  test('record, mirror and intercept, at work', { skip: SKIP }, async () => {
    const named = (name: string) => join(folder, `${name}${EVIL}`);
    const briefly = ['-i', 'lo', '--for', '200ms'];
    await tame(['record', ...briefly, '-p', '1', '-o', named('recorded')], NAMED);
    await tame(['record', ...briefly, '-p', '1', '-o', named('again'), '--json'], NAMED);
    const onto = ['-x', '1-127.0.0.1:2', '--transport', 'socket', '--allow-live-target'];
    await tame(['mirror', ...briefly, ...onto, '--out', named('mirrored')], NAMED);
    await tame(['mirror', ...briefly, ...onto, '--out', named('twice'), '--json']);
    const log = named('intercept.log');
    const caught = await run(
      'intercept',
      '-i',
      'lo',
      '-F',
      'src port 1',
      '-p',
      `${named('relay')}.sock`,
      '-d',
      ...['--log-file', log, '--pid-file', named('pid')],
    );
    assert.match(assertTame(caught, 'intercept -d'), NAMED);
    process.kill(Number(readFileSync(named('pid'), 'utf8')), 'SIGTERM');
    await until('the log is at its end', () => /intercept stopped/.test(readFileSync(log, 'utf8')));
    assert.match(assertTame({ status: 0, stdout: readFileSync(log, 'utf8'), stderr: '' }, log), NAMED);
  });

  test('errors that name a file, a folder, an option or what a file holds', async () => {
    const evil = join(folder, `x${EVIL.replaceAll('/', '')}`);
    mkdirSync(evil);
    await tame(['ls', evil], /\\x1b\]0;owned/);
    await tame(['show', join(evil, 'none'), '1'], /\\x1b\]0;owned/);
    await tame(['import', join(evil, 'none.pcap'), '-o', join(folder, 'none')], /\\x1b\]0;owned/);
    await tame(['ctl', evil, 'status'], /\\x1b\]0;owned/);
    await tame(['ctl', evil, `stat${EVIL}`], /\\x1b\]0;owned/);
    await tame(['record', '-i', `eth${EVIL}`, '-o', join(folder, 'r')]);
    await tame(['intercept', '-s', `1.2.3.4:${EVIL}`]);
    await tame(['mirror', '-x', `3306-${EVIL}:1`, '-i', 'lo', '--users', users]);
    await tame(['ls', tape, `--${EVIL.replaceAll('\n', '')}`], /\\x1b\]0;owned/);
    const bad = join(folder, 'bad-users');
    writeFileSync(bad, `no colon ${EVIL}\n`, { mode: 0o600 });
    await tame(['replay', tape, '-x', `${SERVER_PORT}-127.0.0.1:1`, '--transport', 'socket', '--users', bad]);
  });
});
