/** Interfaces of a pcapng section: what their packets' times and link types mean. */
import { isLinkTypeRead } from './link-types.ts';
import { PCAP_SNAPLEN } from './pcap.ts';

/** Interface description block, octet offsets: link type, snapshot length, options. */
const LINKTYPE_FIELD = 8;
const SNAPLEN = 12;
const OPTIONS = 16;

/** Its options: a type and a length of 2 octets each, the value padded to 4. */
const OPTION = { end: 0, tsresol: 9, tsoffset: 14 } as const;

/** Where no option says otherwise, times are in microseconds. */
const DEFAULT_UNITS_PER_SEC = 1e6;

/** Up to this, the remainders of a division of 64 bits by 16 at a time are whole numbers in a double. */
const MAX_QUICK_UNITS = 2 ** 37;

/**
 * Why a packet was left out: its link type is not read; its interface's description is damaged, or the file has none; it is
 * longer than its block or than any packet may be; its time is before 1970 or after 2106.
 */
export type LeftOutCause = 'link-type' | 'description' | 'undescribed' | 'length' | 'time';

export interface PcapngInterface {
  /** -1: not known. */
  linkType: number;
  /** Set: its packets can't be read. */
  unreadable: LeftOutCause | undefined;
  snapLength: number;
  /** Units of a time that make a second. */
  unitsPerSec: number;
  /** Seconds to add to each time. */
  offsetSec: number;
}

/**
 * Reads the interface description block at `at`, whose body ends at `end`. Options that are unknown or damaged don't matter,
 * unless they say how to read its packets.
 */
export function readInterface(
  view: DataView,
  at: number,
  end: number,
  littleEndian: boolean,
): PcapngInterface {
  const isWhole = at + OPTIONS <= end;
  const linkType = isWhole ? view.getUint16(at + LINKTYPE_FIELD, littleEndian) : -1;
  const unreadable = isLinkTypeRead(linkType) ? undefined : isWhole ? 'link-type' : 'description';
  const described: PcapngInterface = {
    linkType,
    unreadable,
    snapLength: PCAP_SNAPLEN,
    unitsPerSec: DEFAULT_UNITS_PER_SEC,
    offsetSec: 0,
  };
  if (unreadable !== undefined) return described;
  described.snapLength = view.getUint32(at + SNAPLEN, littleEndian) || PCAP_SNAPLEN;
  for (let p = at + OPTIONS; p + 4 <= end; ) {
    const option = view.getUint16(p, littleEndian);
    const length = view.getUint16(p + 2, littleEndian);
    if (option === OPTION.end) break;
    if (p + 4 + length > end) break;
    if (option === OPTION.tsresol && length === 1) {
      const value = view.getUint8(p + 4);
      // The highest bit says which power it is: of 2 or of 10.
      described.unitsPerSec = value & 0x80 ? 2 ** (value & 0x7f) : 10 ** value;
      if (described.unitsPerSec >= 2 ** 64) described.unreadable = 'description';
    } else if (option === OPTION.tsoffset && length === 8) {
      described.offsetSec = Number(view.getBigInt64(p + 4, littleEndian));
    }
    p += 4 + padded(length);
  }
  return described;
}

/** How many packets were left out, and why. */
export interface LeftOut {
  /** Its number in its section. */
  interface: number;
  linkType: number;
  cause: LeftOutCause;
  packets: number;
}

/** A file's interfaces are few; a hostile one's share the last count. */
const MAX_COUNTS = 1000;

export class LeftOutCounts {
  readonly all: LeftOut[] = [];
  readonly #byKey = new Map<string, LeftOut>();

  /** One more packet of interface `number`; undefined: the file does not describe it. */
  count(number: number, from: PcapngInterface | undefined, cause: LeftOutCause): void {
    const linkType = from?.linkType ?? -1;
    const key = `${number}/${linkType}/${cause}`;
    let found = this.#byKey.get(key);
    if (found === undefined) {
      if (this.all.length === MAX_COUNTS) found = this.all[MAX_COUNTS - 1];
      else {
        found = { interface: number, linkType, cause, packets: 0 };
        this.all.push(found);
        this.#byKey.set(key, found);
      }
    }
    found.packets++;
  }
}

/** Octets that a value of `length` takes in a block. */
function padded(length: number): number {
  return (length + 3) & ~3;
}

/** A packet's time; one instance serves a whole stream. */
export class PcapngTime {
  /** Whole seconds since 1970, and nanoseconds. */
  sec = 0;
  nsec = 0;

  /** Turns a time of 64 bits in the interface's units into whole seconds since 1970 and nanoseconds. */
  read(high: number, low: number, { unitsPerSec, offsetSec }: PcapngInterface): void {
    if (unitsPerSec <= MAX_QUICK_UNITS) {
      // By hand, 16 bits at a time: no double holds 64, and BigInt makes an object a packet.
      let sec = 0;
      let rest = 0;
      for (let i = 0; i < 4; i++) {
        const word = i < 2 ? high : low;
        rest = rest * 65_536 + (i % 2 === 0 ? word >>> 16 : word & 65_535);
        const step = Math.floor(rest / unitsPerSec);
        sec = sec * 65_536 + step;
        rest -= step * unitsPerSec;
      }
      this.sec = sec + offsetSec;
      // Whole for powers of 10; a power of 2 has no whole nanoseconds anyway.
      this.nsec = Math.floor(rest * (1e9 / unitsPerSec));
    } else {
      const units = (BigInt(high) << 32n) | BigInt(low);
      const perSec = BigInt(unitsPerSec);
      this.sec = Number(units / perSec) + offsetSec;
      this.nsec = Number(((units % perSec) * 1_000_000_000n) / perSec);
    }
  }
}
