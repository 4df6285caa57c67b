/** What tshark makes of a capture: another reader of the same octets, to hold ours against. */
import { execFileSync } from 'node:child_process';
import { COM } from '../../../src/mysql/command.ts';

/** A command, as far as both readers tell it. */
export interface SeenCommand {
  com: number;
  /** COM_QUERY's, COM_STMT_PREPARE's; else empty. */
  sql: string;
  /** Of COM_STMT_EXECUTE and the like; else 0. */
  statementId: number;
}

/** The answer to one command. */
export interface SeenReply {
  errno: number;
  affected: number;
  columns: number;
  rows: number;
  statementId: number;
  params: number;
}

export interface SeenSession {
  clientPort: number;
  commands: SeenCommand[];
  /** In order; commands without answer have none. */
  replies: SeenReply[];
}

/** One MySQL packet that tshark made out. */
interface Pdu {
  clientPort: number;
  fromClient: boolean;
  /** `response OK`, `row packet` …; a command has none. */
  title: string;
  fields: Map<string, Field>;
}

interface Field {
  show: string;
  /** Hexadecimal. */
  value: string;
}

/** An element of PDML, whose attributes may hold line ends. */
const ELEMENT = /<(proto|field) name="([^"]*)"([^>]*)>/g;
const TITLE = / showname="MySQL Protocol(?: - )?([^"]*)"/;
const SHOW = / show="([^"]*)"/;
const VALUE = / value="([^"]*)"/;

/** MariaDB's progress reports: an ERR packet by its form only. */
const ERRNO_PROGRESS = 0xffff;

/** The sessions of a pcap file whose server is at `port`, by client port; `keys`: a TLS key log. */
export function dissect(file: string, port: number, keys?: string): Map<number, SeenSession> {
  const options = [
    '-r',
    file,
    '-d',
    `tcp.port==${port},mysql`,
    '-Y',
    'mysql',
    '-T',
    'pdml',
    '-J',
    'tcp mysql',
  ];
  if (keys !== undefined) options.push('-o', `tls.keylog_file:${keys}`);
  const pdml = execFileSync('tshark', options, {
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const gatherers = new Map<number, Gatherer>();
  for (const pdu of pdus(pdml, port)) {
    let gatherer = gatherers.get(pdu.clientPort);
    if (gatherer === undefined) gatherers.set(pdu.clientPort, (gatherer = new Gatherer(pdu.clientPort)));
    gatherer.add(pdu);
  }
  return new Map([...gatherers].map(([clientPort, { session }]) => [clientPort, session]));
}

function* pdus(pdml: string, port: number): Generator<Pdu> {
  let source = 0;
  let destination = 0;
  let pdu: Pdu | undefined;
  for (const [, kind, name, attributes] of pdml.matchAll(ELEMENT)) {
    if (kind === 'proto') {
      if (pdu !== undefined) yield pdu;
      pdu = undefined;
      if (name !== 'mysql') continue;
      const fromClient = destination === port;
      const clientPort = fromClient ? source : destination;
      pdu = { clientPort, fromClient, title: TITLE.exec(attributes)?.[1] ?? '', fields: new Map() };
      continue;
    }
    const show = SHOW.exec(attributes)?.[1] ?? '';
    if (name === 'tcp.srcport') source = Number(show);
    else if (name === 'tcp.dstport') destination = Number(show);
    else if (pdu !== undefined && !pdu.fields.has(name))
      pdu.fields.set(name, { show, value: VALUE.exec(attributes)?.[1] ?? '' });
  }
  if (pdu !== undefined) yield pdu;
}

/** Packets of one connection to commands and answers: an answer begins with sequence id 1. */
class Gatherer {
  readonly session: SeenSession;
  #sequence = -1;

  constructor(clientPort: number) {
    this.session = { clientPort, commands: [], replies: [] };
  }

  add({ fromClient, title, fields }: Pdu): void {
    const number = (name: string) => Number(fields.get(name)?.show ?? 0);
    const { commands, replies } = this.session;
    const sequence = number('mysql.packet_number');
    if (fromClient) {
      const com = fields.get('mysql.command');
      // A file's lines (LOCAL INFILE) are commands to tshark; no command has another sequence id than 0.
      if (com === undefined || sequence !== 0) return;
      const sql = fields.get('mysql.query')?.value ?? '';
      commands.push({
        com: Number(com.show),
        sql: Buffer.from(sql, 'hex').toString('utf8'),
        statementId: number('mysql.stmt_id'),
      });
      return;
    }
    // The login.
    if (commands.length === 0) return;
    // A long answer's sequence ids come round to 0, and then to 1.
    if (sequence === 1 && this.#sequence !== 0) {
      replies.push({ errno: 0, affected: 0, columns: 0, rows: 0, statementId: 0, params: 0 });
    }
    this.#sequence = sequence;
    const reply = replies.at(-1);
    if (reply === undefined) return;
    switch (title) {
      case 'response OK':
        reply.affected += number('mysql.affected_rows');
        break;
      case 'response ERROR':
        if (number('mysql.error_code') !== ERRNO_PROGRESS) reply.errno = number('mysql.error_code');
        break;
      case 'response to PREPARE':
        reply.statementId = number('mysql.stmt_id');
        reply.columns = number('mysql.num_fields');
        reply.params = number('mysql.num_params');
        break;
      case 'response to SHOW FIELDS':
        reply.columns++;
        break;
      case 'column count':
        if (reply.columns === 0) reply.columns = number('mysql.num_fields');
        break;
      case 'row packet':
        reply.rows++;
        break;
    }
  }
}

/** Whether a command of this number carries a statement's text. */
export function hasSql(com: number): boolean {
  return com === COM.query || com === COM.stmtPrepare;
}
