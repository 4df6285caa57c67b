/** What the clients of the mixed hour have in common: accounts, their job, and a log of who reads the row that a test changes. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Beside the lab's own; all may do everything in the schemas of the mixed hour. Edward's plugin is another than theirs. */
export const MIXED_USERS = {
  alice: { password: 'alice-secret' },
  bob: { password: "bob's other secret" },
  edward: { password: 'edward-secret' },
} as const;

/** The row of fixed.item that the target has otherwise. */
export const MARKED = 77;

/** To a process of many clients. */
export interface MixedJob {
  host: string;
  /** Client n speaks from the nth of these, round and round. */
  from: readonly string[];
  /** Where files may lie. */
  folder: string;
  /** Over how long the clients' beginnings are spread. */
  spreadMs: number;
  /** Of online and target one is MySQL: nothing is said that it does not know. */
  withMysql: boolean;
}

/** From it. */
export interface MixedResult {
  sessions: number;
  /** Of them, those that were not let in. */
  refused: number;
  /** Texts of the commands whose answers hold the marked row, each as often as it ran. */
  readings: string[];
  /** Texts of those whose answers are another on every server, likewise. */
  incomparable: string[];
}

export class Readings {
  readonly texts: string[] = [];

  /** `text` is about to run and answers rows `from` to `to` of fixed.item. */
  of(text: string, from: number, to = from): string {
    if (from <= MARKED && MARKED <= to) this.texts.push(text);
    return text;
  }
}

/** For a statement, or a login, that the server is to refuse: it is one like any other. */
export async function fails(refused: Promise<unknown>): Promise<void> {
  const failed = await refused.then(
    () => false,
    () => true,
  );
  if (!failed) throw new Error('the server took what it should have refused');
}

/** Clients begin one after the other, and each goes its own way; rejects where one fails. */
export async function spread(
  spreadMs: number,
  clients: readonly ((n: number) => Promise<unknown>)[],
): Promise<void> {
  await Promise.all(
    clients.map(async (client, n) => {
      await sleep((n * spreadMs) / clients.length);
      try {
        await client(n);
      } catch (cause) {
        throw new Error(`client ${n} (${client.name}): ${(cause as Error).message}`, { cause });
      }
    }),
  );
}

/** Each of `kinds` as often as it says, mixed: no kind has a time of its own. */
export function shuffled<Client>(kinds: readonly (readonly [count: number, client: Client])[]): Client[] {
  return kinds
    .flatMap(([count, client]) =>
      Array.from({ length: count }, (_, i) => ({ place: (i + 0.5) / count, client })),
    )
    .sort((a, b) => a.place - b.place)
    .map(({ client }) => client);
}
