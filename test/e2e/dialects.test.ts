/** What is said of dialects, against real servers: what of a text they execute, and what a SET makes of sql_mode. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { Lab } from '../../scripts/lab/lab.ts';
import { withSqlMode } from '../../src/sql/sql-mode.ts';
import { CORPUS, MODES, type Reading, sees, sqlModeOf, withStatement } from '../sql/support/corpus.ts';
import { BEFORE, GLOBAL, SETS } from '../sql/support/sql-modes.ts';
import { brandsObstacle } from './support/capability.ts';

/** A connection that no server has: killing it is an error of its own. */
const KILL = 'KILL 4294967290';
const ER_NO_SUCH_THREAD = 1094;

const BRANDS = [
  { brand: 'mariadb', reading: 'mariadb' },
  { brand: 'mysql', reading: 'mysql' },
] as const satisfies readonly { brand: string; reading: Reading }[];

for (const { brand, reading } of BRANDS) {
  describe(`dialects of ${brand}`, { skip: brandsObstacle(brand) ?? false }, () => {
    let lab: Lab;
    let connection: Connection;

    before(async () => {
      lab = await Lab.up({ name: `mytape-e2e-dialects-${brand}`, servers: ['target'], target: brand });
      connection = await createConnection({
        socketPath: lab.server('target').socketPath,
        user: 'root',
        password: lab.server('target').rootPassword,
        flags: ['MULTI_STATEMENTS', '-IGNORE_SPACE'],
      });
    });

    after(async () => {
      connection?.destroy();
      await lab?.down();
    });

    async function kills(text: string): Promise<boolean> {
      try {
        await connection.query(text);
        return false;
      } catch (error) {
        return (error as { errno?: number }).errno === ER_NO_SUCH_THREAD;
      }
    }

    test('it executes of a text what the corpus says', async () => {
      for (const mode of MODES) {
        for (const entry of CORPUS.filter(({ refused }) => refused !== true)) {
          await connection.query(`SET sql_mode = '${sqlModeOf(mode)}'`);
          const text = withStatement(entry, KILL);
          assert.equal(
            await kills(text),
            sees(entry, mode, reading),
            `${sqlModeOf(mode)}: ${text.slice(-100)}`,
          );
        }
      }
    });

    test('a SET makes of sql_mode what is said', async () => {
      for (const { sql, after, mariaDbOnly } of SETS) {
        if (mariaDbOnly && brand !== 'mariadb') continue;
        await connection.query(`SET SESSION sql_mode = '${BEFORE}', GLOBAL sql_mode = '${GLOBAL}'`);
        await connection.query(sql);
        const [[row]] = await connection.query<RowDataPacket[]>('SELECT @@session.sql_mode AS shown');
        assert.equal(withSqlMode(0, row.shown), after, sql);
      }
    });
  });
}
