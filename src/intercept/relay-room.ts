/** What the channels of one intercept may take up. */
export interface RelayLimits {
  /** Flows that one channel may have open, and all of them together. */
  channelFlows: number;
  flows: number;
  /** Channels that said hello. */
  channels: number;
  /** Octets that may wait for one replay that reads too slowly, and for all of them together. */
  channelWaitingOctets: number;
  waitingOctets: number;
}

const RELAY_LIMITS: RelayLimits = {
  channelFlows: 200_000,
  flows: 500_000,
  channels: 1_000,
  channelWaitingOctets: 64 << 20,
  waitingOctets: 256 << 20,
};

/** What they take up now. */
export class RelayRoom {
  readonly limits: RelayLimits;
  channels = 0;
  waitingOctets = 0;

  constructor(limits: Partial<RelayLimits> = {}) {
    this.limits = { ...RELAY_LIMITS, ...limits };
  }
}
