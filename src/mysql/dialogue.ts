import type { CaptureNs } from '../time.ts';
import { PacketAssembler } from './assembler.ts';
import { CLIENT, inBoth } from './capabilities.ts';
import { COM, type Command, countCommands, EXPECT, expectOf, isCommand } from './command.ts';
import {
  type Greeting,
  type HandshakeResponse,
  markOf,
  parseClientHello,
  parseGreeting,
} from './handshake.ts';
import { HEADER_OCTETS, MARK, payloadLength } from './packet.ts';
import type { Reply } from './reply.ts';
import { ReplyReader } from './reply-reader.ts';

/** The longest command that a server can be set to take in: max_allowed_packet's own limit. */
const COMMAND_OCTETS = 1024 * 1024 * 1024;

/** Why a conversation cannot be read, for good or (gap, desync) for a while. */
export type LostCause =
  | 'tls'
  | 'compressed'
  | 'gap'
  | 'desync'
  | 'login-failed'
  | 'not-mysql'
  | 'replication';

export interface DialogueSink {
  /**
   * The login succeeded: what the client had said, its capabilities reduced to those in force (clients set flags that
   * the server had not offered), and these once more.
   */
  login(response: HandshakeResponse, capabilities: number, extendedCapabilities: number): void;
  command(command: Command): void;
  /** The answer to `command` was read whole; it is `command.reply` already. */
  reply(command: Command): void;
  /**
   * Something was missed: `commands` that the client is known to have sent and that are never told. After gap and desync
   * of the command phase the dialogue goes on by itself, else it is over.
   */
  lost(cause: LostCause, commands: number): void;
}

type Stage = 'greeting' | 'hello' | 'authentication' | 'commands' | 'over';

/**
 * One connection's conversation, from the octets of both directions, each in order: login, then commands and their
 * answers.
 *
 * After octets were missed it finds its feet again. On the client's side at a segment that commands fill exactly; on the
 * server's at the answer to a command read since then, told by its sequence id of 1. The answers in between stay unknown.
 */
export class Dialogue {
  readonly #sink: DialogueSink;
  readonly #client = new PacketAssembler(COMMAND_OCTETS);
  readonly #server: ReplyReader;
  #stage: Stage = 'greeting';
  #greeting: Greeting | undefined;
  #response: HandshakeResponse | undefined;
  #capabilities = 0;
  #extendedCapabilities = 0;
  #ordinal = 0;
  /** Commands whose answers the reader expects. */
  #awaiting: Command[] = [];
  /** The client's octets make no sense until they begin a command again. */
  #clientLost = false;
  /** The server's octets make no sense until they begin an answer … */
  #serverLost = false;
  /** … to this command. */
  #candidate: Command | undefined;
  #unanswered = 0;
  #at: CaptureNs = 0;

