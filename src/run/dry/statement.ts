/** Commands as a dry run shows them to people. A text is shown to those only who ask for it: it may hold a password, or what customers wrote. */
import { shortened } from '../../counted.ts';
import { COM, type Command, comName, hasText } from '../../mysql/command.ts';
import { textOf } from '../../mysql/query-attributes.ts';
import { Statements } from '../../sql/statements.ts';

/** Of a statement, so much is shown. */
const MOST_CHARACTERS = 160;

/** The text of a statement as people are shown it. */
export function shown(packet: Uint8Array): string {
  const text = Buffer.from(textOf(packet).subarray(0, 4 * MOST_CHARACTERS)).toString('utf8');
  return shortened(text.replace(/\s+/g, ' '), MOST_CHARACTERS);
}

/** A statement's first word, or the command's name. */
export function kindOf(command: Command, text: Command): string {
  if (!hasText(text)) return comName(command.com);
  const octets = textOf(text.packet);
  const statements = new Statements();
  statements.begin(octets, 0, octets.length, text.dialect ?? 0);
  statements.next();
  const [word] = /^[A-Z]{0,16}/.exec(statements.word()) as RegExpExecArray;
  const verb = word || 'other';
  return command.com === COM.query ? verb : `${verb} by ${comName(command.com)}`;
}
