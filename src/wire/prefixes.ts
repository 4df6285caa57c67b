import { type Address, addressFromOctets, parseAddress } from './address.ts';

/** What a route is for: all addresses of one IP version whose first `bits` bits are those of `base`. */
export interface Prefix {
  /** Its first address: all bits after the first `bits` are 0. */
  readonly base: Address;
  readonly bits: number;
}

export function widthOf(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** The prefix of that many bits that holds `address`. */
export function prefixOf(address: Address, bits: number): Prefix {
  const octets = address.octets.map((octet, i) => {
    const kept = Math.min(8, Math.max(0, bits - 8 * i));
    return octet & (0xff00 >> kept);
  });
  return { base: addressFromOctets(octets, 0, address.family), bits };
}

/** `10.0.0.0/8`, `fd00::/64`, or one address; undefined where it is none of these, or has bits set after its prefix. */
export function parsePrefix(text: string): Prefix | undefined {
  const [host, length, more] = text.split('/');
  const address = parseAddress(host);
  if (address === undefined || more !== undefined) return undefined;
  const width = widthOf(address.family);
  if (length === undefined) return { base: address, bits: width };
  if (!/^\d{1,3}$/.test(length) || Number(length) > width) return undefined;
  const prefix = prefixOf(address, Number(length));
  return prefix.base.text === address.text ? prefix : undefined;
}

/** As `ip route` writes it: one address without its length. */
export function formatPrefix({ base, bits }: Prefix): string {
  return bits === widthOf(base.family) ? base.text : `${base.text}/${bits}`;
}

/** How many bits two addresses of one family have in common at their beginning. */
export function commonBits(a: Address, b: Address): number {
  for (let i = 0; i < a.octets.length; i++) {
    const differing = a.octets[i] ^ b.octets[i];
    if (differing !== 0) return 8 * i + Math.clz32(differing) - 24;
  }
  return 8 * a.octets.length;
}

export function holds({ base, bits }: Prefix, address: Address): boolean {
  return base.family === address.family && commonBits(base, address) >= bits;
}

/**
 * The widest prefix that holds `address`, has at least `leastBits` bits, and nothing of `kept` in it; undefined where
 * `address` itself is kept.
 */
export function widestAround(
  address: Address,
  leastBits: number,
  kept: readonly Prefix[],
): Prefix | undefined {
  let bits = leastBits;
  for (const each of kept) {
    if (each.base.family !== address.family) continue;
    const common = commonBits(each.base, address);
    if (common >= each.bits) return undefined;
    bits = Math.max(bits, common + 1);
  }
  return prefixOf(address, bits);
}

/** The fewest prefixes that hold the same addresses as `prefixes` (any order, overlaps allowed), in order, IPv4 first. */
export function aggregate(prefixes: readonly Prefix[]): Prefix[] {
  const fewest: Prefix[] = [];
  for (const prefix of [...prefixes].sort(inOrder)) {
    const last = fewest.at(-1);
    if (last !== undefined && holds(last, prefix.base)) continue;
    fewest.push(prefix);
    joinSiblings(fewest);
  }
  return fewest;
}

/** Makes one of the last two, as long as they are the halves of one. */
function joinSiblings(prefixes: Prefix[]): void {
  while (prefixes.length > 1) {
    const [lower, upper] = prefixes.slice(-2);
    const isPair = lower.bits === upper.bits && lower.base.family === upper.base.family;
    if (!isPair || commonBits(lower.base, upper.base) !== lower.bits - 1) return;
    prefixes.splice(-2, 2, { base: lower.base, bits: lower.bits - 1 });
  }
}

function inOrder(a: Prefix, b: Prefix): number {
  if (a.base.family !== b.base.family) return a.base.family - b.base.family;
  const at = Math.min(commonBits(a.base, b.base) >> 3, a.base.octets.length - 1);
  return a.base.octets[at] - b.base.octets[at] || a.bits - b.bits;
}
