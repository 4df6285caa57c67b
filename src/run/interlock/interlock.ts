/** Never onto production: what is checked before a run sends anything. DESIGN §5, decision 0033. */

import { compareServers } from '../../archive/server-identity.ts';
import { firstFew } from '../../counted.ts';
import { MytapeError } from '../../errors.ts';
import { endsHere } from '../../net/host/listeners.ts';
import { isThisHost, thisHostsAddresses, unmapped } from '../../net/host/this-host.ts';
import type { ProtocolName } from '../../replay/protocol.ts';
import type { Account } from '../../server/client.ts';
import type { TargetFacts } from '../../server/facts.ts';
import type { NoEntry } from '../../server/no-entry.ts';
import { QUESTIONS } from '../../server/questions.ts';
import type { TargetTls } from '../../transport/target-tls.ts';
import { type Address, endpointText, parseAddress } from '../../wire/address.ts';
import { endpointKey, endpointOfKey } from '../../wire/endpoint.ts';
import type { LoginJob } from '../logins.ts';
import { whyOther, whySame } from './evidence.ts';
import type { RecordedSide } from './recorded-side.ts';

/** Findings that the user waives, each by a flag of its own. */
export interface Waivers {
  /** `--allow-live-target`: the target is a recorded server, or looks live. Nothing is left to ask then. */
  live: boolean;
  /** `--allow-unchecked-target`: questions that the target did not answer. */
  unchecked: boolean;
  /** `--allow-unidentified`: recorded servers that nothing is known of. */
  unidentified: boolean;
}

/** The options of the command line that waive. */
export interface WaiverOptions {
  allowLiveTarget?: true | undefined;
  allowUncheckedTarget?: true | undefined;
  allowUnidentified?: true | undefined;
}

export function waiversOf(options: WaiverOptions): Waivers {
  return {
    live: options.allowLiveTarget === true,
    unchecked: options.allowUncheckedTarget === true,
    unidentified: options.allowUnidentified === true,
  };
}

/** Something that refuses a run, unless it is waived. */
export interface Finding {
  kind: keyof Waivers;
  /** Without the advice. */
  says: string;
  /** What to do about it. */
  advice: string;
  /** It explains the others of its target: the target could not be asked at all. */
  alone?: true;
}

const ANOTHER_SERVER = 'if you know that the target is another server, say --allow-unidentified';
const WAIVE_UNCHECKED = 'if you know that it is a test server, say --allow-unchecked-target';
const TEST_SERVER = 'replay onto a test server (or say --allow-live-target)';

export interface TargetSide {
  target: Address;
  targetPort: number;
  tls: TargetTls | undefined;
  logins: LoginJob;
  /** Of one that does not speak MySQL only the address is looked at. */
  protocol?: ProtocolName | undefined;
}

/** Refuses a target that has the address of a recorded server. Asks no server. */
export function refuseRecordedAddress(
  side: Pick<TargetSide, 'target' | 'targetPort'>,
  recorded: Pick<RecordedSide, 'endpoints' | 'what'>,
): void {
  const found = addressFinding(side, recorded);
  if (found !== undefined) throw refusal([found]);
}

/** What the target's address alone says. */
export function addressFinding(
  { target, targetPort }: Pick<TargetSide, 'target' | 'targetPort'>,
  { endpoints, what }: Pick<RecordedSide, 'endpoints' | 'what'>,
): Finding | undefined {
  const name = endpointText(target.text, targetPort);
  const found = (says: string): Finding => ({ kind: 'live', says, advice: TEST_SERVER });
  if (endpoints.has(endpointKey(unmapped(target).text, targetPort))) return found(`${name} is ${what}`);
  const own = thisHostsAddresses();
  if (!isThisHost(target, own)) return undefined;
  for (const { address, port } of [...endpoints].map(endpointOfKey)) {
    const recorded = parseAddress(address);
    if (port !== targetPort || recorded === undefined || !isThisHost(recorded, own)) continue;
    const recordedName = endpointText(address, targetPort);
    return found(`${name} is this host, as ${recordedName} is, which is ${what}`);
  }
  return undefined;
}

