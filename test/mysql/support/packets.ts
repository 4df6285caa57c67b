import type { Reply } from '../../../src/mysql/reply.ts';
import { ReplyReader } from '../../../src/mysql/reply-reader.ts';

/** Payload octets of a scripted packet: numbers as they are, text as its UTF-8. */
export function payload(...parts: (number | string | Uint8Array)[]): Uint8Array {
  const pieces = parts.map((part) =>
    typeof part === 'number' ? Uint8Array.of(part) : typeof part === 'string' ? Buffer.from(part) : part,
  );
  return new Uint8Array(Buffer.concat(pieces));
}

/** Packets with the payloads given and sequence ids from `first` on; payloads of 16 MiB and more take several. */
export function packets(first: number, ...payloads: Uint8Array[]): Uint8Array {
  const out: Uint8Array[] = [];
  let sequenceId = first;
  for (const whole of payloads) {
    for (let at = 0; ; at += 0xffffff) {
      const part = whole.subarray(at, at + 0xffffff);
      out.push(Uint8Array.of(part.length, part.length >> 8, part.length >> 16, sequenceId), part);
      sequenceId = (sequenceId + 1) & 255;
      if (part.length < 0xffffff) break;
    }
  }
  return new Uint8Array(Buffer.concat(out));
}

export const command = (...parts: (number | string | Uint8Array)[]) => packets(0, payload(...parts));

/** OK: affected rows, last insert id, status, no warnings. */
export const ok = (affected = 0, status = 2) => payload(0, affected, 0, status & 255, status >> 8, 0, 0);
/** What CLIENT_DEPRECATE_EOF puts in an EOF's place. */
export const okAsEof = (status = 2) => payload(0xfe, 0, 0, status & 255, status >> 8, 0, 0);
export const eof = (status = 2) => payload(0xfe, 0, 0, status & 255, status >> 8);
export const err = (errno: number, message = 'no') =>
  payload(0xff, errno & 255, errno >> 8, '#42000', message);
/** A column definition; what is in it does not matter to a reader of answers. */
export const column = (name: string) =>
  payload(3, 'def', 0, 0, 0, name.length, name, 0, 0x0c, new Uint8Array(12));
/** A text row of short values. */
export const row = (...values: string[]) => payload(...values.flatMap((value) => [value.length, value]));

/** Feeds `octets` to a reader in the command phase in pieces of `piece` octets, and says what it told. */
export function readAnswers(
  octets: Uint8Array,
  shapes: number[],
  options: { capabilities?: number; extendedCapabilities?: number; piece?: number } = {},
): { replies: Reply[]; desyncs: number; pending: number; heldOctets: number } {
  const replies: Reply[] = [];
  let desyncs = 0;
  const reader = new ReplyReader({
    packet: () => {},
    reply: (reply) => replies.push(reply),
    desync: () => desyncs++,
  });
  reader.commandPhase(options.capabilities ?? 0, options.extendedCapabilities ?? 0);
  for (const shape of shapes) reader.expect(shape);
  const piece = options.piece ?? octets.length;
  for (let at = 0; at < octets.length; at += piece) {
    reader.feed(octets, at, Math.min(at + piece, octets.length), 7);
  }
  return { replies, desyncs, pending: reader.pending, heldOctets: reader.heldOctets };
}
