/** How much of its sessions a capture holds, in words. */
import type { Coverage } from '../flow/events.ts';
import type { Causes } from './tally.ts';

const ORDER: readonly Coverage[] = ['whole', 'joined-late', 'gaps', 'cut', 'one-sided'];

/** In the order of Coverage; only the values that occur. */
export function byCoverage(counts: Causes): Causes {
  return Object.fromEntries(ORDER.filter((one) => counts[one] > 0).map((one) => [one, counts[one]]));
}

/** `98 whole, 2 gaps`; undefined where all are whole. */
function coverageText(counts: Causes): string | undefined {
  const known = Object.entries(byCoverage(counts));
  if (known.every(([coverage]) => coverage === 'whole')) return undefined;
  return known.map(([coverage, n]) => `${n.toLocaleString('en-US')} ${coverage}`).join(', ');
}

/** For people; none where the capture holds all of every session. */
export function coverageLines(counts: Causes): string[] {
  const text = coverageText(counts);
  if (text === undefined) return [];
  return ['', `Coverage     sessions: ${text}`, ...coverageHints(counts).map((hint) => `  - ${hint}`)];
}

/** What to do about sessions that are not whole because of how they were captured: a sentence each. */
export function coverageHints(counts: Causes): string[] {
  const { cut = 0, 'one-sided': oneSided = 0 } = counts;
  const hints: string[] = [];
  if (cut > 0) {
    hints.push(
      `${sessions(cut, 'has', 'have')} packets that the capture cut short (snaplen): commands in them are lost; ` +
        'capture with tcpdump -s 0',
    );
  }
  if (oneSided > 0) {
    hints.push(
      `${sessions(oneSided, 'was', 'were')} captured in one direction only: commands or answers are missing; ` +
        'capture both directions of the traffic',
    );
  }
  return hints;
}

function sessions(n: number, one: string, many: string): string {
  return n === 1 ? `1 session ${one}` : `${n.toLocaleString('en-US')} sessions ${many}`;
}
