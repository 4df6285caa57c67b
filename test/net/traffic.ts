import assert from 'node:assert/strict';
import type { Injector } from '../../src/net/injector.ts';
import { type Address, addressFromOctets, parseAddress } from '../../src/wire/address.ts';
import { foldChecksum, sumWords } from '../../src/wire/checksum.ts';
import type { PacketBlock, PacketSource } from '../../src/wire/packets.ts';
import { HERE, THERE } from './namespaces.ts';

/** Numbered UDP packets whose every octet is known: what the contracts send and look for. */

export const ETHERNET_OCTETS = 14;
const UDP_OCTETS = 8;
export const FAMILIES = [4, 6] as const;
export type Family = (typeof FAMILIES)[number];
const OURS = { 4: parseAddress(HERE.address)!, 6: parseAddress(HERE.address6)! };
export const THEIRS = { 4: parseAddress(THERE.address)!, 6: parseAddress(THERE.address6)! };
const ipOctets = (family: number) => (family === 4 ? 20 : 40);

/** An address of nobody's, another for each number below 200. */
export function stranger(family: Family, number: number): Address {
  const { octets } = parseAddress(family === 4 ? '10.112.7.9' : 'fd00:112::7:9')!;
  octets[octets.length - 1] += number;
  return addressFromOctets(octets, 0, family);
}

/** Writes a UDP packet into the injector's next slot: `length` octets in all, `number` as the first of its data. */
export function putUdp(
  injector: Injector,
  port: number,
  length: number,
  number: number,
  family: Family = 4,
  source: Address = OURS[family],
  destination: Address = THEIRS[family],
): number {
  const at = injector.slot();
  const { view, octets } = injector;
  octets.fill(number & 255, at, at + length);
  const udp = at + ipOctets(family);
  if (family === 4) {
    view.setUint32(at, 0x4500_0000 | length);
    // An identification of its own, or Linux would choose one. Don't fragment.
    view.setUint32(at + 4, ((((number & 0x7fff) + 1) << 16) | 0x4000) >>> 0);
    view.setUint32(at + 8, 0x4011_0000);
    octets.set(source.octets, at + 12);
    octets.set(destination.octets, at + 16);
    view.setUint16(at + 10, foldChecksum(sumWords(octets, at, at + 20)));
  } else {
    view.setUint32(at, 0x6000_0000);
    view.setUint32(at + 4, (((length - 40) << 16) | 0x1140) >>> 0);
    octets.set(source.octets, at + 8);
    octets.set(destination.octets, at + 24);
  }
  view.setUint16(udp, 1234);
  view.setUint16(udp + 2, port);
  view.setUint16(udp + 4, length - ipOctets(family));
  // No UDP checksum: nobody listens there.
  view.setUint16(udp + 6, 0);
  view.setUint32(udp + UDP_OCTETS, number);
  return at;
}

/** Packet sizes that go through every remainder and stay within the MTU. */
export const sizeOf = (number: number) => 52 + ((number * 37) % 1400);

export function sendNumbers(
  injector: Injector,
  port: number,
  from: number,
  to: number,
  family: Family = 4,
): void {
  for (let number = from; number < to; number++) {
    putUdp(injector, port, sizeOf(number), number, family);
    injector.commit(sizeOf(number));
  }
  injector.flush();
}

/** Each packet's number, after a look at every octet of it. */
export function numbersOf(block: PacketBlock): number[] {
  return Array.from({ length: block.count }, (_, i) => {
    const ip = block.offset[i] + ETHERNET_OCTETS;
    const data = ip + ipOctets(block.octets[ip] >> 4) + UDP_OCTETS;
    const number = block.view.getUint32(data);
    const size = ETHERNET_OCTETS + sizeOf(number);
    assert.equal(block.wireLength[i], size);
    assert.equal(block.length[i], size);
    const rest = block.octets.subarray(data + 4, block.offset[i] + size);
    assert.ok(rest.every((octet) => octet === (number & 255)));
    return number;
  });
}

export async function numbersFrom(source: PacketSource, onBlock?: (all: number[]) => void | Promise<void>) {
  const numbers: number[] = [];
  for await (const block of source) {
    numbers.push(...numbersOf(block));
    await onBlock?.(numbers);
  }
  return numbers;
}

export const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
