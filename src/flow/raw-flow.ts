import { Reassembly } from '../tcp/reassembly.ts';
import type { CaptureNs } from '../time.ts';
import { CTL, type Segment } from '../wire/segment.ts';
import { seqAdd } from '../wire/sequence.ts';
import type { CloseHow, FlowEvent, SessionMeta, SkipCause } from './events.ts';
import { RawDialogue, type RawSink, type Turn } from './raw-dialogue.ts';
import { type Endpoints, Flow, isClosed } from './table.ts';

/** What a connection needs while it is read. */
interface Reading {
  client: Reassembly;
  server: Reassembly;
}

/** One connection of a protocol that nobody knows: from its segments to its events. */
export class RawFlow extends Flow implements RawSink {
  readonly #push: (event: FlowEvent) => void;
  readonly #session: SessionMeta;
  /** undefined: nothing came yet, or it cannot be read, or is over. */
  #reading: Reading | undefined;
  /** Since the connection stands. */
  #dialogue: RawDialogue | undefined;
  /** Why it cannot be read from its beginning, or not any more. */
  #unread: SkipCause | undefined;
  /** Turns of it that were not told, and who spoke last. */
  #unreadTurns = 0;
  #clientSpoke = false;
  #clientEndedAt = -1;
  #over: boolean;
  #at: CaptureNs;

  /** `push`: undefined where nobody wants it. */
  constructor(
    endpoints: Endpoints,
    id: number,
    at: CaptureNs,
    push: ((event: FlowEvent) => void) | undefined,
  ) {
    super(id, at);
    this.#at = at;
    this.#over = push === undefined;
    this.#push = push ?? (() => {});
    this.#session = { id, ...endpoints, at, connectionId: 0, capabilities: 0, extendedCapabilities: 0 };
  }

  /** Whether `settle` may have something to tell. */
  get underWay(): boolean {
    return this.#dialogue?.underWay === true;
  }

  /** All packets of before `at` were read. */
  settle(at: CaptureNs): void {
    this.#at = at;
    this.#dialogue?.settle(at);
  }

  segment(segment: Segment, fromClient: boolean, at: CaptureNs): void {
    if (this.#over) return;
    this.#at = at;
    const { flags } = segment;
    if ((flags & CTL.syn) !== 0) this.#synchronize(segment, fromClient);
    else if (this.#reading === undefined) this.#unread ??= 'joined-late';
    const reading = this.#reading;
    if (reading === undefined) {
      this.#pass(segment, fromClient);
      return;
    }
    const { client, server } = reading;
    if ((flags & CTL.rst) !== 0) {
      // Before the server's SYN it answers the SYN of an earlier connection: this one may still come to stand.
      if (server.started) this.#close('rst');
      return;
    }
    const mine = fromClient ? client : server;
    const other = fromClient ? server : client;
    // The server's SYN is missing: its first octets, or the client's ACK, tell its number.
    if (!mine.started && segment.wireDataLength > 0) mine.start(segment.seq);
    if (mine.started && (flags & CTL.ack) !== 0) {
      if (other.started) other.acknowledged(segment.ack, segment.wireDataLength > 0, at);
      else other.start(segment.ack);
    }
    // A gap has shown.
    if (this.#reading === undefined) {
      this.#pass(segment, fromClient);
      return;
    }
    if (server.started && client.started) this.#stands();
    const seq = (flags & CTL.syn) !== 0 ? seqAdd(segment.seq, 1) : segment.seq;
    const fin = (flags & CTL.fin) !== 0;
    const { octets, dataOffset, dataLength, wireDataLength } = segment;
    mine.segment(octets, dataOffset, dataLength, wireDataLength, seq, fin, at);
  }

  /** The table gives it up: closed a while ago, its ports used anew, or the capture is over. */
  ended(at: CaptureNs): void {
    if (this.#over) return;
    this.#at = at;
    this.#close(this.reset ? 'rst' : this.clientFin || this.serverFin ? 'fin' : 'cut');
  }

  // What the dialogue tells.

  command(turn: Turn): void {
    // Behind its FIN the server hears nothing.
    if (this.#reading?.server.ended === true) this.#lost('unheard', 1);
    else this.#push({ type: 'command', at: this.#at, session: this.#session, command: turn });
  }

  reply(turn: Turn): void {
    this.#push({ type: 'reply', at: this.#at, session: this.#session, command: turn });
  }

  #newReading(): Reading {
    const reading: Reading = {
      client: new Reassembly({
        data: (octets, from, to, at) => this.#dialogue?.fromClient(octets, from, to, at),
        gap: () => this.#gap(true),
        end: (at) => {
          this.#clientEndedAt = at;
          this.#dialogue?.clientEnded(at);
          if (reading.server.ended) this.#close('fin');
        },
      }),
      server: new Reassembly({
        data: (octets, from, to, at) => this.#dialogue?.fromServer(octets, from, to, at),
        gap: () => this.#gap(false),
        end: () => {
          if (reading.client.ended) this.#close('fin');
        },
      }),
    };
    return reading;
  }

  #synchronize(segment: Segment, fromClient: boolean): void {
    if (this.#unread !== undefined) return;
    this.#reading ??= this.#newReading();
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
    this.#push({ type: 'open', at: this.#at, session: this.#session });
  }

  /** What is behind missing octets is no one's turn: the session ends there. What of it follows is counted. */
  #gap(fromClient: boolean): void {
    if (this.#over || this.#unread !== undefined) return;
    const dialogue = this.#dialogue;
    this.#unread = 'gap';
    this.#reading = undefined;
    this.#dialogue = undefined;
    this.#clientSpoke = fromClient;
    this.#lost('gap', fromClient || dialogue?.underWay === true ? 1 : 0);
    this.#push({ type: 'close', at: this.#at, session: this.#session, how: 'cut' });
  }

  /** A segment of a connection that is not read. */
  #pass(segment: Segment, fromClient: boolean): void {
    if (segment.wireDataLength > 0) {
      if (fromClient && !this.#clientSpoke) {
        if (this.#unread === 'gap') this.#lost('gap', 1);
        else this.#unreadTurns++;
      }
      this.#clientSpoke = fromClient;
    }
    if (isClosed(this)) this.#close('fin');
  }

  #lost(cause: SkipCause, commands: number): void {
    this.#push({ type: 'lost', at: this.#at, session: this.#session, cause, commands });
  }

  #close(how: CloseHow): void {
    if (this.#over) return;
    // Delivers what waits behind holes, which may end the session there.
    this.#reading?.client.finish(this.#at);
    this.#reading?.server.finish(this.#at);
    this.#dialogue?.finish();
    const stood = this.#dialogue !== undefined;
    this.#over = true;
    this.#reading = undefined;
    this.#dialogue = undefined;
    const session = this.#session;
    // Told as closed at the gap.
    if (this.#unread === 'gap') return;
    if (stood) {
      const at = this.#clientEndedAt >= 0 ? this.#clientEndedAt : this.#at;
      this.#push({ type: 'close', at, session, how });
      return;
    }
    // Nobody answered its SYN.
    const cause = this.#unread ?? 'unheard';
    this.#push({ type: 'skip', at: this.#at, session, cause, commands: this.#unreadTurns, how });
  }
}
