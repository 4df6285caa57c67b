import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { MytapeError } from '../../src/errors.ts';

/** The lab's hosts. Each is a network namespace called `<lab>-<host>`, with one interface, eth0. */
export const HOSTS = ['client', 'online', 'target', 'assistant'] as const;
export type Host = (typeof HOSTS)[number];

/** Addresses of the hosts on the one bridge. docs/lab.md draws it. */
export const ADDRESSES: Readonly<Record<Host, string>> = {
  online: '10.77.0.2',
  target: '10.77.0.3',
  assistant: '10.77.0.4',
  client: '10.77.0.5',
};
const INFRASTRUCTURE = '10.77.0.0/24';

/** Beside those, where the kernel has IPv6. */
export const ADDRESSES6: Readonly<Record<Host, string>> = {
  online: 'fd77::2',
  target: 'fd77::3',
  assistant: 'fd77::4',
  client: 'fd77::5',
};
const INFRASTRUCTURE6 = 'fd77::/64';

/** Where recorded clients live: the target answers these via the assistant, so that nobody else hears the answers. */
export const CLIENTS = '10.77.64.0/24';

/** The addresses of that range that `client` holds: 10.77.64.10 to 10.77.64.41. */
export const CLIENT_ADDRESSES: readonly string[] = Array.from({ length: 32 }, (_, i) => `10.77.64.${10 + i}`);

/** The same for IPv6: `client` holds fd77:64::10 to fd77:64::17. */
export const CLIENTS6 = 'fd77:64::/64';
export const CLIENT_ADDRESSES6: readonly string[] = Array.from({ length: 8 }, (_, i) => `fd77:64::1${i}`);

/** Interface of the target that leads nowhere: what it sends there, an intercept on the target reads. */
export const NOWHERE = 'mt0';

/** A process in `client` that runs as this user id speaks from CLIENT_ADDRESSES[uid - FIRST_UID] (see `Lab.spawn`). */
export const FIRST_UID = 77_010;

/** Where the bridge is: a namespace of its own, in the middle. */
const SWITCH = 'switch';
export type Place = Host | typeof SWITCH;

export function namespaceOf(lab: string, host: Place): string {
  return `${lab}-${host}`;
}

function ip(args: string[], input?: string): void {
  const result = spawnSync('ip', args, { input, encoding: 'utf8' });
  if (result.error || result.status !== 0) {
    const why = result.error?.message ?? result.stderr.trim();
    throw new MytapeError('system-call', `lab: ip ${args.join(' ')} failed: ${why}`);
  }
}

function lines(...text: string[]): string {
  return text.join('\n') + '\n';
}

/**
 * Makes the namespaces, the bridge (in a namespace of its own) and the routes. Nothing of it touches the machine's own
 * network: even the veth pairs are born inside. MTU and offloads stay as the kernel has them, so captures on the servers
 * hold packets larger than the MTU, as in life.
 */
export function makeNetwork(lab: string): void {
  const ns = (host: Host) => namespaceOf(lab, host);
  const center = namespaceOf(lab, SWITCH);
  ip(['-batch', '-'], lines(`netns add ${center}`, ...HOSTS.map((host) => `netns add ${ns(host)}`)));
  ip(
    ['-n', center, '-batch', '-'],
    lines(
      'link add br0 type bridge forward_delay 0 mcast_snooping 0',
      'link set br0 up',
      ...HOSTS.flatMap((host) => [
        `link add ${host} type veth peer name eth0 netns ${ns(host)}`,
        `link set ${host} master br0 up`,
      ]),
    ),
  );
  // rp_filter: the target must take the clients' addresses from whichever neighbour sends them. ip_forward: the assistant
  // must let the target's answers end there. somaxconn and the SYN backlog: bursts of short connections are the server's to take.
  const off = 'ipv4/conf/all/rp_filter=0 ipv4/conf/default/rp_filter=0 ipv4/ip_forward=0';
  const deep = 'core/somaxconn=8192 ipv4/tcp_max_syn_backlog=8192';
  sysctl(ns('target'), `${off} ${deep}`);
  sysctl(ns('assistant'), off);
  sysctl(ns('online'), deep);
  const up = (host: Host) => [
    'link set lo up',
    'link set eth0 up',
    `addr add ${ADDRESSES[host]}/24 dev eth0`,
  ];
  ip(['-n', ns('assistant'), '-batch', '-'], lines(...up('assistant')));
  ip(
    ['-n', ns('online'), '-batch', '-'],
    lines(...up('online'), `route add ${CLIENTS} via ${ADDRESSES.client}`),
  );
  ip(
    ['-n', ns('target'), '-batch', '-'],
    lines(...up('target'), `route add ${CLIENTS} via ${ADDRESSES.assistant}`),
  );
  ip(
    ['-n', ns('client'), '-batch', '-'],
    lines(
      ...up('client'),
      ...CLIENT_ADDRESSES.map((address) => `addr add ${address}/32 dev eth0`),
      `route replace ${INFRASTRUCTURE} dev eth0 src ${CLIENT_ADDRESSES[0]}`,
      ...CLIENT_ADDRESSES.flatMap((address, i) => [
        `rule add uidrange ${FIRST_UID + i}-${FIRST_UID + i} lookup ${1000 + i}`,
        `route add ${INFRASTRUCTURE} dev eth0 src ${address} table ${1000 + i}`,
      ]),
    ),
  );
  if (hasIpv6()) addIpv6(lab);
}

