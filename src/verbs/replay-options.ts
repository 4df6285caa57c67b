/** What all verbs that replay are told on the command line: onto which target, as whom, which sessions, and how. */
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { MytapeError } from '../errors.ts';
import { CAPTURE_DRIVERS, SEND_DRIVERS } from '../net/drivers.ts';
import { parseAdopt } from '../replay/adoption.ts';
import { CONNECT_TIMEOUT_MS, REPLY_TIMEOUT_MS } from '../replay/engine.ts';
import type { FilterChoices } from '../replay/filters.ts';
import type { TargetTls } from '../transport/target-tls.ts';
import { type Mapping, parseEndpoint, parseMapping } from './endpoints.ts';
import { collectSession, collectText, parseDurationMs, parsePart } from './options.ts';
import { parseClients } from './replay-clients.ts';
import { TRANSPORTS } from './replay-transport.ts';

/** Threads beyond this only share the same cores in smaller pieces. */
const MAX_CHANNELS = 64;

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

export type RunOptions = ReturnType<ReturnType<typeof runCommand>['opts']>;

/** A verb with the options that every replay has, from an archive or live. */
export function runCommand(name: string) {
  return new Command(name)
    .requiredOption(
      '-x, --target <port-host:port>',
      'recorded port, and where it goes: 3307-10.128.6.83:3307, 3307-[fd00::3]:3307',
      parseMapping,
    )
    .option(
      '-s, --intercept <host:port>',
      'where `mytape intercept` listens; either this or --local (neither with --transport socket)',
      parseEndpoint,
    )
    .option(
      '--local',
      "catch the answers in this process: the target routes the clients' addresses to this host, or --clients self",
    )
    .option('--key-file <file>', 'the key that intercept has (hexadecimal, mode 0600)')
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
    .option('-n, --copies <n>', 'how many times each session is replayed, at once', parseCount, 1)
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
      '--users <file>',
      "passwords of the target's users (their names there, after --remap-user); without it only users without password can log in",
    )
    .option('--as <user>', 'everybody logs in as this one')
    .option(
      '--password-file <file>',
      'the password of the user of --as or --adopt, on its first line (default: --users, MYTAPE_PASSWORD, or ask)',
    )
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
    .option('--sessions <ids>', 'only these, by their numbers in `mytape ls`: 1,5,9', collectSession)
    .option('--sample <percent>', 'only this part of the sessions, the same ones each time: 10%', parsePart)
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
      '--pin-time',
      'tell statements the recorded time, insert ids, and the same random seeds each time (costs a SET before them)',
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
    .option('--out <folder>', 'where summary.json goes (default: runs/DATE-TIME)')
    .option('--allow-live-target', 'replay even if the target is the server that was recorded')
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
    .option('--json', 'print summary.json on stdout, and no table');
}

export function filtersOf(options: RunOptions): FilterChoices {
  const { sessions, sample, includeUser, excludeUser } = options;
  const { includeSchema, excludeSchema, includeClient, excludeClient } = options;
  const logins = { includeUser, excludeUser, includeSchema, excludeSchema };
  return { sessions, sample, ...logins, includeClient, excludeClient };
}

/** Options of one transport are no use to the other. */
export function checkTransport(options: RunOptions): void {
  const { transport, intercept, local, clients, targetTls, targetCa } = options;
  const refuse = (text: string) => {
    throw new MytapeError('usage', text);
  };
  if (transport === 'packet') {
    if (targetTls !== undefined)
      refuse('--target-tls is for --transport socket: packets of our own carry no TLS');
    if (intercept !== undefined && local === true)
      refuse(
        'both -s and --local are given: answers are caught by an intercept elsewhere, or in this process, not by both',
      );
    if (intercept === undefined && local !== true)
      refuse(
        'say where the answers are caught: either -s HOST:PORT (an intercept), or --local; or say --transport socket',
      );
  } else if (intercept !== undefined || local === true)
    refuse('--transport socket has its answers by itself: leave out -s and --local');
  else if (clients !== 'recorded')
    refuse(
      "--clients is for packets of our own: with --transport socket the target sees this host's address",
    );
  if (targetCa !== undefined && (targetTls === undefined || targetTls === 'none'))
    refuse('--target-ca is for --target-tls ca or identity: without, no certificate is looked at');
  if (options.keyFile !== undefined && intercept === undefined)
    refuse('--key-file is for the intercept of -s');
}

export function targetTls(
  { targetTls: verify, targetCa }: RunOptions,
  { host }: Mapping,
): TargetTls | undefined {
  if (verify === undefined) return undefined;
  const tls: TargetTls = { verify, servername: host };
  if (targetCa === undefined) return tls;
  try {
    return { ...tls, ca: readFileSync(targetCa, 'utf8') };
  } catch (cause) {
    throw new MytapeError('bad-file', `cannot read --target-ca ${targetCa}: ${(cause as Error).message}`, {
      cause,
    });
  }
}
