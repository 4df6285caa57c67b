import { createRequire } from 'node:module';
import { endianness } from 'node:os';
import type Koffi from 'koffi';
import { MytapeError, withRemedy } from '../errors.ts';

/**
 * System calls, by koffi: as fast as from C (docs/dependencies.md), and no native code of our own to build. 64-bit
 * little-endian Linux only: the struct layouts of this folder say so.
 *
 * koffi is loaded on first use, not on import, so that `mytape --help`, reports and archives work anywhere.
 */

export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_PACKET = 17;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_ERROR = 4;
export const MSG_DONTWAIT = 0x40;
export const POLLOUT = 4;

const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

/** Addresses as plain numbers where they may point into the middle of a buffer: user space ends below 2^53. */
interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  close(fd: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  connect(fd: number, address: Uint8Array, length: number): number;
  getsockname(fd: number, address: Uint8Array, length: Uint32Array): number;
  setsockopt(fd: number, level: number, name: number, value: ArrayBufferView, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: ArrayBufferView, length: Uint32Array): number;
  mmap(at: null, length: number, protection: number, flags: number, fd: number, offset: number): bigint;
  munmap(at: bigint, length: number): number;
  poll(fds: ArrayBufferView, count: number, timeoutMs: number): number;
  recv(fd: number, at: number, length: number, flags: number): number;
  send(fd: number, octets: Uint8Array, length: number, flags: number): number;
  sendmmsg(fd: number, messages: number, count: number, flags: number): number;
  ioctl(fd: number, request: number, argument: Uint8Array): number;
  if_nametoindex(name: string): number;
  if_nameindex(): bigint;
  if_freenameindex(list: bigint): void;
}

let loadedKoffi: typeof Koffi | undefined;
let loadedLibc: Libc | undefined;
let errorNames: Map<number, string> | undefined;

/** koffi itself. Throws 'not-supported' off Linux, 'no-library' where koffi has no build for this machine. */
export function koffi(): typeof Koffi {
  if (loadedKoffi !== undefined) return loadedKoffi;
  if (process.platform !== 'linux' || endianness() !== 'LE' || ['arm', 'ia32'].includes(process.arch)) {
    throw new MytapeError(
      'not-supported',
      `capturing and sending packets needs 64-bit little-endian Linux, and this is ${process.platform} on ${process.arch}` +
        ' (elsewhere: --capture-driver cap, --send-driver raw-socket)',
    );
  }
  try {
    loadedKoffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  } catch (cause) {
    throw new MytapeError('no-library', 'cannot load koffi (try: npm install koffi)', { cause });
  }
  return loadedKoffi;
}

export function libc(): Libc {
  if (loadedLibc !== undefined) return loadedLibc;
  // null: whatever libc node itself runs on, glibc or musl.
  const library = koffi().load(null);
  loadedLibc = {
    socket: library.func('int socket(int domain, int type, int protocol)'),
    close: library.func('int close(int fd)'),
    bind: library.func('int bind(int fd, const void *address, uint32_t length)'),
    connect: library.func('int connect(int fd, const void *address, uint32_t length)'),
    getsockname: library.func('int getsockname(int fd, void *address, void *length)'),
    setsockopt: library.func(
      'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
    ),
    getsockopt: library.func('int getsockopt(int fd, int level, int name, void *value, void *length)'),
    mmap: library.func(
      'void *mmap(void *at, size_t length, int protection, int flags, int fd, int64_t offset)',
    ),
    munmap: library.func('int munmap(void *at, size_t length)'),
    poll: library.func('int poll(void *fds, uint64_t count, int timeout)'),
    recv: library.func('int64_t recv(int fd, uintptr_t at, size_t length, int flags)'),
    send: library.func('int64_t send(int fd, const void *octets, size_t length, int flags)'),
    sendmmsg: library.func('int sendmmsg(int fd, uintptr_t messages, uint32_t count, int flags)'),
    ioctl: library.func('int ioctl(int fd, uint64_t request, _Inout_ void *argument)'),
    if_nametoindex: library.func('uint32_t if_nametoindex(const char *name)'),
    if_nameindex: library.func('void *if_nameindex()'),
    if_freenameindex: library.func('void if_freenameindex(void *list)'),
  };
  return loadedLibc;
}

