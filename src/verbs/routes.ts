import { Command, InvalidArgumentError } from '@commander-js/extra-typings';
import { openArchive } from '../archive/reader.ts';
import { MytapeError } from '../errors.ts';
import { routeLine } from '../transport/diagnosis.ts';
import { type Address, parseAddress } from '../wire/address.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../wire/prefixes.ts';
import { type Mapping, parseMapping, resolveHost } from './endpoints.ts';
import { sayState } from './ls.ts';
import { formatCount, printJson, say } from './output.ts';
import {
  type Kept,
  keep,
  ownAddresses,
  planRoutes,
  recordedHosts,
  recordedServers,
  unroutable,
} from './route-plan.ts';

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

The servers of the archive, the assistant, the target (-x) and this host never get a route, nor does what --keep names.
Exit code: 0 done, 1 failed, 2 usage.`;

interface RoutesOptions {
  via: Address[];
  target?: Mapping | undefined;
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
    .description("print the routes that the target needs for an archive's clients, the fewest there can be")
    .argument('<archive>', 'folder that `mytape record` made')
    .requiredOption(
      '--via <ip>',
      'the assistant, where `mytape intercept` runs, as the target reaches it (twice: IPv4 and IPv6)',
      collectVia,
    )
    .option('-x, --target <port-host:port>', 'as for replay: never route this host', parseMapping)
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
    const target = options.target && (await resolveHost(options.target.host));
    const kept: Kept[] = [
      ...unroutable(),
      ...(target ? keep(target.text, 'is the target itself') : []),
      ...recordedServers(hosts),
      ...options.via.flatMap((via) => keep(via.text, 'is the assistant')),
      ...ownAddresses(),
      ...(options.keep ?? []).map((prefix) => ({ prefix, what: 'is of --keep' })),
    ];
    print(dir, clients, kept, options);
  } finally {
    archive.close();
  }
}

function print(
  dir: string,
  clients: ReadonlyMap<string, number>,
  kept: readonly Kept[],
  options: RoutesOptions,
): void {
  const viaOf = (family: 4 | 6) => options.via.find((via) => via.family === family);
  const wanted = new Map([...clients].filter(([client]) => viaOf(familyOf(client)) !== undefined));
  const plan = planRoutes(wanted, kept, { 4: options.prefix ?? 32, 6: options.prefix6 ?? 128 });
  const leftOut = [
    ...plan.leftOut,
    ...[...clients]
      .filter(([client]) => !wanted.has(client))
      .map(([address, sessions]) => {
        const why = `is IPv${familyOf(address)}, and no --via is`;
        return { address, sessions, why };
      }),
  ];
  const verb = options.delete ? 'del' : 'add';
  const lines = plan.prefixes.map((prefix) => {
    const via = viaOf(prefix.base.family) as Address;
    return routeLine(formatPrefix(prefix), via.text, verb);
  });
  if (options.json) {
    printJson({
      clients: plan.clients,
      routes: plan.prefixes.map((prefix, i) => ({
        prefix: formatPrefix(prefix),
        via: viaOf(prefix.base.family)?.text,
        line: lines[i],
      })),
      left_out: leftOut,
    });
    return;
  }
  const vias = options.via.map(({ text }) => text).join(', ');
  const purpose = options.delete
    ? 'take the routes to the assistant away'
    : `answers to ${formatCount(plan.clients)} recorded ${plan.clients === 1 ? 'client' : 'clients'} go to the assistant ${vias}`;
  const where = options.target === undefined ? 'on the target' : `on the target ${options.target.host}`;
  process.stdout.write(lines.length === 0 ? '' : [`# ${where}: ${purpose}`, ...lines, ''].join('\n'));
  sayLeftOut(dir, leftOut);
  if (lines.length > MANY_LINES) hint(wanted, kept, plan.prefixes, options);
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
    say(
      `mytape: no route for ${addresses[0]}${others}: it ${why}. ` +
        `${formatCount(sessions)} sessions of ${dir} need other addresses: replay --clients CIDR`,
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
  say(
    `mytape: these are ${formatCount(prefixes.length)} lines; ${flags.join(' ')} makes it ${formatCount(wider)}, ` +
      'and cuts off from the target whoever else lives there (--keep CIDR: but not these)',
  );
}

function isOf(family: 4 | 6): (prefix: Prefix) => boolean {
  return ({ base }) => base.family === family;
}
