/** Percentiles of histograms, as a summary has them. */
import type { Histogram } from 'hdr-histogram-js';
import { decodeHistogram, histogram } from './tally.ts';

export interface Percentiles {
  p50: number;
  p99: number;
  max: number;
}

/** Of histograms, encoded. */
export function latenessOf(each: readonly string[]): Percentiles {
  const sum = histogram();
  for (const one of each) sum.add(decodeHistogram(one));
  return percentiles(sum);
}

export function percentiles(of: Histogram): Percentiles {
  if (of.totalCount === 0) return { p50: 0, p99: 0, max: 0 };
  return {
    p50: round(of.getValueAtPercentile(50) / 1000),
    p99: round(of.getValueAtPercentile(99) / 1000),
    max: round(of.maxValue / 1000),
  };
}

export function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
