import type { Reply } from '../mysql/reply.ts';

/** The four numbers of a connection, IPv4 addresses as unsigned numbers in network order. */
export interface Tuple {
  target: number;
  targetPort: number;
  client: number;
  clientPort: number;
}

/**
 * What the send half asks of the receive half: by function call in one process, or over the relay. `id` names a flow for
 * its owner and is never used twice by one owner.
 */
export interface ReceiverPort {
  /** The SYN may go out when the owner's `registered` was called: an answer that comes sooner would find nobody. */
  register(id: number, tuple: Tuple, iss: number): void;
  /** From here on the target's octets are answers to commands, of shape EXPECT.result unless told otherwise. */
  commandPhase(id: number, capabilities: number, extendedCapabilities: number): void;
  /** The next answer has this shape (EXPECT). The command may go out when the owner's `expecting` was called. */
  expect(id: number, shape: number): void;
  /**
   * A segment with this SEG.ACK went out. Only where telling costs nothing, in one process; over the relay the receive half
   * sees by the target's next segment that its ACK went with a command, and sends long answers' ACKs itself.
   */
  acked?(id: number, ack: number): void;
  /** Nothing more is wanted. `aborted`: the target is to be reset should it still say something. */
  release(id: number, aborted: boolean): void;
  flush(): void;
}

/**
 * What the receive half tells. `ack` and `window` are the newest SEG.ACK and SEG.WND (not scaled), `rcvNxt` what the next
 * segment out should acknowledge. None of these may throw or wait.
 */
export interface ReceiverOwner {
  registered(id: number): void;
  expecting(id: number): void;
  established(id: number, ack: number, window: number, rcvNxt: number, mss: number, shift: number): void;
  acked(id: number, ack: number, window: number, rcvNxt: number): void;
  /** A MySQL packet before `commandPhase`, header included; valid during the call. */
  packet(id: number, ack: number, window: number, rcvNxt: number, octets: Uint8Array): void;
  /** `ageMs`: how long ago the answer's last octet was captured. */
  reply(id: number, ack: number, window: number, rcvNxt: number, reply: Reply, ageMs: number): void;
  fin(id: number, ack: number, window: number, rcvNxt: number): void;
  reset(id: number, refused: boolean): void;
  /** The SYN met an old connection, which was reset: send the SYN again. */
  stale(id: number): void;
  /** The answers of this flow cannot be read any more. */
  desync(id: number): void;
  /** All that came in one go was told: send what is to be sent. */
  turnEnded(): void;
}

/** What the capture of answers has seen. */
export interface ReceiverStats {
  packets: number;
  /** Lost for want of room, by the kernel's word. */
  dropped: number;
}
