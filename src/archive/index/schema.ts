/** The tables of an archive's index in SQL; columns.ts has what they are made of. */
import { type Column, columnsOf, FORMAT_VERSION, TABLE_NAMES, type TableName } from './columns.ts';

/** `myta`, so that `file` and we can tell an index from any other database. */
export const APPLICATION_ID = 0x6d797461;

/** Makes the tables of a new index. */
export const SCHEMA = TABLE_NAMES.map(createTable).join('\n');

function createTable(table: TableName): string {
  const columns = columnsOf(table, FORMAT_VERSION);
  const keys = columns.filter(({ isKey }) => isKey);
  const lines = columns.map(
    (column) => declare(column) + (keys.length === 1 && column.isKey ? ' PRIMARY KEY' : ''),
  );
  if (keys.length > 1) lines.push(`PRIMARY KEY (${keys.map(({ name }) => name).join(', ')})`);
  return `CREATE TABLE ${table} (${lines.join(', ')}) STRICT${keys.length > 1 ? ', WITHOUT ROWID' : ''};`;
}

function declare({ name, type, isNullable }: Column): string {
  return `"${name}" ${type}${isNullable ? '' : ' NOT NULL'}`;
}
