import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { type Archive, openArchive } from '../archive/reader.ts';
import { EXIT, MytapeError } from '../errors.ts';
import { decodeSessions } from '../flow/decode.ts';
import type { ReceiverPort } from '../intercept/ports.ts';
import { Receiver } from '../intercept/receiver.ts';
import { readKeyFile } from '../intercept/relay-socket.ts';
import { CAPTURE_DRIVERS, openCapture, openInjector, SEND_DRIVERS } from '../net/drivers.ts';
import { pathTo } from '../net/route.ts';
import { Engine } from '../replay/engine.ts';
import { readUsersFile } from '../replay/users.ts';
import { type Summary, SummaryObserver } from '../report/summary.ts';
import { renderSummary } from '../report/terminal.ts';
import { realClock } from '../time.ts';
import { localAnswers, relayedAnswers } from '../transport/answers.ts';
import { PacketTransport } from '../transport/packet.ts';
import type { Address } from '../wire/address.ts';
import { type Endpoint, type Mapping, parseEndpoint, parseMapping, resolveHost } from './endpoints.ts';

/** An injector's slot beyond the path's MTU: checksums are made a word at a time. */
const SLOT_SLACK_OCTETS = 16;

const PROGRESS_MS = 1_000;

const EXAMPLES = `
Examples:
  Once more as it was, answers caught by an intercept on the assistant:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 -s 10.128.6.84:36525 --key-file k --users users
  Five times the load at four times the speed:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 -s 10.128.6.84:36525 --key-file k --users users -n 5 --speed 4
  As fast as the target takes it, this host being the assistant itself:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 --local --users users --speed max

The users file has a line for each user, \`user: password\`, and mode 0600.
Exit code: 0 done, 1 failed, 2 usage, 3 refused (the target is the recorded server), 5 run not valid, 130 interrupted.
`;

function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1)
    throw new InvalidArgumentError(`${text} is no whole number from 1 up.`);
  return count;
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
      "Replays the recorded sessions onto a test server, with the recorded clients' addresses, real logins and every\n" +
        'command accounted for. Ctrl-C once: what is under way finishes; twice: now.',
    )
    .argument('<archive>', 'folder that `mytape record` made')
    .requiredOption(
      '-x, --target <port-host:port>',
      'recorded port, and where it goes: 3307-10.128.6.83:3307',
      parseMapping,
    )
    .option('-s, --intercept <host:port>', 'where `mytape intercept` listens', parseEndpoint)
    .option(
      '--local',
      "catch the answers in this process: the target routes the clients' addresses to this host",
    )
    .option('--key-file <file>', 'the key that intercept has')
    .option('-C, --channels <n>', 'channels to the intercept', parseCount, 1)
    .option('-n, --copies <n>', 'how many times each session is replayed, at once', parseCount, 1)
    .option(
      '--speed <x>',
      '1 as recorded, 2 twice as fast, max as fast as the target takes it',
      parseSpeed,
      1,
    )
    .option(
      '--users <file>',
      'passwords of the recorded users; without it only users without password can log in',
    )
    .option('--out <folder>', 'where summary.json goes (default: runs/DATE-TIME)')
    .option('--allow-live-target', 'even if the target is the recorded server')
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

interface ReplayOptions {
  target: Mapping;
  intercept?: Endpoint | undefined;
  local?: boolean | undefined;
  keyFile?: string | undefined;
  channels: number;
  copies: number;
  speed: number;
  users?: string | undefined;
  out?: string | undefined;
  allowLiveTarget?: boolean | undefined;
  captureDriver: (typeof CAPTURE_DRIVERS)[number];
  sendDriver: (typeof SEND_DRIVERS)[number];
  json?: boolean | undefined;
}

