/**
 * IP fragments put together (RFC 791 3.2, RFC 8200 4.5): one whole packet in place of its fragments, in the headers of the
 * first. Bounded in packets, octets and time. Overlapping fragments are an attack, never an accident (RFC 5722): their
 * packet is given up. Fragments seen twice, as by a capture on several interfaces, are not.
 *
 * Where a fragment is missing and the id is used anew, the fragments of two packets may fit each other (RFC 4963: IPv4's ids
 * come round in seconds). A whole whose TCP checksum is wrong is none; where that can't tell, its fragments must have come
 * close together. The last to come then begins another packet.
 */
import type { CaptureNs } from '../time.ts';
import { type FirstFragment, type Fragment, joinFragments } from './fragment-join.ts';
import type { Headers } from './headers.ts';
import { hashOctets } from './octet-hash.ts';
import { PARSE, Segment } from './segment.ts';
import { tcpChecksumOf } from './tcp-checksum.ts';

/** A packet whose fragments don't come within this is given up, ns. RFC 8200 (4.5); Linux waits for half of it. */
const MAX_AGE_NS = 60e9;

/**
 * The same, where no checksum shows that they are one packet. A packet's fragments come within milliseconds; at 20,000
 * packets/s IPv4's ids come round in 3 s.
 */
const MAX_AGE_UNPROVEN_NS = 0.5e9;

/** Packets that are waited for at a time, and octets of theirs that are held. The oldest is given up for a new one. */
const MAX_PACKETS = 4096;
const MAX_HELD_OCTETS = 64 * 1024 * 1024;

/** Whole packets that are remembered, to know their fragments when they are seen again. */
const MAX_REMEMBERED = 1024;

/** A packet in more fragments is made to keep us busy: 1,365 is what the smallest of all links need. */
const MAX_FRAGMENTS = 2048;

/** IP's longest payload. */
const MAX_OCTETS = 65_535;

/** Packets of the capture that are fragments which did not become whole packets, by cause. */
export interface FragmentCounts {
  /** Some of their packet never came, or not in time. */
  incomplete: number;
  /** They overlap, or say different things about the packet's length. */
  conflicting: number;
  /** The same again. */
  repeated: number;
}

export interface WholePacket {
  octets: Uint8Array;
  /** Less than that are captured where a fragment was cut. */
  wireLength: number;
  /** Packets of the capture that it is made of. */
  packets: number;
}

interface Partial {
  key: string;
  at: CaptureNs;
  fragments: Fragment[];
  first: FirstFragment | undefined;
  /** Octets of the whole; -1: the last fragment has not come. */
  total: number;
  received: number;
  held: number;
  /** Its fragments contradict each other: what else comes of it goes, too. */
  bad: boolean;
}

export class FragmentStore {
  readonly counts: FragmentCounts = { incomplete: 0, conflicting: 0, repeated: 0 };
  /** Oldest first. */
  readonly #partials = new Map<string, Partial>();
  /** Fragments of the newest whole packets, by their hashes. */
  readonly #remembered = new Map<string, Partial>();
  readonly #segment = new Segment();
  /** A checksum was right: those of this capture were not all broken by who changed its addresses. */
  #hasChecksums = false;
  #held = 0;

  /** Packets that wait for fragments. */
  get waiting(): number {
    return this.#partials.size;
  }

  /**
   * Takes the fragment that a walk over the headers of the packet at `offset` ended at, captured at `at`. Returns the whole
   * packet where this was the last of it, as octets of its own. Copies. `packets`: how many of the capture's it stands for.
   */
  add(h: Headers, offset: number, at: CaptureNs, linkType: number, packets = 1): WholePacket | undefined {
    this.#expire(at);
    const key = keyOf(h);
    // Not `slice`: a Buffer's is no copy.
    const octets = new Uint8Array(h.octets.subarray(h.at, h.end));
    const fragment: Fragment = {
      offset: h.fragmentOffset,
      wireLength: h.wireEnd - h.at,
      octets,
      hash: hashOctets(octets, 0, octets.length),
      packets,
    };
    const seen = this.#remembered.get(key);
    if (seen !== undefined && Math.abs(at - seen.at) <= MAX_AGE_UNPROVEN_NS && has(seen, fragment)) {
      this.counts.repeated += packets;
      return undefined;
    }
    let partial = this.#partials.get(key) ?? this.#begin(key, at);
    if (has(partial, fragment)) {
      this.counts.repeated += packets;
      return undefined;
    }
    if (partial.bad || !fits(partial, fragment, h.moreFragments)) {
      if (fragment.offset > 0) {
        this.counts.conflicting += packetsOf(partial) + packets;
        this.#spoil(partial);
        return undefined;
      }
      // Another beginning: the id is used anew.
      partial = this.#beginAnew(partial, at);
      if (!fits(partial, fragment, h.moreFragments)) {
        this.counts.conflicting += packets;
        partial.bad = true;
        return undefined;
      }
    }
    this.#put(partial, fragment, h, offset);
    if (partial.received === partial.total && partial.first !== undefined) {
      const whole = this.#join(partial, partial.first, at, linkType);
      if (whole !== 'several') return whole;
      // What came last is of another packet than what had waited.
      partial.fragments.pop();
      partial = this.#beginAnew(partial, at);
      if (fits(partial, fragment, h.moreFragments)) this.#put(partial, fragment, h, offset);
    }
    this.#makeRoom();
    return undefined;
  }

