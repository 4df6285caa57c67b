/** What a summary is told of a run, beside its tallies. */
export const FACTS = {
  packets: 10,
  dropped: 0,
  copies: 1,
  speed: 1,
  elapsedMs: 1000,
  transport: { packetsOut: 0, packetsIn: 0, retransmitted: 0, captureDropped: 0 },
  interrupted: false,
};
