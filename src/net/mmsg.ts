import type { Address } from '../wire/address.ts';
import { foldChecksum, sumWords } from '../wire/checksum.ts';
import type { Injector, InjectorStats } from './injector.ts';
import {
  AF_INET,
  AF_INET6,
  addressOf,
  errnoName,
  libc,
  MSG_DONTWAIT,
  openSocket,
  POLLOUT,
  SOCK_CLOEXEC,
  SOCK_RAW,
  setSendBuffer,
} from './libc.ts';
import { LinkPath, SOCKADDR_LL_OCTETS } from './link.ts';

/** IP_HDRINCL comes with it, in both versions: the packets bring their own IP header (raw(7), ipv6(7)). */
const IPPROTO_RAW = 255;
/** sendmmsg in batches of 32 to 64 costs least a packet. */
const DEFAULT_BATCH = 64;
const DEFAULT_SLOT_OCTETS = 2048;
const SEND_BUFFER_OCTETS = 4 << 20;
/** A kernel without room gets this many chances, each this long, before a packet is given up; TCP sends it again. */
const MAX_RETRIES = 4;
const RETRY_MS = 5;

/** struct sockaddr_in: family 0, port 2, address 4. */
const SOCKADDR_IN_OCTETS = 16;
const SIN_ADDR = 4;
/** struct sockaddr_in6: family 0, port 2 (0, or the kernel refuses it), flow 4, address 8, scope 24. */
const SOCKADDR_IN6_OCTETS = 28;
const SIN6_ADDR = 8;
/** Each message has room for either. */
const SOCKADDR_OCTETS = 32;
/** Destinations in the two IP headers, and the checksum in IPv4's. */
const IPV4_DESTINATION = 16;
const IPV6_DESTINATION = 24;
const IPV4_CHECKSUM = 10;
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
 * Linux fills in IPv4's checksum always, total length always, and the identification where it is 0 (raw(7)); in IPv6
 * nothing. It does not cut what is larger than the interface's MTU: EMSGSIZE. Both sockets are opened at once, so that
 * privileges can be given up; a kernel without IPv6 refuses its packets as EAFNOSUPPORT.
 */
export function openMmsgInjector(options: MmsgOptions = {}): Injector {
  const { slotOctets = DEFAULT_SLOT_OCTETS, batch = DEFAULT_BATCH, target } = options;
  return new MmsgInjector(slotOctets, batch, target);
}

interface Link {
  path: LinkPath;
  /** The target's address as words of the machine's own order. */
  words: Int32Array;
  /** struct mmsghdr, all with the neighbour's address. */
  messages: DataView;
  at: number;
}

class MmsgInjector implements Injector {
  readonly octets: Uint8Array;
  readonly view: DataView;
  readonly slotOctets: number;
  #ipv4: number;
  /** -1 where the kernel has no IPv6. */
  #ipv6: number;
  #batch: number;
  #queued = 0;
  /** `octets` as words of the machine's own order. */
  #words: Int32Array;
  /** IP version of each slot's packet. */
  #versions: Uint8Array;
  /** struct sockaddr_in or sockaddr_in6 of each slot, as words. */
  #addresses: Int32Array;
  /** Lengths of the iovecs: the low words are enough. */
  #iovecs: Uint32Array;
  /** struct mmsghdr of the raw sockets. */
  #messages: DataView;
  #messagesAt: number;
  #link: Link | undefined;
  /** Whether all packets of this batch go to the link's target. */
  #linkOnly = true;
  #pollWritable: DataView;
  #stats: InjectorStats = { sent: 0, refused: {} };

