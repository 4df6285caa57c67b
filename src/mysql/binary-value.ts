import { lenenc, lenencSize } from './packet.ts';

/** Types of values, as enum_field_types numbers them: those that are not a `string<lenenc>`, and one that is. */
export const TYPE = {
  tiny: 0x01,
  short: 0x02,
  long: 0x03,
  float: 0x04,
  double: 0x05,
  null: 0x06,
  timestamp: 0x07,
  longlong: 0x08,
  int24: 0x09,
  date: 0x0a,
  time: 0x0b,
  datetime: 0x0c,
  year: 0x0d,
  varString: 0xfd,
} as const;

/** The longest date and time there is: with microseconds and, from MySQL 8.0.19 on, a time zone. */
const MOST_TEMPORAL_OCTETS = 13;

/**
 * Octets that the value at `at` of a parameter or column of type `type` takes (MySQL manual, "Binary Protocol Value";
 * MariaDB's has the same forms). A type without a form of its own is a `string<lenenc>`, as servers read it, too. undefined
 * where it does not end before `end`, or has a length that its type cannot have.
 */
export function binaryValueLength(
  octets: Uint8Array,
  at: number,
  end: number,
  type: number,
): number | undefined {
  let length: number;
  switch (type) {
    case TYPE.null:
      length = 0;
      break;
    case TYPE.tiny:
      length = 1;
      break;
    case TYPE.short:
    case TYPE.year:
      length = 2;
      break;
    case TYPE.long:
    case TYPE.int24:
    case TYPE.float:
      length = 4;
      break;
    case TYPE.longlong:
    case TYPE.double:
      length = 8;
      break;
    case TYPE.date:
    case TYPE.time:
    case TYPE.datetime:
    case TYPE.timestamp:
      if (at >= end || octets[at] > MOST_TEMPORAL_OCTETS) return undefined;
      length = 1 + octets[at];
      break;
    default: {
      const size = at < end ? lenencSize(octets[at]) : 0;
      if (size === 0 || at + size > end) return undefined;
      length = size + lenenc(octets, at);
    }
  }
  return at + length <= end ? length : undefined;
}