async function replay(dir: string, options: ReplayOptions): Promise<void> {
  const { copies, speed, target: mapping } = options;
  if ((options.intercept === undefined) === (options.local !== true)) {
    throw new MytapeError(
      'usage',
      options.local === true
        ? 'both -s and --local are given: answers are caught by an intercept elsewhere, or in this process, not by both'
        : 'say where the answers are caught: either -s HOST:PORT (an intercept), or --local',
    );
  }
  const users = options.users === undefined ? new Map<string, string>() : readUsersFile(options.users);
  const key = options.keyFile === undefined ? undefined : readKeyFile(options.keyFile);
  const address = await resolveHost(mapping.host);
  if (address.family !== 4) {
    throw new MytapeError(
      'not-supported',
      `${address.text} is an IPv6 address: replay speaks IPv4 only (mend -x)`,
    );
  }
  const archive = openArchive(dir);
  checkArchive(archive, dir, mapping, address, options.allowLiveTarget === true);
  const { transport, answersGone } = await openTransport(address, key, options);
  const out = makeRunFolder(options.out, transport);
  const observer = new SummaryObserver(copies, Number.isFinite(speed));
  const engine = new Engine(
    { copies, speed, clock: realClock, password: (user) => users.get(user) },
    transport,
    [observer],
  );
  answersGone((why) => process.stderr.write(`mytape: ${why}\n`));
  let signals = 0;
  const onSignal = () => {
    signals++;
    if (signals === 1) {
      process.stderr.write('\nmytape: stopping: what is under way finishes (Ctrl-C again: now)\n');
      engine.stop();
    } else engine.cut();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const progress = showProgress(observer);
  const source = archive.packets();
  const startedAt = realClock.now();
  let elapsedMs = 0;
  let failure: Error | undefined;
  try {
    await engine.run(decodeSessions(source, { serverPorts: new Set([mapping.recordedPort]) }));
  } catch (error) {
    failure = error as Error;
    engine.cut();
  } finally {
    elapsedMs = realClock.now() - startedAt;
    progress();
    source.close();
    await transport.close();
    archive.close();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
  const { packets, dropped } = archive.info;
  const summary = observer.summary({
    packets,
    dropped,
    copies,
    speed,
    elapsedMs,
    transport: transport.stats(),
    interrupted: signals > 0,
    unread: failure?.message,
  });
  const text = `${JSON.stringify(summary, null, 2)}\n`;
  writeFileSync(join(out, 'summary.json'), text, { mode: 0o600 });
  process.stdout.write(options.json === true ? text : renderSummary(summary, out));
  if (failure !== undefined) throw failure;
  process.exitCode = exitCodeOf(summary, signals > 0);
}

function exitCodeOf(summary: Summary, interrupted: boolean): number {
  if (interrupted) return EXIT.interrupted;
  return summary.verdict === 'invalid' ? EXIT.invalidRun : EXIT.done;
}

/** Refuses what would replay nothing, and what would replay onto production (DESIGN §5). */
function checkArchive(
  archive: Archive,
  dir: string,
  mapping: Mapping,
  target: Address,
  allowLive: boolean,
): void {
  const ports = new Set<number>();
  for (const { server, serverPort } of archive.sessions()) {
    ports.add(serverPort);
    if (!allowLive && server === target.text && serverPort === mapping.port) {
      throw new MytapeError(
        'refused',
        `${server}:${serverPort} is the server that ${dir} was recorded from: replay onto a test server (or say --allow-live-target)`,
      );
    }
  }
  if (!ports.has(mapping.recordedPort)) {
    const there = ports.size === 0 ? 'no session at all' : `sessions of port ${[...ports].join(', ')}`;
    throw new MytapeError(
      'usage',
      `${dir} has no session of port ${mapping.recordedPort}, it has ${there} (mend -x)`,
    );
  }
}

function makeRunFolder(out: string | undefined, transport: PacketTransport): string {
  const folder =
    out ?? join('runs', new Date().toISOString().slice(0, 19).replace('T', '-').replaceAll(':', ''));
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    transport.dispose();
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

async function openTransport(
  target: Address,
  key: Buffer | undefined,
  options: ReplayOptions,
): Promise<{ transport: PacketTransport; answersGone: (tell: (why: string) => void) => void }> {
  const { port } = options.target;
  const path = pathTo(target);
  const injector = await openInjector(options.sendDriver, {
    slotOctets: path.mtu + SLOT_SLACK_OCTETS,
    target,
  });
  const transport = new PacketTransport({
    target,
    targetPort: port,
    mtu: path.mtu,
    injector,
    clock: realClock,
    epochMs: Date.now(),
    secret: installationSecret(),
    pathMtu: () => pathTo(target).mtu,
  });
  let tell: (why: string) => void = () => {};
  const onGone = (channel: ReceiverPort, why: string) => {
    tell(options.local === true ? `the capture of answers failed: ${why}` : `intercept ${why}`);
    transport.lost(channel);
  };
  try {
    if (options.intercept === undefined) {
      const filter = `tcp and src host ${target.text} and src port ${port}`;
      const receiver = new Receiver(injector, realClock);
      const source = await openCapture(options.captureDriver, {
        iface: path.iface,
        filter,
        mode: 'latency',
        promiscuous: false,
        restMs: () => receiver.restMs(),
      });
      transport.use(localAnswers(receiver, source, transport, onGone));
    } else {
      transport.use(await relayedAnswers(options.intercept, key, options.channels, transport, onGone));
    }
  } catch (error) {
    transport.dispose();
    throw error;
  }
  return {
    transport,
    answersGone: (to) => {
      tell = to;
    },
  };
}

/** RFC 6528's secret: the same from run to run on one host, so that a tuple used again gets a higher ISS. */
function installationSecret(): number {
  try {
    return Number.parseInt(readFileSync('/etc/machine-id', 'utf8').slice(0, 8), 16) >>> 0;
  } catch {
    return 0;
  }
}

/** A line a second on a terminal. Answers what ends it. */
function showProgress(observer: SummaryObserver): () => void {
  if (!process.stderr.isTTY) return () => {};
  const startedAt = realClock.now();
  let before = 0;
  const timer = setInterval(() => {
    const { answeredCommands, lostCommands, openedSessions, overSessions } = observer;
    const seconds = Math.round((realClock.now() - startedAt) / 1000);
    const rate = answeredCommands - before;
    before = answeredCommands;
    const open = openedSessions - overSessions;
    process.stderr.write(
      `\r\x1b[K${seconds} s  ${answeredCommands} commands answered (${rate}/s), ${lostCommands} lost, ${open} sessions open`,
    );
  }, PROGRESS_MS);
  return () => {
    clearInterval(timer);
    process.stderr.write('\r\x1b[K');
  };
}
