/** A client's octets as they were sent, and the commands in them: by sequence numbers and packet headers alone. */
import { FLAG, type Packet, parseFrame } from './frames.ts';
import { PORTS } from './told.ts';

/** A client's data, of connections one after another: which packets have which octets of it. */
export interface Stream {
  octets: Buffer;
  captured: Uint8Array;
  parts: { source: number; offset: number; length: number }[];
  /** Where packets' data ended on the wire: further than what is captured of those that were cut. */
  ends: Set<number>;
}

/** A jump of sequence numbers that is further than a connection's data go. */
const ANOTHER_STREAM = 1 << 19;

export function streamsOf(packets: readonly Packet[], linkType: number, client: string): Stream[] {
  const groups: {
    base: number;
    parts: { source: number; seq: number; data: Uint8Array; wireLength: number }[];
  }[] = [];
  for (const { octets, source } of packets) {
    const frame = parseFrame(octets, linkType, PORTS);
    if (frame === undefined || !frame.fromClient || frame.client !== client) continue;
    const { seq, flags, data, length, wireLength } = frame;
    let group = groups.at(-1);
    const begins = (flags & FLAG.syn) !== 0 && group !== undefined && group.parts.length > 0;
    const jumps = length > 0 && group !== undefined && Math.abs((seq - group.base) | 0) > ANOTHER_STREAM;
    if (group === undefined || begins || jumps) groups.push((group = { base: seq, parts: [] }));
    if (length > 0) group.parts.push({ source, seq, data: octets.subarray(data, data + length), wireLength });
  }
  return groups
    .filter(({ parts }) => parts.length > 0)
    .map(({ parts }) => {
      const first = parts[0].seq;
      const base = parts.reduce((least, { seq }) => Math.min(least, (seq - first) | 0), 0);
      const placed = parts.map(({ seq, ...part }) => ({
        ...part,
        offset: ((seq - first) | 0) - base,
      }));
      const size = Math.max(...placed.map(({ offset, data }) => offset + data.length));
      const octets = Buffer.alloc(size);
      const captured = new Uint8Array(size);
      for (const { data, offset } of placed) {
        octets.set(data, offset);
        captured.fill(1, offset, offset + data.length);
      }
      const where = placed.map(({ source, data, offset }) => ({ source, offset, length: data.length }));
      const ends = new Set(placed.map(({ offset, wireLength }) => offset + wireLength));
      return { octets, captured, parts: where, ends };
    });
}

/** [from, to) of a stream. */
export interface Range {
  from: number;
  to: number;
}

const HEADER = 4;
/** HandshakeResponse41's capabilities: TLS follows; the rest is compressed by zlib; by zstd. */
const SSL = 0x800;
const COMPRESS = 0x20;
const ZSTD = 0x400_0000;
/** A HandshakeResponse41 without a user. */
const SSL_REQUEST = 32;
/** Numbers of commands (MySQL's, and MariaDB's bulk execution). */
const MOST_COM = 0x20;
const BULK = 0xfa;
const LAST_ID = 255;

/**
 * The commands whose beginning is captured, and how far they go: one that a hole cuts ends there. Undefined: they can't be read,
 * since the stream is encrypted or may be compressed.
 *
 * After a hole, or where the login is missing, commands are looked for from where a packet's data begin: good enough for captures
 * whose packets begin with commands, as these do.
 */
export function commandsIn(stream: Stream): Range[] | undefined {
  const { octets, captured } = stream;
  const commands: Range[] = [];
  for (let from = captured.indexOf(1); from >= 0; ) {
    let to = captured.indexOf(0, from);
    if (to < 0) to = captured.length;
    const hello = helloAt(octets, from, to);
    if (hello === 'opaque') return undefined;
    const at = hello ?? begin(stream, from, to);
    if (at !== undefined) commands.push(...walk(octets, at, to));
    from = captured.indexOf(1, to);
  }
  return commands;
}

const payloadLength = (octets: Buffer, at: number) => octets.readUIntLE(at, 3);

/** Where the login's first packet ends, if one stands at `from`. */
function helloAt(octets: Buffer, from: number, to: number): number | 'opaque' | undefined {
  if (to - from < HEADER + SSL_REQUEST || octets[from + 3] !== 1) return undefined;
  const length = payloadLength(octets, from);
  const capabilities = octets.readUInt32LE(from + HEADER);
  if (length === SSL_REQUEST && (capabilities & SSL) !== 0) return 'opaque';
  return (capabilities & (COMPRESS | ZSTD)) !== 0 ? 'opaque' : from + HEADER + length;
}

/** The first packet's data in [from, to) from where on all is commands. */
function begin(stream: Stream, from: number, to: number): number | undefined {
  const starts = new Set(stream.parts.map(({ offset }) => offset));
  return [...starts, from]
    .filter((at) => at >= from && at < to)
    .sort((a, b) => a - b)
    .find((at) => isCommands(stream, at, to));
}

/** Whether commands stand in [from, to); one that is cut has to follow a whole one, or to end where a packet did. */
function isCommands({ octets, ends }: Stream, from: number, to: number): boolean {
  let at = from;
  while (to - at > HEADER) {
    const com = octets[at + HEADER];
    const length = payloadLength(octets, at);
    if (octets[at + 3] !== 0 || length === 0 || (com > MOST_COM && com !== BULK)) return false;
    const end = at + HEADER + length;
    if (end > to) return at > from || ends.has(end);
    at = end;
  }
  return at > from;
}

/** Packets with sequence id 0 in [from, to), which begins with a packet; the others go on with what was begun (a login, a file). */
function walk(octets: Buffer, from: number, to: number): Range[] {
  const commands: Range[] = [];
  let before = 0;
  for (let at = from; at < to; ) {
    const end = to - at < HEADER ? to : at + HEADER + payloadLength(octets, at);
    const id = to - at < HEADER ? 0 : octets[at + 3];
    // Ids wrap within a long file.
    if (id === 0 && before !== LAST_ID) commands.push({ from: at, to: Math.min(end, to) });
    before = id;
    at = end;
  }
  return commands;
}
