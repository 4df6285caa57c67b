/** `mytape doctor --transport socket`: the steps of an ordinary connection, from the first packet to what a replay asks before it begins. */
import { realClock } from '../time.ts';
import { probe } from '../transport/probe.ts';
import { SocketTransport } from '../transport/socket.ts';
import type { TargetTls } from '../transport/target-tls.ts';
import { type Address, endpointText } from '../wire/address.ts';
import {
  checkArchive,
  checkTls,
  checkWhole,
  failed,
  ok,
  readRecorded,
  type Step,
  warning,
} from './doctor-steps.ts';
import type { Listener } from './examination.ts';
import { accountsOf, judge, toSay } from './interlock.ts';
import type { PlannedMappings } from './mapping.ts';
import type { RecordedSide } from './recorded-side.ts';
import type { LoginJob } from './replay-logins.ts';
import { tryLogin } from './target-client.ts';
import { ANSWER_LIMIT_MS, askTarget } from './target-facts.ts';

/** Of the users, so many log in. */
const MOST_USERS = 8;

export interface SocketDoctorOptions {
  plan: PlannedMappings;
  /** Number of the target that is looked at. */
  index: number;
  tls: TargetTls | undefined;
  logins: LoginJob;
  archive: string | undefined;
  /** `sideReader` of the archive. */
  side: () => Promise<RecordedSide>;
}

/** Tells each step to `listener`; the first that fails is the last. */
export async function examineSocket(options: SocketDoctorOptions, listener: Listener): Promise<void> {
  const { plan, index, tls, logins, archive, side } = options;
  const place = plan.targets[index];
  const { address: target, port } = place;
  let isFailed = false;
  const tell = (step: Step) => {
    isFailed ||= step.status === 'failed';
    listener.tell(step);
  };
  if (archive !== undefined) {
    const hosts = readRecorded(archive, plan, index);
    if ('status' in hosts) return tell(hosts);
    tell(checkArchive(archive, place, hosts));
    if (isFailed) return;
    for (const step of [...checkWhole(archive), ...(await checkTls(archive))]) tell(step);
  }
  const recorded = await side();
  listener.looking('the greeting');
  tell(await checkGreeting(target, port));
  if (isFailed) return;
  const accounts = accountsOf(logins, recorded.users);
  if (accounts.length === 0)
    return tell(warning('login', 'not tried: name users and their passwords (--users), or one (--as)'));
  const address = { host: target.text, port, tls, serverKey: logins.serverKey };
  const how =
    tls === undefined ? '' : ` over TLS${tls.verify === 'none' ? ', its certificate not looked at' : ''}`;
  for (const account of accounts.slice(0, MOST_USERS)) {
    listener.looking('the login');
    const why = await tryLogin(address, account, ANSWER_LIMIT_MS);
    if (why === undefined) tell(ok('login', `${account.user} logs in${how}`));
    else tell(failed('login', `${account.user} cannot log in${how}: ${why}`));
  }
  listener.looking('the interlock');
  const facts = await askTarget(address, accounts);
  const found = judge(endpointText(target.text, port), facts, recorded, Date.now());
  for (const { says, advice } of toSay(found)) tell(failed('interlock', `${says}: ${advice}`));
  if (found.length === 0)
    tell(ok('interlock', 'the target is not a recorded server, and does not look live'));
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
