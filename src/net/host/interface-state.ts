/** How an interface stands, by netdevice(7). */
import { libc } from '../libc.ts';

const SIOCGIFNAME = 0x8910;
const SIOCGIFFLAGS = 0x8913;
const IFF_UP = 1;

/** struct ifreq: a name of 16 octets, then a union: the index, or the flags. */
const IFREQ_OCTETS = 40;
const IFREQ_UNION = 16;

export type InterfaceState = 'up' | 'down' | 'gone';

/** Of the interface with this index, in the network namespace of the socket `fd`, whatever its name is by now. */
export function interfaceState(fd: number, index: number): InterfaceState {
  const request = new DataView(new ArrayBuffer(IFREQ_OCTETS));
  const octets = new Uint8Array(request.buffer);
  request.setInt32(IFREQ_UNION, index, true);
  // ENODEV.
  if (libc().ioctl(fd, SIOCGIFNAME, octets) < 0) return 'gone';
  if (libc().ioctl(fd, SIOCGIFFLAGS, octets) < 0) return 'gone';
  return (request.getInt16(IFREQ_UNION, true) & IFF_UP) === 0 ? 'down' : 'up';
}
