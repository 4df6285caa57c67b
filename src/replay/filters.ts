import { MytapeError } from '../errors.ts';
import type { SessionMeta } from '../flow/events.ts';
import { holds, type Prefix, parsePrefix } from '../wire/prefixes.ts';

/** Which recorded sessions a run is to have, as the command line says it. Plain data: it crosses to worker threads. */
export interface FilterChoices {
  /** Sessions by their ids (`mytape ls`). */
  sessions?: readonly number[] | undefined;
  /** The part of all sessions to have, from 0 to 1. */
  sample?: number | undefined;
  includeUser?: readonly string[] | undefined;
  excludeUser?: readonly string[] | undefined;
  includeSchema?: readonly string[] | undefined;
  excludeSchema?: readonly string[] | undefined;
  /** Addresses, or ranges of them. */
  includeClient?: readonly string[] | undefined;
  excludeClient?: readonly string[] | undefined;
}

/** A list that lets in, and one that keeps out. */
class Lists {
  readonly #include: ReadonlySet<string> | undefined;
  readonly #exclude: ReadonlySet<string>;

  constructor(include: readonly string[] | undefined, exclude: readonly string[] | undefined) {
    this.#include = include === undefined ? undefined : new Set(include);
    this.#exclude = new Set(exclude);
  }

  /** What is not known is in no list. */
  has(name: string | undefined): boolean {
    if (name === undefined) return this.#include === undefined;
    return (this.#include?.has(name) ?? true) && !this.#exclude.has(name);
  }
}

/** Picks recorded sessions, the same ones in every run and thread. */
export class Filters {
  readonly #sessions: ReadonlySet<number> | undefined;
  readonly #sample: number;
  readonly #users: Lists;
  readonly #schemas: Lists;
  readonly #includeClients: readonly Prefix[] | undefined;
  readonly #excludeClients: readonly Prefix[];

  /** Throws `usage` where a client is neither an address nor a range. */
  constructor(choices: FilterChoices) {
    this.#sessions = choices.sessions === undefined ? undefined : new Set(choices.sessions);
    this.#sample = choices.sample ?? 1;
    this.#users = new Lists(choices.includeUser, choices.excludeUser);
    this.#schemas = new Lists(choices.includeSchema, choices.excludeSchema);
    this.#includeClients = choices.includeClient?.map(clientsOf);
    this.#excludeClients = (choices.excludeClient ?? []).map(clientsOf);
  }

  /** Whether `session` is to run; user and schema are those of its login, as recorded. */
  has({ id, client, login }: SessionMeta): boolean {
    if (this.#sessions?.has(id) === false || !isSampled(id, this.#sample)) return false;
    const isIncluded = this.#includeClients?.some((prefix) => holds(prefix, client)) ?? true;
    if (!isIncluded || this.#excludeClients.some((prefix) => holds(prefix, client))) return false;
    return this.#users.has(login?.user) && this.#schemas.has(login?.schema);
  }
}

function clientsOf(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix !== undefined) return prefix;
  throw new MytapeError(
    'usage',
    `${text} is neither an address nor a range of them, as in 10.1.0.7 or 10.1.0.0/16`,
  );
}

/** By a hash of its id: spread evenly, whatever the order of sessions means, and with a larger part the same ones and more. */
function isSampled(id: number, part: number): boolean {
  let hash = Math.imul(id + 1, 0x9e37_79b1);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85eb_ca6b);
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32 < part;
}
