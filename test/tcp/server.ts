import { CTL } from '../../src/wire/segment.ts';
import { seqAdd, seqDiff, seqLt } from '../../src/wire/sequence.ts';
import { makePacket, type Parsed, parsePacket } from '../intercept/support.ts';

const NEVER = Number.POSITIVE_INFINITY;

export interface ServerOptions {
  iss: number;
  mss: number;
  /** Octets it takes ahead; a constant, because what comes in order is consumed at once. */
  window: number;
  /** Its window shift, or -1 to send no options but the MSS's. */
  shift: number;
  rtoMs: number;
  /** The next octets of the stream. May write and close. */
  onData(server: SimulatedServer, octets: Uint8Array, now: number): void;
  /** The connection stands. May write and close. */
  onOpen?(server: SimulatedServer): void;
  /** The client closed. */
  onFin?(server: SimulatedServer): void;
}

/**
 * The other end of one connection, written apart from src/tcp so that the two can disagree: passive open, go-back-N,
 * a fixed timer that doubles, no congestion control, nothing kept that comes before its turn.
 */
export class SimulatedServer {
  state: 'listen' | 'syn-received' | 'open' | 'reset' = 'listen';
  /** The client's FIN came in its turn. */
  peerClosed = false;
  /** Our FIN was acknowledged. */
  finAcked = false;
  /** Segments received, by what they are. */
  counts = { syn: 0, data: 0, bareAck: 0, fin: 0, rst: 0 };
  pollAt = NEVER;
  readonly #options: ServerOptions;
  readonly #out: (packet: Uint8Array) => void;
  #them!: Parsed;
  #rcvNxt = 0;
  #una: number;
  #nxt: number;
  #max: number;
  #stream: Uint8Array = new Uint8Array(0);
  #closing = false;
  #peerMss = 536;
  #peerShift = 0;
  #peerWindow = 0;
  #rto: number;
  #timeouts = 0;

  constructor(options: ServerOptions, out: (packet: Uint8Array) => void) {
    this.#options = options;
    this.#out = out;
    this.#una = options.iss;
    this.#nxt = options.iss;
    this.#max = options.iss;
    this.#rto = options.rtoMs;
  }

  write(octets: Uint8Array): void {
    this.#stream = new Uint8Array(Buffer.concat([this.#stream, octets]));
  }

  close(): void {
    this.#closing = true;
  }

  /** Resets the connection at once. */
  reset(): void {
    this.#send(this.#max, CTL.rst | CTL.ack, 0);
    this.state = 'reset';
    this.pollAt = NEVER;
  }

