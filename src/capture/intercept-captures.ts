import { type CaptureDriver, openCapture } from '../net/capture/drivers.ts';
import { GapTeller } from '../report/gap-teller.ts';
import { TOO_LONG_FILTER } from '../wire/icmp.ts';
import type { PacketSource, SourceStats } from '../wire/packets.ts';

export interface CaptureChoice {
  interface: readonly string[];
  filter: string;
  captureDriver: CaptureDriver;
}

/** One capture an interface; where one cannot be had, those before it are closed again. */
export async function openCaptures(
  { interface: interfaces, filter, captureDriver }: CaptureChoice,
  restMs: () => number,
  log: (line: string) => void,
): Promise<PacketSource[]> {
  const sources: PacketSource[] = [];
  try {
    for (const iface of interfaces) {
      const wanted = `(${filter}) or ${TOO_LONG_FILTER}`;
      const originSec = Math.floor(Date.now() / 1000);
      const gaps = new GapTeller(iface, originSec, log);
      sources.push(
        await openCapture(captureDriver, {
          iface,
          filter: wanted,
          mode: 'latency',
          promiscuous: false,
          restMs,
          originSec,
          onGap: (gap, isUp) => gaps.take(gap, isUp),
        }),
      );
    }
  } catch (error) {
    for (const source of sources) source.close();
    throw error;
  }
  return sources;
}

export function sumOf(sources: readonly PacketSource[]): SourceStats {
  let packets = 0;
  let dropped = 0;
  for (const source of sources) {
    const one = source.stats();
    packets += one.packets;
    dropped += one.dropped;
  }
  return { packets, dropped };
}
