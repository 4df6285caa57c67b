/** Packets of connections that a table had no room for. */
export interface FloodFacts {
  /** They are in the archive, and in no session. */
  flooded: number;
  /** Those of them that had data. */
  floodedData: number;
}

/** A sentence; undefined where there were none. */
export function floodLine({ flooded, floodedData }: FloodFacts): string | undefined {
  if (flooded === 0) return undefined;
  const data = floodedData === 0 ? 'none of them has data' : `${count(floodedData)} of them have data`;
  return (
    `${count(flooded)} packets are of connections beyond those that are kept (more at once than any server has: a flood, ` +
    `it seems): they are in no session; ${data}`
  );
}

/** Why a run is not what was there to replay; none where nothing was said in those packets. */
export function floodReasons({ floodedData }: FloodFacts): string[] {
  if (floodedData === 0) return [];
  return [
    `${count(floodedData)} packets with data are of connections beyond those that are kept: what they said was not replayed`,
  ];
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}
