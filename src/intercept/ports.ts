import type { Reply } from '../mysql/reply.ts';
import type { Correction } from '../tcp/peer-progress.ts';
import type { PeerOptions, Progress } from '../tcp/progress.ts';
import type { Address } from '../wire/address.ts';
import type { Tuple } from '../wire/tuple.ts';

/** Where a replay's connections go. */
export interface Target {
  address: Address;
  port: number;
}

/** Where a connection that stands is to be taken up by a receive half that does not know it. */
export interface Resumption {
  iss: number;
  /** What the target's segments are answered with. */
  rcvNxt: number;
  ack: number;
  /** TSval of all our segments. */
  tsVal: number;
  tsRecent: number;
  /** The target's SYN-ACK. */
  peer: PeerOptions;
  /** Where the login is done: what is in force. */
  commandPhase: { capabilities: number; extendedCapabilities: number } | undefined;
  /** Shape (EXPECT) of the answer that was announced and has not come. */
  expect: number | undefined;
  /** The state of the reader of answers at `rcvNxt` as `checkpoint` told it; undefined: at the beginning of a packet. */
  state: Uint8Array | undefined;
}

/**
 * What the send half asks of the receive half: by function call in one process, or over the relay. `id` names a flow for
 * its owner; an owner's next flow has a larger one.
 */
export interface ReceiverPort {
  /** The SYN may go out when the owner's `registered` was called: an answer that comes sooner would find nobody. */
  register(id: number, tuple: Tuple, iss: number): void;
  /** The same for a connection that stands already: the receive half that had it is gone. */
  resume(id: number, tuple: Tuple, from: Resumption): void;
  /** From here on the target's octets are answers to commands, of shape EXPECT.result unless told otherwise. */
  commandPhase(id: number, capabilities: number, extendedCapabilities: number): void;
  /** The next answer has this shape (EXPECT). The command may go out when the owner's `expecting` was called. */
  expect(id: number, shape: number): void;
  /**
   * A segment with this SEG.ACK went out. Only where telling costs nothing, in one process; over the relay the receive half
   * sees by the target's next segment that its ACK went with a command, and sends long answers' ACKs itself.
   */
  acked?(id: number, ack: number): void;
  /** An ACK that was told was of what was never sent: the receive half is to forget it. */
  correct(id: number, correction: Correction): void;
  /** Nothing more is wanted. `aborted`: the target is to be reset should it still say something. */
  release(id: number, aborted: boolean): void;
  flush(): void;
}

/**
 * What the receive half tells; `progress` is good during the call. None of these may throw or wait.
 */
export interface ReceiverOwner {
  registered(id: number): void;
  expecting(id: number): void;
  established(id: number, progress: Progress, peer: PeerOptions): void;
  acked(id: number, progress: Progress): void;
  /** A MySQL packet before `commandPhase`, header included; valid during the call. */
  packet(id: number, progress: Progress, octets: Uint8Array): void;
  /** `ageMs`: how long ago the answer's last octet was captured. Where the protocol is not known: a part of one (`RawReader`). */
  reply(id: number, progress: Progress, reply: Reply, ageMs: number): void;
  /**
   * The receive half is about to acknowledge part of a packet or answer: keep `state` (a copy: valid during the call) for
   * `Resumption`, until the next `packet`, `reply` or `checkpoint` of this flow.
   */
  checkpoint(id: number, progress: Progress, state: Uint8Array): void;
  fin(id: number, progress: Progress): void;
  reset(id: number, refused: boolean): void;
  /** SND.MAX of a flow. Only in one process: over the relay its owner can't be asked in time. */
  sndMax?(id: number): number;
  /** The SYN met an old connection, which was reset: send the SYN again. */
  stale(id: number): void;
  /** A router refused a packet of this flow: the path takes no larger ones than `mtu` octets (RFC 1191, RFC 8201). */
  tooLong(id: number, mtu: number): void;
  /** The answers of this flow cannot be read any more. */
  desync(id: number): void;
  /** A flow that was resumed had been acknowledged further than its owner knows: octets are lost. */
  unresumable(id: number): void;
  /** The connection is another replay's: it cannot be registered or resumed. */
  taken(id: number): void;
  /** All that came in one go was told: send what is to be sent. */
  turnEnded(): void;
}

/** What the capture of answers has seen. */
export interface ReceiverStats {
  packets: number;
  /** Lost for want of room, by the kernel's word. */
  dropped: number;
}
