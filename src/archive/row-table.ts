import { parseAddress } from '../wire/address.ts';
import { type Column, columnsOf, SUMS_SINCE, type TableName } from './columns.ts';
import { shown } from './damage.ts';
import { rowSum } from './row-sum.ts';

/** A table of an index of some format version: its SQL, and its rows between objects and what SQLite has. */
export class RowTable<Row extends object> {
  readonly name: TableName;
  readonly columns: readonly Column[];
  /** Columns by name, for SELECT. */
  readonly list: string;
  /** Puts a row in; its parameters are what `store` returns. */
  readonly insert: string;
  /** Writes over all rows of the table. */
  readonly update: string;
  readonly #fields: readonly string[];
  /** Columns that this version lacks. */
  readonly #lacking: readonly Column[];
  readonly #sumAt: number;

  constructor(name: TableName, version: number) {
    this.name = name;
    this.columns = columnsOf(name, version);
    this.#fields = this.columns.map(({ field }) => field);
    this.#lacking = columnsOf(name, SUMS_SINCE).filter((column) => !this.columns.includes(column));
    this.#sumAt = this.columns.findIndex((column) => column.name === 'sum');
    const names = this.columns.map((column) => `"${column.name}"`);
    this.list = names.join(', ');
    this.insert = `INSERT OR REPLACE INTO ${name} (${this.list}) VALUES (${names.map(() => '?').join(', ')})`;
    this.update = `UPDATE ${name} SET ${names.map((column) => `${column} = ?`).join(', ')}`;
  }

  /** A row's values in order of the columns, with its sum. */
  store(row: Row): unknown[] {
    const values = this.#fields.map((field) => {
      const value = (row as Record<string, unknown>)[field];
      return typeof value === 'boolean' ? Number(value) : value;
    });
    values[this.#sumAt] = rowSum(this.name, this.columns, values);
    return values;
  }

  /** The row that `values` (of a raw statement over `list`) are; columns that this version lacks are what older rows have for them. */
  row(values: readonly unknown[]): Row {
    const row: Record<string, unknown> = {};
    for (let i = 0; i < this.#fields.length; i++)
      if (i !== this.#sumAt) row[this.#fields[i]] = this.columns[i].isFlag ? values[i] === 1 : values[i];
    for (const { field, isNullable, isFlag, name, before } of this.#lacking)
      if (name !== 'sum') row[field] = before ?? (isNullable ? null : isFlag ? false : 0);
    return row as Row;
  }

  /** What is wrong with `values`, for people, beginning with the row's name; undefined: nothing is. */
  wrong(values: readonly unknown[]): string | undefined {
    for (let i = 0; i < this.columns.length; i++) {
      const what = wrongValue(this.columns[i], values[i]);
      if (what !== undefined) return `${this.nameOf(values)}: ${this.columns[i].name} is ${what}`;
    }
    if (this.#sumAt < 0 || values[this.#sumAt] === rowSum(this.name, this.columns, values)) return undefined;
    return `${this.nameOf(values)} is not as it was written: its sum is wrong`;
  }

  /** `table sessions, id 17`. */
  nameOf(values: readonly unknown[]): string {
    const key = this.keyOf(values);
    return key === '' ? `table ${this.name}` : `table ${this.name}, ${key}`;
  }

  /** `id 17`. */
  keyOf(values: readonly unknown[]): string {
    return this.columns
      .flatMap(({ isKey, name }, i) => (isKey ? [`${name} ${shown(values[i])}`] : []))
      .join(', ');
  }
}

function wrongValue(column: Column, value: unknown): string | undefined {
  const { type, isNullable, least, most, oneOf, isAddress } = column;
  if (value === null) return isNullable ? undefined : 'NULL';
  if (type === 'INTEGER') {
    if (typeof value !== 'number' || !Number.isInteger(value)) return `${shown(value)}, and no whole number`;
    return value < least || value > most ? `${shown(value)}, and not from ${least} to ${most}` : undefined;
  }
  if (type === 'TEXT') {
    if (typeof value !== 'string') return `${shown(value)}, and no text`;
    if (oneOf?.includes(value) === false) return `${shown(value)}, and none of ${oneOf.join(', ')}`;
    return isAddress && parseAddress(value) === undefined ? `${shown(value)}, and no address` : undefined;
  }
  if (!(value instanceof Uint8Array)) return `${shown(value)}, and no octets`;
  return value.length < least || value.length > most ? shown(value) : undefined;
}
