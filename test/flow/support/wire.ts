import { LINKTYPE, makeBlock, type PacketSource } from '../../../src/wire/packets.ts';
import { CTL } from '../../../src/wire/segment.ts';

export const SERVER_PORT = 3307;

const NO_DATA: Uint8Array = new Uint8Array(0);

/** A TCP segment of a scripted capture. Sequence numbers are the stream's own: 0 is the SYN. */
export interface Scripted {
  fromClient: boolean;
  flags: number;
  seq: number;
  ack: number;
  data: Uint8Array;
  clientPort: number;
  /** Octets of `data` that the capture has. */
  captured?: number;
}

/** Writes a connection's segments, counting sequence numbers as both ends would. */
export class Script {
  readonly segments: Scripted[] = [];
  readonly clientPort: number;
  #client = 0;
  #server = 0;

  constructor(clientPort = 40_000) {
    this.clientPort = clientPort;
  }

  handshake(): this {
    return this.#add(true, CTL.syn)
      .#add(false, CTL.syn | CTL.ack)
      .#add(true, CTL.ack);
  }

  client(data: Uint8Array, flags = 0): this {
    return this.#add(true, CTL.ack | CTL.psh | flags, data);
  }

  server(data: Uint8Array, flags = 0): this {
    return this.#add(false, CTL.ack | CTL.psh | flags, data);
  }

  clientSays(flags: number): this {
    return this.#add(true, flags);
  }

  serverSays(flags: number): this {
    return this.#add(false, flags);
  }

  /** The last segment was on the wire, but not captured. */
  missed(): this {
    this.segments.pop();
    return this;
  }

  #add(fromClient: boolean, flags: number, data = NO_DATA): this {
    const seq = fromClient ? this.#client : this.#server;
    const ack = flags & CTL.ack ? (fromClient ? this.#server : this.#client) : 0;
    const { clientPort } = this;
    this.segments.push({ fromClient, flags, seq, ack, data, clientPort });
    const length = data.length + (flags & (CTL.syn | CTL.fin) ? 1 : 0);
    if (fromClient) this.#client += length;
    else this.#server += length;
    return this;
  }
}

const CLIENT_ISS = 0xfffffff0;
const SERVER_ISS = 5;

/** Scripted segments as a source: a packet a microsecond, IPv4 or IPv6, without a link-layer header. */
export function scriptedSource(segments: Scripted[], family: 4 | 6 = 4): PacketSource {
  const ipOctets = family === 4 ? 20 : 40;
  const sizes = segments.map(({ data }) => ipOctets + 20 + data.length);
  const block = makeBlock(
    new Uint8Array(sizes.reduce((sum, size) => sum + size, 0)),
    segments.length,
    LINKTYPE.raw,
  );
  const { octets, view } = block;
  let at = 0;
  segments.forEach((segment, i) => {
    const { fromClient, data, clientPort } = segment;
    const addresses = fromClient ? [1, 2] : [2, 1];
    if (family === 4) {
      octets[at] = 0x45;
      view.setUint16(at + 2, sizes[i]);
      octets[at + 9] = 6;
      octets.set([10, 0, 0, addresses[0], 10, 0, 0, addresses[1]], at + 12);
    } else {
      octets[at] = 0x60;
      view.setUint16(at + 4, sizes[i] - ipOctets);
      octets[at + 6] = 6;
      octets[at + 23] = addresses[0];
      octets[at + 39] = addresses[1];
    }
    const tcp = at + ipOctets;
    view.setUint16(tcp, fromClient ? clientPort : SERVER_PORT);
    view.setUint16(tcp + 2, fromClient ? SERVER_PORT : clientPort);
    view.setUint32(tcp + 4, (segment.seq + (fromClient ? CLIENT_ISS : SERVER_ISS)) >>> 0);
    view.setUint32(tcp + 8, (segment.ack + (fromClient ? SERVER_ISS : CLIENT_ISS)) >>> 0);
    octets[tcp + 12] = 5 << 4;
    octets[tcp + 13] = segment.flags;
    octets.set(data, tcp + 20);
    block.offset[i] = at;
    block.length[i] = sizes[i] - data.length + (segment.captured ?? data.length);
    block.wireLength[i] = sizes[i];
    block.at[i] = i * 1000;
    at += sizes[i];
  });
  block.count = segments.length;
  return {
    linkType: LINKTYPE.raw,
    originSec: 0,
    stats: () => ({ packets: segments.length, dropped: 0 }),
    close: () => {},
    async *[Symbol.asyncIterator]() {
      yield block;
    },
  };
}
