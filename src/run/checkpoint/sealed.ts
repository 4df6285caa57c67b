/**
 * Small JSON files with a sum over what they hold, by which a file that was damaged or edited is known:
 * `{"version": 1, "check": "0a1b2c3d", "holds": …}`. `check` is the xxHash (32 bits) of the version, a colon, and `holds` as JSON.stringify
 * writes it. Earlier builds summed `holds` alone.
 */
import { xxh32 } from '../../archive/xxh32.ts';
import { readRegular } from '../../files.ts';

/** Of a sealed file, and of what it holds. */
const VERSION = 1;

/** No file of ours is near that. */
const MOST_OCTETS = 16 << 20;

/** `spaces`: for people. */
export function seal(holds: unknown, spaces?: number): string {
  // What JSON has no words for (undefined) is gone when it is read.
  const text = JSON.stringify(holds);
  return `${JSON.stringify({ version: VERSION, check: sumOf(VERSION, text), holds }, null, spaces)}\n`;
}

/** What the file holds. Throws an Error that says, in words that follow the file's name and a colon, what is wrong with it. */
export function readSealed(path: string, owner: readonly number[] = []): unknown {
  const text = readRegular(path, MOST_OCTETS, { owner }).toString('utf8');
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (cause) {
    throw new Error(text === '' ? 'it is empty' : 'it is damaged: it is not JSON', { cause });
  }
  const { version, check, holds } = (file ?? {}) as { version?: unknown; check?: unknown; holds?: unknown };
  if (holds === undefined || typeof check !== 'string')
    throw new Error('it is damaged, or another program wrote it');
  const content = JSON.stringify(holds);
  const isRight =
    check === sumOf(version, content) || (version === VERSION && check === sumOfOctets(content));
  if (!isRight) throw new Error('it is damaged, or was edited: its sum is wrong');
  if (version !== VERSION) {
    const found = JSON.stringify(version);
    throw new Error(
      `it has version ${found}, and this mytape reads version ${VERSION} (use the mytape that wrote it)`,
    );
  }
  return holds;
}

function sumOf(version: unknown, text: string): string {
  return sumOfOctets(`${JSON.stringify(version)}:${text}`);
}

function sumOfOctets(text: string): string {
  const octets = Buffer.from(text);
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  return xxh32(view, 0, octets.length).toString(16).padStart(8, '0');
}
