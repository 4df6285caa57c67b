import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { MytapeError } from '../../src/errors.ts';
import { type Brand, type BrandName, brand, type Programs, programsOf } from './servers/brands.ts';
import { copyFolder, forgetWho, installData } from './servers/template.ts';

export const PORT = 3307;
const ROOT_PASSWORD = 'root-secret';

/** The lab's users. `app` is whom the workloads log in as. */
export const USERS = { app: 'app-secret', sbtest: 'sbtest-secret' } as const;

/** Run once in a new data folder: no user without a name, and those of the lab. */
function firstStart({ firstStart, createUser, monitorGrant }: Brand): string[] {
  return [
    ...firstStart(ROOT_PASSWORD),
    'CREATE DATABASE sbtest',
    'CREATE DATABASE sbtest2',
    ...Object.entries(USERS).flatMap(([user, password]) => [
      createUser(user, password),
      `GRANT ALL ON sbtest.* TO '${user}'@'%'`,
      `GRANT ALL ON sbtest2.* TO '${user}'@'%'`,
      // A replay's interlock asks with the users that it replays.
      `GRANT ${monitorGrant} ON *.* TO '${user}'@'%'`,
    ]),
  ];
}

/** Memory and durability for a server that lives minutes; limits wide enough for fifty copies of a recording. */
const SETTINGS = [
  `--port=${PORT}`,
  '--skip-name-resolve',
  '--max-connections=4000',
  '--back-log=4000',
  '--max-prepared-stmt-count=1000000',
  '--performance-schema=OFF',
  '--event-scheduler=OFF',
  '--innodb-buffer-pool-size=128M',
  '--innodb-flush-log-at-trx-commit=0',
  '--innodb-doublewrite=OFF',
  '--innodb-buffer-pool-dump-at-shutdown=OFF',
];

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;

export interface ProcessRow {
  Id: number;
  User: string;
  Host: string;
  db: string | null;
  Command: string;
  Time: number;
  Info: string | null;
}

/** One real server inside a namespace: its life, its data and its counters. */
export class Server {
  readonly socketPath: string;
  readonly logPath: string;
  /** Holds the server's process id while it runs. */
  readonly pidPath: string;
  readonly #namespace: string;
  readonly #folder: string;
  readonly #data: string;
  readonly brand: Brand;
  readonly rootPassword = ROOT_PASSWORD;
  #programs: Programs | undefined;
  #process: ChildProcess | undefined;
  #control: Connection | undefined;

  /** Starts nothing: `install` and `start` do, or did in the process that left the lab in the background. */
  constructor(namespace: string, folder: string, name: BrandName) {
    this.brand = brand(name);
    this.#namespace = namespace;
    this.#folder = folder;
    this.#data = join(folder, 'data');
    this.socketPath = join(folder, 'mysql.sock');
    this.logPath = join(folder, 'server.log');
    this.pidPath = join(folder, 'server.pid');
  }

