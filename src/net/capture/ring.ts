import { MytapeError } from '../../errors.ts';
import { type CaptureNs, captureNow } from '../../time.ts';
import {
  type CaptureGap,
  LINKTYPE,
  type PacketBlock,
  type PacketSource,
  type SourceStats,
} from '../../wire/packets.ts';
import { interfaceState } from '../host/interface-state.ts';
import {
  AF_PACKET,
  errnoName,
  getOption,
  interfaceIndex,
  libc,
  openSocket,
  SO_ERROR,
  SOCK_DGRAM,
  SOCK_RAW,
  SOL_SOCKET,
  setOption,
} from '../libc.ts';
import { onReadable, type Ready } from '../ready.ts';
import { untilAlarm } from '../timer.ts';
import { attachFilter, compileFilter, DROP_ALL } from './bpf.ts';
import { InterfaceCopies } from './interface-copies.ts';
import {
  ARPHRD_ETHER,
  ARPHRD_LOOPBACK,
  ARPHRD_NONE,
  ARPHRD_RAWIP,
  bindPacket,
  ETH_P_ALL,
  hardwareType,
  KernelCounts,
  PACKET_IGNORE_OUTGOING,
  type RingReader,
  SOL_PACKET,
  setPromiscuous,
} from './packet-socket.ts';
import { LatencyRing } from './ring-latency.ts';
import { ThroughputRing } from './ring-throughput.ts';
import { type Share, shareFilter } from './share.ts';

/** What an interface's packets begin with, by its hardware type. */
const LINK_TYPES: Record<number, number> = {
  [ARPHRD_ETHER]: LINKTYPE.ethernet,
  [ARPHRD_LOOPBACK]: LINKTYPE.ethernet,
  [ARPHRD_RAWIP]: LINKTYPE.raw,
  [ARPHRD_NONE]: LINKTYPE.raw,
};

const DEFAULT_OCTETS = { throughput: 64 << 20, latency: 16 << 20 } as const;

/** A source that always has packets ready lets the rest of the process have its turn this often. */
const TURN_MS = 1;

/**
 * After `close`, how long to wait for packets that the kernel has counted but not handed over. A ring block is retired
 * within two retire times (20 ms); this only guards against a kernel whose count would not add up.
 */
const CLOSE_MS = 500;

/** How often an interface that is down is looked at. */
const LOOK_MS = 100;

/** Stands for all interfaces at once, as in tcpdump. */
export const ANY_INTERFACE = 'any';

export interface RingOptions {
  /** A name, or ANY_INTERFACE: then each packet is handed over once, however many interfaces show it, without a link-layer header. */
  iface: string;
  /** tcpdump's syntax; none takes everything. */
  filter?: string;
  /** `throughput`: cheapest a packet, up to 10 ms late: for recording. `latency`: at once: for answers. */
  mode: 'throughput' | 'latency';
  /** Room in the kernel for packets not yet read. Default 64 MiB (throughput), 16 MiB (latency). */
  bufferOctets?: number;
  /** Takes packets for other machines, too (a mirror port); not with ANY_INTERFACE. Default false. */
  promiscuous?: boolean;
  /** Leaves out what this host sends, which then is not even copied for us. Default false. */
  incomingOnly?: boolean;
  /** See PacketSource; default: now. */
  originSec?: number;
  /**
   * Asked before each look at the ring: how long to sleep first where few packets are ready, ms, so that they gather; 0
   * looks at once. The whole thread sleeps, so keep it well below a millisecond.
   */
  restMs?: (() => number) | undefined;
  /** Called when the interface goes down, and again, with the end of the gap, when it is up. */
  onGap?: ((gap: CaptureGap, isUp: boolean) => void) | undefined;
  /** Where several rings split the packets of one interface between them. */
  share?: Share;
}

/**
 * Captures on an interface. Throws 'no-privilege', 'no-interface', 'bad-filter', 'not-supported', 'no-library', or
 * 'system-call'. While the interface is down nothing comes, and `onGap` is told. Iterating rejects with 'no-interface' when
 * it is removed, after what it brought.
 *
 * `close` ends the iteration after all that was captured before it; the ring is freed when the iteration has ended, and
 * unmapped when no block of it can be reached any more. Packet sizes: `length` is less than `wireLength`
 * only where the latency ring had no room for a packet larger than its slots.
 */
