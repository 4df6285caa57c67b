/** A connection of mysql2's to a server that may say anything: bounded answers, our own logins, errors in plain words. */
import { connect } from 'node:net';
import { type Connection, createConnection, type SslOptions } from 'mysql2';
import { authPluginsFor, type Credentials, loginTrouble, mendLogin } from './auth.ts';
import { MeteredStream } from './metered-stream.ts';
import { notMysql, plainTrouble, ServerTrouble } from './trouble.ts';

/** mysql2's code for a stream that closed. */
const CONNECTION_LOST = 'PROTOCOL_CONNECTION_LOST';

/** How long the server may take to close after COM_QUIT, ms. */
const END_LIMIT_MS = 500;

export interface ServerConnectionOptions {
  host: string;
  port: number;
  credentials: Credentials;
  /** Octets of one answer; more of them end the connection. mysql2 holds an answer whole. */
  mostAnswerOctets: number;
  /** undefined: no TLS. `servername` is what it shows and is checked by. */
  ssl?: (SslOptions & { servername: string }) | undefined;
}

export class ServerConnection {
  readonly #stream: MeteredStream;
  readonly #connection: Connection;
  readonly #login: Promise<void>;
  /** The first error; all that is asked afterwards ends by it. */
  #broken: Error | undefined;
  /** A packet had another number than was its turn: mysql2 warns of it, and reads on. */
  #disordered = false;

  /** Connects, and logs in. */
  constructor({ host, port, credentials, mostAnswerOctets, ssl }: ServerConnectionOptions) {
    const stream = new MeteredStream(connect({ host, port, noDelay: true }), mostAnswerOctets);
    const { user, password } = credentials;
    const { servername, ...tls } = ssl ?? {};
    // Where the name is an address mysql2 hands TLS no name, and Node takes this one to hold the certificate against.
    Object.assign(stream, { _host: servername });
    const connection = createConnection({
      user,
      password,
      charset: 'utf8mb4',
      stream: () => stream,
      authPlugins: authPluginsFor(credentials),
      ...(servername === undefined ? {} : { host: servername, ssl: tls }),
    });
    this.#stream = stream;
    this.#connection = connection;
    connection.on('warn' as 'error', () => {
      this.#disordered = true;
    });
    this.#login = new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        this.#broken ??= plainTrouble(loginTrouble(connection, user, error));
        reject(this.#broken);
      };
      // A handshake of TLS that fails closes the stream first, and says why in the next turn.
      const ended = (error: Error) => {
        if ((error as NodeJS.ErrnoException).code === CONNECTION_LOST) setImmediate(fail, error);
        else fail(error);
      };
      // One that ends while no question is open is no trouble: the next question fails.
      connection.on('error', ended);
      mendLogin(connection, fail);
      connection.connect((error) => (error ? ended(error) : resolve()));
    });
    this.#login.catch(() => {});
  }

  /** Resolves when the server has let the user in; rejects with what it said, or why not. */
  ready(): Promise<void> {
    return this.#login;
  }

  /** Whether an error ended it. */
  get broken(): boolean {
    return this.#broken !== undefined;
  }

  /** The server's number of this connection. */
  get id(): number {
    return this.#connection.threadId;
  }

  /** Runs a statement; rejects with `errno` and `sqlState` where the server refused it, as `plainTrouble` says otherwise. */
  query(sql: string): Promise<readonly unknown[]> {
    this.#stream.reset();
    return new Promise((resolve, reject) => {
      this.#connection.query(sql, (error, rows) => {
        if (error) reject(this.#broken ?? plainTrouble(error));
        else if (this.#disordered) reject(notMysql());
        else if (Array.isArray(rows)) resolve(rows);
        else reject(new ServerTrouble('it answered a question without rows'));
      });
    });
  }

  /** At once; what is under way ends by `error`. */
  destroy(error?: Error): void {
    this.#connection.destroy();
    // mysql2 ends its half alone, and a server that hangs would keep us from ending.
    this.#stream.destroy(error);
  }

  /** By COM_QUIT; resolves when the server has closed, or after a while without it. */
  end(): Promise<void> {
    const stream = this.#stream;
    if (stream.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const late = setTimeout(() => stream.destroy(), END_LIMIT_MS);
      stream.once('close', () => {
        clearTimeout(late);
        resolve();
      });
      this.#connection.end();
    });
  }
}
