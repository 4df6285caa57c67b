import { Command, InvalidArgumentError } from '@commander-js/extra-typings';
import { type Archive, openArchive } from '../archive/reader.ts';
import { counted, formatCount } from '../counted.ts';
import { MytapeError } from '../errors.ts';
import { FixedMappings } from '../replay/mappings.ts';
import { sayState } from '../report/archive-state.ts';
import { print, printJson, sayLine } from '../report/output.ts';
import { type Mapping, planMappings, resolveMappings, type TargetPlace } from '../run/mapping.ts';
import {
  type Kept,
  keep,
  type LeftOut,
  ownAddresses,
  planRoutes,
  recordedHosts,
  recordedServers,
  unroutable,
} from '../run/route-plan.ts';
import { routeLine } from '../transport/diagnosis.ts';
import { type Address, parseAddress } from '../wire/address.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../wire/prefixes.ts';
import { collectMappings } from './endpoints.ts';
import { MAPPING_FLAGS } from './replay-options.ts';

/** More lines than this, and wider prefixes are worth a thought. */
const MANY_LINES = 32;

/** What the hint proposes: the prefixes that networks are commonly cut to. */
const COMMON_BITS: Readonly<Record<4 | 6, number>> = { 4: 24, 6: 64 };

const EXAMPLES = `
Examples:
  mytape routes peak.tape --via 10.128.6.84
  mytape routes peak.tape --via 10.128.6.84 | ssh root@10.128.6.83 sh
  Whole /24s where that is fewer lines, but never the administrators' network:
    mytape routes peak.tape --via 10.128.6.84 --prefix 24 --keep 10.1.0.0/16
  Take them away again:
    mytape routes peak.tape --via 10.128.6.84 --delete
  The routes of each target, where servers go to targets of their own:
    mytape routes peak.tape --via 10.128.6.84 -x 10.0.0.5:3307-10.1.0.5:3307,10.0.0.6:3307-10.1.0.6:3307

The servers of the archive, the assistant, the targets (-x) and this host never get a route, nor does what --keep names.
Exit code: 0 done, 1 failed, 2 usage.`;

interface RoutesOptions {
  via: Address[];
  target?: Mapping[] | undefined;
  prefix?: number | undefined;
  prefix6?: number | undefined;
  keep?: Prefix[] | undefined;
  delete?: true | undefined;
  json?: true | undefined;
}

function collectVia(text: string, before: Address[] = []): Address[] {
  const address = parseAddress(text);
  if (address === undefined) {
    throw new InvalidArgumentError(`${text} is no address, as in 10.128.6.84 (a route takes no name).`);
  }
  if (before.some(({ family }) => family === address.family)) {
    throw new InvalidArgumentError(`One of IPv4 and one of IPv6 at most: ${text} is a second one.`);
  }
  return [...before, address];
}

function collectKeep(text: string, before: Prefix[] = []): Prefix[] {
  const prefix = parsePrefix(text);
  if (prefix !== undefined) return [...before, prefix];
  throw new InvalidArgumentError(`${text} is neither an address nor a prefix, as in 10.1.0.0/16.`);
}

