/** The MySQL and MariaDB servers that listen on a port of this host, as proc(5) shows their processes. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { readRegular } from '../../files.ts';
import { listeningSockets } from './listeners.ts';

/** What a process shows of the server that it is. */
export interface ServerProcess {
  /** As the server itself has it in @@hostname. */
  hostname: string;
  /** As it has it in @@datadir, without the last slash. */
  datadir: string;
  /** MySQL's @@server_uuid. */
  uuid: string | undefined;
  /** @@socket: the path of the one Unix socket that it listens on; undefined: of none, or of several. */
  socket: string | undefined;
  /** ms since 1970. */
  startedMs: number | undefined;
  /** Addresses that it listens on; undefined: on all of this host. */
  addresses: string[] | undefined;
}

/** A proxy that listens there is not the server. */
const SERVERS = /^(mysqld|mariadbd)/;

/** USER_HZ: proc(5)'s times are in these, on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Of a Unix socket that listens: linux/net.h. */
const SO_ACCEPTCON = 1 << 16;

/** HOST_NAME_MAX of limits.h is 64. */
const MOST_HOSTNAME = 256;

/** auto.cnf has two lines. */
const MOST_AUTO_CNF = 4096;

/**
 * The servers that listen on `port` in this network namespace, each with addresses of its own; without those whose process may not
 * be looked at (that takes root, or the server's own user). `proc`: where /proc is.
 */
export function serverProcessesOn(port: number, proc = '/proc'): ServerProcess[] {
  const sockets = new Map(listeningSockets(port, proc).map(({ inode, address }) => [inode, address]));
  if (sockets.size === 0) return [];
  return serverPids(proc).flatMap((pid) => {
    const inodes = inodesOf(join(proc, pid, 'fd'));
    const held = inodes.filter((inode) => sockets.has(inode));
    const datadir = held.length === 0 ? undefined : datadirOf(join(proc, pid));
    if (datadir === undefined) return [];
    const addresses = held.map((inode) => sockets.get(inode)?.text);
    return [
      {
        hostname: hostnameOf(proc, pid),
        datadir,
        uuid: uuidOf(proc, pid, datadir),
        socket: unixSocketOf(join(proc, pid), new Set(inodes)),
        startedMs: startOf(proc, pid),
        addresses: addresses.some((address) => address === undefined)
          ? undefined
          : addresses.flatMap((address) => address ?? []),
      },
    ];
  });
}

function serverPids(proc: string): string[] {
  const pids = attempt(() => readdirSync(proc)) ?? [];
  return pids.filter((pid) => /^\d+$/.test(pid) && SERVERS.test(read(join(proc, pid, 'comm')) ?? ''));
}

/** Of the sockets that a process holds. */
function inodesOf(fds: string): string[] {
  const names = attempt(() => readdirSync(fds)) ?? [];
  return names.flatMap((fd) => {
    const link = attempt(() => readlinkSync(join(fds, fd))) ?? '';
    return /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [];
  });
}

/** A server works in its data folder; what its command line says is for those who may not see where it works. */
function datadirOf(process: string): string | undefined {
  const cwd = attempt(() => readlinkSync(join(process, 'cwd')));
  if (cwd !== undefined) return cwd;
  const [, datadir] = /(?:^|\0)--datadir=([^\0]+)/.exec(read(join(process, 'cmdline')) ?? '') ?? [];
  return datadir?.replace(/(?<=.)\/+$/, '');
}

/** A container's server has a host name of its own. */
function hostnameOf(proc: string, pid: string): string {
  const space = (of: string) => attempt(() => readlinkSync(join(proc, of, 'ns/uts')));
  if (space(pid) === space('self')) return hostname();
  // The container's: what is no small regular file there is not read.
  const name = attempt(() =>
    readRegular(join(proc, pid, 'root/etc/hostname'), MOST_HOSTNAME).toString('utf8'),
  );
  return name?.trim() || hostname();
}

/** The folder is another user's: what is no small regular file there is not read. */
function uuidOf(proc: string, pid: string, datadir: string): string | undefined {
  for (const folder of [join(proc, pid, 'cwd'), datadir]) {
    const text = attempt(() => readRegular(join(folder, 'auto.cnf'), MOST_AUTO_CNF).toString('latin1'));
    const [, uuid] = /^server-uuid\s*=\s*([0-9a-f-]{36})\s*$/im.exec(text ?? '') ?? [];
    if (uuid !== undefined) return uuid;
  }
  return undefined;
}

/** As it was bound. Lines of net/unix, unix(7): `Num RefCount Protocol Flags Type St Inode Path`, with __SO_ACCEPTCON among Flags. */
function unixSocketOf(process: string, inodes: ReadonlySet<string>): string | undefined {
  const paths = new Set<string>();
  for (const line of (read(join(process, 'net/unix')) ?? '').split('\n')) {
    const [, flags, inode, path] = /^\S+: \S+ \S+ ([0-9A-F]{8}) \S+ \S+ +(\d+) (\/.*)$/.exec(line) ?? [];
    if (path !== undefined && inodes.has(inode) && (Number.parseInt(flags, 16) & SO_ACCEPTCON) !== 0)
      paths.add(path);
  }
  return paths.size === 1 ? [...paths][0] : undefined;
}

/** stat's 22nd field counts from the boot, whose second is `btime`. The name in parentheses may hold anything. */
function startOf(proc: string, pid: string): number | undefined {
  const stat = read(join(proc, pid, 'stat')) ?? '';
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[22 - 3]);
  const [, boot] = /^btime (\d+)$/m.exec(read(join(proc, 'stat')) ?? '') ?? [];
  const startedMs = (Number(boot) + ticks / TICKS_PER_SECOND) * 1000;
  return Number.isFinite(startedMs) ? startedMs : undefined;
}

function read(path: string): string | undefined {
  return attempt(() => readFileSync(path, 'utf8'));
}

/** undefined where the process is gone meanwhile, or not ours to look at. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
