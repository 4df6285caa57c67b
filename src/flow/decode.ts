import { COM, type Command, countCommands } from '../mysql/command.ts';
import { Dialogue, type DialogueOptions, type DialogueSink, type LostCause } from '../mysql/dialogue.ts';
import type { LoginShown } from '../mysql/recorded-login.ts';
import { Reassembly } from '../tcp/reassembly.ts';
import type { CaptureNs } from '../time.ts';
import type { PacketSource } from '../wire/packets.ts';
import { CTL, type Segment } from '../wire/segment.ts';
import { seqAdd } from '../wire/sequence.ts';
import { type DecodedSessions, decodeBlocks, FlowDecoder, type FlowOptions } from './decoder.ts';
import type { CloseHow, FlowEvent, SessionMeta, SkipCause } from './events.ts';
import { type Endpoints, Flow, isClosed } from './table.ts';

export interface DecodeOptions extends FlowOptions {
  /** Reads TLS, where keys are known; undefined: sessions under TLS are skipped. */
  openTls?: OpenTls;
}

/**
 * Reads the sessions of a capture. A batch's events are the caller's; commands and session data are owned and outlive the
 * packets that they came from. Rejects where the source does.
 */
export function decodeSessions(source: PacketSource, options: DecodeOptions): DecodedSessions {
  return decodeBlocks(source, new SessionDecoder(source.linkType, options));
}

/** The work of `decodeSessions`, block by block. */
export class SessionDecoder extends FlowDecoder<SessionFlow> {
  constructor(linkType: number, options: DecodeOptions) {
    const { openTls } = options;
    super(linkType, options, (endpoints, id, at, push) => new SessionFlow(endpoints, id, at, push, openTls));
  }
}

type OpenTls = DialogueOptions['openTls'];

/** What a connection needs while it lasts; given back when it closes. */
interface Reading {
  client: Reassembly;
  server: Reassembly;
  dialogue: Dialogue;
}

/** One connection: from its segments to its events. */
class SessionFlow extends Flow implements DialogueSink {
  readonly #push: (event: FlowEvent) => void;
  readonly #session: SessionMeta;
  readonly #openTls: OpenTls;
  /** undefined: nothing came yet, or nothing can be read, or it is closed. */
  #reading: Reading | undefined;
  /** Its beginning was not captured. */
  #joinedLate = false;
  #opened = false;
  #closed = false;
  #quit = false;
  /** Why it cannot be replayed at all, and how many commands that costs. */
  #skip: SkipCause | undefined;
  #skippedCommands = 0;
  #at: CaptureNs;

  constructor(
    endpoints: Endpoints,
    id: number,
    at: CaptureNs,
    push: ((event: FlowEvent) => void) | undefined,
    openTls: OpenTls,
  ) {
    super(id, at);
    this.#at = at;
    // Nobody wants it: as good as closed.
    this.#closed = push === undefined;
    this.#push = push ?? (() => {});
    this.#openTls = openTls;
    this.#session = { id, ...endpoints, at, connectionId: 0, capabilities: 0, extendedCapabilities: 0 };
  }