  constructor(sink: DialogueSink) {
    this.#sink = sink;
    this.#server = new ReplyReader({
      packet: (octets, from, to) => this.#serverPacket(octets, from, to),
      reply: (reply) => this.#reply(reply),
      desync: () => this.#serverBroke(),
    });
  }

  /** Commands that wait for their answers. */
  get pending(): number {
    return this.#awaiting.length;
  }

  /** Commands whose answers were missed. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** Whether the client tried to log in. */
  get sawLogin(): boolean {
    return this.#response !== undefined;
  }

  /** The client's next octets, [from, to): those of one segment, where segments are known. */
  fromClient(octets: Uint8Array, from: number, to: number, at: CaptureNs): void {
    this.#at = at;
    if (this.#stage === 'greeting') this.#end('not-mysql', 0);
    if (this.#clientLost) {
      if (countCommands(octets, from, to) === 0) return;
      this.#clientLost = false;
    }
    for (let p = from; p < to && this.#stage !== 'over'; ) {
      p = this.#client.take(octets, p, to);
      if (this.#client.whole) this.#clientPacket();
      else if (this.#client.tooLong) this.#clientBroke('desync');
      if (this.#clientLost) return;
    }
  }

  /** The server's next octets, [from, to): those of one segment, where segments are known. */
  fromServer(octets: Uint8Array, from: number, to: number, at: CaptureNs): void {
    if (this.#stage === 'over') return;
    this.#at = at;
    if (this.#serverLost && !this.#findAnswer(octets, from, to)) return;
    this.#server.feed(octets, from, to, at);
  }

  /** Octets are missing here, in the client's direction or in the server's. */
  gap(fromClient: boolean): void {
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

  #clientPacket(): void {
    const { octets, start, end } = this.#client;
    if (this.#stage === 'commands') this.#commandPacket(octets, start, end);
    else if (this.#stage === 'hello') this.#hello(octets, start, end);
    else if (octets[start + 3] === 0) this.#commandWithoutOk(octets, start, end);
    // Else the client answers the server's authentication: nothing that a replay could use.
  }

  #hello(octets: Uint8Array, start: number, end: number): void {
    const hello = parseClientHello(octets, start, end);
    switch (hello.type) {
      case 'response': {
        const greeting = this.#greeting as Greeting;
        this.#response = hello.response;
        this.#capabilities = inBoth(hello.response.capabilities, greeting.capabilities);
        this.#extendedCapabilities = inBoth(
          hello.response.extendedCapabilities,
          greeting.extendedCapabilities,
        );
        this.#greeting = undefined;
        this.#stage = 'authentication';
        break;
      }
      case 'tls':
        this.#end('tls', 0);
        break;
      default:
        // Clients from before 4.1 included: nothing of theirs can be replayed.
        this.#end('not-mysql', 0);
    }
  }

  #commandPacket(octets: Uint8Array, start: number, end: number): void {
    // A LOCAL INFILE's data (whose sequence ids come round to 0), or an answer within COM_CHANGE_USER.
    if (octets[start + 3] !== 0 || this.#server.wantsData) return;
    const com = end - start > HEADER_OCTETS ? octets[start + HEADER_OCTETS] : -1;
    if (!isCommand(com)) {
      this.#clientBroke('desync');
      return;
    }
    if (com === COM.binlogDump || com === COM.binlogDumpGtid || com === COM.registerSlave) {
      this.#end('replication', 1);
      return;
    }
    const command: Command = {
      ordinal: this.#ordinal++,
      at: this.#at,
      com,
      expect: expectOf(com),
      packet: this.#client.owned(),
    };
    this.#sink.command(command);
    if (command.expect === EXPECT.none) return;
    if (this.#serverLost) {
      this.#dropCandidate();
      this.#candidate = command;
    } else {
      this.#awaiting.push(command);
      this.#server.expect(command.expect);
    }
  }

  /** A command while the login seems to be under way: if octets of the server's are missing, its OK was among them. */
  #commandWithoutOk(octets: Uint8Array, start: number, end: number): void {
    if (!this.#serverLost) {
      this.#end('desync', 1);
      return;
    }
    this.#loggedIn(this.#response as HandshakeResponse);
    if (this.#stage !== 'commands') return;
    this.#sink.lost('gap', 0);
    this.#commandPacket(octets, start, end);
  }

  #serverPacket(octets: Uint8Array, from: number, to: number): void {
    const mark = markOf(octets, from, to);
    if (this.#stage === 'greeting') {
      this.#greeting = mark === MARK.err ? undefined : parseGreeting(octets, from, to);
      if (this.#greeting) this.#stage = 'hello';
      else this.#end(mark === MARK.err ? 'login-failed' : 'not-mysql', 0);
    } else if (mark === MARK.err) {
      this.#end('login-failed', 0);
    } else if (this.#stage === 'hello') {
      this.#end('not-mysql', 0);
    } else if (mark === MARK.ok) {
      this.#loggedIn(this.#response as HandshakeResponse);
    }
  }

  #loggedIn(response: HandshakeResponse): void {
    if ((this.#capabilities & (CLIENT.compress | CLIENT.zstdCompression)) !== 0) {
      this.#end('compressed', 0);
      return;
    }
    this.#stage = 'commands';
    this.#server.commandPhase(this.#capabilities, this.#extendedCapabilities);
    const inForce = { capabilities: this.#capabilities, extendedCapabilities: this.#extendedCapabilities };
    this.#sink.login({ ...response, ...inForce }, this.#capabilities, this.#extendedCapabilities);
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
    const commands = this.#server.wantsData ? 0 : 1;
    this.#client.reset();
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

  #loseServer(): void {
    this.#unanswered += this.#awaiting.length;
    this.#awaiting = [];
    this.#dropCandidate();
    this.#serverLost = true;
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
      octets[from + 3] === 1 &&
      payloadLength(octets, from) > 0 &&
      from + HEADER_OCTETS + payloadLength(octets, from) <= to;
    if (!plausible) {
      this.#dropCandidate();
      return false;
    }
    this.#candidate = undefined;
    this.#serverLost = false;
    this.#awaiting.push(command);
    this.#server.resync();
    this.#server.expect(command.expect);
    return true;
  }

  #end(cause: LostCause, commands: number): void {
    if (this.#stage === 'over') return;
    this.#stage = 'over';
    this.#unanswered += this.#awaiting.length;
    this.#awaiting = [];
    this.#client.reset();
    this.#server.resync();
    this.#sink.lost(cause, commands);
  }
}
