import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { CAPTURE_DRIVERS, SEND_DRIVERS } from '../net/capture/drivers.ts';
import { userOption } from '../net/host/run-as.ts';
import { parseAdopt } from '../replay/accounts/adoption.ts';
import { CONNECT_TIMEOUT_MS, REPLY_TIMEOUT_MS } from '../replay/engine/options.ts';
import { TRANSPORTS } from '../run/job.ts';
import { collectMappings, KEY_FILE_VARIABLE, parseRelay } from './endpoints.ts';
import {
  collectSession,
  collectText,
  parseDurationMs,
  parsePart,
  parsePartOrNone,
  parseShare,
} from './options.ts';
import { parseClients } from './plan-clients.ts';
import { GET_SERVER_KEY, SERVER_KEY } from './server-key.ts';

export const USERS_FILE_VARIABLE = 'MYTAPE_USERS_FILE';

/** Threads beyond this only share the same cores in smaller pieces. */
const MAX_CHANNELS = 64;

/** The option that says which recorded servers go where, in all verbs that have it. */
export const MAPPING_FLAGS = '-x, --target <mapping>';

export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1)
    throw new InvalidArgumentError(`${text} is no whole number from 1 up.`);
  return count;
}

function parseChannels(text: string): number {
  const channels = parseCount(text);
  if (channels > MAX_CHANNELS) throw new InvalidArgumentError(`${text} is more than ${MAX_CHANNELS}.`);
  return channels;
}

export function parseSpeed(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY;
  const speed = Number(text);
  if (!(speed >= 0.01 && speed <= 1000))
    throw new InvalidArgumentError(`${text} is neither from 0.01 to 1000 nor max.`);
  return speed;
}

const PROTOCOLS = ['mysql', 'raw'] as const;

function parseRate(text: string): number {
  const rate = Number(text.replace(/\/s$/, ''));
  if (!(rate >= 0.01 && rate <= 1e6))
    throw new InvalidArgumentError(`${text} is no rate: say how many a second, as in 200/s.`);
  return rate;
}

export type RunOptions = ReturnType<ReturnType<typeof runCommand>['opts']>;

