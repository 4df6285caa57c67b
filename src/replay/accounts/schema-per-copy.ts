import { MytapeError } from '../../errors.ts';
import { FIRST } from '../../sql/first-words.ts';
import { renameSchemas } from '../../sql/schema-text.ts';
import { firstWord } from '../../sql/statements.ts';
import { SchemaRemap } from './remap.ts';

/** They are the server's own, whoever asks. */
const SYSTEM_SCHEMAS: ReadonlySet<string> = new Set([
  'mysql',
  'information_schema',
  'performance_schema',
  'sys',
]);

const PLACEHOLDER = /\{(\w*)\}/g;

/** The names of one copy: every schema has another, but for those of the system. */
class CopySchemas extends SchemaRemap {
  readonly #rename: (schema: string) => string;

  constructor(rename: (schema: string) => string) {
    super(new Map());
    this.#rename = rename;
  }

  override name(schema: string): string {
    return this.#renamed(schema) ?? schema;
  }

  override text(octets: Uint8Array, dialect: number): Uint8Array {
    if (!mayNameSchema(octets)) return octets;
    return renameSchemas(octets, dialect, (name) => this.#renamed(name));
  }

  #renamed(schema: string): string | undefined {
    const isOwn = schema !== '' && !SYSTEM_SCHEMAS.has(schema.toLowerCase());
    return isOwn ? this.#rename(schema) : undefined;
  }
}

/**
 * `--schema-per-copy`: each copy has schemas of its own. All that a statement names, whether or not it was named before: one that
 * kept its name would be shared by all copies without anybody seeing it.
 */
export class SchemaPerCopy {
  readonly #pattern: string;
  readonly #copies: CopySchemas[] = [];

  /** `pattern`: `{schema}` and `{copy}` stand for the recorded name and the copy's number. Throws `usage` where it will not do. */
  constructor(pattern: string) {
    const wrong = wrongIn(pattern);
    if (wrong !== undefined) {
      throw new MytapeError('usage', `--schema-per-copy ${pattern} ${wrong}, as in {schema}_{copy}`);
    }
    this.#pattern = pattern;
  }

  /** The names of `copy`, which counts from 0, and in names from 1. */
  of(copy: number): SchemaRemap {
    const known = this.#copies[copy];
    if (known !== undefined) return known;
    const pattern = this.#pattern.replaceAll('{copy}', String(copy + 1));
    const schemas = new CopySchemas((schema) => pattern.replaceAll('{schema}', () => schema));
    this.#copies[copy] = schemas;
    return schemas;
  }
}

function wrongIn(pattern: string): string | undefined {
  if (!pattern.includes('{copy}')) return 'gives all copies the same schema: it must have {copy} in it';
  for (const [placeholder, name] of pattern.matchAll(PLACEHOLDER)) {
    if (name !== 'copy' && name !== 'schema')
      return `has ${placeholder}, and may have {schema} and {copy} only`;
  }
  // Names are put in as octets, whatever the character set of the statement.
  return /^[!-~]+$/.test(pattern) ? undefined : 'may have printable ASCII characters only';
}

/** Whether a text may hold the name of a schema: before a period, or alone in a statement of few kinds. */
function mayNameSchema(octets: Uint8Array): boolean {
  if (octets.includes(0x2e) || octets.includes(0x3b)) return true;
  return (firstWord(octets, 0, octets.length) & (FIRST.namesSchema | FIRST.unsure)) !== 0;
}
