/** The mixed hour's clients that are programs of their own: MariaDB's tools, sysbench, and Perl, Python and PHP where they are. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../../../scripts/lab/lab.ts';
import { CLIENT_ADDRESSES } from '../../../scripts/lab/network.ts';
import { PORT, USERS } from '../../../scripts/lab/server.ts';
import { type MixedResult, Readings } from './mixed-job.ts';

/** Rows of the sysbench tables in schema `reads` and in the lab's own. */
export const SYSBENCH_ROWS = 2000;

/** The columns of fixed.item, as mariadb-dump names them. */
const DUMPED = 'SELECT /*!40001 SQL_NO_CACHE */ `id`, `name`, `price`, `note` FROM `item`';

/** One that speaks `from` an address other than the host's first has no rights to files. */
async function shell(lab: Lab, script: string, from: string | undefined, mustGoWell = true): Promise<void> {
  const { code, stderr } = await lab.run(
    'client',
    'bash',
    ['-c', script],
    from === undefined ? {} : { from },
  );
  if (mustGoWell) assert.equal(code, 0, `${script}: ${stderr}`);
  else assert.notEqual(code, 0, `${script}: goes well`);
}

class Tools {
  readonly readings = new Readings();
  sessions = 0;
  readonly #lab: Lab;
  readonly #login: string;

  constructor(lab: Lab) {
    this.#lab = lab;
    this.#login = `-h ${lab.addresses.online} -P ${PORT} --skip-ssl`;
  }

  async #run(tool: string, rest: string, from?: number, mustGoWell = true): Promise<void> {
    this.sessions++;
    const command = `${tool} --no-defaults ${this.#login} ${rest}`;
    await shell(this.#lab, command, from === undefined ? undefined : CLIENT_ADDRESSES[from], mustGoWell);
  }

  async commandLine(n: number): Promise<void> {
    const table = `own.k${n}`;
    const reading = [`SELECT name, price FROM item WHERE id IN (5, 77, ${n + 100})`, 'CALL around(77)'];
    for (const text of reading) this.readings.of(text, 77);
    const statements = [
      `CREATE TABLE ${table} (id INT PRIMARY KEY, text VARCHAR(50))`,
      `INSERT INTO ${table} VALUES (1, 'one'), (2, REPEAT('x', 50)), (${n + 3}, NULL)`,
      'USE fixed',
      ...reading,
      'CALL three()',
      'SHOW TABLES',
      'SELECT nonsense FROM nowhere',
      `SELECT * FROM ${table}`,
      'USE own',
      `SELECT COUNT(*) FROM k${n}`,
    ].join('; ');
    const compress = n % 3 === 0 ? '--compress' : '';
    const account = `-u app -p${USERS.app} --force --no-auto-rehash ${compress}`;
    await this.#run('mariadb', `${account} -e "${statements}" own`, n, false);
  }

  async refused(): Promise<void> {
    await this.#run('mariadb', `-u app -pwrong -e 'SELECT 1'`, 3, false);
    await this.#run('mariadb', `-u alice -palice-secret -e 'SELECT 1' nowhere`, 4, false);
  }

  /** A table and a whole schema go out by mariadb-dump, and come back under other names. */
  async dumpAndImport(folder: string): Promise<void> {
    const account = `-u app -p${USERS.app}`;
    this.readings.of(DUMPED, 77);
    const out = join(folder, 'fixed.sql');
    await this.#run('mariadb-dump', `${account} --single-transaction fixed > ${out}`);
    await this.#run('mariadb', `${account} --compress restored < ${out}`);
    await this.#run('mariadb-dump', `${account} --routines --no-data fixed > /dev/null`);
    this.readings.of(`${DUMPED} WHERE id between 70 and 80`, 77);
    await this.#run('mariadb-dump', `${account} --where='id between 70 and 80' fixed item > /dev/null`);
    // With a report of the progress made behind each file.
    const files = ['imported', 'likewise'].map((table) => join(folder, `${table}.tsv`));
    const lines = Array.from({ length: 500 }, (_, i) => `${i}\tline ${i}\n`).join('');
    for (const file of files) writeFileSync(file, lines);
    await this.#run('mariadb-import', `${account} --local own ${files.join(' ')}`);
  }