/** A verb with the options that every replay has, from an archive or live. */
export function runCommand(name: string) {
  return new Command(name)
    .optionsGroup('Target, and the way there:')
    .option(
      MAPPING_FLAGS,
      '[ADDRESS:]PORT-HOST:PORT, a recorded server and where its sessions go, e.g. 3307-10.128.6.83:3307, 10.0.0.5:3307-db.test:3307, [fd00::5]:3307-[fd00::3]:3307; several by comma, or -x again; sessions of other servers are skipped',
      collectMappings,
    )
    .option(
      '-s, --intercept <host:port|path>',
      'where `mytape intercept` listens: HOST:PORT, or the path of its Unix socket on this host; either this or --local (neither with --transport socket)',
      parseRelay,
    )
    .option(
      '--local',
      "catch the answers in this process: the target routes the clients' addresses to this host, or --clients self",
    )
    .addOption(
      new Option('--key-file <file>', 'key that intercept was started with (hexadecimal, mode 0600)').env(
        KEY_FILE_VARIABLE,
      ),
    )
    .option(
      '-C, --channels <n>',
      'threads that replay, each with a channel of its own to the intercept',
      parseChannels,
      1,
    )
    .option(
      '-c, --clients <cidr|self|recorded>',
      "addresses to speak from: the recorded clients', a range (10.99.0.0/16) that copies are spread over, or this host's own",
      parseClients,
      'recorded' as const,
    )
    .addOption(
      new Option(
        '--protocol <protocol>',
        'mysql, or raw for any other service: octets as they were recorded, each turn of the client when the answer to the one before it is there',
      )
        .choices(PROTOCOLS)
        .default(PROTOCOLS[0]),
    )
    .addOption(
      new Option(
        '--transport <transport>',
        "packets of our own from the clients' addresses, or ordinary connections from this host, which need no privilege",
      )
        .choices(TRANSPORTS)
        .default(TRANSPORTS[0]),
    )
    .addOption(
      new Option(
        '--target-tls [verify]',
        "with --transport socket: log in over TLS, and hold the target's certificate against nothing, the authorities, or its name, too",
      )
        .choices(['none', 'ca', 'identity'] as const)
        .preset('ca'),
    )
    .option(
      '--target-ca <file>',
      'with --target-tls: the authorities, in PEM (default: those that Node knows)',
    )
    .option(
      '--connect-timeout <duration>',
      `how long a connection with its login may take (default: ${CONNECT_TIMEOUT_MS / 1000}s)`,
      parseDurationMs,
    )
    .option(
      '--reply-timeout <duration>',
      `how long an answer may take, if not 20 times as long as recorded (default: ${REPLY_TIMEOUT_MS / 1000}s)`,
      parseDurationMs,
    )
    .addOption(
      new Option('--capture-driver <driver>', 'with --local: how answers are captured')
        .choices(CAPTURE_DRIVERS)
        .default('ring' as const),
    )
    .addOption(
      new Option('--send-driver <driver>', 'how packets are sent')
        .choices(SEND_DRIVERS)
        .default('mmsg' as const),
    )
    .optionsGroup('Users and names:')
    .addOption(
      new Option(
        '--users <file>',
        "passwords of the target's users (their names there, after --remap-user); without it only users without password can log in",
      ).env(USERS_FILE_VARIABLE),
    )
    .option('--as <user>', 'everybody logs in as this one')
    .option(
      '--password-file <file>',
      'the password of the user of --as or --adopt, on its first line (default: --users, MYTAPE_PASSWORD, or ask)',
    )
    .option(...GET_SERVER_KEY)
    .option(...SERVER_KEY)
    .option(
      '--adopt <user[/schema]>',
      'log in as this one (its password: as for --as) for sessions that began before the recording, where no snapshot tells who they were',
      parseAdopt,
    )
    .option(
      '--remap-user <recorded=target>',
      'a user that has another name on the target; again for others',
      collectText,
    )
    .option(
      '--remap-schema <recorded=target>',
      'a schema that has another name on the target, in logins and statements; again for others',
      collectText,
    )
    .optionsGroup('Copies:')
    .option('-n, --copies <n>', 'how many times each session is replayed, at once', parseCount, 1)
    .option(
      '--spread <duration>',
      'the copies begin spread over this time, e.g. 5s, and not all at one moment (the same in each run)',
      parseDurationMs,
    )
    .addOption(
      new Option('--writes <copies>', 'which copies send statements that change more than their session')
        .choices(['all', 'first', 'none'] as const)
        .default('all' as const),
    )
    .option(
      '--schema-per-copy <pattern>',
      'each copy has schemas of its own, {schema}_{copy} say: all that logins and statements name; copies count from 1',
    )
    .optionsGroup('Which of it:')
    .option('--sessions <ids>', 'only these, by their numbers in `mytape ls`: 1,5,9', collectSession)
    .option('--sample <percent>', 'only this part of the sessions, the same ones each time: 10%', parsePart)
    .option(
      '--share <n/of>',
      "this host's share of the sessions, when several hosts replay one recording: 1/2 on one of them, 2/2 on the other (default: all)",
      parseShare,
    )
    .option('--include-user <user>', 'only sessions of this recorded user; again for others', collectText)
    .option('--exclude-user <user>', 'no sessions of this one; again for others', collectText)
    .option(
      '--include-schema <schema>',
      'only sessions that logged in to this schema; again for others',
      collectText,
    )
    .option(
      '--exclude-schema <schema>',
      'no sessions that logged in to this one; again for others',
      collectText,
    )
    .option(
      '--include-client <cidr>',
      'only sessions of this address or range; again for others',
      collectText,
    )
    .option('--exclude-client <cidr>', 'no sessions of this address or range; again for others', collectText)
    .option(
      '--include-sql <regex>',
      'only statements that match, and those that change no more than their session; again for others',
      collectText,
    )
    .option('--exclude-sql <regex>', 'no statements that match; again for others', collectText)
    .option(
      '--include-digest <digest>',
      'only statements of this digest (or its first 8 digits and more), and those that change no more than their session; again for others',
      collectText,
    )
    .option('--exclude-digest <digest>', 'no statements of this digest; again for others', collectText)
    .option('--read-only', 'only statements that change nothing but their own session')
    .option(
      '--rewrite <file>',
      'change statements before they are sent: lines like s/PATTERN/REPLACEMENT/gi, with regular expressions as in JavaScript',
    )
    .optionsGroup('Connections and order:')
    .option(
      '--max-connections <m>',
      'connections to each target at once, of all copies together; sessions wait for a place in the order in which they are due',
      parseCount,
    )
    .option(
      '--connect-rate <r/s>',
      'new connections to each target a second, of all copies together: 200/s',
      parseRate,
    )
    .option(
      '--pool <k>',
      'sessions have k kept connections of each user (to each target) one after the other, cleaned in between, instead of one each',
      parseCount,
    )
    .addOption(
      new Option(
        '--order <by>',
        'time: each session by its own times; commit: a command, besides, waits for all transactions that had committed before it',
      )
        .choices(['time', 'commit'] as const)
        .default('time' as const),
    )
    .option(
      '--pin-time',
      'give each statement the time (whole seconds) and insert ids of the recording, and RAND() the same numbers in each replay, but not the recorded ones; costs a SET before it',
    )
    .optionsGroup('The run:')
    .option('--out <folder>', 'where summary.json goes (default: runs/DATE-TIME)')
    .option(
      '--min-replayed <percent>',
      'part of the chosen commands that must be replayed, else the run is invalid (exit code 5), e.g. 95%; 0% accepts any (default: 90%)',
      parsePartOrNone,
    )
    .option(
      '--allow-live-target',
      'replay even if the target is the recorded server, or looks live (has replicas, is one, is read-only, belongs to a cluster); the target is not asked then',
    )
    .option(
      '--allow-unchecked-target',
      'replay even if the target does not say whether it is live, e.g. because its users lack a privilege, or --protocol is raw',
    )
    .option(
      '--allow-unidentified',
      'replay even if the archive does not show which server was recorded, e.g. an imported capture: that server would not be recognized behind another address',
    )
    .addOption(userOption())
    .option('--json', 'print summary.json on stdout, and no table');
}
