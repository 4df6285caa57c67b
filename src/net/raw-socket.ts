import { MytapeError } from '../errors.ts';
import { formatIpv4, formatIpv6 } from '../wire/address.ts';
import type { Injector, InjectorStats } from './injector.ts';
import { importOptional } from './optional.ts';

/** What we use of npm raw-socket 1.8.1. */
interface RawSocket {
  setOption(level: number, option: number, value: number): void;
  send(
    buffer: Buffer,
    offset: number,
    length: number,
    address: string,
    after: (error: Error | null, octets: number) => void,
  ): void;
  on(event: 'error', listener: (error: Error) => void): void;
  close(): void;
}

interface RawSocketModule {
  createSocket(options: { protocol: number; addressFamily: number }): RawSocket;
  AddressFamily: { IPv4: number; IPv6: number };
  SocketLevel: Record<string, number>;
  SocketOption: Record<string, number>;
}

const IPPROTO_RAW = 255;
/** Where the IP headers name the destination. */
const IPV4_DESTINATION = 16;
const IPV6_DESTINATION = 24;
const DEFAULT_SLOT_OCTETS = 2048;
/** Packets that may wait for the loop. Beyond, they are refused as ENOBUFS, as a kernel would. */
const MAX_PENDING = 4096;

/** raw-socket throws strerror's words, not numbers. */
const NAMES: Record<string, string> = {
  'Message too long': 'EMSGSIZE',
  'Operation not permitted': 'EPERM',
  'Network is unreachable': 'ENETUNREACH',
  'No route to host': 'EHOSTUNREACH',
  'Invalid argument': 'EINVAL',
  'No buffer space available': 'ENOBUFS',
  'Resource temporarily unavailable': 'EAGAIN',
};

/**
 * Sends by npm raw-socket, where there is no sendmmsg: macOS, the BSDs. It sends one packet a turn of the event loop, so
 * a packet is copied on commit, `flush` has nothing to do, and what is queued leaves while the loop runs, also after
 * `close`.
 *
 * IPv6 only on Linux: the BSDs take no IPv6 header from a program. Elsewhere its packets are refused as EAFNOSUPPORT.
 *
 * Rejects with 'no-library' without the package, with 'no-privilege' without the right to.
 */
export async function openRawSocketInjector(options: { slotOctets?: number } = {}): Promise<Injector> {
  const raw = (await importOptional('raw-socket')) as RawSocketModule;
  const { IPv4, IPv6 } = raw.AddressFamily;
  let ipv4: RawSocket;
  try {
    ipv4 = raw.createSocket({ protocol: IPPROTO_RAW, addressFamily: IPv4 });
    ipv4.setOption(raw.SocketLevel.IPPROTO_IP, raw.SocketOption.IP_HDRINCL, 1);
  } catch (cause) {
    const words = (cause as Error).message;
    throw NAMES[words] === 'EPERM'
      ? new MytapeError(
          'no-privilege',
          'cannot send packets with addresses of our choice: needs CAP_NET_RAW (try: as root)',
        )
      : new MytapeError('system-call', `raw socket: ${words}`, { cause });
  }
  let ipv6: RawSocket | undefined;
  try {
    if (process.platform === 'linux') {
      ipv6 = raw.createSocket({ protocol: IPPROTO_RAW, addressFamily: IPv6 });
    }
  } catch {
    // A kernel without IPv6.
  }
  return new RawSocketInjector(ipv4, ipv6, options.slotOctets ?? DEFAULT_SLOT_OCTETS);
}

class RawSocketInjector implements Injector {
  readonly octets: Uint8Array;
  readonly view: DataView;
  readonly slotOctets: number;
  #ipv4: RawSocket;
  #ipv6: RawSocket | undefined;
  #pending = 0;
  #closed = false;
  #stats: InjectorStats = { sent: 0, refused: {} };

  constructor(ipv4: RawSocket, ipv6: RawSocket | undefined, slotOctets: number) {
    this.#ipv4 = ipv4;
    this.#ipv6 = ipv6;
    this.slotOctets = (slotOctets + 3) & ~3;
    this.octets = new Uint8Array(this.slotOctets);
    this.view = new DataView(this.octets.buffer);
    for (const socket of [ipv4, ipv6]) socket?.on('error', (error) => this.#refuse(error.message));
  }

  slot(): number {
    return 0;
  }

  commit(length: number): void {
    const isIpv4 = this.octets[0] >> 4 === 4;
    const socket = isIpv4 ? this.#ipv4 : this.#ipv6;
    if (socket === undefined || this.#pending === MAX_PENDING) {
      this.#refuse(socket === undefined ? 'EAFNOSUPPORT' : 'ENOBUFS');
      return;
    }
    this.#pending++;
    const destination = isIpv4
      ? formatIpv4(this.view.getUint32(IPV4_DESTINATION))
      : formatIpv6(this.octets, IPV6_DESTINATION);
    const packet = Buffer.from(this.octets.subarray(0, length));
    socket.send(packet, 0, length, destination, (error) => {
      if (error === null) this.#stats.sent++;
      else this.#refuse(NAMES[error.message] ?? error.message);
      this.#pending--;
      if (this.#closed) this.#closeSockets();
    });
  }

  flush(): void {}

  stats(): InjectorStats {
    return this.#stats;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closeSockets();
  }

  #closeSockets(): void {
    if (this.#pending > 0) return;
    this.#ipv4.close();
    this.#ipv6?.close();
  }

  #refuse(name: string): void {
    this.#stats.refused[name] = (this.#stats.refused[name] ?? 0) + 1;
  }
}
