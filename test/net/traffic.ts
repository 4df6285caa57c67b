import assert from 'node:assert/strict';
import type { Injector } from '../../src/net/injector.ts';
import { ipv4Number, parseAddress } from '../../src/wire/address.ts';
import { foldChecksum, sumWords } from '../../src/wire/checksum.ts';
import type { PacketBlock, PacketSource } from '../../src/wire/packets.ts';
import { HERE, THERE } from './namespaces.ts';

/** Numbered UDP packets whose every octet is known: what the contracts send and look for. */

export const ETHERNET_OCTETS = 14;
export const IP_UDP_OCTETS = 28;
export const HERE_NUMBER = ipv4Number(parseAddress(HERE.address)!);
export const THERE_NUMBER = ipv4Number(parseAddress(THERE.address)!);
/** 10.112.7.9: nobody's. */
export const STRANGER = 0x0a70_0709;

/** Writes a UDP packet into the injector's next slot: `length` octets in all, `number` as the first of its data. */
export function putUdp(
  injector: Injector,
  port: number,
  length: number,
  number: number,
  source = HERE_NUMBER,
): number {
  const at = injector.slot();
  const { view, octets } = injector;
  octets.fill(number & 255, at, at + length);
  view.setUint32(at, 0x4500_0000 | length);
  // An identification of its own, or Linux would choose one. Don't fragment.
  view.setUint32(at + 4, ((((number & 0x7fff) + 1) << 16) | 0x4000) >>> 0);
  view.setUint32(at + 8, 0x4011_0000);
  view.setUint32(at + 12, source);
  view.setUint32(at + 16, THERE_NUMBER);
  view.setUint16(at + 10, foldChecksum(sumWords(octets, at, at + 20)));
  view.setUint16(at + 20, 1234);
  view.setUint16(at + 22, port);
  view.setUint16(at + 24, length - 20);
  // No UDP checksum.
  view.setUint16(at + 26, 0);
  view.setUint32(at + IP_UDP_OCTETS, number);
  return at;
}

/** Packet sizes that go through every remainder and stay within the MTU. */
export const sizeOf = (number: number) => 32 + ((number * 37) % 1400);

export function sendNumbers(injector: Injector, port: number, from: number, to: number): void {
  for (let number = from; number < to; number++) {
    putUdp(injector, port, sizeOf(number), number);
    injector.commit(sizeOf(number), THERE_NUMBER);
  }
  injector.flush();
}

/** Each packet's number, after a look at every octet of it. */
export function numbersOf(block: PacketBlock): number[] {
  return Array.from({ length: block.count }, (_, i) => {
    const ip = block.offset[i] + ETHERNET_OCTETS;
    const number = block.view.getUint32(ip + IP_UDP_OCTETS);
    const size = ETHERNET_OCTETS + sizeOf(number);
    assert.equal(block.wireLength[i], size);
    assert.equal(block.length[i], size);
    const data = block.octets.subarray(ip + IP_UDP_OCTETS + 4, block.offset[i] + size);
    assert.ok(data.every((octet) => octet === (number & 255)));
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