  /** `threads` connections and sysbench's own, by which it asks for the server's version. */
  async sysbench(script: string, schema: string, mode: 'text' | 'prepared', threads: number): Promise<void> {
    const args = [
      script,
      `--mysql-host=${this.#lab.addresses.online} --mysql-port=${PORT} --mysql-db=${schema}`,
      `--mysql-user=app --mysql-password=${USERS.app} --tables=2 --table-size=${SYSBENCH_ROWS}`,
      `--rand-type=uniform --db-ps-mode=${mode === 'text' ? 'disable' : 'auto'}`,
      `--threads=${threads} --events=${threads * 12} --rate=${threads * 5} --time=0 run`,
    ];
    this.sessions += threads;
    await shell(this.#lab, `sysbench ${args.join(' ')}`, CLIENT_ADDRESSES[10]);
  }

  async script([interpreter, flag, body, readings]: Script): Promise<void> {
    for (const text of readings) this.readings.of(text, 77);
    this.sessions++;
    const args = [
      flag,
      body,
      ...(interpreter === 'php' ? ['--'] : []),
      this.#lab.addresses.online,
      String(PORT),
    ];
    const { code, stderr } = await this.#lab.run('client', interpreter, args, { from: CLIENT_ADDRESSES[11] });
    assert.equal(code, 0, `${interpreter}: ${stderr}`);
  }
}

/** A language, how it is given a program, the program, and what of it reads the marked row. */
type Script = readonly [interpreter: string, flag: string, body: string, readings: readonly string[]];

const ITEM = 'select id, name, price from fixed.item where id = ?';

const PERL: Script = [
  'perl',
  '-e',
  `use strict; use DBI;
my $db = DBI->connect("dbi:MariaDB:host=$ARGV[0];port=$ARGV[1];database=own;mariadb_server_prepare=1", 'app', '${USERS.app}',
  { RaiseError => 1, PrintError => 0 });
$db->do('create table p (id int auto_increment primary key, text varchar(100))');
my $insert = $db->prepare('insert into p (text) values (?)');
$insert->execute($_) for ('from perl', undef, 'x' x 100);
my $select = $db->prepare('${ITEM} /* perl */');
for my $id (5, 77) { $select->execute($id); $select->fetchall_arrayref }
$db->begin_work; $db->do('update p set text = 1 where id = 1'); $db->rollback;
eval { $db->do('select nonsense from nowhere') };
$db->disconnect;`,
  [`${ITEM} /* perl */`],
];

const PYTHON: Script = [
  '/usr/bin/python3',
  '-c',
  `import sys, pymysql
db = pymysql.connect(host=sys.argv[1], port=int(sys.argv[2]), user="app", password="${USERS.app}", database="own")
cursor = db.cursor()
cursor.execute("create table y (id int auto_increment primary key, text varchar(100))")
cursor.executemany("insert into y (text) values (%s)", [("python %d" % i,) for i in range(20)])
cursor.execute("select * from fixed.item where id = %s /* python */", (77,))
cursor.callproc("fixed.three")
while cursor.nextset(): pass
db.commit()
db.select_db("fixed")
cursor.execute("select count(*) from item")
db.close()`,
  ['select * from fixed.item where id = 77 /* python */'],
];

/** The one with cursors on the server: of five rows, in steps, the marked one comes with a COM_STMT_FETCH. */
const PHP: Script = [
  'php',
  '-r',
  `$db = new mysqli($argv[1], 'app', '${USERS.app}', 'own', (int) $argv[2]);
$cursor = $db->prepare('select id, name, price from fixed.item where id between ? and 79 /* php */');
$cursor->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
$from = 75;
$cursor->bind_param('i', $from);
$cursor->execute();
$cursor->bind_result($id, $name, $price);
while ($cursor->fetch());
$cursor->close();
$db->query('create table h (id int primary key, text longtext)');
$long = $db->prepare('insert into h values (?, ?)');
$long->bind_param('ib', $id, $text);
$long->send_long_data(1, str_repeat('long ', 5000));
$long->execute();
$db->change_user('alice', 'alice-secret', 'fixed');
$db->query('select current_user()');
$db->close();`,
  ['select id, name, price from fixed.item where id between ? and 79 /* php */'],
];

/** Those whose language and driver are on this machine. */
function scripts(): Script[] {
  const has = (command: string, ...args: string[]) => spawnSync(command, args).status === 0;
  return [
    ...(has('perl', '-MDBD::MariaDB', '-e', '1') ? [PERL] : []),
    ...(has('/usr/bin/python3', '-c', 'import pymysql') ? [PYTHON] : []),
    ...(has('php', '-r', 'exit(class_exists("mysqli") ? 0 : 1);') ? [PHP] : []),
  ];
}

/** All of them, against online. `folder`: for files. */
export async function runTools(lab: Lab, folder: string): Promise<MixedResult> {
  const tools = new Tools(lab);
  const oneByOne = async (work: readonly (() => Promise<void>)[]) => {
    for (const each of work) await each();
  };
  await Promise.all([
    tools.sysbench('oltp_read_write', 'sbtest', 'text', 1),
    tools.sysbench('oltp_read_write', 'sbtest2', 'prepared', 1),
    tools.sysbench('oltp_read_only', 'reads', 'text', 3),
    tools.sysbench('oltp_read_only', 'reads', 'prepared', 3),
    oneByOne([() => tools.dumpAndImport(folder), ...scripts().map((script) => () => tools.script(script))]),
    oneByOne([...Array.from({ length: 12 }, (_, n) => () => tools.commandLine(n)), () => tools.refused()]),
  ]);
  return { sessions: tools.sessions, refused: 2, readings: tools.readings.texts, incomparable: [] };
}
