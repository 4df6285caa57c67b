/** Numbers of things, for messages. */

/** `1 session`, `2 sessions`, `12,345 sessions`; `many` where it is not `one` with an s. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${value.toLocaleString('en-US')} ${value === 1 ? one : many}`;
}
