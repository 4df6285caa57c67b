/**
 * The walk over a packet's headers, from the link layer through tunnels to TCP: its state. header-walk.ts makes it go; each
 * kind of header has a function in link-layer.ts, ethernet.ts, ip.ts or tunnels.ts that reads one header and returns the
 * next step. Nothing is copied: all results are offsets.
 */

/** What comes next at `at`; from `tcp` on the walk is over. */
export const STEP = {
  ethernet: 0,
  /** Whatever `type` says as an EtherType. */
  ethertype: 1,
  llc: 2,
  ppp: 3,
  ip: 4,
  /** Whatever `type` says as an IP protocol number. */
  protocol: 5,
  gre: 6,
  udp: 7,
  mpls: 8,
  tcp: 9,
  fragment: 10,
  /** Something that is neither TCP nor leads there: `stop` and `type` say what. */
  other: 11,
  truncated: 12,
  malformed: 13,
} as const;

/** What the walk ended at where it ended with `other`: says how `type` is to be read. */
export const STOP = {
  linkType: 0,
  etherType: 1,
  llc: 2,
  ppp: 3,
  protocol: 4,
  /** A tunnel's header that is not as it should be, or of a kind that is not read. `type`: a bit of LAYER. */
  tunnel: 5,
  /** An 802.11 frame that is not data or is encrypted. */
  wireless: 6,
} as const;

/** Encapsulations that the walk took off, as bits. VLAN tags and LLC belong to the link and are not listed. */
export const LAYER = {
  mpls: 1,
  pppoe: 2,
  ipInIp: 4,
  gre: 8,
  erspan: 16,
  vxlan: 32,
  geneve: 64,
  ah: 128,
  etherIp: 256,
  macInMac: 512,
} as const;

/** Length fields that enclose what is behind them: with what a joined packet must mend (fragments.ts). */
export const LENGTH = { ipv4: 0, ipv6: 1, udp: 2, pppoe: 3, ieee8023: 4, pptp: 5 } as const;

/** No real packet has more; a walk that finds more ends as malformed. */
export const MAX_LENGTHS = 16;

export class Headers {
  octets: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(new ArrayBuffer(0));
  /** Where the next header begins. */
  at = 0;
  /** Where the captured octets of what encloses it end … */
  end = 0;
  /** … and where it ended on the wire. */
  wireEnd = 0;
  /** What the last header said comes next; see STEP and STOP. */
  type = 0;
  stop = 0;
  /** Bits of LAYER. */
  layers = 0;
  /** The innermost IP header, or -1. */
  ip = -1;
  /** Its version, 4 or 6. */
  family = 4;
  /** Tells networks apart that may use the same addresses: made of VLAN ids, VNIs and GRE keys. */
  network = 0;
  /** Where the octet stands that names what follows an IPv6 header or one of its extension headers. */
  nextHeaderAt = 0;
  /** Of a fragment: its place in the whole, and whether more follow. Its octets begin at `at`. */
  fragmentOffset = 0;
  moreFragments = false;
  /** Where the IPv6 fragment header begins. */
  fragmentHeaderAt = 0;
  /** Length fields, outermost first: where each stands, and what it is (LENGTH). */
  readonly lengthAt = new Uint32Array(MAX_LENGTHS);
  readonly lengthKind = new Uint8Array(MAX_LENGTHS);
  lengths = 0;
  /** Where the LLC header behind an 802.3 length field ends. */
  llcEnd = 0;

  begin(octets: Uint8Array, view: DataView, offset: number, length: number): void {
    this.octets = octets;
    this.view = view;
    this.at = offset;
    this.end = offset + length;
    this.wireEnd = this.end;
    this.layers = 0;
    this.ip = -1;
    this.network = 0;
    this.lengths = 0;
  }

  /** Whether `octets` more are captured. */
  has(octets: number): boolean {
    return this.at + octets <= this.end;
  }

  /** What is being read ends at `wireEnd`: what is behind that is padding, or a checksum of the frame. */
  limit(wireEnd: number): void {
    this.wireEnd = wireEnd;
    if (wireEnd < this.end) this.end = wireEnd;
  }

  /** Notes a length field at `at`. False: there are too many. */
  note(kind: number, at: number): boolean {
    if (this.lengths === MAX_LENGTHS) return false;
    this.lengthKind[this.lengths] = kind;
    this.lengthAt[this.lengths++] = at;
    return true;
  }

  /** Goes into the network `id` of the one that it is in. */
  enter(id: number): void {
    this.network = (Math.imul(this.network, 31) + id + 1) >>> 0;
  }

  other(stop: number, type: number): number {
    this.stop = stop;
    this.type = type;
    return STEP.other;
  }
}
