import { COM, type Command, countCommands } from '../mysql/command.ts';
import { Dialogue, type DialogueOptions, type DialogueSink, type LostCause } from '../mysql/dialogue.ts';
import type { LoginShown } from '../mysql/recorded-login.ts';
import { WatchedConnection, type WatchedSink } from '../tcp/watched.ts';
import type { CaptureNs } from '../time.ts';
import type { PacketSource } from '../wire/packets.ts';
import { CTL, type Segment } from '../wire/segment.ts';
import { seqAdd } from '../wire/sequence.ts';
import { RESET_GRACE_NS } from './belongs.ts';
import { CommandCount } from './command-count.ts';
import {
  type DecodedSessions,
  decodeBlocks,
  FlowDecoder,
  type FlowOptions,
  type FlowSink,
} from './decoder.ts';
import type { CloseHow, FlowEvent, SessionMeta, SkipCause } from './events.ts';
import { type Endpoints, Flow } from './flow.ts';
import { type HeldCall, HeldCalls } from './held-calls.ts';
import { newSession } from './session-meta.ts';

export interface DecodeOptions extends FlowOptions {
  /** Reads TLS, where keys are known; undefined: sessions under TLS are skipped. */
  openTls?: OpenTls;
}

/**
 * Reads the sessions of a capture. A batch's events are the caller's; commands and session data are owned and outlive the
 * packets that they came from. Rejects where the source does.
 */
export function decodeSessions(source: PacketSource, options: DecodeOptions): DecodedSessions {
  return decodeBlocks(source, new SessionDecoder(options));
}

/** The work of `decodeSessions`, block by block. */
export class SessionDecoder extends FlowDecoder<SessionFlow> {
  constructor(options: DecodeOptions) {
    const { openTls } = options;
    super(options, (endpoints, id, at, sink) => new SessionFlow(endpoints, id, at, sink, openTls));
  }
}

type OpenTls = DialogueOptions['openTls'];

/** Causes behind which the client's commands can still be made out. */
const IS_COUNTED: ReadonlySet<SkipCause> = new Set(['gap', 'desync', 'replication', 'not-mysql']);

/** What a connection needs while it lasts; given back when it closes. */
interface Reading {
  watched: WatchedConnection;
  /** Reads the conversation; once that is given up before it opened, what is left counts its commands. */
  dialogue: Dialogue;
  /** The FINs that were read: those of `watched` may be ahead, where keys are awaited. */
  clientEnded: boolean;
  serverEnded: boolean;
}

/** One connection: from its segments to its events. */
class SessionFlow extends Flow implements DialogueSink, WatchedSink {
  readonly #sink: FlowSink | undefined;
  readonly #session: SessionMeta;
  readonly #openTls: OpenTls;
  /** undefined: nothing came yet, or nothing can be read, or it is closed. */
  #reading: Reading | undefined;
  /** Its beginning was not captured. */
  #joinedLate = false;
  #opened = false;
  #closing = false;
  #closed = false;
  #quit = false;
  /** Why it cannot be replayed at all … */
  #skip: SkipCause | undefined;
  /** … and how many commands that costs, as far as they were counted before. */
  #skippedCommands = 0;
  /** Since a reset, until it is sure: what came after it. */
  #afterReset: FlowEvent[] | undefined;
  /** It is over, which counts once the keys of its TLS are there, or can't come any more. */
  #closesLater: { how: CloseHow; at: CaptureNs } | undefined;
  /** What came since these keys are awaited; undefined: none are. */
  #held: HeldCalls | undefined;
  /** Of what is told now: never runs backwards. */
  #at: CaptureNs;

  constructor(endpoints: Endpoints, id: number, at: CaptureNs, sink: FlowSink | undefined, openTls: OpenTls) {
    super(id, at);
    this.#at = at;
    // Nobody wants it: as good as closed.
    this.#closed = sink === undefined;
    this.#sink = sink;
    this.#openTls = openTls;
    this.#session = newSession(this, endpoints, at);
  }

