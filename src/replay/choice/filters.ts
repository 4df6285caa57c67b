import { MytapeError } from '../../errors.ts';
import type { SessionMeta } from '../../flow/events.ts';
import type { HandshakeResponse } from '../../mysql/handshake.ts';
import { holds, type Prefix, parsePrefix } from '../../wire/prefixes.ts';
import { type Share, WHOLE } from '../share.ts';

/** Which recorded sessions a run is to have, as the command line says it. Plain data: it crosses to worker threads. */
export interface FilterChoices {
  /** Sessions by their ids (`mytape ls`). */
  sessions?: readonly number[] | undefined;
  /** The part of all sessions to have, from 0 to 1. */
  sample?: number | undefined;
  /** This host's share of all sessions, where several hosts replay one recording. */
  share?: Pick<Share, 'index' | 'of'> | undefined;
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

/** What of a session is looked at. */
export interface FilteredSession extends Pick<SessionMeta, 'id' | 'client'> {
  login?: Pick<HandshakeResponse, 'user' | 'schema'> | undefined;
}

/** Picks recorded sessions, the same ones in every run and thread. */
export class Filters {
  readonly #isPicked: (id: number) => boolean;
  readonly #users: Lists;
  readonly #schemas: Lists;
  readonly #includeClients: readonly Prefix[] | undefined;
  readonly #excludeClients: readonly Prefix[];

  /** Throws `usage` where a client is neither an address nor a range. */
  constructor(choices: FilterChoices) {
    this.#isPicked = pickerOf(choices);
    this.#users = new Lists(choices.includeUser, choices.excludeUser);
    this.#schemas = new Lists(choices.includeSchema, choices.excludeSchema);
    this.#includeClients = choices.includeClient?.map(clientsOf);
    this.#excludeClients = (choices.excludeClient ?? []).map(clientsOf);
  }

  /** Whether `session` is to run; user and schema are those of its login, as recorded. */
  has({ id, client, login }: FilteredSession): boolean {
    if (!this.#isPicked(id)) return false;
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

/** Which sessions are picked by their ids, as `mytape ls` shows them: the same ones in every run, thread and host. */
export function pickerOf({
  sessions,
  sample = 1,
  share = WHOLE,
}: Pick<FilterChoices, 'sessions' | 'sample' | 'share'>): (id: number) => boolean {
  const named = sessions === undefined ? undefined : new Set(sessions);
  return (id) =>
    named?.has(id) !== false &&
    // With a larger part the same ones and more.
    hashOf(id, SAMPLE_SEED) < sample &&
    Math.floor(hashOf(id, SHARE_SEED) * share.of) === share.index;
}

/** Two seeds, so that each share has as large a part of a sample as of all sessions. */
const SAMPLE_SEED = 0x9e37_79b1;
const SHARE_SEED = 0xc2b2_ae35;

/** From 0 to below 1, spread evenly, whatever the order of sessions means. */
function hashOf(id: number, seed: number): number {
  let hash = Math.imul(id + 1, seed);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85eb_ca6b);
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32;
}
