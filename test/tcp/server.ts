import assert from 'node:assert/strict';
import { seqAdd, seqDiff, seqLe, seqLt } from '../../src/wire/sequence.ts';
import { ACK, FIN, type PeerSegment, PSH, RST, readPacket, SYN, writePacket } from './packet.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** Least time between two answers to segments that have nothing in them, as Linux's tcp_invalid_ratelimit. */
const ANSWER_MS = 500;

export interface ServerOptions {
  iss: number;
  mss: number;
  /** Octets it takes ahead; a constant, because what comes in order is consumed at once. */
  window: number;
  /** Its window shift, or -1 to send no such option. */
  shift: number;
  rtoMs: number;
  /** Whether it takes SACK (RFC 2018), and sends again by the client's blocks. */
  sack?: boolean;
  /** Whether its segments carry timestamps (RFC 7323), in ticks of a millisecond. */
  timestamps?: boolean;
  /** How long it keeps the ACK of one segment, ms; at once unless told. */
  ackDelayMs?: number;
  /** The next octets of the stream. May write and close. */
  onData(server: SimulatedServer, octets: Uint8Array, now: number): void;
  /** The connection stands. May write and close. */
  onOpen?(server: SimulatedServer): void;
  /** The client closed. */
  onFin?(server: SimulatedServer): void;
}

/** What came of the client's stream by its place: what the server has of it before its turn. */
class Pieces {
  readonly #base: number;
  #octets = new Uint8Array(0);
  #here = new Uint8Array(0);
  newest: [number, number] | undefined;

  /** `base` is the stream's first octet. */
  constructor(base: number) {
    this.#base = base;
  }

