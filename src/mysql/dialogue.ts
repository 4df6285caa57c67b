import type { CaptureNs } from '../time.ts';
import { PacketAssembler } from './assembler.ts';
import { CLIENT, has } from './capabilities.ts';
import { COM, type Command, countCommands, EXPECT, expectOf, isCommand, LocalFile } from './command.ts';
import { Decompressor, isCompressed } from './compression.ts';
import { markOf } from './handshake.ts';
import { saysNoRoom } from './no-room.ts';
import { copyOf, HEADER_OCTETS, MARK, MAX_PAYLOAD, payloadLength } from './packet.ts';
import { type LoginShown, RecordedLogin } from './recorded-login.ts';
import type { Reply } from './reply.ts';
import { ReplyReader } from './reply-reader.ts';

/** The longest command that a server can be set to take in: max_allowed_packet's own limit. */
const COMMAND_OCTETS = 1024 * 1024 * 1024;

/** What only servers say, that copy another. */
const REPLICATES: ReadonlySet<number> = new Set([
  COM.binlogDump,
  COM.binlogDumpGtid,
  COM.registerSlave,
  COM.tableDump,
  COM.clone,
  COM.subscribeGroupReplication,
]);

/** Of a compressed packet (MySQL manual, "Compression"). */
const COMPRESSED_HEADER_OCTETS = 7;

/** The version of every greeting since MySQL 3.21. */
const PROTOCOL_V10 = 10;

/** Why a conversation cannot be read, for good or (gap, desync) for a while. */
export type LostCause =
  | 'tls'
  | 'gap'
  | 'desync'
  | 'joined-late'
  | 'login-failed'
  | 'no-room'
  | 'not-mysql'
  | 'replication';

export interface DialogueSink {
  /** The login succeeded. */
  login(login: LoginShown): void;
  /** The server refused it, with its error `errno`: nothing follows. */
  refused(login: LoginShown, errno: number): void;
  /**
   * The login was not seen, and the first command is found whose answer agrees with it: it is told next. `commands` before it
   * were seen and are not told.
   */
  joined(commands: number): void;
  command(command: Command): void;
  /** The answer to `command` was read whole; it is `command.reply` already. */
  reply(command: Command): void;
  /**
   * Something was missed: `commands` that the client is known to have sent and that are never told. After gap and desync
   * of the command phase the dialogue goes on by itself, else it is over.
   */
  lost(cause: LostCause, commands: number): void;
}

/** What a layer of encryption says of the octets that it was given; all but `ok` are its end. */
export type LayerState = 'ok' | 'no-key' | 'unsupported' | 'broken';

/** Decrypts both directions of a connection: what it is given comes out at the `Plain` that it was made with. */
export interface Layer {
  fromClient(octets: Uint8Array, from: number, to: number): LayerState;
  fromServer(octets: Uint8Array, from: number, to: number): LayerState;
  /** So many octets are missing here. */
  gap(fromClient: boolean, octets: number): LayerState;
}

/** Where a layer's plain octets go, [from, to) of `octets`, valid during the call. */
export interface Plain {
  client(octets: Uint8Array, from: number, to: number): void;
  server(octets: Uint8Array, from: number, to: number): void;
}

export interface DialogueOptions {
  /** How TLS is read; undefined: it is not. */
  openTls?: ((plain: Plain) => Layer) | undefined;
  /** The connection's beginning was not captured. */
  joinedLate?: boolean;
}

type Stage =
  /** The connection's beginning was not captured, and nothing was made out yet. */
  'middle' | 'greeting' | 'hello' | 'authentication' | 'commands' | 'over';

/**
 * One connection's conversation, from the octets of both directions, each in order: login, then commands and their
 * answers.
 *
 * After octets were missed it finds its feet again. On the client's side at a segment that commands fill exactly; on the
 * server's at the answer to a command read since then, told by its sequence id of 1. The answers in between stay unknown.
 */
export class Dialogue {
  readonly #sink: DialogueSink;
  readonly #openTls: DialogueOptions['openTls'];
  readonly #client = new PacketAssembler(COMMAND_OCTETS);
  #server: ReplyReader;
  #stage: Stage;
  /** Until the command phase. */
  #login: RecordedLogin | undefined = new RecordedLogin();
  #tls: Layer | undefined;
  /** Where the session is compressed, from the command phase on. */
  #compressed: { client: Decompressor; server: Decompressor } | undefined;
  #ordinal = 0;
  /** Commands whose answers the reader expects. */
  #awaiting: Command[] = [];
  /** The client's octets make no sense until they begin a command again. */
  #clientLost: boolean;
  /** The server's octets make no sense until they begin an answer … */
  #serverLost: boolean;
  /** … to this command. */
  #candidate: Command | undefined;
  #unanswered = 0;
  /** The id of the next packet of what the server has asked the client for, where packets are numbered. */
  #dataId = 0;
  /** Lost, commands since the server spoke. Of several sent at once nobody can say which the next answer belongs to. */
  #commandsUnheard = 0;
  /** The server spoke since the client did … */
  #serverSpoke = false;
  /** … and the client sent a command since the server spoke. */
  #clientSpoke = false;
  #at: CaptureNs = 0;

