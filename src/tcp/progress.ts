/** What the peer offered on its SYN-ACK. */
export interface PeerOptions {
  /** Its maximum segment size, -1 where it named none. */
  mss: number;
  /** Its window shift (RFC 7323 2.2), -1 where it does not scale. */
  shift: number;
  /** Whether it takes SACK blocks (RFC 2018 2). */
  sackPermitted: boolean;
  /** Whether both ends' segments carry timestamps (RFC 7323 3.2). */
  timestamps: boolean;
}

/**
 * What the peer's newest segment tells the send half, and what the next segment out acknowledges. One instance serves many
 * segments: its fields are good during the call that it comes with. Numbers as on the wire.
 */
export interface Progress {
  /** The highest SEG.ACK: one that came late, behind a newer segment, changes nothing. */
  readonly ack: number;
  /** SEG.WND of the newest segment by the rule of SND.WL1 and SND.WL2 (RFC 9293 3.10.7.4), not scaled. */
  readonly window: number;
  /** RCV.NXT: what the next segment out acknowledges. */
  readonly rcvNxt: number;
  /** TS.Recent (RFC 7323 4.3): the TSecr of the next segment out. 0 without timestamps. */
  readonly tsRecent: number;
  /** Whether the segment carried neither data nor FIN and came in its turn: only such a one can be a duplicate ACK (RFC 5681 2). */
  readonly pure: boolean;
  /** SACK blocks of the segment (RFC 2018 3) … */
  readonly sackCount: number;
  /** … block i is [sack[2 * i], sack[2 * i + 1]). At most 4. */
  readonly sack: Uint32Array;
}
