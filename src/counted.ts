/** Numbers of things, lists of names, and long texts, for messages. */

/** `1,234,567`. */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US');
}

/** `1 session`, `2 sessions`, `12,345 sessions`; `many` where it is not `one` with an s. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${formatCount(value)} ${value === 1 ? one : many}`;
}

/** So many of a list's names stand in a message. */
const MOST_NAMED = 3;

/** `app, bob`; `app, bob, chg and 2 more`. */
export function firstFew(names: readonly string[]): string {
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : '';
  return names.slice(0, MOST_NAMED).join(', ') + more;
}

/** The text's first `most` characters, and whether there are more: `SELECT * FR…`. */
export function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
