/** Services of which no protocol is known, over both transports: what they say comes in parts, and all of it. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { RAW_ANSWERS } from '../../src/intercept/answer-protocol.ts';
import { EXPECT } from '../../src/mysql/command.ts';
import type { Reply } from '../../src/mysql/reply.ts';
import { realClock } from '../../src/time.ts';
import { SocketTransport } from '../../src/transport/socket.ts';
import type { Connection, ConnectionHandler, Transport } from '../../src/transport/transport.ts';
import { hashOctets, joinHashes } from '../../src/wire/octet-hash.ts';
import { type Bed, CLIENT, setUp, TICK_MS } from './bed.ts';
import { listen, portOf } from './socket-bed.ts';

/** No packet of MySQL's, and no answer of one. */
const BANNER = Buffer.from('220 ready\r\n');
/** Octets that say where they stand, so that none can be missing, twice or elsewhere. */
const LARGE = Buffer.from(Array.from({ length: 60_000 }, (_, i) => `${i} `).join(''));
const ASK = Buffer.from('GET /\r\n\r\n');

/** Adds up what it is told. */
class Listener implements ConnectionHandler {
  octets = 0;
  hash = 0;
  parts = 0;
  isOpen = false;
  end: string | undefined;
  readonly connection: Connection;

  constructor(transport: Transport) {
    this.connection = transport.connect({ client: CLIENT, copy: 0 }, this);
  }

  established(): void {
    this.isOpen = true;
  }

  packet(): void {
    assert.fail('nothing is read as a packet');
  }

  reply({ octets, hash, hashUnordered }: Reply, receivedAt: number): void {
    assert.equal(hash, hashUnordered);
    assert.ok(Number.isFinite(receivedAt));
    this.parts++;
    this.octets += octets;
    this.hash = joinHashes(this.hash, hash, octets);
  }

  closed(cause: string): void {
    this.end = cause;
  }

  heard(...said: Buffer[]): void {
    const all = Buffer.concat(said);
    assert.equal(this.octets, all.length);
    assert.equal(this.hash, hashOctets(all, 0, all.length), 'other octets');
  }
}

/** Has the target say its banner, answer each request, and say goodbye to a FIN. */
function serve(bed: Bed): void {
  bed.onOpen = (server) => server.write(BANNER);
  bed.onData = (server, octets) => {
    if (Buffer.from(octets).includes('GET')) server.write(LARGE);
  };
  bed.onFin = (server) => {
    server.write(BANNER);
    server.close();
  };
}

describe('raw over packets', () => {
  test('the banner, a large answer, and what comes behind our FIN', (t) => {
    const bed = setUp(t, { protocol: RAW_ANSWERS });
    serve(bed);
    const listener = new Listener(bed.transport);
    bed.run(50 * TICK_MS);
    assert.ok(listener.isOpen);
    listener.heard(BANNER);
    listener.connection.write(ASK, EXPECT.result);
    bed.run(2_000);
    listener.heard(BANNER, LARGE);
    assert.ok(listener.parts > 2, 'in parts, as they come');
    listener.connection.write(ASK, EXPECT.result);
    listener.connection.end();
    bed.run(2_000);
    listener.heard(BANNER, LARGE, LARGE, BANNER);
    assert.equal(listener.end, 'fin');
  });

  test('one segment of twenty lost: each octet once', (t) => {
    const bed = setUp(t, { protocol: RAW_ANSWERS });
    serve(bed);
    let packets = 0;
    bed.isLost = () => ++packets % 20 === 0;
    const listener = new Listener(bed.transport);
    bed.run(1_000);
    listener.connection.write(ASK, EXPECT.result);
    bed.run(60_000);
    listener.heard(BANNER, LARGE);
  });

  test('intercepts die and channels break under an answer: each octet once', (t) => {
    const bed = setUp(t, { protocol: RAW_ANSWERS, resumable: true });
    serve(bed);
    let came = 0;
    let ends = 0;
    bed.isLost = (packet, fromTarget) => {
      if (fromTarget && packet.data.length > 0 && bed.port !== undefined && ++came % 50 === 0) {
        if (++ends % 2 === 0) bed.interceptDies();
        else bed.channelBreaks();
      }
      return fromTarget && bed.port === undefined;
    };
    const listener = new Listener(bed.transport);
    bed.run(100);
    listener.connection.write(ASK, EXPECT.result);
    for (let i = 0; i < 400 && listener.octets < BANNER.length + LARGE.length; i++) {
      bed.run(20 * TICK_MS);
      if (bed.port === undefined) bed.comesBack();
    }
    assert.ok(ends > 3, `${ends} ends`);
    assert.equal(listener.end, undefined);
    listener.heard(BANNER, LARGE);
  });
});

describe('raw over sockets', () => {
  test('the banner, a large answer, and what comes behind our FIN', async (t) => {
    const server = await listen(t, (socket) => {
      socket.write(BANNER);
      socket.on('data', (octets) => {
        for (let at = octets.indexOf('GET'); at >= 0; at = octets.indexOf('GET', at + 1)) socket.write(LARGE);
      });
      socket.on('end', () => socket.end(BANNER));
    });
    const transport = new SocketTransport({
      target: '127.0.0.1',
      port: portOf(server),
      clock: realClock,
      protocol: RAW_ANSWERS,
    });
    t.after(() => transport.close());
    const connected = once(server, 'connection');
    const listener = new Listener(transport);
    await connected;
    const until = async (octets: number) => {
      while (listener.octets < octets && listener.end === undefined)
        await new Promise((resolve) => setImmediate(resolve));
    };
    await until(BANNER.length);
    listener.heard(BANNER);
    listener.connection.write(ASK, EXPECT.result);
    transport.flush();
    await until(BANNER.length + LARGE.length);
    listener.heard(BANNER, LARGE);
    listener.connection.write(ASK, EXPECT.result);
    listener.connection.end();
    transport.flush();
    while (listener.end === undefined) await new Promise((resolve) => setImmediate(resolve));
    listener.heard(BANNER, LARGE, LARGE, BANNER);
    assert.equal(listener.end, 'fin');
  });
});
