import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CTL } from '../../../src/wire/segment.ts';
import { GREETING, handshakeResponse, mysqlPacket, recordArchive, tcpFrame } from '../../archive/support.ts';
import { keysOf } from '../../flow/support/golden.ts';
import { ROOT } from '../../support/root.ts';
import { CLI, mytape } from '../mytape.ts';

/** Where the fixtures' server listened. */
const PORT = '33917';
const USED = ['mysql2', 'mysql2-tls13', 'mariadb-logins', 'php'];

interface Line {
  type: string;
  session: number;
  [key: string]: unknown;
}

/** Commands of a session that takes long to print. */
const LONG = 20_000;

function recordLong(dir: string): void {
  const packets: { octets: Uint8Array; at: number }[] = [];
  let client = 1000;
  let server = 5000;
  const says = (fromClient: boolean, payload: Uint8Array, flags: number = CTL.ack) => {
    const [seq, ack] = fromClient ? [client, server] : [server, client];
    const octets = tcpFrame({ client: '10.0.0.1', clientPort: 40_000, fromClient, seq, ack, payload, flags });
    packets.push({ octets, at: packets.length * 1000 });
    const length = payload.length + ((flags & CTL.syn) >> 1);
    if (fromClient) client += length;
    else server += length;
  };
  const ok = (sequenceId: number) => mysqlPacket(sequenceId, Buffer.from('\x00\x00\x00\x02\x00\x00\x00'));
  says(true, new Uint8Array(0), CTL.syn);
  says(false, new Uint8Array(0), CTL.syn | CTL.ack);
  says(false, GREETING);
  says(true, handshakeResponse('app', 'shop'));
  says(false, ok(2));
  for (let i = 0; i < LONG; i++) {
    says(true, mysqlPacket(0, Buffer.from(`\x03do ${i}`)));
    says(false, ok(1));
  }
  recordArchive(dir, packets);
}

