/**
 * A session's blocks as octets: each block's number as its distance from the one before (the first: from the number that
 * the list is filed under), in base 128, least significant first, high bit set on all but the last octet.
 */

/** Packs ascending `blocks`; the first of them is what the list is filed under. */
export function packBlocks(blocks: readonly number[]): Uint8Array {
  const octets: number[] = [];
  let previous = blocks[0];
  for (const block of blocks) {
    let distance = block - previous;
    for (; distance > 127; distance = Math.floor(distance / 128)) octets.push((distance % 128) + 128);
    octets.push(distance);
    previous = block;
  }
  return Uint8Array.from(octets);
}

/**
 * Calls `visit` with each block of a list that is filed under `first`, ascending. Returns false, and stops, at what `packBlocks` would
 * not have made.
 */
export function unpackBlocks(first: number, octets: Uint8Array, visit: (block: number) => void): boolean {
  let block = first;
  let distance = 0;
  let unit = 1;
  let isFirst = true;
  for (const octet of octets) {
    distance += (octet & 127) * unit;
    unit *= 128;
    if (octet & 128) continue;
    block += distance;
    if ((distance === 0) !== isFirst || !Number.isSafeInteger(block)) return false;
    isFirst = false;
    visit(block);
    distance = 0;
    unit = 1;
  }
  return unit === 1 && !isFirst;
}
