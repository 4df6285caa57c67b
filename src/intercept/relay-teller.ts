import type { Reply } from '../mysql/reply.ts';
import type { PeerOptions, Progress } from '../tcp/progress.ts';
import { MAX_MESSAGE_OCTETS, MESSAGE, type MessageWriter } from './messages.ts';
import type { ReceiverOwner } from './ports.ts';
import { beginState } from './relayed-progress.ts';
import { writeReply } from './relayed-reply.ts';

/** Turns a receiver's events into messages of the relay. A subclass sends them at the end of a turn. */
export abstract class RelayTeller implements ReceiverOwner {
  protected readonly out: MessageWriter;

  constructor(out: MessageWriter) {
    this.out = out;
  }

  abstract turnEnded(): void;

  registered(id: number): void {
    this.out.begin(MESSAGE.registered, 0, id, 8);
  }

  expecting(id: number): void {
    this.out.begin(MESSAGE.expecting, 0, id, 8);
  }

  established(id: number, progress: Progress, peer: PeerOptions): void {
    const at = beginState(this.out, MESSAGE.established, 0, id, progress, 4);
    const { view } = this.out;
    view.setUint16(at, Math.max(0, peer.mss));
    view.setInt8(at + 2, peer.shift);
    view.setUint8(at + 3, (peer.sackPermitted ? 1 : 0) | (peer.timestamps ? 2 : 0));
  }

  acked(id: number, progress: Progress): void {
    beginState(this.out, MESSAGE.acked, 0, id, progress, 0);
  }

  packet(id: number, progress: Progress, octets: Uint8Array): void {
    this.#octets(MESSAGE.packet, id, progress, octets);
  }

  reply(id: number, progress: Progress, reply: Reply, ageMs: number): void {
    writeReply(this.out, id, progress, reply, ageMs);
  }

  checkpoint(id: number, progress: Progress, state: Uint8Array): void {
    this.#octets(MESSAGE.checkpoint, id, progress, state);
  }

  fin(id: number, progress: Progress): void {
    beginState(this.out, MESSAGE.fin, 0, id, progress, 0);
  }

  reset(id: number, refused: boolean): void {
    this.out.begin(MESSAGE.reset, refused ? 1 : 0, id, 8);
  }

  stale(id: number): void {
    this.out.begin(MESSAGE.stale, 0, id, 8);
  }

  tooLong(id: number, mtu: number): void {
    const at = this.out.begin(MESSAGE.tooLong, 0, id, 12);
    this.out.view.setUint32(at + 8, mtu);
  }

  desync(id: number): void {
    this.out.begin(MESSAGE.desync, 0, id, 8);
  }

  taken(id: number): void {
    this.out.begin(MESSAGE.taken, 0, id, 8);
  }

  unresumable(id: number): void {
    this.out.begin(MESSAGE.unresumable, 0, id, 8);
  }

  #octets(type: number, id: number, progress: Progress, octets: Uint8Array): void {
    // Longer than any state before the octets leaves room for.
    if (octets.length > MAX_MESSAGE_OCTETS - 64) {
      this.desync(id);
      return;
    }
    const at = beginState(this.out, type, 0, id, progress, octets.length);
    this.out.octets(at, octets);
  }
}
