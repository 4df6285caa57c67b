import { counted, formatCount } from '../counted.ts';
import { type Headers, LAYER, STOP } from '../wire/headers.ts';
import { PROTOCOL } from '../wire/ip.ts';
import { nameOfLinkType } from '../wire/link-types.ts';
import type { LeftOut } from '../wire/pcapng-interface.ts';
import { PARSE } from '../wire/segment.ts';

/** Why packets of a capture are not in the archive. */
export type Cause =
  | 'other-ports'
  | 'not-tcp'
  | 'not-ip'
  | 'not-readable'
  | 'fragments-incomplete'
  | 'fragments-conflicting'
  | 'fragments-repeated'
  | 'cut-headers'
  | 'malformed'
  | 'link-type'
  | 'interface';

/** Some packets that were left out. */
export interface Finding {
  cause: Cause;
  packets: number;
  /** What they are, where the cause leaves that open: `UDP`. */
  name?: string;
}

/** Names of what `Headers.layers` has, by bit. */
const LAYER_NAMES: readonly [bit: number, name: string][] = [
  [LAYER.vxlan, 'VXLAN'],
  [LAYER.geneve, 'GENEVE'],
  [LAYER.gre, 'GRE'],
  [LAYER.erspan, 'ERSPAN'],
  [LAYER.ipInIp, 'IP in IP'],
  [LAYER.ah, 'AH'],
  [LAYER.mpls, 'MPLS'],
  [LAYER.pppoe, 'PPPoE'],
  [LAYER.etherIp, 'EtherIP'],
  [LAYER.macInMac, 'MAC in MAC'],
];

const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  1: 'ICMP',
  2: 'IGMP',
  17: 'UDP',
  58: 'ICMPv6',
  59: 'nothing',
  89: 'OSPF',
  103: 'PIM',
  112: 'VRRP',
  132: 'SCTP',
};

/** Protocols that may carry TCP and are not read. */
const CARRIER_NAMES: Readonly<Record<number, string>> = { 50: 'ESP (IPsec)', 108: 'IPComp', 115: 'L2TP' };

/** UDP ports of such protocols. */
const CARRIER_PORTS: Readonly<Record<number, string>> = {
  500: 'IPsec over UDP',
  1701: 'L2TP',
  2152: 'GTP-U',
  3544: 'Teredo',
  4500: 'IPsec over UDP',
  5247: 'CAPWAP',
  37008: 'TZSP',
  51820: 'WireGuard',
};

const ETHERTYPE_NAMES: Readonly<Record<number, string>> = {
  2054: 'ARP',
  35020: 'LLDP',
  34915: 'PPPoE discovery',
  34958: '802.1X',
  34825: 'LACP',
};

const CARRIER_ETHERTYPES: Readonly<Record<number, string>> = { 35045: 'MACsec', 35151: 'NSH', 8947: 'TRILL' };

/** Counts what a capture has that is not kept, and tells it in words. */
export class Census {
  /** TCP of other ports. */
  otherPorts = 0;
  /** Ports that connections were taken at, with how many. */
  readonly #accepting = new Map<number, number>();
  /** Ports of all TCP segments that were not kept, with how many. */
  readonly #ports = new Map<number, number>();
  /** What was found where TCP was looked for, as `stop` and `type` have it in one number. */
  readonly #stops = new Map<number, number>();
  readonly #byCause = new Map<Cause, number>();
  /** Packets that were in each encapsulation, by bit: those kept, and those of other ports. */
  readonly #kept = new Map<number, number>();
  readonly #others = new Map<number, number>();

