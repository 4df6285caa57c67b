import type { CloseHow, FlowEvent, SessionMeta, SkipCause } from '../../../src/flow/events.ts';
import { CLIENT } from '../../../src/mysql/capabilities.ts';
import { COM, type Command, expectOf, LocalFile } from '../../../src/mysql/command.ts';
import type { Reply } from '../../../src/mysql/reply.ts';
import { parseAddress } from '../../../src/wire/address.ts';
import { command as packetOf, packets } from '../../mysql/support/packets.ts';
import { makeReply } from '../../transport/fake.ts';

const MS = 1e6;
const CLIENT_ADDRESS = parseAddress('10.1.0.1')!;
const SERVER_ADDRESS = parseAddress('10.2.0.1')!;
const CAPABILITIES = CLIENT.mysql | CLIENT.protocol41 | CLIENT.secureConnection | CLIENT.pluginAuth;

/** When the recorded answer becomes known: with its command, at its own time, or never. */
export type Answered = 'at once' | 'later' | 'never';

/** A recording made by hand: sessions write their events, `batches` puts them in order of time. Times are ms. */
export class Tape {
  readonly sessions: TapeSession[] = [];

  session(atMs = 0, options: SessionOptions = {}): TapeSession {
    const session = new TapeSession(this.sessions.length, atMs, options);
    this.sessions.push(session);
    return session;
  }

  /** A session that the decoder itself gave up. */
  skipped(atMs: number, cause: SkipCause, commands: number, options?: SessionOptions): void {
    const session = this.session(atMs, options);
    session.events.push({ type: 'skip', at: atMs * MS, session: session.meta, cause, commands, how: 'fin' });
  }

  events(): FlowEvent[] {
    const events = this.sessions.flatMap((session) => session.events);
    return events
      .map((event, i) => ({ event, i }))
      .sort((a, b) => a.event.at - b.event.at || a.i - b.i)
      .map(({ event }) => event);
  }

  /**
   * The events in batches of so many, as a decoder tells them: an answer is set in its command when its batch is made.
   * `made` is called before each batch.
   */
  async *batches(
    size: number,
    made?: (events: FlowEvent[]) => void | Promise<void>,
  ): AsyncGenerator<FlowEvent[]> {
    const events = this.events();
    const replies = new Map(this.sessions.flatMap((session) => [...session.replies]));
    const files = new Map(this.sessions.flatMap((session) => [...session.files]));
    for (let from = 0; from < events.length; from += size) {
      const batch = events.slice(from, from + size);
      await made?.(batch);
      for (const event of batch) {
        if (event.type !== 'reply') continue;
        event.command.reply = replies.get(event.command)!;
        const file = files.get(event.command);
        if (file !== undefined) event.command.file = file;
      }
      yield batch;
    }
  }
}

export class TapeSession {
  readonly meta: SessionMeta;
  readonly events: FlowEvent[] = [];
  readonly commands: Command[] = [];
  readonly replies = new Map<Command, Reply>();
  /** What is told with an answer, not with its command. */
  readonly files = new Map<Command, LocalFile>();
  #opened = false;

  constructor(id: number, atMs: number, options: SessionOptions) {
    const { user = 'app', password = true, schema, capabilities = 0, refused, late = false } = options;
    const { server, serverPort = 3307, connectionId = id + 1 } = options;
    const inForce = (CAPABILITIES | capabilities) >>> 0;
    this.meta = {
      id,
      client: CLIENT_ADDRESS,
      clientPort: 40_000 + id,
      server: server === undefined ? SERVER_ADDRESS : parseAddress(server)!,
      serverPort,
      at: atMs * MS,
      connectionId,
      capabilities: inForce,
      extendedCapabilities: 0,
      ...(refused === undefined ? {} : { refused }),
    };
    if (!late) {
      this.meta.login = {
        capabilities: inForce,
        extendedCapabilities: 0,
        maxPacket: 1 << 24,
        charset: 8,
        user,
        authResponse: new Uint8Array(password ? 20 : 0),
        ...(schema === undefined ? {} : { schema }),
      };
    }
  }

