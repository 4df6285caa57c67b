import assert from 'node:assert/strict';
import type { ReceiverOwner } from '../../src/intercept/ports.ts';
import type { Reply } from '../../src/mysql/reply.ts';
import type { Injector } from '../../src/net/injector.ts';
import { SegmentWriter } from '../../src/wire/emit.ts';
import { LINKTYPE, makeBlock, type PacketBlock } from '../../src/wire/packets.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';

/** One segment, out of its packet. Owned. */
export interface Parsed {
  src: number;
  dst: number;
  srcPort: number;
  dstPort: number;
  seq: number;
  ack: number;
  flags: number;
  window: number;
  mss: number;
  windowShift: number;
  data: Uint8Array;
}

export function parsePacket(packet: Uint8Array): Parsed {
  const segment = new Segment();
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  assert.equal(segment.parse(packet, view, 0, packet.length, LINKTYPE.raw), PARSE.ok);
  const { src, dst, srcPort, dstPort, seq, ack, flags, window, mss, windowShift, dataOffset, dataLength } =
    segment;
  const data = new Uint8Array(packet.subarray(dataOffset, dataOffset + dataLength));
  return { src, dst, srcPort, dstPort, seq, ack, flags, window, mss, windowShift, data };
}

export interface PacketFields {
  src: number;
  dst: number;
  srcPort: number;
  dstPort: number;
  seq: number;
  ack?: number;
  flags: number;
  window?: number;
  /** With both, the options of a SYN. */
  mss?: number;
  shift?: number;
  data?: Uint8Array;
}

/** An IPv4 packet with one TCP segment. */
export function makePacket(fields: PacketFields): Uint8Array {
  const { src, dst, srcPort, dstPort, seq, flags } = fields;
  const data = fields.data ?? new Uint8Array(0);
  const octets = new Uint8Array(128 + data.length + 3);
  const writer = new SegmentWriter(octets, new DataView(octets.buffer));
  const window = fields.window ?? 60_000;
  let end = writer.begin(0, src, dst, srcPort, dstPort, seq, fields.ack ?? 0, flags, window);
  if (fields.mss !== undefined) end = writer.synOptions(0, fields.mss, fields.shift ?? 0);
  octets.set(data, end);
  return octets.slice(0, writer.finish(0, end + data.length));
}

/** Packets as one block of a capture of raw IP. */
export function blockOf(...packets: Uint8Array[]): PacketBlock {
  const block = makeBlock(new Uint8Array(Buffer.concat(packets)), packets.length);
  let at = 0;
  packets.forEach((packet, i) => {
    block.offset[i] = at;
    block.length[i] = packet.length;
    block.wireLength[i] = packet.length;
    at += packet.length;
  });
  block.count = packets.length;
  return block;
}

/** Keeps what was sent. As with a real one, nothing leaves before `flush` or a full batch. */
export class FakeInjector implements Injector {
  /** By the kernel's error: tests say so. */
  refused: Record<string, number> = {};
  readonly slotOctets: number;
  readonly octets: Uint8Array;
  readonly view: DataView;
  /** What left, oldest first. */
  packets: Uint8Array[] = [];
  closed = false;
  readonly #batch = 16;
  #queued: Uint8Array[] = [];

  constructor(slotOctets = 1504) {
    this.slotOctets = slotOctets;
    this.octets = new Uint8Array(this.#batch * slotOctets);
    this.view = new DataView(this.octets.buffer);
  }

  slot(): number {
    return this.#queued.length * this.slotOctets;
  }

  commit(length: number, destination: number): void {
    assert.ok(length <= this.slotOctets, 'a packet larger than its slot');
    const at = this.slot();
    const packet = this.octets.slice(at, at + length);
    assert.equal(parsePacket(packet).dst, destination);
    this.#queued.push(packet);
    if (this.#queued.length === this.#batch) this.flush();
  }

  flush(): void {
    this.packets.push(...this.#queued);
    this.#queued = [];
  }

  /** Takes what left until now. */
  take(): Parsed[] {
    const taken = this.packets.map(parsePacket);
    this.packets = [];
    return taken;
  }

  stats() {
    return { sent: this.packets.length, refused: this.refused };
  }

  close(): void {
    this.flush();
    this.closed = true;
  }
}

/** Writes down what it is told: `[what, flow, …]`. */
export class RecordingOwner implements ReceiverOwner {
  told: unknown[][] = [];
  /** Called at the end of each turn. */
  onTurn: () => void = () => {};

  take(): unknown[][] {
    const { told } = this;
    this.told = [];
    return told;
  }

  registered(id: number): void {
    this.told.push(['registered', id]);
  }

  expecting(id: number): void {
    this.told.push(['expecting', id]);
  }

  established(id: number, ack: number, window: number, rcvNxt: number, mss: number, shift: number): void {
    this.told.push(['established', id, ack, window, rcvNxt, mss, shift]);
  }

  acked(id: number, ack: number, window: number, rcvNxt: number): void {
    this.told.push(['acked', id, ack, window, rcvNxt]);
  }

  packet(id: number, ack: number, window: number, rcvNxt: number, octets: Uint8Array): void {
    this.told.push(['packet', id, ack, window, rcvNxt, Buffer.from(octets).toString('hex')]);
  }

  reply(id: number, ack: number, window: number, rcvNxt: number, reply: Reply): void {
    this.told.push(['reply', id, ack, window, rcvNxt, reply]);
  }

  fin(id: number, ack: number, window: number, rcvNxt: number): void {
    this.told.push(['fin', id, ack, window, rcvNxt]);
  }

  reset(id: number, refused: boolean): void {
    this.told.push(['reset', id, refused]);
  }

  stale(id: number): void {
    this.told.push(['stale', id]);
  }

  desync(id: number): void {
    this.told.push(['desync', id]);
  }

  turnEnded(): void {
    this.onTurn();
  }
}
