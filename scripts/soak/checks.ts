import { type Comparison, lostOf } from '../lab/compare.ts';
import type { ProcessRow } from '../lab/server.ts';
import type { ReplaySummary } from '../lab/tape.ts';
import { type Growth, growthOf, type Sample } from './memory-watch.ts';

/** What a soak saw. */
export interface Soaked {
  summary: ReplaySummary;
  comparison: readonly Comparison[];
  /** Connections on the target, when all was over. */
  left: readonly ProcessRow[];
  /** By process. */
  memory: Readonly<Record<string, readonly Sample[]>>;
}

export interface Check {
  what: string;
  /** undefined: cannot be said. */
  holds: boolean | undefined;
  detail: string;
}

/** What must hold after a soak, each with what was seen of it. */
export function checksOf({ summary, comparison, left, memory }: Soaked): Check[] {
  const { captured, commands, sessions } = summary;
  const unequal = comparison.filter((row) => !row.equal);
  const lost = [...(captured.dropped > 0 ? [`${captured.dropped} packets dropped`] : []), ...lostOf(summary)];
  return [
    {
      what: `every command of the clients was made ${summary.copies} times on the target`,
      holds: unequal.length === 0 && sessions.completed > 0,
      detail: (unequal.length === 0 ? comparison : unequal)
        .map(({ counter, target, expected }) => `${counter} ${target} of ${expected}`)
        .join(', '),
    },
    {
      what: 'nothing was lost, shed or skipped',
      holds: lost.length === 0,
      detail:
        lost.length === 0
          ? `${commands.answered} commands of ${sessions.completed} sessions answered`
          : lost.join(', '),
    },
    {
      what: 'no connection is left on the target',
      holds: left.length === 0,
      detail:
        left.length === 0
          ? 'none'
          : left.map(({ Id, Host, Command }) => `${Id} of ${Host}: ${Command}`).join(', '),
    },
    ...Object.entries(memory).map(([name, samples]) => memoryCheck(name, growthOf(samples), samples)),
  ];
}

function memoryCheck(name: string, { flat, octetsAMinute, ms }: Growth, samples: readonly Sample[]): Check {
  const mega = (octets: number) => (octets / 1e6).toFixed(1);
  const last = `${mega(samples.at(-1)?.octets ?? 0)} MB at last`;
  const minutes = (ms / 60_000).toFixed(1);
  return {
    what: `the memory of ${name} stays flat (1 MiB a minute at most, after the first two minutes)`,
    holds: flat,
    detail:
      flat === undefined
        ? `${last}; to judge it takes four minutes at least`
        : `${last}; ${(octetsAMinute / 1e6).toFixed(2)} MB a minute over ${minutes} minutes`,
  };
}