  /** A command of any kind; its answer comes `replyMs` later and is `reply`, or the plain OK. */
  command(
    atMs: number,
    com: number,
    rest: (number | string | Uint8Array)[] = [],
    { reply = {}, replyMs = 1, answered = 'at once', file, withPassword }: CommandOptions = {},
  ): this {
    this.#open(atMs);
    const packet = packetOf(com, ...rest);
    const command: Command = {
      ordinal: this.commands.length,
      at: atMs * MS,
      com,
      expect: expectOf(com),
      packet,
      ...(withPassword === undefined ? {} : { withPassword }),
    };
    this.commands.push(command);
    this.events.push({ type: 'command', at: command.at, session: this.meta, command });
    if (command.expect === 0 || answered === 'never') return this;
    const whole = makeReply({ ...reply, at: (atMs + replyMs) * MS });
    if (answered === 'at once') command.reply = whole;
    if (answered === 'at once' && file !== undefined) command.file = file;
    this.replies.set(command, whole);
    if (file !== undefined) this.files.set(command, file);
    this.events.push({ type: 'reply', at: whole.at, session: this.meta, command });
    return this;
  }

  query(atMs: number, sql = 'SELECT 1', options?: CommandOptions): this {
    return this.command(atMs, COM.query, [sql], options);
  }

  prepare(atMs: number, statementId: number, options: CommandOptions = {}): this {
    return this.command(atMs, COM.stmtPrepare, ['SELECT ?'], {
      ...options,
      reply: { statementId, ...options.reply },
    });
  }

  execute(atMs: number, statementId: number, options?: CommandOptions): this {
    return this.command(atMs, COM.stmtExecute, [id4(statementId), 0, 1, 0, 0, 0], options);
  }

  closeStatement(atMs: number, statementId: number): this {
    return this.command(atMs, COM.stmtClose, [id4(statementId)]);
  }

  lost(atMs: number, cause: SkipCause, commands: number): this {
    this.#open(atMs);
    this.events.push({ type: 'lost', at: atMs * MS, session: this.meta, cause, commands });
    return this;
  }

  quit(atMs: number): this {
    return this.command(atMs, COM.quit).close(atMs, 'quit');
  }

  close(atMs: number, how: CloseHow): this {
    this.#open(atMs);
    this.events.push({ type: 'close', at: atMs * MS, session: this.meta, how });
    return this;
  }

  #open(atMs: number): void {
    if (this.#opened) return;
    this.#opened = true;
    this.events.push({ type: 'open', at: atMs * MS, session: this.meta });
  }
}

interface SessionOptions {
  user?: string;
  password?: boolean;
  /** Of the login. */
  schema?: string;
  /** In force beside the usual ones. */
  capabilities?: number;
  /** The error that the recorded login was refused by. */
  refused?: number;
  /** The capture does not hold its login. */
  late?: boolean;
  /** Its address; default: that of the only one. */
  server?: string;
  serverPort?: number;
  /** The server's number for it; default: one more than its id. */
  connectionId?: number;
}

interface CommandOptions {
  reply?: Partial<Reply>;
  replyMs?: number;
  answered?: Answered;
  /** What it read of the client's; known when its answer is. */
  file?: LocalFile;
  /** COM_CHANGE_USER: the client answered with a password. */
  withPassword?: boolean | undefined;
}

/** A file as a capture holds it: in packets with these payloads, and an empty one unless it is cut short. */
export function localFile(payloads: Uint8Array[], isWhole = true, firstSequenceId = 2): LocalFile {
  const file = new LocalFile();
  let sequenceId = firstSequenceId;
  for (const one of isWhole ? [...payloads, new Uint8Array(0)] : payloads) {
    const packet = packets(sequenceId, one);
    file.add(packet, 0, packet.length);
    sequenceId = (packet[packet.length - 1 - (one.length % 0xffffff)] + 1) & 255;
  }
  return file;
}

export function id4(id: number): Uint8Array {
  return Uint8Array.of(id, id >>> 8, id >>> 16, id >>> 24);
}
