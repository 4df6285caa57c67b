import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { counted } from '../counted.ts';
import { type DoctorOptions, Examination } from '../doctor/examination.ts';
import { sideReader } from '../doctor/steps.ts';
import { EXIT, MytapeError } from '../errors.ts';
import { relyOnCaller } from '../net/host/run-as.ts';
import { Progress, print, printJson } from '../report/output.ts';
import { type Step, stepLines } from '../report/step.ts';
import { TRANSPORTS } from '../run/job.ts';
import { planMappings, targetText } from '../run/mapping.ts';
import { type Address, parseAddress } from '../wire/address.ts';
import { collectMappings, KEY_FILE_VARIABLE, parseRelay } from './endpoints.ts';
import { parseClients } from './plan-clients.ts';
import { type LoginChoices, planLogins } from './plan-logins.ts';
import { checkKey } from './replay-option-checks.ts';
import { targetTls } from './replay-option-values.ts';
import { MAPPING_FLAGS } from './replay-options.ts';
import { GET_SERVER_KEY, SERVER_KEY } from './server-key.ts';

const EXAMPLES = `
Examples:
  Before a replay with an intercept on the assistant:
    mytape doctor -x 3307-10.128.6.83:3307 -s 10.128.6.84:36525 --key-file k --archive peak.tape
  Before replay --local, for one client's address:
    mytape doctor -x 3307-10.128.6.83:3307 --local --client 10.1.2.3
  Before replay --local --clients self:
    mytape doctor -x 3307-10.128.6.83:3307 --local --clients self
  Before a replay of two recorded servers, each onto its own target:
    mytape doctor -x 10.0.0.5:3307-10.1.0.5:3307,10.0.0.6:3307-10.1.0.6:3307 --local --archive peak.tape
  Before a replay by ordinary connections, which logs in, too:
    mytape doctor -x 3307-db.test:3307 --transport socket --target-tls --users users --archive peak.tape

By packets it logs in nowhere: a connection for each route that the archive's clients need, at most 8, is opened and closed.
Exit code: 0 all is well (or warnings only), 1 something failed, 2 usage, 130 interrupted.`;

function parseIp(text: string): Address {
  const address = parseAddress(text);
  if (address !== undefined) return address;
  throw new InvalidArgumentError(`${text} is no address, as in 10.1.2.3.`);
}