/**
 * Refuses a target that is a recorded server, looks live, or may be either for all we know: no answer, no run. Asks it on
 * ordinary connections of this host's, within the bounds of server/facts.ts. Calls `say` with what was waived.
 */
export async function interlock(
  side: TargetSide,
  recorded: RecordedSide,
  waivers: Waivers,
  say: (line: string) => void,
): Promise<void> {
  if (waivers.live) return;
  refuseRecordedAddress(side, recorded);
  const findings = await findingsOf(side, recorded);
  const refused = findings.filter(({ kind }) => !waivers[kind]);
  if (refused.length > 0) throw refusal(toSay(refused));
  for (const { says } of findings) say(`${says}: the run goes on, as you allowed`);
}

/** Of several findings about one target those that are worth a line. */
export function toSay(findings: readonly Finding[]): readonly Finding[] {
  const alone = findings.find((finding) => finding.alone);
  return alone === undefined ? findings : [alone];
}

/** All findings but those by the target's address, gravest first. */
async function findingsOf(side: TargetSide, recorded: RecordedSide): Promise<Finding[]> {
  const { target, targetPort, tls, logins, protocol } = side;
  const name = endpointText(target.text, targetPort);
  if (protocol === 'raw') return [rawFinding(name)];
  const { askTarget } = await import('../../server/facts.ts');
  const facts = await askTarget(
    { host: target.text, port: targetPort, tls, serverKey: logins.serverKey },
    accountsOf(logins, recorded.users),
  );
  return judge(name, facts, recorded, Date.now());
}

function rawFinding(name: string): Finding {
  return {
    kind: 'unchecked',
    says: `we can't query ${name}, whose protocol we don't know, so it may be a live server`,
    advice: WAIVE_UNCHECKED,
  };
}

/** What a run would ask the target `name`, and why else it might be refused: lines of a dry run's output. */
export function wouldBeAsked(
  name: string,
  logins: LoginJob,
  recorded: RecordedSide,
  waivers: Waivers,
): string[] {
  if (waivers.live) return [`a run would ask ${name} nothing (--allow-live-target)`];
  const users = accountsOf(logins, recorded.users).map(({ user }) => user || "''");
  const asUsers = users.length === 0 ? 'no user (no password is known)' : firstFew(users);
  const asks = `a run would first ask ${name}, as ${asUsers}: ${Object.values(QUESTIONS).join(' ')}`;
  if (recorded.unidentified.length === 0 || waivers.unidentified) return [asks];
  const { says, advice } = unidentifiedFinding(name, recorded, recorded.unidentified);
  return [
    asks,
    `unless the target's uptime and version show otherwise, a run would be refused: ${says}: ${advice}`,
  ];
}

/** Findings about the target `name`, from what it said at `nowMs`, ms since 1970. */
export function judge(name: string, facts: TargetFacts, recorded: RecordedSide, nowMs: number): Finding[] {
  const findings: Finding[] = [];
  const proof = proofOf(facts, recorded);
  if (proof !== undefined)
    findings.push({ kind: 'live', says: `${name} is ${recorded.what}, by ${proof}`, advice: TEST_SERVER });
  if (facts.live.length > 0)
    findings.push({
      kind: 'live',
      says: `${name} looks live: ${facts.live.join('; ')}`,
      advice: TEST_SERVER,
    });
  if (facts.noEntry !== undefined) findings.push(noEntryFinding(name, facts.noEntry));
  else if (facts.open.length > 0) findings.push(openFinding(name, facts));
  const unlike = recorded.unidentified.filter(({ greetings }) => whyOther(facts, greetings) === undefined);
  for (const { name: server, greetings } of unlike) {
    const why = whySame(facts, greetings, nowMs);
    if (why !== undefined)
      findings.unshift({
        kind: 'live',
        says: `${name} seems to be ${server}, ${recorded.what}: by ${why}`,
        advice: TEST_SERVER,
      });
  }
  if (unlike.length > 0) findings.push(unidentifiedFinding(name, recorded, unlike));
  if (proof === undefined) findings.push(...unsureFindings(name, facts, recorded));
  return findings;
}

