/** What must add up in an index: the archive's row says how many rows there are, and what they come to. */
import type Database from 'better-sqlite3';
import { shown } from '../check/damage.ts';
import { COLUMNS, columnsOf, SUMS_SINCE } from './columns.ts';
import type { RowTable } from './row-table.ts';
import type { SegmentRow } from './rows.ts';
import type { ArchiveFacts, StoredArchive } from './tables.ts';

/** No row takes fewer octets in the file. */
const LEAST_ROW_OCTETS = 6;

/** Rows that the index can hold at most. A damaged tree of pages may repeat rows without end, so that every scan needs a bound. */
export function mostRows(db: Database.Database): number {
  const pages = db.pragma('page_count', { simple: true }) as number;
  const octets = db.pragma('page_size', { simple: true }) as number;
  return Math.ceil((pages * octets) / LEAST_ROW_OCTETS);
}

/** The values of the archive's row; undefined where nothing can be made of it. `wrong`: what is wrong with it. */
export function wrongArchive(
  db: Database.Database,
  table: RowTable<StoredArchive>,
): { values: unknown[] | undefined; wrong: string | undefined } {
  const lengths = table.columns.map(({ name }) => `octet_length("${name}")`).join(', ');
  const rows = db.prepare(`SELECT ${lengths} FROM archive LIMIT 2`).raw().all() as (number | null)[][];
  if (rows.length !== 1)
    return {
      values: undefined,
      wrong: `table archive has ${rows.length === 0 ? 'no row' : 'more than one row'}`,
    };
  for (const [i, { name, type, most }] of table.columns.entries()) {
    const octets = rows[0][i] ?? 0;
    if (type !== 'INTEGER' && octets > most)
      return { values: undefined, wrong: `table archive: ${name} has ${octets} octets, more than ${most}` };
  }
  const values = db.prepare(`SELECT ${table.list} FROM archive`).raw().get() as unknown[];
  const ports = wrongPorts(table.row(values).serverPorts);
  if (ports !== undefined) return { values: undefined, wrong: `table archive: server_ports is ${ports}` };
  return { values, wrong: table.wrong(values) };
}

function wrongPorts(text: unknown): string | undefined {
  let ports: unknown;
  try {
    ports = JSON.parse(text as string);
  } catch {
    return `${shown(text)}, and not JSON`;
  }
  const isPort = (port: unknown) =>
    Number.isInteger(port) && (port as number) >= 0 && (port as number) <= 65_535;
  return Array.isArray(ports) && ports.every(isPort) ? undefined : `${shown(text)}, and not a list of ports`;
}

/** What does not add up, for people. */
export function checkSums(
  db: Database.Database,
  archive: ArchiveFacts,
  segments: readonly SegmentRow[],
  tables: ReadonlySet<string>,
  version: number,
): string | undefined {
  const hasSums = version >= SUMS_SINCE;
  const most = mostRows(db);
  const first = (sql: string, limit: number) =>
    db.prepare(sql).raw().get(Math.min(limit, most)) as (number | null)[];
  const long = (table: 'sessions' | 'session_blocks') =>
    columnsOf(table, version)
      .filter(({ type }) => type !== 'INTEGER')
      .map(({ name }) => `coalesce(max(octet_length("${name}")), 0)`)
      .join(', ');

  const [blocks, blockPackets, blockOctets, stored, lowest, highest] = first(
    `SELECT count(*), coalesce(sum(packets), 0), coalesce(sum(octets), 0), coalesce(sum(stored), 0),
       min(number), max(number) FROM (SELECT number, packets, octets, stored FROM blocks LIMIT ?)`,
    hasSums ? archive.blocks + 1 : most,
  ) as number[];
  const [sessions, commands, counted, firstId, lastId, ...texts] = first(
    `SELECT count(*), coalesce(sum(commands), 0), count(commands), min(id), max(id), ${long('sessions')}
       FROM (SELECT * FROM sessions LIMIT ?)`,
    archive.sessions + 1,
  ) as number[];
  const [longestList] = first(
    `SELECT ${long('session_blocks')} FROM (SELECT blocks FROM session_blocks LIMIT ?)`,
    most,
  ) as number[];
  const rowsOf = (table: 'clock_steps' | 'gaps') =>
    tables.has(table)
      ? (first(`SELECT count(*) FROM (SELECT 1 FROM ${table} LIMIT ?)`, most)[0] as number)
      : 0;

  /** What the index says in one place, and what it comes to in another. */
  const sums: [what: string, said: number, found: number][] = [
    ['packets in table blocks', archive.packets, blockPackets],
    ['rows in table sessions', archive.sessions, sessions],
    ['commands in table sessions', archive.commands, commands],
    ['sessions without a count of commands', archive.uncounted, sessions - counted],
  ];
  if (blocks > 0)
    sums.push(['the first number in table blocks', 0, lowest], ['the last', blocks - 1, highest]);
  if (sessions > 0)
    sums.push(['the first id in table sessions', 0, firstId], ['the last', sessions - 1, lastId]);
  if (hasSums)
    sums.push(
      ['rows in table segments', archive.segments, segments.length],
      ['rows in table blocks', archive.blocks, blocks],
      ['blocks in table segments', archive.blocks, sum(segments, 'blocks')],
      ['packets in table segments', archive.packets, sum(segments, 'packets')],
      ['octets in table blocks', archive.blockOctets, blockOctets],
      ['rows in table clock_steps', archive.clockSteps, rowsOf('clock_steps')],
      ['rows in table gaps', archive.gaps, rowsOf('gaps')],
    );
  for (const [what, said, found] of sums)
    if (said !== found) return `${what}: ${shown(found)}, where there should be ${said}`;

  const inFiles = sum(segments, 'octets');
  if (stored > inFiles) return `its blocks take ${stored} octets, and the segments have ${inFiles}`;
  const bounded = columnsOf('sessions', version).filter(({ type }) => type !== 'INTEGER');
  for (const [i, { name, most: octets }] of bounded.entries())
    if (texts[i] > octets) return `table sessions has a ${name} of ${texts[i]} octets, more than ${octets}`;
  const list = COLUMNS.session_blocks.find(({ type }) => type === 'BLOB')!;
  if (longestList > list.most)
    return `table session_blocks has a list of ${longestList} octets, more than ${list.most}`;
  return undefined;
}

function sum(rows: readonly SegmentRow[], field: 'blocks' | 'packets' | 'octets'): number {
  return rows.reduce((total, row) => total + row[field], 0);
}
