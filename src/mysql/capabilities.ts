/** Capabilities flags, as the manual names them (without CLIENT_). Unsigned 32-bit numbers. */
export const CLIENT = {
  /** MySQL: LONG_PASSWORD. MariaDB reads it as CLIENT_MYSQL: not set means that extended capabilities follow. */
  mysql: 0x1,
  foundRows: 0x2,
  longFlag: 0x4,
  connectWithDb: 0x8,
  noSchema: 0x10,
  compress: 0x20,
  odbc: 0x40,
  localFiles: 0x80,
  ignoreSpace: 0x100,
  protocol41: 0x200,
  interactive: 0x400,
  ssl: 0x800,
  ignoreSigpipe: 0x1000,
  transactions: 0x2000,
  reserved: 0x4000,
  /** SECURE_CONNECTION, later RESERVED2: a 20-octet scramble, and an authentication response with its length. */
  secureConnection: 0x8000,
  multiStatements: 0x1_0000,
  multiResults: 0x2_0000,
  psMultiResults: 0x4_0000,
  pluginAuth: 0x8_0000,
  connectAttrs: 0x10_0000,
  pluginAuthLenencClientData: 0x20_0000,
  canHandleExpiredPasswords: 0x40_0000,
  sessionTrack: 0x80_0000,
  deprecateEof: 0x100_0000,
  optionalResultsetMetadata: 0x200_0000,
  zstdCompression: 0x400_0000,
  queryAttributes: 0x800_0000,
  multiFactorAuthentication: 0x1000_0000,
} as const;

/** MariaDB's extended capabilities (MARIADB_CLIENT_…), a number of their own: the upper half of its 64 bits. */
export const EXTENDED = {
  progress: 0x1,
  stmtBulkOperations: 0x4,
  extendedMetadata: 0x8,
  cacheMetadata: 0x10,
  bulkUnitResults: 0x20,
} as const;

/** Whether all of `flags` are set. */
export function has(capabilities: number, flags: number): boolean {
  return (capabilities & flags) >>> 0 === flags;
}

export function inBoth(a: number, b: number): number {
  return (a & b) >>> 0;
}
