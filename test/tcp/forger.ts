/** Somebody off the path who knows the tuple, and forges segments of the server's. */
import { seqAdd } from '../../src/wire/sequence.ts';
import { randomFrom } from '../support/random.ts';
import { ACK, FIN, type PeerSegment, PSH, RST, SYN, writePacket } from './packet.ts';

export interface ForgerOptions {
  seed: number;
  everyMs: number;
  /** Our halves are on two hosts: the receive half can't ask for SND.MAX, and is corrected afterwards. */
  relayed: boolean;
}

/** Where the connection stands: what a forger may guess, and what it must not hit. */
export interface Standing {
  rcvNxt: number;
  /** SND.MAX; undefined before the SYN-ACK, where knowing it would be knowing our ISS, which nobody guesses. */
  max: number | undefined;
}

const NOTHING = new Uint8Array(0);

export class Forger {
  readonly #random: () => number;
  readonly #relayed: boolean;
  sent = 0;

  constructor({ seed, relayed }: ForgerOptions) {
    this.#random = randomFrom(seed);
    this.#relayed = relayed;
  }

  /** The next segment, from the server's address to ours. */
  next({ rcvNxt, max }: Standing, ends: Pick<PeerSegment, 'source' | 'destination'>): Uint8Array {
    this.sent++;
    const any = () => Math.floor(this.#random() * 2 ** 32);
    const inWindow = () => seqAdd(rcvNxt, 1 + Math.floor(this.#random() * 60_000));
    const data = this.#random() < 0.5 ? new Uint8Array(Math.ceil(this.#random() * 1000)).fill(0x66) : NOTHING;
    const sent = max ?? any();
    const unsent = max === undefined ? any() : seqAdd(max, 1 + Math.floor(this.#random() * 1000));
    const kinds: (Pick<PeerSegment, 'seq' | 'ack' | 'flags'> & { data?: Uint8Array })[] = [
      { seq: inWindow(), ack: sent, flags: RST },
      { seq: inWindow(), ack: sent, flags: RST | ACK },
      { seq: any(), ack: any(), flags: RST | ACK },
      { seq: inWindow(), ack: sent, flags: SYN },
      { seq: any(), ack: any(), flags: SYN | ACK },
      { seq: any(), ack: sent, flags: ACK | PSH, data },
      { seq: inWindow(), ack: any(), flags: ACK | PSH, data },
      { seq: rcvNxt, ack: any(), flags: ACK | FIN, data },
      // What is within the window of both can't be told from the server's own where SND.MAX is far away: bare ACKs only.
      { seq: rcvNxt, ack: unsent, flags: ACK, data: this.#relayed ? NOTHING : data },
    ];
    const kind = kinds[Math.floor(this.#random() * kinds.length)];
    return writePacket({
      ...ends,
      sourcePort: 3307,
      destinationPort: 40_000,
      window: Math.floor(this.#random() * 100),
      data: NOTHING,
      timestamps: { val: any(), ecr: any() },
      ...kind,
    });
  }
}
