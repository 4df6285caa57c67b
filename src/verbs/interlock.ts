/** Never onto production: what a run is held against before anything of it is sent. DESIGN §5. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { type ServerIdentity, sameServer } from '../archive/server-identity.ts';
import { MytapeError } from '../errors.ts';
import type { TargetTls } from '../transport/target-tls.ts';
import { type Address, addressFromOctets, parseAddress } from '../wire/address.ts';
import type { LoginJob } from './replay-logins.ts';
import type { Account, TargetFacts } from './target-facts.ts';

const OVERRIDE = 'replay onto a test server (or say --allow-live-target)';

/** ::ffff:0:0/96, RFC 4291 2.5.5.2. */
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

/** The servers that were recorded, or are being recorded. */
export interface RecordedSide {
  /** `ADDRESS PORT` of each, as `endpointKey` has them. */
  endpoints: ReadonlySet<string>;
  /** Who they said they were, where they were asked. */
  identities: readonly ServerIdentity[];
  /** For words: `the server that peak.tape was recorded from`. */
  what: string;
}

export interface TargetSide {
  target: Address;
  targetPort: number;
  tls: TargetTls | undefined;
  logins: LoginJob;
  /** It does not speak MySQL: only its address is looked at. */
  raw?: boolean;
}

export function endpointKey(address: string, port: number): string {
  return `${address} ${port}`;
}

/** For a live source on `ports`: whatever server listens at one of them on this host may be a recorded one. */
export function serversHere(ports: number | readonly number[], what: string): RecordedSide {
  const own = [...ownAddresses()];
  const endpoints = [ports].flat().flatMap((port) => own.map((address) => endpointKey(address, port)));
  return { endpoints: new Set(endpoints), identities: [], what };
}

/** Refuses a target that has the address of a recorded server. Asks nobody. */
export function refuseRecordedAddress(
  { target, targetPort }: Pick<TargetSide, 'target' | 'targetPort'>,
  recorded: RecordedSide,
): void {
  const { endpoints, what } = recorded;
  const name = nameOf(target.text, targetPort);
  if (endpoints.has(endpointKey(target.text, targetPort)))
    throw new MytapeError('refused', `${name} is ${what}: ${OVERRIDE}`);
  const own = ownAddresses();
  if (!own.has(target.text)) return;
  for (const address of own) {
    if (!endpoints.has(endpointKey(address, targetPort))) continue;
    const recordedName = nameOf(address, targetPort);
    throw new MytapeError(
      'refused',
      `${name} is this host, as ${recordedName} is, which is ${what}: ${OVERRIDE}`,
    );
  }
}

/**
 * Refuses a target that is a recorded server by address or by what it says of itself, or that looks live. Asks it on one
 * ordinary connection of this host's, for a few seconds at most; `say` is told what could not be found out.
 */
export async function interlock(
  side: TargetSide,
  recorded: RecordedSide,
  say: (line: string) => void,
): Promise<void> {
  refuseRecordedAddress(side, recorded);
  const { target, targetPort, tls, logins, raw } = side;
  if (raw === true) return;
  const name = nameOf(target.text, targetPort);
  const { askTarget } = await import('./target-facts.ts');
  const { serverKey } = logins;
  const facts = await askTarget({ host: target.text, port: targetPort, tls, serverKey }, accountsOf(logins));
  if (typeof facts === 'string') {
    say(`cannot ask ${name} whether it is a live server: ${facts}; the run goes on`);
    return;
  }
  const proof = proofOf(facts, recorded);
  if (proof !== undefined)
    throw new MytapeError('refused', `${name} is ${recorded.what}, by ${proof}: ${OVERRIDE}`);
  if (facts.live.length > 0)
    throw new MytapeError('refused', `${name} looks live: ${facts.live.join('; ')}: ${OVERRIDE}`);
  if (facts.lacks.length > 0) {
    const whats = facts.lacks.map(({ what }) => what).join(', ');
    const grants = [...new Set(facts.lacks.map(({ grant }) => grant))].join(', ');
    say(`${facts.user} may not ask ${name} ${whats}: the run goes on (for a whole check: GRANT ${grants})`);
  }
}

/** By what the target is one of the recorded servers; undefined: by nothing. */
export function proofOf({ identity, seenAs }: TargetFacts, recorded: RecordedSide): string | undefined {
  if (identity === undefined) return undefined;
  for (const one of recorded.identities) {
    const proof = sameServer(one, identity);
    if (proof !== undefined) return proof;
  }
  const { port } = identity;
  const isHere = [...ownAddresses()].some((address) => recorded.endpoints.has(endpointKey(address, port)));
  if (!isHere || seenAs === undefined || !endsHere(port, seenAs)) return undefined;
  return `its end of our connection, which is on this host, at port ${port}`;
}

/** Who may ask, in the order in which they are tried. */
function accountsOf({ as, users }: LoginJob): Account[] {
  if (as !== undefined) return [as];
  return [...users].map(([user, password]) => ({ user, password }));
}

/**
 * Whether the server's end of a connection is a socket of this host's (and network namespace): at `port`, to `peer`,
 * `ADDRESS:PORT` as the server has it. However many addresses were rewritten on the way. proc(5): /proc/net/tcp has addresses as words
 * of 32 bits in the host's order (little-endian, wherever Node runs but on s390x), ports in hexadecimal. Elsewhere than on Linux nothing is known: false.
 */
export function endsHere(port: number, peer: string, read = readProc): boolean {
  const colon = peer.lastIndexOf(':');
  const address = parseAddress(peer.slice(0, colon));
  const peerPort = Number(peer.slice(colon + 1));
  for (const line of read()) {
    const [, local, remote] = line.trim().split(/\s+/);
    if (local === undefined || remote === undefined) continue;
    if (portOf(local) !== port || portOf(remote) !== peerPort) continue;
    // A server that looks names up tells the name.
    if (address === undefined || addressOf(remote).text === address.text) return true;
  }
  return false;
}

function readProc(): string[] {
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => {
    try {
      return readFileSync(path, 'latin1').split('\n').slice(1);
    } catch {
      return [];
    }
  });
}

function portOf(end: string): number {
  return Number.parseInt(end.slice(end.indexOf(':') + 1), 16);
}

/** An IPv4 address in an IPv6 socket's is told as IPv4. */
function addressOf(end: string): Address {
  const hex = end.slice(0, end.indexOf(':'));
  const octets = Buffer.from(hex, 'hex').swap32();
  if (octets.length === 4) return addressFromOctets(octets, 0, 4);
  return octets.indexOf(MAPPED) === 0 ? addressFromOctets(octets, 12, 4) : addressFromOctets(octets, 0, 6);
}

function ownAddresses(): Set<string> {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const texts = own.flatMap(({ address }) => parseAddress(address.split('%')[0])?.text ?? []);
  return new Set(['127.0.0.1', '::1', ...texts]);
}

function nameOf(address: string, port: number): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}
