import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { basename } from 'node:path';
import { Command, Option } from '@commander-js/extra-typings';
import { openCaptures, sumOf } from '../capture/intercept-captures.ts';
import { counted } from '../counted.ts';
import { MytapeError } from '../errors.ts';
import { OPEN, openRegular, ourUsers } from '../files.ts';
import { DropLog } from '../intercept/drop-log.ts';
import { targetsOfFilter } from '../intercept/filter-targets.ts';
import { type Guest, Lobby } from '../intercept/lobby.ts';
import { RatedLog } from '../intercept/rated-log.ts';
import { Receiver } from '../intercept/receiver.ts';
import { isUnix, type RelayAddress, relayText } from '../intercept/relay-address.ts';
import { makeKeyFile, readKeyFile } from '../intercept/relay-key.ts';
import { giveSocket } from '../intercept/relay-path.ts';
import { RelayRoom } from '../intercept/relay-room.ts';
import { RelayChannel } from '../intercept/relay-server.ts';
import { keyWanted, listenRelay } from '../intercept/relay-socket.ts';
import { parseTarget, TargetList, type TargetRule } from '../intercept/target-list.ts';
import { CAPTURE_DRIVERS, openInjector, SEND_DRIVERS } from '../net/capture/drivers.ts';
import { rpFilterWarning } from '../net/host/rp-filter.ts';
import { goOnAs, planRunAs, userOption } from '../net/host/run-as.ts';
import { print, say } from '../report/output.ts';
import { captureNow, realClock } from '../time.ts';
import { KEY_FILE_VARIABLE, parseListen } from './endpoints.ts';
import { type PidFile, writePidFile } from './pid-file.ts';

/** Set for a detached child: the path of its pid file. */
const DETACHED = 'MYTAPE_DETACHED';

/** Where replays look for an intercept unless told otherwise: TCPCopy's own port. */
const DEFAULT_LISTEN: RelayAddress = { host: '0.0.0.0', port: 36525 };

const INTERFACE_FLAGS = '-i, --interface <name...>';
const FILTER_FLAGS = '-F, --filter <expression>';

/** How often the receive half's timers are looked at, ms. */
const TICK_MS = 8;

/** How often lost packets are looked for, ms. */
const DROPS_MS = 1_000;

/** Room for the packets that intercept itself sends: ACKs and RSTs. */
const ACK_OCTETS = 128;

const EXAMPLES = `
Examples:
  On the assistant, the host that the target routes the clients' addresses to (ip_forward off):
    mytape intercept -i eth0 -F 'tcp and src port 3307' -p 36525 --key-file /etc/mytape.key
  The same, left running in the background:
    mytape intercept -i bond0 -F 'tcp and src port 3307' -p 36525 --key-file /etc/mytape.key -d
  On the target itself, where the clients are routed to mt0, an interface that leads nowhere:
    mytape intercept -i mt0 -F 'tcp and src port 3307' --key-file /etc/mytape.key
  For replays of this host alone, without a key:
    mytape intercept -i eth0 -F 'tcp and src port 3307' -p /run/mytape.sock
  Only for the target 10.128.6.83, whatever else the filter lets through:
    mytape intercept -i eth0 -F 'tcp and src port 3307' --target 10.128.6.83:3307 --key-file /etc/mytape.key
  Make a key, for both ends:
    mytape intercept --new-key /etc/mytape.key

docs/topologies.md has the lines to type on each host.
Exit code: 0 stopped in order, 1 failed, 2 usage.`;

