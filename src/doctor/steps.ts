/** The steps of `mytape doctor`, one function each. None throws for what it looks for: that is its answer. */

import { networkInterfaces } from 'node:os';
import { openArchive } from '../archive/reader.ts';
import { readTlsSessions } from '../archive/tls-sessions.ts';
import { counted } from '../counted.ts';
import { MytapeError } from '../errors.ts';
import { forwardingSetting, hasNetRaw } from '../net/host/host.ts';
import { libc } from '../net/libc.ts';
import { type Path, pathTo } from '../net/route.ts';
import { FixedMappings, type MappingJob } from '../replay/mappings.ts';
import { sayState } from '../report/archive-state.ts';
import { recordingFacts, recordingReasons } from '../report/recording.ts';
import { failed, ok, type Step, warning } from '../report/step.ts';
import { tlsHint } from '../report/tls-hint.ts';
import { addressFinding, unidentifiedFinding } from '../run/interlock/interlock.ts';
import { type RecordedSide, recordedSide } from '../run/interlock/recorded-side.ts';
import { type PlannedMappings, resolveMappings, type TargetPlace, UnclearMapping } from '../run/mapping.ts';
import {
  type Kept,
  keep,
  ownAddresses,
  planRoutes,
  type RecordedHosts,
  recordedHosts,
  recordedServers,
  unroutable,
} from '../run/route-plan.ts';
import { forwardOffLine } from '../transport/diagnosis.ts';
import { type Address, endpointText, parseAddress } from '../wire/address.ts';
import { formatPrefix } from '../wire/prefixes.ts';

/** Who connects to the target, and what routes they need there. */
export interface Clients {
  /** One of each route, at most as many as are worth a probe. */
  probes: Address[];
  /** As `ip route` takes them. */
  prefixes: string[];
}

/** More connections than this say nothing new. */
const MOST_PROBES = 8;

const HERE = 'this host';

/** What `work` answers, or a failed step in the words of what it threw; wrong usage is no step. */
export async function attempt<T>(name: string, work: () => T | Promise<T>): Promise<T | Step> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof MytapeError && error.code !== 'usage') return failed(name, error.message);
    throw error;
  }
}

/** Whether this host can capture and send packets at all. */
export function checkHost(): Step {
  const name = 'this host';
  libc();
  if (!hasNetRaw()) {
    const lines = ['sudo setcap cap_net_raw+ep "$(readlink -f "$(which node)")"'];
    return failed(
      name,
      'this user may not send packets with addresses of its choice: CAP_NET_RAW is missing',
      [{ host: HERE, why: 'give it to node, or run mytape as root', lines }],
    );
  }
  return ok(name, `Linux on ${process.arch}, koffi loads, CAP_NET_RAW`);
}

/** The way to the target. */
export function checkRoute(target: Address): { step: Step; path: Path } {
  const path = pathTo(target);
  const { source, iface, mtu } = path;
  const says = `to ${target.text} by ${iface}, from ${source.text}, MTU ${mtu}`;
  const isOwn = source.text === target.text;
  return {
    path,
    step: isOwn
      ? warning('route', `${says}: the target is this host itself, whose kernel hears the answers first`)
      : ok('route', says),
  };
}

/**
 * Reads who spoke in the archive, and what of it is for the target of this number; a failed step where that cannot be read, or
 * the mappings are not clear. Says what is unusual about the archive, once for all targets.
 */
export function readRecorded(
  dir: string,
  plan: PlannedMappings,
  target: number,
): (RecordedHosts & { mappings: MappingJob[] }) | Step {
  const name = 'archive';
  try {
    const archive = openArchive(dir);
    try {
      if (target === 0) sayState(archive);
      const mappings = resolveMappings(plan, archive.sessions(), dir);
      const fixed = new FixedMappings(mappings);
      const hosts = recordedHosts(
        archive,
        ({ server, serverPort }) => fixed.at(server, serverPort)?.target === target,
      );
      return { ...hosts, mappings: mappings.filter((mapping) => mapping.target === target) };
    } finally {
      archive.close();
    }
  } catch (error) {
    if (!(error instanceof MytapeError)) throw error;
    if (!(error instanceof UnclearMapping)) return failed(name, error.message);
    const { what, choices } = error;
    return failed(name, what, [
      choices.length === 0
        ? { host: HERE, why: 'see what it has, and mend -x', lines: [`mytape ls ${dir}`] }
        : { host: HERE, why: 'say one of these, or several', lines: [...choices] },
    ]);
  }
}

/** What is recorded for the target, and that it is none of the recorded servers. */
export function checkArchive(
  dir: string,
  { address: target, port }: TargetPlace,
  hosts: RecordedHosts & { mappings: readonly MappingJob[] },
): Step {
  const name = 'archive';
  const { clients, servers, sessions, mappings } = hosts;
  const what = `the server that ${dir} was recorded from`;
  const found = addressFinding({ target, targetPort: port }, { endpoints: servers, what });
  if (found !== undefined)
    return failed(name, `${found.says}: replay refuses it`, [
      { host: HERE, why: 'name a test server in -x', lines: [] },
    ]);
  const from = mappings.map(({ source = '', port }) => endpointText(source, port)).join(', ');
  const count = `${counted(sessions, 'session')} of ${counted(clients.size, 'client')}`;
  return ok(name, `${dir}: ${count} of ${from}; the target is none of its servers`);
}