  take(packet: Uint8Array, now: number): void {
    const segment = parsePacket(packet);
    this.#count(segment);
    if (this.state === 'reset') return;
    if (segment.flags & CTL.rst) {
      if (this.state === 'listen' || segment.seq !== this.#rcvNxt) return;
      this.state = 'reset';
      this.pollAt = NEVER;
    } else if (segment.flags & CTL.syn) this.#takeSyn(segment, now);
    else if (this.state !== 'listen' && segment.flags & CTL.ack) this.#takeSegment(segment, now);
  }

  /** To be called when `pollAt` has come. */
  poll(now: number): void {
    if (now < this.pollAt) return;
    this.#rto = Math.min(this.#rto * 2, 2000);
    this.#timeouts++;
    this.pollAt = NEVER;
    this.#nxt = this.#una;
    if (this.state === 'syn-received') this.#sendSynAck(now);
    else this.pump(now);
  }

  /** Sends what may go. Answers whether anything did. */
  pump(now: number): boolean {
    if (this.state !== 'open') return false;
    const { iss, mss } = this.#options;
    const end = seqAdd(iss, 1 + this.#stream.length);
    // What is sent again is cut at other places, as Linux may: segments overlap then.
    const size = Math.ceil(Math.min(mss, this.#peerMss) * (this.#timeouts & 1 ? 0.6 : 1));
    const before = this.#nxt;
    for (;;) {
      const left = seqDiff(end, this.#nxt);
      const room = Math.min(this.#peerWindow, 20 * size) - seqDiff(this.#nxt, this.#una);
      const length = Math.min(left, size, room);
      if (length <= 0) break;
      this.#send(this.#nxt, CTL.ack | CTL.psh, length);
      this.#nxt = seqAdd(this.#nxt, length);
    }
    if (this.#closing && this.#nxt === end) {
      this.#send(this.#nxt, CTL.fin | CTL.ack, 0);
      this.#nxt = seqAdd(this.#nxt, 1);
    }
    if (seqLt(this.#max, this.#nxt)) this.#max = this.#nxt;
    if (this.#nxt !== before && this.pollAt === NEVER) this.pollAt = now + this.#rto;
    return this.#nxt !== before;
  }

  #count({ flags, data }: Parsed): void {
    if (flags & CTL.rst) this.counts.rst++;
    else if (flags & CTL.syn) this.counts.syn++;
    else if (flags & CTL.fin) this.counts.fin++;
    else if (data.length > 0) this.counts.data++;
    else this.counts.bareAck++;
  }

  #takeSyn(segment: Parsed, now: number): void {
    if (this.state === 'listen') {
      this.#them = segment;
      this.state = 'syn-received';
      this.#rcvNxt = seqAdd(segment.seq, 1);
      this.#peerMss = segment.mss;
      if (this.#options.shift >= 0) this.#peerShift = segment.windowShift;
    }
    if (this.state === 'syn-received' && seqAdd(segment.seq, 1) === this.#rcvNxt) this.#sendSynAck(now);
    else this.#sendAck();
  }

  #takeSegment(segment: Parsed, now: number): void {
    const { data } = segment;
    this.#peerWindow = segment.window * 2 ** this.#peerShift;
    if (seqLt(this.#una, segment.ack) && !seqLt(this.#max, segment.ack)) this.#acked(segment.ack, now);
    // An ACK of less than our SYN is none of this connection's.
    if (this.state !== 'open') return;
    const fin = segment.flags & CTL.fin ? 1 : 0;
    const repeated = -seqDiff(segment.seq, this.#rcvNxt);
    let owed = data.length + fin > 0 || repeated > 0;
    if (repeated >= 0 && repeated < data.length + fin && !this.peerClosed) {
      if (data.length > repeated) {
        this.#rcvNxt = seqAdd(segment.seq, data.length);
        this.#options.onData(this, data.subarray(repeated), now);
      }
      if (fin) {
        this.#rcvNxt = seqAdd(this.#rcvNxt, 1);
        this.peerClosed = true;
        this.#options.onFin?.(this);
      }
    }
    if (this.pump(now)) owed = false;
    if (owed && this.state === 'open') this.#sendAck();
  }

  #acked(ack: number, now: number): void {
    if (this.state === 'syn-received') {
      this.state = 'open';
      this.#options.onOpen?.(this);
    }
    this.#una = ack;
    if (seqLt(this.#nxt, ack)) this.#nxt = ack;
    this.#rto = this.#options.rtoMs;
    this.pollAt = this.#una === this.#max ? NEVER : now + this.#rto;
    const end = seqAdd(this.#options.iss, 1 + this.#stream.length);
    if (this.#closing && this.#una === seqAdd(end, 1)) this.finAcked = true;
  }

  #sendSynAck(now: number): void {
    const { iss, mss, shift } = this.#options;
    this.#packet({ seq: iss, flags: CTL.syn | CTL.ack, mss, shift });
    this.#nxt = seqAdd(iss, 1);
    this.#max = this.#nxt;
    this.pollAt = now + this.#rto;
  }

  #sendAck(): void {
    this.#packet({ seq: this.#nxt, flags: CTL.ack });
  }

  #send(seq: number, flags: number, length: number): void {
    const from = seqDiff(seq, this.#options.iss) - 1;
    this.#packet({ seq, flags, data: this.#stream.subarray(from, from + length) });
  }

  #packet(fields: { seq: number; flags: number; mss?: number; shift?: number; data?: Uint8Array }): void {
    const { window, shift } = this.#options;
    const scaled = fields.flags & CTL.syn ? 0 : Math.max(0, shift);
    const packet = makePacket({
      src: this.#them.dst,
      dst: this.#them.src,
      srcPort: this.#them.dstPort,
      dstPort: this.#them.srcPort,
      ack: this.#rcvNxt,
      window: Math.min(0xffff, window >> scaled),
      ...fields,
    });
    // Window scale stands in the last four octets of the options: NOPs in its place.
    if (fields.flags & CTL.syn && shift < 0) packet.fill(1, 44, 48);
    this.#out(packet);
  }
}
