import { parseAddress } from '../../wire/address.ts';
import { shown } from '../check/damage.ts';
import { type Column, columnsOf, FORMAT_VERSION, type TableName } from './columns.ts';
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
  /** A row with what older rows have for columns that this version lacks. */
  readonly #blank: Readonly<Record<string, unknown>>;
  readonly #sumAt: number;

  constructor(name: TableName, version: number) {
    this.name = name;
    this.columns = columnsOf(name, version);
    this.#fields = this.columns.map(({ field }) => field);
    const all = columnsOf(name, FORMAT_VERSION).filter((column) => column.name !== 'sum');
    this.#blank = Object.fromEntries(
      all.map(({ field, isNullable, isFlag, before }) => [
        field,
        before ?? (isNullable ? null : isFlag ? false : 0),
      ]),
    );
    this.#sumAt = this.columns.findIndex((column) => column.name === 'sum');
    const names = this.columns.map((column) => `"${column.name}"`);
    this.list = names.join(', ');
    this.insert = `INSERT OR REPLACE INTO ${name} (${this.list}) VALUES (${names.map(() => '?').join(', ')})`;
    this.update = `UPDATE ${name} SET ${names.map((column) => `${column} = ?`).join(', ')}`;
  }

  /** A row's values in order of the columns, with its sum. */
  store(row: Row): unknown[] {
    const fields = this.#fields;
    const values = new Array<unknown>(fields.length);
    for (let i = 0; i < fields.length; i++) {
      const value = (row as Record<string, unknown>)[fields[i]];
      values[i] = value === true ? 1 : value === false ? 0 : value;
    }
    values[this.#sumAt] = rowSum(this.name, this.columns, values);
    return values;
  }

  /** The row that `values` (of a raw statement over `list`) are; columns that this version lacks are what older rows have for them. */
  row(values: readonly unknown[]): Row {
    // A copy of a row that has all fields is made faster than one to which they are added.
    const row = { ...this.#blank };
    const fields = this.#fields;
    for (let i = 0; i < fields.length; i++)
      if (i !== this.#sumAt) row[fields[i]] = this.columns[i].isFlag ? values[i] === 1 : values[i];
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
  const { type, least, most } = column;
  if (type === 'INTEGER' && typeof value === 'number') {
    if (value >= least && value <= most && Number.isInteger(value)) return undefined;
    if (Number.isInteger(value)) return `${shown(value)}, and not from ${least} to ${most}`;
  }
  if (value === null) return column.isNullable ? undefined : 'NULL';
  if (type === 'INTEGER') return `${shown(value)}, and no whole number`;
  if (type === 'TEXT') return wrongText(column, value);
  if (!(value instanceof Uint8Array)) return `${shown(value)}, and no octets`;
  return value.length < least || value.length > most ? shown(value) : undefined;
}

function wrongText({ oneOf, isAddress }: Column, value: unknown): string | undefined {
  if (typeof value !== 'string') return `${shown(value)}, and no text`;
  if (oneOf?.includes(value) === false) return `${shown(value)}, and none of ${oneOf.join(', ')}`;
  return isAddress && !isAddressText(value) ? `${shown(value)}, and no address` : undefined;
}

/** Addresses that were seen to be some: the same ones come again and again. */
const ADDRESSES = new Set<string>();
const MOST_ADDRESSES = 10_000;

function isAddressText(text: string): boolean {
  if (ADDRESSES.has(text)) return true;
  if (parseAddress(text) === undefined) return false;
  if (ADDRESSES.size >= MOST_ADDRESSES) ADDRESSES.clear();
  ADDRESSES.add(text);
  return true;
}
