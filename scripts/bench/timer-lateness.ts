/**
 * How late things are done that wait for a timer only: says their Spread as JSON.
 *
 *     node timer-lateness.js timeout|alarm RATE SECONDS
 *
 * timeout: by a timer of Node's, alarm: by one of net/timer.ts, set for what is next; all that is due is done at once.
 */
import { openAlarm, openPlainAlarm } from '../../src/net/timer.ts';
import { Arrivals } from './arrivals.ts';
import { percentile, round } from './figures.ts';

export interface Spread {
  p50_us: number;
  p99_us: number;
  max_us: number;
}

const [kind, rate, seconds] = process.argv.slice(2);
const lateUs = new Float64Array(Number(rate) * Number(seconds));
const arrivals = new Arrivals(Number(rate));
const start = performance.now();
let due = start + arrivals.next() / 1e6;
let done = 0;

const timer = (kind === 'alarm' ? openAlarm : openPlainAlarm)(() => {
  let now = performance.now();
  while (due <= now && done < lateUs.length) {
    lateUs[done++] = (now - due) * 1000;
    due = start + arrivals.next() / 1e6;
    now = performance.now();
  }
  if (done < lateUs.length) timer.set(due - now);
  else tell();
});
timer.set(due - start);

function tell(): void {
  timer.close();
  const us = (percent: number) => round(percentile(lateUs, percent), 0);
  const spread: Spread = { p50_us: us(50), p99_us: us(99), max_us: us(100) };
  process.stdout.write(JSON.stringify(spread));
}
