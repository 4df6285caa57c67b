import type { Lab } from '../lab/lab.ts';
import { percentile, round } from './figures.ts';
import { captureAtSwitch, eachSegment } from './switch-capture.ts';

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
  return turnaroundOf(await captureAtSwitch(lab, port, work), port);
}

function turnaroundOf(pcap: Uint8Array, port: number): Turnaround {
  const gaps: number[] = [];
  const times: number[] = [];
  let answers = 0;
  let answeredAt = -1;
  eachSegment(pcap, ({ dataLength, srcPort }, at) => {
    if (dataLength === 0) return;
    if (srcPort === port) {
      answeredAt = at;
      answers++;
    } else if (answeredAt >= 0) {
      if (answers > LOGIN_ANSWERS) {
        gaps.push((at - answeredAt) / 1000);
        times.push(at);
      }
      answeredAt = -1;
    }
  });
  const first = Math.floor(gaps.length * WARM_UP);
  const values = Float64Array.from(gaps.slice(first));
  const seconds = (times[times.length - 1] - times[first]) / 1e9;
  return {
    p50_us: round(percentile(values, 50), 1),
    p99_us: round(percentile(values, 99), 1),
    rate: Math.round((values.length - 1) / seconds),
  };
}