/** The findings that the target `name` is like an identified server, and not enough unlike it. */
function unsureFindings(
  name: string,
  { identity }: Pick<TargetFacts, 'identity'>,
  { identities, what }: RecordedSide,
): Finding[] {
  if (identity === undefined) return [];
  const says = identities.flatMap((one) => {
    const { is, by } = compareServers(one, identity);
    if (is !== 'unsure') return [];
    const why =
      by === '' ? 'nothing else is known of both' : `only ${by} differs, which may have been changed`;
    return `${name} may be ${what}: its host name is ${one.hostname} too, and ${why}`;
  });
  return [...new Set(says)].map((says) => ({ kind: 'unidentified', says, advice: ANOTHER_SERVER }));
}

function noEntryFinding(name: string, { says, advice, canRun }: NoEntry): Finding {
  return {
    kind: 'unchecked',
    says: `${name} ${says}`,
    advice: canRun ? `${advice}; or, ${WAIVE_UNCHECKED}` : advice,
    alone: true,
  };
}

function openFinding(name: string, { open }: TargetFacts): Finding {
  const byWhy = new Map<string, string[]>();
  for (const { asks, why } of open) byWhy.set(why, [...(byWhy.get(why) ?? []), `“${asks}”`]);
  const questions = [...byWhy].map(([why, asks]) => `${asks.join(', ')} (${why})`);
  const grants = [...new Set(open.flatMap(({ grant }) => grant ?? []))];
  const first = grants.length === 0 ? '' : `let a user answer it (${grants.join('; ')}), or, `;
  return {
    kind: 'unchecked',
    says: `${name} may be a live server: no answer to ${questions.join(', ')}`,
    advice: `${first}${WAIVE_UNCHECKED}`,
  };
}

/** The finding that the target `name` would not be recognized if it were one of these servers. */
export function unidentifiedFinding(
  name: string,
  { what }: RecordedSide,
  unknown: RecordedSide['unidentified'],
): Finding {
  const names = firstFew(unknown.map((server) => server.name));
  return {
    kind: 'unidentified',
    says: `${name} may be ${what}: nothing shows which server ${names} is, so it can't be recognized behind another address`,
    advice: ANOTHER_SERVER,
  };
}

/** A line for each finding. */
function refusal(findings: readonly Finding[]): MytapeError {
  const [first, ...others] = findings.map(({ says, advice }) => `${says}: ${advice}`);
  return new MytapeError('refused', first, { lines: others });
}

/** What shows that the target is one of the recorded servers; undefined: nothing does. */
function proofOf(
  { identity, seenAs }: Pick<TargetFacts, 'identity' | 'seenAs'>,
  recorded: Pick<RecordedSide, 'endpoints' | 'identities' | 'uuids'>,
): string | undefined {
  if (identity === undefined) return undefined;
  for (const one of recorded.identities) {
    const { is, by } = compareServers(one, identity);
    if (is === 'same') return by;
  }
  const { port, uuid } = identity;
  if (uuid !== undefined && recorded.uuids.has(uuid))
    return `@@server_uuid ${uuid}, which the recording shows`;
  const own = thisHostsAddresses();
  const isHere = [...recorded.endpoints]
    .map(endpointOfKey)
    .some((endpoint) => endpoint.port === port && own.has(endpoint.address));
  if (!isHere || seenAs === undefined || !endsHere(port, seenAs)) return undefined;
  return `its end of our connection, which is on this host, at port ${port}`;
}

/** All that will log in, in the order in which they are asked as. Where no password is known, that is `recorded` users without one. */
export function accountsOf({ as, users, remapUser }: LoginJob, recorded: readonly string[]): Account[] {
  if (as !== undefined) return [as];
  if (users.size > 0) return [...users].map(([user, password]) => ({ user, password }));
  const names = new Set(recorded.map((user) => remapUser.get(user) ?? user));
  return [...names].map((user) => ({ user, password: '' }));
}
