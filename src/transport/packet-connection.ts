import type { ReceiverPort, Tuple } from '../intercept/ports.ts';
import { EXPECT } from '../mysql/command.ts';
import type { Reply } from '../mysql/reply.ts';
import { windowField } from '../tcp/receive.ts';
import { type SegmentOut, SendHalf } from '../tcp/send.ts';
import type { Timed } from '../tcp/wheel.ts';
import type { MonotonicMs } from '../time.ts';
import { CTL } from '../wire/segment.ts';
import type { CloseCause, Connection, ConnectionHandler } from './transport.ts';

/** What a connection needs of its transport. */
export interface PacketOut {
  now(): MonotonicMs;
  /** Puts one segment into the batch; `shift` >= 0 makes it a SYN with options. Payload is read from `half`. */
  emit(
    tuple: Tuple,
    seq: number,
    ack: number,
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
  readonly #port: ReceiverPort;
  readonly #out: PacketOut;
  /** What the next segment acknowledges; 0 until the SYN-ACK came. */
  #rcvNxt = 0;
  #registered = false;
  #peerFin = false;
  #over = false;
  /** A command whose answer has a shape of its own: waits until the receive half knows. */
  #announced: Uint8Array | undefined;

  constructor(
    id: number,
    tuple: Tuple,
    iss: number,
    mss: number,
    handler: ConnectionHandler,
    port: ReceiverPort,
    out: PacketOut,
  ) {
    this.id = id;
    this.tuple = tuple;
    this.#handler = handler;
    this.#port = port;
    this.#out = out;
    this.send = new SendHalf(iss, mss);
  }

  /** Makes the flow known to the receive half; the SYN goes out once that is done. */
  begin(): void {
    this.#port.register(this.id, this.tuple, this.send.iss);
  }

  get pollAt(): MonotonicMs {
    return this.send.pollAt;
  }

  // What the owner asks.

  writeLogin(octets: Uint8Array): void {
    this.send.write(octets);
    this.dispatch();
  }

  commandPhase(capabilities: number, extendedCapabilities: number): void {
    this.#port.commandPhase(this.id, capabilities, extendedCapabilities);
  }

  write(packet: Uint8Array, expect: number): void {
    if (this.#over) return;
    if (expect !== EXPECT.none && expect !== EXPECT.result) {
      this.#announced = packet;
      this.#port.expect(this.id, expect);
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
    if (this.#over) return;
    this.send.abort(this);
    this.#close('aborted');
  }

  /** Sends what may go now. */
  dispatch(): void {
    if (this.#over || !this.#registered) return;
    this.send.dispatch(this.#out.now(), this);
    if (this.send.state === 'failed') this.#close('timeout');
    else this.#out.schedule(this);
  }

  segment(half: SendHalf, seq: number, flags: number, length: number): void {
    this.#out.emit(this.tuple, seq, this.#rcvNxt, flags, windowField(half.windowScaled), half, length);
    if (flags & CTL.ack) this.#port.acked?.(this.id, this.#rcvNxt);
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

  established(ack: number, window: number, rcvNxt: number, mss: number, shift: number): void {
    this.#rcvNxt = rcvNxt;
    this.send.established(mss, shift, window, this.#out.now());
    this.send.acked(ack, window, this.#out.now());
    this.#handler.established();
    this.dispatch();
  }

  acked(ack: number, window: number, rcvNxt: number): void {
    this.#rcvNxt = rcvNxt;
    this.send.acked(ack, window, this.#out.now());
    this.#closeIfDone();
    this.dispatch();
  }

  packet(ack: number, window: number, rcvNxt: number, octets: Uint8Array): void {
    this.#rcvNxt = rcvNxt;
    this.send.acked(ack, window, this.#out.now());
    this.#handler.packet(octets);
  }

  reply(ack: number, window: number, rcvNxt: number, reply: Reply, ageMs: number): void {
    this.#rcvNxt = rcvNxt;
    const now = this.#out.now();
    this.send.acked(ack, window, now);
    this.#handler.reply(reply, now - ageMs);
    // A long command may have waited for this ACK's window.
    if (!this.send.drained) this.dispatch();
  }

  fin(ack: number, window: number, rcvNxt: number): void {
    this.#rcvNxt = rcvNxt;
    this.#peerFin = true;
    this.send.acked(ack, window, this.#out.now());
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
    this.#port.release(this.id, cause !== 'fin');
    this.#out.ended(this);
    this.#handler.closed(cause);
  }
}
