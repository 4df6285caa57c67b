/** What node:tls cannot be made to say, `openssl s_client` does: KeyUpdate, padded records. The wire between is tapped. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { temporaryFolder } from '../archive/support.ts';
import { Listener, PEM, type Piece, recordsOf } from './support/conversation.ts';

/** As a record: header, message, type, tag. */
const KEY_UPDATE_OCTETS = 5 + 5 + 1 + 16;

const skip = spawnSync('openssl', ['version']).error === undefined ? false : 'needs openssl';
const options = { skip, timeout: 20_000 };

async function listen(server: net.Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as net.AddressInfo).port;
}

/**
 * s_client says something to a server that echoes it, gives a command to itself, says something again, and so on. The
 * commands: `K` updates its keys and asks the server for the same, `k` updates its own alone.
 */
async function echo(t: TestContext, commands: string[], args: string[]) {
  const server = tls.createServer({ key: PEM, cert: PEM, minVersion: 'TLSv1.3' });
  server.on('secureConnection', (socket) => socket.pipe(socket));
  const serverPort = await listen(server);
  const pieces: Piece[] = [];
  const wire = net.createServer((client) => {
    const onward = net.connect(serverPort, '127.0.0.1');
    for (const [from, to, fromClient] of [
      [client, onward, true],
      [onward, client, false],
    ] as const) {
      from.on('data', (octets: Buffer) => {
        pieces.push({ fromClient, octets: new Uint8Array(octets) });
        to.write(octets);
      });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
    }
  });
  const port = await listen(wire);
  const keys = join(temporaryFolder(t), 'keys.log');
  const all = ['s_client', '-connect', `127.0.0.1:${port}`, '-keylogfile', keys, ...args];
  const client = spawn('openssl', all, { stdio: 'pipe' });
  t.after(() => {
    client.kill();
    wire.close();
    server.close();
  });
  let output = '';
  client.stdout.on('data', (chunk: Buffer) => (output += chunk));
  client.stderr.on('data', (chunk: Buffer) => (output += chunk));
  const answered = async (text: string, times = 1) => {
    while (output.split(text).length <= times) await new Promise((resolve) => setImmediate(resolve));
  };
  let said = '';
  const say = async (text: string) => {
    said += text;
    client.stdin.write(text);
    await answered(text);
  };
  await answered('Verify return code');
  await say('first words\n');
  for (const [i, command] of commands.entries()) {
    client.stdin.write(`${command}\n`);
    // Told once it is done: s_client takes what it reads at once as one command.
    await answered('KEYUPDATE\n', i + 1);
    await say(`words after ${i + 1}\n`);
  }
  const closed = once(client, 'close');
  client.stdin.end();
  await closed;
  return { pieces, keyLog: readFileSync(keys, 'latin1'), said: Buffer.from(said) };
}

test('KeyUpdate: the keys change as often as either side likes, seen or missed', options, async (t) => {
  const { pieces, keyLog, said } = await echo(t, ['K', 'k', 'K'], []);
  const wanted = { client: said, server: said, state: 'ok' };
  assert.deepEqual(new Listener(keyLog).feedAll(pieces).said, wanted);

  const [hello, ...records] = recordsOf(pieces, true);
  const updates = records.filter((record) => record.length === KEY_UPDATE_OCTETS);
  assert.equal(updates.length, 3);
  for (const missed of updates) {
    const gapped = new Listener(keyLog).feed({ fromClient: true, octets: hello });
    gapped.feedAll(pieces.filter((piece) => !piece.fromClient));
    for (const octets of records) {
      if (octets === missed) gapped.stream.gap(true, octets.length);
      else gapped.feed({ fromClient: true, octets });
    }
    assert.deepEqual(gapped.said, wanted);
  }
});

test('padded records: the padding is not heard', options, async (t) => {
  const { pieces, keyLog, said } = await echo(t, ['K'], ['-record_padding', '256']);
  const lengths = recordsOf(pieces, true).map((record) => record.length);
  assert.ok(lengths.filter((length) => length === 5 + 256 + 16).length > 2, lengths.join(' '));
  assert.deepEqual(new Listener(keyLog).feedAll(pieces).said, { client: said, server: said, state: 'ok' });
});
