/** The golden captures of fixtures/: README.md there says what is in each. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { DecodeOptions } from '../../../src/flow/decode.ts';
import { KeyLog } from '../../../src/tls/key-log.ts';
import { TlsStream } from '../../../src/tls/stream.ts';
import type { PacketSource } from '../../../src/wire/packets.ts';
import { type Decoded, decode, FIXTURE_PORT, fixture, pcapSource } from './capture.ts';

const FOLDER = new URL('../../../../fixtures/', import.meta.url);
const PCAP = '.pcap';

/** All of them, by name. */
export const GOLDEN: readonly string[] = readdirSync(FOLDER)
  .filter((file) => file.endsWith(PCAP))
  .map((file) => file.slice(0, -PCAP.length))
  .sort();

/** Where a capture's file with this ending lies. */
export function goldenPath(name: string, ending = PCAP): string {
  return fileURLToPath(new URL(name + ending, FOLDER));
}

/** The key log that lies beside a capture, if one does. */
export function keysOf(name: string): string | undefined {
  const path = goldenPath(name, '.keys');
  return existsSync(path) ? path : undefined;
}

/** How its TLS is read; undefined where it has no keys. */
export function openTlsOf(name: string): DecodeOptions['openTls'] {
  const path = keysOf(name);
  if (path === undefined) return undefined;
  const keys = KeyLog.parse(readFileSync(path, 'utf8'));
  return (plain) => new TlsStream(keys, plain);
}

/** What the decoder tells of it. */
export function decodeGolden(name: string): Promise<Decoded> {
  return decodePackets(name, pcapSource(fixture(name)));
}

/** What the decoder tells of these packets, with the keys of the capture `name`. */
export function decodePackets(name: string, source: PacketSource): Promise<Decoded> {
  return decode(source, [FIXTURE_PORT], openTlsOf(name));
}
