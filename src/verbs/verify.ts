import { Command } from '@commander-js/extra-typings';
import { withoutIndex } from '../archive/check/damage.ts';
import { type Finding, type Verification, verifyArchive } from '../archive/check/verify.ts';
import { rebuildIndex } from '../archive/reader.ts';
import { counted, formatCount } from '../counted.ts';
import { EXIT } from '../errors.ts';
import { printableJson } from '../printable.ts';
import { type Causes, totalOf } from '../report/causes.ts';
import { lossesOfRecording, packetsLost } from '../report/losses.ts';
import { formatOctets, LineWriter, Progress, print, sayLine } from '../report/output.ts';

const EXAMPLES = `
Examples:
  mytape verify peak.tape
  mytape verify peak.tape --json | jq '.findings[].table'
  mytape verify peak.tape --rebuild

Exit code: 0 nothing is damaged, 1 damaged. Packets that the archive knows to be lost are reported and are no damage. Of more than a hundred findings, the others are counted; --json has all. JSON:
{"findings":[{"table","key","column","says","is","what"}],"whole":false,"found":1,"losses":[],"lost":{}}, with a line for each finding, which has the fields
that apply, or "file" for one beside index and segments. "whole": nothing is damaged. "losses" are sentences, with segment and times where they are
known; "lost" has packets by cause: kernel, disk, damage.`;

/** Findings that people are shown: a damaged page holds a hundred rows. */
const MOST_SHOWN = 100;

/** What to do where only files are damaged that nothing else has. */
const NOT_MADE_AGAIN =
  '--rebuild cannot make these files again: put them back from a copy; without, replay asks for --allow-unidentified';

interface VerifyOptions {
  json?: true | undefined;
  rebuild?: true | undefined;
}

export function verifyCommand() {
  return new Command('verify')
    .argument('<dir>', 'the archive')
    .option('--rebuild', "make the index again from the segments first; mark what can't be read as lost")
    .option('--json', 'print a JSON object')
    .addHelpText('after', EXAMPLES)
    .action((dir, options) => verify(dir, options));
}

function verify(dir: string, { json, rebuild }: VerifyOptions): void {
  const progress = new Progress();
  if (rebuild) {
    try {
      rebuildIndex(dir, (octets) => progress.show(`making the index anew: ${formatOctets(octets)} read`));
    } finally {
      progress.clear();
    }
  }
  const shown: Finding[] = [];
  const report = new JsonReport(dir);
  let result: Verification;
  try {
    result = verifyArchive(dir, {
      onFinding: (finding) => {
        if (json) report.finding(finding);
        else if (shown.length < MOST_SHOWN) shown.push(finding);
      },
      onProgress: (octets, of) =>
        progress.show(`verifying: ${formatOctets(octets)} of ${formatOctets(of)} read`),
    });
  } finally {
    progress.clear();
  }
  if (json) report.end(result);
  else printText(dir, result, shown);
  if (result.findings > 0) process.exitCode = EXIT.failed;
}

/** Of an archive in which nothing is damaged but what is known to be. */
function verdictOf(dir: string, lost: Causes): string {
  const causes = Object.entries(lost);
  if (causes.length === 0) return `${dir} is whole`;
  const sum = totalOf(lost);
  const byCause = causes.map(([cause, packets]) => `${cause} ${formatCount(packets)}`);
  const what = lost.damage === undefined ? 'nothing' : 'nothing more';
  return `${what} in ${dir} is damaged, but ${counted(sum, 'packet')} ${sum === 1 ? 'was' : 'were'} lost (${byCause.join(', ')})`;
}

/** What was lost while it was recorded, whose times no one kept, and by damage since. */
function lossesOf({ archive, losses }: Verification): string[] {
  if (archive === undefined) return losses;
  const { dropped, droppedByDisk } = archive;
  return [...lossesOfRecording(packetsLost({ dropped, droppedByDisk })), ...losses];
}

/** One object, printed as it comes: there may be a finding for each of a million rows. */
class JsonReport {
  readonly #lines = new LineWriter();
  /** What stands before the next finding: the object's beginning, or a comma. */
  #before: string;

  constructor(dir: string) {
    this.#before = `{"dir":${printableJson(dir)},"findings":[`;
  }

  finding(finding: Finding): void {
    this.#lines.line(this.#before + printableJson(finding));
    this.#before = ',';
  }

  end(result: Verification): void {
    const { findings: found, archive } = result;
    const begun = found === 0 ? this.#before : '';
    const lost = archive === undefined ? {} : packetsLost(archive);
    const rest = printableJson({ whole: found === 0, found, losses: lossesOf(result), lost });
    this.#lines.line(`${begun}],${rest.slice(1)}`);
    this.#lines.flush();
  }
}

function printText(dir: string, result: Verification, shown: Finding[]): void {
  const { archive, findings: found, ofIndex } = result;
  print(shown.map(({ what }) => what));
  if (found > shown.length) print(`and ${formatCount(found - shown.length)} more`);
  if (archive !== undefined && archive.repaired !== null) sayLine(`${dir} was repaired: ${archive.repaired}`);
  for (const loss of lossesOf(result)) sayLine(`known to be lost: ${loss}`);
  if (found === 0) {
    const { packets, blocks, segments, sessions } = archive!;
    const counts = [
      `${counted(packets, 'packet')} in ${counted(blocks, 'block')} of ${counted(segments, 'segment')}`,
      counted(sessions, 'session'),
    ];
    print(`${verdictOf(dir, packetsLost(archive!))}: ${counts.join(', ')}`);
    return;
  }
  const next =
    ofIndex === 0
      ? NOT_MADE_AGAIN
      : archive === undefined
        ? withoutIndex(dir)
        : `make its index again from the segments: mytape verify --rebuild ${dir}`;
  print(`${dir} is damaged in ${counted(found, 'place')} (${next})`);
}
