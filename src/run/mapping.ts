/** `-x` made ready for a run: hosts looked up, targets told apart, recorded servers found in the archive. */
import { counted, formatCount } from '../counted.ts';
import { MytapeError } from '../errors.ts';
import { resolveHost } from '../net/host/resolve.ts';
import type { FixedMappings, MappingJob } from '../replay/mappings.ts';
import { type Address, endpointText } from '../wire/address.ts';
import { endpointKey } from '../wire/endpoint.ts';

/** Servers to choose from: so many are listed. */
const MOST_CHOICES = 16;

/** A host and port that sessions go to. */
export interface TargetPlace {
  /** As it was named. */
  host: string;
  address: Address;
  port: number;
}

/** What `-x` says, before the recording is known. */
export interface PlannedMappings {
  mappings: readonly Mapping[];
  /** Each host and port once, in the order of the mappings. */
  targets: readonly TargetPlace[];
  /** One for each mapping, in order. */
  jobs: readonly MappingJob[];
}

/** What of a recorded session matters here: a row of the archive's index is one. */
export interface ServedSession {
  server: string;
  serverPort: number;
  clientOctets: number;
  serverOctets: number;
}

/** A recorded server. */
interface Served {
  address: string;
  port: number;
  sessions: number;
  /** Somebody said something to it, or it to somebody. */
  spoke: boolean;
}

/** Looks the hosts up. Throws 'usage' where there is no such host. */
export async function planMappings(mappings: readonly Mapping[]): Promise<PlannedMappings> {
  const targets: TargetPlace[] = [];
  const jobs: MappingJob[] = [];
  for (const { source, recordedPort, host, port } of mappings) {
    const address = await resolveHost(host);
    let target = targets.findIndex((one) => one.address.text === address.text && one.port === port);
    if (target < 0) target = targets.push({ host, address, port }) - 1;
    jobs.push({ source: source?.text, port: recordedPort, target });
  }
  return { mappings, targets, jobs };
}

/** A mapping that the recording does not bear out, or that may mean several of its servers. */
export class UnclearMapping extends MytapeError {
  /** What is wrong, in a line. */
  readonly what: string;
  /** What to type in place of the mapping, where it may mean several servers. */
  readonly choices: readonly string[];

  constructor(what: string, choices: readonly string[] = [], advice = '') {
    const lines = choices.map((choice) => `  ${choice}`);
    super('usage', what, { lines: advice === '' ? lines : [...lines, advice] });
    this.what = what;
    this.choices = choices;
  }
}

/**
 * The same mappings with the address of every recorded server. One that was named by its port only is the one server of
 * that port that no other mapping names. Throws UnclearMapping, with the choices, where there are several, and where a
 * mapping names what is not in the recording.
 */
export function resolveMappings(
  { mappings, jobs }: PlannedMappings,
  sessions: Iterable<ServedSession>,
  dir: string,
): MappingJob[] {
  const servers = serversOf(sessions);
  return jobs.map((job, i) => {
    const found = candidates(job, jobs, servers);
    if (found.length === 0) throw new UnclearMapping(missing(dir, mappings[i], servers));
    if (found.length > 1) throw choiceOf(dir, mappings[i], found);
    return { ...job, source: found[0].address };
  });
}

/** A mapping of each recorded server onto the first target. */
export function everyServer(sessions: Iterable<ServedSession>): MappingJob[] {
  return serversOf(sessions).map(({ address, port }) => ({ source: address, port, target: 0 }));
}

function serversOf(sessions: Iterable<ServedSession>): Served[] {
  const servers = new Map<string, Served>();
  for (const { server: address, serverPort: port, clientOctets, serverOctets } of sessions) {
    const key = endpointKey(address, port);
    let server = servers.get(key);
    if (server === undefined) servers.set(key, (server = { address, port, sessions: 0, spoke: false }));
    server.sessions++;
    server.spoke ||= clientOctets > 0 || serverOctets > 0;
  }
  return [...servers.values()];
}