export function interceptCommand(): Command {
  const command = new Command('intercept')
    .description(
      "Runs on the host that the target sends its answers to. Captures them, acknowledges them as the clients' " +
        'TCP would, and relays the replies to `mytape replay`. Ctrl-C stops it in order.',
    )
    .option(INTERFACE_FLAGS, "interface that the target's answers arrive on (may be repeated)")
    .option(
      FILTER_FLAGS,
      "filter for the target's answers, in tcpdump's syntax, e.g. 'tcp and src port 3307'",
    )
    .option(
      '--target <cidr:port>',
      'target that packets may be sent to, e.g. 10.128.6.83:3307, 10.128.6.0/24:3307, [fd00::83]:3307 (may be repeated; default: what -F names by src host, src net and src port)',
      (text, before: TargetRule[] = []) => [...before, parseTarget(text)],
    )
    .option(
      '-p, --port <[host:]port|path>',
      'where to listen for replays: a TCP port, or the path of a Unix socket (mode 0600) for replays on this host (default: 36525)',
      parseListen,
    )
    .addOption(
      new Option(
        '--key-file <file>',
        'key that replays must have (hexadecimal, mode 0600); not needed with a Unix socket',
      ).env(KEY_FILE_VARIABLE),
    )
    .option('--new-key <file>', 'write a new key to this new file, and exit')
    .addOption(userOption())
    .option('-d, --daemon', 'run in the background; returns when it listens')
    .option(
      '--pid-file <file>',
      'file that holds the process id while intercept runs (default with -d: /run/mytape-intercept-PORT.pid)',
    )
    .option('--log-file <file>', 'log file of -d (default: /var/log/mytape-intercept-PORT.log)')
    .addOption(
      new Option('--capture-driver <driver>', 'how packets are captured')
        .choices(CAPTURE_DRIVERS)
        .default('ring' as const),
    )
    .addOption(
      new Option('--send-driver <driver>', 'how packets are sent')
        .choices(SEND_DRIVERS)
        .default('mmsg' as const),
    )
    .addHelpText('after', EXAMPLES)
    .action(async ({ interface: interfaces, filter, newKey, ...others }, command) => {
      if (newKey !== undefined) return newKeyFile(newKey);
      // Not commander's own required options: a key is made without them.
      if (interfaces === undefined) return missing(command, INTERFACE_FLAGS);
      if (filter === undefined) return missing(command, FILTER_FLAGS);
      const options = { interface: interfaces, filter, ...others };
      if (options.daemon && detachedPidFile() === undefined) await detach(options);
      else await intercept(options);
    });
  return command as unknown as Command;
}

interface InterceptOptions {
  interface: string[];
  filter: string;
  target?: TargetRule[] | undefined;
  port?: RelayAddress | undefined;
  keyFile?: string | undefined;
  pidFile?: string | undefined;
  logFile?: string | undefined;
  user?: string | undefined;
  captureDriver: (typeof CAPTURE_DRIVERS)[number];
  sendDriver: (typeof SEND_DRIVERS)[number];
}

function missing(command: { error(message: string): never }, flags: string): never {
  return command.error(`error: required option '${flags}' not specified`);
}

function newKeyFile(path: string): void {
  makeKeyFile(path);
  print([
    `a new key is in ${path}, which only its owner can read`,
    `copy it to the other host (scp -p ${path} HOST:${path}), and name it on both with --key-file ${path}`,
  ]);
}

/** Starts this same command again as a process of its own session, and waits until it listens or fails. */
async function detach({ port: listen, pidFile, logFile }: InterceptOptions): Promise<void> {
  const name = nameOf(listen ?? DEFAULT_LISTEN);
  const pidPath = pidFile ?? `/run/mytape-intercept-${name}.pid`;
  const logPath = logFile ?? `/var/log/mytape-intercept-${name}.log`;
  let log: number;
  try {
    log = openRegular(logPath, OPEN.append, 0o600, { owner: ourUsers() });
  } catch (cause) {
    throw new MytapeError(
      'bad-file',
      `cannot write the log ${logPath}: ${(cause as Error).message} (choose another: --log-file)`,
      {
        cause,
      },
    );
  }
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    env: { ...process.env, [DETACHED]: pidPath },
  });
  closeSync(log);
  await new Promise<void>((resolve, reject) => {
    child.once('message', (message: { failed?: string }) => {
      if (message.failed !== undefined) reject(new MytapeError('relay', message.failed));
      else resolve();
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      reject(new MytapeError('relay', `intercept ended at once with code ${code} (see ${logPath})`));
    });
  });
  say(`intercept runs as process ${child.pid}; log: ${logPath}; stop it: kill $(cat ${pidPath})`);
  child.disconnect();
  child.unref();
}

/** The pid file's path, in the child that `detach` waits for. Without that parent's channel the variable means nothing. */
function detachedPidFile(): string | undefined {
  return process.connected ? process.env[DETACHED] : undefined;
}

/** Distinguishes several intercepts of one host: the port, or the name of the socket's file. */
function nameOf(listen: RelayAddress): string {
  return isUnix(listen) ? basename(listen.path, '.sock') : String(listen.port);
}

