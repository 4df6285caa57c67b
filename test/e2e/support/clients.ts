/** Clients of every kind, as they come: each does a little of everything against online. What they write is their own. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lab } from '../../../scripts/lab/lab.ts';
import { CLIENT_ADDRESSES } from '../../../scripts/lab/network.ts';
import { PORT, USERS } from '../../../scripts/lab/server.ts';
import { type BrandName, brandObstacle, programsOf } from '../../../scripts/lab/servers/brands.ts';
import { loaderIn, unpacked } from '../../../scripts/lab/servers/unpacked.ts';
import { runSysbench } from '../../../scripts/lab/workload.ts';
import { ROOT } from '../../support/root.ts';
import { commandObstacle } from './capability.ts';
import { runSteps } from './path.ts';
import type { Step } from './steps.ts';

export interface Client {
  name: string;
  version(): string;
  /** Servers that it can speak to; all where left out. */
  servers?: readonly BrandName[];
  /** Why it is not on this machine. */
  obstacle?(): string | undefined;
  run(job: ClientJob): Promise<void>;
}

export interface ClientJob {
  lab: Lab;
  /** Where programs are compiled to. */
  folder: string;
  /** Keys of sessions under TLS are appended here. */
  keyLog: string;
}

/** Servers that make a certificate of their own. */
const WITH_TLS: readonly BrandName[] = ['mysql', 'mariadb11'];

function packageVersion(name: string): string {
  return JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')).version;
}

/** The first number with a dot that a command says. */
function versionSaid(command: string, ...args: string[]): string {
  const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return /\d+\.\d[\w.-]*/.exec(stdout + stderr)?.[0] ?? 'unknown';
}

async function must(lab: Lab, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { code, stdout, stderr } = await lab.run('client', command, args, {
    env: { ...process.env, ...env },
  });
  assert.equal(code, 0, `${command}: ${stderr}${stdout}`);
}

/** Compiles what lies beside this file; made once in a folder. */
function compiled({ folder }: ClientJob, name: string, ...args: string[]): string {
  const path = join(folder, name);
  const source = join(ROOT, 'test/e2e/support', `${name.replace(/\.so$/, '')}.c`);
  execFileSync('gcc', ['-Wall', '-Wextra', '-Werror', '-O1', '-o', path, source, ...args], { stdio: 'pipe' });
  return path;
}

/** For programs over OpenSSL that have no option for it. */
function keysTo(job: ClientJob): NodeJS.ProcessEnv {
  return { LD_PRELOAD: compiled(job, 'keylog.so', '-shared', '-fPIC'), SSLKEYLOGFILE: job.keyLog };
}

const gcc = () => commandObstacle('gcc');

/** What a command-line client is told; it writes table own_NAME. */
function statements(name: string): string {
  return [
    `CREATE TABLE own_${name} (id INT PRIMARY KEY, text VARCHAR(50))`,
    `INSERT INTO own_${name} VALUES (1, 'one'), (2, REPEAT('x', 50)), (3, NULL)`,
    'SELECT id, k, c FROM sbtest1 WHERE id < 10',
    'USE sbtest2',
    'SHOW TABLES',
    'USE sbtest',
    'START TRANSACTION',
    `DELETE FROM own_${name}`,
    'ROLLBACK',
    `SELECT * FROM own_${name}`,
    // It ends the client.
    'SELECT nonsense FROM nowhere',
  ].join('; ');
}

function commandLine(
  brand: 'mysql' | 'mariadb11',
  options: (server: BrandName) => readonly string[],
): Client {
  const program = brand === 'mysql' ? 'mysql' : 'mariadb';
  return {
    name: program,
    version: () => programsOf(brand).version,
    obstacle: () => brandObstacle(brand) ?? gcc(),
    async run(job) {
      const { lab } = job;
      const login = ['-h', lab.addresses.online, `-P${PORT}`, '-uapp', `-p${USERS.app}`];
      const more = options(lab.server('online').brand.name);
      const args = ['--no-defaults', ...login, ...more, '-e', statements(brand), 'sbtest'];
      const { code, stderr } = await lab.run('client', programsOf(brand).program(program), args, {
        env: { ...process.env, ...keysTo(job) },
      });
      assert.equal(code, 1, stderr);
      assert.match(stderr, /ERROR 1146/);
    },
  };
}

