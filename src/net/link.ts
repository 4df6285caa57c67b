import type { Address } from '../wire/address.ts';
import { AF_PACKET, addressOf, libc, openSocket, SOCK_DGRAM, setSendBuffer } from './libc.ts';
import { type Neighbour, Neighbours } from './neighbour.ts';

/** struct sockaddr_ll: family, protocol (network order), index, …, address length at 11, address at 12. */
export const SOCKADDR_LL_OCTETS = 20;
const SLL_PROTOCOL = 2;
const SLL_INDEX = 4;
const SLL_LENGTH = 11;
const SLL_ADDRESS = 12;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const MAC_OCTETS = 6;

const SEND_BUFFER_OCTETS = 4 << 20;

/** How often a neighbour that is not known, or did not take packets, is looked for again, ms. */
const LOOK_AGAIN_MS = 1_000;

/**
 * How long one that is known is used before the kernel gets a batch to send, ms: what it sends keeps its table true, and
 * shows when the neighbour has moved.
 */
const USE_MS = 5_000;

/**
 * The short way to one host: IP packets given straight to the link, past routing and the rest of IP's output. That costs
 * half of what a raw socket does (docs/performance.md). Only while the kernel knows the neighbour's Ethernet address.
 */
export class LinkPath {
  readonly target: Address;
  readonly fd: number;
  /** The sockaddr_ll of the neighbour, for every message alike. */
  readonly addressAt: number;
  readonly #address = new DataView(new ArrayBuffer(SOCKADDR_LL_OCTETS));
  readonly #neighbours = new Neighbours();
  #known: Neighbour | undefined;
  #lookAt = 0;

  constructor(target: Address) {
    this.target = target;
    this.fd = openSocket(AF_PACKET, SOCK_DGRAM, 0, 'send packets with addresses of our choice');
    setSendBuffer(this.fd, SEND_BUFFER_OCTETS);
    this.#address.setUint16(0, AF_PACKET, true);
    this.#address.setUint16(SLL_PROTOCOL, target.family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
    this.#address.setUint8(SLL_LENGTH, MAC_OCTETS);
    this.addressAt = addressOf(this.#address);
  }

  /** Whether the next batch may take this way. `now` in ms, of any clock that does not step back. */
  usable(now: number): boolean {
    if (now < this.#lookAt) return this.#known !== undefined;
    const before = this.#known;
    this.#known = this.#look();
    this.#lookAt = now + (this.#known === undefined ? LOOK_AGAIN_MS : USE_MS);
    // Every so often one batch goes by the kernel.
    return this.#known !== undefined && before === undefined;
  }

  /** A packet was refused: back to the kernel's way for a while. */
  failed(now: number): void {
    this.#known = undefined;
    this.#lookAt = now + LOOK_AGAIN_MS;
  }

  close(): void {
    libc().close(this.fd);
    this.#neighbours.close();
  }

  #look(): Neighbour | undefined {
    const neighbour = this.#neighbours.next(this.target);
    if (neighbour !== undefined) {
      this.#address.setInt32(SLL_INDEX, neighbour.index, true);
      for (let i = 0; i < MAC_OCTETS; i++) this.#address.setUint8(SLL_ADDRESS + i, neighbour.mac[i]);
    }
    return neighbour;
  }
}
