/** Errors that the target answered where the recording has none, or another one. */
import { counted, shortened } from '../counted.ts';
import { comName, hasText } from '../mysql/command.ts';
import { textOf } from '../mysql/query-attributes.ts';
import type { Divergence, Outcome } from '../replay/outcome.ts';
import { Digester } from '../sql/digest/digest.ts';
import type { Causes } from './causes.ts';

/** Of so many numbers the reasons say one by one. */
const MOST_NAMED = 5;

/** Of a digest's text, so much is shown. */
const MOST_CHARACTERS = 160;

/** Numbers whose examples are kept: a target may make up as many as it likes. */
const MOST_EXAMPLES = 100;

/**
 * Errors whose messages quote names only: of tables, columns, users, and the like. All others may quote values or statements,
 * which are people's data, and are shown without what they quote. MySQL 9.7's and MariaDB 11.8's messages.
 */
const QUOTES_NAMES: ReadonlySet<number> = new Set([
  1005, 1007, 1008, 1017, 1022, 1025, 1044, 1045, 1046, 1048, 1049, 1050, 1051, 1052, 1054, 1055, 1061, 1066,
  1068, 1069, 1071, 1072, 1073, 1074, 1075, 1091, 1100, 1109, 1114, 1142, 1143, 1144, 1146, 1176, 1193, 1203,
  1205, 1213, 1217, 1226, 1227, 1235, 1238, 1248, 1264, 1265, 1273, 1286, 1290, 1304, 1305, 1318, 1327, 1347,
  1356, 1359, 1360, 1364, 1370, 1406, 1419, 1449, 1451, 1452, 1517, 1630, 1836, 1901, 3024, 3819, 3948, 4025,
]);

/** ER_SIGNAL_EXCEPTION: a stored program made the message, of whatever it likes. */
const SIGNALLED = 1644;

/** What an error was said with, the first time that it came. */
export interface ErrorExample {
  /** The target's message, without the values that it quotes. */
  text: string;
  /** The statement's digest, 32 hexadecimal digits, and its text; for a command without statement '' and the command's name. */
  digest: string;
  digest_text: string;
}

/** In summary.json, by number. */
export type UnrecordedErrors = Record<string, { count: number } & Partial<ErrorExample>>;

/** The number of the error that an answer is and the recorded one was not; undefined: it is none, or no difference. */
export function unrecordedError({ reply }: Outcome, divergence: Divergence): number | undefined {
  return divergence === 'error' && reply?.kind === 'err' ? reply.errno : undefined;
}

export function hasRoomFor(examples: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(examples).length < MOST_EXAMPLES;
}

export function exampleOf({ command, text, reply }: Outcome): ErrorExample {
  const message = withoutValues(reply?.errno ?? 0, reply?.message ?? '');
  if (!hasText(text)) return { text: message, digest: '', digest_text: comName(command.com) };
  const octets = textOf(text.packet);
  const digester = new Digester();
  digester.read(octets, 0, octets.length, text.dialect ?? 0);
  const shown = shortened(digester.text(), MOST_CHARACTERS);
  return { text: message, digest: digester.hash(), digest_text: shown };
}

/** A server's message without the values that it may quote: `Duplicate entry '…' for key 'PRIMARY'`. */
export function withoutValues(errno: number, message: string): string {
  if (QUOTES_NAMES.has(errno)) return message;
  if (errno === SIGNALLED) return '';
  // What is quoted may hold quotes, too: from the first to the last, but for a key's or a column's name at the end.
  return message.replace(
    /(["']).*\1(?= for (?:key|column) )|(["']).*\2|["'].*$/s,
    (found) => `${found[0]}…${found[0]}`,
  );
}

export function unrecordedErrors(
  counts: Causes,
  examples: Readonly<Record<string, ErrorExample>>,
): UnrecordedErrors {
  const errors: UnrecordedErrors = {};
  for (const [errno, count] of Object.entries(counts)) errors[errno] = { count, ...examples[errno] };
  return errors;
}

/** What the verdict's reasons say of them: the most frequent first. */
export function unrecordedReasons(errors: UnrecordedErrors): string[] {
  const all = Object.entries(errors).sort(([, a], [, b]) => b.count - a.count);
  const named = all.slice(0, MOST_NAMED).map(([errno, { count, text = '', digest_text }]) => {
    const example = digest_text === undefined ? '' : ` (the first: ${digest_text})`;
    return `${counted(count, 'command')} failed with error ${errno}, which was not recorded${text === '' ? '' : `: ${text}`}${example}`;
  });
  const rest = all.slice(MOST_NAMED);
  if (rest.length === 0) return named;
  const others = rest.reduce((sum, [, { count }]) => sum + count, 0);
  const numbers = rest.map(([errno]) => errno).join(', ');
  return [
    ...named,
    `${counted(others, 'command')} failed with other errors that were not recorded: ${numbers}`,
  ];
}
