/**
 * What two brands answer otherwise, by client: commands whose answers differ between a recorded server of one kind and a target of
 * another. Counted, and not allowed for: an entry that is no longer true fails the test.
 */
import type { Brand } from '../../../scripts/lab/servers/brands.ts';

export interface Differing {
  error: number;
  rows: number;
  data: number;
  /** Executions, and the close, of statements that the target does not prepare: they are lost. */
  unprepared: number;
}

const NONE: Differing = { error: 0, rows: 0, data: 0, unprepared: 0 };

/** `SET resultset_metadata`, twice: MySQL's alone. */
const METADATA = { error: 2 };

/** Of MySQL's client: @@version_comment, and `SELECT $$`, which the brands refuse by different numbers. */
const GREETED_BY_ANOTHER_BRAND = { data: 1, error: 1 };

/** By `online:target`, then by the client's name. */
const DIFFERENCES: Readonly<Record<string, Readonly<Record<string, Partial<Differing>>>>> = {
  // @@version_comment names the package.
  'mariadb:mariadb11': { mysql: { data: 1 } },
  'mariadb:mysql': {
    mysql: GREETED_BY_ANOTHER_BRAND,
    libmysqlclient: METADATA,
    // MySQL does not prepare BEGIN (1295).
    'sysbench, prepared': { error: 1, unprepared: 11 },
  },
  'mysql:mariadb': {
    mysql: GREETED_BY_ANOTHER_BRAND,
    libmysqlclient: METADATA,
    'libmysqlclient, zstd': METADATA,
    'libmysqlclient, tls': METADATA,
  },
};

/** What these clients, one after the other, get otherwise from `target`. */
export function differencesOf(online: Brand, target: Brand, names: readonly string[]): Differing {
  const known = DIFFERENCES[`${online.name}:${target.name}`] ?? {};
  return names.reduce((sum, name) => {
    const { error, rows, data, unprepared } = { ...NONE, ...known[name] };
    return {
      error: sum.error + error,
      rows: sum.rows + rows,
      data: sum.data + data,
      unprepared: sum.unprepared + unprepared,
    };
  }, NONE);
}

/**
 * Of the mixed hour: commands, each once, whose answers have other data on a target of another brand.
 * A dump makes the procedures anew, and SHOW PROCEDURE STATUS says when.
 */
export function mixedDifferencesOf(online: Brand, target: Brand): readonly string[] {
  return online.name === target.name ? [] : ["SHOW PROCEDURE STATUS WHERE Db = 'fixed'"];
}

/** SELECT SLEEP(…) that KILL QUERY ends: MySQL answers 1, MariaDB an error (1317). */
export function killedSleepOf(online: Brand, target: Brand): Partial<Differing> {
  return { error: online.server === target.server ? 0 : 1 };
}