/** The servers that `job` may mean. */
function candidates(job: MappingJob, jobs: readonly MappingJob[], servers: readonly Served[]): Served[] {
  const ofPort = servers.filter(({ port }) => port === job.port);
  if (job.source !== undefined) return ofPort.filter(({ address }) => address === job.source);
  const named = (server: Served) =>
    jobs.some(({ source, port }) => source === server.address && port === server.port);
  const others = ofPort.filter((server) => !named(server));
  // A connection that nobody answered, a port scan say, makes no second server.
  const spoke = others.filter((server) => server.spoke);
  return spoke.length > 0 ? spoke : others;
}

function missing(dir: string, mapping: Mapping, servers: readonly Served[]): string {
  const { source, recordedPort } = mapping;
  if (source === undefined) {
    const ports = [...new Set(servers.map(({ port }) => port))];
    if (ports.includes(recordedPort))
      return `every server of port ${recordedPort} in ${dir} is named by its address in another mapping: leave out ${mappingWords(mapping)}`;
    const there = ports.length === 0 ? 'no session at all' : `sessions of port ${ports.join(', ')}`;
    return `${dir} has no session of port ${recordedPort}, it has ${there} (mend -x)`;
  }
  const there = servers.slice(0, MOST_CHOICES).map(({ address, port }) => endpointText(address, port));
  const has = there.length === 0 ? 'no session at all' : `sessions of ${there.join(', ')}`;
  return `${dir} has no session of ${sourceText(mapping)}, it has ${has} (mend -x)`;
}

/** Refuses to guess which of `servers` `mapping` means. */
function choiceOf(dir: string, mapping: Mapping, servers: readonly Served[]): UnclearMapping {
  const target = endpointText(mapping.host, mapping.port);
  const options = servers.map(({ address, port }) => `${endpointText(address, port)}-${target}`);
  const listed = options.slice(0, MOST_CHOICES);
  const width = Math.max(...listed.map((option) => option.length));
  const more = options.length - listed.length;
  return new UnclearMapping(
    `${dir} has ${formatCount(servers.length)} servers on port ${mapping.recordedPort}, and -x ${mappingWords(mapping)} does not say which one is meant. Name it by its address:`,
    [
      ...listed.map(
        (option, i) => `-x ${option.padEnd(width)}    # ${counted(servers[i].sessions, 'session')}`,
      ),
      ...(more > 0 ? [`# and ${formatCount(more)} more: mytape ls ${dir}`] : []),
    ],
    'The sessions of servers that no -x names are skipped. To replay several, name each with its target; ' +
      `if these are addresses of one server, name them with the same target: -x ${options.slice(0, 2).join(',')}`,
  );
}

/** A mapping as `-x` takes it. */
export function mappingWords(mapping: Mapping): string {
  return `${sourceText(mapping)}-${endpointText(mapping.host, mapping.port)}`;
}

/** `10.1.0.5:3307`, by the name that the target was given. */
export function targetText({ host, port }: Pick<TargetPlace, 'host' | 'port'>): string {
  return endpointText(host, port);
}

/** `10.0.0.5:3307 -> 10.1.0.5:3307`; without address where the recorded server is not known. */
export function mappingText(source: string | undefined, port: number, target: string): string {
  return `${source === undefined ? port : endpointText(source, port)} -> ${target}`;
}

/** The rows of an archive's index that `mappings` take. */
export function* mappedSessions<Row extends Pick<ServedSession, 'server' | 'serverPort'>>(
  sessions: Iterable<Row>,
  mappings: Pick<FixedMappings, 'at'>,
): Iterable<Row> {
  for (const row of sessions) if (mappings.at(row.server, row.serverPort) !== undefined) yield row;
}

export interface Endpoint {
  host: string;
  port: number;
}

/** One part of `-x`: which recorded server goes where. */
export interface Mapping extends Endpoint {
  /** The recorded server's address; undefined: that of the one server of the port that no other mapping names. */
  source?: Address | undefined;
  recordedPort: number;
}

/** The recorded side as `-x` has it: `3307`, `10.0.0.5:3307`. */
export function sourceText({ source, recordedPort }: Pick<Mapping, 'source' | 'recordedPort'>): string {
  return source === undefined ? String(recordedPort) : endpointText(source.text, recordedPort);
}
