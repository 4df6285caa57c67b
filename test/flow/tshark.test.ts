/** Every golden capture through tshark and through our decoder: the same commands, the same answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COM, type Command } from '../../src/mysql/command.ts';
import { HEADER_OCTETS, OctetReader } from '../../src/mysql/packet.ts';
import { FIXTURE_PORT } from './support/capture.ts';
import { decodeGolden, GOLDEN, goldenPath, keysOf } from './support/golden.ts';
import { dissect, hasSql, type SeenCommand, type SeenReply, type SeenSession } from './support/tshark.ts';

const STATEMENT_COMMANDS: readonly number[] = [
  COM.stmtExecute,
  COM.stmtBulkExecute,
  COM.stmtSendLongData,
  COM.stmtClose,
  COM.stmtReset,
  COM.stmtFetch,
];

/** Where the two differ and tshark 4.0 is wrong. An entry that is no longer needed fails the test. */
interface Known {
  capture: string;
  session: number;
  /** All of the session's commands or answers … */
  part: 'commands' | 'replies';
  /** … or only the answers to this command (COM) … */
  to?: number;
  /** … or one command too many, at this place. */
  extra?: number;
  reason: string;
}

const COMPRESSED =
  'tshark does not decompress: what went as it was it reads, the rest it takes for something else';

function compressed(capture: string, session: number, ...parts: Known['part'][]): Known[] {
  return parts.map((part) => ({ capture, session, part, reason: COMPRESSED }));
}

const KNOWN: readonly Known[] = [
  ...compressed('connector-compress', 0, 'commands', 'replies'),
  ...compressed('dbd', 2, 'replies'),
  ...compressed('mariadb-cli-compress', 0, 'replies'),
  ...compressed('mariadb-compressed', 0, 'commands', 'replies'),
  ...compressed('mysql2-compress', 0, 'commands', 'replies'),
  ...compressed('mysql2-tls13', 3, 'replies'),
  ...compressed('php', 2, 'replies'),
  {
    capture: 'connector',
    session: 2,
    part: 'replies',
    to: COM.query,
    reason: 'the OK behind an empty file, of a client that has none, is a row to it',
  },
  {
    capture: 'mysql2-infile',
    session: 0,
    part: 'replies',
    to: COM.query,
    reason: 'the OK behind an empty file is a row to it',
  },
  {
    capture: 'mysql2-infile',
    session: 0,
    part: 'commands',
    extra: 3,
    reason: 'the 254th packet of a LOCAL INFILE has sequence id 0, and is a command to it',
  },
  {
    capture: 'mariadb-binlog',
    session: 0,
    part: 'commands',
    reason: 'we end at COM_BINLOG_DUMP: it cannot be replayed',
  },
  {
    capture: 'mariadb-binlog',
    session: 0,
    part: 'replies',
    reason: 'the events behind COM_BINLOG_DUMP',
  },
  {
    capture: 'mysql2-tls12',
    session: 4,
    part: 'commands',
    reason: 'a suite of CBC, which tshark decrypts and we do not',
  },
  {
    capture: 'mysql2-tls12',
    session: 4,
    part: 'replies',
    reason: 'likewise',
  },
  {
    capture: 'php',
    session: 0,
    part: 'replies',
    to: COM.stmtFetch,
    reason: 'the rows of COM_STMT_FETCH begin with 0, and are OKs to it',
  },
  { capture: 'raw', session: 0, part: 'replies', to: COM.stmtFetch, reason: 'likewise' },
  {
    capture: 'raw',
    session: 0,
    part: 'replies',
    to: COM.statistics,
    reason: 'the text of a COM_STATISTICS that was pipelined is a column count to it',
  },
];

interface OurSession extends SeenSession {
  /** What each of `replies` answers (COM). */
  to: number[];
}

function seenCommand({ com, packet }: Command): SeenCommand {
  const hasStatement = STATEMENT_COMMANDS.includes(com);
  return {
    com,
    sql: hasSql(com) ? Buffer.from(packet.subarray(HEADER_OCTETS + 1)).toString() : '',
    statementId: hasStatement ? new OctetReader(packet, HEADER_OCTETS + 1, packet.length).uint(4) : 0,
  };
}

/** In order of their first packets: places in KNOWN count them so. */
async function ourSessions(name: string): Promise<OurSession[]> {
  const sessions: OurSession[] = [];
  for (const event of (await decodeGolden(name)).events) {
    const { id, clientPort } = event.session;
    const session = (sessions[id] ??= { clientPort, commands: [], replies: [], to: [] });
    if (event.type === 'command') session.commands.push(seenCommand(event.command));
    if (event.type !== 'reply') continue;
    const { errno, affected, columns, rows, statementId, params } = event.command.reply!;
    session.replies.push({ errno, affected, columns, rows, statementId, params });
    session.to.push(event.command.com);
  }
  return sessions;
}

const different = (ours: unknown, theirs: unknown) => JSON.stringify(ours) !== JSON.stringify(theirs);

/** Takes what `known` says out of both; whether they did differ there. */
function setAside(known: Known, ours: OurSession, theirs: SeenSession): boolean {
  const { part, to, extra } = known;
  if (extra !== undefined) {
    const [command] = theirs.commands.splice(extra, 1);
    return command !== undefined && different(ours.commands[extra], command);
  }
  if (to === undefined) {
    const differed = different(ours[part], theirs[part]);
    ours[part] = [];
    theirs[part] = [];
    return differed;
  }
  let differed = false;
  const same: SeenReply = { errno: 0, affected: 0, columns: 0, rows: 0, statementId: 0, params: 0 };
  ours.to.forEach((com, i) => {
    if (com !== to || !different(ours.replies[i], theirs.replies[i])) return;
    differed = true;
    ours.replies[i] = same;
    theirs.replies[i] = same;
  });
  return differed;
}

for (const name of GOLDEN) {
  test(`${name}: tshark sees the same commands and the same answers`, async () => {
    const seen = dissect(goldenPath(name), FIXTURE_PORT, keysOf(name));
    const sessions = await ourSessions(name);
    for (const known of KNOWN.filter(({ capture }) => capture === name)) {
      const ours = sessions[known.session];
      const needed = setAside(known, ours, seen.get(ours.clientPort)!);
      assert.ok(needed, `no longer needed in KNOWN: ${JSON.stringify(known)}`);
    }
    let compared = 0;
    sessions.forEach(({ clientPort, commands, replies }, id) => {
      const theirs = seen.get(clientPort);
      assert.deepEqual(commands, theirs?.commands ?? [], `commands of session ${id}`);
      assert.deepEqual(replies, theirs?.replies ?? [], `answers of session ${id}`);
      compared += commands.length;
    });
    const aside = KNOWN.some(({ capture, part }) => capture === name && part === 'commands');
    assert.ok(compared > 0 || aside || name === 'mariadb-tls', 'there was nothing to compare');
  });
}

test('every exception names a golden capture', () => {
  for (const { capture } of KNOWN) assert.ok(GOLDEN.includes(capture), capture);
});
