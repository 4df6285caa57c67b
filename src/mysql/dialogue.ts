import type { CaptureNs } from '../time.ts';
import { PacketAssembler } from './assembler.ts';
import { CLIENT, has } from './capabilities.ts';
import {
  beginsCommand,
  COM,
  type Command,
  countBegun,
  countCommands,
  EXPECT,
  expectOf,
  isCommand,
  LocalFile,
} from './command.ts';
import { Decompressor, isCompressed } from './compression.ts';
import { beginsHello, markOf, PROTOCOL_V10 } from './handshake.ts';
import { saysNoRoom } from './login-errors.ts';
import { copyOf, HEADER_OCTETS, MARK, MAX_PAYLOAD, payloadLength } from './packet.ts';
import { type LoginShown, RecordedLogin } from './recorded-login.ts';
import type { Reply } from './reply.ts';
import { ReplyReader } from './reply-reader.ts';
import { Hold, type Room } from './room.ts';
import { Turns } from './turns.ts';

/** The longest command that a server can be set to take in: max_allowed_packet's own limit. */
const COMMAND_OCTETS = 1024 * 1024 * 1024;

/** What unfinished commands and files of several conversations may take: one command of any length has room, if it is the only one. */
export const UNFINISHED_OCTETS = COMMAND_OCTETS;

/** What a packet of a file takes beside its octets. */
const FILE_PACKET_OCTETS = 256;

/** What only servers say, that copy another. */
const REPLICATES: readonly number[] = [
  COM.binlogDump,
  COM.binlogDumpGtid,
  COM.registerSlave,
  COM.tableDump,
  COM.clone,
  COM.subscribeGroupReplication,
];

/** Of a compressed packet (MySQL manual, "Compression"). */
const COMPRESSED_HEADER_OCTETS = 7;

/** TLS's type of application data, and the major version of all TLS (RFC 8446 5.1). */
const TLS_APPLICATION_DATA = 23;
const TLS_MAJOR = 3;

const NOTHING = new Uint8Array(0);

/** The ordinal of a command that is lost but for its shape: it is not told, and its answer comes in its turn. */
const UNSEEN = -1;

/** Commands of one turn whose answers are looked for where it is not sure whose they are. */
const MOST_ON_TRIAL = 10_000;

/** Turns that were answered without anything left over, until a client that pipelines is believed to have nothing under way. */
const CLEAN_ROUNDS = 3;

/** Why a conversation cannot be read, for good or (gap, desync) for a while. */
export type LostCause =
  | 'tls'
  | 'gap'
  | 'desync'
  | 'joined-late'
  | 'login-failed'
  /** The server turned its client away, or unfinished commands and files took all the room that there is for them. */
  | 'no-room'
  | 'not-mysql'
  | 'replication';

export interface DialogueSink {
  /** The login succeeded. */
  login(login: LoginShown): void;
  /** The server refused it, with its error `errno`: nothing follows. */
  refused(login: LoginShown, errno: number): void;
  /** The login was not seen, and the first command is made out: it is told next. `commands` before it are not told. */
  joined(commands: number): void;
  command(command: Command): void;
  /**
   * The answer to `command` was read whole; it is `command.reply` already. It is not told where it is not sure that the
   * answer is this command's.
   */
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
  /** Nothing more can be read before keys come, which may still happen. */
  readonly awaitsKeys: boolean;
  /** Looks for them; `isLast`: they would be too late from now on. */
  look(isLast: boolean): LayerState;
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
  /** Its login is lost, even where a part of it comes yet: commands only. */
  withoutLogin?: boolean;
  /** What unfinished commands and files may take, of all conversations that share it. Default: one of its own. */
  room?: Room;
}

type Stage =
  /** The connection's beginning was not captured, and nothing was made out yet. */
  'middle' | 'greeting' | 'hello' | 'authentication' | 'commands' | 'over';

/** How sure it is whose answer the server's next octets are. */
type Pairing =
  /** Answers come in the order of the commands that wait for them. */
  | 'sure'
  /** Commands were sent with nothing under way, as far as that shows; their answers are told once the client goes on from them. */
  | 'trial'
  /** Nobody knows: answers stay unknown. */
  | 'none';

/**
 * One connection's conversation, from the octets of both directions, each in order, and no octets before those that they
 * acknowledge: login, then commands and their answers.
 *
 * After octets were missed it finds its feet again by evidence alone. Commands begin where the client speaks after the
 * server did, or fill a segment. An answer belongs to a command that was sent while nothing was under way (turns.ts), if the
 * client then goes on with that answer read, and nothing else came with it. Answers of which that is not known stay unknown.
 */
