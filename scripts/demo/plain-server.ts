import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { MytapeError } from '../../src/errors.ts';

const START_TIMEOUT_MS = 30_000;

/** Where Debian has servers, which is in nobody's PATH but root's. */
const SERVERS = '/usr/sbin';

/** The path of a command; undefined where it is not installed. */
function findCommand(name: string, ...more: string[]): string | undefined {
  return [...(process.env.PATH ?? '').split(delimiter), ...more]
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** A MariaDB of the demo's own: private data folder, a port of its own of loopback, as whoever runs the demo. Ends with the process. */
export class PlainServer {
  readonly port: number;
  readonly version: string;
  readonly #process: ChildProcess;
  readonly #control: Connection;

  private constructor(port: number, version: string, child: ChildProcess, control: Connection) {
    this.port = port;
    this.version = version;
    this.#process = child;
    this.#control = control;
  }

  /** undefined where none is installed. `folder` is its own. */
  static async start(folder: string): Promise<PlainServer | undefined> {
    const mariadbd = findCommand('mariadbd', SERVERS);
    const installer = findCommand('mariadb-install-db');
    if (mariadbd === undefined || installer === undefined) return undefined;
    const data = join(folder, 'data');
    const temporary = join(folder, 'tmp');
    mkdirSync(temporary, { recursive: true });
    const common = ['--no-defaults', `--datadir=${data}`, `--tmpdir=${temporary}`];
    if (process.getuid?.() === 0) common.push('--user=root');
    const options = [
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      '--innodb-log-file-size=16M',
    ];
    execFileSync(installer, [...common, ...options], { stdio: 'pipe' });
    const port = await freePort();
    const socketPath = join(folder, 'sock');
    const args = [...common, `--socket=${socketPath}`, `--pid-file=${join(folder, 'pid')}`, `--port=${port}`];
    args.push('--bind-address=127.0.0.1', '--skip-name-resolve', '--innodb-buffer-pool-size=32M');
    const log = openSync(join(folder, 'log'), 'a');
    const child = spawn(mariadbd, args, { stdio: ['ignore', log, log] });
    // Before whoever clears the folder away.
    process.prependOnceListener('exit', () => child.kill('SIGKILL'));
    const deadline = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      const control = await createConnection({ socketPath, user: 'root' }).catch(() => undefined);
      if (control !== undefined) {
        const [rows] = await control.query<RowDataPacket[]>('SELECT VERSION() AS version');
        return new PlainServer(port, rows[0].version, child, control);
      }
      if (child.exitCode !== null || performance.now() > deadline)
        throw new MytapeError('system-call', `mariadbd does not start: see ${join(folder, 'log')}`);
      await sleep(50);
    }
  }

  async sql(text: string): Promise<RowDataPacket[]> {
    const [rows] = await this.#control.query<RowDataPacket[]>(text);
    return Array.isArray(rows) ? rows : [];
  }

  async stop(): Promise<void> {
    this.#control.destroy();
    const ended = new Promise<void>((resolve) => this.#process.once('exit', () => resolve()));
    // Its data goes anyway.
    this.#process.kill('SIGKILL');
    await ended;
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
