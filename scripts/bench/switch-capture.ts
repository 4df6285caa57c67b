import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PcapParser } from '../../src/wire/pcap.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';
import { Background } from '../lab/background.ts';
import type { Lab } from '../lab/lab.ts';

/** Target's TCP segments on `port` while `work` ran, as a pcap file that tcpdump on the switch wrote: neither end's own word. */
export async function captureAtSwitch(
  lab: Lab,
  port: number,
  work: () => Promise<void>,
): Promise<Uint8Array> {
  const pcap = join(lab.runFolder, 'switch.pcap');
  // The switch's end of target's cable: the null responder's frames pass no hook of target's own.
  const tcpdump = await Background.start(
    lab,
    'switch',
    ['tcpdump', '-i', 'target', '-w', pcap, '-B', '16384', '--time-stamp-precision=nano', `tcp port ${port}`],
    /listening on/,
  );
  await work();
  // tcpdump writes what it has when it is told to stop, but not what the kernel still holds.
  await new Promise((resolve) => setTimeout(resolve, 300));
  await tcpdump.stop();
  return readFileSync(pcap);
}

/** The TCP segments of a pcap file in order; `segment` is good during the call, `at` is in ns. */
export function eachSegment(pcap: Uint8Array, take: (segment: Segment, at: number) => void): void {
  const parser = new PcapParser();
  const segment = new Segment();
  parser.push(pcap);
  while (parser.pull()) {
    const { octets, view, count, offset, length, at } = parser.block;
    const { linkType } = parser.format!;
    for (let i = 0; i < count; i++) {
      if (segment.parse(octets, view, offset[i], length[i], linkType) === PARSE.ok) take(segment, at[i]);
    }
  }
}
