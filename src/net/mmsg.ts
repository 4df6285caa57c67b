import type { Address } from '../wire/address.ts';
import { foldChecksum, sumWords } from '../wire/checksum.ts';
import type { Injector, InjectorStats } from './injector.ts';
import {
  AF_INET,
  addressOf,
  errnoName,
  libc,
  MSG_DONTWAIT,
  openSocket,
  POLLOUT,
  SOCK_RAW,
  setSendBuffer,
} from './libc.ts';
import { LinkPath, SOCKADDR_LL_OCTETS } from './link.ts';

/** IP_HDRINCL comes with it: the packets bring their own IP header (raw(7)). */
const IPPROTO_RAW = 255;
/** sendmmsg in batches of 32 to 64 costs least a packet. */
const DEFAULT_BATCH = 64;
const DEFAULT_SLOT_OCTETS = 2048;
const SEND_BUFFER_OCTETS = 4 << 20;
/** A kernel without room gets this many chances, each this long, before a packet is given up; TCP sends it again. */
const MAX_RETRIES = 4;
const RETRY_MS = 5;

/** struct sockaddr_in: family 0, port 2, address 4 (network order). */
const SOCKADDR_OCTETS = 16;
const SIN_ADDR = 4;
/** The header checksum in an IPv4 header. */
const IP_CHECKSUM = 10;
/** struct iovec: base 0, length 8. */
const IOVEC_OCTETS = 16;
const IOV_LEN = 8;
/** struct mmsghdr: name 0, name length 8, iovec 16, how many 24. */
const MMSGHDR_OCTETS = 64;
const MSG_NAME = 0;
const MSG_NAMELEN = 8;
const MSG_IOV = 16;
const MSG_IOVLEN = 24;

export interface MmsgOptions {
  /** The largest packet to be sent. Default 2048. */
  slotOctets?: number;
  /** Packets a system call. Default 64. */
  batch?: number;
  /** The host that (nearly) all packets go to: they take a short way there where its link is Ethernet (link.ts). */
  target?: Address;
}

/**
 * Sends by sendmmsg from one arena. Throws 'no-privilege' and 'not-supported' here, and nothing on a packet: those that
 * the kernel refuses are counted by its error's name and left to TCP's retransmission.
 *
 * Linux fills in the IP checksum always, total length always, and the identification where it is 0 (raw(7)). It does not
 * cut what is larger than the interface's MTU: EMSGSIZE.
 */
export function openMmsgInjector(options: MmsgOptions = {}): Injector {
  const { slotOctets = DEFAULT_SLOT_OCTETS, batch = DEFAULT_BATCH, target } = options;
  return new MmsgInjector(slotOctets, batch, target);
}

class MmsgInjector implements Injector {
  readonly octets: Uint8Array;
  readonly view: DataView;
  readonly slotOctets: number;
  #fd: number;
  #batch: number;
  #queued = 0;
  #addresses: DataView;
  /** Lengths of the iovecs: the low words are enough. */
  #iovecs: Uint32Array;
  /** struct mmsghdr of the raw socket, each with an address of its own … */
  #messages: DataView;
  #messagesAt: number;
  /** … and of the link, all with the neighbour's. The view keeps the memory that the address is of. */
  #link: { path: LinkPath; messages: DataView; at: number } | undefined;
  /** Whether all packets of this batch go to the link's target. */
  #linkOnly = true;
  #pollWritable: DataView;
  #stats: InjectorStats = { sent: 0, refused: {} };

