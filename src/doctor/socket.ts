/** `mytape doctor --transport socket`: the steps of an ordinary connection, from the first packet to what a replay asks before it begins. */
import { saysDenied } from '../mysql/login-errors.ts';
import { failed, ok, type Step, warning } from '../report/step.ts';
import { accountsOf, judge, toSay } from '../run/interlock/interlock.ts';
import type { RecordedSide } from '../run/interlock/recorded-side.ts';
import { compareSettings, plainVersion } from '../run/interlock/server-settings.ts';
import type { LoginJob } from '../run/logins.ts';
import type { PlannedMappings } from '../run/mapping.ts';
import { type AccountFinding, accountFinding, accountsQuery } from '../server/accounts.ts';
import { type Account, type TargetAddress, TargetClient, tryLogin } from '../server/client.ts';
import { ANSWER_LIMIT_MS, askTarget } from '../server/facts.ts';
import { troubleText } from '../server/trouble.ts';
import { realClock } from '../time.ts';
import { type Remedy, targetHost } from '../transport/diagnosis.ts';
import { loginRemedy, type Refusal, statement } from '../transport/login-remedies.ts';
import { probe } from '../transport/probe.ts';
import { SocketTransport } from '../transport/socket.ts';
import type { TargetTls } from '../transport/target-tls.ts';
import { type Address, endpointText } from '../wire/address.ts';
import type { Listener } from './examination.ts';
import { checkArchive, checkTls, checkWhole, readRecorded } from './steps.ts';

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
  listener.looking('the login');
  for (const step of await checkLogins(address, accounts.slice(0, MOST_USERS), how)) tell(step);
  listener.looking('the interlock');
  const facts = await askTarget(address, accounts);
  const found = judge(endpointText(target.text, port), facts, recorded, Date.now());
  for (const { says, advice } of toSay(found)) tell(failed('interlock', `${says}: ${advice}`));
  if (found.length === 0)
    tell(ok('interlock', 'the target is not a recorded server, and does not look live'));
  const { version, sqlMode } = facts.identity ?? {};
  if (version === undefined) return;
  const host = targetHost({ target: target.text });
  for (const step of compareSettings({ version, sqlMode }, recorded.settings, host)) tell(step);
}

/** Each user's login, in their order; one that got in may say of the others why they did not. */
async function checkLogins(
  address: TargetAddress,
  accounts: readonly Account[],
  how: string,
): Promise<Step[]> {
  const tried: { account: Account; error: Error | undefined }[] = [];
  for (const account of accounts)
    tried.push({ account, error: await tryLogin(address, account, ANSWER_LIMIT_MS) });
  const insiders = tried.flatMap(({ account, error }) => (error === undefined ? [account] : []));
  const steps: Step[] = [];
  for (const { account, error } of tried) {
    const { user } = account;
    if (error === undefined) steps.push(ok('login', `${user} logs in${how}`));
    else steps.push(await refused(address, { user, error, how }, insiders));
  }
  return steps;
}

/** The step of a login that failed by `error`. */
async function refused(
  address: TargetAddress,
  { user, error, how }: { user: string; error: Error; how: string },
  insiders: readonly Account[],
): Promise<Step> {
  const { errno = 0, message } = error as Error & { errno?: number };
  const refusal = { errno, message, user };
  const host = targetHost({ target: address.host });
  const says = `${user} cannot log in${how}: ${troubleText(error)}`;
  const isOpen = saysDenied(errno);
  const finding = isOpen ? await findAccount(address, refusal, insiders) : undefined;
  if (finding !== undefined) {
    const { why, lines } = finding.remedy;
    return failed('login', `${says}: ${finding.says}`, [{ host, why, lines: lines.map(statement) }]);
  }
  return failed('login', says, remediesOf(refusal, address.host));
}

/** Asks as each of those who got in, until one may read the accounts; undefined where none may, or they show nothing. */
async function findAccount(
  address: TargetAddress,
  refusal: Refusal,
  insiders: readonly Account[],
): Promise<AccountFinding | undefined> {
  for (const insider of insiders) {
    const client = new TargetClient(address, insider, ANSWER_LIMIT_MS);
    try {
      await client.ready();
      const rows = await client.ask(accountsQuery(refusal.user ?? ''));
      return accountFinding(rows, refusal, address.tls !== undefined);
    } catch {
      // Without SELECT on mysql.user: the next one may have it.
    } finally {
      await client.end();
    }
  }
  return undefined;
}

function remediesOf(refusal: Refusal, target: string): Remedy[] {
  const remedy = loginRemedy(refusal);
  return remedy === undefined ? [] : [{ host: targetHost({ target }), ...remedy }];
}

async function checkGreeting(target: Address, port: number): Promise<Step> {
  const name = 'greeting';
  const transport = new SocketTransport({ target: target.text, port, clock: realClock });
  try {
    const { signal } = new AbortController();
    const result = await probe(transport, target, () => realClock.now(), signal);
    const server = `${target.text} port ${port}`;
    if (result.seen === 'greeting')
      return ok(name, `${server} greets in ${result.afterMs.toFixed(1)} ms: ${plainVersion(result.version)}`);
    if (result.seen === 'error')
      return failed(
        name,
        `${server} refuses this host: ${result.errno} ${result.message}`,
        remediesOf(result, target.text),
      );
    if (result.seen === 'not-mysql') return failed(name, `what listens at ${server} does not speak MySQL`);
    return failed(
      name,
      `no connection to ${server}: ${result.seen} (is the server up, and this way open to it?)`,
    );
  } finally {
    await transport.close();
  }
}
