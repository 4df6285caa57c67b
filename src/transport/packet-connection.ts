import type { ReceiverPort, Resumption } from '../intercept/ports.ts';
import { EXPECT } from '../mysql/command.ts';
import type { Reply } from '../mysql/reply.ts';
import type { PeerOptions, Progress } from '../tcp/progress.ts';
import { windowField } from '../tcp/receive.ts';
import { NEVER, type SegmentOut, type SendHalf } from '../tcp/send.ts';
import type { Timed } from '../tcp/wheel.ts';
import type { MonotonicMs } from '../time.ts';
import { CTL } from '../wire/segment.ts';
import type { Tuple } from '../wire/tuple.ts';
import type { CloseCause, Connection, ConnectionHandler } from './transport.ts';

/** What a connection needs of its transport. */
export interface PacketOut {
  readonly port: ReceiverPort;
  now(): MonotonicMs;
  /** Puts one segment into the batch. Payload is read from `half`. */
  emit(
    tuple: Tuple,
    seq: number,
    ack: number,
    tsRecent: number,
    flags: number,
    window: number,
    half: SendHalf,
    length: number,
  ): void;
  schedule(connection: PacketConnection): void;
  ended(connection: PacketConnection): void;
}

/** A replayed connection over packets: the send half at work, with the receive half behind a port. */
export class PacketConnection implements Connection, SegmentOut, Timed {
  readonly id: number;
  readonly tuple: Tuple;
  readonly send: SendHalf;
  wheelSlot = -1;
  readonly #handler: ConnectionHandler;
  readonly #out: PacketOut;
  #registered = false;
  /** The target's SYN-ACK; undefined until it came. */
  #peer: PeerOptions | undefined;
  /** What the next segment acknowledges, and what its TSecr is. */
  #rcvNxt = 0;
  #tsRecent = 0;
  /** SEG.WND that #tsRecent came with, not scaled. */
  #window = 0;
  #peerFin = false;
  #over = false;
  /** A command whose answer has a shape of its own: waits until the receive half knows. */
  #announced: Uint8Array | undefined;
  /** That shape, until the answer came; EXPECT.result where it has none of its own. */
  #shape: number = EXPECT.result;
  /** For a receive half that does not know this connection: by what answers are read … */
  #commandPhase: Resumption['commandPhase'];
  /** … and where in one the reader stood at #rcvNxt, unless at its beginning. */
  #state: Uint8Array | undefined;

  constructor(id: number, tuple: Tuple, send: SendHalf, handler: ConnectionHandler, out: PacketOut) {
    this.id = id;
    this.tuple = tuple;
    this.#handler = handler;
    this.#out = out;
    this.send = send;
    // As MySQL's clients do: SO_KEEPALIVE.
    this.send.keepAlive = true;
  }

  /** Makes the flow known to the receive half; the SYN goes out once that is done. */
  begin(): void {
    this.#out.port.register(this.id, this.tuple, this.send.iss);
  }