  constructor(slotOctets: number, batch: number, target: Address | undefined) {
    this.slotOctets = (slotOctets + 3) & ~3;
    this.#batch = batch;
    this.#ipv4 = openSocket(AF_INET, SOCK_RAW, IPPROTO_RAW, 'send packets with addresses of our choice');
    setSendBuffer(this.#ipv4, SEND_BUFFER_OCTETS);
    this.#ipv6 = libc().socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (this.#ipv6 >= 0) setSendBuffer(this.#ipv6, SEND_BUFFER_OCTETS);
    this.octets = new Uint8Array(new ArrayBuffer(batch * this.slotOctets));
    this.view = new DataView(this.octets.buffer);
    this.#words = new Int32Array(this.octets.buffer);
    this.#versions = new Uint8Array(batch);
    this.#addresses = new Int32Array(new ArrayBuffer(batch * SOCKADDR_OCTETS));
    const iovecs = new DataView(new ArrayBuffer(batch * IOVEC_OCTETS));
    this.#iovecs = new Uint32Array(iovecs.buffer);
    const octetsAt = addressOf(this.octets);
    const addressesAt = addressOf(this.#addresses);
    const iovecsAt = addressOf(iovecs);
    for (let i = 0; i < batch; i++) {
      iovecs.setBigUint64(i * IOVEC_OCTETS, BigInt(octetsAt + i * this.slotOctets), true);
    }
    this.#messages = makeMessages(batch, iovecsAt, addressesAt, SOCKADDR_OCTETS);
    this.#messagesAt = addressOf(this.#messages);
    if (target !== undefined) {
      const path = new LinkPath(target);
      const words = new Int32Array(target.octets.slice().buffer);
      const messages = makeMessages(batch, iovecsAt, path.addressAt, 0);
      for (let i = 0; i < batch; i++) {
        messages.setUint32(i * MMSGHDR_OCTETS + MSG_NAMELEN, SOCKADDR_LL_OCTETS, true);
      }
      this.#link = { path, words, messages, at: addressOf(messages) };
    }
    // struct pollfd: fd, events, what came.
    this.#pollWritable = new DataView(new ArrayBuffer(8));
    this.#pollWritable.setInt16(4, POLLOUT, true);
  }

  slot(): number {
    return this.#queued * this.slotOctets;
  }

  commit(length: number): void {
    const i = this.#queued++;
    const at = i * this.slotOctets;
    const version = this.octets[at] >> 4;
    this.#iovecs[(i * IOVEC_OCTETS + IOV_LEN) >>> 2] = length;
    if (this.#versions[i] !== version) this.#setVersion(i, version);
    const words = this.#words;
    const addresses = this.#addresses;
    if (version === 4) {
      const destination = words[(at + IPV4_DESTINATION) >>> 2];
      addresses[(i * SOCKADDR_OCTETS + SIN_ADDR) >>> 2] = destination;
    } else {
      const from = (at + IPV6_DESTINATION) >>> 2;
      const to = (i * SOCKADDR_OCTETS + SIN6_ADDR) >>> 2;
      for (let word = 0; word < 4; word++) addresses[to + word] = words[from + word];
    }
    const link = this.#link;
    if (link !== undefined) {
      if (this.#linkOnly && !this.#goesTo(link, at, version)) this.#linkOnly = false;
      if (version === 4) this.#sumHeader(at);
    }
    if (this.#queued === this.#batch) this.flush();
  }

  /** Slot `i` has packets of this version from now on. */
  #setVersion(i: number, version: number): void {
    const name = (i * SOCKADDR_OCTETS) >>> 2;
    this.#addresses.fill(0, name, name + SOCKADDR_OCTETS / 4);
    this.#addresses[name] = version === 4 ? AF_INET : AF_INET6;
    const octets = version === 4 ? SOCKADDR_IN_OCTETS : SOCKADDR_IN6_OCTETS;
    this.#messages.setUint32(i * MMSGHDR_OCTETS + MSG_NAMELEN, octets, true);
    this.#versions[i] = version;
  }

  #goesTo(link: Link, at: number, version: number): boolean {
    if (version !== link.path.target.family) return false;
    const from = (at + (version === 4 ? IPV4_DESTINATION : IPV6_DESTINATION)) >>> 2;
    const words = this.#words;
    const target = link.words;
    for (let i = 0; i < target.length; i++) if (words[from + i] !== target[i]) return false;
    return true;
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

  /** Packets that follow one another and are of one version go together. */
  #sendByKernel(from: number, end: number): void {
    const versions = this.#versions;
    for (let done = from; done < end; ) {
      let to = done + 1;
      while (to < end && versions[to] === versions[done]) to++;
      if (versions[done] === 4) this.#sendBySocket(this.#ipv4, done, to);
      else if (this.#ipv6 >= 0) this.#sendBySocket(this.#ipv6, done, to);
      else this.#refuse('EAFNOSUPPORT', to - done);
      done = to;
    }
  }

  #sendBySocket(fd: number, from: number, end: number): void {
    const { sendmmsg } = libc();
    let retries = 0;
    for (let done = from; done < end; ) {
      const at = this.#messagesAt + done * MMSGHDR_OCTETS;
      const taken = sendmmsg(fd, at, end - done, MSG_DONTWAIT);
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
        this.#pollWritable.setInt32(0, fd, true);
        libc().poll(this.#pollWritable, 1, RETRY_MS);
        continue;
      }
      this.#refuse(name, 1);
      retries = 0;
      done++;
    }
  }

  #refuse(name: string, count: number): void {
    this.#stats.refused[name] = (this.#stats.refused[name] ?? 0) + count;
  }

  /** IPv4's header checksum (RFC 791), which only a raw socket fills in. */
  #sumHeader(at: number): void {
    const { octets, view } = this;
    view.setUint16(at + IPV4_CHECKSUM, 0);
    view.setUint16(at + IPV4_CHECKSUM, foldChecksum(sumWords(octets, at, at + ((octets[at] & 15) << 2))));
  }

  /** A live view: copy what you keep. */
  stats(): InjectorStats {
    return this.#stats;
  }

  close(): void {
    if (this.#ipv4 < 0) return;
    this.flush();
    libc().close(this.#ipv4);
    if (this.#ipv6 >= 0) libc().close(this.#ipv6);
    this.#link?.path.close();
    this.#ipv4 = -1;
  }
}

/** An array of struct mmsghdr, one for each iovec, with names `stride` octets apart (0: all the same). */
function makeMessages(batch: number, iovecsAt: number, namesAt: number, stride: number): DataView {
  const messages = new DataView(new ArrayBuffer(batch * MMSGHDR_OCTETS));
  for (let i = 0; i < batch; i++) {
    const message = i * MMSGHDR_OCTETS;
    messages.setBigUint64(message + MSG_NAME, BigInt(namesAt + i * stride), true);
    messages.setBigUint64(message + MSG_IOV, BigInt(iovecsAt + i * IOVEC_OCTETS), true);
    messages.setBigUint64(message + MSG_IOVLEN, 1n, true);
  }
  return messages;
}