  constructor(sink: DialogueSink, { openTls, joinedLate = false }: DialogueOptions = {}) {
    this.#sink = sink;
    this.#openTls = openTls;
    this.#stage = joinedLate ? 'middle' : 'greeting';
    this.#clientLost = joinedLate;
    this.#serverLost = joinedLate;
    this.#server = this.#newReader();
    if (joinedLate) this.#server.joinedLate();
  }

  /** Commands that wait for their answers. */
  get pending(): number {
    return this.#awaiting.length;
  }

  /** Commands whose answers were missed; before `joined`: that were seen and not told. */
  get unanswered(): number {
    return this.#unanswered + (this.#stage === 'middle' && this.#candidate !== undefined ? 1 : 0);
  }

  /** Whether the client tried to log in. */
  get sawLogin(): boolean {
    return this.#login?.shown !== undefined || this.#stage === 'commands';
  }

  /** The client's next octets, [from, to): those of one segment, where segments are known. */
  fromClient(octets: Uint8Array, from: number, to: number, at: CaptureNs): void {
    this.#at = at;
    if (this.#stage === 'over') return;
    if (this.#stage === 'greeting') this.#end('not-mysql', 0);
    else if (this.#tls !== undefined) this.#layer(this.#tls.fromClient(octets, from, to));
    else this.#clientOctets(octets, from, to);
  }

  /** The server's next octets, [from, to): those of one segment, where segments are known. */
  fromServer(octets: Uint8Array, from: number, to: number, at: CaptureNs): void {
    this.#at = at;
    if (this.#stage === 'over') return;
    if (this.#tls !== undefined) this.#layer(this.#tls.fromServer(octets, from, to));
    else this.#serverOctets(octets, from, to);
  }

  /** Nothing follows: a command that is not whole was never one. */
  finish(): void {
    const held = this.#client.heldOctets + (this.#compressed?.client.heldOctets ?? 0);
    if (this.#stage === 'commands' && held > 0 && !this.#server.wantsData) this.#clientBroke('desync');
  }

  /** So many octets are missing here, in the client's direction or in the server's. */
  gap(fromClient: boolean, octets: number): void {
    if (this.#stage === 'over' || this.#stage === 'middle') return;
    if (this.#tls !== undefined) this.#layer(this.#tls.gap(fromClient, octets));
    this.#gap(fromClient);
  }

  #gap(fromClient: boolean): void {
    if (this.#stage === 'over') return;
    if (this.#stage === 'authentication' && !fromClient) {
      // Whether the login succeeded, the client will show: by a command.
      this.#serverLost = true;
    } else if (this.#stage !== 'commands') {
      this.#end('gap', 0);
    } else if (fromClient) {
      this.#clientBroke('gap');
    } else if (!this.#serverLost) {
      this.#loseServer();
      this.#server.resync();
      this.#sink.lost('gap', 0);
    } else {
      this.#dropCandidate();
    }
  }

  #newReader(): ReplyReader {
    return new ReplyReader({
      packet: (octets, from, to) => this.#serverPacket(octets, from, to),
      reply: (reply) => this.#reply(reply),
      desync: () => this.#serverBroke(),
    });
  }

  /** The layer of encryption was given octets. */
  #layer(state: LayerState): void {
    if (state === 'ok' || this.#stage === 'over') return;
    this.#end(state === 'broken' && this.#stage === 'commands' ? 'desync' : 'tls', 0);
  }

  /** Octets without encryption. */
  #clientOctets(octets: Uint8Array, from: number, to: number): void {
    const decompressor = this.#compressed?.client;
    if (decompressor === undefined) {
      this.#clientPlain(octets, from, to);
      return;
    }
    const isWhole = isCompressed(octets, from, to, octets[from + 3]);
    if (this.#clientLost) {
      // Some clients send the header in a segment of its own.
      const isHeader = to - from === COMPRESSED_HEADER_OCTETS;
      if (isWhole || isHeader) decompressor.reset();
      else if (decompressor.heldOctets === 0) return;
      if (!decompressor.feed(octets, from, to)) decompressor.reset();
      return;
    }
    // As in #clientPlain: the header of the packet before lied.
    if (isWhole && decompressor.heldOctets > 0 && this.#serverSpoke) this.#clientBroke('desync');
    this.#serverSpoke = false;
    if (!decompressor.feed(octets, from, to)) this.#clientBroke('desync');
  }

  #serverOctets(octets: Uint8Array, from: number, to: number): void {
    const decompressor = this.#compressed?.server;
    if (decompressor === undefined) {
      this.#serverPlain(octets, from, to);
      return;
    }
    if (!this.#serverLost) {
      // As in #serverPlain: the header of the packet before lied.
      const isAnew = this.#clientSpoke && decompressor.heldOctets > 0;
      this.#serverSpoke = true;
      this.#clientSpoke = false;
      if (isAnew && isCompressed(octets, from, to, octets[from + 3])) this.#answeredAnew();
      else {
        if (!decompressor.feed(octets, from, to)) this.#serverBroke();
        return;
      }
    }
    // It begins again with what answers the candidate.
    if (this.#candidate === undefined) return;
    if (decompressor.feed(octets, from, to)) return;
    decompressor.reset();
    this.#dropCandidate();
  }

  /** Octets without compression. */
  #clientPlain(octets: Uint8Array, from: number, to: number): void {
    // As long as nothing was made out, every segment has to be commands to be believed.
    if (this.#clientLost || this.#stage === 'middle') {
      if (countCommands(octets, from, to) === 0) return;
      this.#clientLost = false;
    }
    // A client that was answered and sends a whole command is through with the one before: its header lied.
    if (this.#client.heldOctets > 0 && this.#serverSpoke && this.#stage === 'commands') {
      if (!this.#server.wantsData && countCommands(octets, from, to) > 0) {
        this.#clientBroke('desync');
        this.#clientLost = false;
      }
    }
    this.#serverSpoke = false;
    for (let p = from; p < to && this.#stage !== 'over'; ) {
      const tls = this.#tls;
      p = this.#client.take(octets, p, to);
      if (this.#client.whole) this.#clientPacket();
      else if (this.#client.tooLong) this.#clientBroke('desync');
      if (this.#clientLost) return;
      // SSLRequest was read: what stands behind it is not plain.
      if (this.#tls !== undefined && tls === undefined) {
        if (p < to) this.#layer(this.#tls.fromClient(octets, p, to));
        return;
      }
    }
  }

  #serverPlain(octets: Uint8Array, from: number, to: number): void {
    if (this.#stage === 'middle' && this.#greets(octets, from, to)) this.#beginLate();
    // A server that answers anew is through with the answer before: its header lied.
    const isAnew = this.#clientSpoke && this.#server.inPacket && beginsAnswer(octets, from, to);
    if (isAnew && !this.#serverLost) this.#answeredAnew();
    this.#serverSpoke = true;
    this.#clientSpoke = false;
    this.#commandsUnheard = 0;
    if (this.#serverLost && !this.#findAnswer(octets, from, to)) return;
    this.#server.feed(octets, from, to, this.#at);
  }

  /** Whether a greeting fills [from, to): the capture joined between the SYN and it. */
  #greets(octets: Uint8Array, from: number, to: number): boolean {
    return (
      this.#candidate === undefined &&
      to - from > HEADER_OCTETS &&
      from + HEADER_OCTETS + payloadLength(octets, from) === to &&
      octets[from + 3] === 0 &&
      octets[from + HEADER_OCTETS] === PROTOCOL_V10
    );
  }

  #beginLate(): void {
    this.#stage = 'greeting';
    this.#clientLost = false;
    this.#serverLost = false;
    this.#server = this.#newReader();
  }

  #clientPacket(): void {
    const { octets, start, end } = this.#client;
    if (this.#stage === 'commands' || this.#stage === 'middle') this.#commandPacket(octets, start, end);
    else if (this.#stage === 'hello') this.#hello(octets, start, end);
    else if (octets[start + 3] === 0) this.#commandWithoutOk(octets, start, end);
    else this.#login?.answered(octets, start, end);
  }

  #hello(octets: Uint8Array, start: number, end: number): void {
    const step = this.#login?.hello(octets, start, end);
    if (step === 'authentication') this.#stage = 'authentication';
    else if (step !== 'tls') this.#end('not-mysql', 0);
    else if (this.#openTls === undefined || this.#tls !== undefined) this.#end('tls', 0);
    else {
      this.#tls = this.#openTls({
        client: (plain, from, to) => this.#clientOctets(plain, from, to),
        server: (plain, from, to) => this.#serverOctets(plain, from, to),
      });
    }
  }

  #commandPacket(octets: Uint8Array, start: number, end: number): void {
    const id = octets[start + 3];
    if (this.#server.wantsData) {
      // A LOCAL INFILE's data (whose ids come round to 0), or an answer within COM_CHANGE_USER.
      if (this.#compressed !== undefined || id === this.#dataId) {
        this.#data(octets, start, end);
        return;
      }
      // The server did not ask: its answer was misread.
      this.#serverBroke();
      this.#server.resync();
    } else if (id !== 0 && (id === this.#dataId || this.#serverLost)) {
      // More of a file that the server has had enough of; or an answer to what was missed.
      this.#dataId = nextId(id, end - start);
      return;
    }
    const com = end - start > HEADER_OCTETS ? octets[start + HEADER_OCTETS] : -1;
    if (id !== 0 || !isCommand(com)) {
      this.#clientBroke('desync');
      return;
    }
    if (REPLICATES.has(com)) {
      this.#end('replication', 1);
      return;
    }
    const command: Command = {
      ordinal: this.#ordinal,
      at: this.#at,
      com,
      expect: expectOf(com),
      // A replay keeps statements as long as their sessions live: in memory of their own.
      packet: com === COM.stmtPrepare ? copyOf(octets, start, end) : this.#client.owned(),
    };
    if (this.#stage === 'middle') {
      // Not told before its answer agrees.
      if (command.expect === EXPECT.none) return;
      this.#dropCandidate();
      this.#candidate = this.#commandsUnheard++ === 0 ? command : undefined;
      if (this.#candidate === undefined) this.#unanswered++;
      return;
    }
    this.#ordinal++;
    this.#sink.command(command);
    if (command.expect === EXPECT.none) return;
    if (this.#serverLost) {
      this.#dropCandidate();
      this.#candidate = this.#commandsUnheard++ === 0 ? command : undefined;
      if (this.#candidate === undefined) this.#unanswered++;
      this.#compressed?.server.reset();
    } else {
      this.#clientSpoke = true;
      this.#awaiting.push(command);
      this.#server.expect(command.expect);
    }
  }

  /** What the server has asked for in the midst of its answer. */
  #data(octets: Uint8Array, start: number, end: number): void {
    const command = this.#awaiting.at(0);
    if (command === undefined) return;
    this.#dataId = nextId(octets[start + 3], end - start);
    if (this.#server.wantsFile) {
      command.file ??= new LocalFile();
      command.file.add(octets, start, end);
    } else if (end - start > HEADER_OCTETS + 1) command.withPassword = true;
  }

  /** A command while the login seems to be under way: if octets of the server's are missing, its OK was among them. */
  #commandWithoutOk(octets: Uint8Array, start: number, end: number): void {
    if (!this.#serverLost) {
      this.#end('desync', 1);
      return;
    }
    this.#loggedIn();
    if (this.#stage !== 'commands') return;
    this.#sink.lost('gap', 0);
    this.#commandPacket(octets, start, end);
  }

  #serverPacket(octets: Uint8Array, from: number, to: number): void {
    const login = this.#login;
    if (login === undefined) {
      // Within an answer: the client's own packets tell all that matters.
      this.#dataId = nextId(octets[from + 3], to - from);
      return;
    }
    const mark = markOf(octets, from, to);
    if (this.#stage === 'greeting') {
      if (login.greeting(octets, from, to)) this.#stage = 'hello';
      else if (mark === MARK.err) this.#endUngreeted(login.refused(octets, from, to));
      else this.#end('not-mysql', 0);
    } else if (mark === MARK.err) {
      const { shown } = login;
      if (shown === undefined) this.#endUngreeted(login.refused(octets, from, to));
      else {
        this.#stop();
        this.#sink.refused(shown, login.refused(octets, from, to));
      }
    } else if (this.#stage === 'hello') {
      this.#end('not-mysql', 0);
    } else if (mark === MARK.ok) {
      this.#loggedIn();
    } else login.asked(octets, from, to);
  }

  /** The server turned its client away by `errno` before that said who it was. */
  #endUngreeted(errno: number): void {
    this.#end(saysNoRoom(errno) ? 'no-room' : 'login-failed', 0);
  }

  #loggedIn(): void {
    const shown = this.#login?.shown as LoginShown;
    this.#login = undefined;
    this.#stage = 'commands';
    const { capabilities, extendedCapabilities } = shown;
    this.#server.commandPhase(capabilities, extendedCapabilities);
    if (shown.old) this.#server.oldProtocol();
    const zstd = has(capabilities, CLIENT.zstdCompression);
    // A client that offers both gets zlib (MySQL manual, "Connection Compression Control").
    if (zstd || has(capabilities, CLIENT.compress)) {
      const method = has(capabilities, CLIENT.compress) ? 'zlib' : 'zstd';
      this.#compressed = {
        client: new Decompressor(method, (octets, from, to) => this.#clientPlain(octets, from, to)),
        server: new Decompressor(method, (octets, from, to) => this.#serverPlain(octets, from, to)),
      };
    }
    this.#sink.login(shown);
  }

  #reply(reply: Reply): void {
    const command = this.#awaiting.shift();
    if (command === undefined) return;
    command.reply = reply;
    this.#sink.reply(command);
  }

  /** From here on the client's commands are unknown, and so is what the server's answers belong to. */
  #clientBroke(cause: 'gap' | 'desync'): void {
    if (this.#clientLost) return;
    if (this.#stage === 'middle') {
      this.#client.reset();
      this.#clientLost = true;
      return;
    }
    const commands = this.#server.wantsData ? 0 : 1;
    this.#client.reset();
    this.#compressed?.client.reset();
    this.#clientLost = true;
    this.#loseServer();
    this.#server.resync();
    this.#sink.lost(cause, commands);
  }

  #serverBroke(): void {
    if (this.#stage === 'commands') {
      this.#loseServer();
      this.#sink.lost('desync', 0);
    } else {
      this.#end('not-mysql', 0);
    }
  }

  /** The server answers the last command, though the answer before seems to go on. */
  #answeredAnew(): void {
    const last = this.#awaiting.at(-1);
    if (last === undefined) return;
    this.#server.resync();
    this.#loseServer();
    this.#unanswered--;
    this.#candidate = last;
    this.#sink.lost('desync', 0);
  }

  #loseServer(): void {
    this.#unanswered += this.#awaiting.length;
    this.#awaiting = [];
    this.#dropCandidate();
    this.#serverLost = true;
    this.#compressed?.server.reset();
  }

  #dropCandidate(): void {
    if (this.#candidate === undefined) return;
    this.#unanswered++;
    this.#candidate = undefined;
  }

  /** Whether a whole first packet of an answer stands at `from`, now that one is expected. */
  #findAnswer(octets: Uint8Array, from: number, to: number): boolean {
    const command = this.#candidate;
    if (command === undefined) return false;
    const plausible =
      to - from > HEADER_OCTETS &&
      (octets[from + 3] === 1 || this.#compressed !== undefined) &&
      payloadLength(octets, from) > 0 &&
      from + HEADER_OCTETS + payloadLength(octets, from) <= to;
    if (!plausible) {
      this.#dropCandidate();
      return false;
    }
    this.#candidate = undefined;
    this.#serverLost = false;
    if (this.#stage === 'middle') this.#join(command);
    this.#awaiting.push(command);
    this.#server.resync();
    this.#server.expect(command.expect);
    return true;
  }

  /** Both directions agree: `command` is the first that is told. */
  #join(command: Command): void {
    this.#stage = 'commands';
    this.#login = undefined;
    const commands = this.#unanswered;
    this.#unanswered = 0;
    this.#ordinal++;
    this.#sink.joined(commands);
    this.#sink.command(command);
  }

  #end(cause: LostCause, commands: number): void {
    if (this.#stage === 'over') return;
    this.#stop();
    this.#sink.lost(cause, commands);
  }

  #stop(): void {
    this.#stage = 'over';
    this.#unanswered += this.#awaiting.length;
    this.#awaiting = [];
    this.#client.reset();
    this.#server.resync();
    this.#compressed?.client.reset();
    this.#compressed?.server.reset();
  }
}

/** Whether packets with ids from 1 on stand in [from, to), the first of them whole: what an answer begins with. */
function beginsAnswer(octets: Uint8Array, from: number, to: number): boolean {
  let at = from;
  for (let id = 1; to - at >= HEADER_OCTETS; id++) {
    const length = payloadLength(octets, at);
    if (length === 0 || octets[at + 3] !== (id & 255)) return false;
    at += HEADER_OCTETS + length;
    if (at > to) return id > 1;
  }
  return at > from;
}

/** The id behind that of a packet which begins with `id` and takes so many octets, headers included. */
function nextId(id: number, octets: number): number {
  return (id + Math.floor(octets / (MAX_PAYLOAD + HEADER_OCTETS)) + 1) & 255;
}