  /** Fills the data folder of a server that is to be started for the first time. */
  install(): void {
    mkdirSync(this.#folder, { recursive: true });
    installData(this.brand, this.programs, this.#data);
    writeFileSync(
      this.#firstStart,
      firstStart(this.brand)
        .map((statement) => `${statement};\n`)
        .join(''),
    );
  }

  /** Its own, and its clients': `programs.program('mysql')`. */
  get programs(): Programs {
    this.#programs ??= programsOf(this.brand.name);
    return this.#programs;
  }

  get #firstStart(): string {
    return join(this.#folder, 'first-start.sql');
  }

  /** Resolves when it answers; `settings` beside the lab's own, for this start. */
  async start(settings: readonly string[] = []): Promise<void> {
    const log = openSync(this.logPath, 'a');
    const temporary = join(this.#folder, 'tmp');
    mkdirSync(temporary, { recursive: true });
    const args = ['--no-defaults', '--user=root', `--datadir=${this.#data}`, `--socket=${this.socketPath}`];
    args.push(`--pid-file=${this.pidPath}`, `--tmpdir=${temporary}`, ...SETTINGS);
    args.push(...this.brand.settings, ...this.programs.settings, ...settings);
    if (existsSync(this.#firstStart)) args.push(`--init-file=${this.#firstStart}`);
    // Detached: Ctrl-C on the terminal is the owner's to hear, and a background lab outlives it.
    const program = this.programs.program(this.brand.server);
    const child = spawn('ip', ['netns', 'exec', this.#namespace, program, ...args], {
      stdio: ['ignore', log, log],
      detached: true,
    });
    child.unref();
    this.#process = child;
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (this.#control === undefined) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
        throw new MytapeError(
          'system-call',
          `lab: ${this.brand.server} does not start. The end of its log:\n${this.#logTail()}`,
        );
      }
      await sleep(25);
      this.#control = await this.#connect().catch(() => undefined);
    }
    rmSync(this.#firstStart, { force: true });
  }

  async #connect(): Promise<Connection> {
    const connection = await createConnection({
      socketPath: this.socketPath,
      user: 'root',
      password: ROOT_PASSWORD,
      connectTimeout: 2000,
    });
    // A server that is killed is no error of ours, but an 'error' nobody listens to would end the process.
    connection.on('error', () => {});
    return connection;
  }

  /** The one connection that we look at the server with. Kept, so that looking does not count as connecting. */
  async #controlConnection(): Promise<Connection> {
    this.#control ??= await this.#connect();
    return this.#control;
  }

  /** Ends our control connection; the server goes on. */
  disconnect(): void {
    this.#control?.destroy();
    this.#control = undefined;
  }

  #logTail(): string {
    return existsSync(this.logPath)
      ? readFileSync(this.logPath, 'utf8').split('\n').slice(-15).join('\n')
      : '(none)';
  }

  /** Shuts it down in order: the data folder is whole afterwards. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** As a power cut does. */
  async kill9(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.disconnect();
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.ref();
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(late);
  }

  get running(): boolean {
    return this.#process !== undefined;
  }

  /** Process id of the server, for whoever measures it. */
  get pid(): number {
    if (this.#process?.pid === undefined) throw new MytapeError('usage', 'lab: this server is not running');
    return this.#process.pid;
  }

  /** Copies the data of the stopped server to `folder`, which is replaced. */
  snapshot(folder: string): void {
    this.#refuseRunning('snapshot');
    copyFolder(this.#data, folder);
  }

  /** Puts a snapshot, of this or of another server, in place of this stopped server's data. */
  restore(folder: string): void {
    this.#refuseRunning('restore');
    copyFolder(folder, this.#data);
    forgetWho(this.#data);
  }

  #refuseRunning(what: string): void {
    if (this.running) throw new MytapeError('usage', `lab: stop the server before ${what}`);
  }

  /** SHOW GLOBAL STATUS, the numbers of it. Asking changes Com_show_status and Questions, and nothing else. */
  async counters(): Promise<Record<string, number>> {
    const rows = await this.sql('SHOW GLOBAL STATUS');
    const counters: Record<string, number> = {};
    for (const row of rows) {
      const value = Number(row.Value);
      if (row.Value !== '' && Number.isFinite(value)) counters[row.Variable_name] = value;
    }
    return counters;
  }

  /** Connections of others: neither ours nor the server's own threads. */
  async processlist(): Promise<ProcessRow[]> {
    const control = await this.#controlConnection();
    const own = control.threadId;
    const rows = (await this.sql('SHOW FULL PROCESSLIST')) as ProcessRow[];
    return rows.filter((row) => row.Id !== own && row.User !== 'system user');
  }

  /** Runs a statement as root. Its rows, or an empty array where it has none. */
  async sql(text: string): Promise<RowDataPacket[]> {
    const control = await this.#controlConnection();
    const [rows] = await control.query<RowDataPacket[]>(text);
    return Array.isArray(rows) ? rows : [];
  }
}
