/** The client of --snapshot-from, on servers that mean no good: the recording goes on, and says why there is no snapshot. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { Snapshotter } from '../../src/snapshot/snapshot.ts';
import { temporaryFolder } from '../archive/support.ts';
import { greeting, OFFERED } from '../mysql/support/mysql8.ts';
import { column, eof, ok, packets, payload } from '../mysql/support/packets.ts';
import { type Hostile, Peer } from '../replay/hostile/run.ts';
import { cycle } from '../replay/hostile/targets.ts';
import { until } from '../support/until.ts';

/** What the snapshotter says of such a server. */
async function noticeOf(t: TestContext, hostile: Hostile): Promise<string> {
  const server = createServer((socket) => void hostile(new Peer(socket, 0)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const notices: string[] = [];
  const snapshotter = Snapshotter.start({
    server: { user: 'monitor', host: '127.0.0.1', port },
    password: 'secret',
    serverKey: undefined,
    dir: temporaryFolder(t),
    now: () => 0,
    onNotice: (message) => notices.push(message),
  });
  try {
    await until('a notice', () => notices.length > 0);
  } finally {
    await snapshotter.stop();
  }
  assert.equal(snapshotter.count, 0);
  return notices[0];
}

const GREETING = greeting('mysql_native_password', OFFERED & ~CLIENT.ssl);

test('a server that answers without end is left', async (t) => {
  const notice = await noticeOf(t, async (peer) => {
    await peer.send(GREETING);
    await peer.next();
    await peer.send(packets(2, ok()));
    await peer.next();
    await peer.send(packets(1, payload(1), column('a'), eof()));
    await peer.forEver(cycle(4, payload(0xfc, 0, 0xf0, new Uint8Array(0xf000))));
  });
  assert.match(notice, /cannot ask monitor@127\.0\.0\.1:\d+ .*more than 64 MiB.*the recording goes on/);
});

test('a server that asks for the password under a key of its own does not get it', async (t) => {
  const notice = await noticeOf(t, async (peer) => {
    await peer.send(GREETING);
    await peer.next();
    await peer.send(packets(2, payload(0xfe, 'sha256_password', 0, new Uint8Array(20).fill(7), 0)));
    await peer.silence();
    assert.equal(Buffer.concat(peer.received).includes('secret'), false);
  });
  assert.match(notice, /sha256_password for monitor: .*--get-server-public-key/);
});
