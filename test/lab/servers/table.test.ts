import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientTable, type ReplayRun, suiteTable } from '../../../scripts/lab/servers/table.ts';

test('suites by pairs, what failed and what was skipped among them', () => {
  const runs = [
    { pair: 'mysql:mysql', suite: 'pool', passed: 4, failed: 1, skipped: 0 },
    { pair: 'mysql:mysql', suite: 'mirror', passed: 12, failed: 0, skipped: 2 },
    { pair: 'mariadb:mysql', suite: 'pool', passed: 5, failed: 0, skipped: 0 },
  ];
  assert.equal(
    suiteTable(runs),
    `| suite | mysql:mysql | mariadb:mysql |
| --- | --- | --- |
| pool | 4 passed, **1 failed** | 5 passed |
| mirror | 12 passed, 2 skipped | – |
`,
  );
});

test('clients by pairs, with versions, transports, and what is known to differ', () => {
  const base = { online: '9.7.4', target: '9.7.4', pair: 'mysql:mysql', sessions: 1, differing: 0 };
  const runs: ReplayRun[] = [
    { ...base, client: 'mysql', version: '9.7.4', transport: 'local', commands: 12 },
    { ...base, client: 'mysql', version: '9.7.4', transport: 'socket', commands: 12 },
    { ...base, client: 'PyMySQL', version: '1.0.2', transport: 'socket', commands: 8 },
    {
      ...{ client: 'PyMySQL', version: '1.0.2', transport: 'socket', commands: 8, sessions: 1, differing: 2 },
      ...{ pair: 'mariadb:mysql', online: '10.11.19', target: '9.7.4' },
    },
  ];
  assert.equal(
    clientTable(runs),
    `| client | mysql:mysql (9.7.4) | mariadb:mysql (10.11.19, 9.7.4) |
| --- | --- | --- |
| mysql 9.7.4 | local, socket: 12 alike | – |
| PyMySQL 1.0.2 | socket: 8 alike | socket: 8, 2 known to differ |
`,
  );
});
