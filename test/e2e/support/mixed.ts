/**
 * A mixed hour in miniature: 200 sessions of every kind at once, from real clients, in seconds. Each session writes tables of
 * its own, and reads those or tables that nobody changes, so that every answer is the same whoever goes first.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lab } from '../../../scripts/lab/lab.ts';
import { CLIENT_ADDRESSES } from '../../../scripts/lab/network.ts';
import { type Server, USERS } from '../../../scripts/lab/server.ts';
import type { Brand } from '../../../scripts/lab/servers/brands.ts';
import { MIXED_USERS, type MixedJob, type MixedResult } from './mixed-job.ts';
import { runTools } from './mixed-tools.ts';

const SPREAD_MS = 6000;

/** What nobody changes: rows, types, procedures. */
const fixed = (withMysql: boolean) => [
  'CREATE DATABASE fixed',
  'CREATE TABLE fixed.item (id INT PRIMARY KEY, name VARCHAR(40), price DECIMAL(10,2), note TEXT)',
  `INSERT INTO fixed.item SELECT seq, CONCAT('item ', seq), seq * 1.5, IF(seq % 3, NULL, REPEAT('n', seq)) FROM
     (WITH RECURSIVE numbers (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM numbers WHERE seq < 300) SELECT seq FROM numbers) n`,
  `CREATE TABLE fixed.kind (id INT PRIMARY KEY, t TINYINT, ub BIGINT UNSIGNED, f FLOAT, d DOUBLE, dc DECIMAL(30,10), bi BIT(13),
     y YEAR, da DATE, ti TIME(6), dt DATETIME(6), ts TIMESTAMP(3) NULL, bl BLOB, en ENUM('red','green'), st SET('x','y'),
     js JSON, i6 ${withMysql ? 'VARCHAR(39)' : 'INET6'})`,
  `INSERT INTO fixed.kind VALUES
     (1, -128, 18446744073709551615, 1.5, -2.25e300, 12345678901234567890.0123456789, b'1010101010101', 2024, '2024-02-29',
      '-838:59:58.999999', '2024-02-29 23:59:59.123456', '2024-02-29 12:00:00.250', 0x0001feff, 'green', 'x,y', '{"a": [1]}', '::1'),
     (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
  `CREATE DEFINER = app@'%' PROCEDURE fixed.three() BEGIN SELECT 1; SELECT id, name FROM fixed.item WHERE id < 4; SELECT 3; END`,
  `CREATE DEFINER = app@'%' PROCEDURE fixed.around(x INT)
     BEGIN SELECT x; SELECT id, name, price FROM fixed.item WHERE id BETWEEN x - 1 AND x + 1; END`,
  'CREATE DATABASE own CHARACTER SET utf8mb4',
  'CREATE TABLE own.imported (id INT PRIMARY KEY, text VARCHAR(100))',
  'CREATE TABLE own.likewise LIKE own.imported',
  'CREATE DATABASE restored',
  'CREATE DATABASE `reads`',
  ...[1, 2].flatMap((n) => [
    `CREATE TABLE \`reads\`.sbtest${n} LIKE sbtest.sbtest${n}`,
    `INSERT INTO \`reads\`.sbtest${n} SELECT * FROM sbtest.sbtest${n}`,
  ]),
];

const GRANTS = ['fixed', 'own', 'restored', '`reads`'].flatMap((schema) =>
  [...Object.keys(USERS), ...Object.keys(MIXED_USERS)].map(
    (user) => `GRANT ALL ON ${schema}.* TO ${user}@'%'`,
  ),
);

function users({ name, createUser, otherLogin }: Brand): string[] {
  return [
    ...Object.entries(MIXED_USERS).map(([user, { password }]) => createUser(user, password)),
    ...otherLogin('edward', MIXED_USERS.edward.password),
    ...GRANTS,
    // mariadb-import sets what MySQL lets only these set.
    ...(name === 'mysql' ? ["GRANT SESSION_VARIABLES_ADMIN ON *.* TO app@'%'"] : []),
    "GRANT SELECT ON *.* TO alice@'%'",
  ];
}

/** Fills online with what the mixed hour needs. A target of another brand, which gets no copy of them, gets the users. */
export async function prepareMixed(online: Server, target: Server): Promise<void> {
  const isMixed = online.brand.name !== target.brand.name;
  for (const statement of [...fixed(isWithMysql(online, target)), ...users(online.brand)])
    await online.sql(statement);
  if (isMixed) for (const statement of users(target.brand)) await target.sql(statement);
}

export function isWithMysql(...servers: readonly Server[]): boolean {
  return servers.some(({ brand }) => brand.name === 'mysql');
}

/** The users file of a replay of it. */
export function writeMixedUsers(path: string): void {
  const passwords = [
    ...Object.entries(USERS),
    ...Object.entries(MIXED_USERS).map(([user, { password }]) => [user, password]),
  ];
  writeFileSync(path, passwords.map(([user, password]) => `${user}: ${password}\n`).join(''), {
    mode: 0o600,
  });
}

async function runProcess(lab: Lab, script: string, keyLog: string, job: MixedJob): Promise<MixedResult> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const args = [`--tls-keylog=${keyLog}`, path, JSON.stringify(job)];
  const { code, stdout, stderr } = await lab.run('client', process.execPath, args);
  assert.equal(code, 0, `${script}: ${stderr}`);
  return JSON.parse(stdout) as MixedResult;
}

/** Runs all of it against online. `folder`: a new one for files; the keys of sessions under TLS are in `keyLog` afterwards. */
export async function runMixed(lab: Lab, folder: string, keyLog: string): Promise<MixedResult> {
  mkdirSync(folder, { recursive: true });
  const job: MixedJob = {
    host: lab.addresses.online,
    from: CLIENT_ADDRESSES,
    folder,
    spreadMs: SPREAD_MS,
    withMysql: isWithMysql(lab.server('online'), lab.server('target')),
  };
  const keys = ['mysql2', 'connector'].map((name) => join(folder, `${name}.keys`));
  const results = await Promise.all([
    runProcess(lab, 'mixed-mysql2.js', keys[0], job),
    runProcess(lab, 'mixed-connector.js', keys[1], job),
    runTools(lab, folder),
  ]);
  writeFileSync(keyLog, keys.map((path) => readFileSync(path, 'latin1')).join(''), { mode: 0o600 });
  return {
    sessions: results.reduce((sum, { sessions }) => sum + sessions, 0),
    refused: results.reduce((sum, { refused }) => sum + refused, 0),
    readings: results.flatMap(({ readings }) => readings),
    incomparable: results.flatMap(({ incomparable }) => incomparable),
  };
}
