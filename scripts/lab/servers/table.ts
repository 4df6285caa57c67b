/** What `npm run test:matrix` found, as tables of Markdown. What was not run yet is a cell that says so. */

/** One suite's run with a pair of servers. */
export interface SuiteRun {
  pair: string;
  suite: string;
  /** Versions of the servers. */
  online: string;
  target: string;
  passed: number;
  /** Titles. */
  failed: readonly string[];
  /** Titles, each with its reason in parentheses. */
  skipped: readonly string[];
}

/** One client's recording, replayed by one transport. Only what went through whole is reported. */
export interface ReplayRun {
  pair: string;
  /** The client's. */
  version: string;
  client: string;
  transport: string;
  sessions: number;
  commands: number;
  /** Commands that the target answers otherwise, as is known of these two brands. */
  differing: number;
}

export interface Tested {
  suites: SuiteRun[];
  replays: ReplayRun[];
}

/** The suite that the replays are of. */
export const CLIENTS = 'clients';

const NOT_RUN = 'not run yet';

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}

const unique = <Value>(values: readonly Value[]) => [...new Set(values)];

/** `mysql:mysql (9.7.4)`; of no version where it was not run yet. */
function headOf(pair: string, suites: readonly SuiteRun[]): string {
  const versions = unique(
    suites
      .filter((run) => run.pair === pair)
      .map(({ online, target }) => (online === target ? online : `${online}, ${target}`)),
  );
  return versions.length === 0 ? pair : `${pair} (${versions.join('; ')})`;
}

/** A row for each suite, a column for each pair; below it what failed, and what was skipped, by name. */
export function suiteTable({ suites }: Tested, names: readonly string[], pairs: readonly string[]): string {
  const cell = (suite: string, pair: string) => {
    const run = suites.find((each) => each.suite === suite && each.pair === pair);
    if (run === undefined) return NOT_RUN;
    const { passed, failed, skipped } = run;
    return [
      `${passed} passed`,
      ...(failed.length > 0 ? [`**${failed.length} failed**`] : []),
      ...(skipped.length > 0 ? [`${skipped.length} skipped`] : []),
    ].join(', ');
  };
  const head = ['suite', ...pairs.map((pair) => headOf(pair, suites))];
  const rows = names.map((suite) => [suite, ...pairs.map((pair) => cell(suite, pair))]);
  const notes = pairs.flatMap((pair) =>
    suites
      .filter((run) => run.pair === pair)
      .flatMap(({ suite, failed, skipped }) => [
        ...failed.map((title) => `- ${pair}, ${suite}, failed: ${title}\n`),
        ...skipped.map((title) => `- ${pair}, ${suite}, skipped: ${title}\n`),
      ]),
  );
  return table(head, rows) + (notes.length > 0 ? `\n${notes.join('')}` : '');
}

interface Outcome {
  client: string;
  pair: string;
  /** Undefined: it was not even recorded. */
  transport: string | undefined;
}

/** Of a test's title: `mysql:mysql, PyMySQL: answered alike by socket`. */
function outcomeOf(title: string): Outcome | undefined {
  const [, pair, client, transport] =
    /^([\w:]+), (.+): (?:recorded|answered alike by (\w+))/.exec(title) ?? ([] as undefined[]);
  return pair === undefined || client === undefined ? undefined : { client, pair, transport };
}

function outcomesOf(titles: readonly string[]): Outcome[] {
  return titles.map(outcomeOf).filter((each) => each !== undefined);
}

/** A row for each client, a column for each pair; a cell has the transports, and the commands that went through. */
export function clientTable({ suites, replays }: Tested, pairs: readonly string[]): string {
  const runs = suites.filter(({ suite }) => suite === CLIENTS);
  const failures = outcomesOf(runs.flatMap(({ failed }) => failed));
  const skips = outcomesOf(runs.flatMap(({ skipped }) => skipped));
  const cell = (client: string, pair: string) => {
    if (!runs.some((run) => run.pair === pair)) return NOT_RUN;
    const isThis = (each: { client: string; pair: string }) => each.client === client && each.pair === pair;
    const those = replays.filter(isThis);
    const failed = failures.filter(isThis);
    if (those.length === 0 && failed.length === 0) return skips.some(isThis) ? 'skipped' : '–';
    const [first] = those;
    const answers = (run: ReplayRun) =>
      run.differing === 0 ? `${run.commands} alike` : `${run.commands}, ${run.differing} known to differ`;
    return [
      ...(first ? [`${those.map(({ transport }) => transport).join(', ')}: ${answers(first)}`] : []),
      ...failed.map(({ transport }) => `**${transport ?? 'recording'} failed**`),
    ].join('; ');
  };
  const rows = unique([...replays, ...failures, ...skips].map(({ client }) => client)).map((client) => {
    const version = replays.find((each) => each.client === client)?.version;
    const name = version === undefined ? client : `${client} ${version}`;
    return [name, ...pairs.map((pair) => cell(client, pair))];
  });
  return table(['client', ...pairs.map((pair) => headOf(pair, runs))], rows);
}
