/** Every consumer of SQL text, held against one corpus in every dialect. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { notComparable } from '../../src/sql/comparable.ts';
import { DIALECT } from '../../src/sql/dialect.ts';
import { Digester, eachStatement } from '../../src/sql/digest/digest.ts';
import { effectsOf } from '../../src/sql/effects.ts';
import { killOf } from '../../src/sql/kill.ts';
import { StatementReader } from '../../src/sql/kind/statement-kind.ts';
import { PIN, pinsOf } from '../../src/sql/pin-time.ts';
import { schemaNamesIn } from '../../src/sql/schema-names.ts';
import { renameSchemas } from '../../src/sql/schema-text.ts';
import { endsServer } from '../../src/sql/shutdown.ts';
import {
  CORPUS,
  type Entry,
  MODES,
  type Mode,
  type Reading,
  sees,
  sqlModeOf,
  withStatement,
} from './support/corpus.ts';

interface Consumer {
  name: string;
  /** What it is to see. */
  statement: string;
  /** It sees what any of these readings of executable comments sees. */
  readings: readonly Reading[];
  sees(octets: Uint8Array, dialect: number): boolean;
}

const dialectOf = ({ noBackslashEscapes, ansiQuotes }: Mode): number =>
  (noBackslashEscapes ? DIALECT.noBackslashEscapes : 0) | (ansiQuotes ? DIALECT.ansiQuotes : 0);

/** The digests of a text's statements. */
function digestsOf(octets: Uint8Array, dialect: number): string[] {
  const digester = new Digester();
  const digests: string[] = [];
  eachStatement(digester, octets, 0, octets.length, dialect, () => digests.push(digester.text()));
  return digests;
}

const CONSUMERS: readonly Consumer[] = [
  {
    name: 'KILL',
    statement: 'KILL 7',
    readings: ['text', 'comments'],
    sees: (octets, dialect) => killOf(octets, 0, true, dialect) !== undefined,
  },
  {
    name: 'SHUTDOWN',
    statement: 'SHUTDOWN',
    readings: ['text', 'comments'],
    sees: (octets, dialect) => endsServer(octets, 0, dialect),
  },
  {
    name: 'effects',
    statement: 'SET @mark = 1',
    readings: ['text'],
    sees: (octets, dialect) =>
      effectsOf(octets, 0, true, dialect)?.some(
        (effect) => effect.type === 'set' && effect.keys.includes('@mark'),
      ) === true,
  },
  {
    name: 'kind',
    statement: 'DELETE FROM t',
    readings: ['text', 'comments'],
    sees: (octets, dialect) => new StatementReader().gravest(octets, 0, octets.length, dialect) === 'write',
  },
  {
    name: 'schema names',
    statement: 'USE s',
    readings: ['text'],
    sees: (octets, dialect) => {
      const found = schemaNamesIn(octets, dialect);
      const names = found.flatMap((from, i) =>
        i % 2 === 0 ? [textOf(octets.subarray(from, found[i + 1]))] : [],
      );
      return names.includes('s');
    },
  },
  {
    name: 'schemas renamed',
    statement: 'USE s',
    readings: ['text'],
    sees: (octets, dialect) =>
      textOf(renameSchemas(octets, dialect, (name) => (name === 's' ? 'mark' : undefined))).includes(
        '`mark`',
      ),
  },
  {
    name: 'digests of several statements',
    statement: 'DELETE FROM t',
    readings: ['mysql'],
    sees: (octets, dialect) => digestsOf(octets, dialect).includes('DELETE FROM `t`'),
  },
  {
    name: 'pinned time',
    statement: 'INSERT INTO t VALUES (1)',
    readings: ['text'],
    sees: (octets, dialect) => (pinsOf(octets, 0, dialect) & PIN.insertId) !== 0,
  },
  {
    name: 'answers that name connections',
    statement: 'SELECT CONNECTION_ID()',
    readings: ['text'],
    sees: (octets, dialect) => notComparable(octets, 0, dialect) !== undefined,
  },
];

function textOf(octets: Uint8Array): string {
  return Buffer.from(octets).toString('latin1');
}

const shown = (text: string) => (text.length > 200 ? `${text.slice(0, 40)}…${text.slice(-40)}` : text);

for (const { name, statement, readings, sees: seen } of CONSUMERS) {
  describe(name, () => {
    for (const mode of MODES) {
      test(`sql_mode '${sqlModeOf(mode)}'`, () => {
        const isSeen = (entry: Entry) => readings.some((reading) => sees(entry, mode, reading));
        const wrong = CORPUS.filter((entry) => {
          const octets = Buffer.from(withStatement(entry, statement), 'latin1');
          return seen(octets, dialectOf(mode)) !== isSeen(entry);
        });
        assert.deepEqual(
          wrong.map((entry) => `${isSeen(entry) ? 'hidden' : 'seen'}: ${shown(entry.text)}`),
          [],
        );
      });
    }
  });
}
