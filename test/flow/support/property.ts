/**
 * What has to hold of any damaged capture: a command is told as it was sent or counted as lost, an answer is the command's own or
 * unknown, an id stands for the statement that it stood for, and the index agrees with the decoder.
 */

import { SessionIndex } from '../../../src/flow/session-index.ts';
import { type Command, EXPECT } from '../../../src/mysql/command.ts';
import type { Reply } from '../../../src/mysql/reply.ts';
import { type Packet, parseFrame } from './frames.ts';
import type { KnownCommand, Whole } from './reference.ts';
import { blocksOf, PORTS, StatementTexts, type ToldSession, tell } from './told.ts';

/** How one statement of the property does not hold. */
export interface Failure {
  /**
   * gone: a command is neither told nor lost. altered: a told command, or its file, was not sent. reply: an answer is another's.
   * statement: an id stands for another text. time: an answer comes before its command, or a command before the one before it.
   * index: ls says otherwise. fault: an exception.
   */
  kind: 'gone' | 'altered' | 'reply' | 'statement' | 'time' | 'index' | 'fault';
  what: string;
}

/** How much of what was captured is told: a decoder that lost everything would have no failure. */
export interface Yield {
  captured: number;
  told: number;
  answered: number;
}

export interface Checked {
  failures: Failure[];
  yield: Yield;
}

/** Reads `packets`, which are those of `whole`, damaged. */
export function check(whole: Whole, packets: readonly Packet[]): Checked {
  const failures: Failure[] = [];
  const counts: Yield = { captured: 0, told: 0, answered: 0 };
  let told: ToldSession[];
  try {
    told = tell(packets, whole.linkType);
    failures.push(...againstIndex(told, packets, whole.linkType));
  } catch (error) {
    return { failures: [{ kind: 'fault', what: (error as Error).stack ?? String(error) }], yield: counts };
  }
  const captured = capturedOf(packets, whole.linkType);
  const clients = new Set([...whole.clients.keys(), ...told.map(({ client }) => client)]);
  for (const client of clients) {
    const sessions = told.filter((session) => session.client === client);
    failures.push(...againstWhole(client, whole, sessions, captured, counts));
  }
  return { failures, yield: counts };
}

/** How many octets of data are captured of each packet of the whole capture. */
function capturedOf(packets: readonly Packet[], linkType: number): Map<number, number> {
  const captured = new Map<number, number>();
  for (const { source, octets } of packets) {
    const length = parseFrame(octets, linkType, PORTS)?.length ?? 0;
    if (length > (captured.get(source) ?? 0)) captured.set(source, length);
  }
  return captured;
}

/** How much of `command` the damaged capture has. */
function presence(
  command: KnownCommand,
  captured: ReadonlyMap<number, number>,
): 'unknown' | 'none' | 'some' | 'all' {
  const { pieces, packet } = command;
  if (pieces === undefined) return 'unknown';
  const has = new Uint8Array(packet.length);
  for (const { source, from, to, at } of pieces) {
    const end = Math.min(to, captured.get(source) ?? 0);
    if (end > from) has.fill(1, at, at + end - from);
  }
  if (!has.includes(1)) return 'none';
  return has.includes(0) ? 'some' : 'all';
}

function againstWhole(
  client: string,
  whole: Whole,
  sessions: readonly ToldSession[],
  captured: ReadonlyMap<number, number>,
  counts: Yield,
): Failure[] {
  const failures: Failure[] = [];
  const known = whole.clients.get(client) ?? [];
  const present = known.map((command) => presence(command, captured));
  const mayBeTold = (i: number) => present[i] === 'all' || present[i] === 'unknown';
  const commands = sessions.flatMap((session) => session.commands);
  // The earliest that fits leaves most for those after it: if any choice fits all, this one does.
  let next = 0;
  const matches: (number | undefined)[] = commands.map((command) => {
    const fits = (i: number) => mayBeTold(i) && known[i].packet.equals(command.packet);
    let i = next;
    while (i < known.length && !(fits(i) && isSameOrUnknown(command.reply, known[i]))) i++;
    if (i === known.length) {
      i = next;
      while (i < known.length && !fits(i)) i++;
      if (i === known.length) {
        failures.push({
          kind: 'altered',
          what: `${client} never sent, or not in this order: ${shown(command)}`,
        });
        return undefined;
      }
      const got = describeReply(command.reply);
      const want = describeReply(known[i].reply);
      failures.push({ kind: 'reply', what: `${client}: ${shown(command)} has ${got}, not ${want}` });
    }
    const { file } = command;
    if (file?.whole === true && !known[i].file?.equals(Buffer.concat(file.packets)))
      failures.push({ kind: 'altered', what: `${client}: the file of ${shown(command)} is another` });
    next = i + 1;
    return i;
  });
  failures.push(...statements(client, known, sessions, matches), ...times(client, sessions));
  const there = present.filter((has) => has === 'some' || has === 'all').length;
  counts.captured += there;
  for (const [i, { reply, expect }] of commands.entries()) {
    const match = matches[i];
    if (match === undefined || present[match] === 'unknown') continue;
    counts.told++;
    if (reply !== undefined || expect === EXPECT.none) counts.answered++;
  }
  let lost = 0;
  for (const session of sessions) {
    // Encrypted, or compressed and the login, which says so, is missing: nobody can count.
    if (session.lost === undefined || (session.skipped && whole.opaque.has(client))) return failures;
    lost += session.lost;
  }
  if (commands.length + lost < there) {
    const of = `${there} commands have octets, ${commands.length} are told and ${lost} lost`;
    failures.push({ kind: 'gone', what: `${client}: ${of}` });
  }
  return failures;
}

