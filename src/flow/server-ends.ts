import { type Address, ipv4Number } from '../wire/address.ts';
import type { Segment } from '../wire/segment.ts';

/** Where a server listens; without address: anybody at that port. */
export interface ServerEnd {
  address?: Address | undefined;
  port: number;
}

/** A server listens at the port: any server, or only those of certain addresses. */
const ANY = 1;
const SOME = 2;

/** Tells the packets of some servers from all others, without an object for each packet. */
export class ServerEnds {
  readonly #ports = new Uint8Array(65_536);
  /** IPv4: address and port as one number. */
  readonly #ends4 = new Set<number>();
  readonly #ends6: { octets: Uint8Array; port: number }[] = [];

  constructor(servers: readonly ServerEnd[]) {
    for (const { address, port } of servers) {
      this.#ports[port] |= address === undefined ? ANY : SOME;
      if (address?.family === 4) this.#ends4.add(ipv4Number(address) * 65_536 + port);
      else if (address !== undefined) this.#ends6.push({ octets: address.octets, port });
    }
  }

  /** Whether `segment` is from or to one of them. */
  has(segment: Segment): boolean {
    const { src, srcPort, srcOffset, dst, dstPort, dstOffset } = segment;
    return this.#isEnd(segment, src, srcPort, srcOffset) || this.#isEnd(segment, dst, dstPort, dstOffset);
  }

  #isEnd({ family, octets }: Segment, address: number, port: number, offset: number): boolean {
    const listens = this.#ports[port];
    if (listens === 0) return false;
    if ((listens & ANY) !== 0) return true;
    return family === 4 ? this.#ends4.has(address * 65_536 + port) : this.#has6(octets, offset, port);
  }

  #has6(octets: Uint8Array, offset: number, port: number): boolean {
    for (const end of this.#ends6) {
      if (end.port !== port) continue;
      let i = 0;
      while (i < 16 && octets[offset + i] === end.octets[i]) i++;
      if (i === 16) return true;
    }
    return false;
  }
}
