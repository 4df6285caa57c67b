/**
 * The NSS key log (SSLKEYLOGFILE, draft-ietf-tls-keylogfile): a line is a label, the client's random of the session that
 * it belongs to, and a secret, the last two in hexadecimal. Lines that begin with # are comments.
 */

/** A key log of more octets is not read: 64 MiB hold the secrets of 70,000 sessions of TLS 1.3, or of 300,000 of TLS 1.2. */
export const MOST_KEY_LOG_OCTETS = 64 * 1024 * 1024;

/** What is known of one session, by the labels below. TLS 1.2 needs `master`, TLS 1.3 the other four. */
export interface SessionSecrets {
  master?: Uint8Array;
  clientHandshake?: Uint8Array;
  serverHandshake?: Uint8Array;
  clientTraffic?: Uint8Array;
  serverTraffic?: Uint8Array;
}

/** The labels that open a session's records. A log has others, of early data and of exporters. */
const LABELS: ReadonlyMap<string, keyof SessionSecrets> = new Map([
  ['CLIENT_RANDOM', 'master'],
  ['CLIENT_HANDSHAKE_TRAFFIC_SECRET', 'clientHandshake'],
  ['SERVER_HANDSHAKE_TRAFFIC_SECRET', 'serverHandshake'],
  ['CLIENT_TRAFFIC_SECRET_0', 'clientTraffic'],
  ['SERVER_TRAFFIC_SECRET_0', 'serverTraffic'],
]);

/** No secret is longer than the output of SHA-384: 48 octets, as is TLS 1.2's master secret. */
const LINE = /^([A-Z][A-Z0-9_]*) ([0-9a-fA-F]{64}) ((?:[0-9a-fA-F]{2}){32,48})$/;

/** Secrets by the client's random. Of a secret that comes twice the later one holds. */
export class KeyLog {
  /** Lines that are neither a secret nor a comment. */
  badLines = 0;
  readonly #sessions = new Map<string, SessionSecrets>();
  readonly #most: number;

  /** `most`: sessions that are remembered; beyond it the oldest are forgotten. */
  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most;
  }

  static parse(text: string): KeyLog {
    const log = new KeyLog();
    log.add(text);
    return log;
  }

  /** Sessions that something is known of. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Takes whole lines. */
  add(text: string): void {
    for (let from = 0; from < text.length; ) {
      const end = text.indexOf('\n', from);
      const to = end < 0 ? text.length : end;
      this.#line(text.slice(from, to).trim());
      from = to + 1;
    }
  }

  /** What is known of the session whose client's random is this: 64 digits in lower case. */
  of(clientRandomHex: string): SessionSecrets | undefined {
    return this.#sessions.get(clientRandomHex);
  }

  #line(line: string): void {
    if (line === '' || line.startsWith('#')) return;
    const found = LINE.exec(line);
    if (found === null) {
      this.badLines++;
      return;
    }
    const name = LABELS.get(found[1]);
    if (name === undefined) return;
    const random = found[2].toLowerCase();
    let secrets = this.#sessions.get(random);
    if (secrets === undefined) {
      this.#sessions.set(random, (secrets = {}));
      if (this.#sessions.size > this.#most)
        for (const oldest of this.#sessions.keys()) {
          this.#sessions.delete(oldest);
          break;
        }
    }
    secrets[name] = new Uint8Array(Buffer.from(found[3], 'hex'));
  }
}
