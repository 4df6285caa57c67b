/** What a real network does to packets, done on the lab's bridge, where neither end's kernel knows of it. */
import { MytapeError } from '../../src/errors.ts';
import type { Lab } from './lab.ts';
import { CLIENTS, type Host, type Place } from './network.ts';
import { PORT } from './server.ts';

export interface Impairment {
  /** Packets that it has met so far. */
  met(): Promise<number>;
  stop(): Promise<void>;
}

/** Which of the TCP segments of target's MySQL: those to it, those from it, or both. */
export type Direction = 'to-target' | 'from-target' | 'both';

async function on(lab: Lab, place: Place, command: readonly string[]): Promise<string> {
  const [program, ...args] = command;
  const result = await lab.run(place, program, args);
  if (result.code !== 0) throw new MytapeError('system-call', `lab: ${command.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

const nft = (lab: Lab, text: string) => on(lab, 'switch', ['nft', text]);

async function counted(lab: Lab, family: string, table: string): Promise<number> {
  const rules = await nft(lab, `list table ${family} ${table}`);
  return [...rules.matchAll(/counter packets (\d+)/g)].reduce((sum, match) => sum + Number(match[1]), 0);
}

/**
 * This part (in percent, to a tenth) of the segments is lost: from one percent on by chance; below it, where chance may spare a short
 * run altogether, one segment of each so many.
 */
export async function losePackets(
  lab: Lab,
  percent: number,
  direction: Direction = 'both',
): Promise<Impairment> {
  const table = 'mytape-loss';
  const target = lab.addresses.target;
  const each = Math.round(100 / percent);
  const chosen =
    percent < 1
      ? `numgen inc mod ${each} ${each >> 1}`
      : `numgen random mod 1000 < ${Math.round(percent * 10)}`;
  const drop = `${chosen} counter drop`;
  const chain = `add rule bridge ${table} forward`;
  await nft(
    lab,
    [
      `add table bridge ${table}`,
      `add chain bridge ${table} forward { type filter hook forward priority 0; }`,
      ...(direction === 'from-target' ? [] : [`${chain} ip daddr ${target} tcp dport ${PORT} ${drop}`]),
      ...(direction === 'to-target' ? [] : [`${chain} ip saddr ${target} tcp sport ${PORT} ${drop}`]),
    ].join('; '),
  );
  return {
    met: () => counted(lab, 'bridge', table),
    stop: async () => void (await nft(lab, `delete table bridge ${table}`)),
  };
}

/**
 * These parts (in percent) of the segments, both ways, come late, behind others sent after them, or twice. Late ones make a
 * detour over a slow link of the bridge's own.
 */
export async function shufflePackets(lab: Lab, late: number, twice: number): Promise<Impairment> {
  const table = 'mytape-shuffle';
  const hosts: Host[] = ['online', 'assistant', 'target'];
  await on(lab, 'switch', [
    'sh',
    '-ec',
    `ip link add late0 type veth peer name late1
     ip link set late0 arp off up
     ip link set late1 master br0
     # Addresses of those who send by this detour are not to be learnt from it.
     bridge link set dev late1 learning off
     ip link set late1 up
     tc qdisc add dev late0 root tbf rate 400kbit burst 1600 limit 100kb`,
  ]);
  const segment = (end: 'dport' | 'sport') => `tcp ${end} ${PORT} numgen random mod 1000`;
  const rules = hosts.flatMap((host) => {
    const end = host === 'target' ? 'sport' : 'dport';
    const others = hosts.filter((other) => other !== host);
    const twin = host === 'target' ? 'assistant' : 'target';
    if (!others.includes(twin)) return [];
    return [
      `add chain netdev ${table} ${host} { type filter hook ingress device ${host} priority 0; }`,
      `add rule netdev ${table} ${host} ${segment(end)} < ${twice * 10} counter dup to ${twin}`,
      `add rule netdev ${table} ${host} ${segment(end)} < ${late * 10} counter fwd to late0`,
    ];
  });
  await nft(lab, [`add table netdev ${table}`, ...rules].join('; '));
  return {
    met: () => counted(lab, 'netdev', table),
    stop: async () => {
      await nft(lab, `delete table netdev ${table}`);
      await on(lab, 'switch', ['ip', 'link', 'del', 'late0']);
    },
  };
}

/** Nothing passes between two hosts, in either direction, on this TCP port of either. */
export async function cutLink(lab: Lab, one: Host, other: Host, port: number): Promise<Impairment> {
  const table = 'mytape-cut';
  const [a, b] = [lab.addresses[one], lab.addresses[other]];
  const between = `ip saddr { ${a}, ${b} } ip daddr { ${a}, ${b} }`;
  await nft(
    lab,
    `add table bridge ${table};
     add chain bridge ${table} forward { type filter hook forward priority 0; };
     add rule bridge ${table} forward ${between} tcp dport ${port} counter drop;
     add rule bridge ${table} forward ${between} tcp sport ${port} counter drop`,
  );
  return {
    met: () => counted(lab, 'bridge', table),
    stop: async () => void (await nft(lab, `delete table bridge ${table}`)),
  };
}

/**
 * The way from `from` to target leads over a router (the bridge's host), behind which packets may have no more than `mtu`
 * octets. `tells`: whether the router says so by ICMP, to the packet's source, as it must (RFC 1812 4.2.3.3) and many
 * do not; the route back to the clients leads it to the assistant.
 */
export async function narrowPath(lab: Lab, from: Host, mtu: number, tells: boolean): Promise<Impairment> {
  const table = 'mytape-narrow';
  const { target, assistant } = lab.addresses;
  const router = target.replace(/\d+$/, '1');
  await on(lab, 'switch', [
    'sh',
    '-ec',
    `ip addr add ${router}/24 dev br0
     echo 1 > /proc/sys/net/ipv4/ip_forward
     for each in all br0; do echo 0 > /proc/sys/net/ipv4/conf/$each/rp_filter; echo 0 > /proc/sys/net/ipv4/conf/$each/send_redirects; done
     ip route add ${target}/32 dev br0 mtu lock ${mtu}
     ip route add ${CLIENTS} via ${assistant}`,
  ]);
  await nft(
    lab,
    `add table ip ${table};
     add chain ip ${table} output { type filter hook output priority 0; };
     add rule ip ${table} output icmp type destination-unreachable icmp code 4 counter ${tells ? 'accept' : 'drop'}`,
  );
  await on(lab, from, ['ip', 'route', 'add', `${target}/32`, 'via', router]);
  return {
    met: () => counted(lab, 'ip', table),
    stop: async () => {
      await on(lab, from, ['ip', 'route', 'del', `${target}/32`]);
      await nft(lab, `delete table ip ${table}`);
      await on(lab, 'switch', [
        'sh',
        '-ec',
        `ip route del ${target}/32; ip route del ${CLIENTS}; echo 0 > /proc/sys/net/ipv4/ip_forward; ip addr del ${router}/24 dev br0`,
      ]);
    },
  };
}
