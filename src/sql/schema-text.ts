import { schemaNamesIn } from './schema-names.ts';

/**
 * A text with each name of a schema replaced by what `rename` answers for it, the octets of both as characters; `octets`
 * itself where it answers undefined for all of them. `dialect`: the session's. What is put in is in quotes, always: it may be a reserved word.
 */
export function renameSchemas(
  octets: Uint8Array,
  dialect: number,
  rename: (name: string) => string | undefined,
): Uint8Array {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
  const found = schemaNamesIn(octets, dialect);
  const pieces: Uint8Array[] = [];
  let done = 0;
  for (let i = 0; i < found.length; i += 2) {
    const raw = text.toString('latin1', found[i], found[i + 1]);
    const isQuoted = raw[0] === '`' || raw[0] === '"';
    const mark = isQuoted ? raw[0] : '`';
    const name = rename(isQuoted ? raw.slice(1, -1).replaceAll(mark + mark, mark) : raw);
    if (name === undefined) continue;
    const quoted = mark + name.replaceAll(mark, mark + mark) + mark;
    pieces.push(text.subarray(done, found[i]), Buffer.from(quoted, 'latin1'));
    done = found[i + 1];
  }
  return pieces.length === 0 ? octets : new Uint8Array(Buffer.concat([...pieces, text.subarray(done)]));
}
