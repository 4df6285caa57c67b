/** A host's address. IPv4 also as a number, because the flow tables key it so. */
export interface Address {
  readonly family: 4 | 6;
  /** 4 or 16 octets. */
  readonly octets: Uint8Array;
  /** As people write it; also serves as a key. */
  readonly text: string;
}

export function formatIpv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups as `::`. */
export function formatIpv6(octets: Uint8Array, offset = 0): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((octets[offset + i] << 8) | octets[offset + i + 1]);
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let j = i;
    while (j < 8 && groups[j] === 0) j++;
    if (j - i > bestLength) {
      best = i;
      bestLength = j - i;
    }
    if (j > i) i = j;
  }
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(':');
  return best < 0 ? hex(groups) : `${hex(groups.slice(0, best))}::${hex(groups.slice(best + bestLength))}`;
}

export function addressFromOctets(octets: Uint8Array, offset: number, family: number): Address {
  // Not `slice`: a Buffer's makes no copy.
  const own = new Uint8Array(octets.subarray(offset, offset + (family === 4 ? 4 : 16)));
  return family === 4
    ? { family: 4, octets: own, text: `${own[0]}.${own[1]}.${own[2]}.${own[3]}` }
    : { family: 6, octets: own, text: formatIpv6(own) };
}

/** An address as people write it, or undefined where it is none. */
export function parseAddress(text: string): Address | undefined {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (v4) {
    const octets = Uint8Array.from(v4.slice(1), Number);
    if (v4.slice(1).some((part) => Number(part) > 255)) return undefined;
    return addressFromOctets(octets, 0, 4);
  }
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  // RFC 4291 2.2 (3): the last 32 bits may be written as IPv4 is.
  if (dotted) {
    const tail = parseAddress(dotted[2]);
    if (tail === undefined) return undefined;
    const value = ipv4Number(tail);
    return parseAddress(`${dotted[1]}${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`);
  }
  const halves = text.split('::');
  if (halves.length > 2 || !text.includes(':')) return undefined;
  const parse = (half: string) => (half === '' ? [] : half.split(':'));
  const head = parse(halves[0]);
  const tail = halves.length === 2 ? parse(halves[1]) : [];
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array<string>(Math.max(0, missing)).fill('0'), ...tail];
  const octets = new Uint8Array(16);
  for (let i = 0; i < 8; i++) {
    if (!/^[0-9a-f]{1,4}$/i.test(groups[i])) return undefined;
    const value = Number.parseInt(groups[i], 16);
    octets[2 * i] = value >> 8;
    octets[2 * i + 1] = value & 255;
  }
  return addressFromOctets(octets, 0, 6);
}

/** An IPv4 address as an unsigned number in network order. */
export function ipv4Number(address: Address): number {
  const o = address.octets;
  return ((o[0] << 24) | (o[1] << 16) | (o[2] << 8) | o[3]) >>> 0;
}

export function ipv4Address(value: number): Address {
  return addressFromOctets(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value), 0, 4);
}

/** `10.0.0.5:3307`, `[fd00::5]:3307`, `db.example:3307`: an address or a name, and a port. */
export function endpointText(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** 127.0.0.0/8, also within IPv6 (::ffff:127.0.0.1), and ::1: what never leaves this host. Of the address, not of how it is written. */
export function isLoopback({ family, octets }: Address): boolean {
  if (family === 4) return octets[0] === 127;
  if (octets.subarray(0, 10).some((octet) => octet !== 0)) return false;
  if (octets[10] === 0xff && octets[11] === 0xff) return octets[12] === 127;
  return octets[15] === 1 && octets.subarray(10, 15).every((octet) => octet === 0);
}