function parseBits(width: number, least: number) {
  return (text: string): number => {
    const bits = Number(text.replace(/^\//, ''));
    if (/^\/?\d+$/.test(text) && bits >= least && bits <= width) return bits;
    throw new InvalidArgumentError(`${text} is no length of a prefix (${least} to ${width}).`);
  };
}

export function routesCommand() {
  return new Command('routes')
    .argument('<archive>', 'folder that `mytape record` made')
    .requiredOption(
      '--via <ip>',
      'the assistant, where `mytape intercept` runs, as the target reaches it (twice: IPv4 and IPv6)',
      collectVia,
    )
    .option(
      MAPPING_FLAGS,
      'as for replay: the clients of each target, and never a route to the targets themselves',
      collectMappings,
    )
    .option(
      '--prefix <bits>',
      'route prefixes as wide as this, with neighbours that are no clients: 24 (default: clients only)',
      parseBits(32, 8),
    )
    .option('--prefix6 <bits>', 'the same for IPv6: 64', parseBits(128, 16))
    .option('--keep <cidr>', 'addresses that are never routed (may be repeated)', collectKeep)
    .option('--delete', 'print the lines that take the routes away again')
    .option('--json', 'print one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(routes);
}

async function routes(dir: string, options: RoutesOptions): Promise<void> {
  const archive = openArchive(dir);
  try {
    sayState(archive);
    const hosts = recordedHosts(archive);
    const { clients } = hosts;
    if (clients.size === 0) {
      throw new MytapeError(
        'bad-archive',
        `${dir} has no session, so no client to route (see: mytape ls ${dir})`,
      );
    }
    const groups = await groupsOf(archive, dir, options.target, clients);
    const kept: Kept[] = [
      ...unroutable(),
      ...groups.flatMap(({ place }) => (place ? keep(place.address.text, 'is the target itself') : [])),
      ...recordedServers(hosts),
      ...options.via.flatMap((via) => keep(via.text, 'is the assistant')),
      ...ownAddresses(),
      ...(options.keep ?? []).map((prefix) => ({ prefix, what: 'is of --keep' })),
    ];
    const plans = groups.map((group) => planGroup(group, kept, options));
    if (options.json) printPlans(plans);
    else for (const plan of plans) printPlan(dir, plan, kept, options);
  } finally {
    archive.close();
  }
}

/** Clients that speak to one host. */
interface Group {
  /** undefined: the target was not said. */
  place: TargetPlace | undefined;
  /** Address of each, and how many sessions it had. */
  clients: ReadonlyMap<string, number>;
}

/** A group for each host that is a target, however many of its ports are; without -x all clients are one. */
async function groupsOf(
  archive: Archive,
  dir: string,
  mappings: readonly Mapping[] | undefined,
  all: ReadonlyMap<string, number>,
): Promise<Group[]> {
  if (mappings === undefined) return [{ place: undefined, clients: all }];
  const plan = await planMappings(mappings);
  const fixed = new FixedMappings(resolveMappings(plan, archive.sessions(), dir));
  const groups = new Map<string, { place: TargetPlace; clients: Map<string, number> }>();
  for (const place of plan.targets) {
    if (!groups.has(place.address.text)) groups.set(place.address.text, { place, clients: new Map() });
  }
  for (const { client, server, serverPort, ended } of archive.sessions()) {
    if (ended === 'half-open') continue;
    const destination = fixed.at(server, serverPort);
    if (destination === undefined) continue;
    const group = groups.get(plan.targets[destination.target].address.text);
    group?.clients.set(client, (group.clients.get(client) ?? 0) + 1);
  }
  return [...groups.values()];
}

/** What to type for one group. */
interface GroupPlan {
  place: TargetPlace | undefined;
  /** Clients of an IP version that there is a --via of. */
  wanted: ReadonlyMap<string, number>;
  /** How many get a route. */
  clients: number;
  routes: { prefix: Prefix; via: string; line: string }[];
  leftOut: LeftOut[];
}

function planGroup({ place, clients }: Group, kept: readonly Kept[], options: RoutesOptions): GroupPlan {
  const viaOf = (family: 4 | 6) => options.via.find((via) => via.family === family);
  const wanted = new Map([...clients].filter(([client]) => viaOf(familyOf(client)) !== undefined));
  const plan = planRoutes(wanted, kept, { 4: options.prefix ?? 32, 6: options.prefix6 ?? 128 });
  const unwanted = [...clients]
    .filter(([client]) => !wanted.has(client))
    .map(([address, sessions]) => {
      const why = `is IPv${familyOf(address)}, and no --via is`;
      return { address, sessions, why };
    });
  const verb = options.delete ? 'del' : 'add';
  const routes = plan.prefixes.map((prefix) => {
    const via = (viaOf(prefix.base.family) as Address).text;
    return { prefix, via, line: routeLine(formatPrefix(prefix), via, verb) };
  });
  return { place, wanted, clients: plan.clients, routes, leftOut: [...plan.leftOut, ...unwanted] };
}

/** `target` is in it where there are several. */
function printPlans(plans: readonly GroupPlan[]): void {
  const of = ({ place }: GroupPlan) => (plans.length > 1 ? { target: place?.host } : {});
  printJson({
    clients: plans.reduce((sum, { clients }) => sum + clients, 0),
    routes: plans.flatMap((plan) =>
      plan.routes.map(({ prefix, via, line }) => ({ ...of(plan), prefix: formatPrefix(prefix), via, line })),
    ),
    left_out: plans.flatMap((plan) => plan.leftOut.map((one) => ({ ...of(plan), ...one }))),
  });
}

function printPlan(dir: string, plan: GroupPlan, kept: readonly Kept[], options: RoutesOptions): void {
  const { place, clients, routes, leftOut, wanted } = plan;
  const lines = routes.map(({ line }) => line);
  const vias = options.via.map(({ text }) => text).join(', ');
  const purpose = options.delete
    ? 'take the routes to the assistant away'
    : `answers to ${counted(clients, 'recorded client')} go to the assistant ${vias}`;
  const where = place === undefined ? 'on the target' : `on the target ${place.host}`;
  if (lines.length > 0) print([`# ${where}: ${purpose}`, ...lines]);
  sayLeftOut(dir, leftOut);
  const prefixes = routes.map(({ prefix }) => prefix);
  if (lines.length > MANY_LINES) hint(wanted, kept, prefixes, options);
}

function familyOf(text: string): 4 | 6 {
  return text.includes(':') ? 6 : 4;
}

function sayLeftOut(
  dir: string,
  leftOut: readonly { address: string; sessions: number; why: string }[],
): void {
  const reasons = new Map<string, { addresses: string[]; sessions: number }>();
  for (const { address, sessions, why } of leftOut) {
    const reason = reasons.get(why) ?? { addresses: [], sessions: 0 };
    reason.addresses.push(address);
    reason.sessions += sessions;
    reasons.set(why, reason);
  }
  for (const [why, { addresses, sessions }] of reasons) {
    const others = addresses.length > 1 ? ` (and ${formatCount(addresses.length - 1)} more such)` : '';
    sayLine(
      `no route for ${addresses[0]}${others}: it ${why}. ` +
        `${counted(sessions, 'session')} of ${dir} ${sessions === 1 ? 'needs' : 'need'} other addresses: replay --clients CIDR`,
    );
  }
}

/** Says what wider prefixes would come to, where that is fewer lines. */
function hint(
  clients: ReadonlyMap<string, number>,
  kept: readonly Kept[],
  prefixes: readonly Prefix[],
  options: RoutesOptions,
): void {
  const exact = (family: 4 | 6) => (family === 4 ? options.prefix : options.prefix6) === undefined;
  const widths = { 4: options.prefix ?? COMMON_BITS[4], 6: options.prefix6 ?? COMMON_BITS[6] };
  const wider = planRoutes(clients, kept, widths).prefixes.length;
  if (wider >= prefixes.length) return;
  const flags = [
    ...(exact(4) && prefixes.some(isOf(4)) ? [`--prefix ${widths[4]}`] : []),
    ...(exact(6) && prefixes.some(isOf(6)) ? [`--prefix6 ${widths[6]}`] : []),
  ];
  sayLine(
    `these are ${formatCount(prefixes.length)} lines; ${flags.join(' ')} makes it ${formatCount(wider)}, ` +
      'and cuts off from the target whoever else lives there (--keep CIDR: but not these)',
  );
}

function isOf(family: 4 | 6): (prefix: Prefix) => boolean {
  return ({ base }) => base.family === family;
}
