import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PcapParser } from '../../src/wire/pcap.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';
import { Background } from '../lab/background.ts';
import type { Lab } from '../lab/lab.ts';
import { percentile, round } from './figures.ts';

export interface Turnaround {
  /** From the last segment of an answer to the next command, µs. */
  p50_us: number;
  p99_us: number;
  /** Commands a second. */
  rate: number;
}

/** Answers of the login, before the first command. */
const LOGIN_ANSWERS = 2;

/** What is left out at the beginning: there the compiler is at work. */
const WARM_UP = 1 / 5;

/**
 * How long the client of one connection takes from an answer to its next command, seen from the switch by tcpdump: neither
 * client's own word. Of the first fifth of the commands nothing is said. With the server's own time left out, what differs between two clients is what their way costs.
 */
export async function watchTurnaround(
  lab: Lab,
  port: number,
  work: () => Promise<void>,
): Promise<Turnaround> {
  const pcap = join(lab.runFolder, 'turnaround.pcap');
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
  return turnaroundOf(readFileSync(pcap), port);
}

function turnaroundOf(pcap: Uint8Array, port: number): Turnaround {
  const parser = new PcapParser();
  const segment = new Segment();
  const gaps: number[] = [];
  const times: number[] = [];
  let answers = 0;
  let answeredAt = -1;
  parser.push(pcap);
  while (parser.pull()) {
    const { octets, view, count, offset, length, at } = parser.block;
    for (let i = 0; i < count; i++) {
      const { linkType } = parser.format!;
      if (
        segment.parse(octets, view, offset[i], length[i], linkType) !== PARSE.ok ||
        segment.dataLength === 0
      )
        continue;
      if (segment.srcPort === port) {
        answeredAt = at[i];
        answers++;
      } else if (answeredAt >= 0) {
        if (answers > LOGIN_ANSWERS) {
          gaps.push((at[i] - answeredAt) / 1000);
          times.push(at[i]);
        }
        answeredAt = -1;
      }
    }
  }
  const first = Math.floor(gaps.length * WARM_UP);
  const values = Float64Array.from(gaps.slice(first));
  const seconds = (times[times.length - 1] - times[first]) / 1e9;
  return {
    p50_us: round(percentile(values, 50), 1),
    p99_us: round(percentile(values, 99), 1),
    rate: Math.round((values.length - 1) / seconds),
  };
}
