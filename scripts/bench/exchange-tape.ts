import { ArchiveWriter } from '../../src/archive/writer.ts';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { COM } from '../../src/mysql/command.ts';
import { writeHandshakeResponse } from '../../src/mysql/handshake.ts';
import { NATIVE_PASSWORD } from '../../src/mysql/native-password.ts';
import { framePacket } from '../../src/mysql/packet.ts';
import { ipv4Number, parseAddress } from '../../src/wire/address.ts';
import { sumWords } from '../../src/wire/checksum.ts';
import { LINKTYPE, makeBlock } from '../../src/wire/packets.ts';
import { CTL } from '../../src/wire/segment.ts';
import { seqAdd } from '../../src/wire/sequence.ts';
import { ADDRESSES, CLIENT_ADDRESSES } from '../lab/network.ts';
import { PORT } from '../lab/server.ts';
import { type Ends, ETHERNET_OCTETS, FrameWriter, OPTION } from './frames.ts';
import { NullMysql } from './null-mysql.ts';

/** 2025-01-01: no run is to differ from another by its date. */
const ORIGIN_SEC = 1_735_689_600;
/** Between two packets, ns. */
const STEP_NS = 5_000;
const FIRST_PORT = 20_000;
const BLOCK_OCTETS = 1 << 20;
const BLOCK_PACKETS = 4096;
/** More than any frame of ours. */
const FRAME_OCTETS = 2048;
/** What a segment carries on Ethernet, between ends that use timestamps (ours don't, but for this). */
const SEGMENT_OCTETS = 1448;
const CLIENT_ISS = 1_000_000;
const SERVER_ISS = 2_000_000;

const CAPABILITIES =
  CLIENT.mysql |
  CLIENT.longFlag |
  CLIENT.connectWithDb |
  CLIENT.protocol41 |
  CLIENT.transactions |
  CLIENT.secureConnection |
  CLIENT.multiResults |
  CLIENT.pluginAuth;

const NOTHING = new Uint8Array(0);
const QUIT = framePacket(0, Uint8Array.of(COM.quit));
const LOGIN = writeHandshakeResponse(
  {
    capabilities: CAPABILITIES,
    extendedCapabilities: 0,
    maxPacket: 1 << 24,
    charset: 33,
    user: 'app',
    authResponse: new Uint8Array(20).fill(1),
    schema: 'sbtest',
    authPlugin: NATIVE_PASSWORD,
  },
  1,
);

/** Records sessions that nobody had: what each end says is given, the segments that it takes are made. */
export class ExchangeTape {
  /** When the next packet is captured, ns since the first. Goes on by itself; set it forward to let time pass. */
  at = 0;
  readonly #writer: ArchiveWriter;
  readonly #block = makeBlock(new Uint8Array(BLOCK_OCTETS), BLOCK_PACKETS, LINKTYPE.ethernet);
  readonly #frames: FrameWriter;
  #fill = 0;
  readonly #mysql = new NullMysql();
  readonly #up: Ends = {
    source: 0,
    destination: ipv4(ADDRESSES.online),
    sourcePort: 0,
    destinationPort: PORT,
  };
  readonly #down: Ends = {
    source: ipv4(ADDRESSES.online),
    destination: 0,
    sourcePort: PORT,
    destinationPort: 0,
  };
  readonly #clients = CLIENT_ADDRESSES.map(ipv4);
  /** SND.NXT of each session's two ends. */
  readonly #clientNext: Uint32Array;
  readonly #serverNext: Uint32Array;

  /** `sessions`: how many at most. They are numbered from 0. */
  constructor(folder: string, sessions: number) {
    this.#writer = ArchiveWriter.create(folder, {
      linkType: LINKTYPE.ethernet,
      originSec: ORIGIN_SEC,
      serverPorts: [PORT],
    });
    this.#frames = new FrameWriter(this.#block.octets, this.#block.view);
    this.#clientNext = new Uint32Array(sessions);
    this.#serverNext = new Uint32Array(sessions);
  }

  /** Connects and logs in. */
  open(session: number): void {
    this.#clientNext[session] = CLIENT_ISS;
    this.#serverNext[session] = SERVER_ISS;
    this.#segment(session, true, NOTHING, CTL.syn);
    this.#segment(session, false, NOTHING, CTL.syn | CTL.ack);
    this.#segment(session, true, NOTHING, CTL.ack);
    this.server(session, this.#mysql.greeting.octets);
    this.client(session, LOGIN);
    this.server(session, this.#mysql.welcome.octets);
  }

  client(session: number, octets: Uint8Array): void {
    this.#say(session, true, octets);
  }

  server(session: number, octets: Uint8Array): void {
    this.#say(session, false, octets);
  }

  close(session: number): void {
    this.#segment(session, true, QUIT, CTL.ack | CTL.psh | CTL.fin);
    this.#segment(session, false, NOTHING, CTL.ack | CTL.fin);
    this.#segment(session, true, NOTHING, CTL.ack);
  }

  end(): void {
    this.#flush();
    this.#writer.close({ packets: this.#writer.packets, dropped: 0 });
  }

  /** The other end acknowledges each second full segment (RFC 9293 3.8.6.3). */
  #say(session: number, fromClient: boolean, octets: Uint8Array): void {
    let count = 0;
    for (let from = 0; from < octets.length; from += SEGMENT_OCTETS) {
      const last = from + SEGMENT_OCTETS >= octets.length;
      const piece = last && from === 0 ? octets : octets.subarray(from, from + SEGMENT_OCTETS);
      this.#segment(session, fromClient, piece, last ? CTL.ack | CTL.psh : CTL.ack);
      if (++count % 2 === 0) this.#segment(session, !fromClient, NOTHING, CTL.ack);
    }
  }

  #segment(session: number, fromClient: boolean, data: Uint8Array, flags: number): void {
    const address = this.#clients[session % this.#clients.length];
    const port = FIRST_PORT + Math.floor(session / this.#clients.length);
    if (fromClient) {
      this.#up.source = address;
      this.#up.sourcePort = port;
    } else {
      this.#down.destination = address;
      this.#down.destinationPort = port;
    }
    const ends = fromClient ? this.#up : this.#down;
    const mine = fromClient ? this.#clientNext : this.#serverNext;
    const other = fromClient ? this.#serverNext : this.#clientNext;
    const block = this.#block;
    if (this.#fill + FRAME_OCTETS > BLOCK_OCTETS || block.count === BLOCK_PACKETS) this.#flush();
    const at = this.#fill;
    block.octets.fill(0, at, at + ETHERNET_OCTETS);
    const length = this.#frames.write(
      at,
      ends,
      mine[session],
      flags & CTL.ack ? other[session] : 0,
      flags,
      flags & CTL.syn ? OPTION.syn | OPTION.windowScale : 0,
      data,
      0,
      data.length,
      sumWords(data, 0, data.length),
    );
    const sequence = data.length + (flags & CTL.syn ? 1 : 0) + (flags & CTL.fin);
    mine[session] = seqAdd(mine[session], sequence);
    const column = block.count++;
    block.offset[column] = at;
    block.length[column] = length;
    block.wireLength[column] = length;
    block.at[column] = this.at;
    this.at += STEP_NS;
    this.#fill = at + length;
  }

  #flush(): void {
    this.#writer.write(this.#block);
    this.#block.count = 0;
    this.#fill = 0;
  }
}

function ipv4(text: string): number {
  return ipv4Number(parseAddress(text)!);
}
