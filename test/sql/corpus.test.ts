/** Every consumer of SQL text, held against one corpus in every dialect. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { killOf } from '../../src/replay/session/kill.ts';
import { notComparable } from '../../src/sql/comparable.ts';
import { Digester, eachStatement } from '../../src/sql/digest/digest.ts';
import { effectsOf } from '../../src/sql/effects.ts';
import { statementKind } from '../../src/sql/kind/statement-kind.ts';
import { PIN, pinsOf } from '../../src/sql/pin-time.ts';
import { schemaNamesIn } from '../../src/sql/schema-names.ts';
import { renameSchemas } from '../../src/sql/schema-text.ts';
import { endsServer } from '../../src/sql/shutdown.ts';
import { MODE } from '../../src/sql/text.ts';
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
  sees(octets: Uint8Array, mode: Mode): boolean;
}

const bits = ({ noBackslashEscapes, ansiQuotes }: Mode): number =>
  (noBackslashEscapes ? MODE.noBackslashEscapes : 0) | (ansiQuotes ? MODE.ansiQuotes : 0);

/** The digests of a text's statements. */
function digestsOf(octets: Uint8Array, mode: Mode): string[] {
  const digester = new Digester(mode);
  const digests: string[] = [];
  eachStatement(digester, octets, 0, octets.length, () => digests.push(digester.text()));
  return digests;
}

const CONSUMERS: readonly Consumer[] = [
  {
    name: 'KILL',
    statement: 'KILL 7',
    readings: ['text', 'comments'],
    sees: (octets) => killOf(octets, 0, true) !== undefined,
  },
  {
    name: 'SHUTDOWN',
    statement: 'SHUTDOWN',
    readings: ['text', 'comments'],
    sees: (octets) => endsServer(octets, 0),
  },
  {
    name: 'effects',
    statement: 'SET @mark = 1',
    readings: ['text'],
    sees: (octets) =>
      effectsOf(octets, 0, true)?.some((effect) => effect.type === 'set' && effect.keys.includes('@mark')) ===
      true,
  },
  {
    name: 'kind',
    statement: 'DELETE FROM t',
    readings: ['text', 'comments'],
    sees: (octets, mode) => statementKind(octets, 0, octets.length, bits(mode)) === 'write',
  },
  {
    name: 'schema names',
    statement: 'USE s',
    readings: ['text'],
    sees: (octets) => {
      const found = schemaNamesIn(octets);
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
    sees: (octets) =>
      textOf(renameSchemas(octets, (name) => (name === 's' ? 'mark' : undefined))).includes('`mark`'),
  },
  {
    name: 'digests of several statements',
    statement: 'DELETE FROM t',
    readings: ['mysql'],
    sees: (octets, mode) => digestsOf(octets, mode).includes('DELETE FROM `t`'),
  },
  {
    name: 'pinned time',
    statement: 'INSERT INTO t VALUES (1)',
    readings: ['text'],
    sees: (octets) => (pinsOf(octets, 0) & PIN.insertId) !== 0,
  },
  {
    name: 'answers that name connections',
    statement: 'SELECT CONNECTION_ID()',
    readings: ['text'],
    sees: (octets) => notComparable(octets, 0) !== undefined,
  },
];

function textOf(octets: Uint8Array): string {
  return Buffer.from(octets).toString('latin1');
}

const shown = (text: string) => (text.length > 200 ? `${text.slice(0, 40)}…${text.slice(-40)}` : text);

for (const { name, statement, readings, sees: seen } of CONSUMERS) {
  describe(name, () => {
    for (const mode of MODES) {
      test(`sql_mode '${sqlModeOf(mode)}'`, { todo: true }, () => {
        const isSeen = (entry: Entry) => readings.some((reading) => sees(entry, mode, reading));
        const wrong = CORPUS.filter((entry) => {
          const octets = Buffer.from(withStatement(entry, statement), 'latin1');
          return seen(octets, mode) !== isSeen(entry);
        });
        assert.deepEqual(
          wrong.map((entry) => `${isSeen(entry) ? 'hidden' : 'seen'}: ${shown(entry.text)}`),
          [],
        );
      });
    }
  });
}
