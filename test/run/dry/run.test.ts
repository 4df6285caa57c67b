import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { DryReport } from '../../../src/run/dry/report.ts';
import { interleave, recordArchive, statementFrames } from '../../archive/support.ts';
import { digestOf } from '../../sql/support/digests.ts';
import { ROOT } from '../../support/root.ts';
import { mytape } from '../../verbs/mytape.ts';

/** Where the fixtures' server listened. */
const PORT = 33_917;
const ELSEWHERE = `${PORT}-10.9.9.9:3306`;

describe('mytape replay --dry-run', () => {
  let folder: string;
  let users: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    users = join(folder, 'users');
    writeFileSync(users, 'app: secret\n', { mode: 0o600 });
    for (const name of ['connector', 'mariadb-logins', 'php', 'sysbench-text', 'sysbench-prepared']) {
      const capture = join(ROOT, 'fixtures', `${name}.pcap`);
      const { status, stderr } = mytape('import', capture, '-o', join(folder, name), '-p', String(PORT));
      assert.equal(status, 0, stderr);
    }
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function dry(name: string, ...args: string[]): ReturnType<typeof mytape> {
    const out = join(folder, 'run');
    const result = mytape('replay', join(folder, name), '--dry-run', '--out', out, ...args);
    assert.ok(!existsSync(out), 'a folder for a run that never was');
    return result;
  }

  function report(name: string, ...args: string[]): DryReport {
    const onto = args.includes('-x') ? [] : ['-x', ELSEWHERE];
    const { status, stdout, stderr } = dry(name, ...onto, '--json', ...args);
    assert.equal(status, 0, stderr);
    const found = JSON.parse(stdout) as DryReport;
    const { captured, copies, commands, unsent } = found;
    const sum = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0);
    assert.equal(commands.scheduled + sum(commands.skipped), captured.commands * copies, 'captured');
    assert.equal(sum(commands.kinds) + sum(commands.lost), commands.scheduled, 'scheduled');
    const named = unsent.reduce((count, { commands: of }) => count + of, 0);
    assert.equal(
      named,
      sum(commands.skipped) + sum(commands.lost),
      'each that is not sent is told by its statement',
    );
    return found;
  }

  const SOCKET = ['--transport', 'socket'];

  test('what a session would send, by kind; nothing is connected to', async () => {
    let connections = 0;
    const server = createServer(() => connections++).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const onto = ['-x', `${PORT}-127.0.0.1:${port}`, ...SOCKET, '--users', users];
    const { status, stdout, stderr } = dry('sysbench-text', ...onto, '--json');
    assert.equal(status, 0, stderr);
    const { commands, sessions, schedule, users: whom } = JSON.parse(stdout) as DryReport;
    assert.deepEqual(commands.kinds, {
      SELECT: 28,
      UPDATE: 4,
      BEGIN: 2,
      DELETE: 2,
      INSERT: 2,
      COMMIT: 2,
      COM_QUIT: 1,
    });
    assert.deepEqual([sessions.scheduled, sessions.skipped, schedule.most_connections], [1, {}, 1]);
    assert.deepEqual(whom, { app: { sessions: 1, password: true } });
    await new Promise((resolve) => server.close(resolve));
    assert.equal(connections, 0);
  });

  test('prepared statements are known by their texts, for each copy', () => {
    const { commands, copies, schedule } = report(
      'sysbench-prepared',
      ...SOCKET,
      '--users',
      users,
      '-n',
      '3',
    );
    assert.equal(copies, 3);
    assert.ok(
      commands.kinds['SELECT by COM_STMT_EXECUTE'] > 0 &&
        commands.kinds['SELECT by COM_STMT_EXECUTE'] % 3 === 0,
    );
    assert.deepEqual([commands.lost, commands.skipped, schedule.most_connections], [{}, {}, 3]);
  });

  test('users whose password is not known, and their statements', () => {
    const { users: whom, sessions, unsent } = report('sysbench-text', ...SOCKET);
    assert.deepEqual(whom, { app: { sessions: 1, password: false } });
    assert.deepEqual([sessions.scheduled, sessions.skipped], [0, { 'unknown-user': 1 }]);
    const begin = unsent.find(({ digest }) => digest === 'BEGIN');
    assert.deepEqual(begin, {
      cause: 'unknown-user',
      digest: 'BEGIN',
      hash: digestOf(Buffer.from('BEGIN'), 0, 5),
      commands: 2,
      session: 0,
    });
  });

  test('what filters keep back is named, statement by statement', () => {
    const { commands, unsent } = report('connector', ...SOCKET, '--users', users, '--read-only');
    assert.deepEqual(Object.keys(commands.skipped), ['read-only']);
    assert.ok(unsent.every(({ cause }) => cause === 'read-only'));
    assert.ok(unsent.some(({ digest }) => digest.startsWith('CREATE TABLE BULK')));
    assert.ok(unsent.every((statement) => !('text' in statement)));
    assert.ok(!('CREATE' in commands.kinds) && commands.kinds.SELECT > 0);
  });

  test('a KILL names its connection where a run would find it, and is told as skipped where it would not', () => {
    const php = ['php', ...SOCKET, '--users', users] as const;
    assert.deepEqual(report(...php).commands.skipped, {});
    assert.equal(report(...php, '--sessions', '0').commands.skipped.kill, 1);
  });

  test('statements that would be sent otherwise than recorded', () => {
    assert.deepEqual(report('connector', ...SOCKET, '--users', users).changes, []);
    const rules = join(folder, 'rules');
    writeFileSync(rules, 's/from bulk/from other_bulk/i\n');
    const { changes } = report('connector', ...SOCKET, '--users', users, '--rewrite', rules);
    assert.ok(changes.length > 0 && changes.length <= 5);
    for (const { recorded, sent } of changes)
      assert.equal(recorded.replace('FROM BULK', 'FROM `other_bulk`'), sent);
  });

  describe('values of statements: passwords, what customers wrote', () => {
    const SECRETS = ['s3cret', 'Alice', '4111'];
    const sessions = [
      ["SET PASSWORD = 's3cret'", "ALTER USER app IDENTIFIED BY 's3cret'", 'SELECT 1'],
      ["INSERT INTO customers VALUES ('Alice', 4111)", '/* Alice */ SELECT "Alice" FROM t WHERE a = \'Alice'],
    ];
    const tape = () => join(folder, 'secrets');
    before(() => recordArchive(tape(), interleave(sessions.map(statementFrames))));

    /** All that a dry run prints, for people and as JSON: some statements are left out, and one would be sent with another value. */
    function printed(...args: string[]): string {
      const rules = join(folder, 'values');
      writeFileSync(rules, "s/'Alice', 4111/'Bob', 4112/\n");
      const choice = ['--exclude-sql', '^(set|alter) ', '--rewrite', rules, ...args];
      const onto = ['-x', '3307-10.9.9.9:3306', ...SOCKET, '--users', users];
      const [text, json] = [[], ['--json']].map((form) => dry('secrets', ...onto, ...choice, ...form));
      assert.deepEqual([text.status, json.status], [0, 0], text.stderr + json.stderr);
      return text.stdout + text.stderr + json.stdout + json.stderr;
    }

    test('are not printed, but their digests', () => {
      const text = printed();
      for (const secret of SECRETS) assert.ok(!text.includes(secret), secret);
      assert.match(text, /SET PASSWORD = \?/);
      assert.match(text, /INSERT INTO `customers` VALUES \(\.\.\.\)/);
      assert.match(text, /→ the same digest with other values \(--with-text shows them\)/);
    });

    test('are printed where --with-text asks for them; a run has nothing to print', () => {
      const text = printed('--with-text');
      assert.match(
        text,
        /filtered: [0-9a-f]{12} {2}SET PASSWORD = \?, as in session 0: SET PASSWORD = 's3cret'/,
      );
      assert.match(text, / {2}INSERT .*'Alice', 4111\)\n {4}→ INSERT .*'Bob', 4112\)/);
      const run = mytape('replay', tape(), '-x', '3307-10.9.9.9:3306', ...SOCKET, '--with-text');
      assert.match(run.stderr, /--with-text needs --dry-run/);
      assert.equal(run.status, 2);
    });
  });

  test('what an archive holds is said without a target', () => {
    const { status, stdout, stderr } = dry('connector', '--json', '--users', users);
    assert.equal(status, 0, stderr);
    const alone = JSON.parse(stdout) as DryReport;
    const onto = report('connector', ...SOCKET, '--users', users);
    const same = ({ captured, sessions, commands, sent, unsent, users }: DryReport) => ({
      ...{ captured, sessions, commands, sent, unsent, users },
    });
    assert.deepEqual(same(alone), same(onto));
    assert.deepEqual([alone.clients, alone.targets, alone.routes], [{ recorded: 1 }, [], []]);
    assert.deepEqual(alone.interlock, []);
    const text = dry('connector', '--users', users).stdout;
    assert.match(text, /^Without -x: what the archive holds, and nothing about a target/m);
    assert.match(text, /^Clients +1 recorded$/m);
    // A run needs to know where it goes.
    const run = mytape('replay', join(folder, 'connector'), ...SOCKET);
    assert.match(run.stderr, /required option '-x.*say which recorded server goes onto which target/);
    assert.equal(run.status, 2);
  });

  test('logins that production had refused are refused', () => {
    const { sessions, commands } = report('mariadb-logins', ...SOCKET, '--as', 'app', '--users', users);
    assert.deepEqual([sessions.scheduled, sessions.refused_as_recorded], [5, 3]);
    assert.deepEqual(commands.lost, {});
  });

  test('whose addresses would be spoken from, and the routes for them', () => {
    // There is a route to it on every host.
    const near = ['-x', `${PORT}-127.0.0.9:3306`];
    const range = [...near, '--local', '--clients', '10.99.0.0/24', '--users', users, '-n', '4'];
    const { clients, routes } = report('connector', ...range);
    assert.equal(clients.recorded, 1);
    assert.equal(clients.addresses?.length, 4);
    for (const address of clients.addresses ?? []) assert.match(address, /^10\.99\.0\.\d+$/);
    assert.match(routes.join('\n'), /^ip route add 10\.99\.0\.0\/24 via \S+$/);
    const own = report('connector', ...near, '--local', '--users', users);
    assert.deepEqual(own.clients.addresses, ['127.0.0.1']);
    assert.equal(report('connector', ...SOCKET, '--users', users).clients.addresses, 'this host');
  });

  test('when it would end, by speed', () => {
    const lasts = (...args: string[]) => report('connector', ...SOCKET, '--users', users, ...args).schedule;
    const once = lasts().lasts_s;
    assert.ok(once > 0.01 && once < 0.2, String(once));
    assert.ok(Math.abs(lasts('--speed', '0.1').lasts_s - 10 * once) < 0.01);
    assert.deepEqual([lasts('--speed', 'max').speed, lasts('--speed', 'max').lasts_s], ['max', 0]);
    assert.ok(lasts('--spread', '5s').lasts_s >= 5);
  });

  test('for people: the same, in lines', () => {
    const { stdout, status } = dry('connector', '-x', ELSEWHERE, ...SOCKET, '--users', users, '--read-only');
    assert.equal(status, 0);
    for (const line of [
      /^A dry run: connected to nothing, sent nothing\.$/m,
      /^captured +3 +84$/m,
      /^ {2}skipped: read-only +0 +56$/m,
      /^ +37 {2}read-only: COM_STMT_BULK_EXECUTE$/m,
      /^ {2}app: 3 sessions$/m,
      /^Clients +1 recorded, from this host$/m,
      /^Connections +up to 1 at once$/m,
    ])
      assert.match(stdout, line);
  });

  test('what a run would ask the target first, and what it would be refused for', () => {
    const [asks, unidentified, ...more] = report('connector', ...SOCKET).interlock;
    assert.match(asks, /^a run would first ask \S+, as \S.*: which server is it\? .* is it a replica itself/);
    assert.match(
      unidentified,
      /would be refused: .*nothing shows which server .* is, .*--allow-unidentified$/,
    );
    assert.deepEqual(more, []);
    assert.equal(report('connector', ...SOCKET, '--allow-unidentified').interlock.length, 1);
    assert.match(
      report('connector', ...SOCKET, '--allow-live-target').interlock.join(),
      /would ask \S+ nothing/,
    );
  });

  test('the recorded server is refused; what has no statements is not for it', () => {
    const onto = ['-x', `${PORT}-127.0.0.1:${PORT}`, ...SOCKET];
    const refused = dry('connector', ...onto);
    assert.deepEqual([refused.status, refused.stdout], [3, '']);
    assert.match(refused.stderr, /is the server that .*connector was recorded from/);
    assert.equal(dry('connector', ...onto, '--allow-live-target').status, 0);
    const raw = dry('connector', '-x', ELSEWHERE, ...SOCKET, '--protocol', 'raw');
    assert.match(raw.stderr, /--dry-run reads statements: leave out --protocol raw/);
    assert.equal(raw.status, 2);
  });
});
