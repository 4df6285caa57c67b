import { MAX_ERR_OCTETS } from './answer.ts';
import { HEADER_OCTETS, type OctetReader, type OctetWriter } from './packet.ts';

/**
 * A packet that comes in parts. Only a reader inside of one has it, and gives it back: an idle connection must cost little
 * memory, and a long answer no allocation a segment.
 */
export class ReplyPart {
  /** Its wire packet: the header as far as it came … */
  readonly header = new Uint8Array(HEADER_OCTETS);
  headerLength = 0;
  /** … then, `inPacket`, the octets of payload still to come. */
  inPacket = false;
  payloadLeft = 0;
  /** It is full, so the same payload goes on in another … */
  full = false;
  /** … which is the one that comes now. */
  continues = false;
  /** The whole payload: length of its first part, whether it is a row, and its beginning, which is all of an ERR. */
  length = 0;
  isRow = false;
  readonly head = new Uint8Array(MAX_ERR_OCTETS);
  headLength = 0;

  save(writer: OctetWriter): void {
    writer
      .uint(this.headerLength, 1)
      .octets(this.header.subarray(0, this.headerLength))
      .uint(this.inPacket ? 1 : 0, 1)
      .uint(this.payloadLeft, 3)
      .uint(this.full ? 1 : 0, 1)
      .uint(this.continues ? 1 : 0, 1)
      .uint(this.length, 3)
      .uint(this.isRow ? 1 : 0, 1)
      .uint(this.headLength, 2)
      .octets(this.head.subarray(0, this.headLength));
  }

  restore(reader: OctetReader): void {
    this.headerLength = Math.min(HEADER_OCTETS, reader.uint(1));
    this.header.set(reader.take(this.headerLength));
    this.inPacket = reader.uint(1) !== 0;
    this.payloadLeft = reader.uint(3);
    this.full = reader.uint(1) !== 0;
    this.continues = reader.uint(1) !== 0;
    this.length = reader.uint(3);
    this.isRow = reader.uint(1) !== 0;
    this.headLength = Math.min(MAX_ERR_OCTETS, reader.uint(2));
    this.head.set(reader.take(this.headLength));
  }
}

const idle: ReplyPart[] = [];

/** One at the beginning of a packet. */
export function takePart(): ReplyPart {
  return idle.pop() ?? new ReplyPart();
}

export function givePart(part: ReplyPart): void {
  part.headerLength = 0;
  part.inPacket = false;
  part.continues = false;
  idle.push(part);
}
