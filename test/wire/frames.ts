/** Packets in their encapsulations, put together header by header. */
import { foldChecksum, sumWords } from '../../src/wire/checksum.ts';
import { LINKTYPE } from '../../src/wire/link-types.ts';

type Octets = Uint8Array;

export function join(...parts: (Octets | readonly number[])[]): Octets {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

export function u16(value: number): number[] {
  return [(value >> 8) & 0xff, value & 0xff];
}

export function u32(value: number): number[] {
  return [...u16(value >>> 16), ...u16(value & 0xffff)];
}

const MACS = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/** Carries `payload`, an IP packet, by what its version says. */
function typeOf(payload: Octets): number {
  return payload[0] >> 4 === 6 ? 0x86dd : 0x0800;
}

export function ethernet(payload: Octets, type = typeOf(payload), macs: readonly number[] = MACS): Octets {
  return join(macs, u16(type), payload);
}

/** A tag of type `tag`, as what stands behind the type field of an Ethernet frame. */
export function tagged(payload: Octets, type = typeOf(payload), id = 5): Octets {
  return join(u16(id), u16(type), payload);
}

/** 802.3 with LLC and SNAP. */
export function snapFrame(payload: Octets, type = typeOf(payload)): Octets {
  const llc = join([0xaa, 0xaa, 3, 0, 0, 0], u16(type), payload);
  return join(MACS, u16(llc.length), llc);
}

export interface Ipv4Options {
  src?: readonly number[];
  dst?: readonly number[];
  id?: number;
  /** Flags and offset. */
  fragment?: number;
  options?: readonly number[];
}

export function ipv4(protocol: number, payload: Octets, fields: Ipv4Options = {}): Octets {
  const { src = [192, 0, 2, 1], dst = [192, 0, 2, 2], id = 7, fragment = 0, options = [] } = fields;
  const header = 20 + options.length;
  const packet = join(
    [0x40 | (header >> 2), 0],
    u16(header + payload.length),
    u16(id),
    u16(fragment),
    [64, protocol, 0, 0, ...src, ...dst, ...options],
    payload,
  );
  packet.set(u16(foldChecksum(sumWords(packet, 0, header))), 10);
  return packet;
}

const V6_SRC = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const V6_DST = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

export function ipv6(next: number, payload: Octets): Octets {
  return join([0x60, 0, 0, 0], u16(payload.length), [next, 64], V6_SRC, V6_DST, payload);
}

export function udp(payload: Octets, port: number): Octets {
  return join(u16(50_000), u16(port), u16(8 + payload.length), [0, 0], payload);
}

export function vxlan(frame: Octets, vni = 42): Octets {
  return join([8, 0, 0, 0], u32(vni << 8), frame);
}

export function geneve(payload: Octets, type = 0x6558, options: readonly number[] = []): Octets {
  return join([options.length >> 2, 0], u16(type), u32(42 << 8), options, payload);
}

/** Flags, protocol, and what optional fields the flags say there are. */
export function gre(payload: Octets, type: number, flags = 0, fields: readonly number[] = []): Octets {
  return join(u16(flags), u16(type), fields, payload);
}

/** Cuts an IPv4 packet without options into fragments of `most` octets of payload. */
export function fragmentsOf(packet: Octets, most: number, id = 7): Octets[] {
  const payload = packet.subarray(20);
  const fragments: Octets[] = [];
  for (let at = 0; at < payload.length; at += most) {
    const more = at + most < payload.length ? 0x2000 : 0;
    fragments.push(
      ipv4(packet[9], payload.subarray(at, at + most), {
        src: [...packet.subarray(12, 16)],
        dst: [...packet.subarray(16, 20)],
        id,
        fragment: more | (at >> 3),
      }),
    );
  }
  return fragments;
}

/** The same of an IPv6 packet without extension headers. */
export function fragmentsOfIpv6(packet: Octets, most: number, id = 7): Octets[] {
  const payload = packet.subarray(40);
  const fragments: Octets[] = [];
  for (let at = 0; at < payload.length; at += most) {
    const more = at + most < payload.length ? 1 : 0;
    const part = join([packet[6], 0], u16(at | more), u32(id), payload.subarray(at, at + most));
    const whole = join(packet.subarray(0, 40), part);
    whole.set(u16(part.length), 4);
    whole[6] = 44;
    fragments.push(whole);
  }
  return fragments;
}

/** One TLV of NFLOG. */
function tlv(type: number, value: Octets | readonly number[], littleEndian: boolean): Octets {
  const word = (n: number) => (littleEndian ? u16(n).reverse() : u16(n));
  return join(word(4 + value.length), word(type), value, Array<number>(-value.length & 3).fill(0));
}

export function nflog(packet: Octets, littleEndian = true): Octets {
  const mark = tlv(3, [0, 0, 0, 1], littleEndian);
  const prefix = tlv(10, [97, 0], littleEndian);
  return join([packet[0] >> 4 === 6 ? 10 : 2, 0, 0, 1], mark, prefix, tlv(9, packet, littleEndian));
}

/** An 802.11 data frame with LLC and SNAP. */
export function wirelessFrame(packet: Octets, kind = 0x08, flags = 1): Octets {
  const header = [kind, flags, 0, 0, ...MACS, 2, 0, 0, 0, 0, 3, 0, 0];
  if ((flags & 3) === 3) header.push(2, 0, 0, 0, 0, 4);
  if (kind & 0x80) header.push(0, 0);
  if (kind & 0x80 && flags & 0x80) header.push(0, 0, 0, 0);
  return join(header, [0xaa, 0xaa, 3, 0, 0, 0], u16(typeOf(packet)), packet);
}

export interface Encapsulated {
  name: string;
  linkType: number;
  octets: Octets;
  /** tshark reads it otherwise, or not at all. */
  tsharkDiffers?: true;
}

/** `ip4` and `ip6`, packets of one TCP segment, in all that they can be in. */
export function encapsulations(ip4: Octets, ip6: Octets): Encapsulated[] {
  const inner = ethernet(ip4);
  const all: Encapsulated[] = [];
  const add = (name: string, octets: Octets, linkType: number = LINKTYPE.ethernet, tsharkDiffers?: true) =>
    all.push({ name, octets, linkType, ...(tsharkDiffers && { tsharkDiffers }) });
  const overIp = (name: string, protocol: number, payload: Octets, tsharkDiffers?: true) => {
    add(`${name} over IPv4`, ethernet(ipv4(protocol, payload)), LINKTYPE.ethernet, tsharkDiffers);
    add(`${name} over IPv6`, ethernet(ipv6(protocol, payload)), LINKTYPE.ethernet, tsharkDiffers);
  };
  const label = (value: number, last: boolean) => u32((value << 12) | (last ? 0x100 : 0) | 64);

  for (const type of [0x8100, 0x88a8, 0x9100, 0x9200, 0x9300]) {
    add(
      `tag ${type.toString(16)}`,
      ethernet(tagged(ip4), type),
      LINKTYPE.ethernet,
      type > 0x9100 || undefined,
    );
  }
  add('four tags', ethernet(tagged(tagged(tagged(tagged(ip6), 0x8100), 0x9100), 0x8100), 0x88a8));
  add('SNAP in a tag', ethernet(tagged(snapFrame(ip4).subarray(14), snapFrame(ip4).length - 14), 0x8100));
  add('VN-Tag', ethernet(join([0, 0, 0, 1], u16(0x0800), ip4), 0x8926));
  add('E-Tag', ethernet(join([0, 0, 0, 1, 0, 0], u16(0x0800), ip4), 0x893f));
  add('MAC in MAC', ethernet(join([0, 0, 1, 0], inner), 0x88e7));
  add('SNAP', snapFrame(ip4));
  add('SNAP, IPv6', snapFrame(ip6));
  add('LLC with the SAP of IP', join(MACS, u16(3 + ip4.length), [6, 6, 3], ip4));
  add('MPLS', ethernet(join(label(16, true), ip4), 0x8847));
  add(
    'MPLS, three labels, IPv6',
    ethernet(join(label(16, false), label(17, false), label(18, true), ip6), 0x8847),
  );
  add('MPLS multicast', ethernet(join(label(16, true), ip4), 0x8848));
  const odd = { macs: [0x45, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2] };
  add('MPLS pseudowire', ethernet(join(label(16, true), inner), 0x8847), LINKTYPE.ethernet, true);
  add(
    'MPLS pseudowire with control word',
    ethernet(join(label(16, true), u32(0), inner), 0x8847),
    LINKTYPE.ethernet,
    true,
  );
  add(
    'MPLS pseudowire to an address that begins like a version',
    ethernet(join(label(16, true), ethernet(ip4, 0x0800, odd.macs)), 0x8847),
    LINKTYPE.ethernet,
    true,
  );
  const pppoe = (payload: Octets) => join([0x11, 0, 0, 1], u16(payload.length), payload);
  add('PPPoE', ethernet(pppoe(join(u16(0x21), ip4)), 0x8864));
  add('PPPoE, IPv6, in a tag', ethernet(tagged(pppoe(join(u16(0x57), ip6)), 0x8864), 0x8100));

  overIp('IPv4', 4, ip4);
  overIp('IPv6', 41, ip6);
  overIp('IPv4 by its old number', 94, ip4, true);
  overIp('MPLS', 137, join(label(16, true), ip4));
  overIp('EtherIP', 97, join([0x30, 0], inner));
  overIp('AH', 51, join([6, 4, 0, 0], u32(1), u32(2), Array<number>(12).fill(9), ip4.subarray(20)));
  overIp('AH in tunnel mode', 51, join([4, 4, 0, 0], u32(1), u32(2), Array<number>(12).fill(9), ip4));
  overIp('GRE', 47, gre(ip4, 0x0800));
  overIp('GRE, checksum', 47, gre(ip4, 0x0800, 0x8000, [1, 2, 0, 0]));
  overIp('GRE, key and sequence', 47, gre(ip6, 0x86dd, 0x3000, [...u32(9), ...u32(1)]));
  overIp('GRE, everything', 47, gre(ip4, 0x0800, 0xb000, [1, 2, 0, 0, ...u32(9), ...u32(1)]));
  overIp('GRE, Ethernet', 47, gre(inner, 0x6558, 0x2000, u32(9)));
  overIp('GRE, MPLS', 47, gre(join(label(16, true), ip4), 0x8847));
  const ppp = join([0xff, 3], u16(0x21), ip4);
  overIp('PPTP', 47, gre(ppp, 0x880b, 0x3081, [...u16(ppp.length), 0, 1, ...u32(1), ...u32(2)]));
  overIp('ERSPAN I', 47, gre(inner, 0x88be));
  overIp('ERSPAN II', 47, gre(join([0x10, 5, 0, 1, 0, 0, 0, 0], inner), 0x88be, 0x1000, u32(1)));
  const erspan3 = (last: number, frameType: number) => [0x20, 5, 0, 1, ...u32(7), 0, 0, frameType << 2, last];
  overIp('ERSPAN III', 47, gre(join(erspan3(0, 0), inner), 0x22eb, 0x1000, u32(1)));
  overIp(
    'ERSPAN III, subheader',
    47,
    gre(join(erspan3(1, 0), Array<number>(8).fill(0), inner), 0x22eb, 0x1000, u32(1)),
  );
  add(
    'ERSPAN III, IP',
    ethernet(ipv4(47, gre(join(erspan3(0, 2), ip4), 0x22eb, 0x1000, u32(1)))),
    LINKTYPE.ethernet,
    true,
  );
  overIp('VXLAN', 17, udp(vxlan(inner), 4789));
  overIp("VXLAN on Linux's old port", 17, udp(vxlan(inner), 8472), true);
  overIp('VXLAN-GPE', 17, udp(join([0x0c, 0, 0, 1], u32(42 << 8), ip4), 4790));
  overIp('GENEVE', 17, udp(geneve(inner), 6081));
  overIp('GENEVE, options', 17, udp(geneve(inner, 0x6558, [...u32(1), ...u32(2), ...u32(3)]), 6081));
  overIp('GENEVE, IPv6', 17, udp(geneve(ip6, 0x86dd), 6081));
  overIp('VXLAN in VXLAN', 17, udp(vxlan(ethernet(ipv4(17, udp(vxlan(inner), 4789)))), 4789));
  add('IPv4 with options', ethernet(ipv4(4, ip4, { options: [1, 1, 1, 0] })));
  const tcp6 = ip6.subarray(40);
  const routed = (next: number, payload: Octets) => join([next, 0, 0, 0, 0, 0, 0, 0], payload);
  add('IPv6 atomic fragment', ethernet(withPayload(ip6, 44, join([6, 0, 0, 0], u32(9), tcp6))));
  add(
    'every extension header',
    ethernet(
      withPayload(
        ip6,
        0,
        join(
          [60, 0, 1, 4, 0, 0, 0, 0],
          join([43, 0, 1, 4, 0, 0, 0, 0], routed(44, join([6, 0, 0, 0], u32(9), tcp6))),
        ),
      ),
    ),
  );

  const { raw, rawBsd, rawOpenBsd } = LINKTYPE;
  for (const type of [raw, rawBsd, rawOpenBsd]) add(`raw, as ${type}`, ip4, type, type !== raw || undefined);
  add('raw IPv6', ip6, raw);
  add('BSD loopback', join([2, 0, 0, 0], ip4), LINKTYPE.null);
  add('BSD loopback, big-endian', join([0, 0, 0, 30], ip6), LINKTYPE.null);
  add('OpenBSD loopback', join([0, 0, 0, 24], ip6), LINKTYPE.loop);
  add('enc', join([2, 0, 0, 0], u32(1), u32(0), ip4), LINKTYPE.enc);
  add('enc, IP in IP', join([0, 0, 0, 2], u32(1), u32(0), ipv4(4, ip4)), LINKTYPE.enc);
  add('PPP', join([0xff, 3], u16(0x21), ip4), LINKTYPE.ppp);
  add('PPP without address', join(u16(0x57), ip6), LINKTYPE.ppp);
  add('PPP, protocol of one octet', join([0x21], ip4), LINKTYPE.ppp);
  add('pppd', join([0, 3], u16(0x21), ip4), LINKTYPE.pppPppd, true);
  add('PPP over HDLC', join([0xff, 3], u16(0x21), ip4), LINKTYPE.pppHdlc);
  add("PPP over HDLC, Cisco's", join([0x0f, 0], u16(0x0800), ip4), LINKTYPE.pppHdlc);
  add('PPPoE as a link type', pppoe(join(u16(0x21), ip4)), LINKTYPE.pppEther);
  add('ATM', join([0xaa, 0xaa, 3, 0, 0, 0], u16(0x0800), ip4), LINKTYPE.atmRfc1483);
  add('Cisco HDLC', join([0x0f, 0], u16(0x86dd), ip6), LINKTYPE.cHdlc);
  add('802.11', wirelessFrame(ip4), LINKTYPE.ieee80211);
  add('802.11, QoS', wirelessFrame(ip6, 0x88), LINKTYPE.ieee80211);
  add('802.11, four addresses', wirelessFrame(ip4, 0x08, 3), LINKTYPE.ieee80211);
  add('802.11, QoS and HT control', wirelessFrame(ip4, 0x88, 0x81), LINKTYPE.ieee80211);
  add('IP over ATM', ip4, LINKTYPE.atmClip);
  add('IP over ATM with LLC', join([0xaa, 0xaa, 3, 0, 0, 0], u16(0x0800), ip4), LINKTYPE.atmClip, true);
  add('frame relay', join([0x18, 0x41, 3, 0xcc], ip4), LINKTYPE.frameRelay);
  add('frame relay, IPv6', join([0x18, 0x41, 3, 0x8e], ip6), LINKTYPE.frameRelay);
  add('frame relay, SNAP', join([0x18, 0x41, 3, 0, 0x80, 0, 0, 0], u16(0x0800), ip4), LINKTYPE.frameRelay);
  add("frame relay, Cisco's", join([0x18, 0x41], u16(0x0800), ip4), LINKTYPE.frameRelay);
  add(
    'frame relay, bridged',
    join([0x18, 0x41, 3, 0, 0x80, 0, 0x80, 0xc2, 0, 7], inner),
    LINKTYPE.frameRelay,
  );
  const cooked = (type: number, payload: Octets) =>
    join([0, 0, 0, 1, 0, 6, ...MACS.slice(0, 6), 0, 0], u16(type), payload);
  const cooked2 = (type: number, payload: Octets) =>
    join(u16(type), [0, 0], u32(2), [0, 1, 0, 6, ...MACS.slice(0, 6), 0, 0], payload);
  for (const [name, type, payload] of [
    ['', 0x0800, ip4],
    [', VLAN', 0x8100, tagged(ip6)],
    [', MPLS', 0x8847, join(label(16, true), ip4)],
    [', LLC', 4, join([0xaa, 0xaa, 3, 0, 0, 0], u16(0x0800), ip4)],
  ] as const) {
    add(`Linux cooked${name}`, cooked(type, payload), LINKTYPE.sll);
    add(`Linux cooked v2${name}`, cooked2(type, payload), LINKTYPE.sll2);
  }
  add('NFLOG', nflog(ip4), LINKTYPE.nflog);
  add('NFLOG, big-endian', nflog(ip6, false), LINKTYPE.nflog, true);
  return all;
}

/** An IPv6 packet with another payload. */
export function withPayload(ip6: Octets, next: number, payload: Octets): Octets {
  const packet = join(ip6.subarray(0, 40), payload);
  packet.set(u16(payload.length), 4);
  packet[6] = next;
  return packet;
}
