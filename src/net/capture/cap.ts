import { MytapeError } from '../../errors.ts';
import {
  LINKTYPE,
  makeBlock,
  type PacketBlock,
  type PacketSource,
  type SourceStats,
} from '../../wire/packets.ts';
import { importOptional } from '../optional.ts';
import { type Share, shareFilter } from './share.ts';

/** What we use of npm cap 0.2.1. One packet at a time appears in the buffer that `open` was given. */
interface Cap {
  open(device: string, filter: string, bufferOctets: number, buffer: Buffer): string;
  setMinBytes?(octets: number): void;
  on(event: 'packet', listener: (octets: number, truncated: boolean) => void): void;
  close(): void;
}

interface CapModule {
  Cap: new () => Cap;
}

export interface CapOptions {
  iface: string;
  /** tcpdump's syntax; none takes everything. */
  filter?: string;
  /** Room in the kernel for packets not yet read. Default 64 MiB. */
  bufferOctets?: number;
  /** See PacketSource; default: now. */
  originSec?: number;
  /** Where several captures split the packets of one interface between them: processes, for cap does not load in two threads. */
  share?: Share;
}

const LINK_TYPES: Record<string, number> = {
  ETHERNET: LINKTYPE.ethernet,
  NULL: LINKTYPE.null,
  RAW: LINKTYPE.raw,
  LINKTYPE_LINUX_SLL: LINKTYPE.sll,
};

const DEFAULT_BUFFER_OCTETS = 64 << 20;
/** cap's snapshot length. */
const MAX_PACKET_OCTETS = 65535;
const BLOCK_OCTETS = 4 << 20;
const BLOCK_PACKETS = 8192;

/**
 * Every Cap ever opened. cap stops its uv_poll without closing it, and frees the memory with the object: collected, it
 * leaves the event loop with a dangling handle, and the process crashes (seen with 0.2.1).
 */
const opened: Cap[] = [];

/**
 * Captures by npm cap, where there are no packet rings: macOS, the BSDs. It tells neither when a packet came nor its
 * length on the wire nor what the kernel lost: times are those of its arrival here, `wireLength` is `length`, and
 * `dropped` counts only what came while both blocks were full. Always promiscuous.
 *
 * On Linux it passes packets on at once only where libpcap-dev is installed; without, up to a second late.
 *
 * Rejects with 'no-library' without the package, with 'no-interface', 'no-privilege' or 'bad-filter'.
 */
export async function openCap(options: CapOptions): Promise<PacketSource> {
  const { iface, share } = options;
  const filter = share === undefined ? options.filter : shareFilter(options.filter, share);
  const { Cap } = (await importOptional('cap')) as CapModule;
  const cap = new Cap();
  opened.push(cap);
  const packet = Buffer.alloc(MAX_PACKET_OCTETS);
  let link: string;
  try {
    link = cap.open(iface, filter ?? '', options.bufferOctets ?? DEFAULT_BUFFER_OCTETS, packet);
  } catch (error) {
    throw openError(iface, (error as Error).message);
  }
  cap.setMinBytes?.(0);
  const linkType = LINK_TYPES[link];
  if (linkType === undefined) {
    cap.close();
    throw new MytapeError('not-supported', `cannot capture on ${iface}: link type ${link}`);
  }
  return new CapSource(cap, packet, linkType, options.originSec ?? Math.floor(Date.now() / 1000));
}

/** libpcap's words, in which cap throws, sorted. */
function openError(iface: string, words: string): MytapeError {
  if (/permi/i.test(words)) {
    return new MytapeError('no-privilege', `cannot capture on ${iface}: ${words} (try: as root)`);
  }
  if (/no such device|not exist/i.test(words))
    return new MytapeError('no-interface', `no interface ${iface} here`);
  if (/syntax|expression|filter|parse|unknown|illegal/i.test(words)) {
    return new MytapeError('bad-filter', `bad filter: ${words} (see man pcap-filter)`);
  }
  return new MytapeError('system-call', `cannot capture on ${iface}: ${words || 'libpcap does not say why'}`);
}

type Pull = IteratorResult<PacketBlock, undefined>;

class CapSource implements PacketSource, AsyncIterator<PacketBlock, undefined> {
  readonly linkType: number;
  readonly originSec: number;
  #cap: Cap;
  /** Filled while the other is lent out. */
  #filling: PacketBlock;
  #lent: PacketBlock;
  #end = 0;
  #waiting: ((pull: Pull) => void) | undefined;
  #scheduled = false;
  #closing = false;
  #closed = false;
  #stats: SourceStats = { packets: 0, dropped: 0 };

  constructor(cap: Cap, packet: Buffer, linkType: number, originSec: number) {
    this.#cap = cap;
    this.linkType = linkType;
    this.#filling = makeBlock(new Uint8Array(BLOCK_OCTETS), BLOCK_PACKETS, linkType);
    this.#lent = makeBlock(new Uint8Array(BLOCK_OCTETS), BLOCK_PACKETS, linkType);
    this.originSec = originSec;
    const originMs = performance.timeOrigin - originSec * 1000;
    cap.on('packet', (octets) => {
      const block = this.#filling;
      if (block.count === BLOCK_PACKETS || this.#end + octets > BLOCK_OCTETS) {
        this.#stats.dropped++;
        return;
      }
      const i = block.count++;
      block.octets.set(packet.subarray(0, octets), this.#end);
      block.offset[i] = this.#end;
      block.length[i] = octets;
      block.wireLength[i] = octets;
      block.at[i] = Math.round((originMs + performance.now()) * 1e6);
      this.#end += octets;
      this.#schedule();
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<PacketBlock, undefined> {
    return this;
  }

  next(): Promise<Pull> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#schedule();
    });
  }

  return(): Promise<Pull> {
    this.#shut();
    return Promise.resolve({ done: true, value: undefined });
  }

  stats(): SourceStats {
    return { ...this.#stats };
  }

  /** What the kernel holds by now comes with the loop's next turn, all of it; then it ends. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    setImmediate(() => setImmediate(() => this.#shut()));
  }

  #shut(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closing = true;
    this.#cap.close();
    this.#schedule();
  }

  /** cap tells packets one by one; those of one turn make one block. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#serve();
    });
  }

  #serve(): void {
    if (this.#waiting === undefined) return;
    const block = this.#filling;
    const resolve = this.#waiting;
    if (block.count === 0) {
      if (!this.#closed) return;
      this.#waiting = undefined;
      resolve({ done: true, value: undefined });
      return;
    }
    this.#waiting = undefined;
    this.#filling = this.#lent;
    this.#filling.count = 0;
    this.#end = 0;
    this.#lent = block;
    this.#stats.packets += block.count;
    resolve({ done: false, value: block });
  }
}
