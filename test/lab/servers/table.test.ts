import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clientTable,
  type ReplayRun,
  type SuiteRun,
  suiteTable,
} from '../../../scripts/lab/servers/table.ts';

const OWN = { pair: 'mysql:mysql', online: '9.7.4', target: '9.7.4', failed: [], skipped: [] };
const OTHERS = { ...OWN, pair: 'mariadb:mysql', online: '10.11.19' };
const PAIRS = ['mysql:mysql', 'mariadb:mysql', 'mysql:mariadb'];

test('suites by pairs: what failed, what was skipped and why, and what was not run yet', () => {
  const suites: SuiteRun[] = [
    { ...OWN, suite: 'pool', passed: 4, failed: ['a role goes'] },
    { ...OWN, suite: 'mirror', passed: 12, skipped: ['by IPv6 (there is none)', 'at once (needs nft)'] },
    { ...OTHERS, suite: 'pool', passed: 5 },
  ];
  assert.equal(
    suiteTable({ suites, replays: [] }, ['mirror', 'pool', 'logins'], PAIRS),
    `| suite | mysql:mysql (9.7.4) | mariadb:mysql (10.11.19, 9.7.4) | mysql:mariadb |
| --- | --- | --- | --- |
| mirror | 12 passed, 2 skipped | not run yet | not run yet |
| pool | 4 passed, **1 failed** | 5 passed | not run yet |
| logins | not run yet | not run yet | not run yet |

- mysql:mysql, pool, failed: a role goes
- mysql:mysql, mirror, skipped: by IPv6 (there is none)
- mysql:mysql, mirror, skipped: at once (needs nft)
`,
  );
});

test('clients by pairs: versions, transports, what is known to differ, and what failed', () => {
  const base = { pair: 'mysql:mysql', sessions: 1, differing: 0 };
  const python = { ...base, client: 'PyMySQL', version: '1.0.2', transport: 'socket', commands: 8 };
  const replays: ReplayRun[] = [
    { ...base, client: 'mysql', version: '9.7.4', transport: 'local', commands: 12 },
    { ...base, client: 'mysql', version: '9.7.4', transport: 'socket', commands: 12 },
    python,
    { ...python, pair: 'mariadb:mysql', differing: 2 },
  ];
  const suites: SuiteRun[] = [
    {
      ...{ ...OWN, suite: 'clients', passed: 5 },
      failed: ['mysql:mysql, PyMySQL: answered alike by local', 'mysql:mysql, C, zstd: recorded'],
      skipped: ['mysql:mysql, PHP: recorded (needs PHP)'],
    },
    { ...OTHERS, suite: 'clients', passed: 2 },
  ];
  assert.equal(
    clientTable({ suites, replays }, PAIRS),
    `| client | mysql:mysql (9.7.4) | mariadb:mysql (10.11.19, 9.7.4) | mysql:mariadb |
| --- | --- | --- | --- |
| mysql 9.7.4 | local, socket: 12 alike | – | not run yet |
| PyMySQL 1.0.2 | socket: 8 alike; **local failed** | socket: 8, 2 known to differ | not run yet |
| C, zstd | **recording failed** | – | not run yet |
| PHP | skipped | – | not run yet |
`,
  );
});
