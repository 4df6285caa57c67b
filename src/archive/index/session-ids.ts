/** The numbers of an archive's sessions for a decoder of its packets, also where blocks can't be read. */
import type { Endpoints } from '../../flow/flow.ts';
import type { CaptureNs } from '../../time.ts';
import type { Archive, SessionRow } from '../reader.ts';

type Ends = Pick<SessionRow, 'client' | 'clientPort' | 'server' | 'serverPort'>;

/**
 * Sessions are numbered in the order of their first packets. Once packets are missing, a decoder comes upon fewer, or in another order:
 * from then on each is looked for in the index, by its ends and its time.
 */
export class SessionIds {
  readonly #archive: Pick<Archive, 'info' | 'session'>;
  /** Rows up to here were given to a connection, or are in `#missed`. */
  #next = 0;
  #isDamaged = false;
  /** Sessions whose first packets are missing, by their ends: they may show up later. */
  readonly #missed = new Map<string, SessionRow[]>();
  /** Connections that the index does not have: what is left of one may look like two. */
  #extra = 0;

  constructor(archive: Pick<Archive, 'info' | 'session'>) {
    this.#archive = archive;
  }

  /** From here on packets are missing. */
  damaged(): void {
    this.#isDamaged = true;
  }

  /** The id of the next connection, which began `at`. */
  next({ client, clientPort, server, serverPort }: Endpoints, at: CaptureNs): number {
    if (!this.#isDamaged) return this.#next++;
    const ends = keyOf({ client: client.text, clientPort, server: server.text, serverPort });
    const missed = this.#takeMissed(ends, at);
    if (missed !== undefined) return missed;
    for (;;) {
      const row = this.#archive.session(this.#next);
      // One that is being recorded may have more sessions than its index.
      if (row === undefined && !this.#archive.info.complete) return this.#next++;
      if (row === undefined || row.firstAt > at) return this.#archive.info.sessions + this.#extra++;
      this.#next++;
      // One that was over before had all its packets in what is missing.
      if (row.lastAt < at) continue;
      if (keyOf(row) === ends) return row.id;
      this.#miss(row);
    }
  }

  #miss(row: SessionRow): void {
    const ends = keyOf(row);
    const others = this.#missed.get(ends);
    if (others === undefined) this.#missed.set(ends, [row]);
    else others.push(row);
  }

  #takeMissed(ends: string, at: CaptureNs): number | undefined {
    const rows = this.#missed.get(ends);
    if (rows === undefined) return undefined;
    while (rows.length > 0) {
      const { id, lastAt } = rows.shift() as SessionRow;
      if (lastAt >= at) return id;
    }
    this.#missed.delete(ends);
    return undefined;
  }
}

function keyOf({ client, clientPort, server, serverPort }: Ends): string {
  return `${client} ${clientPort} ${server} ${serverPort}`;
}
