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
}

/**
 * Sends by sendmmsg from one arena. Throws 'no-privilege' and 'not-supported' here, and nothing on a packet: those that
 * the kernel refuses are counted by its error's name and left to TCP's retransmission.
 *
 * Linux fills in the IP checksum always, total length always, and the identification where it is 0 (raw(7)). It does not
 * cut what is larger than the interface's MTU: EMSGSIZE.
 */
export function openMmsgInjector(options: MmsgOptions = {}): Injector {
  return new MmsgInjector(options.slotOctets ?? DEFAULT_SLOT_OCTETS, options.batch ?? DEFAULT_BATCH);
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
  #messages: DataView;
  #messagesAt: number;
  #pollWritable: DataView;
  #stats: InjectorStats = { sent: 0, refused: {} };

  constructor(slotOctets: number, batch: number) {
    this.slotOctets = (slotOctets + 3) & ~3;
    this.#batch = batch;
    this.#fd = openSocket(AF_INET, SOCK_RAW, IPPROTO_RAW, 'send packets with addresses of our choice');
    setSendBuffer(this.#fd, SEND_BUFFER_OCTETS);
    this.octets = new Uint8Array(new ArrayBuffer(batch * this.slotOctets));
    this.view = new DataView(this.octets.buffer);
    this.#addresses = new DataView(new ArrayBuffer(batch * SOCKADDR_OCTETS));
    const iovecs = new DataView(new ArrayBuffer(batch * IOVEC_OCTETS));
    this.#iovecs = new Uint32Array(iovecs.buffer);
    this.#messages = new DataView(new ArrayBuffer(batch * MMSGHDR_OCTETS));
    this.#messagesAt = addressOf(this.#messages);
    const octetsAt = addressOf(this.octets);
    const addressesAt = addressOf(this.#addresses);
    const iovecsAt = addressOf(iovecs);
    for (let i = 0; i < batch; i++) {
      this.#addresses.setUint16(i * SOCKADDR_OCTETS, AF_INET, true);
      iovecs.setBigUint64(i * IOVEC_OCTETS, BigInt(octetsAt + i * this.slotOctets), true);
      const message = i * MMSGHDR_OCTETS;
      this.#messages.setBigUint64(message + MSG_NAME, BigInt(addressesAt + i * SOCKADDR_OCTETS), true);
      this.#messages.setUint32(message + MSG_NAMELEN, SOCKADDR_OCTETS, true);
      this.#messages.setBigUint64(message + MSG_IOV, BigInt(iovecsAt + i * IOVEC_OCTETS), true);
      this.#messages.setBigUint64(message + MSG_IOVLEN, 1n, true);
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
    if (this.#queued === this.#batch) this.flush();
  }

  flush(): void {
    const { sendmmsg } = libc();
    const end = this.#queued;
    this.#queued = 0;
    let retries = 0;
    for (let done = 0; done < end; ) {
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

  /** A live view: copy what you keep. */
  stats(): InjectorStats {
    return this.#stats;
  }

  close(): void {
    if (this.#fd < 0) return;
    this.flush();
    libc().close(this.#fd);
    this.#fd = -1;
  }
}