export function openRing(options: RingOptions): PacketSource {
  const { iface, mode, share } = options;
  const filter = share === undefined ? options.filter : shareFilter(options.filter, share);
  const originSec = options.originSec ?? Math.floor(Date.now() / 1000);
  // Protocol 0: nothing arrives before the filter and the ring stand.
  const isAny = iface === ANY_INTERFACE;
  // Interfaces differ in what their packets begin with: without it (SOCK_DGRAM) all begin with IP.
  const fd = openSocket(AF_PACKET, isAny ? SOCK_DGRAM : SOCK_RAW, 0, `capture on ${iface}`);
  try {
    const index = isAny ? 0 : interfaceIndex(iface);
    bindPacket(fd, index, 0);
    const hardware = isAny ? ARPHRD_RAWIP : hardwareType(fd);
    const linkType = LINK_TYPES[hardware];
    if (linkType === undefined) {
      throw new MytapeError(
        'not-supported',
        `cannot capture on ${iface}: its hardware type ${hardware} is neither Ethernet nor plain IP`,
      );
    }
    if (filter) attachFilter(fd, compileFilter(filter, linkType));
    // Loopback shows each packet twice, going out and coming in.
    if (hardware === ARPHRD_LOOPBACK || options.incomingOnly === true)
      setOption(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1, 'PACKET_IGNORE_OUTGOING');
    const Ring = mode === 'throughput' ? ThroughputRing : LatencyRing;
    const copies = isAny ? new InterfaceCopies() : undefined;
    const reader = new Ring(fd, options.bufferOctets ?? DEFAULT_OCTETS[mode], linkType, originSec, copies);
    bindPacket(fd, index, ETH_P_ALL);
    if (getOption(fd, SOL_SOCKET, SO_ERROR, 'SO_ERROR') !== 0) {
      throw new MytapeError(
        'no-interface',
        `cannot capture on ${iface}: it is down (try: ip link set ${iface} up)`,
      );
    }
    const promiscuous = options.promiscuous === true && !isAny;
    if (promiscuous) setPromiscuous(fd, index, true);
    const { restMs, onGap } = options;
    const device = { fd, iface, index, promiscuous, copies };
    return new RingSource(device, linkType, originSec, reader, { restMs, onGap });
  } catch (error) {
    libc().close(fd);
    throw error;
  }
}

/** So many packets ready are worth a look without a rest. */
const WORTH_A_LOOK = 16;

/** What a rest waits on: nobody ever writes it. */
const NEVER_CHANGES = new Int32Array(new SharedArrayBuffer(4));

type Pull = IteratorResult<PacketBlock, undefined>;

interface Device {
  fd: number;
  iface: string;
  index: number;
  promiscuous: boolean;
  /** Where it is of all interfaces: which packets were left out. */
  copies: InterfaceCopies | undefined;
}

class RingSource implements PacketSource, AsyncIterator<PacketBlock, undefined> {
  readonly linkType: number;
  readonly originSec: number;
  #device: Device;
  /** Undefined once closed, so that the ring can be collected and unmapped. */
  #reader: RingReader | undefined;
  #closing = false;
  /** Why the capture cannot go on; told when all that it brought has been pulled. */
  #failure: MytapeError | undefined;
  #ready: Ready | undefined;
  #watching = false;
  /** The pull that waits. */
  #waiting: { resolve: (pull: Pull) => void; reject: (error: Error) => void } | undefined;
  /** When the rest of the process last had its turn. */
  #lastTurn = 0;
  #closeTimer: NodeJS.Timeout | undefined;
  #packets = 0;
  #counts: KernelCounts;
  #restMs: (() => number) | undefined;
  #onGap: RingOptions['onGap'];
  /** Since when the interface is down; undefined: it is up. */
  #downSince: CaptureNs | undefined;
  #isGapTold = false;
  #looking: NodeJS.Timeout | undefined;

  constructor(
    device: Device,
    linkType: number,
    originSec: number,
    reader: RingReader,
    { restMs, onGap }: Pick<RingOptions, 'restMs' | 'onGap'>,
  ) {
    this.#device = device;
    this.#restMs = restMs;
    this.#onGap = onGap;
    this.#counts = new KernelCounts(device.fd);
    this.linkType = linkType;
    this.originSec = originSec;
    this.#reader = reader;
  }

  [Symbol.asyncIterator](): AsyncIterator<PacketBlock, undefined> {
    return this;
  }

  /** One pull at a time, as `for await` does. */
  next(): Promise<Pull> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      // Rested is not past what this thread is to do next.
      const rest = this.#restMs === undefined ? 0 : Math.min(this.#restMs(), untilAlarm());
      if (rest > 0 && this.#reader?.hasReady(WORTH_A_LOOK) === false) {
        Atomics.wait(NEVER_CHANGES, 0, 0, rest);
        // What other sockets brought meanwhile belongs to what the ring has now.
        setImmediate(this.#turn);
      } else if (performance.now() - this.#lastTurn < TURN_MS) this.#serve();
      else setImmediate(this.#turn);
    });
  }

