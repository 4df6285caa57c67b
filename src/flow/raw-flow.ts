import { WatchedConnection, type WatchedSink } from '../tcp/watched.ts';
import type { CaptureNs } from '../time.ts';
import { CTL, type Segment } from '../wire/segment.ts';
import { seqAdd } from '../wire/sequence.ts';
import { RESET_GRACE_NS } from './belongs.ts';
import type { FlowSink } from './decoder.ts';
import type { CloseHow, SessionMeta, SkipCause } from './events.ts';
import { type Endpoints, Flow, isClosed } from './flow.ts';
import { RawDialogue, type RawSink, type Turn } from './raw-dialogue.ts';
import { newSession } from './session-meta.ts';

/** One connection of a protocol that nobody knows: from its segments to its events. */
export class RawFlow extends Flow implements RawSink, WatchedSink {
  readonly #sink: FlowSink<Turn> | undefined;
  readonly #session: SessionMeta;
  /** undefined: nothing came yet, or it cannot be read, or is over. */
  #reading: WatchedConnection | undefined;
  /** Since the connection stands. */
  #dialogue: RawDialogue | undefined;
  /** Why it cannot be read from its beginning, or not any more. */
  #unread: SkipCause | undefined;
  /** Turns of it that were not told, and who spoke last. */
  #unreadTurns = 0;
  #clientSpoke = false;
  #clientEndedAt = -1;
  #closing = false;
  #over: boolean;
  /** A RST came, and may yet show to be none of its own. */
  #resets = false;
  #at: CaptureNs;

  /** `sink`: undefined where nobody wants it. */
  constructor(endpoints: Endpoints, id: number, at: CaptureNs, sink: FlowSink<Turn> | undefined) {
    super(id, at);
    this.#at = at;
    this.#over = sink === undefined;
    this.#sink = sink;
    this.#session = newSession(this, endpoints, at);
  }

