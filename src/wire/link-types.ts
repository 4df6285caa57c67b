/** Link types as pcap numbers them (https://www.tcpdump.org/linktypes.html): those that are read. */
export const LINKTYPE = {
  null: 0,
  ethernet: 1,
  ppp: 9,
  /** What BSDs write for raw IP: their own numbers of 101. */
  rawBsd: 12,
  rawOpenBsd: 14,
  pppHdlc: 50,
  pppEther: 51,
  atmRfc1483: 100,
  raw: 101,
  cHdlc: 104,
  ieee80211: 105,
  atmClip: 106,
  frameRelay: 107,
  loop: 108,
  enc: 109,
  sll: 113,
  pppPppd: 166,
  ipv4: 228,
  ipv6: 229,
  nflog: 239,
  sll2: 276,
} as const;

const READ: ReadonlySet<number> = new Set(Object.values(LINKTYPE));

export function isLinkTypeRead(linkType: number): boolean {
  return READ.has(linkType);
}

/** Names of link types that captures have often, for people; those that are not read included. */
const NAMES: Readonly<Record<number, string>> = {
  0: 'BSD loopback',
  1: 'Ethernet',
  6: 'Token Ring',
  8: 'SLIP',
  9: 'PPP',
  10: 'FDDI',
  12: 'raw IP',
  14: 'raw IP',
  50: 'PPP over HDLC',
  51: 'PPPoE',
  100: 'ATM',
  101: 'raw IP',
  104: 'Cisco HDLC',
  105: '802.11',
  106: 'IP over ATM',
  107: 'frame relay',
  108: 'OpenBSD loopback',
  109: 'OpenBSD IPsec',
  113: 'Linux cooked',
  117: 'OpenBSD pflog',
  119: '802.11 with Prism header',
  122: 'IP over Fibre Channel',
  127: '802.11 radiotap',
  138: 'IP over IEEE 1394',
  163: '802.11 with AVS header',
  166: 'pppd',
  187: 'Bluetooth',
  189: 'USB',
  192: 'PPI',
  195: '802.15.4',
  201: 'Bluetooth',
  220: 'USB',
  227: 'CAN',
  228: 'IPv4',
  229: 'IPv6',
  230: '802.15.4',
  239: 'NFLOG',
  247: 'InfiniBand',
  249: 'USB',
  252: 'Wireshark upper PDU',
  253: 'netlink',
  272: 'Bluetooth',
  276: 'Linux cooked v2',
};

/** `link type 220 (USB)`. */
export function nameOfLinkType(linkType: number): string {
  const name = NAMES[linkType];
  return `link type ${linkType}${name === undefined ? '' : ` (${name})`}`;
}
