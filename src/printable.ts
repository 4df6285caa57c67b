/** Text of unknown origin, made fit for a terminal, a log and a JSON line. Names, statements and messages come off the wire. */

/**
 * What moves a terminal's cursor, changes its colours, title or clipboard, turns text around or ends a line: C0, DEL and
 * C1 controls, Unicode's line and paragraph separators, its bidirectional controls, and halves of surrogate pairs.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029]/gu;

/** Of these, what JSON.stringify leaves as it is. */
const UNESCAPED_IN_JSON = /[\x7f-\x9f\p{Bidi_Control}\u2028\u2029]/gu;

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `text` as part of one line: each unprintable character as `\n`, `\x1b` or `\u202e`. For people; it can't be read back. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    const code = character.charCodeAt(0);
    return NAMED[character] ?? (code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`);
  });
}

/** JSON.stringify, with every unprintable character as `\u009b`: equal JSON that a terminal can show. */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    UNESCAPED_IN_JSON,
    (character) => `\\u${hex(character.charCodeAt(0), 4)}`,
  );
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}
