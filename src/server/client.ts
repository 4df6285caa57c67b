/** An ordinary client of a server that is not trusted: each answer has a bound on its time and its octets. */
import type { ServerKey } from '../mysql/auth/plugin.ts';
import type { TargetTls } from '../transport/target-tls.ts';
import { ServerConnection } from './connection.ts';
import { ServerTrouble } from './trouble.ts';

/** An answer to one question has a few rows. */
const MOST_ANSWER_OCTETS = 1024 ** 2;

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

/** Runs a statement; rejects as ServerConnection does: with `errno` and `sqlState` where the server refused it. */
export type AskTarget = (sql: string) => Promise<readonly Row[]>;

export class TargetClient {
  readonly #connection: ServerConnection;
  readonly #limitMs: number;

  /** Connects. The login, and each answer, may take `limitMs`. */
  constructor({ host, port, tls, serverKey }: TargetAddress, { user, password }: Account, limitMs: number) {
    this.#limitMs = limitMs;
    this.#connection = new ServerConnection({
      host,
      port,
      credentials: { user, password, secure: tls !== undefined, serverKey },
      mostAnswerOctets: MOST_ANSWER_OCTETS,
      ssl: tls && sslOf(tls, host),
    });
  }

  /** Resolves when the server has let the user in; rejects with what it said, or a ServerTrouble. */
  ready(): Promise<void> {
    return this.#bounded(this.#connection.ready());
  }

  /** The server's number of this connection. */
  get connectionId(): number {
    return this.#connection.id;
  }

  /** Rejects, for good, where no answer comes in time, or more of it than one can be. */
  readonly ask: AskTarget = (sql) => this.#bounded(this.#connection.query(sql)) as Promise<readonly Row[]>;

  /** Ends whatever is under way: all questions together took too long. */
  breakOff(): void {
    this.#connection.destroy(new ServerTrouble('no answer in the time that all questions have together'));
  }

  async #bounded<T>(work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const error = new ServerTrouble(`no answer in ${this.#limitMs / 1000} s`);
        // Its answer may still come, and would be taken for that to the next question.
        this.#connection.destroy(error);
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
    return this.#connection.end();
  }
}

/** Why the user can't log in: the server's error, with its `errno`, or a ServerTrouble; undefined: they can. */
export async function tryLogin(
  target: TargetAddress,
  account: Account,
  limitMs: number,
): Promise<Error | undefined> {
  const client = new TargetClient(target, account, limitMs);
  try {
    await client.ready();
    return undefined;
  } catch (error) {
    return error as Error;
  } finally {
    await client.end();
  }
}

function sslOf({ verify, ca, servername }: TargetTls, host: string) {
  return {
    servername: servername ?? host,
    rejectUnauthorized: verify !== 'none',
    verifyIdentity: verify === 'identity',
    ...(ca === undefined ? {} : { ca }),
  };
}
