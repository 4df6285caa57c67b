/**
 * The network that a kernel's TCP is tried on: a veth pair in the network namespace of this process. At one end the kernel
 * has an address; the other end is the network, where we catch what it sends and inject what we like. Nobody else is there.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { bindPacket } from '../../src/net/capture/packet-socket.ts';
import { openRing } from '../../src/net/capture/ring.ts';
import { AF_PACKET, check, interfaceIndex, koffi, openSocket, SOCK_RAW } from '../../src/net/libc.ts';
import { captureNow } from '../../src/time.ts';
import { type Address, formatIpv4, parseAddress } from '../../src/wire/address.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';

export const KERNEL = parseAddress('10.98.0.1')!;
/** The next hop to every peer: nobody, at an Ethernet address that is neither end's. */
const ROUTER = '10.98.0.2';
const ROUTER_MAC = '02:00:00:00:00:03';
const KERNEL_MAC = '02:00:00:00:00:01';
const PEERS = 0x0a63_0000;
const ETHERNET_OCTETS = 14;

/**
 * Where Linux leaves something to the operator, what a test needs: RFC 5681 and 6298 as they stand, and nothing remembered
 * from one connection to the next. The window shift that a stock Linux offers comes of the largest tcp_rmem.
 */
const SETTINGS: Record<string, string> = {
  tcp_congestion_control: 'reno',
  tcp_syn_retries: '4',
  tcp_syn_linear_timeouts: '0',
  tcp_no_metrics_save: '1',
  tcp_frto: '0',
  tcp_comp_sack_nr: '0',
  tcp_rmem: '4096 131072 6291456',
  tcp_ecn: '0',
};

/** `at` in ms, as `now` of this file. The segment is good during the call. */
export type OnSegment = (segment: Segment, at: number) => void;

const ORIGIN_SEC = Math.floor(Date.now() / 1000);

/** Ms of the clock that captured packets are stamped by. */
export function now(): number {
  return captureNow(ORIGIN_SEC) / 1e6;
}

/** Peer `n`: the network answers for every address of a range. */
export function peerAddress(n: number): Address {
  return parseAddress(formatIpv4(PEERS + 256 + n))!;
}

export class KernelLink {
  readonly #fd: number;
  readonly #frame = new Uint8Array(2048);
  readonly #send = koffi().load(null).func('int64_t send(int fd, const void *at, size_t length, int flags)');
  readonly #listeners = new Map<string, OnSegment>();
  readonly #close: () => void;

  /** Makes the pair. The namespace is this process's own, and goes with it. */
  constructor() {
    ip('link', 'set', 'lo', 'up');
    ip('link', 'add', 'kernel', 'address', KERNEL_MAC, 'type', 'veth', 'peer', 'name', 'wire');
    // No TSO: each segment comes as it is cut.
    ip('link', 'set', 'kernel', 'gso_max_segs', '1');
    ip('addr', 'add', `${KERNEL.text}/30`, 'dev', 'kernel');
    ip('link', 'set', 'kernel', 'up');
    ip('link', 'set', 'wire', 'up');
    ip('neigh', 'replace', ROUTER, 'lladdr', ROUTER_MAC, 'dev', 'kernel', 'nud', 'permanent');
    ip('route', 'add', `${formatIpv4(PEERS)}/16`, 'via', ROUTER);
    for (const [name, value] of Object.entries(SETTINGS)) writeFileSync(`/proc/sys/net/ipv4/${name}`, value);

    this.#fd = openSocket(AF_PACKET, SOCK_RAW, 0, 'inject on wire');
    bindPacket(this.#fd, interfaceIndex('wire'), 0);
    const frame = Uint8Array.from(`${KERNEL_MAC}:${ROUTER_MAC}:08:00`.split(':'), (octet) =>
      Number(`0x${octet}`),
    );
    this.#frame.set(frame);
    const source = openRing({
      iface: 'wire',
      filter: `tcp and src host ${KERNEL.text}`,
      mode: 'latency',
      bufferOctets: 4 << 20,
      originSec: ORIGIN_SEC,
    });
    this.#close = () => source.close();
    void this.#capture(source);
  }

  /** Whatever the kernel sends to `peer` from now on. */
  listen(peer: Address, onSegment: OnSegment): void {
    this.#listeners.set(peer.text, onSegment);
  }

  /** The kernel receives this IP packet. */
  inject(packet: Uint8Array): void {
    this.#frame.set(packet, ETHERNET_OCTETS);
    check(this.#send(this.#fd, this.#frame, ETHERNET_OCTETS + packet.length, 0), 'send');
  }

  close(): void {
    this.#close();
  }

  async #capture(source: ReturnType<typeof openRing>): Promise<void> {
    const segment = new Segment();
    for await (const block of source) {
      for (let i = 0; i < block.count; i++) {
        const { octets, view } = block;
        if (segment.parse(octets, view, block.offset[i], block.length[i], source.linkType) !== PARSE.ok)
          continue;
        this.#listeners.get(formatIpv4(segment.dst))?.(segment, block.at[i] / 1e6);
      }
    }
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
