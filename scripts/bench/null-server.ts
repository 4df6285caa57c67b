import { COM } from '../../src/mysql/command.ts';
import { HEADER_OCTETS, payloadLength } from '../../src/mysql/packet.ts';
import type { PacketBlock } from '../../src/wire/packets.ts';
import { CTL, PARSE, Segment } from '../../src/wire/segment.ts';
import { seqAdd } from '../../src/wire/sequence.ts';
import { type Ends, FrameWriter, OPTION } from './frames.ts';
import type { NullMysql, Saying } from './null-mysql.ts';

/** Our first sequence number, of every connection: nothing is remembered of any, so it must be known. */
export const ISS = 0x10000000;
const FIRST = ISS + 1;

const NO_OCTETS = new Uint8Array(0);

/** Where frames go: `FrameSender`, or a test's own. */
export interface Frames {
  readonly octets: Uint8Array;
  readonly view: DataView;
  slot(): number;
  commit(length: number): void;
  flush(): void;
}

/** How long a greeting waits for the login before it goes once more, ms, and how often it does. Linux: 200 ms and up. */
const RESEND_MS = 200;
const MAX_RESENDS = 20;

/** A greeting whose login has not come. */
interface Greeted {
  /** Ethernet addresses as they stand in our frames. */
  macs: Uint8Array;
  source: number;
  sourcePort: number;
  client: number;
  clientPort: number;
  ack: number;
  options: number;
  tsEcr: number;
  sentMs: number;
  resends: number;
}

/**
 * A MySQL server that costs nothing: it remembers nothing, once a client has logged in. What a segment calls for is in the
 * segment: an answer begins at the number that the client acknowledges, and acknowledges what it answers. So a segment that comes
 * again gets the same answer again, and a client that does not pipeline cannot tell it from a server. Only the greeting, which
 * nobody asks for, has to be sent again by us.
 *
 * What it cannot do: wait for a window, answer a command that comes in several segments.
 */
export class NullServer {
  connections = 0;
  commands = 0;
  readonly #frames: Frames;
  readonly #writer: FrameWriter;
  readonly #mysql: NullMysql;
  readonly #segment = new Segment();
  readonly #ends: Ends = { source: 0, destination: 0, sourcePort: 0, destinationPort: 0 };
  /** Destination, then source. */
  readonly #macs = new Uint8Array(12);
  /** Where the login's answer begins. */
  readonly #loginAt: number;
  readonly #hopOf: (client: number) => Uint8Array | undefined;
  /** By client's address and port as one number; oldest first. */
  readonly #greeted = new Map<number, Greeted>();
  #options = 0;
  #nowMs = 0;

  /** `hopOf`: the Ethernet address that packets for a client go to; undefined: to where its own come from. */
  constructor(frames: Frames, mysql: NullMysql, hopOf: (client: number) => Uint8Array | undefined) {
    this.#frames = frames;
    this.#writer = new FrameWriter(frames.octets, frames.view);
    this.#mysql = mysql;
    this.#hopOf = hopOf;
    this.#loginAt = FIRST + mysql.greeting.octets.length;
  }

  /** Answers a block of Ethernet frames. `nowMs`: any clock that does not step back; TSval, too. */
  take(block: PacketBlock, nowMs: number): void {
    const { linkType, octets, view, count, offset, length } = block;
    const segment = this.#segment;
    this.#now(nowMs);
    for (let i = 0; i < count; i++) {
      const found = segment.parse(octets, view, offset[i], length[i], linkType);
      if (found === PARSE.ok && segment.family === 4) this.#process(segment, offset[i]);
    }
    this.#frames.flush();
  }

  /** Sends greetings again that got no login. To be called every so often. */
  tick(nowMs: number): void {
    this.#now(nowMs);
    for (const [key, greeted] of this.#greeted) {
      if (greeted.sentMs + RESEND_MS > nowMs) break;
      this.#greeted.delete(key);
      if (greeted.resends === MAX_RESENDS) continue;
      greeted.resends++;
      greeted.sentMs = nowMs;
      this.#greeted.set(key, greeted);
      this.#macs.set(greeted.macs);
      const ends = this.#ends;
      ends.source = greeted.source;
      ends.sourcePort = greeted.sourcePort;
      ends.destination = greeted.client;
      ends.destinationPort = greeted.clientPort;
      this.#options = greeted.options;
      this.#writer.tsEcr = greeted.tsEcr;
      this.#say(this.#mysql.greeting, FIRST, greeted.ack);
    }
    this.#frames.flush();
  }

