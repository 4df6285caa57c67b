import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import tls from 'node:tls';
import type { SessionSecrets } from '../../../src/tls/key-log.ts';
import { KeyLog } from '../../../src/tls/key-log.ts';
import { TlsStream } from '../../../src/tls/stream.ts';
import { ROOT } from '../../support/root.ts';

/** A private key and its certificate (`openssl req -x509 -newkey rsa:2048 -nodes`), for these tests alone. */
export const PEM = readFileSync(join(ROOT, 'test/tls/support/certificate.pem'), 'latin1');

/** What one side wrote at once. */
export interface Piece {
  fromClient: boolean;
  octets: Uint8Array;
}

/** Real TLS, as it was on the wire, and what was said inside. */
export interface Conversation {
  pieces: Piece[];
  keyLog: string;
  client: Buffer;
  server: Buffer;
  version: string;
  suite: string;
  session: Buffer | undefined;
  resumed: boolean;
}

/** Two ends of a pipe that keeps what went through it. */
function pipe(pieces: Piece[]): [Duplex, Duplex] {
  const make = (fromClient: boolean, other: () => Duplex): Duplex =>
    new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        pieces.push({ fromClient, octets: new Uint8Array(chunk) });
        // A turn later, as a network would: so neither side runs inside the other's call.
        setImmediate(() => {
          other().push(chunk);
          done();
        });
      },
      final(done) {
        other().push(null);
        done();
      },
    });
  const client: Duplex = make(true, () => server);
  const server: Duplex = make(false, () => client);
  return [client, server];
}

/** What the server says to a request: as many octets as its first 4 tell, made from its fifth. */
export function answerTo(request: Uint8Array): Buffer {
  return Buffer.alloc(Buffer.from(request).readUInt32BE(0), request[4]);
}

/** A request for an answer of `octets`, itself `padding` octets longer than it need be. */
export function requestFor(octets: number, letter: string, padding = 0): Buffer {
  const request = Buffer.alloc(5 + padding, letter);
  request.writeUInt32BE(octets, 0);
  return request;
}

export interface Scene {
  client?: tls.ConnectionOptions;
  server?: tls.SecureContextOptions & { ticketKeys?: Buffer };
  /** The client says these in turn, each when the one before was answered. */
  requests?: Buffer[];
  /** After this request the client does this, and then goes on. */
  between?: (client: tls.TLSSocket, request: number) => Promise<void>;
}

/** node:tls talks to itself: OpenSSL's own records. */
export async function converse(scene: Scene = {}): Promise<Conversation> {
  const pieces: Piece[] = [];
  const [clientEnd, serverEnd] = pipe(pieces);
  const requests = scene.requests ?? [requestFor(100, 'a'), requestFor(50, 'b', 20)];
  const keyLines: Buffer[] = [];
  const ticketKeys = scene.server?.ticketKeys;
  const server = new tls.TLSSocket(serverEnd, {
    isServer: true,
    secureContext: tls.createSecureContext({ key: PEM, cert: PEM, ...scene.server }),
    ...(ticketKeys === undefined ? {} : { ticketKeys }),
  });
  const client = tls.connect({ socket: clientEnd, rejectUnauthorized: false, ...scene.client });
  client.on('keylog', (line: Buffer) => keyLines.push(line));
  let session: Buffer | undefined;
  client.on('session', (each: Buffer) => (session = each));
  let asked = Buffer.alloc(0);
  let asking: Buffer | undefined;
  server.on('data', (chunk: Buffer) => {
    asked = Buffer.concat([asked, chunk]);
    if (asking === undefined || asked.length < asking.length) return;
    asked = asked.subarray(asking.length);
    server.write(answerTo(asking));
  });
  await new Promise<void>((resolve, reject) => {
    client.once('secureConnect', resolve);
    client.once('error', reject);
    server.once('error', reject);
  });
  const answers: Buffer[] = [];
  for (const [i, request] of requests.entries()) {
    asking = request;
    const answer = answerTo(request);
    await new Promise<void>((resolve) => {
      let have = 0;
      const onData = (chunk: Buffer) => {
        have += chunk.length;
        if (have < answer.length) return;
        client.off('data', onData);
        resolve();
      };
      client.on('data', onData);
      client.write(request);
    });
    answers.push(answer);
    await scene.between?.(client, i);
  }
  const version = client.getProtocol() ?? '';
  const suite = client.getCipher().standardName;
  const resumed = client.isSessionReused();
  const closed = new Promise((resolve) => server.once('end', resolve));
  server.resume();
  client.end();
  await closed;
  server.end();
  await new Promise((resolve) => setImmediate(resolve));
  client.destroy();
  server.destroy();
  return {
    pieces,
    keyLog: Buffer.concat(keyLines).toString(),
    client: Buffer.concat(requests),
    server: Buffer.concat(answers),
    version,
    suite,
    session,
    resumed,
  };
}

/** A stream that keeps what it is told. */
export class Listener {
  readonly client: Buffer[] = [];
  readonly server: Buffer[] = [];
  readonly stream: TlsStream;
  state = 'ok';
  /** The most that it ever held. */
  heldOctets = 0;

  constructor(secrets: { of(random: string): SessionSecrets | undefined } | string) {
    this.stream = new TlsStream(typeof secrets === 'string' ? KeyLog.parse(secrets) : secrets, {
      client: (octets, from, to) => this.client.push(Buffer.from(octets.slice(from, to))),
      server: (octets, from, to) => this.server.push(Buffer.from(octets.slice(from, to))),
    });
  }

  feed({ fromClient, octets }: Piece): this {
    // Not at 0, so that whoever forgets `from` is found.
    const shifted = new Uint8Array(octets.length + 7);
    shifted.set(octets, 3);
    const { stream } = this;
    const take = fromClient ? stream.fromClient : stream.fromServer;
    this.state = take.call(stream, shifted, 3, 3 + octets.length);
    // Whatever it kept must be a copy.
    shifted.fill(0xee);
    this.heldOctets = Math.max(this.heldOctets, stream.heldOctets);
    return this;
  }

  feedAll(pieces: Iterable<Piece>): this {
    for (const piece of pieces) this.feed(piece);
    return this;
  }

  get said(): { client: Buffer; server: Buffer; state: string } {
    return { client: Buffer.concat(this.client), server: Buffer.concat(this.server), state: this.state };
  }
}

/** One direction's octets as records. */
export function recordsOf(pieces: readonly Piece[], fromClient: boolean): Uint8Array[] {
  const all = Buffer.concat(pieces.filter((p) => p.fromClient === fromClient).map((p) => p.octets));
  const records: Uint8Array[] = [];
  for (let at = 0; at < all.length; ) {
    const end = at + 5 + all.readUInt16BE(at + 3);
    records.push(new Uint8Array(all.subarray(at, end)));
    at = end;
  }
  return records;
}