  return(): Promise<Pull> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  stats(): SourceStats {
    if (this.#reader !== undefined) this.#counts.read();
    return { packets: this.#packets, dropped: this.#counts.dropped };
  }

  close(): void {
    if (this.#reader === undefined || this.#closing) return;
    this.#beginClose();
    this.#serve();
  }

  #turn = (): void => {
    this.#lastTurn = performance.now();
    this.#serve();
  };

  /** Settles the pull that waits, or sees to it that it will be. */
  #serve(): void {
    if (this.#waiting === undefined) return;
    const block = this.#reader?.take();
    if (block !== undefined) {
      this.#packets += block.count;
      const { resolve } = this.#waiting;
      this.#waiting = undefined;
      clearTimeout(this.#closeTimer);
      resolve({ done: false, value: block });
    } else if (this.#reader === undefined || (this.#closing && this.#isDrained())) {
      this.#end();
    } else {
      this.#watch();
      if (this.#closing) {
        clearTimeout(this.#closeTimer);
        this.#closeTimer = setTimeout(() => this.#end(), CLOSE_MS);
      }
    }
  }

  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    if (this.#ready === undefined) this.#ready = onReadable(this.#device.fd, this.#onReady);
    else this.#ready.resume();
  }

  /** Looking goes on from one pull to the next; it ends only when packets come and no pull waits for them. */
  #onReady = (failed: boolean): void => {
    if (failed) this.#fail();
    if (failed || this.#waiting === undefined) {
      this.#watching = false;
      this.#ready?.pause();
    }
    this.#turn();
  };

  /**
   * The socket has an error, which reading it takes away. ENETDOWN: the interface went down, or away. Once it is up again the
   * kernel hands over its packets as before (packet_notifier in net/packet/af_packet.c), but does not say so.
   */
  #fail(): void {
    const { fd, iface } = this.#device;
    const errno = getOption(fd, SOL_SOCKET, SO_ERROR, 'SO_ERROR');
    if (errno === 0 || this.#closing) return;
    const name = errnoName(errno);
    if (name !== 'ENETDOWN') {
      this.#failWith(new MytapeError('system-call', `capturing on ${iface} failed: ${name}`));
      return;
    }
    if (this.#downSince === undefined) {
      this.#downSince = Math.round(captureNow(this.originSec));
      this.#looking = setInterval(() => {
        this.#look();
        // One that is being removed goes down first, and is away by now: the capture ends there, and misses nothing.
        if (!this.#closing) this.#tellGap();
        if (this.#closing) this.#turn();
      }, LOOK_MS);
    }
    this.#look();
  }

  #look(): void {
    const { fd, iface, index } = this.#device;
    const state = interfaceState(fd, index);
    if (state === 'down') return;
    if (state === 'up') {
      this.#endGap(true);
      return;
    }
    const what = `the interface ${iface} was removed while packets were captured on it`;
    this.#failWith(
      new MytapeError('no-interface', `${what}: the capture ends here (ip link lists the interfaces)`),
    );
  }

  #failWith(failure: MytapeError): void {
    this.#failure = failure;
    this.#beginClose();
  }

  #tellGap(): void {
    if (this.#downSince === undefined || this.#isGapTold) return;
    this.#isGapTold = true;
    this.#onGap?.({ fromAt: this.#downSince, toAt: undefined }, false);
  }

  /** `isUp`: packets come again; else the capture ends. */
  #endGap(isUp: boolean): void {
    clearInterval(this.#looking);
    if (isUp) this.#tellGap();
    if (this.#downSince !== undefined && this.#isGapTold)
      this.#onGap?.({ fromAt: this.#downSince, toAt: Math.round(captureNow(this.originSec)) }, isUp);
    this.#downSince = undefined;
    this.#isGapTold = false;
  }

  /** Nothing more comes in; what is in the ring can still be pulled. */
  #beginClose(): void {
    this.#closing = true;
    this.#endGap(false);
    const { fd, index, promiscuous } = this.#device;
    attachFilter(fd, DROP_ALL);
    if (promiscuous && this.#failure === undefined) setPromiscuous(fd, index, false);
  }

  #isDrained(): boolean {
    this.#counts.read();
    return this.#packets + (this.#device.copies?.count ?? 0) >= this.#counts.captured;
  }

  #end(): void {
    clearTimeout(this.#closeTimer);
    if (this.#reader !== undefined) {
      if (!this.#closing) this.#beginClose();
      this.#counts.read();
      this.#reader = undefined;
      this.#ready?.close();
      this.#ready = undefined;
      libc().close(this.#device.fd);
    }
    const waiting = this.#waiting;
    const failure = this.#failure;
    this.#waiting = undefined;
    this.#failure = undefined;
    if (waiting === undefined) return;
    if (failure === undefined) waiting.resolve({ done: true, value: undefined });
    else waiting.reject(failure);
  }
}
