/** What the replay host may run out of: descriptors and ports. Checked before a run, and named when it happens nonetheless. */
import type { SessionRow } from '../archive/reader.ts';
import { counted, formatCount } from '../counted.ts';
import { MytapeError } from '../errors.ts';
import { openFilesLimit, ownDescriptors } from '../net/host/descriptors.ts';
import type { HostLimit } from '../transport/transport.ts';

/** What a run's options say of its connections. */
interface Wanted {
  transport: 'packet' | 'socket';
  channels: number;
  copies: number;
  maxConnections?: number | undefined;
  pool?: number | undefined;
}

/**
 * Throws 'usage' where so many sessions at once as were recorded need more descriptors than this process may have. Packets of our own need
 * none; how many a pool needs is not known.
 */
export function checkDescriptors(
  { transport, channels, copies, maxConnections = Number.POSITIVE_INFINITY, pool }: Wanted,
  targets: number,
  sessions: Iterable<Pick<SessionRow, 'firstAt' | 'lastAt'>>,
  limit = openFilesLimit(),
): void {
  if (transport !== 'socket' || pool !== undefined || limit === Number.POSITIVE_INFINITY) return;
  const own = ownDescriptors(channels);
  const room = limit - own;
  if (maxConnections * targets <= room) return;
  const atOnce = mostAtOnce(sessions);
  if (atOnce * copies <= room) return;
  const connections = Math.min(atOnce * copies, maxConnections * targets);
  const ofCopies = copies === 1 ? '' : ` (${counted(atOnce, 'session')} at once in ${copies} copies)`;
  const most = Math.max(1, Math.floor(room / targets));
  throw new MytapeError(
    'usage',
    `this run opens up to ${counted(connections, 'connection')}${ofCopies} and ${own} files, and this process may have only ` +
      `${formatCount(limit)} open: raise the limit (ulimit -n ${2 ** Math.ceil(Math.log2(connections + own))}), or let sessions wait for a ` +
      `place: --max-connections ${most}`,
  );
}

/** So many of these sessions were open at one moment. */
function mostAtOnce(sessions: Iterable<Pick<SessionRow, 'firstAt' | 'lastAt'>>): number {
  const begins: number[] = [];
  const ends: number[] = [];
  for (const { firstAt, lastAt } of sessions) {
    begins.push(firstAt);
    ends.push(lastAt);
  }
  const ended = Float64Array.from(ends).sort();
  let most = 0;
  let over = 0;
  for (const [i, at] of Float64Array.from(begins).sort().entries()) {
    while (ended[over] < at) over++;
    most = Math.max(most, i + 1 - over);
  }
  return most;
}

/** What is said once when the host has run out of one. */
export function hostLimitText(limit: HostLimit, transport: 'packet' | 'socket'): string {
  if (limit === 'no-descriptor')
    return (
      `no descriptor is left for another connection, since this process may have ${formatCount(openFilesLimit())} files open: sessions wait until ` +
      'others end (for the next run raise the limit: ulimit -n 65536; or use --max-connections)'
    );
  return transport === 'socket'
    ? 'this host has no free port for another connection: sessions wait until others end; a port is free again a minute after its connection closed ' +
        '(sysctl -w net.ipv4.ip_local_port_range="1024 65535"; or open fewer connections: --pool, --connect-rate)'
    : 'all ports of a client address are in use: sessions wait until others end (spread the clients over more addresses: --clients CIDR)';
}
