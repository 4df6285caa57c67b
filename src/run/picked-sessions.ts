/** Which sessions of an archive `--sample` and `--share` pick: said when a run begins, and kept in its summary. */
import type { Archive } from '../archive/reader.ts';
import { counted, firstFew, formatCount } from '../counted.ts';
import { type FilterChoices, pickerOf } from '../replay/choice/filters.ts';
import type { FixedMappings } from '../replay/mappings.ts';
import { sayLine } from '../report/output.ts';
import { percentText } from '../report/replayed.ts';
import type { Picked } from '../report/run-facts.ts';
import { mappedSessions } from './mapping.ts';

/** The numbers of so many sessions at most stand in summary.json. */
const MOST_IDS = 10_000;

/** Says which sessions are picked. Returns undefined where none of these options was given. */
export function pickedSessions(
  archive: Archive,
  mappings: FixedMappings,
  choices: Pick<FilterChoices, 'sessions' | 'sample' | 'share'>,
): Picked | undefined {
  const { sample, share } = choices;
  if (sample === undefined && share === undefined) return undefined;
  const isPicked = pickerOf(choices);
  const ids: number[] = [];
  let of = 0;
  for (const { id } of mappedSessions(archive.sessions(), mappings)) {
    of++;
    if (isPicked(id)) ids.push(id);
  }
  const shareText = share && `${share.index + 1}/${share.of}`;
  const options = [
    ...(shareText === undefined ? [] : [`--share ${shareText}`]),
    ...(sample === undefined ? [] : [`--sample ${percentText(sample)}`]),
  ];
  const named = ids.length === 0 ? '' : `: ${firstFew(ids.map(String))}`;
  const pick = options.length === 1 ? 'picks' : 'pick';
  sayLine(`${options.join(' and ')} ${pick} ${formatCount(ids.length)} of ${counted(of, 'session')}${named}`);
  return {
    ...(shareText === undefined ? {} : { share: shareText }),
    ...(sample === undefined ? {} : { sample }),
    sessions: ids.length,
    of,
    ...(ids.length > MOST_IDS ? {} : { ids: ids.join(',') }),
  };
}
