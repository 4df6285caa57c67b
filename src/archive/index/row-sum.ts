import { xxh32 } from '../xxh32.ts';
import type { Column } from './columns.ts';

/** What stands before each value. */
const TAG = { null: 0, number: 1, text: 2, blob: 3 } as const;

const NUMBER_OCTETS = 9;
/** Of a text or a blob: its tag and its length. */
const HEAD_OCTETS = 5;

/** Characters of a text that are written one by one. */
const MOST_BY_HAND = 64;

let octets = Buffer.alloc(4096);
let view = new DataView(octets.buffer, octets.byteOffset, octets.length);

/**
 * The sum of a row: xxh32 of the table's name, then each column's value but the sum, in order, little-endian: 0 for NULL; 1 and a
 * number as a double; 2, the length in 4 octets, and a text as UTF-8; 3, the length in 4 octets, and a blob. `values` are as SQLite has
 * them, by the columns' places.
 */
export function rowSum(table: string, columns: readonly Column[], values: readonly unknown[]): number {
  let at = text(table, 0);
  for (let i = 0; i < columns.length; i++) {
    if (columns[i].name === 'sum') continue;
    const value = values[i];
    if (typeof value === 'number') {
      makeRoom(at + NUMBER_OCTETS, at);
      octets[at] = TAG.number;
      view.setFloat64(at + 1, value, true);
      at += NUMBER_OCTETS;
    } else if (typeof value === 'string') {
      at = text(value, at);
    } else if (value instanceof Uint8Array) {
      makeRoom(at + HEAD_OCTETS + value.length, at);
      octets[at] = TAG.blob;
      view.setUint32(at + 1, value.length, true);
      octets.set(value, at + HEAD_OCTETS);
      at += HEAD_OCTETS + value.length;
    } else {
      makeRoom(at + 1, at);
      octets[at++] = TAG.null;
    }
  }
  return xxh32(view, 0, at);
}

function text(value: string, at: number): number {
  makeRoom(at + HEAD_OCTETS + 3 * value.length, at);
  octets[at] = TAG.text;
  const from = at + HEAD_OCTETS;
  let length = value.length;
  // Most texts are short ASCII, for which a call into Node costs more than the writing.
  for (let i = 0; i < length; i++) {
    const code = value.charCodeAt(i);
    octets[from + i] = code;
    if (code < 0x80 && i < MOST_BY_HAND) continue;
    length = octets.write(value, from, 'utf8');
    break;
  }
  view.setUint32(at + 1, length, true);
  return at + HEAD_OCTETS + length;
}

/** Has room for `needed` octets, and keeps the first `used`. */
function makeRoom(needed: number, used: number): void {
  if (needed <= octets.length) return;
  const larger = Buffer.alloc(2 * needed);
  octets.copy(larger, 0, 0, used);
  octets = larger;
  view = new DataView(octets.buffer, octets.byteOffset, octets.length);
}
