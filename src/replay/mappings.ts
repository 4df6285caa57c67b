import type { SessionMeta } from '../flow/events.ts';
import type { ServerEnd } from '../flow/server-ends.ts';
import { parseAddress } from '../wire/address.ts';

/** Where the sessions of one recorded server go. */
export interface Destination {
  /** Number of the mapping, from 0: connection ids are told apart by it, because each recorded server counts its own. */
  readonly server: number;
  /** Number of the target, from 0. */
  readonly target: number;
}

/** The destination of a run that tells no servers apart. */
export const ONLY: Destination = { server: 0, target: 0 };

/** What of a session names its recorded server. */
export type ServerOf = Pick<SessionMeta, 'server' | 'serverPort'>;

/** Decides which target a recorded session goes to. */
export interface Mappings {
  /** undefined: the session is of a server that no mapping names. */
  of(session: ServerOf): Destination | undefined;
  /** Whether no mapping names the server of a session that can't be replayed anyway. Decides nothing for others. */
  isOther(session: ServerOf): boolean;
}

/** One mapping of `-x`. Plain data: it crosses to worker threads. */
export interface MappingJob {
  /** The recorded server's address as `Address.text` has it; undefined: not known before traffic shows it (a mirror). */
  source: string | undefined;
  port: number;
  /** Number of the target. */
  target: number;
  /** Addresses of this host that one server listens on together: sessions to any of them are its own. Of a mirror. */
  alike?: readonly string[] | undefined;
}

/** Mappings whose servers are all known by address. */
export class FixedMappings implements Mappings {
  readonly #jobs: readonly MappingJob[];
  readonly #byServer: ReadonlyMap<string, Destination>;

  constructor(jobs: readonly MappingJob[]) {
    this.#jobs = jobs;
    this.#byServer = new Map(
      jobs.map(({ source, port, target }, server) => [`${source} ${port}`, { server, target }]),
    );
  }

  of({ server, serverPort }: ServerOf): Destination | undefined {
    return this.at(server.text, serverPort);
  }

  isOther(session: ServerOf): boolean {
    return this.of(session) === undefined;
  }

  /** The same for a server by the text of its address. */
  at(server: string, port: number): Destination | undefined {
    return this.#byServer.get(`${server} ${port}`);
  }

  /** The recorded servers that have a mapping. */
  get ends(): ServerEnd[] {
    return this.#jobs.map(({ source, port }) => ({ address: parseAddress(source ?? ''), port }));
  }
}
