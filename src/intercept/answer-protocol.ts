import { ReplyReader, type ReplySink } from '../mysql/reply-reader.ts';
import { RawReader } from './raw-reader.ts';

/** Reads the target's octets of one connection, as `ReplyReader` does, and tells its sink of answers. */
export type AnswerReader = Pick<
  ReplyReader,
  'feed' | 'expect' | 'commandPhase' | 'pending' | 'heldOctets' | 'unread' | 'save' | 'restore'
>;

/** How the answers of a target are read: chosen once for a run. */
export interface AnswerProtocol {
  /** What it is called on a channel to an intercept. */
  readonly number: number;
  reader(sink: ReplySink): AnswerReader;
}

export const MYSQL_ANSWERS: AnswerProtocol = { number: 0, reader: (sink) => new ReplyReader(sink) };

/** No protocol is known: octets are told as they come. */
export const RAW_ANSWERS: AnswerProtocol = { number: 1, reader: (sink) => new RawReader(sink) };

/** The protocol of that number; a number that is not known stands for one that is not known. */
export function answerProtocol(number: number): AnswerProtocol {
  return number === MYSQL_ANSWERS.number ? MYSQL_ANSWERS : RAW_ANSWERS;
}
