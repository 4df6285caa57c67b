import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { type Archive, type ArchiveInfo, openArchive } from '../archive/reader.ts';
import { EXIT, MytapeError } from '../errors.ts';
import { readKeyFile } from '../intercept/relay-socket.ts';
import { CAPTURE_DRIVERS, SEND_DRIVERS } from '../net/drivers.ts';
import { Guard } from '../net/guard.ts';
import { type Adopter, parseAdopt } from '../replay/adoption.ts';
import { ConnectionIds } from '../replay/connection-ids.ts';
import { CONNECT_TIMEOUT_MS, REPLY_TIMEOUT_MS } from '../replay/engine.ts';
import { type FilterChoices, Filters } from '../replay/filters.ts';
import { type Summary, summarize } from '../report/summary.ts';
import { mergeTallies } from '../report/tally.ts';
import { renderSummary } from '../report/terminal.ts';
import { type CaptureNs, realClock } from '../time.ts';
import type { TargetTls } from '../transport/target-tls.ts';
import type { TransportStats } from '../transport/transport.ts';
import type { Address } from '../wire/address.ts';
import { type Endpoint, type Mapping, parseEndpoint, parseMapping, resolveHost } from './endpoints.ts';
import { collectSession, collectText, parseDurationMs, parsePart } from './options.ts';
import { type ClientsChoice, type ClientsPlan, parseClients, planClients } from './replay-clients.ts';
import { type LoginJob, planLogins, readKeyLog } from './replay-logins.ts';
import type { ShareResult } from './replay-share.ts';
import { openThreads, type ReplayThreads } from './replay-threads.ts';
import { TRANSPORTS } from './replay-transport.ts';

/** Threads beyond this only share the same cores in smaller pieces. */
const MAX_CHANNELS = 64;

const PROGRESS_MS = 1_000;

const EXAMPLES = `
Examples:
  Once more as it was, answers caught by an intercept on the assistant:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 -s 10.128.6.84:36525 --key-file k --users users
  Five times the load at four times the speed:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 -s 10.128.6.84:36525 --key-file k --users users -n 5 --speed 4
  As fast as the target takes it, this host being the assistant itself:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 --local --users users --speed max
  With neither intercept nor route, from this host's own address:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 --local --clients self --users users
  By ordinary connections, over TLS, everybody as one user of the target's:
    mytape replay peak.tape -x 3307-db.test:3307 --transport socket --target-tls --target-ca ca.pem --as tester

Before the first one: mytape doctor, with the same -x, -s and --local. docs/topologies.md says which is for which network.
The users file has a line for each user, \`user: password\`, and mode 0600.
Exit code: 0 done, 1 failed, 2 usage, 3 refused (the target is the recorded server), 5 run not valid, 130 interrupted.`;

