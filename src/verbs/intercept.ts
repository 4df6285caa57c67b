import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { Command, Option } from '@commander-js/extra-typings';
import { MytapeError } from '../errors.ts';
import { OPEN, openRegular, ourUsers } from '../files.ts';
import { DropLog } from '../intercept/drop-log.ts';
import { Receiver } from '../intercept/receiver.ts';
import { RelayChannel } from '../intercept/relay-server.ts';
import { listenRelay, readKeyFile } from '../intercept/relay-socket.ts';
import { CAPTURE_DRIVERS, openCapture, openInjector, SEND_DRIVERS } from '../net/drivers.ts';
import { rpFilterWarning } from '../net/rp-filter.ts';
import { captureNow, realClock } from '../time.ts';
import { TOO_LONG_FILTER } from '../wire/icmp.ts';
import type { PacketSource, SourceStats } from '../wire/packets.ts';
import { KEY_FILE_VARIABLE, parseListen } from './endpoints.ts';
import { GapTeller } from './gaps.ts';
import { say } from './output.ts';
import { type PidFile, writePidFile } from './pid-file.ts';
import { goOnAs, planRunAs, userOption } from './run-as.ts';

/** Tells a detached child that it is one, and where its pid file is. */
const DETACHED = 'MYTAPE_DETACHED';

/** Where replays look for an intercept unless told otherwise: TCPCopy's own port. */
const DEFAULT_PORT = 36525;

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
  Make a key, for both ends:
    (umask 077; openssl rand -hex 32 > /etc/mytape.key)

docs/topologies.md has the lines to type on each host.
Exit code: 0 stopped in order, 1 failed, 2 usage.`;

export function interceptCommand(): Command {
  const command = new Command('intercept')
    .summary("catch the target's answers on the assistant host, and complete its TCP")
    .description(
      "Runs on the host that the target sends its answers to. Captures them, acknowledges them as the clients' " +
        'TCP would, and relays what they amount to to `mytape replay`. Stops in order on Ctrl-C.',
    )
    .requiredOption(
      '-i, --interface <name...>',
      "interface that the target's answers arrive on (may be repeated)",
    )
    .requiredOption(
      '-F, --filter <expression>',
      "which packets are answers, as for tcpdump: 'tcp and src port 3307'",
    )
    .option('-p, --port <[host:]port>', 'where to listen for replays (default: 36525)', parseListen)
    .addOption(
      new Option(
        '--key-file <file>',
        'shared key (hexadecimal, mode 0600); without it the relay listens on loopback only',
      ).env(KEY_FILE_VARIABLE),
    )
    .addOption(userOption())
    .option('-d, --daemon', 'run in the background; returns when it listens')
    .option(
      '--pid-file <file>',
      'holds the process id while it runs (with -d: default /run/mytape-intercept-PORT.pid)',
    )
    .option('--log-file <file>', 'with -d: where its log goes (default /var/log/mytape-intercept-PORT.log)')
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
    .action(async (options) => {
      if (options.daemon && detachedPidFile() === undefined) await detach(options);
      else await intercept(options);
    });
  return command as unknown as Command;
}

interface InterceptOptions {
  interface: string[];
  filter: string;
  port?: { host: string | undefined; port: number } | undefined;
  keyFile?: string | undefined;
  pidFile?: string | undefined;
  logFile?: string | undefined;
  user?: string | undefined;
  captureDriver: (typeof CAPTURE_DRIVERS)[number];
  sendDriver: (typeof SEND_DRIVERS)[number];
}

/** Starts this same command again as a process of its own session, and waits until it listens or fails. */
async function detach({ port: listen, pidFile, logFile }: InterceptOptions): Promise<void> {
  const port = listen?.port ?? DEFAULT_PORT;
  const pidPath = pidFile ?? `/run/mytape-intercept-${port}.pid`;
  const logPath = logFile ?? `/var/log/mytape-intercept-${port}.log`;
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

/** Where this is the child that `detach` waits for. Without that parent's channel the variable came from somewhere else, and says nothing. */
function detachedPidFile(): string | undefined {
  return process.connected ? process.env[DETACHED] : undefined;
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
  const key = options.keyFile === undefined ? undefined : readKeyFile(options.keyFile);
  const host = options.port?.host ?? (key === undefined ? '127.0.0.1' : '0.0.0.0');
  const port = options.port?.port ?? DEFAULT_PORT;
  const injector = await openInjector(sendDriver, { slotOctets: ACK_OCTETS });
  const receiver = new Receiver(injector, realClock);
  const sources = await openCaptures(options, () => receiver.restMs()).catch((error: Error) => {
    injector.close();
    throw error;
  });
  const stats = () => sumOf(sources);
  const channels = new Set<RelayChannel>();
  const onChannel = (socket: Socket) => {
    const channel = new RelayChannel(socket, receiver, stats, (event, detail) =>
      log(`channel ${event}: ${detail}`),
    );
    channels.add(channel);
    socket.on('close', () => channels.delete(channel));
  };
  const server = await listenRelay({ host, port }, key, onChannel, (from, why) =>
    log(`channel refused: ${from} ${why}`),
  );
  let pidFile: PidFile | undefined;
  try {
    pidFile = pidPath === undefined ? undefined : writePidFile(pidPath);
    await goOnAs(runAs);
  } catch (error) {
    pidFile?.remove();
    // It would keep the process alive.
    server.close();
    throw error;
  }
  const ticks = setInterval(() => receiver.tick(), TICK_MS);
  const dropLog = new DropLog(stats, log);
  const drops = setInterval(() => dropLog.look(), DROPS_MS);
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
  const guard = key === undefined ? 'no key: loopback only' : 'TLS-PSK';
  const where = `${options.interface.join(', ')}: ${options.filter}`;
  log(`intercept listening on ${host}:${port} (${guard}), capturing on ${where}`);
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
  clearInterval(ticks);
  clearInterval(drops);
  const { packets, dropped } = stats();
  for (const source of sources) source.close();
  await Promise.allSettled(captures);
  injector.close();
  pidFile?.remove();
  log(
    `intercept stopped: ${packets} packets seen, ${dropped} dropped, ${receiver.foreign} of them not for a replay`,
  );
  if (error !== undefined) throw error;
}

/** One capture an interface; where one cannot be had, those before it are closed again. */
async function openCaptures(
  { interface: interfaces, filter, captureDriver }: InterceptOptions,
  restMs: () => number,
): Promise<PacketSource[]> {
  const sources: PacketSource[] = [];
  try {
    for (const iface of interfaces) {
      const wanted = `(${filter}) or ${TOO_LONG_FILTER}`;
      const originSec = Math.floor(Date.now() / 1000);
      const gaps = new GapTeller(iface, originSec, log);
      sources.push(
        await openCapture(captureDriver, {
          iface,
          filter: wanted,
          mode: 'latency',
          promiscuous: false,
          restMs,
          originSec,
          onGap: (gap) => gaps.take(gap),
        }),
      );
    }
  } catch (error) {
    for (const source of sources) source.close();
    throw error;
  }
  return sources;
}

function sumOf(sources: readonly PacketSource[]): SourceStats {
  let packets = 0;
  let dropped = 0;
  for (const source of sources) {
    const one = source.stats();
    packets += one.packets;
    dropped += one.dropped;
  }
  return { packets, dropped };
}