export class Dialogue {
  readonly #sink: DialogueSink;
  readonly #openTls: DialogueOptions['openTls'];
  /** A greeting may come yet. */
  readonly #mayGreet: boolean;
  readonly #room: Room;
  readonly #client: PacketAssembler;
  /** What the file takes that the client sends; it counts until it is whole. */
  readonly #fileHold: Hold;
  #fileOctets = 0;
  #file: LocalFile | undefined;
  #server: ReplyReader;
  #stage: Stage;
  #begun = false;
  /** Until the command phase. */
  #login: RecordedLogin | undefined = new RecordedLogin();
  /** Octets of the server's are missing from the login: whether it succeeded, a command will show. */
  #loginMissed = false;
  #tls: Layer | undefined;
  /** Where the session is compressed, from the command phase on. */
  #compressed: { client: Decompressor; server: Decompressor } | undefined;
  #ordinal = 0;
  /** The client is a replica: nothing that it says is told, but counted. */
  #replicates = false;
  readonly #turns = new Turns();
  #pairing: Pairing;
  /** Commands whose answers the reader expects. */
  #awaiting: Command[] = [];
  /** The commands on trial that were answered, and their answers. */
  #trial: { command: Command; reply: Reply }[] = [];
  /** The client has gone on from the answers on trial; it is yet to be seen whether it now says more than it waits for. */
  #provisional = false;
  /** It was known before that turn that the client does not wait for answers. */
  #knownToPipeline = false;
  /** Rounds without a doubt since the last one with. */
  #cleanRounds = 0;
  /** Where nobody knows: answers that have begun since the client spoke … */
  #answersSeen = 0;
  /** … and commands of its turn that are lost, as far as they were counted. */
  #turnMissed = 0;
  /** Where nobody knows: the commands of this turn that have an answer. */
  #turnCommands: Command[] = [];
  /** The server's next octets are the first after a turn that they can only answer. */
  #armed = false;
  /** The client's octets make no sense until they begin a command again. */
  #clientLost: boolean;
  /** So many of the client's next octets belong to a command that is lost: behind them another begins. */
  #rest = 0;
  /** What the assembler holds began where a command may begin; it is one if it ends where commands do. */
  #probing = false;
  /** The segment at work begins a turn of the client's. */
  #turnBegins = false;
  /** The client goes on though an answer seems not to be whole: that lied. */
  #answerLied = false;
  /** What this turn lost was told, or counted. */
  #turnCounted = false;
  #unanswered = 0;
  /** The id of the next packet of what the server has asked the client for, where packets are numbered. */
  #dataId = 0;
  /** The client is sending what the server has asked for, in octets that are missing. */
  #inData = false;
  /** The command told last. */
  #last: Command | undefined;
  /** The client sent a command since the server spoke. */
  #clientSpoke = false;
  #at: CaptureNs = 0;

  constructor(
    sink: DialogueSink,
    { openTls, joinedLate = false, withoutLogin = false, room }: DialogueOptions = {},
  ) {
    this.#sink = sink;
    this.#room = room ?? { octets: 0, limit: UNFINISHED_OCTETS };
    this.#client = new PacketAssembler(COMMAND_OCTETS, this.#room);
    this.#fileHold = new Hold(this.#room);
    this.#openTls = openTls;
    this.#mayGreet = !withoutLogin;
    this.#stage = joinedLate ? 'middle' : 'greeting';
    this.#clientLost = joinedLate;
    this.#pairing = joinedLate ? 'none' : 'sure';
    this.#server = this.#newReader();
    if (joinedLate) this.#server.joinedLate();
  }

  /** Whether octets came, or were missed. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Whether nothing more can be read before the keys of its TLS come, which may still happen: what comes meanwhile is to be kept. */
  get awaitsKeys(): boolean {
    return this.#tls?.awaitsKeys === true;
  }