  /** There will be no more: gives up what waits. */
  finish(): void {
    for (const partial of this.#partials.values()) this.#giveUp(partial);
  }

  /** Undefined: no header can say how long it would be. `several`: its fragments are of more packets than one. */
  #join(
    partial: Partial,
    first: FirstFragment,
    at: CaptureNs,
    linkType: number,
  ): WholePacket | undefined | 'several' {
    const whole = joinFragments(first, partial.fragments, partial.total);
    if (whole === undefined) {
      this.counts.conflicting += packetsOf(partial);
      this.#forget(partial);
      return undefined;
    }
    if (!this.#isOne(partial, whole.octets, at, linkType)) return 'several';
    const packets = packetsOf(partial);
    this.#remember(partial);
    return { ...whole, packets };
  }

  #begin(key: string, at: CaptureNs): Partial {
    const partial: Partial = {
      key,
      at,
      fragments: [],
      first: undefined,
      total: -1,
      received: 0,
      held: 0,
      bad: false,
    };
    this.#partials.set(key, partial);
    return partial;
  }

  #beginAnew(partial: Partial, at: CaptureNs): Partial {
    this.#giveUp(partial);
    return this.#begin(partial.key, at);
  }

  /** `fragment` fits, and is the one that a walk over the headers of the packet at `offset` ended at. */
  #put(partial: Partial, fragment: Fragment, h: Headers, offset: number): void {
    if (fragment.offset === 0) partial.first = firstOf(h, offset);
    partial.fragments.push(fragment);
    partial.received += fragment.wireLength;
    partial.held += fragment.octets.length;
    this.#held += fragment.octets.length;
  }

  /** Whether all fragments of `partial`, which make `octets`, are of one packet. */
  #isOne(partial: Partial, octets: Uint8Array, at: CaptureNs, linkType: number): boolean {
    const segment = this.#segment;
    const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
    const isTcp = segment.parse(octets, view, 0, octets.length, linkType) === PARSE.ok;
    const verdict = isTcp ? tcpChecksumOf(segment) : 'unknown';
    if (verdict === 'right') this.#hasChecksums = true;
    if (verdict === 'right' || (verdict === 'wrong' && this.#hasChecksums)) return verdict === 'right';
    return Math.abs(at - partial.at) <= MAX_AGE_UNPROVEN_NS;
  }

  /** Its fragments contradict each other. */
  #spoil(partial: Partial): void {
    this.#held -= partial.held;
    Object.assign(partial, { bad: true, fragments: [], first: undefined, held: 0 });
  }

  #forget(partial: Partial): void {
    this.#partials.delete(partial.key);
    this.#held -= partial.held;
  }

  /** It is whole: its fragments' hashes are enough to know them again. */
  #remember(partial: Partial): void {
    this.#forget(partial);
    this.#remembered.delete(partial.key);
    this.#remembered.set(partial.key, partial);
    partial.first = undefined;
    for (const fragment of partial.fragments) fragment.octets = NONE;
    if (this.#remembered.size > MAX_REMEMBERED)
      this.#remembered.delete(this.#remembered.keys().next().value!);
  }

  #expire(at: CaptureNs): void {
    for (const partial of this.#partials.values()) {
      if (at - partial.at <= MAX_AGE_NS) return;
      this.#giveUp(partial);
    }
  }

  #makeRoom(): void {
    for (const partial of this.#partials.values()) {
      if (this.#partials.size <= MAX_PACKETS && this.#held <= MAX_HELD_OCTETS) return;
      this.#giveUp(partial);
    }
  }

  #giveUp(partial: Partial): void {
    this.#forget(partial);
    this.counts.incomplete += packetsOf(partial);
  }
}

const NONE = new Uint8Array(0);

function packetsOf({ fragments }: Partial): number {
  return fragments.reduce((sum, { packets }) => sum + packets, 0);
}

/** What fragments of one packet have in common (RFC 791 3.2, RFC 8200 4.5), and the network that it is in. */
function keyOf(h: Headers): string {
  const { octets, view, ip, family } = h;
  const [from, to] = family === 4 ? [ip + 12, ip + 20] : [ip + 8, ip + 40];
  const id =
    family === 4 ? `${view.getUint16(ip + 4)}/${octets[ip + 9]}` : view.getUint32(h.fragmentHeaderAt + 4);
  return `${h.network}/${id}/${Buffer.from(octets.buffer, octets.byteOffset + from, to - from).toString('latin1')}`;
}

function has(partial: Partial | undefined, { offset, wireLength, hash }: Fragment): boolean {
  if (partial === undefined) return false;
  return partial.fragments.some(
    (other) => other.offset === offset && other.wireLength === wireLength && other.hash === hash,
  );
}

/** Whether a fragment agrees with those there are; sets the length of the whole where it is the last. */
function fits(partial: Partial, { offset, wireLength }: Fragment, more: boolean): boolean {
  const { fragments } = partial;
  const end = offset + wireLength;
  if (fragments.length === MAX_FRAGMENTS || wireLength <= 0 || end > MAX_OCTETS) return false;
  if (more && wireLength % 8 !== 0) return false;
  if (!more && partial.total >= 0) return false;
  const total = more ? partial.total : end;
  if (total >= 0 && end > total) return false;
  for (const other of fragments) {
    const otherEnd = other.offset + other.wireLength;
    if (end > other.offset && offset < otherEnd) return false;
    if (total >= 0 && otherEnd > total) return false;
  }
  partial.total = total;
  return true;
}

function firstOf(h: Headers, offset: number): FirstFragment {
  const relative = (at: number) => at - offset;
  return {
    octets: new Uint8Array(h.octets.subarray(offset, h.at)),
    ip: relative(h.ip),
    fragmentHeader: relative(h.fragmentHeaderAt),
    family: h.family,
    nextHeaderAt: relative(h.nextHeaderAt),
    lengthAt: Array.from(h.lengthAt.subarray(0, h.lengths), relative),
    lengthKind: [...h.lengthKind.subarray(0, h.lengths)],
    llcEnd: relative(h.llcEnd),
  };
}