  /** Whether `settle` may have something to tell. */
  get unsettled(): boolean {
    if (this.#over) return false;
    return this.#dialogue?.underWay === true || this.#reading?.waits === true || this.#resets;
  }

  /** All packets of before `now` were read: a turn whose answer takes long is told before that comes. */
  settle(now: CaptureNs): void {
    if (this.#over) return;
    this.#reading?.settle(now);
    this.#dialogue?.settle(now);
    if (this.#resets && now - this.resetAt > RESET_GRACE_NS) this.#close('rst', this.resetAt);
  }

  segment(segment: Segment, fromClient: boolean, at: CaptureNs, now: CaptureNs): boolean {
    if (!this.#over) this.#take(segment, fromClient, at, now);
    return this.unsettled;
  }

  #take(segment: Segment, fromClient: boolean, at: CaptureNs, now: CaptureNs): void {
    const { flags } = segment;
    if ((flags & CTL.syn) !== 0) this.#synchronize(segment, fromClient);
    else if (this.#reading === undefined) this.#unread ??= 'joined-late';
    const reading = this.#reading;
    if (reading === undefined) {
      this.#comes(at);
      this.#pass(segment, fromClient);
      return;
    }
    const { client, server } = reading;
    if ((flags & CTL.rst) !== 0) {
      // Before the server's SYN it answers the SYN of an earlier connection: this one may still come to stand.
      if (server.started && this.resetAt >= 0) this.#resets = true;
      return;
    }
    if (this.resetRefuted) this.#resets = false;
    const mine = fromClient ? client : server;
    const other = fromClient ? server : client;
    // The server's SYN is missing: its first octets, or the client's ACK, tell its number.
    if (!mine.started && segment.wireDataLength > 0) mine.start(segment.seq);
    const hasAck = mine.started && (flags & CTL.ack) !== 0;
    if (hasAck && !other.started) other.start(segment.ack);
    this.#comes(at);
    if (server.started && client.started && this.#unread === undefined) this.#stands();
    reading.segment(segment, fromClient, mine.started, at, now);
  }

  /** The table gives it up: closed a while ago, its ports used anew, or the capture is over. */
  ended(at: CaptureNs): void {
    if (this.#over) return;
    if (this.resetAt >= 0) this.#close('rst', this.#resets ? this.resetAt : at);
    else this.#close(this.clientFin || this.serverFin ? 'fin' : 'cut', at);
  }

  // What the watched connection hands over.

  data(fromClient: boolean, octets: Uint8Array, from: number, to: number, at: CaptureNs): void {
    this.#comes(at);
    if (this.#unread === 'gap') this.#passData(fromClient);
    else if (fromClient) this.#dialogue?.fromClient(octets, from, to, this.#at);
    else this.#dialogue?.fromServer(octets, from, to, this.#at);
  }

  gap(fromClient: boolean, _octets: number, at: CaptureNs): void {
    this.#comes(at);
    this.#lose(fromClient);
  }

  /** Cannot be: a connection is read from its beginning. */
  early(): void {}

  end(fromClient: boolean, at: CaptureNs): void {
    this.#comes(at);
    const reading = this.#reading;
    if (reading === undefined) return;
    if (fromClient) {
      this.#clientEndedAt = at;
      this.#dialogue?.clientEnded(at);
    }
    if (reading.client.ended && reading.server.ended) this.#close('fin', at);
  }

  // What the dialogue tells.

  command(turn: Turn): void {
    // Behind its FIN the server hears nothing.
    if (this.#reading?.server.ended === true) this.#lost('unheard', 1);
    else this.#sink?.push({ type: 'command', at: this.#at, session: this.#session, command: turn });
  }

  reply(turn: Turn): void {
    this.#sink?.push({ type: 'reply', at: this.#at, session: this.#session, command: turn });
  }

  #comes(at: CaptureNs): void {
    if (at > this.#at) this.#at = at;
  }

  #synchronize(segment: Segment, fromClient: boolean): void {
    // What no server sends to its client, and no client to its server, is noise.
    if (this.#unread !== undefined || ((segment.flags & CTL.ack) !== 0) === fromClient) return;
    const { waits, budget } = this.#sink as FlowSink<Turn>;
    this.#reading ??= new WatchedConnection(this, waits, budget);
    const { client, server } = this.#reading;
    const next = seqAdd(segment.seq, 1);
    if (fromClient) {
      if (!client.started) client.start(next);
      return;
    }
    if (!server.started) server.start(next);
    // The client's SYN may be missing: this one tells its number.
    if (!client.started) client.start(segment.ack);
  }

  #stands(): void {
    if (this.#dialogue !== undefined) return;
    this.#dialogue = new RawDialogue(this, this.#at);
    this.#sink?.push({ type: 'open', at: this.#at, session: this.#session });
  }

  /** What is behind missing octets is no one's turn: the session ends there. What of it follows is counted. */
  #lose(fromClient: boolean): void {
    if (this.#over || this.#unread !== undefined) return;
    const dialogue = this.#dialogue;
    this.#unread = 'gap';
    this.#dialogue = undefined;
    this.#clientSpoke = fromClient;
    this.#lost('gap', fromClient || dialogue?.underWay === true ? 1 : 0);
    this.#sink?.push({ type: 'close', at: this.#at, session: this.#session, how: 'cut' });
  }

  /** A segment of a connection that is not read. */
  #pass(segment: Segment, fromClient: boolean): void {
    if (segment.wireDataLength > 0) this.#passData(fromClient);
    if (isClosed(this)) this.#close('fin', this.#at);
  }

  #passData(fromClient: boolean): void {
    if (fromClient && !this.#clientSpoke) {
      if (this.#unread === 'gap') this.#lost('gap', 1);
      else this.#unreadTurns++;
    }
    this.#clientSpoke = fromClient;
  }

  #lost(cause: SkipCause, commands: number): void {
    this.#sink?.push({ type: 'lost', at: this.#at, session: this.#session, cause, commands });
  }

  #close(how: CloseHow, closedAt: CaptureNs): void {
    if (this.#over || this.#closing) return;
    this.#closing = true;
    // Delivers what waits behind holes, which may end the session there.
    this.#reading?.finish(closedAt);
    this.#comes(closedAt);
    this.#dialogue?.finish();
    const stood = this.#dialogue !== undefined;
    this.#over = true;
    this.#reading?.stop();
    this.#reading = undefined;
    this.#dialogue = undefined;
    const session = this.#session;
    // Told as closed at the gap.
    if (this.#unread === 'gap') return;
    if (stood) {
      const at = this.#clientEndedAt >= 0 ? this.#clientEndedAt : this.#at;
      this.#sink?.push({ type: 'close', at, session, how });
      return;
    }
    // Nobody answered its SYN.
    const cause = this.#unread ?? 'unheard';
    this.#sink?.push({ type: 'skip', at: this.#at, session, cause, commands: this.#unreadTurns, how });
  }
}
