/** What `npm run test:matrix` found, as tables of Markdown. */

/** One suite's run with a pair of servers. */
export interface SuiteRun {
  pair: string;
  suite: string;
  passed: number;
  failed: number;
  skipped: number;
}

/** One client's recording, replayed by one transport. Only what went through whole is reported. */
export interface ReplayRun {
  pair: string;
  /** Versions of the servers, and of the client. */
  online: string;
  target: string;
  version: string;
  client: string;
  transport: string;
  sessions: number;
  commands: number;
  /** Commands that the target answers otherwise, as is known of these two brands. */
  differing: number;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}

const unique = <Value>(values: readonly Value[]) => [...new Set(values)];

/** A row for each suite, a column for each pair. */
export function suiteTable(runs: readonly SuiteRun[]): string {
  const pairs = unique(runs.map(({ pair }) => pair));
  const cell = (suite: string, pair: string) => {
    const run = runs.find((each) => each.suite === suite && each.pair === pair);
    if (run === undefined) return '–';
    const { passed, failed, skipped } = run;
    return [`${passed} passed`, failed && `**${failed} failed**`, skipped && `${skipped} skipped`]
      .filter(Boolean)
      .join(', ');
  };
  const rows = unique(runs.map(({ suite }) => suite)).map((suite) => [
    suite,
    ...pairs.map((pair) => cell(suite, pair)),
  ]);
  return table(['suite', ...pairs], rows);
}

/** A row for each client, a column for each pair; a cell has the transports, and the commands that went through. */
export function clientTable(runs: readonly ReplayRun[]): string {
  const pairs = unique(runs.map(({ pair }) => pair));
  const versions = (pair: string) => {
    const { online, target } = runs.find((each) => each.pair === pair)!;
    return online === target ? `${pair} (${online})` : `${pair} (${online}, ${target})`;
  };
  const cell = (client: string, pair: string) => {
    const those = runs.filter((each) => each.client === client && each.pair === pair);
    if (those.length === 0) return '–';
    const [{ commands, differing }] = those;
    const answers = differing === 0 ? `${commands} alike` : `${commands}, ${differing} known to differ`;
    return `${those.map(({ transport }) => transport).join(', ')}: ${answers}`;
  };
  const rows = unique(runs.map(({ client }) => client)).map((client) => {
    const { version } = runs.find((each) => each.client === client)!;
    return [`${client} ${version}`, ...pairs.map((pair) => cell(client, pair))];
  });
  return table(['client', ...pairs.map(versions)], rows);
}
