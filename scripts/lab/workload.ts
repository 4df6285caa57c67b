import { fileURLToPath } from 'node:url';
import { MytapeError } from '../../src/errors.ts';
import type { ClientsJob, ClientsResult } from './clients.ts';
import type { Lab, RunResult } from './lab.ts';
import { CLIENT_ADDRESSES } from './network.ts';
import { PORT, USERS } from './server.ts';

/** Schemas of the two sysbench workloads: each has tables of its own, so that neither waits for the other's rows. */
export const SCHEMAS = { text: 'sbtest', prepared: 'sbtest2' } as const;
const TABLES = 2;

export interface SysbenchJob {
  /** Statements as text (COM_QUERY) or prepared (COM_STMT_EXECUTE). */
  mode: 'text' | 'prepared';
  /** Address all its connections speak from. */
  from?: string;
  /** Connections. */
  threads: number;
  /** Of 20 commands each. */
  transactions: number;
  /** Transactions a second over all connections; as many as it can where left out. */
  rate?: number;
}

function sysbenchArguments(lab: Lab, schema: string): string[] {
  return [
    'oltp_read_write',
    `--mysql-host=${lab.addresses.online}`,
    `--mysql-port=${PORT}`,
    '--mysql-user=app',
    `--mysql-password=${USERS.app}`,
    `--mysql-db=${schema}`,
    `--tables=${TABLES}`,
    '--rand-type=uniform',
  ];
}

function must(what: string, result: RunResult): RunResult {
  if (result.code !== 0) {
    throw new MytapeError(
      'system-call',
      `lab: ${what} failed (exit ${result.code}):\n${result.stdout}${result.stderr}`,
    );
  }
  return result;
}

/** Fills online with what the workloads below need. Seconds. */
export async function loadTables(lab: Lab, rows = 10_000): Promise<void> {
  for (const schema of Object.values(SCHEMAS)) {
    const args = [...sysbenchArguments(lab, schema), `--table-size=${rows}`, 'prepare'];
    must('sysbench prepare', await lab.run('client', 'sysbench', args));
  }
  await lab.server('online').sql(
    `CREATE TABLE sbtest.notes (session INT, round INT, ratio DOUBLE, at DATETIME, body TEXT, data BLOB,
       PRIMARY KEY (session, round)) CHARACTER SET utf8mb4`,
  );
}

/** Runs sysbench read-write from host client to its end. */
export async function runSysbench(lab: Lab, job: SysbenchJob, rows = 10_000): Promise<void> {
  const args = [
    ...sysbenchArguments(lab, SCHEMAS[job.mode]),
    `--table-size=${rows}`,
    `--db-ps-mode=${job.mode === 'text' ? 'disable' : 'auto'}`,
    `--threads=${job.threads}`,
    `--events=${job.transactions}`,
    '--time=0',
    ...(job.rate === undefined ? [] : [`--rate=${job.rate}`]),
    'run',
  ];
  must(
    'sysbench',
    await lab.run('client', 'sysbench', args, job.from === undefined ? {} : { from: job.from }),
  );
}

/** Runs mysql2 clients from host client, over all its IPv4 addresses unless told otherwise, to their end. */
export async function runClients(
  lab: Lab,
  job: Omit<ClientsJob, 'host' | 'from'> & Partial<ClientsJob>,
): Promise<ClientsResult> {
  const script = fileURLToPath(new URL('clients.js', import.meta.url));
  const whole: ClientsJob = { host: lab.addresses.online, from: CLIENT_ADDRESSES, ...job };
  const result = must('clients', await lab.run('client', process.execPath, [script, JSON.stringify(whole)]));
  return JSON.parse(result.stdout) as ClientsResult;
}

/** Runs `mariadb`, the command-line client, once after the other: it is the one that says COM_INIT_DB. */
export async function runCommandLineClients(lab: Lab, connections: number): Promise<ClientsResult> {
  const statements = 'SELECT COUNT(*) FROM sbtest1; USE sbtest2; SELECT MAX(k) FROM sbtest1; SHOW TABLES';
  for (let n = 0; n < connections; n++) {
    const from = CLIENT_ADDRESSES[n % CLIENT_ADDRESSES.length];
    const login = [
      '-h',
      lab.addresses.online,
      `-P${PORT}`,
      '-uapp',
      `-p${USERS.app}`,
      '--no-auto-rehash',
      '--skip-ssl',
    ];
    must('mariadb', await lab.run('client', 'mariadb', [...login, '-e', statements, 'sbtest'], { from }));
  }
  return { connections, commands: connections * 4 };
}
