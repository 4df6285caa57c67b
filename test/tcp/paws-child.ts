/**
 * Asks the kernel of the network namespace that this process is in, as a server, which TSval of a client's it takes: prints one line of
 * JSON, what became of a segment whose TSval was so many ticks newer than the newest before it.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { foldChecksum, sumWords } from '../../src/wire/checksum.ts';
import type { Segment } from '../../src/wire/segment.ts';
import { seqAdd } from '../../src/wire/sequence.ts';
import { until } from '../support/until.ts';
import { KERNEL, KernelLink, peerAddress } from './kernel-link.ts';
import { ACK, FIN, PSH, SYN, writePacket } from './packet.ts';

const PORT = 3307;
const ISS = 1000;
const TSVAL = 50_000;

const link = new KernelLink();
const sockets: Socket[] = [];
const server = createServer((socket) => sockets.push(socket));
await new Promise<void>((resolve) => server.listen(PORT, KERNEL.text, resolve));

/** Segments that PAWS has dropped so far. */
function dropped(): number {
  const [names, values] = readFileSync('/proc/net/netstat', 'utf8')
    .split('\n')
    .slice(0, 2)
    .map((line) => line.split(' '));
  return ['PAWSEstab', 'PAWSTimewait'].reduce((sum, name) => sum + Number(values[names.indexOf(name)]), 0);
}

/** A client at an address of its own. */
class Client {
  readonly #address;
  readonly #port;
  /** Flags of what the kernel said. */
  heard: number[] = [];
  #seq = ISS;
  #rcvNxt = 0;
  #echo = 0;

  constructor(n: number) {
    this.#address = peerAddress(n);
    this.#port = 40_000 + n;
    link.listen(this.#address, ({ seq, flags, dataLength, tsVal }: Segment) => {
      this.heard.push(flags);
      this.#echo = tsVal;
      this.#rcvNxt = seqAdd(seq, dataLength + (flags & (SYN | FIN) ? 1 : 0));
    });
  }

  /** `ticks`: how much newer its TSval is than the SYN's. */
  send(flags: number, ticks: number, data = new Uint8Array(0), seq = this.#seq): void {
    const packet = writePacket({
      source: this.#address.octets,
      destination: KERNEL.octets,
      sourcePort: this.#port,
      destinationPort: PORT,
      seq,
      ack: flags & ACK ? this.#rcvNxt : 0,
      flags,
      window: 60_000,
      data,
      timestamps: { val: TSVAL + ticks, ecr: flags & ACK ? this.#echo : 0 },
    });
    // RFC 791 (3.1): the header's checksum, which the simulated peer has no use for.
    new DataView(packet.buffer).setUint16(10, foldChecksum(sumWords(packet, 0, 20)));
    link.inject(packet);
    this.#seq = seqAdd(seq, data.length + (flags & (SYN | FIN) ? 1 : 0));
  }

  /** Sends, and waits for the kernel to say something with these flags. */
  async ask(flags: number, ticks: number, wanted: number, seq?: number): Promise<void> {
    this.heard = [];
    this.send(flags, ticks, undefined, seq);
    await until('an answer of the kernel', () => this.heard.some((said) => (said & wanted) === wanted), 2);
  }

  /** A connection that stands; the server's end of it. */
  async open(): Promise<Socket> {
    await this.ask(SYN, 0, SYN | ACK);
    const known = sockets.length;
    this.send(ACK, 0);
    await until('a connection', () => sockets.length > known, 2);
    return sockets[known];
  }

  /** The server closes first, and so has the connection in TIME_WAIT. */
  async timeWait(): Promise<void> {
    const socket = await this.open();
    this.heard = [];
    socket.end();
    await until('its FIN', () => this.heard.some((flags) => flags & FIN), 2);
    this.send(ACK, 0);
    await this.ask(FIN | ACK, 0, ACK);
  }
}

let clients = 0;
const client = () => new Client(clients++);

/** Whether the ACK of a SYN-ACK is taken: the connection then stands. */
async function handshake(ticks: number): Promise<boolean> {
  const one = client();
  await one.ask(SYN, 0, SYN | ACK);
  const [before, known] = [dropped(), sockets.length];
  one.send(ACK, ticks);
  await until('taken or dropped', () => sockets.length > known || dropped() > before, 2);
  return sockets.length > known;
}

async function established(ticks: number): Promise<boolean> {
  const one = client();
  const socket = (await one.open()).resume();
  const before = dropped();
  one.send(PSH | ACK, ticks, new Uint8Array(7));
  await until('taken or dropped', () => socket.bytesRead > 0 || dropped() > before, 2);
  return socket.bytesRead > 0;
}

/** An ACK that comes late, as that of the server's FIN. The SYN after it says that it was looked at. */
async function timeWaitAck(ticks: number): Promise<boolean> {
  const one = client();
  await one.timeWait();
  const before = dropped();
  one.send(ACK, ticks);
  await one.ask(SYN, 1, SYN | ACK);
  return dropped() === before;
}

/** A new connection, with a sequence number below the last one's: only its TSval can say that it is newer. */
async function timeWaitSyn(ticks: number): Promise<boolean> {
  const one = client();
  await one.timeWait();
  await one.ask(SYN, ticks, ACK, ISS - 500);
  return one.heard.some((flags) => flags & SYN);
}

async function each(
  of: (ticks: number) => Promise<boolean>,
  ticks: readonly number[],
): Promise<[number, boolean][]> {
  const all: [number, boolean][] = [];
  for (const each of ticks) all.push([each, await of(each)]);
  return all;
}

const taken = {
  handshake: await each(handshake, [-1, 0]),
  established: await each(established, [-2, -1, 0]),
  'TIME_WAIT, an ACK': await each(timeWaitAck, [-1, 0]),
  'TIME_WAIT, a SYN': await each(timeWaitSyn, [-1, 0, 1]),
};
process.stdout.write(`${JSON.stringify(taken)}\n`);
for (const socket of sockets) socket.destroy();
server.close();
link.close();
