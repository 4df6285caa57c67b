/** An ordinary client of a server that is not trusted: each answer has a bound on its time and its octets. */
import { connect, type Socket } from 'node:net';
import { type Connection, createConnection, type SslOptions } from 'mysql2';
import type { ServerKey } from '../mysql/auth/plugin.ts';
import type { TargetTls } from '../transport/target-tls.ts';
import { MeteredStream } from './metered-stream.ts';
import { authPluginsFor } from './mysql2-auth.ts';

/** An answer to one question has a few rows. */
const MOST_ANSWER_OCTETS = 1024 ** 2;

/** How long the server may take to close after COM_QUIT, ms. */
const END_LIMIT_MS = 500;

export interface Account {
  user: string;
  password: string;
}

export interface TargetAddress {
  host: string;
  port: number;
  tls: TargetTls | undefined;
  serverKey?: ServerKey | undefined;
}

export type Row = Readonly<Record<string, unknown>>;

/** Runs a statement; rejects as mysql2 does: with `errno` and `sqlState` where the server refused it. */
export type AskTarget = (sql: string) => Promise<readonly Row[]>;

export class TargetClient {
  readonly #stream: MeteredStream;
  readonly #socket: Socket;
  readonly #connection: Connection;
  readonly #login: Promise<void>;
  readonly #limitMs: number;

  /** Connects. The login, and each answer, may take `limitMs`. */
  constructor({ host, port, tls, serverKey }: TargetAddress, { user, password }: Account, limitMs: number) {
    const socket = connect({ host, port, noDelay: true });
    const stream = new MeteredStream(socket, MOST_ANSWER_OCTETS);
    this.#socket = socket;
    this.#stream = stream;
    this.#limitMs = limitMs;
    this.#connection = createConnection({
      user,
      password,
      charset: 'utf8mb4',
      stream: () => stream,
      authPlugins: authPluginsFor({ user, password, secure: tls !== undefined, serverKey }),
      ...(tls === undefined ? {} : { host: tls.servername ?? host, ssl: sslOf(tls) }),
    });
    this.#login = new Promise((resolve, reject) => {
      // One that ends while no question is open is no trouble: the next question fails.
      this.#connection.on('error', reject);
      this.#connection.connect((error) => (error ? reject(error) : resolve()));
    });
    this.#login.catch(() => {});
  }

  /** Resolves when the server has let the user in; rejects with what it said. */
  ready(): Promise<void> {
    return this.#bounded(this.#login);
  }

  /** The server's number of this connection. */
  get connectionId(): number {
    return this.#connection.threadId;
  }

  /** Rejects, for good, where no answer comes in time, or more of it than one can be. */
  readonly ask: AskTarget = (sql) => {
    this.#stream.reset();
    return this.#bounded(
      new Promise((resolve, reject) => {
        this.#connection.query(sql, (error, rows) => {
          if (error) reject(error);
          else if (Array.isArray(rows)) resolve(rows as Row[]);
          else reject(new Error('it answered a question without rows'));
        });
      }),
    );
  };

  /** Ends whatever is under way: all questions together took too long. */
  breakOff(): void {
    this.#stream.destroy(new Error('no answer in the time that all questions have together'));
  }

  async #bounded<T>(work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const error = new Error(`no answer in ${this.#limitMs / 1000} s`);
        // Its answer may still come, and would be taken for that to the next question.
        this.#stream.destroy(error);
        reject(error);
      }, this.#limitMs);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** By COM_QUIT; resolves when the server has closed, or after a while without it. */
  end(): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const late = setTimeout(() => socket.destroy(), END_LIMIT_MS);
      socket.once('close', () => {
        clearTimeout(late);
        resolve();
      });
      this.#connection.end();
    });
  }
}

/** Why the user can't log in, in the server's words; undefined: they can. */
export async function tryLogin(
  target: TargetAddress,
  account: Account,
  limitMs: number,
): Promise<string | undefined> {
  const client = new TargetClient(target, account, limitMs);
  try {
    await client.ready();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await client.end();
  }
}

function sslOf({ verify, ca }: TargetTls): SslOptions {
  return {
    rejectUnauthorized: verify !== 'none',
    verifyIdentity: verify === 'identity',
    ...(ca === undefined ? {} : { ca }),
  };
}
