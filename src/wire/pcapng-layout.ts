/** Blocks of a pcapng file: their types, where their fields stand, and how long they may be. */
import { PCAP_SNAPLEN } from './pcap.ts';

export const BLOCK = {
  sectionHeader: 0x0a0d0d0a,
  interfaceDescription: 1,
  packet: 2,
  simplePacket: 3,
  enhancedPacket: 6,
  decryptionSecrets: 10,
} as const;

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
export const VERSION_MAJOR = 1;

/** Type and length before a block's body, and the length again behind it. */
const BLOCK_HEADER_OCTETS = 8;
export const BLOCK_TRAILER_OCTETS = 4;
export const MIN_BLOCK_OCTETS = BLOCK_HEADER_OCTETS + BLOCK_TRAILER_OCTETS;

/** Section header, offsets in the block: magic, version; its least length. */
export const MAGIC = 8;
export const MAJOR = 12;
export const SECTION_OCTETS = 28;

/** Enhanced packet and packet block: interface (packet block: in 2 octets), time, lengths, data. */
export const INTERFACE = 8;
export const TIME_HIGH = 12;
export const TIME_LOW = 16;
export const CAPTURED = 20;
export const WIRE = 24;
export const PACKET_DATA = 28;
export const INTERFACE_END = 12;

/** Simple packet: length on the wire, data. */
export const SIMPLE_WIRE = 8;
export const SIMPLE_DATA = 12;

/** Decryption secrets: type, length, data. */
export const SECRETS_TYPE = 8;
export const SECRETS_LENGTH = 12;
export const SECRETS_DATA = 16;
/** `TLSK`: the data is an NSS key log. */
export const TLS_KEY_LOG = 0x544c534b;

/** No block that is read is longer: a packet and its options, or a key log. */
const MAX_BLOCK_OCTETS = 2 * PCAP_SNAPLEN;
const MAX_SECRETS_BLOCK_OCTETS = 64 * 1024 * 1024;

/** Key logs that are taken from one file, all together: what a reader holds of them where no packet comes is no more. */
export const MAX_SECRETS_OCTETS = 64 * 1024 * 1024;

/** What a block of secrets counts for beside its data, so that a million empty ones are bounded as well. */
export const SECRETS_BLOCK_OCTETS = 64;

/** A longer block is no block: the file is damaged. libpcap and Wireshark have the same limit. */
export const MAX_PASSED_OCTETS = 16 * 1024 * 1024;

/** A file with more interfaces is hostile. */
export const MAX_INTERFACES = 65_536;

/** How long a block of this type may be; 0: it is passed over. */
export function limitOf(type: number): number {
  switch (type) {
    case BLOCK.enhancedPacket:
    case BLOCK.packet:
    case BLOCK.simplePacket:
    case BLOCK.sectionHeader:
    case BLOCK.interfaceDescription:
      return MAX_BLOCK_OCTETS;
    case BLOCK.decryptionSecrets:
      return MAX_SECRETS_BLOCK_OCTETS;
    default:
      return 0;
  }
}
