import type { PacketBlock } from '../../wire/packets.ts';
import { AF_PACKET, check, libc, mapShared, setOption } from '../libc.ts';

/** What packet(7) and linux/if_packet.h have for our rings. */

export const SOL_PACKET = 263;
export const PACKET_IGNORE_OUTGOING = 23;
/** TP_STATUS_USER: filled by the kernel, ours to read. 0 gives it back. */
export const STATUS_USER = 1;
export const ETH_P_ALL = 3;
/** Hardware types of linux/if_arp.h. */
export const ARPHRD_ETHER = 1;
export const ARPHRD_RAWIP = 519;
export const ARPHRD_LOOPBACK = 772;
export const ARPHRD_NONE = 65534;

const PACKET_RX_RING = 5;
const PACKET_VERSION = 10;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_DROP_MEMBERSHIP = 2;
const PACKET_STATISTICS = 6;
const PACKET_MR_PROMISC = 1;
const SOCKADDR_LL_OCTETS = 20;

/** One kind of ring. */
export interface RingReader {
  /** What is ready, if anything; gives back what was handed out last. */
  take(): PacketBlock | undefined;
  /** Whether `count` packets, or a good part of a block of them, are ready. */
  hasReady(count: number): boolean;
}

/** struct sockaddr_ll, which a ring has behind each packet's header: the interface's index, and PACKET_OUTGOING or another type. */
const SLL_INDEX = 4;
const SLL_TYPE = 10;
const PACKET_OUTGOING = 4;

/** Which interface shows a packet, and which way it goes; `at`: where its sockaddr_ll begins. */
export function placeOf(view: DataView, at: number): number {
  const isOutgoing = view.getUint8(at + SLL_TYPE) === PACKET_OUTGOING;
  return 2 * view.getInt32(at + SLL_INDEX, true) + (isOutgoing ? 1 : 0);
}

/** The memory of a ring, in words of its headers' sizes. */
export interface RingMemory {
  octets: Uint8Array;
  halves: Uint16Array;
  words: Uint32Array;
  signed: Int32Array;
}

/**
 * Makes a ring on a packet socket that is not yet bound to a protocol. `request` is a struct tpacket_req, or tpacket_req3:
 * block size, blocks, …
 */
export function makeRing(fd: number, version: number, request: Uint32Array): RingMemory {
  const octets = request[0] * request[1];
  setOption(fd, SOL_PACKET, PACKET_VERSION, version, 'PACKET_VERSION');
  setOption(
    fd,
    SOL_PACKET,
    PACKET_RX_RING,
    request,
    `a ring of ${octets >> 20} MiB (try a smaller --buffer)`,
  );
  const region = mapShared(fd, octets, 'mmap of the ring');
  return {
    octets: new Uint8Array(region),
    halves: new Uint16Array(region),
    words: new Uint32Array(region),
    signed: new Int32Array(region),
  };
}

/** struct sockaddr_ll: family, protocol (network order), index; hardware type at 8. */
export function bindPacket(fd: number, index: number, protocol: number): void {
  const address = new DataView(new ArrayBuffer(SOCKADDR_LL_OCTETS));
  address.setUint16(0, AF_PACKET, true);
  address.setUint16(2, protocol);
  address.setInt32(4, index, true);
  check(libc().bind(fd, new Uint8Array(address.buffer), SOCKADDR_LL_OCTETS), 'bind');
}

export function hardwareType(fd: number): number {
  const address = new Uint8Array(SOCKADDR_LL_OCTETS);
  check(libc().getsockname(fd, address, Uint32Array.of(SOCKADDR_LL_OCTETS)), 'getsockname');
  return address[8] | (address[9] << 8);
}

/** struct packet_mreq: index, type, address length, address. */
export function setPromiscuous(fd: number, index: number, on: boolean): void {
  const request = new DataView(new ArrayBuffer(16));
  request.setInt32(0, index, true);
  request.setUint16(4, PACKET_MR_PROMISC, true);
  const change = on ? PACKET_ADD_MEMBERSHIP : PACKET_DROP_MEMBERSHIP;
  setOption(fd, SOL_PACKET, change, request, 'promiscuous mode');
}

/** What the kernel counted on a packet socket since the last call: reading sets it to zero. */
export class KernelCounts {
  /** Packets put into the ring, and packets for which there was no room, since the socket was opened. */
  captured = 0;
  dropped = 0;
  #fd: number;
  /** struct tpacket_stats_v3: packets (dropped ones included), drops, freezes. */
  #values = new Uint32Array(3);
  #length = new Uint32Array(1);

  constructor(fd: number) {
    this.#fd = fd;
  }

  read(): void {
    this.#length[0] = this.#values.byteLength;
    check(
      libc().getsockopt(this.#fd, SOL_PACKET, PACKET_STATISTICS, this.#values, this.#length),
      'PACKET_STATISTICS',
    );
    this.captured += this.#values[0] - this.#values[1];
    this.dropped += this.#values[1];
  }
}
