import assert from 'node:assert/strict';
import type { ReceiverOwner } from '../../src/intercept/ports.ts';
import type { Reply } from '../../src/mysql/reply.ts';
import type { Injector } from '../../src/net/injector.ts';
import type { PeerOptions, Progress } from '../../src/tcp/progress.ts';
import { ipv4Address } from '../../src/wire/address.ts';
import { SegmentWriter } from '../../src/wire/emit.ts';
import { LINKTYPE, makeBlock, type PacketBlock } from '../../src/wire/packets.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';
import { Tuple } from '../../src/wire/tuple.ts';

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
  sackPermitted: boolean;
  /** -1 without timestamps. */
  tsVal: number;
  tsEcr: number;
  /** SACK blocks, left and right edges. */
  sack: number[];
  data: Uint8Array;
}

export function parsePacket(packet: Uint8Array): Parsed {
  const segment = new Segment();
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  assert.equal(segment.parse(packet, view, 0, packet.length, LINKTYPE.raw), PARSE.ok);
  const {
    src,
    dst,
    srcPort,
    dstPort,
    seq,
    ack,
    flags,
    window,
    mss,
    windowShift,
    sackPermitted,
    tsVal,
    tsEcr,
  } = segment;
  const { dataOffset, dataLength, sackOffset } = segment;
  const data = new Uint8Array(packet.subarray(dataOffset, dataOffset + dataLength));
  const sack: number[] = [];
  if (sackOffset >= 0) {
    for (let i = 2; i < packet[sackOffset + 1]; i += 4) sack.push(view.getUint32(sackOffset + i));
  }
  return {
    src,
    dst,
    srcPort,
    dstPort,
    seq,
    ack,
    flags,
    window,
    mss,
    windowShift,
    sackPermitted,
    tsVal,
    tsEcr,
    sack,
    data,
  };
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
  /** The options of a SYN: these two, and those of Linux where `tsVal` is there, too. */
  mss?: number;
  shift?: number;
  /** Timestamps; `tsEcr` is 0 unless said. */
  tsVal?: number;
  tsEcr?: number;
  /** SACK blocks, left and right edges. */
  sack?: readonly number[];
  data?: Uint8Array;
}

const IPV4_OCTETS = 20;
const DATA_OFFSET = 12;

/** An IPv4 packet with one TCP segment. */
export function makePacket(fields: PacketFields): Uint8Array {
  const { src, dst, srcPort, dstPort } = fields;
  return makeSegment(new Tuple(ipv4Address(src), srcPort, ipv4Address(dst), dstPort), fields);
}

/** An IP packet, of either version, with one TCP segment from the client's end of `tuple` to the target's. */
export function makeSegment(tuple: Tuple, fields: Omit<PacketFields, 'src' | 'dst' | 'srcPort' | 'dstPort'>) {
  const { seq, flags, mss, shift = 0, tsVal, tsEcr = 0, sack } = fields;
  const data = fields.data ?? new Uint8Array(0);
  const octets = new Uint8Array(128 + data.length + 3);
  const view = new DataView(octets.buffer);
  const writer = new SegmentWriter(octets, view);
  const window = fields.window ?? 60_000;
  let end = writer.begin(0, tuple, seq, fields.ack ?? 0, flags, window);
  if (mss !== undefined && tsVal !== undefined) {
    end = writer.synOptions(0, end, mss, shift, tsVal);
    view.setUint32(end - 8, tsEcr);
  } else if (mss !== undefined) {
    view.setUint32(end, 0x02040000 | mss);
    view.setUint32(end + 4, 0x01030300 | shift);
    end += 8;
    octets[(tuple.family === 4 ? IPV4_OCTETS : 2 * IPV4_OCTETS) + DATA_OFFSET] = 7 << 4;
  } else if (tsVal !== undefined) end = writer.timestamps(0, end, tsVal, tsEcr);
  if (sack !== undefined) end = writer.sack(0, end, Uint32Array.from(sack), sack.length / 2);
  octets.set(data, end);
  return octets.slice(0, writer.finish(0, end + data.length));
}

/** Packets as one block of a capture of raw IP. */
export function blockOf(...packets: Uint8Array[]): PacketBlock {
  const block = makeBlock(new Uint8Array(Buffer.concat(packets)), packets.length, LINKTYPE.raw);
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

  commit(length: number): void {
    assert.ok(length <= this.slotOctets, 'a packet larger than its slot');
    const at = this.slot();
    this.#queued.push(this.octets.slice(at, at + length));
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

  established(id: number, progress: Progress, peer: PeerOptions): void {
    const { mss, shift, sackPermitted, timestamps } = peer;
    const options = `${sackPermitted ? ' sackOK' : ''}${timestamps ? ' TS' : ''}`;
    this.told.push(['established', id, ...brief(progress), mss, `${shift}${options}`]);
  }

  acked(id: number, progress: Progress): void {
    this.told.push(['acked', id, ...brief(progress)]);
  }

  packet(id: number, progress: Progress, octets: Uint8Array): void {
    this.told.push(['packet', id, ...brief(progress), Buffer.from(octets).toString('hex')]);
  }

  reply(id: number, progress: Progress, reply: Reply, ageMs: number): void {
    this.told.push(['reply', id, ...brief(progress), reply, ageMs]);
  }

  checkpoint(id: number, progress: Progress, state: Uint8Array): void {
    this.told.push(['checkpoint', id, ...brief(progress), new Uint8Array(state)]);
  }

  fin(id: number, progress: Progress): void {
    this.told.push(['fin', id, ...brief(progress)]);
  }

  reset(id: number, refused: boolean): void {
    this.told.push(['reset', id, refused]);
  }

  stale(id: number): void {
    this.told.push(['stale', id]);
  }

  tooLong(id: number, mtu: number): void {
    this.told.push(['tooLong', id, mtu]);
  }

  taken(id: number): void {
    this.told.push(['taken', id]);
  }

  unresumable(id: number): void {
    this.told.push(['unresumable', id]);
  }

  desync(id: number): void {
    this.told.push(['desync', id]);
  }

  turnEnded(): void {
    this.onTurn();
  }
}

/** SEG.ACK, SEG.WND and RCV.NXT. */
function brief({ ack, window, rcvNxt }: Progress): [number, number, number] {
  return [ack, window, rcvNxt];
}
