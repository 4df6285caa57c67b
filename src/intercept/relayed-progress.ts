import type { Progress } from '../tcp/progress.ts';
import { HEADER_OCTETS, type MessageWriter } from './messages.ts';

/**
 * *State*, at the head of every message that tells of a segment (docs/relay-protocol.md): SEG.ACK, RCV.NXT and SEG.WND in
 * 10 octets, then what the upper bits of the message's argument say: TS.Recent in 4, SACK blocks in 8 each. The lower three bits are
 * the message's own.
 */
const STATE_OCTETS = 10;
const OWN_BITS = 0x07;
const PURE = 0x08;
const TIMESTAMPS = 0x10;
const SACK_SHIFT = 5;
const MAX_SACK_BLOCKS = 4;

/**
 * Begins a message with the state of `progress` and room for `more` octets behind it, and answers where those go. `own`: the
 * argument's own bits.
 */
export function beginState(
  writer: MessageWriter,
  type: number,
  own: number,
  id: number,
  progress: Progress,
  more: number,
): number {
  const { tsRecent, sackCount, sack } = progress;
  const argument =
    own | (progress.pure ? PURE : 0) | (tsRecent === 0 ? 0 : TIMESTAMPS) | (sackCount << SACK_SHIFT);
  const length = HEADER_OCTETS + STATE_OCTETS + (tsRecent === 0 ? 0 : 4) + 8 * sackCount;
  const at = writer.begin(type, argument, id, length + more);
  const { view } = writer;
  view.setUint32(at + 8, progress.ack);
  view.setUint32(at + 12, progress.rcvNxt);
  view.setUint16(at + 16, progress.window);
  let end = at + HEADER_OCTETS + STATE_OCTETS;
  if (tsRecent !== 0) {
    view.setUint32(end, tsRecent);
    end += 4;
  }
  for (let i = 0; i < 2 * sackCount; i++, end += 4) view.setUint32(end, sack[i]);
  return end;
}

/** A state that was read, or copied. One instance serves many. */
export class RelayedProgress implements Progress {
  ack = 0;
  window = 0;
  rcvNxt = 0;
  tsRecent = 0;
  pure = false;
  sackCount = 0;
  sack = new Uint32Array(2 * MAX_SACK_BLOCKS);
  /** The argument's own bits of the message last read. */
  own = 0;

  /** Reads the state of the message at `at`, `length` octets long; answers where it ends, or -1 where it is cut short. */
  read(view: DataView, at: number, length: number): number {
    const argument = view.getUint8(at + 3);
    this.own = argument & OWN_BITS;
    this.pure = (argument & PURE) !== 0;
    this.sackCount = argument >> SACK_SHIFT;
    const hasTimestamps = (argument & TIMESTAMPS) !== 0;
    let end = at + HEADER_OCTETS + STATE_OCTETS;
    if (end + (hasTimestamps ? 4 : 0) + 8 * this.sackCount > at + length) return -1;
    if (this.sackCount > MAX_SACK_BLOCKS) return -1;
    this.ack = view.getUint32(at + 8);
    this.rcvNxt = view.getUint32(at + 12);
    this.window = view.getUint16(at + 16);
    this.tsRecent = hasTimestamps ? view.getUint32(end) : 0;
    if (hasTimestamps) end += 4;
    for (let i = 0; i < 2 * this.sackCount; i++, end += 4) this.sack[i] = view.getUint32(end);
    return end;
  }

  /** As `progress`, but for RCV.NXT. Good as long as `progress` is. */
  like(progress: Progress, rcvNxt: number): this {
    this.ack = progress.ack;
    this.window = progress.window;
    this.rcvNxt = rcvNxt;
    this.tsRecent = progress.tsRecent;
    this.pure = progress.pure;
    this.sackCount = progress.sackCount;
    this.sack = progress.sack as Uint32Array<ArrayBuffer>;
    return this;
  }
}
