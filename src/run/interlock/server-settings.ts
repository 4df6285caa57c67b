/** How a target is set up, compared with the recorded servers: what makes answers differ though the data is the same. Pure. */

import { ok, type Step, warning } from '../../report/step.ts';
import type { Remedy } from '../../transport/diagnosis.ts';
import { statement } from '../../transport/login-remedies.ts';

/** What is known of a server's settings. */
export interface ServerSettings {
  /** As @@version, or a greeting, has it. */
  version: string;
  /** undefined: not known. */
  sqlMode?: string | undefined;
}

/** The steps for `target`, where the host is called `host` in remedies. Empty where nothing is known of a recorded server. */
export function compareSettings(
  target: ServerSettings,
  recorded: readonly ServerSettings[],
  host: string,
): Step[] {
  if (recorded.length === 0) return [];
  const version = compareVersions(target, recorded);
  return [version, ...compareModes(target, recorded, { host, isAlike: version.status === 'ok' })];
}

function compareVersions(target: ServerSettings, recorded: readonly ServerSettings[]): Step {
  const name = 'version';
  const here = releaseOf(target.version);
  const same = recorded.find(({ version }) => releaseOf(version).text === here.text);
  if (same !== undefined)
    return ok(name, `the target is ${shown(target)}, the recorded server was ${shown(same)}`);
  const [there] = recorded;
  const isOtherBrand = releaseOf(there.version).brand !== here.brand;
  const what = isOtherBrand
    ? 'some statements, errors and answers exist in one of them only'
    : 'answers may differ where the releases do';
  return warning(name, `the target is ${shown(target)}, the recorded server was ${shown(there)}: ${what}`);
}

/** `isAlike`: of one release, whose defaults are the same. */
function compareModes(
  target: ServerSettings,
  recorded: readonly ServerSettings[],
  { host, isAlike }: { host: string; isAlike: boolean },
): Step[] {
  const name = 'sql_mode';
  if (target.sqlMode === undefined) return [];
  const here = modesOf(target.sqlMode);
  const known = recorded.flatMap(({ sqlMode }) => (sqlMode === undefined ? [] : [sqlMode]));
  if (known.length === 0) {
    if (isAlike) return [];
    const says = `the target's is ${shownModes(here)}; the recorded server's is not known`;
    return [warning(name, `${says} (to have it recorded: mytape record --snapshot-from URL)`)];
  }
  const differences = known.map((sqlMode) => ({ sqlMode, ...difference(modesOf(sqlMode), here) }));
  if (differences.some(({ lacks, beside }) => lacks.length + beside.length === 0))
    return [ok(name, `${shownModes(here)}, as recorded`)];
  const [{ sqlMode, lacks, beside }] = differences;
  const says = [
    ...(lacks.length > 0 ? [`lacks ${lacks.join(', ')}`] : []),
    ...(beside.length > 0 ? [`also has ${beside.join(', ')}`] : []),
  ].join(', and ');
  const remedy: Remedy = {
    host,
    why: "set the recorded server's, for new connections",
    lines: [statement(`SET GLOBAL sql_mode = '${modesOf(sqlMode).join(',')}'`)],
  };
  return [warning(name, `the target's ${says}: statements may fail there, or give other results`, [remedy])];
}

/** Brand and release: `MySQL 9.7`, `MariaDB 10.11`. */
function releaseOf(version: string): { brand: string; text: string } {
  const brand = /mariadb/i.test(version) ? 'MariaDB' : 'MySQL';
  const [release = ''] = /^\d+\.\d+/.exec(plainVersion(version)) ?? [];
  return { brand, text: `${brand} ${release}` };
}

function shown({ version }: ServerSettings): string {
  const [number = ''] = /^\d+(?:\.\d+)*/.exec(plainVersion(version)) ?? [];
  return `${releaseOf(version).brand} ${number}`;
}

/** MariaDB's greetings begin with what old replicas want to read. */
export function plainVersion(version: string): string {
  return version.replace(/^5\.5\.5-(?=\d)/, '');
}

/** Names of modes are words: what else stands there is not shown, and in no line to type. */
function modesOf(sqlMode: string): string[] {
  return sqlMode.split(',').filter((mode) => /^\w{1,64}$/.test(mode));
}

function shownModes(modes: readonly string[]): string {
  return modes.length === 0 ? 'empty' : modes.join(',');
}

function difference(recorded: readonly string[], here: readonly string[]) {
  return {
    lacks: recorded.filter((mode) => !here.includes(mode)),
    beside: here.filter((mode) => !recorded.includes(mode)),
  };
}