const MYSQL2: readonly Step[] = [
  { query: 'SET NAMES utf8mb4' },
  { execute: 'SELECT k, c FROM sbtest1 WHERE id = ?', values: [5] },
  { execute: 'SELECT k, c FROM sbtest1 WHERE id BETWEEN ? AND ?', values: [5, 25] },
  { query: 'SELECT nonsense FROM nowhere' },
  { query: 'START TRANSACTION' },
  { query: 'UPDATE sbtest1 SET k = k + 1 WHERE id = 5' },
  { query: 'ROLLBACK' },
  { changeUser: 'sbtest' },
  { query: 'SELECT CURRENT_USER(), DATABASE()' },
];

function mysql2(
  name: string,
  more: { tls?: boolean; compress?: boolean },
  servers?: readonly BrandName[],
): Client {
  return {
    name,
    version: () => packageVersion('mysql2'),
    ...(servers === undefined ? {} : { servers }),
    run: ({ lab, keyLog }) =>
      runSteps(lab, { steps: MYSQL2, connections: 2, ...more }, 'online', [`--tls-keylog=${keyLog}`]),
  };
}

function connector(name: string, tls: 'plain' | 'tls', servers?: readonly BrandName[]): Client {
  return {
    name,
    version: () => packageVersion('mariadb'),
    ...(servers === undefined ? {} : { servers }),
    async run({ lab, keyLog }) {
      const script = fileURLToPath(new URL('clients-connector.js', import.meta.url));
      const args = [`--tls-keylog=${keyLog}`, script, lab.addresses.online, CLIENT_ADDRESSES[2], tls];
      await must(lab, process.execPath, args);
    },
  };
}

function libmysqlclient(flavour: 'plain' | 'zstd' | 'tls', servers?: readonly BrandName[]): Client {
  return {
    name: flavour === 'plain' ? 'libmysqlclient' : `libmysqlclient, ${flavour}`,
    version: () => programsOf('mysql').version,
    ...(servers === undefined ? {} : { servers }),
    obstacle: () => brandObstacle('mysql') ?? gcc(),
    async run(job) {
      const { folder } = unpacked('mysql')!;
      const { libraries, command } = loaderIn(folder);
      const include = join(folder, 'include');
      const headers = [`-I${join(include, 'mysql')}`, '-idirafter', include];
      // Its own needs are met by the unpacked libraries when it runs.
      const link = [`-L${libraries}`, '-lmysqlclient', '-Wl,--allow-shlib-undefined'];
      const program = compiled(job, 'libmysqlclient', ...headers, ...link);
      const [loader, ...options] = command;
      const { lab } = job;
      const args = [program, lab.addresses.online, String(PORT), 'app', USERS.app, 'sbtest', flavour];
      const plugins = { LIBMYSQL_PLUGIN_DIR: join(folder, 'lib/mysql/plugin') };
      await must(lab, loader, [...options, ...args], { ...keysTo(job), ...plugins });
    },
  };
}

/** A driver of a language: `command` with `program` reads host and port from its arguments. */
function driver(name: string, has: readonly string[], command: readonly string[], program: string): Client {
  return {
    name,
    version: () => versionSaid(has[0], ...has.slice(1)),
    obstacle: () =>
      spawnSync(has[0], has.slice(1)).status === 0
        ? undefined
        : `needs ${name} (npm run test:matrix installs it on Debian)`,
    run({ lab }) {
      const end = command[0] === 'php' ? ['--'] : [];
      const args = [...command.slice(1), program, ...end, lab.addresses.online, String(PORT)];
      return must(lab, command[0], args);
    },
  };
}

