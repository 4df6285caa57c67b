import { bindPacket, SOL_PACKET } from '../../src/net/capture/packet-socket.ts';
import {
  AF_PACKET,
  addressOf,
  errnoName,
  interfaceIndex,
  libc,
  MSG_DONTWAIT,
  openSocket,
  SOCK_RAW,
  setOption,
  setSendBuffer,
} from '../../src/net/libc.ts';

/** Frames straight to the driver, past the queueing discipline (packet(7)). */
const PACKET_QDISC_BYPASS = 20;
const BATCH = 128;
const SLOT_OCTETS = 2048;
const SEND_BUFFER_OCTETS = 8 << 20;
/** A kernel without room is asked this often; then the frame is given up, and the client's TCP sends again. */
const MAX_RETRIES = 1_000;

/** struct iovec: base 0, length 8; struct mmsghdr: iovec 16, how many 24. */
const IOVEC_OCTETS = 16;
const MMSGHDR_OCTETS = 64;

/** Sends whole Ethernet frames on one interface by sendmmsg. As the product's injectors: slot, write, commit, flush. */
export class FrameSender {
  readonly octets = new Uint8Array(new ArrayBuffer(BATCH * SLOT_OCTETS));
  readonly view = new DataView(this.octets.buffer);
  sent = 0;
  givenUp = 0;
  readonly #fd: number;
  /** Lengths of the iovecs: the low words are enough. */
  readonly #lengths: Uint32Array;
  readonly #messages = new DataView(new ArrayBuffer(BATCH * MMSGHDR_OCTETS));
  readonly #messagesAt: number;
  #queued = 0;

  constructor(iface: string) {
    // Protocol 0: it receives nothing.
    this.#fd = openSocket(AF_PACKET, SOCK_RAW, 0, `send frames on ${iface}`);
    bindPacket(this.#fd, interfaceIndex(iface), 0);
    setSendBuffer(this.#fd, SEND_BUFFER_OCTETS);
    setOption(this.#fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1, 'PACKET_QDISC_BYPASS');
    const iovecs = new DataView(new ArrayBuffer(BATCH * IOVEC_OCTETS));
    this.#lengths = new Uint32Array(iovecs.buffer);
    const octetsAt = addressOf(this.octets);
    const iovecsAt = addressOf(iovecs);
    for (let i = 0; i < BATCH; i++) {
      iovecs.setBigUint64(i * IOVEC_OCTETS, BigInt(octetsAt + i * SLOT_OCTETS), true);
      this.#messages.setBigUint64(i * MMSGHDR_OCTETS + 16, BigInt(iovecsAt + i * IOVEC_OCTETS), true);
      this.#messages.setBigUint64(i * MMSGHDR_OCTETS + 24, 1n, true);
    }
    this.#messagesAt = addressOf(this.#messages);
  }

  slot(): number {
    return this.#queued * SLOT_OCTETS;
  }

  commit(length: number): void {
    this.#lengths[(this.#queued * IOVEC_OCTETS + 8) >>> 2] = length;
    if (++this.#queued === BATCH) this.flush();
  }

  flush(): void {
    const { sendmmsg } = libc();
    const end = this.#queued;
    this.#queued = 0;
    let retries = 0;
    for (let done = 0; done < end; ) {
      const taken = sendmmsg(this.#fd, this.#messagesAt + done * MMSGHDR_OCTETS, end - done, MSG_DONTWAIT);
      if (taken > 0) {
        done += taken;
        this.sent += taken;
        retries = 0;
        continue;
      }
      const name = errnoName();
      if ((name === 'EAGAIN' || name === 'ENOBUFS' || name === 'EINTR') && retries++ < MAX_RETRIES) continue;
      this.givenUp++;
      done++;
    }
  }

  close(): void {
    this.flush();
    libc().close(this.#fd);
  }
}
