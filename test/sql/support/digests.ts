import { DIALECT } from '../../../src/sql/dialect.ts';
import { Digester } from '../../../src/sql/digest/digest.ts';

/** How a statement is digested, where that is not as by default. */
export interface DigestOptions {
  maxLength?: number;
  ansiQuotes?: boolean;
  noBackslashEscapes?: boolean;
  ignoreSpace?: boolean;
}

export function dialectOf({ ansiQuotes, noBackslashEscapes, ignoreSpace }: DigestOptions): number {
  return (
    (ansiQuotes ? DIALECT.ansiQuotes : 0) |
    (noBackslashEscapes ? DIALECT.noBackslashEscapes : 0) |
    (ignoreSpace ? DIALECT.ignoreSpace : 0)
  );
}

/** The digester that has read the first statement in [from, to). */
function digested(octets: Uint8Array, from: number, to: number, options: DigestOptions): Digester {
  const digester = new Digester(options.maxLength);
  digester.read(octets, from, to, dialectOf(options));
  return digester;
}

/** The digest text of the first statement in [from, to). */
export function digestText(
  octets: Uint8Array,
  from: number,
  to: number,
  options: DigestOptions = {},
): string {
  return digested(octets, from, to, options).text();
}

/** The hash of that text. */
export function digestOf(octets: Uint8Array, from: number, to: number, options: DigestOptions = {}): string {
  return digested(octets, from, to, options).hash();
}
