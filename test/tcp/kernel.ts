/** Runs scripts (test/tcp/scenarios/README.md) against the Linux kernel: a client of its own, and we are its network. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { setOption } from '../../src/net/libc.ts';
import { type Address, ipv4Number } from '../../src/wire/address.ts';
import { foldChecksum, sumWords } from '../../src/wire/checksum.ts';
import { CTL, type Segment } from '../../src/wire/segment.ts';
import { KERNEL, type KernelLink, now, peerAddress } from './kernel-link.ts';
import { Backend, type Happened, runScript, streamOctet } from './script.ts';
import { readSegment, type ScriptSegment, writeSegment } from './script-segment.ts';

const IRS = 0xfffffff0;
const PEER_PORT = 3307;

/** The kernel sends when its timers say, and stamps packets itself; what its user is told waits for this process's turn. */
const TOLERANCE_MS = { sent: 30, told: 1_000 };
const TOLERANCE_SHARE = 0.2;

/** How long after it was due something may come to our notice: that says nothing of when it happened. */
const NOTICE_MS = 1_000;

/** After the last line, for what nobody asked for. */
const FINISH_MS = 100;

const IPPROTO_TCP = 6;
const TCP_QUICKACK = 12;

/** What a client sees of its end, by the error's name. */
const TOLD: Record<string, string> = { ECONNREFUSED: 'refused', ECONNRESET: 'reset', ETIMEDOUT: 'failed' };

class KernelSocket extends Backend {
  readonly name = 'kernel';
  readonly comparesWindows = false;
  readonly #link: KernelLink;
  readonly #peer: Address;
  readonly #start = now();
  #socket: Socket | undefined;
  #established = false;
  #iss = 0;
  #port = 0;
  #written = 0;
  #read = 0;
  /** IP header and first 8 octets of the newest segment: what an ICMP message quotes (RFC 792). */
  #newest = new Uint8Array(0);
  /** What went wrong in an event; told at the next step. */
  #failure: unknown;
  #wake: () => void = () => {};

  constructor(link: KernelLink, peer: Address) {
    super();
    this.#link = link;
    this.#peer = peer;
    link.listen(peer, (segment, at) => this.#event(() => this.#sent(segment, at - this.#start)));
  }

  now(): number {
    return now() - this.#start;
  }

  async sleepTo(at: number): Promise<void> {
    // Ahead of the line that is due: what came while it was waited for.
    await sleep(Math.max(0, at - this.now()));
    this.#check();
  }

  async expect(kind: Happened['kind'], due: number, tolerance: number): Promise<void> {
    for (;;) {
      this.#check();
      const left = due + tolerance + NOTICE_MS - this.now();
      if (left <= 0 || this.happened.some((each) => each.kind === kind)) return;
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }

  tolerance(kind: Happened['kind'], after: number): number {
    return Math.max(TOLERANCE_MS[kind], after * TOLERANCE_SHARE);
  }

  call(name: string, argument: number): void {
    if (name === 'connect') this.#connect();
    else if (name === 'write') {
      const from = this.#written;
      this.#written += argument;
      this.#socket?.write(Uint8Array.from({ length: argument }, (_, i) => streamOctet(from + i)));
    } else if (name === 'close') this.#socket?.end();
    else if (name === 'abort') this.#socket?.resetAndDestroy();
    else if (name === 'limitMss') this.#link.inject(this.#tooLong(argument + 40));
    else throw new Error(`nobody can ${name}()`);
  }

  network(wire: ScriptSegment): void {
    if (this.#established) this.#delayAcks();
    const ends = {
      source: this.#peer,
      sourcePort: PEER_PORT,
      destination: KERNEL,
      destinationPort: this.#port,
      sourceIss: IRS,
      destinationIss: this.#iss,
    };
    this.#link.inject(writeSegment(wire, ends, this.stamp, streamOctet));
  }

  endTurn(): void {}

  async finish(): Promise<void> {
    await sleep(FINISH_MS);
    this.#check();
  }

  close(): void {
    this.#link.listen(this.#peer, () => {});
    this.#socket?.destroy();
  }

  #connect(): void {
    const socket = connect({ host: this.#peer.text, port: PEER_PORT, allowHalfOpen: true, noDelay: true });
    this.#socket = socket;
    socket.on('connect', () => {
      this.#established = true;
      this.#event(() => this.told('established'));
    });
    socket.on('data', (octets) =>
      this.#event(() => {
        for (const octet of octets) {
          assert.equal(octet, streamOctet(this.#read), `octet ${this.#read} arrived wrong`);
          this.#read++;
        }
        this.toldData(octets.length);
      }),
    );
    socket.on('end', () => this.#event(() => this.told('fin')));
    socket.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
      this.#established = false;
      this.#event(() => this.told(TOLD[code] ?? code));
    });
    socket.on('close', () => {
      this.#established = false;
    });
  }

  #sent(segment: Segment, at: number): void {
    if (segment.flags & CTL.syn) {
      this.#iss = segment.seq;
      this.#port = segment.srcPort;
    }
    const { ipOffset } = segment;
    this.#newest = segment.octets.slice(ipOffset, ipOffset + 28);
    const read = readSegment(segment, this.#iss, IRS);
    for (let i = 0; i < read.length; i++) {
      const place = read.seq - 1 + i;
      assert.equal(
        segment.octets[segment.dataOffset + i],
        streamOctet(place),
        `octet ${place} was sent wrong`,
      );
    }
    this.sent(read, at);
  }

  /**
   * Linux acknowledges the first segments of a connection, and those after a loss, at once, and delays later: it is held to the latter,
   * as in the midst of requests and replies.
   */
  #delayAcks(): void {
    const { _handle } = this.#socket as unknown as { _handle: { fd: number } | null };
    if (_handle !== null) setOption(_handle.fd, IPPROTO_TCP, TCP_QUICKACK, 0, 'TCP_QUICKACK');
  }

  /** ICMP's "fragmentation needed" with the MTU of the next hop: RFC 792, RFC 1191 (4). */
  #tooLong(mtu: number): Uint8Array {
    const packet = new Uint8Array(28 + this.#newest.length);
    const view = new DataView(packet.buffer);
    view.setUint32(0, (0x4500 << 16) | packet.length);
    view.setUint32(8, 0x40010000);
    view.setUint32(12, ipv4Number(this.#peer));
    view.setUint32(16, ipv4Number(KERNEL));
    view.setUint16(10, foldChecksum(sumWords(packet, 0, 20)));
    view.setUint16(20, 0x0304);
    view.setUint16(26, mtu);
    packet.set(this.#newest, 28);
    view.setUint16(22, foldChecksum(sumWords(packet, 20, packet.length)));
    return packet;
  }

  #event(happens: () => void): void {
    try {
      happens();
    } catch (error) {
      this.#failure ??= error;
    }
    this.#wake();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** Rejects with an AssertionError that names the line. `n` is a peer that no other script has or had. */
export async function runOnKernel(script: string, link: KernelLink, n: number): Promise<void> {
  const socket = new KernelSocket(link, peerAddress(n));
  try {
    await runScript(script, socket);
  } finally {
    socket.close();
  }
}
