import { type DecodeOptions, decodeSessions } from '../flow/decode.ts';
import type { DecodedSessions } from '../flow/decoder.ts';
import type { RecordedRequest, SessionMeta } from '../flow/events.ts';
import { decodeRawSessions } from '../flow/raw.ts';
import { type AnswerProtocol, MYSQL_ANSWERS, RAW_ANSWERS } from '../intercept/answer-protocol.ts';
import { COM, type Command } from '../mysql/command.ts';
import { sqlAt } from '../mysql/query-attributes.ts';
import { notComparable } from '../sql/comparable.ts';
import type { PacketSource } from '../wire/packets.ts';
import { type LoginPlan, Logins } from './accounts/logins.ts';
import { type Divergence, divergenceOf, type Outcome } from './outcome.ts';
import type { RecordedSession } from './recorded.ts';
import type { ReplayedSession } from './replayed-session.ts';
import type { SessionHost } from './session/host.ts';
import { RawSession } from './session/raw-session.ts';
import { screen } from './session/rewrite.ts';
import { SessionReplay } from './session/session.ts';
import { isRefusedAgain } from './session/user-change.ts';

export type ProtocolName = 'mysql' | 'raw';

/** What a recording and its targets speak, chosen once for a run: how commands are told apart, how answers are read and compared. */
export interface Protocol extends AnswerProtocol {
  /** Reads sessions out of packets. */
  decode(source: PacketSource, options: DecodeOptions): DecodedSessions<RecordedRequest>;
  /** How `session` logs in, or a cause to skip it by; undefined: nobody logs in. */
  plan(session: SessionMeta, logins: Logins): LoginPlan | string | undefined;
  /** One copy of `recorded`, which logs in by `plan` where it does. */
  session(
    recorded: RecordedSession,
    copy: number,
    plan: LoginPlan | undefined,
    host: SessionHost,
  ): ReplayedSession;
  /**
   * Why `request` must not be sent to another server than the one it was made for; undefined: it may. To be called once for each,
   * whatever the number of its copies.
   */
  screen(request: RecordedRequest): string | undefined;
  /** How an answer differs from the recorded one. */
  compare(outcome: Outcome<RecordedRequest>): Divergence;
}

export const MYSQL: Protocol = {
  ...MYSQL_ANSWERS,
  decode: decodeSessions,
  plan: (session, logins) => logins.plan(session),
  session(recorded, copy, plan, host) {
    const schemas = host.target.schemasOf(copy);
    const own = schemas === undefined ? (plan as LoginPlan) : Logins.renamed(plan as LoginPlan, schemas);
    return new SessionReplay(recorded, copy, own, host);
  },
  screen: (request) => screen(request as Command),
  compare(outcome) {
    const { command, text, reply } = outcome as Outcome;
    const divergence = divergenceOf(command.reply, reply);
    if (divergence === 'error' && isRefusedAgain(command, reply)) return 'none';
    if (divergence !== 'data' && divergence !== 'rows') return divergence;
    return isComparable(command, text) ? divergence : 'not-comparable';
  },
};

/** Whether an answer that differs need not have. */
function isComparable({ com }: Command, { packet, dialect = 0 }: Command): boolean {
  return com !== COM.processInfo && notComparable(packet, sqlAt(packet), dialect) === undefined;
}

/** Any service: nobody logs in, and whatever a client said may be said again. */
export const RAW: Protocol = {
  ...RAW_ANSWERS,
  decode: decodeRawSessions,
  plan: () => undefined,
  session: (recorded, copy, _plan, host) => new RawSession(recorded, copy, host),
  screen: () => undefined,
  compare: ({ command, reply }) => divergenceOf(command.reply, reply),
};

/** Default: MySQL. */
export function protocolOf(name: ProtocolName = 'mysql'): Protocol {
  return name === 'raw' ? RAW : MYSQL;
}