const perl = (name: string, dsn: string, table: string) =>
  driver(
    name,
    ['perl', `-M${name}`, '-e', `print $${name}::VERSION`],
    ['perl', '-e'],
    `use strict; use DBI;
my $db = DBI->connect("${dsn}", 'app', '${USERS.app}', { RaiseError => 1, PrintError => 0 });
$db->do('create table ${table} (id int auto_increment primary key, text varchar(100))');
my $insert = $db->prepare('insert into ${table} (text) values (?)');
$insert->execute($_) for ('from perl', undef, 'x' x 100);
my $select = $db->prepare('select id, k, c from sbtest1 where id = ?');
for my $id (5, 77) { $select->execute($id); $select->fetchall_arrayref }
$db->begin_work; $db->do('update ${table} set text = 1 where id = 1'); $db->rollback;
eval { $db->do('select nonsense from nowhere') };
$db->disconnect;`,
  );

const python = (name: string, module: string, keys: string) =>
  driver(
    name,
    ['/usr/bin/python3', '-c', `import ${module}; print(${module}.__version__)`],
    ['/usr/bin/python3', '-c'],
    `import sys, ${module}
db = ${module}.connect(host=sys.argv[1], port=int(sys.argv[2]), user="app", ${keys})
cursor = db.cursor()
cursor.execute("create table own_${module} (id int auto_increment primary key, text varchar(100))")
cursor.executemany("insert into own_${module} (text) values (%s)", [("python %d" % i,) for i in range(20)])
cursor.execute("select * from sbtest1 where id = %s", (77,))
cursor.fetchall()
db.commit()
db.select_db("sbtest2")
cursor.execute("select count(*) from sbtest1")
cursor.fetchall()
db.close()`,
  );

const PHP = `$db = new mysqli($argv[1], 'app', '${USERS.app}', 'sbtest', (int) $argv[2]);
$db->query('create table own_php (id int primary key, text longtext)');
$cursor = $db->prepare('select id, k, c from sbtest1 where id between ? and 79');
$cursor->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
$from = 70;
$cursor->bind_param('i', $from);
$cursor->execute();
$cursor->bind_result($id, $k, $c);
while ($cursor->fetch());
$cursor->close();
$long = $db->prepare('insert into own_php values (?, ?)');
$id = 1;
$text = null;
$long->bind_param('ib', $id, $text);
$long->send_long_data(1, str_repeat('long ', 5000));
$long->execute();
$db->change_user('sbtest', '${USERS.sbtest}', 'sbtest2');
$db->query('select current_user()');
$db->close();`;

function sysbench(mode: 'text' | 'prepared', rows: number): Client {
  return {
    name: `sysbench, ${mode}`,
    version: () => versionSaid('sysbench', '--version'),
    run: ({ lab }) => runSysbench(lab, { mode, threads: 1, transactions: 10 }, rows),
  };
}

/** All of them; `rows` has each sysbench table. */
export function clients(rows: number): Client[] {
  return [
    commandLine('mysql', () => []),
    // It trusts no certificate that MySQL made for itself, and wants TLS where 10.11 has none.
    commandLine('mariadb11', (server) =>
      server === 'mysql' ? ['--disable-ssl-verify-server-cert'] : server === 'mariadb' ? ['--skip-ssl'] : [],
    ),
    libmysqlclient('plain'),
    libmysqlclient('zstd', ['mysql']),
    libmysqlclient('tls', WITH_TLS),
    mysql2('mysql2', {}),
    mysql2('mysql2, zlib', { compress: true }),
    mysql2('mysql2, tls', { tls: true }, WITH_TLS),
    connector('connector', 'plain'),
    connector('connector, tls', 'tls', WITH_TLS),
    driver(
      'PHP mysqli',
      ['php', '-r', 'class_exists("mysqli") || exit(1); print PHP_VERSION;'],
      ['php', '-r'],
      PHP,
    ),
    perl(
      'DBD::MariaDB',
      'dbi:MariaDB:host=$ARGV[0];port=$ARGV[1];database=sbtest;mariadb_server_prepare=1',
      'own_perl_mariadb',
    ),
    perl(
      'DBD::mysql',
      'dbi:mysql:host=$ARGV[0];port=$ARGV[1];database=sbtest;mysql_server_prepare=1',
      'own_perl_mysql',
    ),
    python('PyMySQL', 'pymysql', `password="${USERS.app}", database="sbtest"`),
    python('mysqlclient', 'MySQLdb', `passwd="${USERS.app}", db="sbtest"`),
    sysbench('text', rows),
    sysbench('prepared', rows),
  ];
}
