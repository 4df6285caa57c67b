import { WordTable } from './word-table.ts';

/** What a statement may do, by its first word. Flags. */
export const FIRST = {
  /** Ends a connection or a query. */
  kills: 0x1,
  /** Ends the server: what `mysqladmin shutdown` sends since MySQL 5.7.9 and MariaDB 10.0, and MySQL 8's RESTART. */
  endsServer: 0x2,
  /** Sets variables. */
  sets: 0x4,
  /** Prepares a statement in SQL … */
  prepares: 0x8,
  /** … or executes one. */
  executes: 0x10,
  calls: 0x20,
  /** Changes its session, beside variables that it may assign. */
  effects: 0x40,
  /** Names a schema alone, without a period. */
  namesSchema: 0x80,
  /** Leaves the schema and the role of its session alone, whatever functions and triggers it calls. */
  keepsSchema: 0x100,
  /** May write rows: defaults, ON UPDATE, triggers and what it calls may read the clock and RAND(). */
  writes: 0x200,
  /** May insert rows. */
  inserts: 0x400,
  selects: 0x800,
  shows: 0x1000,
  /** Is about a transaction that outlives its session. */
  xa: 0x2000,
  /** May define a routine, whose body is part of it. */
  defines: 0x4000,
  /** Begins a block of statements, which MariaDB executes outside of routines too. */
  compound: 0x8000,
  begins: 0x1_0000,
  /** Begins with common table expressions: what it does with them is told later. */
  withQuery: 0x2_0000,
  /** An executable comment came before it: some server may read another word. Of no word in the table. */
  unsure: 0x4_0000,
} as const;

const { kills, endsServer, sets, prepares, executes, calls, effects, namesSchema, keepsSchema } = FIRST;
const { writes, inserts, selects, shows, xa, defines, compound, begins, withQuery } = FIRST;

const WORDS: Readonly<Record<string, number>> = {
  ALTER: namesSchema | keepsSchema | defines,
  BEGIN: keepsSchema | begins,
  CALL: calls | kills | writes,
  CASE: compound,
  COMMIT: keepsSchema,
  CREATE: effects | namesSchema | keepsSchema | defines,
  DEALLOCATE: effects,
  DECLARE: compound,
  DELETE: keepsSchema | writes,
  DESC: keepsSchema,
  DESCRIBE: keepsSchema,
  DO: keepsSchema | writes | effects,
  DROP: effects | namesSchema,
  EXECUTE: executes | kills | endsServer | namesSchema | writes | inserts,
  EXPLAIN: keepsSchema,
  FLUSH: effects,
  FOR: compound,
  HANDLER: keepsSchema,
  IF: compound,
  INSERT: keepsSchema | writes | inserts,
  KILL: keepsSchema | kills,
  LOAD: keepsSchema | writes | inserts,
  LOCK: keepsSchema | effects,
  LOOP: compound,
  PREPARE: prepares | kills | endsServer | effects | namesSchema,
  RELEASE: keepsSchema,
  REPEAT: compound,
  REPLACE: keepsSchema | writes | inserts,
  RESTART: endsServer,
  ROLLBACK: keepsSchema,
  SAVEPOINT: keepsSchema,
  SELECT: keepsSchema | selects,
  SET: sets | effects,
  SHOW: keepsSchema | namesSchema | shows,
  SHUTDOWN: endsServer,
  START: keepsSchema,
  TABLE: keepsSchema,
  TRUNCATE: keepsSchema,
  UNLOCK: keepsSchema | effects,
  UPDATE: keepsSchema | writes,
  USE: effects | namesSchema,
  VALUES: keepsSchema,
  WHILE: compound,
  WITH: keepsSchema | withQuery,
  XA: xa,
};

/** First words that mean something to anyone, and their FIRST flags. */
export const FIRST_WORDS = new WordTable(new Map(Object.entries(WORDS)));