  constructor(slotOctets: number, batch: number, target: Address | undefined) {
    this.slotOctets = (slotOctets + 3) & ~3;
    this.#batch = batch;
    this.#fd = openSocket(AF_INET, SOCK_RAW, IPPROTO_RAW, 'send packets with addresses of our choice');
    setSendBuffer(this.#fd, SEND_BUFFER_OCTETS);
    this.octets = new Uint8Array(new ArrayBuffer(batch * this.slotOctets));
    this.view = new DataView(this.octets.buffer);
    this.#addresses = new DataView(new ArrayBuffer(batch * SOCKADDR_OCTETS));
    const iovecs = new DataView(new ArrayBuffer(batch * IOVEC_OCTETS));
    this.#iovecs = new Uint32Array(iovecs.buffer);
    const octetsAt = addressOf(this.octets);
    const addressesAt = addressOf(this.#addresses);
    const iovecsAt = addressOf(iovecs);
    for (let i = 0; i < batch; i++) {
      this.#addresses.setUint16(i * SOCKADDR_OCTETS, AF_INET, true);
      iovecs.setBigUint64(i * IOVEC_OCTETS, BigInt(octetsAt + i * this.slotOctets), true);
    }
    this.#messages = makeMessages(batch, iovecsAt, addressesAt, SOCKADDR_OCTETS, SOCKADDR_OCTETS);
    this.#messagesAt = addressOf(this.#messages);
    if (target !== undefined) {
      const path = new LinkPath(target);
      const messages = makeMessages(batch, iovecsAt, path.addressAt, 0, SOCKADDR_LL_OCTETS);
      this.#link = { path, messages, at: addressOf(messages) };
    }
    // struct pollfd: fd, events, what came.
    this.#pollWritable = new DataView(new ArrayBuffer(8));
    this.#pollWritable.setInt32(0, this.#fd, true);
    this.#pollWritable.setInt16(4, POLLOUT, true);
  }

  slot(): number {
    return this.#queued * this.slotOctets;
  }

  commit(length: number, destination: number): void {
    const i = this.#queued++;
    this.#iovecs[(i * IOVEC_OCTETS + IOV_LEN) >>> 2] = length;
    this.#addresses.setUint32(i * SOCKADDR_OCTETS + SIN_ADDR, destination);
    if (this.#link !== undefined) {
      if (destination !== this.#link.path.target) this.#linkOnly = false;
      this.#sumHeader(i * this.slotOctets);
    }
    if (this.#queued === this.#batch) this.flush();
  }

  flush(): void {
    const end = this.#queued;
    if (end === 0) return;
    this.#queued = 0;
    const link = this.#linkOnly ? this.#link : undefined;
    this.#linkOnly = true;
    let done = 0;
    if (link?.path.usable(performance.now())) done = this.#sendByLink(link.path, link.at, end);
    if (done < end) this.#sendByKernel(done, end);
  }

  /** Answers how many went; the rest is for the kernel, which has room for them or knows what is wrong. */
  #sendByLink(link: LinkPath, messagesAt: number, end: number): number {
    const { sendmmsg } = libc();
    let done = 0;
    while (done < end) {
      const taken = sendmmsg(link.fd, messagesAt + done * MMSGHDR_OCTETS, end - done, MSG_DONTWAIT);
      if (taken <= 0) {
        link.failed(performance.now());
        break;
      }
      done += taken;
      this.#stats.sent += taken;
    }
    return done;
  }

  #sendByKernel(from: number, end: number): void {
    const { sendmmsg } = libc();
    let retries = 0;
    for (let done = from; done < end; ) {
      const at = this.#messagesAt + done * MMSGHDR_OCTETS;
      const taken = sendmmsg(this.#fd, at, end - done, MSG_DONTWAIT);
      if (taken > 0) {
        done += taken;
        this.#stats.sent += taken;
        retries = 0;
        continue;
      }
      // An error is the first packet's of those handed over: the ones before it were taken by an earlier call.
      const name = errnoName();
      if (name === 'EINTR') continue;
      if ((name === 'EAGAIN' || name === 'ENOBUFS') && retries++ < MAX_RETRIES) {
        libc().poll(this.#pollWritable, 1, RETRY_MS);
        continue;
      }
      this.#stats.refused[name] = (this.#stats.refused[name] ?? 0) + 1;
      retries = 0;
      done++;
    }
  }

  /** IPv4's header checksum (RFC 791), which only a raw socket fills in. */
  #sumHeader(at: number): void {
    const { octets, view } = this;
    view.setUint16(at + IP_CHECKSUM, 0);
    view.setUint16(at + IP_CHECKSUM, foldChecksum(sumWords(octets, at, at + ((octets[at] & 15) << 2))));
  }

  /** A live view: copy what you keep. */
  stats(): InjectorStats {
    return this.#stats;
  }

  close(): void {
    if (this.#fd < 0) return;
    this.flush();
    libc().close(this.#fd);
    this.#link?.path.close();
    this.#fd = -1;
  }
}

/** An array of struct mmsghdr, one for each iovec, with names `stride` octets apart (0: all the same). */
function makeMessages(
  batch: number,
  iovecsAt: number,
  namesAt: number,
  stride: number,
  nameOctets: number,
): DataView {
  const messages = new DataView(new ArrayBuffer(batch * MMSGHDR_OCTETS));
  for (let i = 0; i < batch; i++) {
    const message = i * MMSGHDR_OCTETS;
    messages.setBigUint64(message + MSG_NAME, BigInt(namesAt + i * stride), true);
    messages.setUint32(message + MSG_NAMELEN, nameOctets, true);
    messages.setBigUint64(message + MSG_IOV, BigInt(iovecsAt + i * IOVEC_OCTETS), true);
    messages.setBigUint64(message + MSG_IOVLEN, 1n, true);
  }
  return messages;
}