function parseCount(text: string): number {
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

function parseSpeed(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY;
  const speed = Number(text);
  if (!(speed >= 0.01 && speed <= 1000))
    throw new InvalidArgumentError(`${text} is neither from 0.01 to 1000 nor max.`);
  return speed;
}

export function replayCommand(): Command {
  const command = new Command('replay')
    .summary('replay an archive onto a test server')
    .description(
      "Replays the recorded sessions onto a test server, with the recorded clients' addresses (or, by socket, this host's), real logins and every " +
        'command accounted for. Ctrl-C once: what is under way finishes; twice: now.',
    )
    .argument('<archive>', 'folder that `mytape record` or `mytape import` made')
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
    .option(
      '--speed <x>',
      '1 as recorded, 2 twice as fast, max as fast as the target takes it',
      parseSpeed,
      1,
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
      '--keylog <file>',
      'TLS keys of recorded sessions, as SSLKEYLOGFILE has them, beside those in the keys.log of the archive',
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
    .option('--json', 'print summary.json on stdout, and no table')
    .addHelpText('after', EXAMPLES)
    .action(async (archive, options) => {
      await replay(archive, options);
    });
  return command as unknown as Command;
}

interface ReplayOptions extends FilterChoices {
  target: Mapping;
  intercept?: Endpoint | undefined;
  local?: boolean | undefined;
  keyFile?: string | undefined;
  channels: number;
  clients: ClientsChoice;
  copies: number;
  speed: number;
  transport: (typeof TRANSPORTS)[number];
  targetTls?: TargetTls['verify'] | true | undefined;
  targetCa?: string | undefined;
  users?: string | undefined;
  as?: string | undefined;
  passwordFile?: string | undefined;
  adopt?: Adopter | undefined;
  remapUser?: string[] | undefined;
  remapSchema?: string[] | undefined;
  pinTime?: boolean | undefined;
  keylog?: string | undefined;
  connectTimeout?: number | undefined;
  replyTimeout?: number | undefined;
  out?: string | undefined;
  allowLiveTarget?: boolean | undefined;
  captureDriver: (typeof CAPTURE_DRIVERS)[number];
  sendDriver: (typeof SEND_DRIVERS)[number];
  json?: boolean | undefined;
}

async function replay(dir: string, options: ReplayOptions): Promise<void> {
  const { copies, speed, target: mapping } = options;
  checkTransport(options);
  // Says what is wrong with them before anything is opened.
  new Filters(options);
  const bySocket = options.transport === 'socket';
  if (!bySocket && (options.intercept === undefined) === (options.local !== true)) {
    throw new MytapeError(
      'usage',
      options.local === true
        ? 'both -s and --local are given: answers are caught by an intercept elsewhere, or in this process, not by both'
        : 'say where the answers are caught: either -s HOST:PORT (an intercept), or --local; or say --transport socket',
    );
  }
  const logins = await planLogins(options);
  const keyLog = options.keylog === undefined ? undefined : readKeyLog(options.keylog);
  const key = options.keyFile === undefined ? undefined : readKeyFile(options.keyFile);
  const address = await resolveHost(mapping.host);
  const assistant = options.intercept === undefined ? undefined : await resolveHost(options.intercept.host);
  const archive = openArchive(dir);
  let info: ArchiveInfo;
  let anchorAt: CaptureNs;
  let clients: ClientsPlan;
  try {
    anchorAt = checkArchive(archive, dir, mapping, address, options.allowLiveTarget === true);
    info = archive.info;
    warnOfRemaps(archive, logins);
    clients = planClients(options.clients, {
      target: address,
      copies,
      assistant,
      clients: clientsOf(archive, mapping.recordedPort),
    });
  } finally {
    archive.close();
  }
  const out = makeRunFolder(options.out);
  // Should what follows fail, it goes with the process.
  const guard =
    clients.from === 'self'
      ? await Guard.raise({ target: address, targetPort: mapping.port, ...clients })
      : undefined;
  const threads = await openThreads(
    {
      archive: dir,
      recordedPort: mapping.recordedPort,
      target: address,
      targetPort: mapping.port,
      intercept: options.intercept,
      key,
      captureDriver: options.captureDriver,
      sendDriver: options.sendDriver,
      clients,
      copies,
      speed,
      transport: options.transport,
      tls: targetTls(options, mapping),
      logins,
      filters: filtersOf(options),
      connections: ConnectionIds.create(info.sessions, copies).buffer,
      keyLog,
      pinTime: options.pinTime === true,
      connectTimeoutMs: options.connectTimeout,
      replyTimeoutMs: options.replyTimeout,
    },
    options.channels,
    (line) => process.stderr.write(`mytape: ${line}\n`),
  );
  let signals = 0;
  const onSignal = () => {
    signals++;
    if (signals === 1) {
      process.stderr.write('\nmytape: stopping: what is under way finishes (Ctrl-C again: now)\n');
      threads.stop();
    } else threads.cut();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const progress = showProgress(threads);
  const startedAt = realClock.now();
  let results: ShareResult[];
  try {
    results = await threads.run({ at: anchorAt, epochMs: performance.timeOrigin + startedAt });
  } finally {
    await guard?.close();
    progress();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
  const elapsedMs = realClock.now() - startedAt;
  const unread = results.find((result) => result.unread !== undefined)?.unread;
  const summary = summarize(mergeTallies(results.map((result) => result.tally)), {
    packets: info.packets,
    dropped: info.dropped,
    copies,
    speed,
    elapsedMs,
    transport: sumStats(
      results.map((result) => result.transport),
      options.intercept !== undefined,
    ),
    interrupted: signals > 0,
    unread,
  });
  const text = `${JSON.stringify(summary, null, 2)}\n`;
  writeFileSync(join(out, 'summary.json'), text, { mode: 0o600 });
  process.stdout.write(options.json === true ? text : renderSummary(summary, out));
  if (unread !== undefined) throw new MytapeError('bad-archive', unread);
  process.exitCode = exitCodeOf(summary, signals > 0);
}

function filtersOf(options: ReplayOptions): FilterChoices {
  const { sessions, sample, includeUser, excludeUser } = options;
  const { includeSchema, excludeSchema, includeClient, excludeClient } = options;
  const logins = { includeUser, excludeUser, includeSchema, excludeSchema };
  return { sessions, sample, ...logins, includeClient, excludeClient };
}

/** Options of one transport are no use to the other. */
function checkTransport(options: ReplayOptions): void {
  const { transport, intercept, local, clients, targetTls, targetCa } = options;
  const refuse = (text: string) => {
    throw new MytapeError('usage', text);
  };
  if (transport === 'packet') {
    if (targetTls !== undefined)
      refuse('--target-tls is for --transport socket: packets of our own carry no TLS');
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

function targetTls({ targetTls: verify, targetCa }: ReplayOptions, { host }: Mapping): TargetTls | undefined {
  if (verify === undefined) return undefined;
  const tls: TargetTls = { verify: verify === true ? 'ca' : verify, servername: host };
  if (targetCa === undefined) return tls;
  try {
    return { ...tls, ca: readFileSync(targetCa, 'utf8') };
  } catch (cause) {
    throw new MytapeError('bad-file', `cannot read --target-ca ${targetCa}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function exitCodeOf(summary: Summary, interrupted: boolean): number {
  if (interrupted) return EXIT.interrupted;
  return summary.verdict === 'invalid' ? EXIT.invalidRun : EXIT.done;
}

/**
 * When the first session began that can be replayed: what is due at once. Refuses what would replay nothing, and what would
 * replay onto production (DESIGN §5).
 */
function checkArchive(
  archive: Archive,
  dir: string,
  mapping: Mapping,
  target: Address,
  allowLive: boolean,
): CaptureNs {
  const ports = new Set<number>();
  let first = Number.POSITIVE_INFINITY;
  let firstOfAny = Number.POSITIVE_INFINITY;
  for (const { server, serverPort, firstAt, coverage } of archive.sessions()) {
    ports.add(serverPort);
    if (!allowLive && server === target.text && serverPort === mapping.port) {
      throw new MytapeError(
        'refused',
        `${server}:${serverPort} is the server that ${dir} was recorded from: replay onto a test server (or say --allow-live-target)`,
      );
    }
    if (serverPort !== mapping.recordedPort) continue;
    firstOfAny = Math.min(firstOfAny, firstAt);
    if (coverage !== 'joined-late') first = Math.min(first, firstAt);
  }
  if (!ports.has(mapping.recordedPort)) {
    const there = ports.size === 0 ? 'no session at all' : `sessions of port ${[...ports].join(', ')}`;
    throw new MytapeError(
      'usage',
      `${dir} has no session of port ${mapping.recordedPort}, it has ${there} (mend -x)`,
    );
  }
  return first === Number.POSITIVE_INFINITY ? firstOfAny : first;
}

/** A name that is spelt wrong remaps nothing, and the run goes where it should not. */
function warnOfRemaps(archive: Archive, { remapUser, remapSchema }: LoginJob): void {
  const users = new Set(remapUser.keys());
  const schemas = new Set(remapSchema.keys());
  if (users.size + schemas.size === 0) return;
  for (const { user, schema } of archive.sessions()) {
    users.delete(user ?? '');
    schemas.delete(schema ?? '');
  }
  const warn = (option: string, names: Set<string>) => {
    for (const name of names)
      process.stderr.write(
        `mytape: ${option} ${name}: no recorded login names it; is it spelt as recorded?\n`,
      );
  };
  warn('--remap-user', users);
  warn('--remap-schema', schemas);
}

function* clientsOf(archive: Archive, port: number): Iterable<string> {
  for (const { client, serverPort } of archive.sessions()) if (serverPort === port) yield client;
}

/** What the threads' transports have counted; `oneCapture`: all of them tell of the one capture of an intercept. */
function sumStats(each: readonly TransportStats[], oneCapture: boolean): TransportStats {
  const sum = { packetsOut: 0, packetsIn: 0, retransmitted: 0, captureDropped: 0 };
  for (const stats of each) {
    sum.packetsOut += stats.packetsOut;
    sum.retransmitted += stats.retransmitted;
    sum.packetsIn = oneCapture ? Math.max(sum.packetsIn, stats.packetsIn) : sum.packetsIn + stats.packetsIn;
    sum.captureDropped = oneCapture
      ? Math.max(sum.captureDropped, stats.captureDropped)
      : sum.captureDropped + stats.captureDropped;
  }
  return sum;
}

function makeRunFolder(out: string | undefined): string {
  const folder =
    out ?? join('runs', new Date().toISOString().slice(0, 19).replace('T', '-').replaceAll(':', ''));
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new MytapeError(
      'bad-file',
      `cannot make the folder ${folder}: ${(cause as Error).message} (choose another: --out)`,
      {
        cause,
      },
    );
  }
  return folder;
}

/** A line a second on a terminal. Answers what ends it. */
function showProgress(threads: ReplayThreads): () => void {
  if (!process.stderr.isTTY) return () => {};
  const startedAt = realClock.now();
  let before = 0;
  const timer = setInterval(() => {
    const { answered, lost, open, reconnected } = threads.progress;
    const seconds = Math.round((realClock.now() - startedAt) / 1000);
    const rate = answered - before;
    before = answered;
    process.stderr.write(
      `\r\x1b[K${seconds} s  ${answered} commands answered (${rate}/s), ${lost} lost, ${open} sessions open` +
        (reconnected === 0 ? '' : `, ${reconnected} reconnections`),
    );
  }, PROGRESS_MS);
  return () => {
    clearInterval(timer);
    process.stderr.write('\r\x1b[K');
  };
}