function log(line: string): void {
  say(`${new Date().toISOString()} ${line}`);
}

async function intercept(options: InterceptOptions): Promise<void> {
  const pidPath = detachedPidFile() ?? options.pidFile;
  try {
    await run(options, pidPath);
  } catch (error) {
    if (process.connected) process.send?.({ failed: (error as Error).message });
    throw error;
  } finally {
    if (process.connected) process.disconnect();
  }
}

async function run(options: InterceptOptions, pidPath: string | undefined): Promise<void> {
  const { sendDriver } = options;
  const runAs = planRunAs(options.user);
  const listen = options.port ?? DEFAULT_LISTEN;
  if (!isUnix(listen) && options.keyFile === undefined) throw keyWanted(listen);
  const key = isUnix(listen) || options.keyFile === undefined ? undefined : readKeyFile(options.keyFile);
  const targets =
    options.target === undefined ? targetsOfFilter(options.filter) : new TargetList(options.target);
  const injector = await openInjector(sendDriver, { slotOctets: ACK_OCTETS });
  const receiver = new Receiver(injector, realClock);
  const sources = await openCaptures(options, () => receiver.restMs(), log).catch((error: Error) => {
    injector.close();
    throw error;
  });
  const stats = () => sumOf(sources);
  const channels = new Set<RelayChannel>();
  // What peers cause: one that comes and goes must not fill the disk.
  const rated = new RatedLog(log, performance.now());
  const onEvent = (event: string, detail: string) =>
    rated.say(`channel ${event}`, `channel ${event}: ${detail}`);
  const room = new RelayRoom();
  const onChannel = (socket: Socket, guest: Guest) => {
    const channel = new RelayChannel(socket, guest, { receiver, targets, room, stats, log: onEvent });
    channels.add(channel);
    socket.on('close', () => channels.delete(channel));
  };
  const onRefused = (from: string, why: string) => onEvent('refused', `${from} ${why}`);
  const lobby = new Lobby();
  const server = await listenRelay(listen, { key, onChannel, onRefused, lobby });
  let pidFile: PidFile | undefined;
  try {
    pidFile = pidPath === undefined ? undefined : writePidFile(pidPath);
    if (isUnix(listen) && runAs !== undefined) giveSocket(listen.path, runAs);
    await goOnAs(runAs);
  } catch (error) {
    pidFile?.remove();
    // They would keep the process alive.
    server.close();
    lobby.close();
    throw error;
  }
  const ticks = setInterval(() => receiver.tick(), TICK_MS);
  const dropLog = new DropLog(stats, log);
  const drops = setInterval(() => {
    dropLog.look();
    rated.look(performance.now());
  }, DROPS_MS);
  let stop: (error?: Error) => void = () => {};
  const stopped = new Promise<Error | undefined>((resolve) => {
    stop = resolve as (error?: Error) => void;
  });
  const captures = sources.map(async (source) => {
    for await (const block of source) receiver.take(block, captureNow(source.originSec));
  });
  for (const capture of captures) capture.catch((error: Error) => stop(error));
  const onSignal = () => stop();
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  const guard = key === undefined ? 'for its owner alone' : 'TLS-PSK';
  const where = `${options.interface.join(', ')}: ${options.filter}`;
  log(`intercept listening on ${relayText(listen)} (${guard}), capturing on ${where}`);
  log(`packets are sent to these targets alone: ${targets.text}`);
  const dropping = rpFilterWarning(options.interface);
  if (dropping !== undefined) log(dropping);
  if (process.connected) {
    process.send?.({ ready: true });
    process.disconnect();
  }
  const error = await stopped;
  // Connections of replays that are gone are reset; those of the others stay, for the intercept that is started next.
  receiver.close();
  for (const channel of channels) channel.close();
  server.close();
  lobby.close();
  clearInterval(ticks);
  clearInterval(drops);
  rated.tellRest();
  const { packets, dropped } = stats();
  for (const source of sources) source.close();
  await Promise.allSettled(captures);
  injector.close();
  pidFile?.remove();
  log(
    `intercept stopped: ${counted(packets, 'packet')} seen, ${dropped} dropped, ${receiver.foreign} of them not for a replay`,
  );
  if (error !== undefined) throw error;
}
