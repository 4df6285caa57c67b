import { Command } from '@commander-js/extra-typings';
import { type Archive, openArchive, type SessionRow } from '../archive/reader.ts';
import { type InsideTls, readTlsSessions } from '../archive/tls-sessions.ts';
import { readKeyLog } from '../capture/key-log-file.ts';
import { counted, formatCount } from '../counted.ts';
import { lossObjects, sayState, sayTls } from '../report/archive-state.ts';
import { addCause } from '../report/causes.ts';
import { ClockStepTeller } from '../report/clock-steps.ts';
import { coverageHints } from '../report/coverage.ts';
import {
  type Column,
  drained,
  formatDuration,
  formatOctets,
  formatTime,
  print,
  printJson,
  sayLine,
  Table,
} from '../report/output.ts';
import { endpointText } from '../wire/address.ts';

const EXAMPLES = `
Examples:
  mytape ls peak.tape
  mytape ls peak.tape --user app
  mytape ls peak.tape --json | head -1
  mytape ls peak.tape --keylog keys.log      user and commands of sessions under TLS, too

JSON: an object a line for each session. Where packets were lost while it was recorded, a last one says so:
{"type":"dropped","dropped":12,"dropped_by":{"disk":12}}. So do times in which its interface was down ({"type":"gap","from":…,"to":…}),
packets of a flood ({"type":"flood","packets":…,"with_data":…}), and an import that is not whole ({"type":"partial","why":…}).

Users and commands of sessions under TLS are read where their keys are there ("keys":true); that reads the whole archive.
Commands are - where they could not be counted: TLS without keys, compression, a session joined late, octets missing or out of order.`;

const COLUMNS: readonly Column[] = [
  { title: 'ID', align: 'right' },
  { title: 'CLIENT', align: 'left' },
  { title: 'USER', align: 'left' },
  { title: 'SCHEMA', align: 'left' },
  { title: 'START', align: 'left' },
  { title: 'DURATION', align: 'right' },
  { title: 'COMMANDS', align: 'right' },
  { title: 'PACKETS', align: 'right' },
  { title: 'OCTETS', align: 'right' },
  { title: 'COVERAGE', align: 'left' },
];

/** So many rows are printed before a slow reader is waited for. */
const ROWS_A_TURN = 1000;

interface LsOptions {
  user?: string | undefined;
  json?: true | undefined;
  keylog?: string | undefined;
}

export function lsCommand() {
  return new Command('ls')
    .argument('<dir>', 'the archive')
    .option('--user <name>', 'only the sessions of this MySQL user, e.g. app')
    .option('--json', 'print a JSON object a line')
    .option(
      '--keylog <file>',
      'TLS keys of recorded sessions, in the format of SSLKEYLOGFILE, beside those in the keys.log of the archive',
    )
    .addHelpText('after', EXAMPLES)
    .action(async (dir, options) => {
      const keyLog = options.keylog === undefined ? undefined : readKeyLog(options.keylog);
      const archive = openArchive(dir);
      try {
        sayState(archive);
        new ClockStepTeller(archive.info.originSec, 'hold').end(archive.clockSteps());
        await list(archive, options, keyLog);
      } finally {
        archive.close();
      }
    });
}

async function list(archive: Archive, options: LsOptions, keyLog: string | undefined): Promise<void> {
  const { originSec } = archive.info;
  const table = new Table(COLUMNS);
  const totals = { sessions: 0, commands: 0, packets: 0, octets: 0 };
  const coverage: Record<string, number> = {};
  const { tls, opened } = await readTlsSessions(archive, keyLog);
  let sessions = 0;
  for (const row of archive.sessions()) {
    sessions++;
    const session = withInside(row, opened.get(row.id));
    if (options.user !== undefined && session.user !== options.user) continue;
    totals.sessions++;
    addCause(coverage, session.coverage);
    totals.commands += session.commands ?? 0;
    totals.packets += session.packets;
    totals.octets += session.clientOctets + session.serverOctets;
    if (options.json) printJson(toJson(session, originSec));
    else table.row(toCells(session, originSec));
    if (totals.sessions % ROWS_A_TURN === 0) await drained();
  }
  if (options.json) {
    for (const lost of lossObjects(archive)) printJson(lost);
  } else {
    table.flush();
    print(
      `${counted(totals.sessions, 'session')}, ${counted(totals.commands, 'command')}, ` +
        `${counted(totals.packets, 'packet')}, ${formatOctets(totals.octets)}`,
    );
  }
  sayTls({ sessions, tls, keyed: opened.size });
  for (const hint of coverageHints(coverage, archive.info.flooded > 0)) sayLine(hint);
}

/** A session as `ls` lists it. */
interface Listed extends SessionRow {
  /** Of one under TLS: whether its keys are there. */
  keys?: boolean;
}

/** `row`, with what its TLS holds, where that could be opened. */
function withInside(row: SessionRow, inside: InsideTls | undefined): Listed {
  if (!row.tls) return row;
  if (inside === undefined) return { ...row, keys: false };
  const { user = null, schema = null, commands } = inside;
  return { ...row, user, schema, commands, keys: true };
}

function toCells(session: Listed, originSec: number): string[] {
  return [
    String(session.id),
    endpointText(session.client, session.clientPort),
    session.user ?? '-',
    session.schema ?? '-',
    formatTime(originSec * 1000 + session.firstAt / 1e6),
    formatDuration((session.lastAt - session.firstAt) / 1e6),
    session.commands === null ? '-' : formatCount(session.commands),
    formatCount(session.packets),
    formatCount(session.clientOctets + session.serverOctets),
    [session.coverage, ...remarks(session)].join(' '),
  ];
}

function remarks({ ended, tls, keys, compressed }: Listed): string[] {
  return [
    ...(ended === 'half-open' || ended === 'unseen-end' ? [ended] : []),
    ...(tls ? [keys ? 'tls with-keys' : 'tls'] : []),
    ...(compressed ? ['compressed'] : []),
  ];
}

function toJson(session: Listed, originSec: number): unknown {
  const { id, client, clientPort, server, serverPort, firstAt, lastAt, ...rest } = session;
  return {
    id,
    client: endpointText(client, clientPort),
    server: endpointText(server, serverPort),
    start: new Date(originSec * 1000 + firstAt / 1e6).toISOString(),
    seconds: (lastAt - firstAt) / 1e9,
    ...rest,
  };
}