  add(seq: number, data: Uint8Array): void {
    const at = seqDiff(seq, this.#base);
    if (at + data.length > this.#octets.length) {
      const room = 2 * (at + data.length);
      const [octets, here] = [new Uint8Array(room), new Uint8Array(room)];
      octets.set(this.#octets);
      here.set(this.#here);
      this.#octets = octets;
      this.#here = here;
    }
    this.#octets.set(data, at);
    this.#here.fill(1, at, at + data.length);
    if (data.length > 0) this.newest = [seq, seqAdd(seq, data.length)];
  }

  /** The octets from `seq` on that are here. They are let go. */
  take(seq: number): Uint8Array {
    const from = seqDiff(seq, this.#base);
    let to = from;
    while (this.#here[to] === 1) to++;
    this.#here.fill(0, from, to);
    return this.#octets.slice(from, to);
  }

  /** The block around the newest piece, as far as it is still here. */
  block(): [number, number] | undefined {
    if (this.newest === undefined) return undefined;
    let left = seqDiff(this.newest[0], this.#base);
    let right = seqDiff(this.newest[1], this.#base);
    if (this.#here[left] !== 1) return undefined;
    while (this.#here[left - 1] === 1) left--;
    while (this.#here[right] === 1) right++;
    return [seqAdd(this.#base, left), seqAdd(this.#base, right)];
  }
}

/**
 * The other end of one connection, written apart from src/tcp so that the two can disagree: passive open, a fixed timer
 * that doubles, no congestion control. It throws where a segment is not as the RFC wants it.
 */
export class SimulatedServer {
  state: 'listen' | 'syn-received' | 'open' | 'reset' = 'listen';
  /** The client's FIN came in its turn. */
  peerClosed = false;
  /** Our FIN was acknowledged. */
  finAcked = false;
  /** Segments received, by what they are. */
  counts = { syn: 0, data: 0, bareAck: 0, fin: 0, rst: 0 };
  /** Octets of data that came and were here before. */
  repeated = 0;
  readonly #options: ServerOptions;
  readonly #out: (packet: Uint8Array) => void;
  #them!: PeerSegment;
  #rcvNxt = 0;
  /** #rcvNxt as the client was last told. */
  #ackSent = 0;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #una: number;
  #nxt: number;
  #max: number;
  #stream: Uint8Array = new Uint8Array(0);
  #closing = false;
  #peerMss = 536;
  #peerShift = 0;
  #peerWindow = 0;
  #rto: number;
  #rtoAt = NEVER;
  #timeouts = 0;
  #ackAt = NEVER;
  #unacked = 0;
  #sack = false;
  #timestamps = false;
  #tsRecent = 0;
  /** The newest TSval that was sent. */
  #stamp = 0;
  #held!: Pieces;
  /** The client's FIN came before its turn: its sequence number. */
  #finSeq = -1;
  /** Sequence numbers that the client's blocks said it has, of our stream. */
  #sacked: [number, number][] = [];
  #duplicates = 0;
  /** When it was last told the time. */
  #now = 0;
  /** One past what was sent again since the client's last blocks without a hole. */
  #resent: number;
  #twice: [number, number] | undefined;

  constructor(options: ServerOptions, out: (packet: Uint8Array) => void) {
    this.#options = options;
    this.#out = out;
    this.#una = options.iss;
    this.#nxt = options.iss;
    this.#max = options.iss;
    this.#resent = options.iss;
    this.#rto = options.rtoMs;
  }

  /** When `poll` is due. */
  get pollAt(): number {
    return Math.min(this.#rtoAt, this.#ackAt);
  }

  write(octets: Uint8Array): void {
    this.#stream = new Uint8Array(Buffer.concat([this.#stream, octets]));
  }

  close(): void {
    this.#closing = true;
  }

  /** Resets the connection at once. */
  reset(): void {
    this.#send(this.#max, RST | ACK, 0, this.#now);
    this.#over();
  }

  take(packet: Uint8Array, now: number): void {
    this.#now = now;
    const segment = readPacket(packet);
    this.#count(segment);
    if (this.state === 'reset') return;
    if (segment.flags & RST) {
      if (this.state !== 'listen' && segment.seq === this.#rcvNxt) this.#over();
    } else if (segment.flags & SYN) this.#takeSyn(segment, now);
    else if (this.state !== 'listen' && segment.flags & ACK) this.#takeSegment(segment, now);
  }

  /** To be called when `pollAt` has come. */
  poll(now: number): void {
    if (now >= this.#ackAt) this.#sendAck(now);
    if (now < this.#rtoAt) return;
    this.#rto = Math.min(this.#rto * 2, 2000);
    this.#timeouts++;
    this.#rtoAt = NEVER;
    this.#nxt = this.#una;
    this.#resent = this.#una;
    if (this.state === 'syn-received') this.#sendSynAck(now);
    else this.pump(now);
  }

  /** Sends what may go. Answers whether anything did. */
  pump(now: number): boolean {
    if (this.state !== 'open') return false;
    const end = seqAdd(this.#options.iss, 1 + this.#stream.length);
    const size = this.#segmentOctets();
    let sent = false;
    for (;;) {
      this.#nxt = this.#skip(this.#nxt);
      const left = Math.min(seqDiff(end, this.#nxt), this.#holeAt(this.#nxt));
      const room = Math.min(this.#peerWindow, 20 * size) - seqDiff(this.#nxt, this.#una);
      const length = Math.min(left, size, room);
      if (length <= 0) break;
      this.#send(this.#nxt, ACK | PSH, length, now);
      this.#nxt = seqAdd(this.#nxt, length);
      sent = true;
    }
    if (this.#closing && this.#nxt === end) {
      this.#send(this.#nxt, FIN | ACK, 0, now);
      this.#nxt = seqAdd(this.#nxt, 1);
      sent = true;
    }
    if (seqLt(this.#max, this.#nxt)) this.#max = this.#nxt;
    if (sent && this.#rtoAt === NEVER) this.#rtoAt = now + this.#rto;
    return sent;
  }

  #over(): void {
    this.state = 'reset';
    this.#rtoAt = NEVER;
    this.#ackAt = NEVER;
  }

  /** What is sent again is cut at other places, as Linux may: segments overlap then. */
  #segmentOctets(): number {
    const whole = Math.min(this.#options.mss, this.#peerMss) - (this.#timestamps ? 12 : 0);
    return Math.ceil(whole * (this.#timeouts & 1 ? 0.6 : 1));
  }

  #count({ flags, data }: PeerSegment): void {
    if (flags & RST) this.counts.rst++;
    else if (flags & SYN) this.counts.syn++;
    else if (flags & FIN) this.counts.fin++;
    else if (data.length > 0) this.counts.data++;
    else this.counts.bareAck++;
  }

  #takeSyn(segment: PeerSegment, now: number): void {
    const { shift = -1, sack, timestamps } = this.#options;
    if (this.state === 'listen') {
      this.#them = segment;
      this.state = 'syn-received';
      this.#rcvNxt = seqAdd(segment.seq, 1);
      this.#held = new Pieces(this.#rcvNxt);
      this.#peerMss = segment.mss ?? 536;
      if (shift >= 0) this.#peerShift = segment.shift ?? 0;
      this.#sack = sack === true && segment.sackPermitted === true;
      this.#timestamps = timestamps === true && segment.timestamps !== undefined;
      this.#tsRecent = segment.timestamps?.val ?? 0;
    }
    if (this.state === 'syn-received' && seqAdd(segment.seq, 1) === this.#rcvNxt) this.#sendSynAck(now);
    else this.#sendAck(now);
  }

  #takeSegment(segment: PeerSegment, now: number): void {
    const { data, seq } = segment;
    const fin = segment.flags & FIN ? 1 : 0;
    const end = seqAdd(seq, data.length + fin);
    this.#check(segment, end);
    if (segment.timestamps) {
      // RFC 7323 (5.3), by the strictest that there are: Linux forgives a tick, but not before a connection stands, nor in TIME_WAIT.
      assert.ok(seqDiff(segment.timestamps.val, this.#tsRecent) >= 0, 'PAWS would drop it');
      if (seqLe(seq, this.#rcvNxt)) this.#tsRecent = segment.timestamps.val;
    }
    // RFC 9293 (3.10.7.4, first), as Linux reads it: what ends before the last ACK that was sent is not taken, not even its ACK.
    if (seqLt(end, this.#ackSent)) {
      this.repeated += data.length;
      if (data.length + fin > 0) this.#twice = [seq, end];
      if (data.length + fin > 0 || now - this.#answeredAt >= ANSWER_MS) {
        this.#answeredAt = now;
        this.#sendAck(now);
      }
      return;
    }
    const opened = this.#takeAck(segment, now);
    // An ACK of less than our SYN is none of this connection's.
    if (this.state !== 'open') return;
    const repeated = -seqDiff(seq, this.#rcvNxt);
    if (repeated > 0) this.repeated += Math.min(repeated, data.length);
    let owed = false;
    const late = repeated < 0;
    if (data.length + fin > 0) {
      if (repeated >= data.length + fin) this.#twice = [seq, end];
      if (!late) this.#deliver(data.subarray(Math.max(0, repeated)), now);
      else this.#held.add(seq, data);
      if (fin) this.#finSeq = seqAdd(seq, data.length);
      if (this.#finSeq === this.#rcvNxt && !this.peerClosed) this.#deliverFin();
      owed = true;
    }
    if (this.pump(now) && !late) owed = false;
    if (owed && this.state === 'open') this.#owe(late || repeated > 0 || fin > 0, data.length, now);
    if (opened) this.pump(now);
  }

  /** What RFC 9293 and RFC 7323 ask of every segment once the connection stands. */
  #check(segment: PeerSegment, end: number): void {
    if (segment.flags & RST) return;
    assert.equal(segment.timestamps !== undefined, this.#timestamps, 'timestamps, or none');
    const { ecr } = segment.timestamps ?? { ecr: 0 };
    assert.ok(ecr <= this.#stamp, `echoes ${ecr}, and ${this.#stamp} was the last`);
    const ahead = seqDiff(end, this.#rcvNxt) - this.#options.window;
    // A FIN, and a probe of a closed window, may be one beyond.
    assert.ok(ahead <= 1, `${ahead} octets beyond the window`);
    assert.ok(segment.data.length + (this.#timestamps ? 12 : 0) <= this.#options.mss, 'longer than the MSS');
    for (const [left, right] of segment.blocks ?? []) {
      assert.ok(
        this.#sack && seqLt(left, right) && seqLe(right, this.#max),
        'a block of what was never sent',
      );
    }
  }

  #deliver(data: Uint8Array, now: number): void {
    let octets = data;
    if (this.#held.newest !== undefined) {
      this.#held.add(this.#rcvNxt, data);
      octets = this.#held.take(this.#rcvNxt);
    }
    if (octets.length === 0) return;
    this.#rcvNxt = seqAdd(this.#rcvNxt, octets.length);
    this.#options.onData(this, octets, now);
  }

  #deliverFin(): void {
    this.#rcvNxt = seqAdd(this.#rcvNxt, 1);
    this.peerClosed = true;
    this.#options.onFin?.(this);
  }

  /** An ACK is owed: at once, or when a second segment or the delay has come. */
  #owe(atOnce: boolean, octets: number, now: number): void {
    const { ackDelayMs = 0 } = this.#options;
    this.#unacked += octets;
    const full = 2 * (Math.min(this.#options.mss, this.#peerMss) - (this.#timestamps ? 12 : 0));
    if (atOnce || ackDelayMs === 0 || this.#unacked >= full || this.#held.block()) this.#sendAck(now);
    else if (this.#ackAt === NEVER) this.#ackAt = now + ackDelayMs;
  }

  /** Answers whether the window opened. */
  #takeAck(segment: PeerSegment, now: number): boolean {
    const before = this.#peerWindow;
    const pure = segment.data.length === 0 && !(segment.flags & FIN);
    this.#peerWindow = segment.window * 2 ** this.#peerShift;
    for (const [left, right] of segment.blocks ?? []) {
      if (seqLt(this.#una, left)) this.#sacked.push([left, right]);
    }
    if (seqLt(this.#una, segment.ack) && !seqLt(this.#max, segment.ack)) this.#acked(segment.ack, now);
    else if (segment.ack === this.#una && pure && this.#una !== this.#max) {
      if (++this.#duplicates >= 3) this.#sendAgain(now);
    }
    return before < this.#peerWindow;
  }

  #acked(ack: number, now: number): void {
    if (this.state === 'syn-received') {
      this.state = 'open';
      this.#options.onOpen?.(this);
    }
    this.#una = ack;
    this.#duplicates = 0;
    if (seqLt(this.#nxt, ack)) this.#nxt = ack;
    if (seqLt(this.#resent, ack)) this.#resent = ack;
    this.#sacked = this.#sacked.filter(([, right]) => seqLt(ack, right));
    this.#rto = this.#options.rtoMs;
    this.#rtoAt = this.#una === this.#max ? NEVER : now + this.#rto;
    const end = seqAdd(this.#options.iss, 1 + this.#stream.length);
    if (this.#closing && this.#una === seqAdd(end, 1)) this.finAcked = true;
    if (this.#sacked.length > 0) this.#sendAgain(now);
  }

  /** One segment of the lowest hole that was not sent again yet. */
  #sendAgain(now: number): void {
    const seq = this.#skip(seqLt(this.#resent, this.#una) ? this.#una : this.#resent);
    const highest = this.#sacked.reduce((most, [, right]) => (seqLt(most, right) ? right : most), this.#una);
    if (this.#sack ? !seqLt(seq, highest) : seq !== this.#una) return;
    const end = seqAdd(this.#options.iss, 1 + this.#stream.length);
    const length = Math.min(
      this.#segmentOctets(),
      this.#holeAt(seq),
      seqDiff(end, seq),
      seqDiff(this.#max, seq),
    );
    if (length <= 0) return;
    this.#send(seq, ACK, length, now);
    this.#resent = seqAdd(seq, length);
  }

  /** The next octet from `seq` on that the client's blocks do not cover. */
  #skip(seq: number): number {
    const found = this.#sacked.find(([left, right]) => seqLe(left, seq) && seqLt(seq, right));
    return found === undefined ? seq : this.#skip(found[1]);
  }

  /** Octets from `seq` to the next block. */
  #holeAt(seq: number): number {
    return this.#sacked.reduce(
      (least, [left]) => (seqLt(seq, left) ? Math.min(least, seqDiff(left, seq)) : least),
      1 << 30,
    );
  }

  #sendSynAck(now: number): void {
    const { iss, mss, shift } = this.#options;
    this.#packet(iss, SYN | ACK, new Uint8Array(0), now, {
      mss,
      ...(shift >= 0 && { shift }),
      ...(this.#sack && { sackPermitted: true }),
    });
    this.#nxt = seqAdd(iss, 1);
    this.#max = this.#nxt;
    this.#rtoAt = now + this.#rto;
  }

  #sendAck(now: number): void {
    const blocks: [number, number][] = [];
    const block = this.#held.block();
    if (this.#sack && this.#twice) blocks.push(this.#twice);
    if (this.#sack && block) blocks.push(block);
    this.#twice = undefined;
    this.#packet(this.#max, ACK, new Uint8Array(0), now, blocks.length > 0 ? { blocks } : {});
  }

  #send(seq: number, flags: number, length: number, now: number): void {
    const from = seqDiff(seq, this.#options.iss) - 1;
    this.#packet(seq, flags, this.#stream.subarray(from, from + length), now, {});
  }

  #packet(seq: number, flags: number, data: Uint8Array, now: number, options: Partial<PeerSegment>): void {
    const { window, shift } = this.#options;
    const scaled = flags & SYN ? 0 : Math.max(0, shift);
    this.#ackAt = NEVER;
    this.#unacked = 0;
    this.#ackSent = this.#rcvNxt;
    if (this.#timestamps) {
      this.#stamp = Math.floor(now) + 77;
      options.timestamps = { val: this.#stamp, ecr: this.#tsRecent };
    }
    const packet = writePacket({
      source: this.#them.destination,
      destination: this.#them.source,
      sourcePort: this.#them.destinationPort,
      destinationPort: this.#them.sourcePort,
      seq,
      ack: this.#rcvNxt,
      flags,
      window: Math.min(0xffff, window >> scaled),
      data,
      ...options,
    });
    this.#out(packet);
  }
}
