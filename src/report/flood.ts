import { counted } from '../counted.ts';

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
  const data =
    floodedData === 0
      ? 'none of them has data'
      : counted(floodedData, 'of them has data', 'of them have data');
  return (
    `${counted(flooded, 'packet is', 'packets are')} of connections beyond those that are kept (more at once than any server has: a flood, ` +
    `it seems), and in no session; ${data}`
  );
}

/** Why a run is not what was there to replay; none where nothing was said in those packets. */
export function floodReasons({ floodedData }: FloodFacts): string[] {
  if (floodedData === 0) return [];
  return [
    `${counted(floodedData, 'packet with data is', 'packets with data are')} of connections beyond those that are kept: what was said there was not replayed`,
  ];
}