  #now(ms: number): void {
    this.#nowMs = ms;
    this.#writer.tsVal = Math.floor(ms) >>> 0;
  }

  #process(segment: Segment, frameAt: number): void {
    const { flags, tsVal, octets, src } = segment;
    if (flags & CTL.rst) return;
    this.#options = tsVal < 0 ? 0 : OPTION.timestamps;
    this.#writer.tsEcr = tsVal;
    const ends = this.#ends;
    ends.source = segment.dst;
    ends.destination = src;
    ends.sourcePort = segment.dstPort;
    ends.destinationPort = segment.srcPort;
    const hop = this.#hopOf(src);
    const macs = this.#macs;
    for (let i = 0; i < 6; i++) {
      macs[i] = hop === undefined ? octets[frameAt + 6 + i] : hop[i];
      macs[6 + i] = octets[frameAt + i];
    }
    if (flags & CTL.syn) this.#synchronize(segment);
    else if (segment.dataLength > 0) this.#data(segment);
    else if (flags & CTL.fin) this.#send(segment.ack, seqAdd(segment.seq, 1), CTL.fin | CTL.ack);
    else if (segment.ack === FIRST) this.#greet(segment);
  }

  #synchronize(segment: Segment): void {
    this.connections++;
    this.#options |= OPTION.syn;
    if (segment.sackPermitted) this.#options |= OPTION.sackPermitted;
    if (segment.windowShift >= 0) this.#options |= OPTION.windowScale;
    this.#send(ISS, seqAdd(segment.seq, 1), CTL.syn | CTL.ack);
  }

  #greet({ seq }: Segment): void {
    const { source, sourcePort, destination, destinationPort } = this.#ends;
    this.#greeted.set(destination * 65536 + destinationPort, {
      macs: this.#macs.slice(),
      source,
      sourcePort,
      client: destination,
      clientPort: destinationPort,
      ack: seq,
      options: this.#options,
      tsEcr: this.#writer.tsEcr,
      sentMs: this.#nowMs,
      resends: 0,
    });
    this.#say(this.#mysql.greeting, FIRST, seq);
  }

  /** The packets in one segment: a login or commands. */
  #data(segment: Segment): void {
    const { octets, dataOffset, dataLength, flags } = segment;
    const end = dataOffset + dataLength;
    let seq = segment.ack;
    const ack = seqAdd(segment.seq, dataLength + (flags & CTL.fin));
    let closing = (flags & CTL.fin) !== 0;
    for (let at = dataOffset; at + HEADER_OCTETS < end; ) {
      const from = at + HEADER_OCTETS;
      at = Math.min(end, from + payloadLength(octets, at));
      if (seq === this.#loginAt) {
        this.#greeted.delete(segment.src * 65536 + segment.srcPort);
        seq = this.#say(this.#mysql.welcome, seq, ack);
      } else if (octets[from] === COM.quit) {
        closing = true;
      } else {
        this.commands++;
        const answer = this.#mysql.answer(octets, from, at);
        if (answer !== undefined) seq = this.#say(answer, seq, ack);
      }
    }
    if (closing) this.#send(seq, ack, CTL.fin | CTL.ack);
    else if (seq === segment.ack) this.#send(seq, ack, CTL.ack);
  }

  /** Sends all of it; answers the sequence number behind. */
  #say({ octets, cuts, sums }: Saying, seq: number, ack: number): number {
    const last = sums.length - 1;
    for (let i = 0; i < last; i++) {
      this.#send(seqAdd(seq, cuts[i]), ack, CTL.ack, octets, cuts[i], cuts[i + 1], sums[i]);
    }
    const flags = CTL.ack | CTL.psh;
    this.#send(seqAdd(seq, cuts[last]), ack, flags, octets, cuts[last], octets.length, sums[last]);
    return seqAdd(seq, octets.length);
  }

  /** One segment with octets [from, to) of `data`, which add `sum` to a checksum. */
  #send(
    seq: number,
    ack: number,
    flags: number,
    data: Uint8Array = NO_OCTETS,
    from = 0,
    to = 0,
    sum = 0,
  ): void {
    const frames = this.#frames;
    const at = frames.slot();
    const { octets } = frames;
    const macs = this.#macs;
    for (let i = 0; i < 12; i++) octets[at + i] = macs[i];
    const options = this.#options;
    frames.commit(this.#writer.write(at, this.#ends, seq, ack, flags, options, data, from, to, sum));
  }
}
