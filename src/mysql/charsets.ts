/** Collations of MySQL 8 (utf8mb4_0900_ai_ci and its kin) have numbers from here on; MariaDB gives them to others, or to none. */
const FIRST_OF_MYSQL_8 = 255;
const LAST_OF_MYSQL_8 = 323;

/** utf8mb4_unicode_520_ci: the nearest that MariaDB has. */
const UTF8MB4_UNICODE_520 = 246;

/**
 * The number of a collation for a target of this brand. A server that does not know the number falls back to a character
 * set of its own without a word, and every literal beyond ASCII is another one.
 */
export function charsetFor(charset: number, isMariaDb: boolean): number {
  const isMySql8 = charset >= FIRST_OF_MYSQL_8 && charset <= LAST_OF_MYSQL_8;
  return isMariaDb && isMySql8 ? UTF8MB4_UNICODE_520 : charset;
}
