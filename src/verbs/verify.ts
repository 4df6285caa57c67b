import { Command } from '@commander-js/extra-typings';
import { rebuildIndex } from '../archive/reader.ts';
import { type Finding, type Verification, verifyArchive } from '../archive/verify.ts';
import { EXIT } from '../errors.ts';
import { formatCount, formatOctets, Progress, print, printJson, sayLine } from './output.ts';

const EXAMPLES = `
Examples:
  mytape verify peak.tape
  mytape verify peak.tape --json | jq '.findings[].table'
  mytape verify peak.tape --rebuild

Exit code: 0 whole, 1 damaged. JSON: {"whole":false,"findings":[{"table","key","column","says","is","what"}],"found":1,"losses":[]}; a finding has the
fields that apply. found counts findings that are not listed, too; losses are those that the archive knows of.`;

/** Findings that are shown: a damaged page holds a hundred rows. */
const MOST_SHOWN = 100;

interface VerifyOptions {
  json?: true | undefined;
  rebuild?: true | undefined;
}

export function verifyCommand() {
  return new Command('verify')
    .description('read all of an archive, and name what is damaged in it')
    .argument('<dir>', 'the archive')
    .option('--rebuild', "make the index again from the segments first; mark what can't be read as lost")
    .option('--json', 'print a JSON object')
    .addHelpText('after', EXAMPLES)
    .action((dir, options) => verify(dir, options));
}

function verify(dir: string, options: VerifyOptions): void {
  const progress = new Progress();
  const findings: Finding[] = [];
  let result: Verification;
  try {
    if (options.rebuild)
      rebuildIndex(dir, (octets) => progress.show(`making the index anew: ${formatOctets(octets)} read`));
    result = verifyArchive(dir, {
      onFinding: (finding) => {
        if (findings.length < MOST_SHOWN) findings.push(finding);
      },
      onProgress: (octets, of) =>
        progress.show(`verifying: ${formatOctets(octets)} of ${formatOctets(of)} read`),
    });
  } finally {
    progress.clear();
  }
  const whole = result.findings === 0;
  if (options.json) printJson({ dir, whole, findings, found: result.findings, losses: result.losses });
  else printText(dir, result, findings);
  if (!whole) process.exitCode = EXIT.failed;
}

function printText(dir: string, { archive, findings: found, losses }: Verification, shown: Finding[]): void {
  print(shown.map(({ what }) => what));
  if (found > shown.length) print(`and ${formatCount(found - shown.length)} more`);
  if (archive !== undefined && archive.repaired !== null) sayLine(`${dir} was repaired: ${archive.repaired}`);
  for (const loss of losses) sayLine(`known to be lost: ${loss}`);
  if (found === 0) {
    const { packets, blocks, segments, sessions } = archive!;
    const counts = [
      `${formatCount(packets)} packets in ${formatCount(blocks)} blocks of ${formatCount(segments)} segments`,
      `${formatCount(sessions)} sessions`,
    ];
    print(`${dir} is whole: ${counts.join(', ')}`);
    return;
  }
  const next =
    archive === undefined
      ? `its index can't be read; each segment can: lz4 -dc ${dir}/000000.pcap.lz4 | mytape import - -p PORT -o NEW`
      : `make its index again from the segments: mytape verify --rebuild ${dir}`;
  print(`${dir} is damaged in ${found === 1 ? '1 place' : `${formatCount(found)} places`} (${next})`);
}