/** A warning for each thing that makes every run of the archive `dir` invalid. Throws `bad-archive` where it can't be read. */
export function checkWhole(dir: string): Step[] {
  const archive = openArchive(dir);
  try {
    return recordingReasons(recordingFacts(archive), false).map((reason) =>
      warning('archive', `${reason}: every run of it is invalid`),
    );
  } finally {
    archive.close();
  }
}

/** A warning where sessions of the archive `dir` are under TLS without keys. Throws `bad-archive` where it can't be read. */
export async function checkTls(dir: string): Promise<Step[]> {
  const archive = openArchive(dir);
  try {
    const { tls, opened } = await readTlsSessions(archive);
    const hint = tlsHint({ sessions: archive.info.sessions, tls, keyed: opened.size });
    return hint === undefined ? [] : [warning('archive', hint)];
  } finally {
    archive.close();
  }
}

const NOTHING_RECORDED: RecordedSide = {
  endpoints: new Set(),
  identities: [],
  uuids: new Set(),
  settings: [],
  unidentified: [],
  what: '',
  users: [],
};

/** Returns what reads, once for all targets, what is known of the servers that `dir` was recorded from; undefined: of none. */
export function sideReader(dir: string | undefined): () => Promise<RecordedSide> {
  let side: Promise<RecordedSide> | undefined;
  return async () => (dir === undefined ? NOTHING_RECORDED : (side ??= readSide(dir)));
}

async function readSide(dir: string): Promise<RecordedSide> {
  const archive = openArchive(dir);
  try {
    return await recordedSide(archive, dir);
  } finally {
    archive.close();
  }
}

/** What replay would refuse a target for that is not asked here; undefined: nothing. */
export function checkIdentified(side: RecordedSide, { address, port }: TargetPlace): Step | undefined {
  if (side.unidentified.length === 0) return undefined;
  const { says, advice } = unidentifiedFinding(endpointText(address.text, port), side, side.unidentified);
  return warning('interlock', `${says}: unless the target's uptime and version show otherwise, ${advice}`);
}

export interface FoundClients {
  steps: Step[];
  clients: Clients;
}

/** The recorded clients that can speak to the target, by the routes that they need; a warning for those who cannot. */
export function recordedClients(hosts: RecordedHosts, target: Address, via: Address): FoundClients {
  const { clients } = hosts;
  const kept: Kept[] = [
    ...unroutable(),
    ...keep(target.text, 'is the target itself'),
    ...recordedServers(hosts),
    ...keep(via.text, 'is the assistant'),
    ...ownAddresses(),
  ];
  const able = new Map([...clients].filter(([client]) => parseAddress(client)?.family === target.family));
  const { prefixes, leftOut } = planRoutes(able, kept, { 4: 32, 6: 128 });
  const steps = leftOut.map(({ address, sessions, why }) =>
    warning('client', `${address}, ${counted(sessions, 'session')}, ${why}: it needs replay --clients CIDR`),
  );
  if (able.size < clients.size) {
    const others = counted(clients.size - able.size, 'client is', 'clients are');
    steps.push(
      warning('client', `${others} not of IPv${target.family}, as the target is: replay --clients CIDR`),
    );
  }
  const probes: Address[] = [];
  const stride = Math.max(1, prefixes.length / MOST_PROBES);
  for (let at = 0; at < prefixes.length && probes.length < MOST_PROBES; at += stride)
    probes.push(prefixes[Math.floor(at)].base);
  return { steps, clients: { probes, prefixes: prefixes.map(formatPrefix) } };
}

/** The addresses of `--client`. */
export function namedClients(addresses: readonly Address[]): FoundClients {
  const own = new Set(ownAddresses().map(({ prefix }) => prefix.base.text));
  const steps = addresses
    .filter(({ text }) => own.has(text))
    .map(({ text }) =>
      failed('client', `${text} is an address of this host: its kernel would reset the connections`, [
        {
          host: HERE,
          why: 'name another, or take it away',
          lines: [`ip addr del ${text} dev ${ifaceOf(text)}`],
        },
      ]),
    );
  const probes = addresses.filter(({ text }) => !own.has(text));
  return { steps, clients: { probes, prefixes: probes.map(({ text }) => text) } };
}

function ifaceOf(own: string): string {
  const all = Object.entries(networkInterfaces());
  return all.find(([, addresses]) => addresses?.some(({ address }) => address === own))?.[0] ?? 'eth0';
}

/** Answers that are captured on this host must end here. */
export function checkForwarding(family: 4 | 6, iface: string): Step {
  const name = 'forwarding';
  const setting = forwardingSetting(family, iface);
  if (setting === undefined) return ok(name, `this host forwards nothing that comes by ${iface}`);
  const plain = forwardOffLine(family);
  const line = plain.includes(setting) ? plain : `sysctl -w ${setting}=0`;
  return warning(name, `${setting} is on: this host passes the target's answers on to the real clients`, [
    { host: HERE, why: 'let them end here (where containers need it: docs/doctor.md)', lines: [line] },
  ]);
}
