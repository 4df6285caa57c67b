import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type IndexedSession, SessionIndex } from '../../src/flow/session-index.ts';
import { CTL } from '../../src/wire/segment.ts';
import {
  blockOf,
  GREETING,
  handshakeResponse,
  mysqlPacket,
  SERVER_PORT,
  sessionFrames,
  tcpFrame,
} from '../archive/support.ts';

const ENDS = { client: '10.0.0.1', clientPort: 40_000 };
const PING = mysqlPacket(0, Uint8Array.of(0x0e));

function indexOf(frames: readonly Uint8Array[]): { index: SessionIndex; sessions: IndexedSession[] } {
  const index = new SessionIndex(new Set([SERVER_PORT]));
  index.add(blockOf(frames.map((octets, i) => ({ octets, at: i }))), 0);
  return { index, sessions: index.takeChanged() };
}

/** A session whose client sends `octets` after its SYN, cut into segments of `pieceOctets`. */
function clientSends(octets: Uint8Array, pieceOctets = 1460, isn = 0): Uint8Array[] {
  const frames = [
    tcpFrame({ ...ENDS, fromClient: true, seq: isn, flags: CTL.syn }),
    tcpFrame({ ...ENDS, fromClient: false, seq: 1, payload: GREETING }),
  ];
  for (let at = 0; at < octets.length; at += pieceOctets) {
    const payload = octets.subarray(at, at + pieceOctets);
    frames.push(tcpFrame({ ...ENDS, fromClient: true, seq: (isn + 1 + at) >>> 0, payload }));
  }
  return frames;
}

describe('session index', () => {
  test('knows who, how much and how many commands', () => {
    const { index, sessions } = indexOf(sessionFrames('10.0.0.1', 40_000, 25));
    const [session] = sessions;
    assert.equal(session.user, 'app');
    assert.equal(session.schema, 'shop');
    assert.equal(session.coverage, 'whole');
    assert.equal(session.commands, 25);
    assert.equal(session.packets, 56);
    assert.equal(session.clientOctets, handshakeResponse('app', 'shop').length + 25 * 13);
    assert.deepEqual([session.firstPacket, session.lastPacket], [0, 55]);
    assert.deepEqual(session.blocks, [0]);
    assert.deepEqual([index.sessions, index.commands, index.uncounted], [1, 25, 0]);
  });

  test('counts the same however the octets are cut, across the wrap of sequence numbers too', () => {
    const commands = [PING, mysqlPacket(0, new Uint8Array(3000).fill(3)), PING, mysqlPacket(3, PING), PING];
    const octets = Buffer.concat([handshakeResponse('app', 'shop'), ...commands]);
    for (let piece = 1; piece < 100; piece++) {
      const [session] = indexOf(clientSends(octets, piece, 0xffff_ff80)).sessions;
      assert.equal(session.commands, 4, `pieces of ${piece}`);
      assert.equal(session.user, 'app', `pieces of ${piece}`);
    }
  });

  test('octets sent again count once, keep-alive probes not at all', () => {
    const hello = handshakeResponse('app', 'shop');
    const frames = clientSends(Buffer.concat([hello, PING, PING]), hello.length);
    frames.push(frames.at(-1)!, frames[2]);
    const last = 1 + hello.length + 2 * PING.length;
    frames.push(tcpFrame({ ...ENDS, fromClient: true, seq: last - 1, payload: Uint8Array.of(0) }));
    frames.push(
      tcpFrame({
        ...ENDS,
        fromClient: true,
        seq: last - 3,
        payload: Buffer.concat([PING.subarray(2), PING]),
      }),
    );
    assert.equal(indexOf(frames).sessions[0].commands, 3);
  });

  test('says that it does not know, rather than guess', () => {
    const hello = handshakeResponse('app', 'shop');
    const frames = clientSends(Buffer.concat([hello, PING]), hello.length);
    const next = 1 + hello.length + PING.length;
    const behindGap = tcpFrame({ ...ENDS, fromClient: true, seq: next + 5, payload: PING });
    const { index, sessions } = indexOf([...frames, behindGap]);
    assert.equal(sessions[0].commands, null);
    assert.equal(sessions[0].user, 'app');
    assert.deepEqual([index.commands, index.uncounted], [0, 1]);

    const fromServer = tcpFrame({ ...ENDS, fromClient: false, seq: 9000, payload: PING });
    const joined = indexOf([behindGap, fromServer]).sessions[0];
    assert.equal(joined.coverage, 'joined-late');
    assert.equal(joined.commands, null);
  });

  test('sees TLS and compression', () => {
    const ssl = mysqlPacket(1, handshakeResponse('', '', 0x800).subarray(4, 36));
    const tls = indexOf(clientSends(Buffer.concat([ssl, Buffer.from('\x16\x03\x01')]), ssl.length))
      .sessions[0];
    assert.deepEqual([tls.tls, tls.commands, tls.user], [true, null, undefined]);
    const compressed = indexOf(clientSends(handshakeResponse('app', 'shop', 0x20))).sessions[0];
    assert.deepEqual([compressed.compressed, compressed.commands, compressed.user], [true, null, 'app']);
  });

  test('LOAD DATA LOCAL long enough for sequence ids to wrap is not counted', () => {
    const data = Array.from({ length: 300 }, (_, i) => mysqlPacket((i + 2) & 255, new Uint8Array(5)));
    const octets = Buffer.concat([handshakeResponse('app', 'shop'), PING, ...data]);
    assert.equal(indexOf(clientSends(octets)).sessions[0].commands, null);
  });

  test('what is not MySQL, not TCP or not whole harms nothing', () => {
    const web = indexOf(clientSends(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'))).sessions[0];
    assert.equal(web.commands, null);
    const odd = indexOf([
      new Uint8Array(0),
      new Uint8Array(60),
      tcpFrame({ ...ENDS, fromClient: true, seq: 1 }).subarray(0, 40),
    ]);
    assert.equal(odd.index.packets, 3);
    assert.equal(odd.index.sessions, 0);
  });

  test('remembers the blocks a session has packets in, and what changed since last asked', () => {
    const index = new SessionIndex(new Set([SERVER_PORT]));
    const a = sessionFrames('10.0.0.1', 40_000, 3).map((octets, at) => ({ octets, at }));
    const b = sessionFrames('10.0.0.2', 40_000, 3).map((octets, at) => ({ octets, at }));
    index.add(blockOf(a.slice(0, 4)), 0);
    index.add(blockOf(b.slice(0, 4)), 1);
    assert.equal(index.takeChanged().length, 2);
    index.add(blockOf(a.slice(4)), 2);
    const [session, ...others] = index.takeChanged();
    assert.deepEqual(session.blocks, [0, 2]);
    assert.deepEqual(others, []);
  });
});