  /** Looks for them. `isLast`: they would be too late from now on. */
  lookForKeys(isLast: boolean): void {
    if (this.#tls !== undefined) this.#layer(this.#tls.look(isLast));
  }

  /** Commands that wait for their answers. */
  get pending(): number {
    return this.#awaiting.length;
  }

  /** Commands whose answers are unknown; before `joined`: that were seen and not told. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** Commands that were seen and not told. */
  get untold(): number {
    if (this.#stage === 'middle') return this.#unanswered;
    // What it began to say behind its login.
    const { unfinished } = this.#client;
    const isCommand = unfinished.length >= HEADER_OCTETS && unfinished[3] === 0;
    return this.#stage === 'authentication' && isCommand ? 1 : 0;
  }

  /** Whether the client tried to log in. */
  get sawLogin(): boolean {
    return this.#login?.shown !== undefined || this.#stage === 'commands';
  }

  /**
   * The client's next octets, [from, to): those of one segment, where segments are known. `caughtUp`: it had acknowledged
   * everything of the server's that came before.
   */
  fromClient(octets: Uint8Array, from: number, to: number, at: CaptureNs, caughtUp = true): void {
    this.#at = at;
    if (this.#stage === 'over') return;
    this.#clientComes(caughtUp);
    // Where it says who it is, it was greeted.
    if (this.#stage === 'greeting') this.#end(beginsHello(octets, from, to) ? 'gap' : 'not-mysql', 0);
    else if (this.#tls !== undefined) this.#layer(this.#tls.fromClient(octets, from, to));
    else this.#clientOctets(octets, from, to);
  }

  /**
   * The server's next octets, [from, to): those of one segment, where segments are known. `caughtUp`: it had acknowledged
   * everything of the client's that came before.
   */
  fromServer(octets: Uint8Array, from: number, to: number, at: CaptureNs, caughtUp = true): void {
    this.#at = at;
    if (this.#stage === 'over') return;
    this.#begun = true;
    if (this.#turns.server(caughtUp)) this.#armed = caughtUp && this.#turns.isClean;
    if (this.#tls !== undefined) this.#layer(this.#tls.fromServer(octets, from, to));
    else this.#serverOctets(octets, from, to);
  }

  /** The client's FIN: it has read what it wanted to read. */
  clientEnded(): void {
    if (this.#pairing === 'trial' && this.#awaiting.length === 0) this.#judge(true);
    this.#settleTrial();
  }

  /** Nothing follows: a command that is not whole was never one. */
  finish(): void {
    if (this.#stage !== 'commands' && this.#stage !== 'middle') return;
    if (this.#pairing === 'trial') this.#judge(true);
    this.#settleTrial();
    const held = this.#client.heldOctets + (this.#compressed?.client.heldOctets ?? 0);
    if (held === 0 || this.#server.wantsData) return;
    if (this.#clientLost) this.#missTurn();
    else this.#clientBroke('desync');
  }

  /** It is over, and gives its room back: nothing more is read. */
  close(): void {
    this.#stage = 'over';
    this.#client.close();
    this.#compressed?.client.close();
    this.#compressed?.server.close();
    this.#fileHold.close();
    this.#file = undefined;
  }

  /** So many octets are missing here, in the client's direction or in the server's. */
  gap(fromClient: boolean, octets: number): void {
    if (this.#stage === 'over') return;
    if (this.#tls !== undefined) this.#layer(this.#tls.gap(fromClient, octets));
    const isPlain = this.#tls === undefined && this.#compressed === undefined;
    this.#gap(fromClient, isPlain ? octets : 0);
  }

  /** `octets`: how many of the conversation's own octets are missing; 0 where that is not known. */
  #gap(fromClient: boolean, octets: number): void {
    if (this.#stage === 'over') return;
    if (fromClient) this.#clientComes(false);
    else {
      this.#begun = true;
      this.#turns.server(true);
      this.#armed = false;
    }
    if (this.#stage === 'authentication' && !fromClient) this.#loginMissed = true;
    else if (this.#stage !== 'commands' && this.#stage !== 'middle') this.#end('gap', this.untold);
    else if (fromClient) this.#clientGap(octets);
    else this.#serverGap();
  }

  #clientGap(octets: number): void {
    if (this.#rest > 0 && octets > 0 && octets <= this.#rest) {
      this.#rest -= octets;
      return;
    }
    if (this.#clientLost ? this.#probing : this.#stage === 'commands') {
      if (octets > 0 && octets <= this.#client.lacking && this.#loseOne(octets)) return;
    }
    this.#rest = 0;
    this.#turns.clientGap();
    if (!this.#clientLost) {
      this.#clientBroke('gap');
      return;
    }
    this.#forgetCommands();
    this.#missTurn();
  }

  /**
   * `octets` are missing within the command at work, whose header and number are there: it is lost, nothing else is, and its
   * answer will be known by its place. False where what is at work is no command.
   */
  #loseOne(octets: number): boolean {
    const { unfinished, lacking } = this.#client;
    if (unfinished.length <= HEADER_OCTETS || !beginsCommand(unfinished, 0, unfinished.length)) return false;
    const com = unfinished[HEADER_OCTETS];
    if (REPLICATES.includes(com) || this.#server.wantsData || this.#replicates) return false;
    this.#client.reset();
    this.#probing = false;
    this.#clientLost = false;
    this.#rest = lacking - octets;
    this.#turnCounted = true;
    this.#turnMissed++;
    if (this.#stage === 'middle') this.#unanswered++;
    else this.#sink.lost('gap', 1);
    const command: Command = { ordinal: UNSEEN, at: this.#at, com, expect: expectOf(com), packet: NOTHING };
    // In the middle nothing is believed before all of it is there.
    if (this.#stage === 'middle') this.#turns.clientGap();
    else if (command.expect !== EXPECT.none) this.#expect(command);
    return true;
  }

  /** Passes over what stands in [from, to) of a command that is lost. Returns where that ends. */
  #passRest(octets: Uint8Array, from: number, to: number): number {
    const passed = Math.min(this.#rest, to - from);
    this.#rest -= passed;
    const next = from + passed;
    if (to - next > HEADER_OCTETS && !beginsCommand(octets, next, to)) {
      // Its header lied.
      this.#clientLost = true;
      this.#loseServer();
      this.#server.resync();
    }
    return next;
  }

  #serverGap(): void {
    if (this.#stage === 'middle') {
      // They are commands, whatever was answered.
      if (this.#turnCommands.length > 0) this.#join(this.#turnCommands);
    } else {
      this.#settleTrial();
      if (this.#pairing === 'trial') this.#failTrial();
      else if (this.#pairing === 'sure') {
        // With nothing under way, what is missing answered a command that is missing too, and is told as such.
        if (this.#awaiting.length > 0) this.#loseServer();
        this.#server.resync();
        this.#sink.lost('gap', 0);
      }
    }
    this.#turnCommands = [];
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

  /** The client speaks, or octets of it are missing: then it is not `caughtUp`. */
  #clientComes(caughtUp: boolean): void {
    const isFirst = !this.#begun;
    this.#begun = true;
    this.#armed = false;
    this.#turnBegins = this.#turns.begins || isFirst;
    if (!this.#turnBegins) return;
    if (this.#turnMissed > 0 || this.#turns.hasHole) this.#countUnseen();
    this.#turnCounted = false;
    this.#inData = false;
    this.#answersSeen = 0;
    this.#turnMissed = 0;
    // The server does not speak into a command.
    this.#rest = 0;
    this.#turns.client(caughtUp, this.#seemsAnswered(caughtUp));
    // The server does not speak into a command: this was none.
    this.#forgetCommands();
  }

  /** The turn is over: of a turn that has holes, there were as many commands as there are answers. */
  #countUnseen(): void {
    const unseen = this.#answersSeen - this.#turns.answered - this.#turnMissed;
    if (unseen <= 0) return;
    if (this.#stage === 'middle') this.#unanswered += unseen;
    else if (this.#stage === 'commands') this.#sink.lost('gap', unseen);
  }

  /** Whether everything that the client said before the turn that begins is answered, as far as that shows. */
  #seemsAnswered(caughtUp: boolean): boolean {
    this.#answerLied = false;
    if (this.#pairing === 'none') return this.#turns.isShort;
    if (this.#pairing === 'trial') return this.#server.wantsData || this.#judge(caughtUp);
    if (this.#awaiting.length === 0) return true;
    // A client that always waited for its answer goes on in the midst of it: its header lied.
    const isLie = this.#server.inPacket && this.#awaiting.length === 1 && !this.#turns.pipelines;
    this.#answerLied = isLie && caughtUp;
    if (!this.#answerLied && !this.#server.wantsData) this.#turns.overlaps = true;
    return this.#answerLied;
  }

  /** What the assembler probes, and the commands of this turn, are not to be believed, or not to be answered. */
  #forgetCommands(): void {
    if (this.#probing) {
      this.#probing = false;
      this.#client.reset();
    }
    if (this.#turnCommands.length > 0) this.#turnCommands = [];
  }

  /** So many commands of this turn are lost. */
  #missTurn(commands = 1): void {
    if (this.#turnCounted) return;
    this.#turnCounted = true;
    this.#turnMissed += commands;
    if (this.#stage === 'middle') this.#unanswered += commands;
    else this.#sink.lost('gap', commands);
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
      if (isWhole || isHeader || this.#turnBegins) decompressor.reset();
      else if (decompressor.heldOctets === 0) {
        this.#missTurn();
        return;
      }
      if (!decompressor.feed(octets, from, to)) {
        decompressor.reset();
        this.#missTurn();
      }
      return;
    }
    // As in #clientPlain: the header of the packet before lied.
    if (isWhole && decompressor.heldOctets > 0 && this.#turnBegins) this.#clientBroke('desync');
    if (!decompressor.feed(octets, from, to)) this.#clientBroke(decompressor.noRoom ? 'no-room' : 'desync');
  }

  #serverOctets(octets: Uint8Array, from: number, to: number): void {
    const decompressor = this.#compressed?.server;
    if (decompressor === undefined) {
      this.#serverPlain(octets, from, to);
      return;
    }
    this.#settleTrial();
    // As in #serverPlain: the header of the packet before lied.
    const isAnew = this.#pairing === 'sure' && this.#clientSpoke && decompressor.heldOctets > 0;
    this.#clientSpoke = false;
    if (isAnew && isCompressed(octets, from, to, octets[from + 3])) this.#answersAnew();
    if (this.#pairing === 'none') {
      if (!this.#armed) return;
      decompressor.reset();
    }
    if (!decompressor.feed(octets, from, to)) this.#serverBroke();
  }

  /** Octets without compression. */
  #clientPlain(octets: Uint8Array, from: number, to: number): void {
    if (this.#rest > 0) {
      from = this.#passRest(octets, from, to);
      if (from === to) return;
    }
    // As long as nothing was made out, every segment has to be commands to be believed.
    if ((this.#clientLost || this.#stage === 'middle') && !this.#findCommand(octets, from, to)) return;
    // A client that was answered and sends a whole command is through with the one before: its header lied.
    if (this.#client.heldOctets > 0 && this.#turnBegins && this.#stage === 'commands') {
      if (!this.#server.wantsData && countCommands(octets, from, to) > 0) this.#clientBroke('desync');
      if (this.#clientLost && !this.#findCommand(octets, from, to)) return;
    }
    for (let p = from; p < to && this.#stage !== 'over'; ) {
      const tls = this.#tls;
      p = this.#client.take(octets, p, to);
      if (this.#client.whole) {
        if (this.#probing && !this.#endsProbe(octets, p, to)) return;
        this.#clientPacket();
      } else if (this.#client.tooLong) this.#clientBroke(this.#client.noRoom ? 'no-room' : 'desync');
      if (this.#clientLost && !this.#probing && this.#stage === 'commands') return;
      // SSLRequest was read: what stands behind it is not plain.
      if (this.#tls !== undefined && tls === undefined) {
        if (p < to) this.#layer(this.#tls.fromClient(octets, p, to));
        return;
      }
    }
  }

  /** Whether commands begin at `from`, or go on there, now that it is not known where they do. */
  #findCommand(octets: Uint8Array, from: number, to: number): boolean {
    if (this.#probing) return true;
    // What the server has asked for goes on, whatever is missing of it.
    if (this.#inData) return false;
    if (countCommands(octets, from, to) > 0) {
      this.#clientLost = false;
      return true;
    }
    if (this.#turnBegins && beginsCommand(octets, from, to)) {
      this.#probing = true;
      return true;
    }
    if (this.#isNoCommand(octets, from, to)) {
      // Nor is what may be missing of it, or comes behind it.
      this.#turnCounted = true;
      this.#inData = octets[from + 3] > 1;
      return false;
    }
    // Another one of the same turn, of which the capture has no more than its beginning.
    if (to - from <= HEADER_OCTETS || beginsCommand(octets, from, to)) this.#turnCounted = false;
    this.#missTurn(countBegun(octets, from, to));
    return false;
  }

  /** Whether what stands there is known to be something else than a command, or part of one. */
  #isNoCommand(octets: Uint8Array, from: number, to: number): boolean {
    // Packets of a login, or of what the server has asked for.
    if (answers(octets, from, to) || beginsHello(octets, from, to)) return true;
    // Of a session under TLS that was joined late nobody can say how many commands it has.
    const isTls = octets[from] === TLS_APPLICATION_DATA && octets[from + 1] === TLS_MAJOR;
    return this.#stage === 'middle' && isTls;
  }

  /** Whether the packet that was probed is a command: with it the segment ends, or another begins. */
  #endsProbe(octets: Uint8Array, at: number, to: number): boolean {
    this.#probing = false;
    // Of the next one there may be no more than a part of its header.
    if (to - at <= HEADER_OCTETS || beginsCommand(octets, at, to)) {
      this.#clientLost = false;
      return true;
    }
    this.#missTurn();
    return false;
  }

  #serverPlain(octets: Uint8Array, from: number, to: number): void {
    if (this.#stage === 'middle' && this.#greets(octets, from, to)) this.#beginLate();
    this.#settleTrial();
    // A server that answers anew is through with the answer before: its header lied.
    const isAnew = this.#clientSpoke && this.#server.inPacket && beginsAnswer(octets, from, to);
    this.#clientSpoke = false;
    if (isAnew && this.#pairing === 'sure') this.#answersAnew();
    if (this.#pairing === 'none' && !this.#tryAnswer(octets, from, to)) {
      // More answers than commands: the client does not wait for them.
      if (beginsAnswer(octets, from, to)) this.#answersSeen += countAnswers(octets, from, to);
      if (this.#answersSeen > Math.max(1, this.#turns.answered)) this.#turns.pipelines = true;
      return;
    }
    this.#server.feed(octets, from, to, this.#at);
    // Something follows the answer that the client had not asked for then: others were under way.
    if (this.#pairing === 'trial' && this.#server.heldOctets > 0) this.#contradicted(false);
  }

  /** Whether a greeting fills [from, to): the capture joined between the SYN and it. */
  #greets(octets: Uint8Array, from: number, to: number): boolean {
    return (
      this.#mayGreet &&
      this.#turnCommands.length === 0 &&
      to - from > HEADER_OCTETS &&
      from + HEADER_OCTETS + payloadLength(octets, from) === to &&
      octets[from + 3] === 0 &&
      octets[from + HEADER_OCTETS] === PROTOCOL_V10
    );
  }

  #beginLate(): void {
    this.#stage = 'greeting';
    this.#clientLost = false;
    this.#pairing = 'sure';
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
    } else if (id !== 0 && (id === this.#dataId || this.#pairing === 'none')) {
      this.#strayData(octets, start, end);
      return;
    } else if (this.#inData && id === this.#dataId) {
      this.#strayData(octets, start, end);
      return;
    }
    const com = end - start > HEADER_OCTETS ? octets[start + HEADER_OCTETS] : -1;
    // A replica acknowledges what it got (semi-synchronous replication) by packets that are no commands.
    if (this.#replicates && !isCommand(com)) return;
    if (id !== 0 || !isCommand(com)) {
      this.#clientBroke('desync');
      return;
    }
    if (REPLICATES.includes(com)) this.#replicate();
    if (this.#replicates) {
      this.#sink.lost('replication', 1);
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
    if (this.#stage !== 'middle') {
      this.#ordinal++;
      this.#last = command;
      this.#sink.command(command);
    }
    if (command.expect !== EXPECT.none) this.#expect(command);
    // Not told before the server shows that it was one.
    else if (this.#stage === 'middle') this.#unanswered++;
  }

  /** The server is going to answer `command`. */
  #expect(command: Command): void {
    this.#turns.command();
    if (this.#pairing === 'sure') {
      if (this.#awaiting.length > 0 && !this.#answerLied) this.#turns.pipelines = true;
      this.#clientSpoke = true;
      this.#awaiting.push(command);
      this.#server.expect(command.expect);
      return;
    }
    if (this.#pairing === 'trial' && !this.#provisional) this.#contradicted(true);
    command.unpaired = true;
    this.#unanswered++;
    if (this.#turnCommands.length < MOST_ON_TRIAL) this.#turnCommands.push(command);
  }

  /** From here on the server sends its binary log, and the client hardly anything. */
  #replicate(): void {
    if (this.#replicates) return;
    this.#replicates = true;
    this.#loseServer();
    this.#server.resync();
    const { untold } = this;
    this.#stage = 'commands';
    if (untold > 0) this.#sink.lost('replication', untold);
  }

  /** What the server has asked for in the midst of its answer. */
  #data(octets: Uint8Array, start: number, end: number): void {
    const command = this.#awaiting.at(0);
    if (command === undefined) return;
    this.#dataId = nextId(octets[start + 3], end - start);
    if (this.#server.wantsFile) {
      command.file ??= new LocalFile();
      this.#addToFile(command.file, octets, start, end);
    } else if (end - start > HEADER_OCTETS + 1) command.withPassword = true;
  }

  /** The next packet of `file`, which is given up where there is no room for it. */
  #addToFile(file: LocalFile, octets: Uint8Array, start: number, end: number): void {
    if (file !== this.#file) this.#fileOctets = 0;
    this.#file = file;
    this.#fileOctets += end - start + FILE_PACKET_OCTETS;
    if (!file.tooLong && !this.#fileHold.set(this.#fileOctets)) file.giveUp();
    file.add(octets, start, end);
    if (!file.whole && !file.tooLong) return;
    this.#fileHold.free();
    this.#file = undefined;
  }

  /** More of a file that the server has had enough of; or what it asked for in octets that are missing. */
  #strayData(octets: Uint8Array, start: number, end: number): void {
    const id = octets[start + 3];
    const last = this.#last;
    // The first packet of a file answers the request, whose id is 1.
    if (this.#pairing === 'none' && id === 2 && last !== undefined && this.#turnBegins) {
      if (last.com === COM.query || last.com === COM.stmtExecute) last.file ??= new LocalFile();
    }
    this.#inData = end - start > HEADER_OCTETS;
    if (this.#pairing === 'none' && last?.file?.whole === false)
      this.#addToFile(last.file, octets, start, end);
    this.#dataId = nextId(id, end - start);
  }

  /** A command while the login seems to be under way: if octets of the server's are missing, its OK was among them. */
  #commandWithoutOk(octets: Uint8Array, start: number, end: number): void {
    if (!this.#loginMissed) {
      this.#end('desync', 1);
      return;
    }
    this.#loggedIn();
    if (this.#stage !== 'commands') return;
    this.#pairing = 'none';
    this.#server.resync();
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
        client: new Decompressor(
          method,
          (octets, from, to) => this.#clientPlain(octets, from, to),
          this.#room,
        ),
        server: new Decompressor(
          method,
          (octets, from, to) => this.#serverPlain(octets, from, to),
          this.#room,
        ),
      };
    }
    this.#sink.login(shown);
  }

  #reply(reply: Reply): void {
    const command = this.#awaiting.shift();
    if (command === undefined || command.ordinal === UNSEEN) return;
    if (this.#pairing === 'trial') {
      command.onTrial = true;
      this.#trial.push({ command, reply });
      return;
    }
    command.reply = reply;
    this.#sink.reply(command);
  }

  /** From here on the client's commands are unknown, and so is what the server's answers belong to. */
  #clientBroke(cause: 'gap' | 'desync' | 'no-room'): void {
    if (this.#clientLost && !this.#probing) return;
    this.#settleTrial();
    this.#probing = false;
    this.#client.reset();
    this.#compressed?.client.reset();
    this.#clientLost = true;
    if (this.#stage === 'middle') {
      this.#missTurn();
      this.#turnCommands = [];
      return;
    }
    const isData = this.#server.wantsData;
    const commands = isData ? 0 : 1;
    this.#inData ||= isData;
    this.#turnCounted = true;
    this.#turnMissed += commands;
    this.#loseServer();
    this.#server.resync();
    this.#sink.lost(cause, commands);
  }

  #serverBroke(): void {
    if (this.#pairing === 'trial') {
      this.#failTrial();
    } else if (this.#stage === 'commands') {
      this.#loseServer();
      this.#sink.lost('desync', 0);
    } else {
      this.#end('not-mysql', 0);
    }
  }

  /** The server answers the last command, though the answer before seems to go on. */
  #answersAnew(): void {
    const ofTurn = this.#awaiting.slice(-this.#turns.answered);
    this.#server.resync();
    this.#loseServer();
    this.#turnCommands = ofTurn;
    this.#sink.lost('desync', 0);
  }

  /** Which answers come next is not known any more. */
  #loseServer(): void {
    if (this.#pairing === 'trial') this.#failTrial();
    this.#unanswered += this.#awaiting.length;
    this.#awaiting = [];
    this.#pairing = 'none';
    this.#cleanRounds = 0;
    this.#turnCommands = [];
    this.#compressed?.server.reset();
  }

  /** Whether the first packet of an answer stands at `from`, whole, and can only answer the commands of this turn. */
  #tryAnswer(octets: Uint8Array, from: number, to: number): boolean {
    const commands = this.#turnCommands;
    const isArmed = this.#armed && commands.length === this.#turns.answered;
    this.#armed = false;
    this.#turnCommands = [];
    if (commands.length === 0) return false;
    const isPlausible =
      to - from > HEADER_OCTETS &&
      (octets[from + 3] === 1 || this.#compressed !== undefined) &&
      payloadLength(octets, from) > 0 &&
      from + HEADER_OCTETS + payloadLength(octets, from) <= to;
    if (!isPlausible) return false;
    if (this.#stage === 'middle') this.#join(commands);
    if (!isArmed) return false;
    this.#pairing = 'trial';
    this.#awaiting = commands;
    this.#server.resync();
    for (const command of commands) this.#server.expect(command.expect);
    return true;
  }

  /** The client goes on, or ends: may those be the answers to the commands on trial? */
  #judge(caughtUp: boolean): boolean {
    this.#server.concede();
    this.#provisional = this.#awaiting.length === 0 && caughtUp && this.#server.heldOctets === 0;
    if (!this.#provisional) this.#contradicted(this.#awaiting.length > 0 && caughtUp);
    this.#knownToPipeline = this.#turns.pipelines;
    return this.#provisional;
  }

  /** The client's turn after the answers on trial is over: unless it showed that the client does not wait, they are its. */
  #settleTrial(): void {
    if (!this.#provisional) return;
    this.#provisional = false;
    const next = this.#turnCommands;
    if (this.#turns.pipelines && !this.#knownToPipeline) {
      this.#failTrial();
      return;
    }
    const trial = this.#endTrial();
    if (this.#turns.pipelines && ++this.#cleanRounds < CLEAN_ROUNDS) {
      this.#pairing = 'none';
      return;
    }
    this.#pairing = 'sure';
    this.#unanswered -= trial.length;
    for (const { command, reply } of trial) {
      command.reply = reply;
      this.#sink.reply(command);
    }
    this.#turnCommands = [];
    // More than are kept for a trial: nobody knows the others.
    if (next.length < this.#turns.answered) {
      this.#loseServer();
      return;
    }
    this.#unanswered -= next.length;
    this.#awaiting = next;
    for (const command of next) this.#server.expect(command.expect);
  }

  /** More was under way than the commands on trial; or the client `overlaps`: it speaks before it is answered. */
  #contradicted(overlaps: boolean): void {
    this.#turns.pipelines = true;
    if (overlaps) this.#turns.overlaps = true;
    this.#failTrial();
  }

  /** Returns the commands that were on trial, and their answers. */
  #endTrial(): { command: Command; reply: Reply }[] {
    const trial = this.#trial;
    this.#trial = [];
    for (const { command } of trial) command.onTrial = false;
    return trial;
  }

  /** The answers to the commands on trial stay unknown. */
  #failTrial(): void {
    this.#endTrial();
    this.#provisional = false;
    this.#awaiting = [];
    this.#pairing = 'none';
    this.#cleanRounds = 0;
    this.#server.resync();
    this.#compressed?.server.reset();
  }

  /** `commands` are the first that are told. */
  #join(commands: Command[]): void {
    this.#stage = 'commands';
    this.#login = undefined;
    this.#sink.joined(this.#unanswered - commands.length);
    this.#unanswered = commands.length;
    for (const command of commands) {
      command.ordinal = this.#ordinal++;
      this.#last = command;
      this.#sink.command(command);
    }
  }

  #end(cause: LostCause, commands: number): void {
    if (this.#stage === 'over') return;
    this.#stop();
    this.#sink.lost(cause, commands);
  }

  #stop(): void {
    this.#unanswered += this.#awaiting.length;
    this.#awaiting = [];
    this.#endTrial();
    this.#server.resync();
    this.close();
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

/** How many answers begin in [from, to), where one begins at `from`: packets with an id of 1. */
function countAnswers(octets: Uint8Array, from: number, to: number): number {
  let count = 0;
  for (let at = from; to - at >= HEADER_OCTETS; at += HEADER_OCTETS + payloadLength(octets, at))
    if (octets[at + 3] === 1) count++;
  return count;
}

/** Whether packets with ascending ids that are not 0 fill [from, to): a client's that answers the server. */
function answers(octets: Uint8Array, from: number, to: number): boolean {
  let at = from;
  for (let id = octets[from + 3]; to - at >= HEADER_OCTETS; id++) {
    if (octets[at + 3] === 0 || octets[at + 3] !== (id & 255)) return false;
    at += HEADER_OCTETS + payloadLength(octets, at);
  }
  return at === to;
}

/** The id behind that of a packet which begins with `id` and takes so many octets, headers included. */
function nextId(id: number, octets: number): number {
  return (id + Math.floor(octets / (MAX_PAYLOAD + HEADER_OCTETS)) + 1) & 255;
}
