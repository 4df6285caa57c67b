/** How much of its sessions a capture holds, in words. */
import { counted, formatCount } from '../counted.ts';
import type { Coverage } from '../flow/events.ts';
import type { Causes } from './causes.ts';

const ORDER: readonly Coverage[] = ['whole', 'joined-late', 'gaps', 'cut', 'one-sided'];

/** In the order of Coverage; only the values that occur. */
export function byCoverage(counts: Causes): Causes {
  return Object.fromEntries(ORDER.filter((one) => counts[one] > 0).map((one) => [one, counts[one]]));
}

/** `98 whole, 2 gaps`; undefined where all are whole. */
function coverageText(counts: Causes): string | undefined {
  const known = Object.entries(byCoverage(counts));
  if (known.every(([coverage]) => coverage === 'whole')) return undefined;
  return known.map(([coverage, n]) => `${formatCount(n)} ${coverage}`).join(', ');
}

/** For people, where `isFlooded` as for coverageHints; none where the capture holds all of every session. */
export function coverageLines(counts: Causes, isFlooded = false): string[] {
  const text = coverageText(counts);
  if (text === undefined) return [];
  return [
    '',
    `Coverage     sessions: ${text}`,
    ...coverageHints(counts, isFlooded).map((hint) => `  - ${hint}`),
  ];
}

/**
 * What to do about sessions that are not whole because of how they were captured: a sentence each. `isFlooded`: the capture has
 * packets of connections beyond those that are kept.
 */
export function coverageHints(counts: Causes, isFlooded = false): string[] {
  const { cut = 0, 'one-sided': oneSided = 0 } = counts;
  const hints: string[] = [];
  if (cut > 0) {
    hints.push(
      `${sessions(cut, 'has', 'have')} packets that the capture cut short (snaplen): commands in them are lost; ` +
        'capture with tcpdump -s 0',
    );
  }
  if (oneSided > 0) {
    hints.push(oneSidedHint(oneSided, counts, isFlooded));
  }
  return hints;
}

function oneSidedHint(n: number, { whole = 0 }: Causes, isFlooded: boolean): string {
  if (isFlooded) {
    return (
      `${sessions(n, 'has', 'have')} packets of one direction only: most likely they are part of the flood, whose clients ` +
      'no server answered'
    );
  }
  const what = `${sessions(n, 'was', 'were')} captured in one direction only: commands or answers are missing; `;
  if (whole === 0) return `${what}capture both directions of the traffic`;
  return (
    `${what}where no server answered the client (a flood, a scan), that is all there was; else capture both directions of ` +
    'the traffic'
  );
}

function sessions(n: number, one: string, many: string): string {
  return counted(n, `session ${one}`, `sessions ${many}`);
}
