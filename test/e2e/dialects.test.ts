/** The corpus of dialects against real servers: does the server execute the statement, or is it part of a string, a name or a comment? */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import { Lab } from '../../scripts/lab/lab.ts';
import { USERS } from '../../scripts/lab/server.ts';
import { CORPUS, MODES, type Reading, sees, sqlModeOf, withStatement } from '../sql/support/corpus.ts';
import { brandsObstacle } from './support/capability.ts';

/** A connection that no server has: killing it is an error of its own. */
const KILL = 'KILL 4294967290';
const ER_NO_SUCH_THREAD = 1094;

const BRANDS = [
  { brand: 'mariadb', reading: 'mariadb' },
  { brand: 'mysql', reading: 'mysql' },
] as const satisfies readonly { brand: string; reading: Reading }[];

for (const { brand, reading } of BRANDS) {
  describe(`what ${brand} executes of a text`, { skip: brandsObstacle(brand) ?? false }, () => {
    test('is what the corpus says', async (t) => {
      const lab = await Lab.up({ name: `mytape-e2e-dialects-${brand}`, servers: ['target'], target: brand });
      t.after(() => lab.down());
      const connection = await createConnection({
        socketPath: lab.server('target').socketPath,
        user: 'app',
        password: USERS.app,
        flags: ['MULTI_STATEMENTS', '-IGNORE_SPACE'],
      });
      t.after(() => connection.destroy());
      const kills = async (text: string): Promise<boolean> => {
        try {
          await connection.query(text);
          return false;
        } catch (error) {
          return (error as { errno?: number }).errno === ER_NO_SUCH_THREAD;
        }
      };
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
  });
}