export function doctorCommand() {
  return new Command('doctor')
    .description(
      'Checks each step of the path that a replay takes, with real packets, and says of each that is not well what to ' +
        'type on which host.',
    )
    .requiredOption(
      MAPPING_FLAGS,
      'as for replay, e.g. 3307-10.128.6.83:3307; each target is checked',
      collectMappings,
    )
    .option(
      '-s, --intercept <host:port|path>',
      'where `mytape intercept` listens, or, on this host, the path of its Unix socket; either this or --local',
      parseRelay,
    )
    .option('--local', 'as for replay: the answers are caught by this process')
    .addOption(new Option('--key-file <file>', 'the key that intercept has').env(KEY_FILE_VARIABLE))
    .addOption(
      new Option('--transport <transport>', 'as for replay').choices(TRANSPORTS).default(TRANSPORTS[0]),
    )
    .addOption(
      new Option('--target-tls [verify]', 'with --transport socket, as for replay')
        .choices(['none', 'ca', 'identity'] as const)
        .preset('ca'),
    )
    .option('--target-ca <file>', 'with --target-tls, as for replay')
    .option('--users <file>', 'with --transport socket: these users log in, as for replay')
    .option('--as <user>', 'with --transport socket: this one logs in, as for replay')
    .option('--password-file <file>', 'the password of --as')
    .option(...GET_SERVER_KEY)
    .option(...SERVER_KEY)
    .option('--archive <folder>', 'what is to be replayed: its clients are tried')
    .option(
      '--client <ip>',
      'an address to try in their place (may be repeated)',
      (text, before: Address[] = []) => [...before, parseIp(text)],
    )
    .option(
      '-c, --clients <cidr|self|recorded>',
      "as for replay: speak from the recorded clients' addresses, from those of a range, or from this host's own",
      parseClients,
      'recorded',
    )
    .option('--via <ip>', "the assistant's address as the target reaches it (default: that of -s)", parseIp)
    .option('--json', 'print one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(doctor);
}

type SocketChoices = LoginChoices & Parameters<typeof targetTls>[0];

/** Ordinary connections have none of the packets' troubles, and logins to check in their place. */
async function doctorSocket(options: DoctorOptions & SocketChoices): Promise<void> {
  const { intercept, local, client, archive } = options;
  if (intercept !== undefined || local === true || client !== undefined || options.clients !== 'recorded')
    throw new MytapeError(
      'usage',
      '--transport socket speaks from this host: leave out -s, --local, --client and --clients',
    );
  const report = new Report(options.json === true);
  const logins = await planLogins(options);
  const plan = await planMappings(options.target);
  const side = sideReader(archive);
  // It loads mysql2, which other verbs should not wait for.
  const { examineSocket } = await import('../doctor/socket.ts');
  try {
    for (const [index, place] of plan.targets.entries()) {
      if (plan.targets.length > 1) report.begin(targetText(place));
      await examineSocket({ plan, index, tls: targetTls(options, place), logins, archive, side }, report);
    }
  } finally {
    report.settle();
  }
  process.exitCode = report.conclude();
}

async function doctor(options: DoctorOptions & SocketChoices & { transport: string }): Promise<void> {
  relyOnCaller();
  if (options.transport === 'socket') return doctorSocket(options);
  const { users, as, passwordFile, targetTls: tls, targetCa, getServerPublicKey, serverPublicKey } = options;
  const ofLogins = [users, as, passwordFile, tls, targetCa, getServerPublicKey, serverPublicKey];
  if (ofLogins.some((given) => given !== undefined)) {
    throw new MytapeError(
      'usage',
      '--users, --as, --password-file, --target-tls, --target-ca, --get-server-public-key and --server-public-key are for --transport socket: by packets doctor logs in nowhere',
    );
  }
  if ((options.intercept === undefined) === (options.local !== true)) {
    throw new MytapeError(
      'usage',
      'say where the answers are caught: either -s HOST:PORT (an intercept), or --local',
    );
  }
  checkKey(options);
  if (options.client !== undefined && options.clients !== 'recorded') {
    throw new MytapeError(
      'usage',
      'both --client and --clients are given: name addresses to try, or a range of them',
    );
  }
  const report = new Report(options.json === true);
  const plan = await planMappings(options.target);
  const side = sideReader(options.archive);
  const examinations = plan.targets.map((_, index) => new Examination(options, plan, index, side, report));
  let [examination] = examinations;
  const onSignal = () => examination.interrupt();
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    for (const [index, place] of plan.targets.entries()) {
      examination = examinations[index];
      if (examinations.length > 1) report.begin(targetText(place));
      await examination.run();
      if (examination.interrupted) break;
    }
  } finally {
    report.settle();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
  process.exitCode = examination.interrupted ? EXIT.interrupted : report.conclude();
}

/** Tells each step as it is done, and in the end what it comes to. */
class Report {
  readonly #json: boolean;
  readonly #steps: Step[] = [];
  readonly #progress = new Progress();
  /** Which target the steps are about; undefined: there is one only. */
  #target: string | undefined;

  constructor(json: boolean) {
    this.#json = json;
  }

  /** The steps to come are about this one of several targets. */
  begin(target: string): void {
    this.settle();
    this.#target = target;
    if (!this.#json) print(`onto ${target}:`);
  }

  looking(at: string): void {
    this.#progress.show(`looking at ${at} …`);
  }

  settle(): void {
    this.#progress.clear();
  }

  tell(step: Step): void {
    this.settle();
    this.#steps.push(this.#target === undefined ? step : { target: this.#target, ...step });
    if (!this.#json) print(stepLines(step));
  }

  /** Prints the verdict; the exit code. */
  conclude(): number {
    const failures = this.#steps.filter(({ status }) => status === 'failed').length;
    const warnings = this.#steps.filter(({ status }) => status === 'warning').length;
    const isOk = failures === 0;
    if (this.#json) printJson({ ok: isOk, steps: this.#steps });
    else {
      const but = warnings === 0 ? '' : `, ${counted(warnings, 'warning')}`;
      const verdict = isOk ? `ready to replay${but}` : `${failures} failed${but}: not ready to replay`;
      print(verdict);
    }
    return isOk ? EXIT.done : EXIT.failed;
  }
}