/** The name of an error number, as in errno(3); that of the last call where none is given. */
export function errnoName(errno = koffi().errno()): string {
  // EWOULDBLOCK and EAGAIN are one number: the first in the alphabet wins.
  errorNames ??= new Map(
    Object.entries(koffi().os.errno)
      .reverse()
      .map(([name, number]) => [number, name]),
  );
  return errorNames.get(errno) ?? `errno ${errno}`;
}

/** Answers `result`, or throws 'system-call' where it is negative. Call it before anything else touches errno. */
export function check(result: number, what: string): number {
  if (result < 0) throw new MytapeError('system-call', `${what}: ${errnoName()}`);
  return result;
}

/** Opens a socket that children do not inherit. `doing` is for people: "capture on eth0". */
export function openSocket(domain: number, type: number, protocol: number, doing: string): number {
  const fd = libc().socket(domain, type | SOCK_CLOEXEC, protocol);
  if (fd >= 0) return fd;
  const name = errnoName();
  if (name === 'EPERM' || name === 'EACCES') {
    throw new MytapeError(
      'no-privilege',
      `cannot ${doing}: needs CAP_NET_RAW (try: sudo setcap cap_net_raw+ep $(which node))`,
    );
  }
  const error = { code: name, message: `cannot ${doing}: socket: ${name}` };
  throw new MytapeError('system-call', withRemedy(error));
}

/** Sets an integer or a struct. Throws 'system-call' with `what`. */
export function setOption(
  fd: number,
  level: number,
  name: number,
  value: number | ArrayBufferView,
  what: string,
) {
  const octets = typeof value === 'number' ? Uint32Array.of(value) : value;
  check(libc().setsockopt(fd, level, name, octets, octets.byteLength), what);
}

/** Reads an integer option. */
export function getOption(fd: number, level: number, name: number, what: string): number {
  const value = new Int32Array(1);
  check(libc().getsockopt(fd, level, name, value, Uint32Array.of(4)), what);
  return value[0];
}

/** The socket's buffers, past the system's limits where CAP_NET_ADMIN lets us, else up to them. */
export function setReceiveBuffer(fd: number, octets: number): void {
  setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, octets);
}

export function setSendBuffer(fd: number, octets: number): void {
  setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, octets);
}

function setBuffer(fd: number, force: number, plain: number, octets: number): void {
  const value = Uint32Array.of(octets);
  if (libc().setsockopt(fd, SOL_SOCKET, force, value, 4) < 0)
    libc().setsockopt(fd, SOL_SOCKET, plain, value, 4);
}

/** Where `buffer` is. Good for as long as the buffer is referenced: only for buffers that V8 does not move. */
export function addressOf(buffer: ArrayBufferView): number {
  return Number(koffi().address(buffer));
}

/** Unmaps a region once no view of it can be reached any more: touching one after munmap would be a crash. */
const unmapWhenUnreachable = new FinalizationRegistry<{ at: bigint; length: number }>(({ at, length }) => {
  libc().munmap(at, length);
});

/**
 * Maps `length` octets of `fd`, shared. The region stays until the ArrayBuffer is collected, and with it the socket
 * that it belongs to, closed or not (packet(7)): quiet the socket before you close it.
 */
export function mapShared(fd: number, length: number, what: string): ArrayBuffer {
  const at = libc().mmap(null, length, PROT_READ_WRITE, MAP_SHARED, fd, 0);
  if (at === MAP_FAILED) check(-1, what);
  const region = koffi().view(at, length);
  unmapWhenUnreachable.register(region, { at, length });
  return region;
}

/** The kernel's number of an interface. Throws 'no-interface', and says which there are. */
export function interfaceIndex(name: string): number {
  const index = libc().if_nametoindex(name);
  if (index > 0) return index;
  throw new MytapeError(
    'no-interface',
    `no interface ${name} here; there are: ${interfaceNames().join(', ')}`,
  );
}

function interfaceNames(): string[] {
  const { decode } = koffi();
  const list = libc().if_nameindex();
  const names: string[] = [];
  // struct if_nameindex: uint32 index, padding, char *name; ends with index 0.
  for (let at = 0; decode(list, at, 'uint32') !== 0; at += 16) names.push(decode(list, at + 8, 'char *'));
  libc().if_freenameindex(list);
  return names;
}
