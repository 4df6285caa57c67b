import { MytapeError } from '../../errors.ts';
import { LINKTYPE } from '../../wire/packets.ts';
import { addressOf, koffi, SOL_SOCKET, setOption } from '../libc.ts';

/**
 * tcpdump's filters, compiled by libpcap and run by the kernel. A struct bpf_insn of libpcap's is a struct sock_filter
 * of the kernel's: 16-bit code, two 8-bit jumps, 32-bit operand.
 *
 * Linux takes VLAN tags off before a packet socket sees them, so `tcp port 3307` finds tagged packets as it is, and
 * `vlan 5` finds none.
 */

/** One instruction: return 0, take nothing. */
export const DROP_ALL: Uint8Array = Uint8Array.of(6, 0, 0, 0, 0, 0, 0, 0);

/** Whole packets: the most that a filter answers to take. libpcap's and tcpdump's default, too. */
const SNAPLEN = 262144;
/** libpcap's own number for raw IP differs from the one in its files. */
const DLT_RAW = 12;
const OPTIMIZE = 1;
const NETMASK_UNKNOWN = 0xffff_ffff;
const SO_ATTACH_FILTER = 26;
const INSTRUCTION_OCTETS = 8;

interface Pcap {
  openDead(linkType: number, snaplen: number): bigint;
  compile(pcap: bigint, program: Uint8Array, filter: string, optimize: number, netmask: number): number;
  error(pcap: bigint): string;
  freeCode(program: Uint8Array): void;
  close(pcap: bigint): void;
}

let loaded: Pcap | undefined;

function libpcap(): Pcap {
  if (loaded !== undefined) return loaded;
  const library = loadFirst(['libpcap.so.0.8', 'libpcap.so.1']);
  loaded = {
    openDead: library.func('void *pcap_open_dead(int linktype, int snaplen)'),
    compile: library.func(
      'int pcap_compile(void *pcap, void *program, const char *filter, int optimize, uint32_t netmask)',
    ),
    error: library.func('const char *pcap_geterr(void *pcap)'),
    freeCode: library.func('void pcap_freecode(void *program)'),
    close: library.func('void pcap_close(void *pcap)'),
  };
  return loaded;
}

/** Debian and its kin call it .so.0.8, the others .so.1. */
function loadFirst(names: string[]) {
  const { load } = koffi();
  for (const name of names.slice(0, -1)) {
    try {
      return load(name);
    } catch {}
  }
  try {
    return load(names.at(-1)!);
  } catch (cause) {
    throw new MytapeError(
      'no-library',
      'filters need libpcap, which is not here (try: apt install libpcap0.8, or dnf install libpcap)',
      { cause },
    );
  }
}

/**
 * Compiles a filter in tcpdump's syntax (pcap-filter(7)) for packets of one link type.
 * Throws 'bad-filter' in libpcap's own words, 'no-library' without libpcap.
 */
export function compileFilter(filter: string, linkType: number): Uint8Array {
  const pcap = libpcap();
  const handle = pcap.openDead(linkType === LINKTYPE.raw ? DLT_RAW : linkType, SNAPLEN);
  // struct bpf_program: uint32 count, padding, pointer.
  const program = new Uint8Array(16);
  try {
    if (pcap.compile(handle, program, filter, OPTIMIZE, NETMASK_UNKNOWN) < 0) {
      throw new MytapeError(
        'bad-filter',
        `bad filter '${filter}': ${pcap.error(handle)} (see man pcap-filter)`,
      );
    }
    const view = new DataView(program.buffer);
    const length = view.getUint32(0, true) * INSTRUCTION_OCTETS;
    const instructions = new Uint8Array(koffi().view(view.getBigUint64(8, true), length)).slice();
    pcap.freeCode(program);
    return instructions;
  } finally {
    pcap.close(handle);
  }
}

/** Has the kernel run `instructions` on what arrives at the socket; replaces those of before. */
export function attachFilter(fd: number, instructions: Uint8Array): void {
  // struct sock_fprog: uint16 count, padding, pointer.
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, instructions.length / INSTRUCTION_OCTETS, true);
  program.setBigUint64(8, BigInt(addressOf(instructions)), true);
  setOption(fd, SOL_SOCKET, SO_ATTACH_FILTER, program, 'SO_ATTACH_FILTER');
}