describe('mytape show', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    for (const name of USED) {
      const capture = join(ROOT, 'fixtures', `${name}.pcap`);
      const { status, stderr } = mytape('import', capture, '-o', join(folder, name), '-p', PORT);
      assert.equal(status, 0, stderr);
    }
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function text(name: string, ...args: string[]): string[] {
    const { status, stdout, stderr } = mytape('show', join(folder, name), ...args);
    assert.equal(status, 0, stderr);
    return stdout.split('\n');
  }

  function json(name: string, ...args: string[]): Line[] {
    const lines = text(name, '--json', ...args);
    assert.equal(lines.pop(), '');
    return lines.map((line) => JSON.parse(line));
  }

  test('a session: its ends, user, schema, coverage and close', () => {
    const [first] = text('mysql2', '--json', '0');
    assert.match(
      first,
      /^\{"type":"session","session":0,"client":"127\.0\.0\.1:\d+","server":"127\.0\.0\.1:33917","user":"app","schema":"shop","coverage":"whole","close":"quit"\}$/,
    );
  });

  test('commands: text, answer and latency, in the order of their ordinals', () => {
    const lines = json('mysql2', '0');
    const [query] = lines.filter((line) => line.type === 'command');
    const { at_ns, reply, ...rest } = query;
    assert.deepEqual(Object.keys(query), [
      ...['type', 'session', 'ordinal', 'at_ns', 'com', 'sql', 'statement', 'octets', 'reply'],
    ]);
    const sql = 'select id, name, price from item where id between 5 and 9';
    // The command octet as well; mysql2 sends two octets of query attributes, which are none.
    assert.deepEqual(rest, {
      ...{ type: 'command', session: 0, ordinal: 0, com: 'COM_QUERY', sql, statement: null },
      octets: rest.octets,
    });
    assert.ok((rest.octets as number) >= sql.length + 1);
    const { latency_ms, ...answer } = reply as { latency_ms: number };
    assert.deepEqual(Object.entries(answer), [
      ['kind', 'rows'],
      ['errno', 0],
      ['affected', 0],
      ['columns', 3],
      ['rows', 5],
    ]);
    assert.ok(latency_ms > 0 && latency_ms < 1000);
    assert.ok(
      (at_ns as number) > 0 && (at_ns as number) < 60e9,
      'counts from the second of the first packet',
    );
    const ordinals = lines.filter((line) => line.type === 'command').map((line) => line.ordinal);
    assert.deepEqual(
      ordinals,
      ordinals.map((_, i) => i),
    );
  });

  test('a prepared statement: its number is in the answer to PREPARE and in the commands that name it', () => {
    const lines = json('php', '0').filter((line) => line.type === 'command');
    const of = (com: string) => lines.find((line) => line.com === com) as Line & { reply: Line };
    assert.deepEqual(
      [
        of('COM_STMT_PREPARE').statement,
        of('COM_STMT_PREPARE').reply.statement,
        of('COM_STMT_PREPARE').reply.kind,
      ],
      [null, 1, 'ok'],
    );
    for (const com of ['COM_STMT_EXECUTE', 'COM_STMT_FETCH', 'COM_STMT_RESET', 'COM_STMT_CLOSE']) {
      assert.deepEqual([of(com).statement, of(com).sql], [1, null], com);
    }
    assert.equal(of('COM_STMT_EXECUTE').reply.statement, undefined);
    const none = { kind: 'none', errno: 0, affected: 0, columns: 0, rows: 0, latency_ms: null };
    assert.deepEqual(of('COM_STMT_CLOSE').reply, none);
    assert.deepEqual(of('COM_QUIT').reply, none);
    assert.equal(of('COM_INIT_DB').sql, 'sbtest');
    assert.equal(of('COM_QUIT').octets, 1);
  });

  test('a refused login has its error; one that never came to be has a skipped line', () => {
    const sessions = json('mariadb-logins').filter((line) => line.type === 'session');
    const refused = sessions.filter((line) => line.refused !== undefined);
    assert.deepEqual(
      refused.map((line) => line.refused),
      [1045, 1045, 1049],
    );
    for (const line of refused) assert.deepEqual(Object.keys(line).slice(-2), ['close', 'refused']);
  });

  test('TLS without keys is skipped, with --keylog it is read', () => {
    const lines = json('mysql2-tls13');
    const skipped = lines.filter((line) => line.type === 'skipped');
    assert.ok(skipped.length > 0);
    for (const { session, ...rest } of skipped) {
      assert.deepEqual(rest, { type: 'skipped', cause: 'tls', commands: null });
      assert.ok(lines.some((line) => line.type === 'session' && line.session === session));
    }
    const read = json('mysql2-tls13', '--keylog', keysOf('mysql2-tls13') as string);
    assert.ok(read.some((line) => line.com === 'COM_QUERY' && line.sql === 'select * from missing'));
    assert.ok(read.some((line) => line.type === 'session' && line.user === 'app'));
  });

  test('the same sessions as ls, and only those that are named', () => {
    for (const name of USED) {
      const listed = mytape('ls', join(folder, name), '--json').stdout.trim().split('\n');
      const rows = listed.map((line) => JSON.parse(line));
      const shown = json(name).filter((line) => line.type === 'session');
      for (const { id, client, server, coverage } of rows) {
        const line = shown.find(({ session }) => session === id);
        assert.deepEqual(
          [line?.client, line?.server, line?.coverage],
          [client, server, coverage],
          `${name}, session ${id}`,
        );
      }
      assert.equal(shown.length, rows.length);
    }
    const some = json('mysql2', '1,3', '1');
    assert.deepEqual([...new Set(some.map(({ session }) => session))], [1, 3]);
    assert.deepEqual(
      some,
      json('mysql2').filter(({ session }) => session === 1 || session === 3),
    );
  });

  test('for people: a line a command, no wider than asked', () => {
    const lines = text('mysql2', '0');
    assert.match(lines[0], /^session 0: 127\.0\.0\.1:\d+ → 127\.0\.0\.1:33917, user app, schema shop$/);
    assert.match(lines[1], /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}, 0\.\d\ds, whole, closed by COM_QUIT$/);
    assert.match(lines[2], /^ {3}0\.\d{3}s {2}QUERY {9}select id, name, price .* → 5 rows {2}\d.*ms$/);
    assert.match(lines[3], /update item set price = price \+ 1 where … → 2 rows/);
    assert.match(lines.at(-2) as string, / closed by COM_QUIT; 8 commands, 7 answers$/);
    for (const line of lines) assert.ok(line.length <= 100, line);
  });

  test('--raw: whole statements, values of statements escaped', () => {
    const cut = text('php', '0').join('\n');
    const lines = text('php', '0', '--raw').join('\n');
    assert.match(cut, /select 1; update item .*…/);
    assert.match(lines, /select 1; update item set price = 3 where id = 3; update [^…]* → error 1146/);
    assert.match(lines, /STMT_EXECUTE {2}statement 1: select id, name, note .*\\x00\\x01/);
    assert.match(cut, /CHANGE_USER {3}user app, schema shop/);
    assert.match(cut, /PROCESS_KILL {2}\d+ /);
  });

  test('several sessions come one after another', () => {
    const lines = text('mysql2', '3', '1');
    const heads = lines.filter((line) => line.startsWith('session '));
    assert.deepEqual(
      heads.map((line) => line.split(':')[0]),
      ['session 3', 'session 1'],
    );
    assert.equal(lines[lines.indexOf(heads[1]) - 1], '');
  });

  test('what is said wrong is refused with the right form', () => {
    const refused = (...args: string[]) => {
      const { status, stdout, stderr } = mytape('show', ...args);
      assert.deepEqual([status, stdout], [2, ''], stderr);
      return stderr;
    };
    const dir = join(folder, 'mysql2');
    assert.match(refused(dir), /name a session to show: mytape show .* 0 \(mytape ls .* lists them\)/);
    assert.match(refused(dir, '4711'), /has no session 4711 \(see: mytape ls /);
    assert.match(refused(dir, '--json', '0', '4711'), /has no session 4711/);
    assert.match(refused(dir, 'x'), /A session is named by its number/);
    assert.match(refused(dir, '0', '--json', '--raw'), /--raw is for text/);
    const { status, stderr } = mytape('show', join(folder, 'nothing'), '0');
    assert.equal(status, 1);
    assert.match(stderr, /there is no archive/);
    const keys = mytape('show', dir, '0', '--keylog', join(ROOT, 'package.json'));
    assert.equal(keys.status, 1);
    assert.match(keys.stderr, /has no secret of a TLS session/);
  });

  test('a damaged block: what is before it is printed, then the error', () => {
    const dir = join(folder, 'damaged');
    cpSync(join(folder, 'php'), dir, { recursive: true });
    const segment = join(dir, '000000.pcap.lz4');
    const octets = readFileSync(segment);
    octets[octets.length >> 1] ^= 0xff;
    writeFileSync(segment, octets);
    for (const args of [['--json'], ['0']]) {
      const { status, stdout, stderr } = mytape('show', dir, ...args);
      assert.equal(status, 1);
      assert.match(stderr, /000000\.pcap\.lz4, block \d+ at offset \d+: damaged/);
      assert.match(stdout, /session.*0/, args[0]);
    }
  });

  test('Ctrl-C ends it after whole lines', { timeout: 30_000 }, async () => {
    const dir = join(folder, 'long');
    recordLong(dir);
    const child = spawn(process.execPath, [CLI, 'show', dir, '--json'], { stdio: 'pipe' });
    let stdout = '';
    child.stdout.on('data', (octets) => {
      // It is in the midst of it: a pipe holds 64 KiB, and it waits until we read on.
      if (stdout === '') child.kill('SIGINT');
      stdout += octets;
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 130);
    const lines = stdout.split('\n');
    assert.equal(lines.pop(), '');
    assert.ok(lines.length > 0 && lines.length < LONG, `${lines.length} lines`);
    for (const line of lines) JSON.parse(line);
  });

  test('a reader that has seen enough ends it without an error', async () => {
    const child = spawn(process.execPath, [CLI, 'show', join(folder, 'mysql2'), '--json'], { stdio: 'pipe' });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (octets) => {
      stderr += octets;
    });
    const [code] = await once(child, 'close');
    assert.deepEqual([code, stderr], [0, '']);
  });
});
