import { MytapeError } from '../../errors.ts';
import { renameSchemas } from '../../sql/schema-text.ts';

/** What each `a=b` of `--remap-schema` or `--remap-user` (`option`) says: b under a. */
export function parseRemap(option: string, texts: readonly string[]): Map<string, string> {
  const map = new Map<string, string>();
  for (const text of texts) {
    const equals = text.indexOf('=');
    if (equals <= 0 || equals === text.length - 1) {
      throw new MytapeError(
        'usage',
        `${option} ${text} is not of the form recorded=target, as in shop=shop_test`,
      );
    }
    const from = text.slice(0, equals);
    if (map.has(from)) {
      throw new MytapeError('usage', `${option} is given twice for ${from} (give each recorded name once)`);
    }
    map.set(from, text.slice(equals + 1));
  }
  return map;
}

/** `--remap-schema`: schemas under other names than the recorded ones. */
export class SchemaRemap {
  /** Names as text, and as their octets' characters, which is how the names in statements are told apart. */
  readonly #names = new Map<string, string>();
  /** What a text holds if it holds a name. */
  readonly #needles: Buffer[] = [];

  constructor(map: ReadonlyMap<string, string>) {
    for (const [from, to] of map) {
      this.#names.set(from, to);
      this.#names.set(charactersOf(from), charactersOf(to));
      this.#needles.push(Buffer.from(from.replaceAll('`', '``')));
    }
  }

  /** A schema of a login or a COM_INIT_DB; its own name where it keeps it. */
  name(schema: string): string {
    return this.#names.get(schema) ?? schema;
  }

  /**
   * The text of a COM_QUERY or COM_STMT_PREPARE of a session of this `dialect` with the names of its schemas replaced, where `renameSchemas` finds them.
   * Names in comments stay, and in strings but for those that PREPARE and EXECUTE IMMEDIATE take as statements. `octets` itself where nothing changes: for most a search for the names.
   */
  text(octets: Uint8Array, dialect: number): Uint8Array {
    const text = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
    if (!this.#needles.some((needle) => text.includes(needle))) return octets;
    return renameSchemas(octets, dialect, (name) => this.#names.get(name));
  }
}

/** The octets of a name as characters. */
function charactersOf(name: string): string {
  return Buffer.from(name).toString('latin1');
}