/** Whether this kernel speaks IPv6. Without it the lab is IPv4's. */
export function hasIpv6(): boolean {
  return existsSync('/proc/sys/net/ipv6');
}

/** A second address for each host and a second range of clients, routed as the first. */
function addIpv6(lab: string): void {
  const onHost = (host: Host, ...commands: string[]) => {
    const own = `addr add ${ADDRESSES6[host]}/64 dev eth0 nodad`;
    ip(['-6', '-n', namespaceOf(lab, host), '-batch', '-'], lines(own, ...commands));
  };
  onHost('assistant');
  onHost('online', `route add ${CLIENTS6} via ${ADDRESSES6.client}`);
  onHost('target', `route add ${CLIENTS6} via ${ADDRESSES6.assistant}`);
  onHost(
    'client',
    ...CLIENT_ADDRESSES6.map((address) => `addr add ${address}/128 dev eth0 nodad`),
    // Before the route that came with the first address.
    `route add ${INFRASTRUCTURE6} dev eth0 src ${CLIENT_ADDRESSES6[0]} metric 1`,
  );
}

/**
 * Has the target keep what it answers the clients to itself, for an intercept on the target: a veth pair without ARP whose
 * far end nobody reads (a dummy would do; not every kernel has them).
 */
export function endClientsOnTarget(lab: string): void {
  const target = namespaceOf(lab, 'target');
  ip(
    ['-n', target, '-batch', '-'],
    lines(
      `link add ${NOWHERE} type veth peer name mt1`,
      `link set ${NOWHERE} arp off up`,
      'link set mt1 arp off up',
      `route replace ${CLIENTS} dev ${NOWHERE}`,
    ),
  );
  if (hasIpv6()) ip(['-6', '-n', target, 'route', 'replace', CLIENTS6, 'dev', NOWHERE]);
}

/** The target answers the clients via the assistant again, as it does from the start. */
export function endClientsOnAssistant(lab: string): void {
  const target = namespaceOf(lab, 'target');
  if (spawnSync('ip', ['-n', target, 'link', 'show', NOWHERE]).status === 0) {
    ip(['-n', target, 'link', 'del', NOWHERE]);
  }
  ip(['-n', target, 'route', 'replace', CLIENTS, 'via', ADDRESSES.assistant]);
  if (hasIpv6()) ip(['-6', '-n', target, 'route', 'replace', CLIENTS6, 'via', ADDRESSES6.assistant]);
}

/** The target has no route to the clients: for replays that need none. */
export function endClientsNowhere(lab: string): void {
  const target = namespaceOf(lab, 'target');
  ip(['-n', target, 'route', 'del', CLIENTS]);
  if (hasIpv6()) ip(['-6', '-n', target, 'route', 'del', CLIENTS6]);
}

function sysctl(namespace: string, settings: string): void {
  const script = settings.split(' ').map((setting) => {
    const [name, value] = setting.split('=');
    return `echo ${value} > /proc/sys/net/${name}`;
  });
  execFileSync('ip', ['netns', 'exec', namespace, 'sh', '-ec', script.join('\n')], { stdio: 'pipe' });
}

/** Namespaces of this lab that exist now. */
export function namespacesOf(lab: string): string[] {
  const wanted = new Set([...HOSTS, SWITCH].map((host) => `${lab}-${host}`));
  try {
    return readdirSync('/run/netns').filter((name) => wanted.has(name));
  } catch {
    return [];
  }
}

/** Ids of the processes whose network namespace this is; ended ones not yet waited for are not among them. */
export function pidsIn(namespace: string): number[] {
  const inode = statSync(`/run/netns/${namespace}`).ino;
  const pids: number[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (readlinkSync(`/proc/${entry}/ns/net`) === `net:[${inode}]`) pids.push(Number(entry));
    } catch {
      // It has ended since, or is a kernel thread.
    }
  }
  return pids;
}

/**
 * Ends every process inside the lab's namespaces, whoever started it, and deletes the namespaces. Blocking (tens of ms), so
 * that it works from an `exit` handler as well. To be in the namespace is what makes a process the lab's own: process ids
 * written down earlier may long be somebody else's.
 */
export function removeNetwork(lab: string): void {
  const namespaces = namespacesOf(lab);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let tries = 0; tries < 500; tries++) {
    const pids = namespaces.flatMap(pidsIn);
    if (pids.length === 0) break;
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone by itself.
      }
    }
    Atomics.wait(pause, 0, 0, 10);
  }
  for (const namespace of namespaces) ip(['netns', 'del', namespace]);
}
