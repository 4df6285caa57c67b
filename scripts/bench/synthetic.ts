/** Recordings that nobody recorded: sessions of point selects, the same octets on every machine and in every run. */
import { ArchiveWriter } from '../../src/archive/writer.ts';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { COM } from '../../src/mysql/command.ts';
import { writeHandshakeResponse } from '../../src/mysql/handshake.ts';
import { NATIVE_PASSWORD } from '../../src/mysql/native-password.ts';
import { framePacket } from '../../src/mysql/packet.ts';
import { ipv4Number, parseAddress } from '../../src/wire/address.ts';
import { LINKTYPE, makeBlock } from '../../src/wire/packets.ts';
import { CTL } from '../../src/wire/segment.ts';
import { seqAdd } from '../../src/wire/sequence.ts';
import { ADDRESSES, CLIENT_ADDRESSES } from '../lab/network.ts';
import { PORT } from '../lab/server.ts';
import { type Ends, ETHERNET_OCTETS, FrameWriter, OPTION } from './frames.ts';
import { NullMysql, type Saying, saying } from './null-mysql.ts';
import { ROWS } from './pointselect.ts';

/** 2025-01-01: no run is to differ from another by its date. */
const ORIGIN_SEC = 1_735_689_600;
/** Between two packets, ns. */
const STEP_NS = 5_000;
const FIRST_PORT = 20_000;
const BLOCK_OCTETS = 1 << 20;
const BLOCK_PACKETS = 4096;
/** More than any frame of ours. */
const FRAME_OCTETS = 2048;
const CLIENT_ISS = 1_000_000;
const SERVER_ISS = 2_000_000;
const STATEMENTS = 1_000;

const CAPABILITIES =
  CLIENT.mysql |
  CLIENT.longFlag |
  CLIENT.connectWithDb |
  CLIENT.protocol41 |
  CLIENT.transactions |
  CLIENT.secureConnection |
  CLIENT.multiResults |
  CLIENT.pluginAuth;

const NOTHING = saying();

/** Writes the packets of sessions, one after another in capture order. */
export class SyntheticTape {
  /** When the next packet is captured, ns since the first. Goes on by itself; set it forward to let time pass. */
  at = 0;
  readonly #writer: ArchiveWriter;
  readonly #block = makeBlock(new Uint8Array(BLOCK_OCTETS), BLOCK_PACKETS);
  readonly #frames: FrameWriter;
  #fill = 0;
  readonly #mysql = new NullMysql();
  readonly #login: Saying;
  readonly #quit = saying(framePacket(0, Uint8Array.of(COM.quit)));
  readonly #statements: readonly Saying[];
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
  #asked = 0;

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
    this.#login = saying(
      writeHandshakeResponse(
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
      ),
    );
    this.#statements = Array.from({ length: STATEMENTS }, (_, i) => {
      const text = `SELECT c FROM sbtest1 WHERE id=${1 + ((i * 7919) % ROWS)}`;
      return saying(framePacket(0, Buffer.concat([Uint8Array.of(COM.query), Buffer.from(text)])));
    });
  }

  /** Connects and logs in. */
  open(session: number): void {
    this.#clientNext[session] = CLIENT_ISS;
    this.#serverNext[session] = SERVER_ISS;
    this.#client(session, NOTHING, CTL.syn);
    this.#server(session, NOTHING, CTL.syn | CTL.ack);
    this.#client(session, NOTHING, CTL.ack);
    this.#server(session, this.#mysql.greeting, CTL.ack | CTL.psh);
    this.#client(session, this.#login, CTL.ack | CTL.psh);
    this.#server(session, this.#mysql.welcome, CTL.ack | CTL.psh);
  }

  query(session: number): void {
    this.#client(session, this.#statements[this.#asked++ % STATEMENTS], CTL.ack | CTL.psh);
    this.#server(session, this.#mysql.rows, CTL.ack | CTL.psh);
  }

  close(session: number): void {
    this.#client(session, this.#quit, CTL.ack | CTL.psh | CTL.fin);
    this.#server(session, NOTHING, CTL.ack | CTL.fin);
    this.#client(session, NOTHING, CTL.ack);
  }

  end(): void {
    this.#flush();
    this.#writer.close({ packets: this.#writer.packets, dropped: 0 });
  }

  #client(session: number, what: Saying, flags: number): void {
    const ends = this.#up;
    ends.source = this.#clients[session % this.#clients.length];
    ends.sourcePort = FIRST_PORT + Math.floor(session / this.#clients.length);
    this.#write(ends, session, this.#clientNext, this.#serverNext, what, flags);
  }

  #server(session: number, what: Saying, flags: number): void {
    const ends = this.#down;
    ends.destination = this.#clients[session % this.#clients.length];
    ends.destinationPort = FIRST_PORT + Math.floor(session / this.#clients.length);
    this.#write(ends, session, this.#serverNext, this.#clientNext, what, flags);
  }

  #write(
    ends: Ends,
    session: number,
    mine: Uint32Array,
    other: Uint32Array,
    what: Saying,
    flags: number,
  ): void {
    const block = this.#block;
    if (this.#fill + FRAME_OCTETS > BLOCK_OCTETS || block.count === BLOCK_PACKETS) this.#flush();
    const { octets, sums } = what;
    const ack = flags & CTL.ack ? other[session] : 0;
    const options = flags & CTL.syn ? OPTION.syn | OPTION.windowScale : 0;
    const sum = sums.length === 0 ? 0 : sums[0];
    const at = this.#fill;
    block.octets.fill(0, at, at + ETHERNET_OCTETS);
    const length = this.#frames.write(
      at,
      ends,
      mine[session],
      ack,
      flags,
      options,
      octets,
      0,
      octets.length,
      sum,
    );
    const sequence = octets.length + (flags & CTL.syn ? 1 : 0) + (flags & CTL.fin);
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

/** `sessions` at once, each with `queries`, one after the other: a closed loop. */
export function makeLoop(folder: string, sessions: number, queries: number): void {
  const tape = new SyntheticTape(folder, sessions);
  for (let i = 0; i < sessions; i++) tape.open(i);
  for (let q = 0; q < queries; q++) for (let i = 0; i < sessions; i++) tape.query(i);
  for (let i = 0; i < sessions; i++) tape.close(i);
  tape.end();
}

/** `sessions` of one query each, never more than `atOnce` of them open. */
export function makeShort(folder: string, sessions: number, atOnce: number): void {
  const tape = new SyntheticTape(folder, sessions);
  for (let i = 0; i < sessions; i++) {
    if (i >= atOnce) tape.close(i - atOnce);
    tape.open(i);
    tape.query(i);
  }
  for (let i = Math.max(0, sessions - atOnce); i < sessions; i++) tape.close(i);
  tape.end();
}

/** Seconds of a recording of idle sessions: when they have all opened, when each asks its one query, when it is over. */
export interface IdlePlan {
  openedSec: number;
  askSec: number;
  endSec: number;
}

/** `sessions` that open, wait, ask one query each, and close. */
export function makeIdle(folder: string, sessions: number, plan: IdlePlan): void {
  const tape = new SyntheticTape(folder, sessions);
  const spread = (fromSec: number, toSec: number, each: (session: number) => void) => {
    for (let i = 0; i < sessions; i++) {
      tape.at = Math.max(tape.at, (fromSec + ((toSec - fromSec) * i) / sessions) * 1e9);
      each(i);
    }
  };
  spread(0, plan.openedSec, (i) => tape.open(i));
  spread(plan.askSec, plan.endSec, (i) => {
    tape.query(i);
    tape.close(i);
  });
  tape.end();
}