  /** Whether the passing of time may change something: `settle` is to be called. */
  get unsettled(): boolean {
    if (this.#closed) return false;
    return (
      this.#afterReset !== undefined || this.#held !== undefined || this.#reading?.watched.waits === true
    );
  }

  segment(segment: Segment, fromClient: boolean, at: CaptureNs, now: CaptureNs): boolean {
    if (this.#closed) return false;
    const watched = this.#reading?.watched;
    // As nearly all are.
    if (watched?.started === true && (segment.flags & (CTL.syn | CTL.rst)) === 0 && !this.resetRefuted)
      watched.segment(segment, fromClient, true, at, now);
    else this.#eventful(segment, fromClient, at, now);
    return this.unsettled;
  }

  /** A segment that begins or ends something. */
  #eventful(segment: Segment, fromClient: boolean, at: CaptureNs, now: CaptureNs): void {
    const { flags } = segment;
    if ((flags & CTL.syn) !== 0) this.#synchronize(segment, fromClient);
    else if (this.#reading === undefined && this.#skip === undefined && (flags & CTL.rst) === 0) {
      this.#joinedLate = true;
      this.#reading = this.#newReading();
    }
    const reading = this.#reading;
    if (reading === undefined) return;
    if ((flags & CTL.rst) !== 0) {
      if (this.resetAt >= 0) this.#reset(reading);
      return;
    }
    if (this.resetRefuted) this.#resume();
    const { watched } = reading;
    const { client, server } = watched;
    const mine = fromClient ? client : server;
    if (!mine.started && (segment.wireDataLength > 0 || this.#joinedLate))
      mine.start(segment.seq, this.#joinedLate);
    // Until then it speaks of an earlier connection of the same ports (a challenge ACK, RFC 5961).
    if (mine.started && (flags & CTL.ack) !== 0) this.#startOther(segment, fromClient, watched);
    watched.segment(segment, fromClient, mine.started, at, now);
  }

  /** The capture has come to `now`. */
  settle(now: CaptureNs): void {
    if (this.#closed) return;
    this.#reading?.watched.settle(now);
    if (this.#held !== undefined) this.#lookForKeys(false);
    // One that is not quite as expected shows to be one by the silence behind it: the table knows when.
    if (this.#afterReset === undefined || !this.resetIsExact) return;
    if (now - this.resetAt > RESET_GRACE_NS) this.#close('rst', this.resetAt);
  }

  /** Nothing follows: neither packets nor keys. */
  finish(): void {
    if (!this.#closed && this.#held !== undefined) this.#lookForKeys(true);
  }

  /** The table gives it up: closed a while ago, idle for too long, its ports used anew, or the capture is over. */
  ended(at: CaptureNs): void {
    if (this.#closed) return;
    if (this.resetAt >= 0) this.#close('rst', this.#afterReset === undefined ? at : this.resetAt);
    else this.#close(this.clientFin || this.serverFin ? 'fin' : 'cut', at);
  }

  // What the watched connection hands over.

  data(
    fromClient: boolean,
    octets: Uint8Array,
    from: number,
    to: number,
    at: CaptureNs,
    caughtUp: boolean,
  ): void {
    if (this.#held !== undefined) {
      this.#hold({ what: 'data', fromClient, octets: octets.slice(from, to), at, caughtUp });
      return;
    }
    const dialogue = (this.#reading as Reading).dialogue;
    this.#comes(at);
    if (fromClient) dialogue.fromClient(octets, from, to, this.#at, caughtUp);
    else dialogue.fromServer(octets, from, to, this.#at, caughtUp);
    if (dialogue.awaitsKeys) this.#held = new HeldCalls((this.#sink as FlowSink).budget);
  }

  #hold(call: HeldCall): void {
    this.#held?.add(call);
    if (this.#held?.isFull === true) this.#lookForKeys(true);
  }

  /** Looks for the keys that are awaited; where they are there, or too late (`isLast`), what was held is read as it came. */
  #lookForKeys(isLast: boolean): void {
    const dialogue = (this.#reading as Reading).dialogue;
    dialogue.lookForKeys(isLast);
    if (dialogue.awaitsKeys) return;
    const held = this.#held?.take() ?? [];
    this.#held = undefined;
    for (const call of held) {
      // Without keys there is nothing to read.
      if (this.#reading === undefined) break;
      const { fromClient, at } = call;
      if (call.what === 'data') this.data(fromClient, call.octets, 0, call.octets.length, at, call.caughtUp);
      else if (call.what === 'gap') this.gap(fromClient, call.octets, at);
      else this.end(fromClient, at);
    }
    const close = this.#closesLater;
    if (close !== undefined) this.#close(close.how, close.at);
  }

  gap(fromClient: boolean, octets: number, at: CaptureNs): void {
    if (this.#held !== undefined) {
      this.#hold({ what: 'gap', fromClient, octets, at });
      return;
    }
    this.#comes(at);
    this.#reading?.dialogue.gap(fromClient, octets);
  }

  early(fromClient: boolean, octets: Uint8Array, from: number, to: number, at: CaptureNs): void {
    if (!fromClient) return;
    this.#comes(at);
    const commands = Math.max(1, countCommands(octets, from, to));
    if (this.#opened) this.lost(this.#joinedLate ? 'joined-late' : 'gap', commands);
    else this.#skippedCommands += commands;
  }

  /** The client's FIN closes the session, once the answers still due have come. */
  end(fromClient: boolean, at: CaptureNs): void {
    if (this.#held !== undefined) {
      this.#hold({ what: 'end', fromClient, at });
      return;
    }
    this.#comes(at);
    const reading = this.#reading as Reading;
    const { dialogue } = reading;
    if (fromClient) {
      reading.clientEnded = true;
      dialogue.clientEnded();
    } else reading.serverEnded = true;
    // What never opened is told once nothing of it can come any more.
    if (!this.#opened || !reading.clientEnded) return;
    if (reading.serverEnded || dialogue.pending === 0) this.#close('fin', at);
  }

  // What the dialogue tells.

  login(login: LoginShown): void {
    const session = this.#session;
    session.login = login.response;
    session.capabilities = login.capabilities;
    session.extendedCapabilities = login.extendedCapabilities;
    session.connectionId = login.connectionId;
    session.nonce = login.nonce;
    this.#open();
  }

  refused(login: LoginShown, errno: number): void {
    this.#session.refused = errno;
    this.login(login);
  }

  joined(commands: number): void {
    this.#open();
    const before = commands + this.#skippedCommands;
    if (before > 0) this.lost('joined-late', before);
  }

  command(command: Command): void {
    // Behind its FIN the server hears nothing: a client that did not look will say it again on another connection.
    if (this.#reading?.serverEnded === true && command.com !== COM.quit) {
      this.#push({ type: 'lost', at: this.#at, session: this.#session, cause: 'unheard', commands: 1 });
      return;
    }
    if (command.com === COM.quit) this.#quit = true;
    this.#push({ type: 'command', at: this.#at, session: this.#session, command });
  }

  reply(command: Command): void {
    this.#push({ type: 'reply', at: this.#at, session: this.#session, command });
    const reading = this.#reading;
    if (reading?.clientEnded === true && reading.dialogue.pending === 0) this.#close('fin', this.#at);
  }

  lost(cause: LostCause, commands: number): void {
    if (this.#opened) {
      this.#push({ type: 'lost', at: this.#at, session: this.#session, cause, commands });
      return;
    }
    this.#skip = cause;
    const reading = this.#reading;
    this.#skippedCommands += commands + (reading?.dialogue.untold ?? 0);
    reading?.dialogue.close();
    // Nothing of it can be replayed, but what it said is counted.
    if (IS_COUNTED.has(cause) && reading !== undefined) {
      const { room } = this.#sink as FlowSink;
      const late = { joinedLate: true, withoutLogin: true, room };
      reading.dialogue = new Dialogue(new CommandCount(this), late);
    } else this.#stopReading();
  }

  /** Commands that were made out in a session that cannot be replayed. */
  counted(commands: number): void {
    this.#skippedCommands += commands;
  }

  #comes(at: CaptureNs): void {
    if (at > this.#at) this.#at = at;
  }

  #open(): void {
    this.#opened = true;
    this.#push({ type: 'open', at: this.#at, session: this.#session });
  }

  #push(event: FlowEvent): void {
    if (this.#afterReset !== undefined) this.#afterReset.push(event);
    else this.#sink?.push(event);
  }

  #newReading(): Reading {
    const { waits, budget, room } = this.#sink as FlowSink;
    return {
      watched: new WatchedConnection(this, waits, budget),
      dialogue: new Dialogue(this, { openTls: this.#openTls, joinedLate: this.#joinedLate, room }),
      clientEnded: false,
      serverEnded: false,
    };
  }

  #stopReading(): void {
    this.#reading?.watched.stop();
    this.#reading = undefined;
  }

  #synchronize(segment: Segment, fromClient: boolean): void {
    // What no server sends to its client, and no client to its server, is noise.
    if (((segment.flags & CTL.ack) !== 0) === fromClient || this.#skip !== undefined) return;
    const late = this.#joinedLate && !this.#opened;
    if (this.#reading === undefined || (late && isUnread(this.#reading))) {
      // A SYN that was captured behind the ACK of its SYN-ACK.
      this.#joinedLate = false;
      const heard = this.#reading?.watched;
      this.#reading = this.#newReading();
      if (heard?.server.started) this.#reading.watched.server.start(heard.server.next);
      if (heard?.client.started) this.#reading.watched.client.start(heard.client.next);
    }
    const { client, server } = this.#reading.watched;
    const next = seqAdd(segment.seq, 1);
    if (fromClient) {
      if (!client.started) client.start(next);
    } else {
      if (!server.started) server.start(next);
      // The client's SYN may be missing: this one tells its number.
      if (!client.started) client.start(segment.ack);
    }
  }

  /** The other direction's numbers, where its SYN is missing: what this segment acknowledges. */
  #startOther(
    { ack, wireDataLength }: Segment,
    fromClient: boolean,
    { client, server }: WatchedConnection,
  ): void {
    const other = fromClient ? server : client;
    if (other.started) return;
    // In order, the client's first ACK has no data; one that has some follows the greeting, which may come late.
    if (this.#joinedLate || (fromClient && wireDataLength === 0)) other.start(ack, this.#joinedLate);
  }

  #reset({ watched }: Reading): void {
    // Before the server's SYN it answers the SYN of an earlier connection: this one may still come to stand.
    if (!watched.server.started && !this.#joinedLate) return;
    if (this.#afterReset !== undefined) return;
    // Nothing more was to come.
    if (this.#quit || this.clientFin) {
      this.#close('rst', this.resetAt);
      return;
    }
    this.#comes(this.resetAt);
    this.#afterReset = [];
  }

  /** The reset was none of this connection's. */
  #resume(): void {
    const events = this.#afterReset;
    this.#afterReset = undefined;
    for (const event of events ?? []) this.#sink?.push(event);
  }

  #close(how: CloseHow, at: CaptureNs): void {
    if (this.#closed || this.#closing) return;
    if (this.#held !== undefined) {
      this.#closesLater ??= { how, at };
      this.#reading?.watched.finish(at);
      this.#lookForKeys(false);
      return;
    }
    this.#closing = true;
    const reading = this.#reading;
    // Delivers what waits behind holes.
    reading?.watched.finish(at);
    this.#comes(at);
    this.#closed = true;
    const dialogue = reading?.dialogue;
    dialogue?.finish();
    this.#stopReading();
    this.#tellUnheard();
    if (this.#opened) {
      dialogue?.close();
      this.#push({ type: 'close', at: this.#at, session: this.#session, how: this.#quit ? 'quit' : how });
      return;
    }
    const cause =
      this.#skip ?? (this.#joinedLate ? 'joined-late' : dialogue?.sawLogin ? 'login-failed' : 'not-mysql');
    // What is not made out where nothing else is may not be commands at all.
    if (dialogue !== undefined && this.#skip !== 'not-mysql') this.#skippedCommands += dialogue.untold;
    dialogue?.close();
    this.#push({
      type: 'skip',
      at: this.#at,
      session: this.#session,
      cause,
      commands: this.#skippedCommands,
      how,
    });
  }

  /** What was on its way when the server reset the connection, and has no answer: nobody heard it. */
  #tellUnheard(): void {
    const events = this.#afterReset;
    if (events === undefined) return;
    this.#afterReset = undefined;
    for (const event of events) {
      const isUnheard =
        event.type === 'command' &&
        !this.resetByClient &&
        event.command.com !== COM.quit &&
        event.command.reply === undefined;
      const { at, session } = event;
      this.#push(isUnheard ? { type: 'lost', at, session, cause: 'unheard', commands: 1 } : event);
    }
  }
}

/** Whether no data was handed over yet. */
function isUnread({ watched, dialogue }: Reading): boolean {
  return !watched.waits && !dialogue.begun;
}