  /** A segment of another port; `accepts`: its server takes a connection. */
  otherPort(srcPort: number, dstPort: number, accepts: boolean, layers: number, packets: number): void {
    this.otherPorts += packets;
    if (accepts) add(this.#accepting, srcPort, packets);
    add(this.#ports, srcPort, packets);
    add(this.#ports, dstPort, packets);
    countLayers(this.#others, layers, packets);
  }

  /** A segment that was kept. */
  kept(layers: number): void {
    if (layers !== 0) countLayers(this.#kept, layers, 1);
  }

  /** Something that is no TCP segment: `answer` is Segment.parse's, `h` its headers. */
  unread(answer: number, h: Headers, packets: number): void {
    if (answer === PARSE.truncated) this.add('cut-headers', packets);
    else if (answer === PARSE.malformed) this.add('malformed', packets);
    else add(this.#stops, keyOf(h), packets);
  }

  add(cause: Cause, packets: number): void {
    if (packets > 0) add(this.#byCause, cause, packets);
  }

  /** All that was left out; `leftOut`: what the file's parser did not hand over. */
  findings(leftOut: readonly LeftOut[]): Finding[] {
    const found: Finding[] = [];
    if (this.otherPorts > 0) found.push({ cause: 'other-ports', packets: this.otherPorts });
    const named: Finding[] = [...this.#stops].map(([key, packets]) => ({ ...describeStop(key), packets }));
    found.push(...named.sort((a, b) => b.packets - a.packets));
    for (const [cause, packets] of this.#byCause) found.push({ cause, packets });
    for (const each of leftOut) {
      found.push({ cause: 'interface', name: describeInterface(each), packets: each.packets });
    }
    return merge(found);
  }

  /** Encapsulations that kept packets were taken out of. */
  unwrapped(): Record<string, number> {
    return nameLayers(this.#kept);
  }

  /** The same of packets of other ports. */
  othersUnwrapped(): Record<string, number> {
    return nameLayers(this.#others);
  }

  /** Ports left out that servers listen on: the five with most connections; or, seen no connection begin, most packets. */
  servers(): { ports: number[]; sure: boolean } {
    const sure = this.#accepting.size > 0;
    const ports = [...(sure ? this.#accepting : this.#ports)]
      .sort((a, b) => b[1] - a[1])
      .map(([port]) => port);
    return { ports: ports.slice(0, 5), sure };
  }
}

/** What was left out, as the end of a sentence: `1,100 of other ports, 60 not TCP (58 UDP, 2 ICMP)`. */
export function inWords(findings: readonly Finding[]): string {
  const groups = new Map<Cause, Finding[]>();
  for (const finding of findings) groups.set(finding.cause, [...(groups.get(finding.cause) ?? []), finding]);
  return [...groups].map(([cause, group]) => describeGroup(cause, group)).join(', ');
}

export function totalOf(findings: readonly Finding[]): number {
  return findings.reduce((sum, { packets }) => sum + packets, 0);
}

/** `14 VXLAN, 3 MPLS`. */
export function countsInWords(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, packets]) => `${formatCount(packets)} ${name}`)
    .join(', ');
}

function describeGroup(cause: Cause, group: readonly Finding[]): string {
  const total = totalOf(group);
  const packets = formatCount(total);
  const fragments = counted(total, 'fragment');
  const parts = group.filter(({ name }) => name !== undefined);
  const names = parts.slice(0, 4).map((part) => `${formatCount(part.packets)} ${part.name}`);
  const rest = totalOf(parts.slice(4));
  if (rest > 0) names.push(`${formatCount(rest)} others`);
  const detail = names.length === 0 ? '' : ` (${names.join(', ')})`;
  switch (cause) {
    case 'other-ports':
      return `${packets} of other ports`;
    case 'not-tcp':
      return `${packets} not TCP${detail}`;
    case 'not-ip':
      return `${packets} not IP${detail}`;
    case 'not-readable':
      return `${packets} in encapsulations that mytape does not read${detail}`;
    case 'fragments-incomplete':
      return `${fragments} that never became whole`;
    case 'fragments-conflicting':
      return `${fragments} that contradict each other`;
    case 'fragments-repeated':
      return `${fragments} captured twice`;
    case 'cut-headers':
      return `${packets} cut within their headers`;
    case 'malformed':
      return `${packets} malformed`;
    default:
      return parts.map((part) => `${formatCount(part.packets)} of ${part.name}`).join(', ');
  }
}

/** `stop`, and `type` below it. A UDP packet has its port as far as that tells something. */
function keyOf(h: Headers): number {
  let { type } = h;
  if (h.stop === STOP.protocol && type === PROTOCOL.udp) {
    const from = h.view.getUint16(h.at - 8);
    const to = h.view.getUint16(h.at - 6);
    const port = CARRIER_PORTS[to] !== undefined ? to : CARRIER_PORTS[from] !== undefined ? from : 0;
    type += port * 256;
  }
  return h.stop * 2 ** 32 + type;
}

function describeStop(key: number): Omit<Finding, 'packets'> {
  const type = key % 2 ** 32;
  const hex = `0x${type.toString(16).padStart(4, '0')}`;
  switch (Math.floor(key / 2 ** 32)) {
    case STOP.linkType:
      return { cause: 'link-type', name: `${nameOfLinkType(type)} that mytape does not read` };
    case STOP.etherType: {
      const carrier = CARRIER_ETHERTYPES[type];
      if (carrier !== undefined) return { cause: 'not-readable', name: carrier };
      return { cause: 'not-ip', name: ETHERTYPE_NAMES[type] ?? `EtherType ${hex}` };
    }
    case STOP.llc:
      return { cause: 'not-ip', name: type === 0x42 ? 'spanning tree' : 'LLC' };
    case STOP.ppp:
      // RFC 1962, 2118, 3078: compressed or encrypted.
      return type === 0xfd || type === 0xfb
        ? { cause: 'not-readable', name: 'compressed or encrypted PPP' }
        : { cause: 'not-ip', name: 'PPP control' };
    case STOP.wireless:
      return type === 1
        ? { cause: 'not-readable', name: 'encrypted 802.11' }
        : { cause: 'not-ip', name: '802.11 management and such' };
    case STOP.tunnel:
      return { cause: 'not-readable', name: LAYER_NAMES.find(([bit]) => bit === type)?.[1] ?? 'tunnel' };
    default:
      return describeProtocol(type % 256, Math.floor(type / 256));
  }
}

function describeProtocol(protocol: number, port: number): Omit<Finding, 'packets'> {
  const carrier = CARRIER_NAMES[protocol] ?? CARRIER_PORTS[port];
  if (carrier !== undefined) return { cause: 'not-readable', name: carrier };
  return { cause: 'not-tcp', name: PROTOCOL_NAMES[protocol] ?? `IP protocol ${protocol}` };
}

function describeInterface({ interface: number, linkType, cause }: LeftOut): string {
  const which = `interface ${number}`;
  switch (cause) {
    case 'link-type':
      return `${which}, ${nameOfLinkType(linkType)} that mytape does not read`;
    case 'description':
      return `${which}, whose description in the file is damaged`;
    case 'undescribed':
      return `${which}, which the file does not describe`;
    case 'length':
      return `${which} with an impossible length`;
    case 'time':
      return `${which} with a time before 1970 or after 2106`;
  }
}

/** Findings of the same name are one: two stops may have it. */
function merge(findings: readonly Finding[]): Finding[] {
  const merged = new Map<string, Finding>();
  for (const finding of findings) {
    const key = `${finding.cause} ${finding.name}`;
    const known = merged.get(key);
    if (known === undefined) merged.set(key, { ...finding });
    else known.packets += finding.packets;
  }
  return [...merged.values()];
}

function countLayers(counts: Map<number, number>, layers: number, packets: number): void {
  for (const [bit] of LAYER_NAMES) if (layers & bit) add(counts, bit, packets);
}

function nameLayers(counts: ReadonlyMap<number, number>): Record<string, number> {
  const named = LAYER_NAMES.filter(([bit]) => counts.has(bit)).map(([bit, name]) => [name, counts.get(bit)!]);
  return Object.fromEntries(named);
}

function add<K>(counts: Map<K, number>, key: K, more: number): void {
  counts.set(key, (counts.get(key) ?? 0) + more);
}