/** Whether each told id stands for the text that it stood for. `matches`: which known command each told one is. */
function statements(
  client: string,
  known: readonly KnownCommand[],
  sessions: readonly ToldSession[],
  matches: readonly (number | undefined)[],
): Failure[] {
  const failures: Failure[] = [];
  let i = 0;
  for (const { commands, losses } of sessions) {
    const texts = new StatementTexts();
    for (const [position, command] of commands.entries()) {
      const { com, packet, reply } = command;
      if (losses.has(position)) texts.lost();
      const text = texts.add(com, packet, reply);
      const match = matches[i++];
      if (text === undefined || match === undefined) continue;
      const want = known[match].text;
      if (text !== want)
        failures.push({
          kind: 'statement',
          what: `${client}: ${shown(command)} stands for ${text}, not ${want}`,
        });
    }
  }
  return failures;
}

/** Whether each session's times ascend. */
function times(client: string, sessions: readonly ToldSession[]): Failure[] {
  const failures: Failure[] = [];
  const say = (what: string) => failures.push({ kind: 'time', what: `${client}: ${what}` });
  for (const { commands } of sessions) {
    let last = Number.NEGATIVE_INFINITY;
    for (const command of commands) {
      const { at, reply } = command;
      if (at < last) say(`${shown(command)} is ${last - at} ns before the one before it`);
      if (reply !== undefined && reply.at < at)
        say(`the answer to ${shown(command)} comes ${at - reply.at} ns before it`);
      last = at;
    }
  }
  return failures;
}

const COMPARED = ['kind', 'errno', 'affected', 'columns', 'rows', 'hash', 'statementId', 'params'] as const;

function isSameOrUnknown(told: Reply | undefined, { reply, truth }: KnownCommand): boolean {
  if (told === undefined) return true;
  if (reply !== undefined) return COMPARED.every((field) => told[field] === reply[field]);
  return truth !== undefined && COMPARED.every((field) => told[field] === (truth[field] ?? told[field]));
}

function describeReply(reply: Reply | undefined): string {
  if (reply === undefined) return 'no known answer';
  return COMPARED.map((field) => `${field} ${reply[field]}`).join(' ');
}

function shown({ ordinal, com, packet }: Command): string {
  const text = Buffer.from(packet.subarray(5, 45))
    .toString('latin1')
    .replace(/[^\x20-\x7e]/g, '.');
  return `command ${ordinal} (com ${com} ${text})`;
}

function againstIndex(told: readonly ToldSession[], packets: readonly Packet[], linkType: number): Failure[] {
  const index = new SessionIndex(PORTS);
  let number = 0;
  for (const block of blocksOf(packets, linkType)) index.add(block, number++);
  const failures: Failure[] = [];
  const say = (what: string) => failures.push({ kind: 'index', what });
  const rows = new Map(index.takeChanged().map((row) => [row.id, row]));
  if (rows.size !== told.length) say(`${rows.size} sessions in the index, ${told.length} decoded`);
  for (const { id, client, server, user, coverage, commands, lost } of told) {
    const row = rows.get(id);
    if (row === undefined) {
      say(`session ${id} is not in the index`);
      continue;
    }
    const ends = [`${row.client.text}:${row.clientPort}`, `${row.server.text}:${row.serverPort}`];
    if (ends[0] !== client || ends[1] !== server)
      say(`session ${id}: ${ends} in the index, ${client} ${server}`);
    if (row.user !== undefined && user !== undefined && row.user !== user)
      say(`session ${id}: user ${row.user} in the index, ${user}`);
    if (row.coverage !== coverage) say(`session ${id}: coverage ${row.coverage} in the index, ${coverage}`);
    if (row.commands === null || lost === undefined) continue;
    if (row.commands !== commands.length + lost)
      say(`session ${id}: ${row.commands} commands in the index, ${commands.length} told, ${lost} lost`);
  }
  return failures;
}
