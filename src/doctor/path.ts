/** The step of `mytape doctor` that sends real packets: connections of clients to the target, through the very transport of a replay. */
import { formatCount } from '../counted.ts';
import { failed, ok, type Step } from '../report/step.ts';
import { compareSettings, plainVersion, type ServerSettings } from '../run/interlock/server-settings.ts';
import { realClock } from '../time.ts';
import {
  type ConnectFailure,
  diagnoseConnectFailure,
  endpoint,
  type PathFacts,
  targetHost,
} from '../transport/diagnosis.ts';
import { loginRemedy } from '../transport/login-remedies.ts';
import { type ProbeResult, probe } from '../transport/probe.ts';
import { reach } from '../transport/reach.ts';
import type { Transport } from '../transport/transport.ts';
import type { Address } from '../wire/address.ts';
import { holds, parsePrefix } from '../wire/prefixes.ts';
import type { Clients } from './steps.ts';

const NAME = 'path';

/** How long an ordinary connection may take, ms. */
const REACH_MS = 2_000;

interface Probed {
  client: Address;
  result: ProbeResult;
}

/** What the facts are whatever client they are about. */
export type CommonFacts = Omit<PathFacts, 'client' | 'clients' | 'reach'>;

/** One step for each kind of thing seen. Empty where `signal` was aborted. */
export async function checkPath(
  transport: Transport,
  clients: Clients,
  facts: CommonFacts,
  recorded: readonly ServerSettings[],
  signal: AbortSignal,
): Promise<Step[]> {
  const now = () => realClock.now();
  const probed = await Promise.all(
    clients.probes.map(async (client) => ({ client, result: await probe(transport, client, now, signal) })),
  );
  if (signal.aborted) return [];
  const kinds = new Map<string, Probed[]>();
  for (const one of probed) kinds.set(one.result.seen, [...(kinds.get(one.result.seen) ?? []), one]);
  const steps = await Promise.all(
    [...kinds.values()].map((same) => stepOf(same, probed.length, clients, facts)),
  );
  const greeting = probed.find(({ result }) => result.seen === 'greeting')?.result;
  if (greeting?.seen !== 'greeting') return steps;
  return [...steps, ...compareSettings({ version: greeting.version }, recorded, targetHost(facts))];
}

async function stepOf(
  same: readonly Probed[],
  all: number,
  clients: Clients,
  common: CommonFacts,
): Promise<Step> {
  const [{ client, result }] = same;
  const { target, port } = common;
  const who = same.length === all ? '' : ` (${same.length} of ${all} clients tried: ${namesOf(same)})`;
  if (result.seen === 'greeting') return greeted(same, result);
  if (result.seen === 'relay') return failed(NAME, `the way of the answers broke in the middle${who}`);
  if (result.seen === 'not-mysql') {
    return failed(NAME, `what listens on ${endpoint(common)} does not speak MySQL${who}`, [
      { host: targetHost(common), why: 'see what it is', lines: [`ss -ltnp 'sport = :${port}'`] },
    ]);
  }
  if (result.seen === 'error') {
    const says = `the path works, but the target turns ${client.text} away: ${result.errno} ${result.message}${who}`;
    const remedy = loginRemedy(result);
    return failed(NAME, says, remedy && [{ host: targetHost(common), ...remedy }]);
  }
  const facts: PathFacts = {
    ...common,
    client: client.text,
    clients: same.length === all ? clients.prefixes : prefixesOf(same, clients.prefixes),
    reach: result.seen === 'silent' ? await reach(target, port, REACH_MS) : undefined,
  };
  const { what, remedies } = diagnoseConnectFailure(result.seen as ConnectFailure, facts);
  return failed(NAME, `${what}${who}`, remedies);
}

function greeted(same: readonly Probed[], { version, afterMs }: ProbeResult & { seen: 'greeting' }): Step {
  const server = plainVersion(version);
  return ok(NAME, `the target greets ${namesOf(same)} in ${afterMs.toFixed(1)} ms: ${server}`);
}

function namesOf(same: readonly Probed[]): string {
  const [{ client }] = same;
  return same.length === 1 ? client.text : `${client.text} and ${formatCount(same.length - 1)} more`;
}

/** The routes of those clients. */
function prefixesOf(same: readonly Probed[], prefixes: readonly string[]): string[] {
  return prefixes.filter((text) => {
    const prefix = parsePrefix(text);
    return prefix !== undefined && same.some(({ client }) => holds(prefix, client));
  });
}