  segment(segment: Segment, fromClient: boolean, at: CaptureNs): void {
    if (this.#closed) return;
    this.#at = at;
    const { flags } = segment;
    if ((flags & CTL.syn) !== 0) this.#synchronize(segment, fromClient);
    else if (this.#reading === undefined && this.#skip === undefined) {
      this.#joinedLate = true;
      this.#reading = this.#newReading();
    }
    const reading = this.#reading;
    if (reading === undefined) {
      this.#unreadable(segment, fromClient);
      return;
    }
    if ((flags & CTL.rst) !== 0) {
      // Before the server's SYN it answers the SYN of an earlier connection: this one may still come to stand.
      if (reading.server.started || this.#joinedLate) this.#close('rst');
      return;
    }
    const mine = fromClient ? reading.client : reading.server;
    const other = fromClient ? reading.server : reading.client;
    if (!mine.started && segment.wireDataLength > 0) mine.start(segment.seq);
    // Until then it speaks of an earlier connection of the same ports (a challenge ACK, RFC 5961).
    if (mine.started && (flags & CTL.ack) !== 0) this.#acknowledge(segment, fromClient, other);
    const seq = (flags & CTL.syn) !== 0 ? seqAdd(segment.seq, 1) : segment.seq;
    mine.segment(
      segment.octets,
      segment.dataOffset,
      segment.dataLength,
      segment.wireDataLength,
      seq,
      (flags & CTL.fin) !== 0,
      at,
    );
  }

  /** The table gives it up: closed a while ago, idle for too long, its ports used anew, or the capture is over. */
  ended(at: CaptureNs): void {
    if (this.#closed) return;
    this.#at = at;
    this.#close(this.reset ? 'rst' : this.clientFin || this.serverFin ? 'fin' : 'cut');
  }

  login(login: LoginShown): void {
    const session = this.#session;
    session.login = login.response;
    session.capabilities = login.capabilities;
    session.extendedCapabilities = login.extendedCapabilities;
    session.connectionId = login.connectionId;
    this.#open();
  }

  refused(login: LoginShown, errno: number): void {
    this.#session.refused = errno;
    this.login(login);
  }

  joined(commands: number): void {
    this.#open();
    if (commands > 0) this.lost('joined-late', commands);
  }

  command(command: Command): void {
    // Behind its FIN the server hears nothing: a client that did not look will say it again on another connection.
    if (this.#reading?.server.ended === true && command.com !== COM.quit) {
      this.#push({ type: 'lost', at: this.#at, session: this.#session, cause: 'unheard', commands: 1 });
      return;
    }
    if (command.com === COM.quit) this.#quit = true;
    this.#push({ type: 'command', at: this.#at, session: this.#session, command });
  }

  reply(command: Command): void {
    this.#push({ type: 'reply', at: this.#at, session: this.#session, command });
    if (this.#reading?.client.ended === true && this.#reading.dialogue.pending === 0) this.#close('fin');
  }

  lost(cause: LostCause, commands: number): void {
    if (!this.#opened) {
      this.#skip = cause;
      this.#skippedCommands += commands + (this.#reading?.dialogue.unanswered ?? 0);
      this.#reading = undefined;
    } else {
      this.#push({ type: 'lost', at: this.#at, session: this.#session, cause, commands });
    }
  }

  #open(): void {
    this.#opened = true;
    this.#push({ type: 'open', at: this.#at, session: this.#session });
  }

  #newReading(): Reading {
    const reading: Reading = {
      client: new Reassembly({
        data: (octets, from, to, at) => reading.dialogue.fromClient(octets, from, to, at),
        gap: (octets) => reading.dialogue.gap(true, octets),
        end: () => this.#fin(reading),
      }),
      server: new Reassembly({
        data: (octets, from, to, at) => reading.dialogue.fromServer(octets, from, to, at),
        gap: (octets) => reading.dialogue.gap(false, octets),
        end: () => this.#fin(reading),
      }),
      dialogue: new Dialogue(this, { openTls: this.#openTls, joinedLate: this.#joinedLate }),
    };
    return reading;
  }

  #synchronize(segment: Segment, fromClient: boolean): void {
    if (this.#reading === undefined) {
      if (this.#skip !== undefined) return;
      this.#reading = this.#newReading();
    }
    const { client, server } = this.#reading;
    const next = seqAdd(segment.seq, 1);
    if (fromClient) {
      if (!client.started) client.start(next);
    } else {
      if (!server.started) server.start(next);
      // The client's SYN may be missing: this one tells its number.
      if (!client.started) client.start(segment.ack);
    }
  }

  #acknowledge(segment: Segment, fromClient: boolean, other: Reassembly): void {
    const answers = segment.wireDataLength > 0;
    if (other.started) {
      other.acknowledged(segment.ack, answers, this.#at);
    } else if (this.#joinedLate) {
      other.start(segment.ack);
    } else if (fromClient) {
      // The server's SYN is missing. The first ACK without data tells its number; one with data comes after the greeting.
      other.start(segment.ack);
      if (answers) this.#reading?.dialogue.gap(false, 0);
    }
  }

  /** One side has sent its FIN. The client's closes the session, once the answers still due have come. */
  #fin(reading: Reading): void {
    const { client, server, dialogue } = reading;
    if (client.ended && (server.ended || dialogue.pending === 0)) this.#close('fin');
  }

  /** Of what cannot be read, the commands are counted as far as they show. */
  #unreadable(segment: Segment, fromClient: boolean): void {
    const shows = this.#skip === 'gap';
    const { octets, dataOffset, dataLength } = segment;
    if (shows && fromClient)
      this.#skippedCommands += countCommands(octets, dataOffset, dataOffset + dataLength);
    if (isClosed(this)) this.#close(this.reset ? 'rst' : 'fin');
  }

  #close(how: CloseHow): void {
    if (this.#closed) return;
    this.#closed = true;
    const reading = this.#reading;
    this.#reading = undefined;
    // Delivers what waits behind holes.
    reading?.client.finish(this.#at);
    reading?.server.finish(this.#at);
    reading?.dialogue.finish();
    if (!this.#opened) {
      const dialogue = reading?.dialogue;
      const cause =
        this.#skip ?? (this.#joinedLate ? 'joined-late' : dialogue?.sawLogin ? 'login-failed' : 'not-mysql');
      if (this.#skip === undefined) this.#skippedCommands += dialogue?.unanswered ?? 0;
      this.#push({
        type: 'skip',
        at: this.#at,
        session: this.#session,
        cause,
        commands: this.#skippedCommands,
        how,
      });
    } else {
      this.#push({ type: 'close', at: this.#at, session: this.#session, how: this.#quit ? 'quit' : how });
    }
  }
}