  /** Makes it known to a receive half that has taken the place of another. */
  resume(): void {
    const { port } = this.#out;
    if (this.#peer === undefined) {
      this.begin();
      return;
    }
    const isWaiting = this.#announced !== undefined;
    const hasShape = this.#shape !== EXPECT.result && this.#state === undefined;
    port.resume(this.id, this.tuple, {
      iss: this.send.iss,
      rcvNxt: this.#rcvNxt,
      ack: this.send.una,
      tsVal: this.send.tsVal,
      tsRecent: this.#tsRecent,
      peer: this.#peer,
      commandPhase: this.#commandPhase,
      expect: hasShape && !isWaiting ? this.#shape : undefined,
      state: this.#state,
    });
    if (isWaiting) port.expect(this.id, this.#shape);
  }

  get pollAt(): MonotonicMs {
    // A keepalive's deadline is hours away: over, it must not hold all that this holds until then.
    return this.#over ? NEVER : this.send.pollAt;
  }

  // What the owner asks.

  writeLogin(octets: Uint8Array): void {
    this.send.write(octets);
    this.dispatch();
  }

  commandPhase(capabilities: number, extendedCapabilities: number): void {
    this.#commandPhase = { capabilities, extendedCapabilities };
    this.#out.port.commandPhase(this.id, capabilities, extendedCapabilities);
  }

  write(packet: Uint8Array, expect: number): void {
    if (this.#over) return;
    if (expect !== EXPECT.none && expect !== EXPECT.result) {
      this.#announced = packet;
      this.#shape = expect;
      this.#out.port.expect(this.id, expect);
      return;
    }
    this.send.write(packet);
    this.dispatch();
  }

  end(): void {
    if (this.#over) return;
    this.send.close();
    this.dispatch();
  }

  abort(): void {
    this.#cut('aborted');
  }

  /** Sends what may go now. */
  dispatch(): void {
    if (this.#over || !this.#registered) return;
    this.send.dispatch(this.#out.now(), this);
    if (this.send.state === 'failed') this.#close('timeout');
    else this.#out.schedule(this);
  }

  segment(half: SendHalf, seq: number, flags: number, length: number): void {
    const window = windowField(half.windowScaled);
    this.#out.emit(this.tuple, seq, this.#rcvNxt, this.#tsRecent, flags, window, half, length);
    if (flags & CTL.ack) this.#out.port.acked?.(this.id, this.#rcvNxt);
  }

  // What the receive half tells.

  registered(): void {
    this.#registered = true;
    this.dispatch();
  }

  expecting(): void {
    if (this.#over || this.#announced === undefined) return;
    this.send.write(this.#announced);
    this.#announced = undefined;
    this.dispatch();
  }

  established(progress: Progress, peer: PeerOptions): void {
    this.#peer = peer;
    this.#rcvNxt = progress.rcvNxt;
    this.#tsRecent = progress.tsRecent;
    this.#window = progress.window;
    this.send.established(peer, progress, this.#out.now());
    this.#handler.established();
    this.dispatch();
  }

  acked(progress: Progress): void {
    this.#take(progress);
    this.#closeIfDone();
    this.dispatch();
  }

  packet(progress: Progress, octets: Uint8Array): void {
    this.#state = undefined;
    this.#take(progress);
    this.#handler.packet(octets);
  }

  reply(progress: Progress, reply: Reply, ageMs: number): void {
    this.#state = undefined;
    this.#shape = EXPECT.result;
    const now = this.#take(progress);
    this.#handler.reply(reply, now - ageMs);
    // A long command may have waited for this ACK's window.
    if (!this.send.drained) this.dispatch();
  }

  checkpoint(progress: Progress, state: Uint8Array): void {
    this.#state = new Uint8Array(state);
    this.#take(progress);
    this.dispatch();
  }

  fin(progress: Progress): void {
    this.#peerFin = true;
    this.#take(progress);
    // The server has closed: nothing that we could still say would be read.
    this.send.close();
    this.dispatch();
    this.#closeIfDone();
  }

  reset(refused: boolean): void {
    this.send.dead();
    this.#close(refused ? 'refused' : 'reset');
  }

  stale(): void {
    this.send.synAgain(this.#out.now());
    this.dispatch();
  }

  /** Ends the connection from this side: what the target still holds is reset. */
  giveUp(cause: 'desync' | 'relay' | 'timeout'): void {
    this.#cut(cause);
  }

  #take(progress: Progress): MonotonicMs {
    const now = this.#out.now();
    this.#rcvNxt = progress.rcvNxt;
    if (this.send.acked(progress, now)) {
      this.#tsRecent = progress.tsRecent;
      this.#window = progress.window;
    } else {
      const { una, max } = this.send;
      this.#out.port.correct(this.id, { una, max, window: this.#window, tsRecent: this.#tsRecent });
    }
    return now;
  }

  #cut(cause: CloseCause): void {
    if (this.#over) return;
    this.send.abort(this);
    this.#close(cause);
  }

  #closeIfDone(): void {
    if (this.#peerFin && this.send.state === 'fin-acked') this.#close('fin');
  }

  #close(cause: CloseCause): void {
    if (this.#over) return;
    this.#over = true;
    this.#out.port.release(this.id, cause !== 'fin');
    this.#out.ended(this);
    this.#handler.closed(cause);
  }
}
