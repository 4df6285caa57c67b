/** `mytape doctor --transport socket`: the steps of an ordinary connection, from the first packet to what a replay asks before it begins. */
import { readSnapshots } from '../archive/snapshots.ts';
import { realClock } from '../time.ts';
import { probe } from '../transport/probe.ts';
import { SocketTransport } from '../transport/socket.ts';
import type { TargetTls } from '../transport/target-tls.ts';
import type { Address } from '../wire/address.ts';
import { checkArchive, failed, ok, readRecorded, type Step, warning } from './doctor-steps.ts';
import type { Listener } from './examination.ts';
import { proofOf, type RecordedSide } from './interlock.ts';
import type { PlannedMappings } from './mapping.ts';
import type { LoginJob } from './replay-logins.ts';
import { type Account, askTarget, type TargetFacts } from './target-facts.ts';

/** Of the users, so many log in. */
const MOST_USERS = 8;

export interface SocketDoctorOptions {
  plan: PlannedMappings;
  /** Number of the target that is looked at. */
  index: number;
  tls: TargetTls | undefined;
  logins: LoginJob;
  archive: string | undefined;
}

/** Tells each step to `listener`; the first that fails is the last. */
export async function examineSocket(options: SocketDoctorOptions, listener: Listener): Promise<void> {
  const { plan, index, tls, logins, archive } = options;
  const place = plan.targets[index];
  const { address: target, port } = place;
  let isFailed = false;
  const tell = (step: Step) => {
    isFailed ||= step.status === 'failed';
    listener.tell(step);
  };
  let recorded: RecordedSide = { endpoints: new Set(), identities: [], what: '' };
  if (archive !== undefined) {
    const hosts = readRecorded(archive, plan, index);
    if ('status' in hosts) return tell(hosts);
    tell(checkArchive(archive, place, hosts));
    const { servers: identities } = readSnapshots(archive);
    recorded = { endpoints: hosts.servers, identities, what: `the server that ${archive} was recorded from` };
  }
  if (isFailed) return;
  listener.looking('the greeting');
  tell(await checkGreeting(target, port));
  if (isFailed) return;
  const accounts: Account[] =
    logins.as === undefined ? [...logins.users].map(([user, password]) => ({ user, password })) : [logins.as];
  if (accounts.length === 0)
    return tell(warning('login', 'not tried: name users and their passwords (--users), or one (--as)'));
  let facts: TargetFacts | undefined;
  for (const account of accounts.slice(0, MOST_USERS)) {
    listener.looking('the login');
    const asked = await askTarget({ host: target.text, port, tls, serverKey: logins.serverKey }, [account]);
    const how =
      tls === undefined ? '' : ` over TLS${tls.verify === 'none' ? ', its certificate not looked at' : ''}`;
    if (typeof asked === 'string') tell(failed('login', `${account.user} cannot log in${how}: ${asked}`));
    else tell(ok('login', `${account.user} logs in${how}`));
    if (typeof asked !== 'string') facts ??= asked;
  }
  if (facts !== undefined) tell(checkInterlock(facts, recorded));
}

async function checkGreeting(target: Address, port: number): Promise<Step> {
  const name = 'greeting';
  const transport = new SocketTransport({ target: target.text, port, clock: realClock });
  try {
    const { signal } = new AbortController();
    const result = await probe(transport, target, () => realClock.now(), signal);
    const server = `${target.text} port ${port}`;
    if (result.seen === 'greeting')
      return ok(
        name,
        `${server} greets in ${result.afterMs.toFixed(1)} ms: ${result.version.replace(/^5\.5\.5-/, '')}`,
      );
    if (result.seen === 'error')
      return failed(name, `${server} turns this host away: ${result.errno} ${result.message}`);
    if (result.seen === 'not-mysql') return failed(name, `what listens at ${server} does not speak MySQL`);
    return failed(
      name,
      `no connection to ${server}: ${result.seen} (is the server up, and this way open to it?)`,
    );
  } finally {
    await transport.close();
  }
}

/** What a replay would refuse. */
function checkInterlock(facts: TargetFacts, recorded: RecordedSide): Step {
  const name = 'interlock';
  const proof = proofOf(facts, recorded);
  if (proof !== undefined)
    return failed(name, `the target is ${recorded.what}, by ${proof}: replay refuses it`);
  if (facts.live.length > 0)
    return failed(name, `the target looks live: ${facts.live.join('; ')}: replay refuses it`);
  if (facts.lacks.length === 0) return ok(name, 'the target is no recorded server, and does not look live');
  const whats = facts.lacks.map(({ what }) => what).join(', ');
  const grants = [...new Set(facts.lacks.map(({ grant }) => grant))].join(', ');
  return warning(name, `${facts.user} may not ask ${whats} (GRANT ${grants})`);
}
