/** Sessions of every kind of statement, of which is known what each changes: what a replay's choice leaves out can be counted. */
import type { Server } from '../../../scripts/lab/server.ts';
import type { StatementKind } from '../../../src/sql/kind/statement-kind.ts';
import { runSteps, type TestBed } from './path.ts';
import type { Step } from './steps.ts';

/** One step of a session; a prepared one is two commands, the COM_STMT_PREPARE and the COM_STMT_EXECUTE. */
export interface MixStep {
  text: string;
  values?: (string | number)[];
  kind: StatementKind;
  /** How its answer is another where nothing was written before. */
  unwritten?: 'data' | 'error';
}

/** A group of sessions of one user, who logs in to one schema. */
export interface MixGroup {
  user: 'app' | 'sbtest';
  schema: 'sbtest' | 'sbtest2';
  sessions: number;
  /** Rows of theirs in `ledger` begin there. */
  firstId: number;
}

export const GROUPS: readonly MixGroup[] = [
  { user: 'app', schema: 'sbtest', sessions: 3, firstId: 100 },
  { user: 'sbtest', schema: 'sbtest2', sessions: 2, firstId: 200 },
];

export const SESSIONS = GROUPS.reduce((sum, { sessions }) => sum + sessions, 0);

/** Rows of other sessions are never touched: whatever the order of sessions, the tables end the same. */
export function mixSteps({ schema, firstId }: MixGroup, n: number): MixStep[] {
  const own = (firstId + n) * 10;
  return [
    { kind: 'session', text: `SET @who = ${n}, NAMES utf8mb4` },
    { kind: 'read', text: 'SELECT k, c FROM sbtest1 WHERE id = 7' },
    { kind: 'read', text: 'SELECT k FROM sbtest1 WHERE id = ?', values: [n + 1] },
    { kind: 'session', text: 'BEGIN' },
    { kind: 'write', text: `INSERT INTO ledger VALUES (${own}, ${n}, 'begun')` },
    { kind: 'write', text: `INSERT INTO ${schema}.ledger VALUES (?, ?, 'prepared')`, values: [own + 1, n] },
    { kind: 'write', text: `SELECT note FROM ledger WHERE id = ${own} FOR UPDATE` },
    { kind: 'write', text: 'UPDATE ledger SET note = ? WHERE id = ?', values: ['changed', own] },
    { kind: 'session', text: 'COMMIT' },
    { kind: 'read', text: `SELECT note FROM \`${schema}\`.ledger WHERE id = ${own}`, unwritten: 'data' },
    { kind: 'read', text: `SELECT 1; SELECT k FROM ${schema}.sbtest1 WHERE id = 3` },
    { kind: 'write', text: `SELECT 1; INSERT INTO ledger VALUES (${own + 2}, @who, 'second'); SELECT 2` },
    { kind: 'write', text: `CALL ${schema}.note(${own + 3}, ${n})` },
    { kind: 'write', text: 'CREATE TEMPORARY TABLE own AS SELECT id, k FROM sbtest1 WHERE id < 5' },
    { kind: 'read', text: 'SELECT COUNT(*) FROM own', unwritten: 'error' },
    { kind: 'write', text: 'DROP TEMPORARY TABLE own' },
    {
      kind: 'write',
      text: `PREPARE p FROM 'UPDATE ${schema}.ledger SET note = ''by name'' WHERE id = ?'`,
    },
    { kind: 'session', text: `SET @id = ${own + 1}` },
    { kind: 'write', text: 'EXECUTE p USING @id' },
    { kind: 'write', text: `DELETE FROM ledger WHERE id = ${own + 2}` },
    { kind: 'session', text: `USE ${schema}` },
    { kind: 'read', text: 'WITH t AS (SELECT id, k FROM sbtest1 WHERE id < 4) SELECT SUM(k) FROM t' },
  ];
}

export const commandsOf = ({ values }: MixStep) => (values === undefined ? 1 : 2);

/** Commands of all sessions of which `isMeant` says so; without COM_QUIT. */
export function countMix(isMeant: (step: MixStep, group: MixGroup) => boolean): number {
  let count = 0;
  for (const group of GROUPS) {
    for (let n = 0; n < group.sessions; n++) {
      for (const step of mixSteps(group, n)) if (isMeant(step, group)) count += commandsOf(step);
    }
  }
  return count;
}

/** What the sessions need: to be made before the start that target goes back to. */
export async function prepareMix(server: Server): Promise<void> {
  for (const schema of new Set(GROUPS.map((group) => group.schema))) {
    await server.sql(`CREATE TABLE ${schema}.ledger (id INT PRIMARY KEY, session INT, note VARCHAR(20))`);
    await server.sql(noteProcedure(schema));
  }
}

export function noteProcedure(schema: string): string {
  return `CREATE PROCEDURE ${schema}.note(id INT, session INT) INSERT INTO ledger VALUES (id, session, 'called')`;
}

export async function runMix({ lab }: TestBed): Promise<void> {
  await Promise.all(
    GROUPS.map((group) => {
      const each = Array.from({ length: group.sessions }, (_, n) =>
        mixSteps(group, n).map((one): Step => ({ on: n, step: stepOf(one) })),
      );
      const { user, schema, sessions: connections } = group;
      return runSteps(lab, { user, schema, connections, multipleStatements: true, steps: each.flat() });
    }),
  );
}

function stepOf({ text, values }: MixStep): Step {
  return values === undefined ? { query: text } : { execute: text, values };
}
